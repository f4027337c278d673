"""A real objective, whole or cut to a plane, for the figures of the guide."""

import numpy as np

from sknn_simple._data.threads import Workers
from sknn_simple._input.validation import validate_training_set
from sknn_simple._model.linear_objective import LinearObjective
from sknn_simple._model.losses import LOSSES
from sknn_simple._model.objective import Objective
from sknn_simple._optim.history import Observer
from sknn_simple._training.problem import make_row_blocks


def objective_of(model, X, y):
    """Return the objective J(θ) that `model` minimises, on the columns as they are."""
    data = validate_training_set(model, X, y, None, None)
    spec = model._train_spec(data)
    layout = spec.network.layout
    weights = layout.pack(
        {name: float(name.endswith("coef")) for name in layout.shapes}
    )
    penalty_root = np.sqrt(spec.alpha / data.total_weight) * weights
    loss, blocks = LOSSES[data.out_activation], make_row_blocks(spec, data)
    kind = LinearObjective if spec.network.is_linear else Objective
    return kind(spec.network, loss, blocks, penalty_root, Workers(1))


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

    def curvature(self, u):
        """Return the second derivatives within the plane."""
        return SliceCurvature(self.objective.curvature(self._theta(u)), self.directions)

    def values(self, first, second):
        """Return J on a grid."""
        return np.array(
            [[self.value_and_grad(np.array([a, b]))[0] for a in first] for b in second]
        )


class SliceCurvature:
    """The second derivatives of J within a plane."""

    def __init__(self, curvature, directions):
        self.curvature, self.directions = curvature, directions

    def product(self, v):
        """Return the Hessian within the plane times v."""
        return self.directions.T @ self.curvature.product(self.directions @ v)


class Path(Observer):
    """Observer of a minimisation that keeps the iterates."""

    def __init__(self):
        self.points = []

    def on_iteration_end(self, iterate):
        """Keep the iterate."""
        self.points.append(iterate.theta)
        return False
