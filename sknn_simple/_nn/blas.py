"""Which OpenBLAS is loaded, looked up once per process: that takes milliseconds."""

from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

# What OpenBLAS calls its kernels for processors with AVX-512; in capitals where it has
# been built for one processor only.
_WIDE_KERNELS = {"skylakex", "cooperlake", "sapphirerapids"}


@cache
def openblas_libraries() -> tuple[Any, ...]:
    """Return threadpoolctl's handles of the loaded OpenBLAS."""
    return tuple(
        library
        for library in ThreadpoolController().lib_controllers
        if library.internal_api == "openblas"
    )


@cache
def has_wide_kernels() -> bool:
    """Return whether OpenBLAS multiplies by its kernels for AVX-512."""
    names = [library.architecture or "" for library in openblas_libraries()]
    return any(name.lower() in _WIDE_KERNELS for name in names)
