"""Activation functions φ with their first and second derivatives, in place.

Every function works in place on a float array ``z`` of pre-activations of any shape,
because a hidden layer is the largest array of an evaluation: a block of rows stays in
cache if φ(z) overwrites z and the derivatives use the same buffers each time.

The sigmoid is 1 / (1 + exp(-z)). If exp(-z) overflows, 1/inf is 0, which is correct.
SciPy's ``expit`` calls libm for each number and takes 4 times the time with AVX-512.
(1 + tanh(z/2)) / 2 takes the same time with AVX-512, and twice the time with AVX2.

References
----------
Bishop, C. M. (2006). Pattern Recognition and Machine Learning, section 5.1.
Dugas, C. et al. (2001). Incorporating second-order functional knowledge for better
option pricing. NeurIPS 13 (softplus).
Hendrycks, D., Gimpel, K. (2016). Gaussian error linear units. arXiv:1606.08415
(gelu, silu).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr


class Activation(NamedTuple):
    """One row of the table of activations."""

    # value(z) writes φ(z) over z.
    value: Callable[[np.ndarray], None]
    # slope(z, d1) writes φ′(z) into d1 and φ(z) over z.
    slope: Callable[[np.ndarray, np.ndarray], None]
    # curvature(z, d1, d2) writes φ″(z) into d2, φ′(z) into d1 and φ(z) over z.
    curvature: Callable[[np.ndarray, np.ndarray, np.ndarray], None]
    # E[φ(Z)] of a standard normal Z: the mean output of a unit at the start, when its
    # input has a variance of about 1.
    mean: float
    # Whether φ never decreases, which sign constraints on weights require.
    monotone: bool
    # Whether φ′ is 0 or 1 everywhere, so that `slope` accepts a d1 of bool.
    binary_slope: bool = False
    # Whether φ′ jumps, so that φ″ = 0 leaves out a part of the derivatives of a mean.
    has_kink: bool = False


def _sigmoid(z: np.ndarray, out: np.ndarray) -> None:
    np.negative(z, out=out)
    with np.errstate(over="ignore"):
        np.exp(out, out=out)
    out += 1.0
    np.reciprocal(out, out=out)


def _identity(z: np.ndarray) -> None:
    """φ(z) = z."""


def _identity_slope(z: np.ndarray, d1: np.ndarray) -> None:
    """φ′(z) = 1."""
    d1.fill(1.0)


def _identity_curvature(z: np.ndarray, d1: np.ndarray, d2: np.ndarray) -> None:
    """φ″(z) = 0."""
    d1.fill(1.0)
    d2.fill(0.0)


def _logistic(z: np.ndarray) -> None:
    """φ(z) = σ(z)."""
    _sigmoid(z, out=z)


def _logistic_slope(z: np.ndarray, d1: np.ndarray) -> None:
    """φ′ = φ (1 - φ)."""
    _logistic(z)
    np.subtract(1.0, z, out=d1)
    d1 *= z


def _logistic_curvature(z: np.ndarray, d1: np.ndarray, d2: np.ndarray) -> None:
    """φ″ = φ′ (1 - 2φ)."""
    _logistic_slope(z, d1)
    np.multiply(z, -2.0, out=d2)
    d2 += 1.0
    d2 *= d1


def _tanh(z: np.ndarray) -> None:
    """φ(z) = tanh(z)."""
    np.tanh(z, out=z)


def _tanh_slope(z: np.ndarray, d1: np.ndarray) -> None:
    """φ′ = 1 - φ²."""
    np.tanh(z, out=z)
    np.multiply(z, z, out=d1)
    np.subtract(1.0, d1, out=d1)


def _tanh_curvature(z: np.ndarray, d1: np.ndarray, d2: np.ndarray) -> None:
    """φ″ = -2 φ φ′."""
    _tanh_slope(z, d1)
    np.multiply(z, d1, out=d2)
    d2 *= -2.0


def _relu(z: np.ndarray) -> None:
    """φ(z) = max(z, 0).

    ``np.maximum(z, 0)`` takes three times as long: NumPy vectorises clipping to two
    bounds, but not the maximum of an array and a number.
    """
    np.clip(z, 0.0, np.inf, out=z)


def _relu_slope(z: np.ndarray, d1: np.ndarray) -> None:
    """φ′ = 1 if z > 0, else 0 (also at 0, as in MLPClassifier)."""
    np.greater(z, 0.0, out=d1)
    _relu(z)


def _relu_curvature(z: np.ndarray, d1: np.ndarray, d2: np.ndarray) -> None:
    """φ″ = 0 almost everywhere."""
    _relu_slope(z, d1)
    d2.fill(0.0)


def _softplus(z: np.ndarray) -> None:
    """φ(z) = log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))."""
    tail = np.abs(z)
    np.negative(tail, out=tail)
    np.exp(tail, out=tail)
    np.log1p(tail, out=tail)
    _relu(z)
    z += tail


def _softplus_slope(z: np.ndarray, d1: np.ndarray) -> None:
    """φ′ = σ(z)."""
    _sigmoid(z, out=d1)
    _softplus(z)


def _softplus_curvature(z: np.ndarray, d1: np.ndarray, d2: np.ndarray) -> None:
    """φ″ = σ(z) (1 - σ(z))."""
    _softplus_slope(z, d1)
    np.subtract(1.0, d1, out=d2)
    d2 *= d1


def _silu(z: np.ndarray) -> None:
    """φ(z) = z σ(z)."""
    sigmoid = np.empty_like(z)
    _sigmoid(z, out=sigmoid)
    z *= sigmoid


def _silu_slope(z: np.ndarray, d1: np.ndarray) -> None:
    """φ′ = σ + φ (1 - σ)."""
    sigmoid = np.empty_like(z)
    _sigmoid(z, out=sigmoid)
    z *= sigmoid
    np.subtract(1.0, sigmoid, out=d1)
    d1 *= z
    d1 += sigmoid


def _silu_curvature(z: np.ndarray, d1: np.ndarray, d2: np.ndarray) -> None:
    """φ″ = σ (1 - σ) (2 + z (1 - 2σ))."""
    sigmoid = np.empty_like(z)
    _sigmoid(z, out=sigmoid)
    np.multiply(sigmoid, -2.0, out=d2)
    d2 += 1.0
    d2 *= z
    d2 += 2.0
    # Multiplying by σ and 1 - σ one after the other avoids overflow: if one of them is
    # 0, the product is 0 even for the largest z.
    d2 *= sigmoid
    np.subtract(1.0, sigmoid, out=d1)
    d2 *= d1
    z *= sigmoid
    d1 *= z
    d1 += sigmoid


def _square(z: np.ndarray, out: np.ndarray) -> None:
    """Write z², or the largest number if it would overflow, into `out`."""
    with np.errstate(over="ignore"):
        np.multiply(z, z, out=out)
    np.clip(out, 0.0, np.finfo(z.dtype).max, out=out)


def _gaussian_density(z: np.ndarray, out: np.ndarray) -> None:
    _square(z, out=out)
    out *= -0.5
    np.exp(out, out=out)
    out *= 1.0 / np.sqrt(2.0 * np.pi)


def _gelu(z: np.ndarray) -> None:
    """φ(z) = z Φ(z), Φ the cumulative distribution of the standard normal."""
    z *= ndtr(z)


def _gelu_slope(z: np.ndarray, d1: np.ndarray) -> None:
    """φ′ = Φ(z) + z N(z), N the standard normal density."""
    cumulative = ndtr(z)
    _gaussian_density(z, out=d1)
    d1 *= z
    d1 += cumulative
    z *= cumulative


def _gelu_curvature(z: np.ndarray, d1: np.ndarray, d2: np.ndarray) -> None:
    """φ″ = N(z) (2 - z²)."""
    cumulative = ndtr(z)
    _gaussian_density(z, out=d1)
    _square(z, out=d2)
    np.subtract(2.0, d2, out=d2)
    d2 *= d1
    d1 *= z
    d1 += cumulative
    z *= cumulative


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(
        _identity,
        _identity_slope,
        _identity_curvature,
        mean=0.0,
        monotone=True,
        binary_slope=True,
    ),
    "logistic": Activation(
        _logistic, _logistic_slope, _logistic_curvature, mean=0.5, monotone=True
    ),
    "tanh": Activation(_tanh, _tanh_slope, _tanh_curvature, mean=0.0, monotone=True),
    "relu": Activation(
        _relu,
        _relu_slope,
        _relu_curvature,
        mean=1.0 / np.sqrt(2.0 * np.pi),
        monotone=True,
        binary_slope=True,
        has_kink=True,
    ),
    # The means of softplus and silu have no closed form.
    "softplus": Activation(
        _softplus, _softplus_slope, _softplus_curvature, mean=0.806059, monotone=True
    ),
    "silu": Activation(
        _silu, _silu_slope, _silu_curvature, mean=0.206621, monotone=False
    ),
    "gelu": Activation(
        _gelu,
        _gelu_slope,
        _gelu_curvature,
        mean=0.5 / np.sqrt(np.pi),
        monotone=False,
    ),
}
# nnet and Keras users write "sigmoid"; scikit-learn's networks write "logistic".
ACTIVATIONS["sigmoid"] = ACTIVATIONS["logistic"]
