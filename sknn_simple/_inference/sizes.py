"""How much memory a posterior takes, checked before the work."""

import os
from typing import NamedTuple


class Sizes(NamedTuple):
    """The sizes on which the memory depends."""

    n_rows: int
    n_outputs: int
    n_params: int
    # Whether the covariance can be had by rows: if every parameter has a prior.
    has_row_form: bool

    @property
    def parameter_bytes(self) -> int:
        """The precision, its root, and a copy: three arrays of P²."""
        return 3 * 8 * self.n_params**2

    @property
    def row_bytes(self) -> int:
        """Two arrays of (n K)², and three of n K × P."""
        rows = self.n_rows * self.n_outputs
        return 8 * (2 * rows**2 + 3 * rows * self.n_params)

    @property
    def by_rows(self) -> bool:
        """Whether the form by rows takes less memory."""
        return self.has_row_form and self.row_bytes < self.parameter_bytes


def usable_bytes() -> int:
    """Return half of the physical memory of this machine; 4 GiB if it is unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):  # Windows
        return 2**32


def check_size(sizes: Sizes, usable: int) -> None:
    """Raise MemoryError if the posterior needs more than the usable bytes."""
    needed = sizes.row_bytes if sizes.by_rows else sizes.parameter_bytes
    if needed > usable:
        rows = (
            f"; by the {sizes.n_rows} rows it would be {sizes.row_bytes} bytes"
            if sizes.has_row_form
            else ""
        )
        raise MemoryError(
            f"Posterior of {sizes.n_params} parameters needs {needed} bytes, more than "
            f"half of the memory of this machine, {usable} bytes: the covariance of "
            f"all parameters is {sizes.parameter_bytes} bytes{rows}. Use fewer columns "
            f"or hidden units{', or fewer rows' * sizes.has_row_form}."
        )
