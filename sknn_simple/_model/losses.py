"""Log-losses of raw outputs: value, gradient and curvature.

Shapes: ``raw`` is (n_rows, n_outputs), float64 in Fortran order; ``weight`` is
(n_rows,), already divided by the sum of all weights S, so that a sum over rows is a
weighted mean. For independent labels it may be (n_rows, n_labels).

Both losses are the negative log-likelihood of a generalised linear model with its
canonical link, so that gradient and Hessian in ``raw`` are p - y and the covariance
of y (Bishop 2006, sections 4.3.2, 4.3.4 and 5.3.1). No exponential of a positive
number is taken, hence every value is finite for every finite raw output.

References
----------
Bishop, C. M. (2006). Pattern Recognition and Machine Learning. Springer.
"""

from typing import Protocol

import numpy as np


class Loss(Protocol):
    """A loss, and the methods that objectives call; K is the number of outputs.

    ℓ is `shift_invariant` if adding a constant to all outputs does not change it.
    """

    shift_invariant: bool

    def start_curvature(self, n_outputs: int) -> float:
        """Return ∂²ℓ/∂zₖ² at equal outputs."""
        ...

    def losses(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return ℓ(yᵢ, zᵢ), (n_rows,) or per label; `raw` may be overwritten."""
        ...

    def other_losses(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the mean of ℓ(k, zᵢ) over the classes k ≠ yᵢ, as `losses` does."""
        ...

    def value(
        self,
        raw: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray,
        largest: float = np.inf,
        smoothing: float = 0.0,
    ) -> float:
        """Return Σᵢ wᵢ min(ℓ(yᵢ, zᵢ), `largest`), per label if y has several.

        `raw` may be overwritten. A ℓ that is not a number, of outputs that overflow,
        counts as `largest`. The other classes share a part `smoothing` of each weight.
        """
        if smoothing == 0.0:
            return _weighted_sum(np.fmin(self.losses(raw, y), largest), weight)
        own = np.fmin(self.losses(raw.copy(order="F"), y), largest)
        other = np.fmin(self.other_losses(raw, y), largest)
        return _weighted_sum(own + smoothing * (other - own), weight)

    def value_and_gradient(
        self, raw: np.ndarray, y: np.ndarray, weight: np.ndarray
    ) -> float:
        """Return Σᵢ wᵢ ℓ(yᵢ, zᵢ) and write wᵢ ∂ℓ/∂zᵢ over `raw`."""
        ...

    def probabilities(self, raw: np.ndarray) -> np.ndarray:
        """Write the probabilities of the K outputs over `raw`, and return it."""
        ...

    def log_probabilities(self, raw: np.ndarray) -> np.ndarray:
        """Return the logarithms of the probabilities; `raw` may be overwritten."""
        ...

    def curvature_product(
        self, probability: np.ndarray, weight: np.ndarray, v: np.ndarray
    ) -> None:
        """Write wᵢ (∂²ℓ/∂zᵢ²) vᵢ over `v`, both (n_rows, K)."""
        ...

    def covariance_factors(
        self, probability: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Split wᵢ ∂²ℓ/∂zᵢ² into diag(dᵢ) - rᵢ rᵢᵀ; return d and r (or None).

        Given the probabilities of some outputs, return the d and r of these outputs.
        """
        ...


def _exp_minus_abs(raw: np.ndarray) -> np.ndarray:
    tail = np.copysign(raw, -1.0)
    return np.exp(tail, out=tail)


def _log_sigmoid(raw: np.ndarray) -> None:
    """Write log σ(z) = min(z, 0) - log(1 + exp(-|z|)) over z."""
    tail = _exp_minus_abs(raw)
    np.log1p(tail, out=tail)
    np.minimum(raw, 0.0, out=raw)
    raw -= tail


def _shift_below_zero(raw: np.ndarray) -> None:
    """Subtract each row's largest entry, in place.

    The difference of two finite numbers may be -inf; its exponential 0 is correct.
    """
    with np.errstate(over="ignore"):
        raw -= raw.max(axis=1, keepdims=True)


def by_output(weight: np.ndarray) -> np.ndarray:
    """Return the weights as (n_rows, 1) or (n_rows, n_labels)."""
    return weight.reshape(len(weight), -1)


def _weighted_sum(losses: np.ndarray, weight: np.ndarray) -> float:
    if weight.ndim == 1:
        return float((weight @ losses).sum())
    return float(np.sum(weight * losses))


def _observed(raw: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `raw` as a flat view, and the index of each row's observed class in it.

    One flat index is twice as fast as an index of rows and one of columns.
    """
    if not raw.flags.f_contiguous:
        raise ValueError("raw outputs must be in Fortran order: a flat view is needed")
    place = y * raw.shape[0]
    place += np.arange(raw.shape[0])
    return raw.T.reshape(-1), place


class BernoulliLoss(Loss):
    """Independent Bernoulli outputs: two classes (K = 1) or K labels.

    ℓ(y, z) = Σₖ log(1 + exp(zₖ)) - yₖ zₖ,    ∂ℓ/∂zₖ = σ(zₖ) - yₖ,
    ∂²ℓ/∂zₖ² = σ(zₖ) (1 - σ(zₖ)).

    ``y`` is (n_rows, K) of zeros and ones. With s = 2y - 1 the loss is -log σ(s z), and
    its derivative -s (1 - σ(s z)) is s times exp(-ℓ) - 1: exact to the last bit even
    if the probability of the observed class is nearly 1.
    """

    shift_invariant = False

    def start_curvature(self, n_outputs: int) -> float:
        """1/4, the variance of a fair coin."""
        return 0.25

    def losses(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        raw *= 2.0 * y - 1.0
        _log_sigmoid(raw)
        return np.negative(raw, out=raw)

    def other_losses(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self.losses(raw, 1.0 - y)

    def value_and_gradient(
        self, raw: np.ndarray, y: np.ndarray, weight: np.ndarray
    ) -> float:
        sign = 2.0 * y
        sign -= 1.0
        raw *= sign
        _log_sigmoid(raw)
        value = -_weighted_sum(raw, weight)
        np.expm1(raw, out=raw)
        raw *= sign
        raw *= by_output(weight)
        return value

    def probabilities(self, raw: np.ndarray) -> np.ndarray:
        tail = _exp_minus_abs(raw)
        tail += 1.0
        # exp(min(z, 0)) takes half of the time of a mask for the sign of z.
        np.minimum(raw, 0.0, out=raw)
        np.exp(raw, out=raw)
        raw /= tail
        return raw

    def log_probabilities(self, raw: np.ndarray) -> np.ndarray:
        _log_sigmoid(raw)
        return raw

    def curvature_product(
        self, probability: np.ndarray, weight: np.ndarray, v: np.ndarray
    ) -> None:
        v *= probability
        v *= 1.0 - probability
        v *= by_output(weight)

    def covariance_factors(
        self, probability: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The outputs are independent: d = w p (1 - p), and no r."""
        return by_output(weight) * (probability * (1.0 - probability)), None


class SoftmaxLoss(Loss):
    """One of K classes; all K raw outputs are kept.

    ℓ(y, z) = log Σₖ exp(zₖ) - z_y,    ∂ℓ/∂z = p - e_y,
    ∂²ℓ/∂z² = diag(p) - p pᵀ,    p = softmax(z).

    ``y`` is (n_rows,) of class codes 0..K-1. The largest raw output is subtracted
    before exponentials are taken. At the observed class the derivative is exp(-ℓ) - 1.
    """

    shift_invariant = True

    def start_curvature(self, n_outputs: int) -> float:
        """(1 - 1/K) / K, the variance of the indicator of one of K equal classes."""
        return (1.0 - 1.0 / n_outputs) / n_outputs

    def losses(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        _shift_below_zero(raw)
        entries, place = _observed(raw, y)
        log_probability = entries.take(place)
        log_probability -= np.log(np.exp(raw, out=raw).sum(axis=1))
        return np.negative(log_probability, out=log_probability)

    def other_losses(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        log_probability = self.log_probabilities(raw)
        entries, place = _observed(log_probability, y)
        others = entries.take(place) - log_probability.sum(axis=1)
        return others / (raw.shape[1] - 1)

    def value_and_gradient(
        self, raw: np.ndarray, y: np.ndarray, weight: np.ndarray
    ) -> float:
        _shift_below_zero(raw)
        entries, place = _observed(raw, y)
        log_probability = entries.take(place)
        normaliser = np.exp(raw, out=raw).sum(axis=1)
        log_probability -= np.log(normaliser)
        raw *= (weight / normaliser)[:, None]
        entries[place] = weight * np.expm1(log_probability)
        return -float(weight @ log_probability)

    def probabilities(self, raw: np.ndarray) -> np.ndarray:
        _shift_below_zero(raw)
        np.exp(raw, out=raw)
        raw /= raw.sum(axis=1, keepdims=True)
        return raw

    def log_probabilities(self, raw: np.ndarray) -> np.ndarray:
        _shift_below_zero(raw)
        raw -= np.log(np.exp(raw).sum(axis=1, keepdims=True))
        return raw

    def curvature_product(
        self, probability: np.ndarray, weight: np.ndarray, v: np.ndarray
    ) -> None:
        v *= probability
        v -= probability * v.sum(axis=1, keepdims=True)
        v *= weight[:, None]

    def covariance_factors(
        self, probability: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """d = w p and r = √w p."""
        column = weight[:, None]
        return column * probability, np.sqrt(column) * probability


LOSSES: dict[str, Loss] = {"logistic": BernoulliLoss(), "softmax": SoftmaxLoss()}
