"""Signs of parameters as bounds at 0.

Scaling by positive numbers does not move bounds at 0, so the same bounds hold for u and
for θ.
"""

import numpy as np

Bounds = tuple[np.ndarray, np.ndarray]


def sign_bounds(signs: np.ndarray) -> Bounds | None:
    """Return the bounds (low, high); None if all parameters are free.

    `signs` is 1 for parameters ≥ 0, -1 for parameters ≤ 0 and 0 for free ones, (size,).
    """
    if not signs.any():
        return None
    return np.where(signs > 0, 0.0, -np.inf), np.where(signs < 0, 0.0, np.inf)


def reflected(x: np.ndarray, bounds: Bounds | None) -> np.ndarray:
    """Return x, with the signs of parameters outside their bounds reversed."""
    if bounds is None:
        return x
    low, high = bounds
    return np.where((x < low) | (x > high), -x, x)


def within(x: np.ndarray, bounds: Bounds | None) -> np.ndarray:
    """Return the point nearest to x within the bounds."""
    return x if bounds is None else np.clip(x, *bounds)


def projected_gradient(
    x: np.ndarray, gradient: np.ndarray, bounds: Bounds | None
) -> np.ndarray:
    """Return the gradient without the parts that push x out of its bounds."""
    if bounds is None:
        return gradient
    low, high = bounds
    outward = ((x <= low) & (gradient > 0.0)) | ((x >= high) & (gradient < 0.0))
    return np.where(outward, 0.0, gradient)
