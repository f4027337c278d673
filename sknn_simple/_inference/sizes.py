"""How much memory a posterior takes, checked before the work."""

import os


def parameter_bytes(n_params: int) -> int:
    """Return what the precision takes, its root, and a copy: three arrays of P²."""
    return 3 * 8 * n_params**2


def row_bytes(n_rows: int, n_outputs: int, n_params: int) -> int:
    """Return what the form by rows takes: two arrays of (n K)², three of n K × P."""
    return 8 * (2 * (n_rows * n_outputs) ** 2 + 3 * n_rows * n_outputs * n_params)


def usable_bytes() -> int:
    """Return half of the physical memory of this machine; 4 GiB if it is unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):  # Windows
        return 2**32


def is_smaller_by_rows(
    n_rows: int, n_outputs: int, n_params: int, has_row_form: bool, usable: int
) -> bool:
    """Return whether the covariance takes less memory by rows.

    `has_row_form` is whether it can be had by rows: if every parameter has a prior.
    Raises MemoryError if the smaller form takes more than the usable bytes.
    """
    whole, by_rows = parameter_bytes(n_params), row_bytes(n_rows, n_outputs, n_params)
    is_smaller = has_row_form and by_rows < whole
    needed = by_rows if is_smaller else whole
    if needed > usable:
        rows = f"; by the {n_rows} rows it would be {by_rows} bytes" * has_row_form
        raise MemoryError(
            f"Posterior of {n_params} parameters needs {needed} bytes, more than half "
            f"of the memory of this machine, {usable} bytes: the covariance of all "
            f"parameters is {whole} bytes{rows}. Use fewer columns or hidden units"
            f"{', or fewer rows' * has_row_form}."
        )
    return is_smaller
