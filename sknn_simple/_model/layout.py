"""Named views of one flat parameter vector.

An optimiser works on one vector θ, a network on matrices. ``Layout`` maps between the
two without copying: writing a gradient into the views fills the vector.
"""

from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import ArrayLike


class Layout:
    """The order, names and shapes of the arrays inside a flat vector.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shape of each named array, in the order in which they are stored.
    stacked : mapping of str to (str, str), optional
        Names for weights (p, k) and the biases (k,) after them as one array (p + 1, k).

    Attributes
    ----------
    size : int
        Length of the flat vector.
    slices : dict of str to slice
        The place of each array, stored in C order, in the flat vector.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_simple._model.layout import Layout
    >>> layout = Layout({"coef": (2, 1), "intercept": (1,)})
    >>> layout.views(np.array([1.0, 2.0, 3.0]))["coef"]
    array([[1.],
           [2.]])
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        stacked: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.shapes = dict(shapes)
        self.slices: dict[str, slice] = {}
        end = 0
        for name, shape in self.shapes.items():
            start, end = end, end + prod(shape)
            self.slices[name] = slice(start, end)
        self.size = end
        self._views = [(name, self.slices[name], self.shapes[name]) for name in shapes]
        for name, (weights, biases) in (stacked or {}).items():
            rows, columns = self.shapes[weights]
            both = slice(self.slices[weights].start, self.slices[biases].stop)
            self._views.append((name, both, (rows + 1, columns)))

    def views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Return all arrays as views of `flat`, a contiguous (size,) array."""
        return {name: flat[place].reshape(shape) for name, place, shape in self._views}

    def pack(self, arrays: Mapping[str, ArrayLike]) -> np.ndarray:
        """Return a new flat float64 vector with copies of `arrays`, broadcast."""
        flat = np.empty(self.size)
        views = self.views(flat)
        for name in self.shapes:
            views[name][...] = arrays[name]
        return flat
