"""Four methods on the same two-dimensional slice of the objective of a real network.

The slice goes through a trained network (the origin) along the eigenvectors of the
Hessian with the largest and with a smaller curvature.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from slices import Path, Slice, objective_of

from sknn_simple import OneHiddenMLP
from sknn_simple._optim.history import History
from sknn_simple._optim.minimize import minimize
from sknn_simple._optim.stopping import StoppingCriteria
from sknn_simple._training.preconditioners import DiagonalPreconditioner

X, y = load_breast_cancer(return_X_y=True)
X = scale(X)
model = OneHiddenMLP(3, "tanh", alpha=3.0, random_state=0, tol=1e-6).fit(X, y)
objective = objective_of(model, X, y)
optimum = objective.network.layout.pack(model._parameters())
curvature = objective.curvature(optimum)
hessian = np.array([curvature.product(e) for e in np.eye(objective.size)])
curvatures, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
# The steepest direction, and one with a fiftieth of its curvature.
gentle = np.argmin(np.abs(curvatures - curvatures[-1] / 50))
plane = Slice(objective, optimum, vectors[:, [gentle, -1]])
START = np.array([-5.5, 1.3])
CRITERIA = StoppingCriteria(tol=1e-4, max_iter=200)


def gradient_descent(step):
    """Return the path of u ← u - step · gradient."""
    points = [START]
    while len(points) <= CRITERIA.max_iter:
        value, gradient = plane.value_and_grad(points[-1])
        if np.abs(gradient).max() <= CRITERIA.threshold([value]):
            break
        points.append(points[-1] - step * gradient)
    return np.array(points)


def path_of(solver):
    """Return the path of one of the package's solvers."""
    path = Path()
    identity = DiagonalPreconditioner(np.ones(2))
    minimize(plane, START, identity, CRITERIA, History([path]), solver=solver)
    return np.array(path.points)


paths = {
    "gradient descent": gradient_descent(1.5 / curvatures[-1]),
    "lbfgs": path_of("lbfgs"),
    "newton-cg": path_of("newton-cg"),
    "trust-ncg": path_of("trust-ncg"),
}
first, second = np.linspace(-7, 4, 110), np.linspace(-2.2, 2.2, 90)
values = plane.values(first, second)
levels = np.geomspace(values.min() * 1.02, values.max(), 14)
for name, path in paths.items():
    _, ax = plt.subplots(figsize=(3.9, 3.3))
    ax.contour(first, second, values, levels=levels, cmap="Blues_r", linewidths=0.9)
    ax.plot(*path.T, ".-", color="#d1602c", lw=1.3, ms=5, clip_on=True)
    ax.plot(*START, "o", color="black", ms=6)
    ax.plot(*path[-1], "*", color="black", ms=12)
    count = len(path) - 1
    more = " (limit)" if count >= CRITERIA.max_iter else ""
    ax.set_title(f"{name}: {count} iterations{more}")
    ax.set(xlim=(first[0], first[-1]), ylim=(second[0], second[-1]))
    ax.set(xlabel="direction of small curvature", ylabel="of largest curvature")
    ax.grid(False)
