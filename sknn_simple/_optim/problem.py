"""The interface between solvers and functions, and the preconditioned function.

A preconditioner is a linear map θ = T u. The optimum over θ is T times the optimum over
u: T changes the path of a solver, but not the optimum. A good T gives the Hessian a
diagonal near 1, or makes it nearly the identity (Nocedal and Wright 2006, section 5.1).

References
----------
Nocedal, J., Wright, S. (2006). Numerical Optimization, 2nd edition. Springer.
"""

from typing import NamedTuple, Protocol

import numpy as np


class Curvature(Protocol):
    """The second derivatives of f at one point.

    For solvers with a Hessian also ``matrix() -> ndarray``, (size, size).
    """

    def product(self, v: np.ndarray, /) -> np.ndarray:
        """Return the Hessian times v, (size,)."""
        ...


class Problem(Protocol):
    """A twice differentiable function f of a vector."""

    def value_and_grad(self, theta: np.ndarray, /) -> tuple[float, np.ndarray]:
        """Return f(θ) and its gradient, (size,)."""
        ...

    def curvature(self, theta: np.ndarray, /) -> Curvature:
        """Return the second derivatives at θ."""
        ...


class Preconditioner(Protocol):
    """An invertible linear map θ = T u.

    Gradients over u are multiplied by `gradient_unit` before they are compared with a
    tolerance. For solvers with a Hessian H also ``congruence(H) -> ndarray``, Tᵀ H T.
    """

    gradient_unit: float

    def to_theta(self, u: np.ndarray, /) -> np.ndarray:
        """Return θ = T u."""
        ...

    def from_theta(self, theta: np.ndarray, /) -> np.ndarray:
        """Return u = T⁻¹ θ."""
        ...

    def pull_back(self, gradient: np.ndarray, /) -> np.ndarray:
        """Return Tᵀ g, the gradient over u from that over θ."""
        ...


class PreconditionedProblem:
    """A problem over θ as a problem over u = T⁻¹ θ.

    It caches the last two values and gradients, and the last curvature: SciPy's solvers
    call value, gradient and Hessian products separately, and pass only a point to their
    callback.
    """

    def __init__(
        self, problem: Problem, preconditioner: Preconditioner, start: np.ndarray
    ) -> None:
        self.preconditioner = preconditioner
        self._problem = problem
        # T⁻¹ θ of the start θ. T T⁻¹ θ differs by rounding from θ, whose value the
        # problem may still know.
        self.start = preconditioner.from_theta(start)
        self._start = self.start.tobytes(), start
        self._evaluations: list[_Evaluation] = []
        self._curvature: tuple[bytes, Curvature] | None = None

    def value_and_grad(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Return f(T u) and Tᵀ ∂f/∂θ, evaluated at most once."""
        asked = u.tobytes()
        known = self._known(asked)
        if known is None:
            theta = self._to_theta(u, asked)
            value, gradient = self._problem.value_and_grad(theta)
            gradient = self.preconditioner.pull_back(gradient)
            known = _Evaluation(asked, theta, value, gradient)
            self._evaluations = [*self._evaluations[-1:], known]
        return known.value, known.gradient

    def hessian_product(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return Tᵀ H T v, with the Hessian H at T u."""
        T = self.preconditioner
        return T.pull_back(self.curvature(u).product(T.to_theta(v)))

    def hessian(self, u: np.ndarray) -> np.ndarray:
        """Return Tᵀ H T, for solvers that need it; not all T and H have a matrix."""
        T, curvature = self.preconditioner, self.curvature(u)
        return T.congruence(curvature.matrix())  # pyrefly: ignore

    def curvature(self, u: np.ndarray) -> Curvature:
        """Return the second derivatives over θ at T u, computed at most once."""
        asked = u.tobytes()
        if self._curvature is None or self._curvature[0] != asked:
            self._curvature = asked, self._problem.curvature(self.theta(u))
        return self._curvature[1]

    def theta(self, u: np.ndarray) -> np.ndarray:
        """Return T u, computed at most once for a point that was evaluated."""
        asked = u.tobytes()
        known = self._known(asked)
        return self._to_theta(u, asked) if known is None else known.theta

    def _to_theta(self, u: np.ndarray, asked: bytes) -> np.ndarray:
        place, theta = self._start
        return theta if asked == place else self.preconditioner.to_theta(u)

    def _known(self, asked: bytes) -> "_Evaluation | None":
        for evaluation in reversed(self._evaluations):
            # Comparing short byte strings is ten times as fast as comparing arrays.
            if evaluation.point == asked:
                return evaluation
        return None


class _Evaluation(NamedTuple):
    point: bytes
    theta: np.ndarray
    value: float
    gradient: np.ndarray
