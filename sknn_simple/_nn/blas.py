"""Which OpenBLAS is loaded, looked up once per process: that takes milliseconds."""

from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

# What OpenBLAS calls its kernels for processors with AVX-512.
_WIDE_KERNELS = {"SkylakeX", "Cooperlake", "SapphireRapids"}


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
    return any(lib.architecture in _WIDE_KERNELS for lib in openblas_libraries())
