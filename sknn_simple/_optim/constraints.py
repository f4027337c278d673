"""Signs of parameters as bounds.

A network of monotone activations is monotone in an input for every value of the others
where the product of weights along each path from the input to the output has one sign
(Archer and Wang 1993; Sill 1998). Bounds at zero hold signs of weights exactly. With
an activation that is convex, units that only raise the output and units that only lower
it are both needed for it to be neither convex nor concave (Runje and Shankaranarayana
2023).

References
----------
Archer, N. P., Wang, S. (1993). Application of the back propagation neural network
algorithm with monotonicity constraints for two-group classification problems.
Decision Sciences 24(1), 60-75.
Sill, J. (1998). Monotonic networks. NeurIPS 10.
Runje, D., Shankaranarayana, S. M. (2023). Constrained monotonic neural networks. ICML,
PMLR 202, 29338-29353.
"""

import numpy as np

Bounds = tuple[np.ndarray, np.ndarray]


def sign_bounds(signs: np.ndarray) -> Bounds | None:
    """Return (low, high) that hold each parameter at its sign, None if all are free.

    Parameters
    ----------
    signs : ndarray of shape (size,)
        1 for parameters ≥ 0, -1 for parameters ≤ 0, 0 for free ones.
    """
    if not signs.any():
        return None
    return np.where(signs > 0, 0.0, -np.inf), np.where(signs < 0, 0.0, np.inf)


def reflected(x: np.ndarray, bounds: Bounds | None) -> np.ndarray:
    """Return x with the parameters beyond a bound at 0 mirrored to its other side."""
    if bounds is None:
        return x
    low, high = bounds
    return np.where((x < low) | (x > high), -x, x)
