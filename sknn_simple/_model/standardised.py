"""J of the linear network over few rows, in the coordinates of standardised features.

A small fit is made of many short calls, each of which costs about a microsecond,
whatever it computes. With the features centred and scaled once, and a column of ones
for the biases, an evaluation is two products and the loss: half of the calls that it
takes to change variables there and back, over blocks of rows.
"""

import numpy as np

from sknn_simple._model.losses import Loss


class StandardisedObjective:
    """J(u) = Σᵢ wᵢ ℓ(yᵢ, zᵢ) + ½ Σⱼ penaltyⱼ uⱼ²,      Z = F U.

    Parameters
    ----------
    loss : Loss
        Maps raw outputs and targets to ℓ.
    features : ndarray of shape (n_rows, q)
        F, in float64, contiguous by columns.
    y : ndarray of shape (n_rows, ...)
        Targets.
    weight : ndarray of shape (n_rows,)
        Weights that sum to 1.
    penalty : ndarray of shape (size,)
        The penalty's factors, for U (q, K) in C order.
    """

    def __init__(
        self,
        loss: Loss,
        features: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray,
        penalty: np.ndarray,
    ) -> None:
        self.size = penalty.size
        self._loss = loss
        self._columns = features.T
        self._y, self._weight = y, weight
        self._penalty = penalty
        self._n_outputs = penalty.size // features.shape[1]
        # What was computed for the last u, and for the last of second derivatives.
        self._evaluated_at = self._factored_at = b""
        self._raw_gradient = np.empty(0)
        self._factors: tuple[np.ndarray, np.ndarray | None] = np.empty(0), None

    def value_and_grad(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Return J(u) and ∂J/∂u."""
        raw = self._raw(u)
        value = self._loss.value_and_gradient(raw, self._y, self._weight)
        self._evaluated_at, self._raw_gradient = u.tobytes(), raw
        gradient = np.matmul(self._columns, raw).ravel()
        pull = self._penalty * u
        gradient += pull
        return value + 0.5 * float(pull @ u), gradient

    def hessp(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the Hessian of J at u times v: Fᵀ C (F V) + penalty v."""
        diagonal, root = self._covariance_factors(u)
        tangent = self._raw(v)
        product = diagonal * tangent
        if root is not None:
            tangent *= root
            product -= root * tangent.sum(axis=1, keepdims=True)
        return np.matmul(self._columns, product).ravel() + self._penalty * v

    def hessian(self, u: np.ndarray) -> np.ndarray:
        """Return the Hessian of J at u, (size, size)."""
        diagonal, root = self._covariance_factors(u)
        q, n_outputs = len(self._columns), self._n_outputs
        hessian = np.zeros((q, n_outputs, q, n_outputs))
        add_hessian(hessian, self._columns, diagonal, root)
        hessian = hessian.reshape(self.size, self.size)
        hessian.reshape(-1)[:: self.size + 1] += self._penalty
        return hessian

    def _raw(self, u: np.ndarray) -> np.ndarray:
        """Return F U, (n_rows, K), contiguous by columns."""
        return np.matmul(u.reshape(-1, self._n_outputs).T, self._columns).T

    def _covariance_factors(
        self, u: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the loss's factors of C, wᵢ ∂²ℓ/∂zᵢ², at u."""
        at = u.tobytes()
        if at != self._factored_at:
            if at != self._evaluated_at:
                self.value_and_grad(u)
            probability = self._raw_gradient.copy(order="F")
            self._loss.probabilities_of_gradient(probability, self._y, self._weight)
            self._factors = self._loss.covariance_factors(probability, self._weight)
            self._factored_at = at
        return self._factors


def add_hessian(
    total: np.ndarray,
    columns: np.ndarray,
    diagonal: np.ndarray,
    root: np.ndarray | None,
) -> None:
    """Add the Hessian of a log-loss, Xᵀ C X, to `total`.

    Parameters
    ----------
    total : ndarray of shape (q, K, q, K)
        For weights (q, K).
    columns : ndarray of shape (q, m)
        Xᵀ.
    diagonal, root : ndarray of shape (m, K)
        C of every row is diag(diagonal) - root rootᵀ, or without `root` the former.
    """
    q, n_outputs = total.shape[:2]
    if root is not None:
        spread = (columns[:, None] * root.T).reshape(q * n_outputs, -1)
        matrix = total.reshape(q * n_outputs, -1)
        matrix -= spread @ spread.T
    for k, factor in enumerate(np.sqrt(diagonal.T)):
        total[:, k, :, k] += _gram(columns, factor)


def _gram(columns: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Return Σᵢ rᵢ² xᵢ xᵢᵀ of (p, m) columns, as A Aᵀ: BLAS does half of it (syrk)."""
    weighted = columns * root
    return weighted @ weighted.T
