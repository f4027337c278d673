"""The parts of a drawn network: positions of units, lines and texts."""

from typing import Any, NamedTuple

import numpy as np

from sknn_simple._displays.common import MAX_NAME, shorten


class Column(NamedTuple):
    """The positions of a layer's units: at ``x``, in rows from top to bottom.

    If some units are not drawn, the last row shows their number.
    """

    x: float
    rows: np.ndarray
    n_more: int

    @property
    def y(self) -> np.ndarray:
        """The heights of the units that are drawn."""
        return self.rows[:-1] if self.n_more else self.rows


def place_columns(units: list[np.ndarray], totals: list[int]) -> list[Column]:
    """Return the column of each layer, centred; short columns have wider spacing."""
    left_out = [n - len(drawn) for drawn, n in zip(units, totals, strict=True)]
    n_rows = [len(drawn) + (n > 0) for drawn, n in zip(units, left_out, strict=True)]
    columns = []
    for i, n in enumerate(n_rows):
        spacing = min(1.8, (max(n_rows) - 1) / (n - 1)) if n > 1 else 0.0
        rows = ((n - 1) / 2 - np.arange(n)) * spacing
        columns.append(Column(float(i), rows, left_out[i]))
    return columns


class NetworkDrawing:
    """Draws a network on axes; one unit of height is the distance between two rows.

    `columns` has the positions of the units, layer by layer; `colours` (2, 4) those of
    negative and positive weights; `max_width` is the widest line of a layer in points.
    """

    def __init__(
        self, ax: Any, columns: list[Column], colours: np.ndarray, max_width: float
    ) -> None:
        self.ax = ax
        self.columns = columns
        self.colours = colours
        self.max_width = max_width
        self.top = max(column.rows[0] for column in columns)
        self.bottom = min(column.rows[-1] for column in columns)
        self.largest: list[float] = []
        self.largest_skip: float | None = None
        self.has_biases = False

    def draw_lines(self, i: int, weights: np.ndarray) -> Any:
        from matplotlib.collections import LineCollection

        start, end = self.columns[i : i + 2]
        pairs, style = self._line_style(weights)
        ends = [[(start.x, start.y[j]), (end.x, end.y[k])] for j, k in pairs]
        self.largest.append(np.abs(weights).max())
        lines = LineCollection(ends, zorder=1, **style)
        return self.ax.add_collection(lines, autolim=False)

    def draw_skip_lines(self, weights: np.ndarray) -> Any:
        """Draw weights from the first layer to the last, around the layers between."""
        from matplotlib.collections import PathCollection

        pairs, style = self._line_style(weights)
        paths = [self._arc(j, k) for j, k in pairs]
        extents = [path.get_extents() for path in paths]
        self.top = max(self.top, *(box.y1 for box in extents))
        self.bottom = min(self.bottom, *(box.y0 for box in extents))
        self.largest_skip = np.abs(weights).max()
        arcs = PathCollection(
            paths, facecolors="none", linestyles="--", zorder=0.5, **style
        )
        return self.ax.add_collection(arcs, autolim=False)

    def draw_units(
        self, i: int, names: np.ndarray, biases: np.ndarray | None = None
    ) -> None:
        """Draw the units of layer i: names of hidden units inside, others at the side.

        Biases, if given, fill the units with the colour of their sign, the paler the
        smaller they are compared with the largest one of the layer.
        """
        column, last = self.columns[i], len(self.columns) - 1
        fill: Any = "white"
        if biases is not None:
            self.has_biases = True
            # At most 0.6 of the colour, so that names inside stay legible.
            strength = 0.6 * np.abs(biases) / (np.abs(biases).max() or 1.0)
            colours = self.colours[(biases > 0.0).astype(np.intp), :3]
            fill = 1.0 - strength[:, None] * (1.0 - colours)
        x = np.full(len(column.y), column.x)
        self.ax.scatter(x, column.y, s=230, facecolor=fill, edgecolor="0.2", zorder=2)
        side = {0: -1, last: 1}.get(i, 0)
        # Units are light in every style.
        style = {} if side else {"fontsize": "x-small", "color": "black"}
        for y, name in zip(column.y, names, strict=True):
            self._write(column.x, y, shorten(name), side, **style)
        if column.n_more:
            more = f"… {column.n_more} more"
            self._write(column.x, column.rows[-1], more, side)

    def finish(self, layer_names: list[str], per_deviation: bool) -> None:
        """Write the names of layers above, the largest weights and the legend below."""
        for column, name in zip(self.columns, layer_names, strict=True):
            self._write(column.x, self.top + 0.8, name)
        for i, largest in enumerate(self.largest):
            unit = " per std. dev." if i == 0 and per_deviation else ""
            note = f"widest: {largest:.2g}{unit}"
            self._write(i + 0.5, self.bottom - 0.7, note, fontsize="small", alpha=0.7)
        self._draw_legend()
        self.ax.set_xlim(-0.1, len(self.columns) - 0.9)
        self.ax.set_ylim(self.bottom - 1.0, self.top + 1.1)
        self.ax.set_axis_off()

    def fit_into_axes(self) -> None:
        """Widen the limits so that names and legend are inside the axes.

        The axes of a new figure shrink, and texts are beside them. Axes of the caller
        may have neighbours, and their figure need not have room around them.
        """
        box = self.ax.get_window_extent()
        last = len(self.columns) - 1
        self._shrink_texts(box.width / self.ax.figure.dpi / (2.6 * last + 4.1))
        self._shorten_names()
        left, right = self._widths()
        per_pixel = last / max(box.width - left - right, 0.1 * box.width)
        self.ax.set_xlim(-left * per_pixel, last + right * per_pixel)
        if self.legend.get_window_extent().width > box.width:
            self._draw_legend(is_narrow=True)
        self.legend.set_loc("lower center")
        # Second lines of centred texts need room above and below; the legend has a pad.
        bottom, top = self.ax.get_ylim()
        bottom, top = bottom - 0.6, top + 0.5
        height = self.legend.get_window_extent().height + 10.0
        room = (top - bottom) * height / max(box.height - height, height)
        self.ax.set_ylim(bottom - room, top)

    def _shrink_texts(self, size: float) -> None:
        """Shrink texts, to no less than 0.6 of their size, and break centred ones.

        `size` is the width of the axes, relative to that of a new figure.
        """
        for text in self.ax.texts:
            text.set_fontsize(text.get_fontsize() * np.clip(1.5 * size, 0.6, 1.0))
            if text.get_ha() == "center":
                broken = text.get_text().replace(" (", "\n(").replace(" per", "\nper")
                text.set_text(broken)

    def _shorten_names(self) -> None:
        """Cut names that leave less than a third of the axes for the lines."""
        box = self.ax.get_window_extent()
        for length in range(MAX_NAME, 4, -2):
            if sum(self._widths()) <= 2.0 / 3.0 * box.width:
                return
            for text in self.ax.texts:
                if text.get_ha() != "center":
                    text.set_text(shorten(text.get_text(), length))

    def _widths(self) -> tuple[float, float]:
        """Return how far texts reach beyond the first and the last layer, in pixels."""
        to_pixels = self.ax.transData
        first = to_pixels.transform((0.0, 0.0))[0]
        last = to_pixels.transform((len(self.columns) - 1.0, 0.0))[0]
        boxes = [text.get_window_extent() for text in self.ax.texts]
        left = max(first - box.x0 for box in boxes)
        return left, max(box.x1 - last for box in boxes)

    def _line_style(self, weights: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        """Return pairs of units and the style of their lines, the largest weights last.

        The last lines are drawn on top. Lines of small weights are also paler, because
        a hundred of them would otherwise merge into one dark area.
        """
        order = np.argsort(np.abs(weights), axis=None)
        weight = weights.ravel()[order]
        size = np.abs(weight) / (np.abs(weight).max() or 1.0)
        colours = self.colours[(weight > 0.0).astype(np.intp)]
        colours[:, 3] = 0.15 + 0.85 * size
        pairs = np.column_stack(np.unravel_index(order, weights.shape))
        return pairs, {"linewidths": self.max_width * size, "edgecolors": colours}

    def _arc(self, j: int, k: int) -> Any:
        """Return the path from unit j of the first layer to unit k of the last.

        It passes above the layers between them, or below for a pair in the lower half.
        The height of a cubic Bézier curve at its middle is y/8 + 3c/8 + 3c/8 + z/8 for
        ends y and z and two control points of height c.
        """
        from matplotlib.path import Path

        start, end = self.columns[0], self.columns[-1]
        y, z = start.y[j], end.y[k]
        rows = np.concatenate([column.rows for column in self.columns])
        rank = min(j, len(start.y) - 1 - j)
        apex = np.abs(rows).max() + 0.6 - 0.05 * rank
        control = (8.0 * (apex if y + z >= 0.0 else -apex) - y - z) / 6.0
        third = (end.x - start.x) / 3.0
        return Path(
            [
                (start.x, y),
                (start.x + third, control),
                (end.x - third, control),
                (end.x, z),
            ],
            [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
        )

    def _write(
        self, x: float, y: float, text: str, side: int = 0, **style: Any
    ) -> None:
        """Write text centred at (x, y), or left (-1) or right (1) of a unit there."""
        self.ax.annotate(
            text,
            (x, y),
            xytext=(12 * side, 0),
            textcoords="offset points",
            ha={-1: "right", 0: "center", 1: "left"}[side],
            va="center_baseline",
            zorder=3,
            **{"fontsize": "medium", **style},
        )

    def _draw_legend(self, is_narrow: bool = False) -> None:
        from matplotlib import rcParams
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], color=colour, linewidth=3, label=f"{sign} weight")
            for colour, sign in zip(
                self.colours[::-1], ("positive", "negative"), strict=True
            )
        ]
        if self.largest_skip is not None:
            gap = "\n" if is_narrow else " "
            label = f"skip connection,{gap}widest: {self.largest_skip:.2g}"
            style = {"color": rcParams["text.color"], "alpha": 0.7}
            handles.append(Line2D([], [], linestyle="--", label=label, **style))
        if self.has_biases:
            style = {"markerfacecolor": "0.8", "markeredgecolor": "0.2"}
            label = "fill of a unit: its bias"
            handles.append(
                Line2D([], [], marker="o", color="none", label=label, **style)
            )
        self.legend = self.ax.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, 0.0),
            ncols=1 if is_narrow else len(handles),
            frameon=False,
            fontsize="x-small" if is_narrow else "small",
        )
