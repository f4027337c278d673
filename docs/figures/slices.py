"""A real objective, whole or cut to a plane, for the figures of the guide."""

import numpy as np

from sknn_simple._data.threads import Workers
from sknn_simple._model.losses import LOSSES
from sknn_simple._training.problem import cut
from sknn_simple._validation import validate_training_set


def objective_of(model, X, y):
    """Return the objective J(θ) that `model` minimises, on the columns as they are."""
    data = validate_training_set(model, X, y, None, None)
    recipe = model._recipe(data)
    network = recipe.network
    weights = network.layout.pack(
        {name: float(name.endswith("coef")) for name in network.layout.shapes}
    )
    decay = np.sqrt(model.alpha / data.total_weight) * weights
    return recipe.objective(
        network, LOSSES[data.out_activation], cut(network, data), decay, Workers(1)
    )


class Slice:
    """J over the plane origin + u₁ d₁ + u₂ d₂, as a problem of two variables."""

    size = 2

    def __init__(self, objective, origin, directions):
        self.objective, self.origin, self.directions = objective, origin, directions

    def _theta(self, u):
        return self.origin + self.directions @ u

    def value_and_grad(self, u):
        """Return J and its gradient within the plane."""
        value, gradient = self.objective.value_and_grad(self._theta(u))
        return value, self.directions.T @ gradient

    def hessp(self, u, v):
        """Return the product with the Hessian within the plane."""
        product = self.objective.hessp(self._theta(u), self.directions @ v)
        return self.directions.T @ product

    def values(self, first, second):
        """Return J on a grid."""
        return np.array(
            [[self.value_and_grad(np.array([a, b]))[0] for a in first] for b in second]
        )


class Path:
    """Observer of a minimisation that keeps the iterates."""

    def __init__(self):
        self.points = []

    def ended(self, iterate):
        """Keep the iterate."""
        self.points.append(iterate.x)
        return False

    def begins(self, problem, x):
        """Do nothing."""

    def abandoned(self):
        """Do nothing."""
