"""Named views of one flat parameter vector.

An optimiser uses one vector θ, a network uses matrices. ``Layout`` maps between the two
without copying: writing a gradient into the views fills the vector.
"""

from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import ArrayLike


class Layout:
    """The order, names and shapes of the arrays inside a flat vector.

    `slices` has the place of each array, stored in C order, and `size` is the length of
    the vector.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)
        self.slices: dict[str, slice] = {}
        end = 0
        for name, shape in self.shapes.items():
            start, end = end, end + prod(shape)
            self.slices[name] = slice(start, end)
        self.size = end

    def views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Return all arrays as views of `flat`, a contiguous (size,) array."""
        return {
            name: flat[self.slices[name]].reshape(shape)
            for name, shape in self.shapes.items()
        }

    def pack(self, arrays: Mapping[str, ArrayLike]) -> np.ndarray:
        """Return a new flat float64 vector with copies of `arrays`, broadcast."""
        flat = np.empty(self.size)
        for name, view in self.views(flat).items():
            view[...] = arrays[name]
        return flat
