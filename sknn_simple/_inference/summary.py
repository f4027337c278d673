"""The table of coefficients, as text, as HTML and as a frame."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from numbers import Real
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from sknn_simple._version import how_to_install


def import_pandas(what: str) -> Any:
    """Return pandas, or raise an error that says how to install it."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            f"{what} returns a pandas DataFrame, and pandas cannot be imported. "
            f"Install it with: {how_to_install('pandas')}"
        ) from error
    return pd


def interval_width(confidence_level: Any) -> float:
    """Return the number of standard errors on either side of an interval.

    Raises ValueError if the level is not between 0 and 1.
    """
    if not (isinstance(confidence_level, Real) and 0.0 < float(confidence_level) < 1.0):
        raise ValueError(
            "confidence_level must be a number between 0 and 1; got "
            f"{confidence_level!r}."
        )
    return float(ndtri(0.5 + float(confidence_level) / 2.0))


def interval_table(
    value: np.ndarray, std_error: np.ndarray, width: float
) -> dict[str, np.ndarray]:
    """Return standard error, z, two-sided p-value and limits of each value.

    `width` is that of ``interval_width``.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        z = value / std_error
    return {
        "std_error": std_error,
        "z": z,
        "p_value": 2.0 * ndtr(-np.abs(z)),
        "lower": value - width * std_error,
        "upper": value + width * std_error,
    }


@dataclass(eq=False, repr=False)
class Summary:
    """The result of ``Posterior.summary``: a head, the coefficients, and notes.

    It prints as a table, in notebooks as HTML. ``to_frame`` returns the coefficients.

    Attributes
    ----------
    head : dict of str to str or float
        What describes the fit: rows, deviance, AIC and so on.
    names : list of str
        The column of each coefficient, or "intercept".
    labels : list or None
        The class of each coefficient, against the reference; of a multilabel target the
        label. None for two classes.
    table : dict of ndarrays of shape (n_coefficients,)
        "coef", "std_error", "z", "p_value", "lower", "upper" and "odds_ratio", which is
        exp(coef). NaN if there is no interval; the notes say why.
    notes : list of str
        What must be known to read the table.
    """

    head: dict[str, Any]
    names: list[str]
    labels: list[Any] | None
    table: dict[str, np.ndarray]
    notes: list[str]
    _title: str
    _label_name: str
    _level: float

    def to_frame(self) -> Any:
        """Return the coefficients as a pandas DataFrame.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_coefficients, 8 or 9)
            The column "name", the column "class" (or "label") if there are several, and
            the columns of ``table``.
        """
        pd = import_pandas("Summary.to_frame")
        columns = {"name": self.names}
        if self.labels is not None:
            columns[self._label_name] = self.labels
        return pd.DataFrame({**columns, **self.table})

    def __repr__(self) -> str:
        """Return the table as text."""
        header, groups = self._cells()
        rows = [row for _, part in groups for row in part]
        widths = [max(map(len, cells)) for cells in zip(header, *rows, strict=True)]

        def line(cells: Sequence[str]) -> str:
            first = cells[0].ljust(widths[0])
            padded = [c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True)]
            return "  ".join([first, *padded])

        width = max(len(line(header)), 66)
        found = [
            _one_line(self._title),
            "=" * width,
            *self._head_lines(width),
            "=" * width,
        ]
        for label, part in groups:
            if label is not None:
                found += [_one_line(f"{self._label_name} {label}")]
            found += [line(header), "-" * width, *map(line, part)]
            found += ["-" * width] * (label is not None)
        if groups[-1][0] is None:
            found.append("=" * width)
        for note in self.notes:
            found += textwrap.wrap(note, width)
        return "\n".join(found)

    def _head_lines(self, width: int) -> list[str]:
        """Return the head in two columns."""
        items = [(name, _number(value)) for name, value in self.head.items()]
        half = (len(items) + 1) // 2
        left, column = items[:half], (width - 4) // 2
        right = items[half:] + [("", "")] * (2 * half - len(items))
        return [
            f"{a}{b.rjust(column - len(a))}    {c}{d.rjust(column - len(c))}".rstrip()
            for (a, b), (c, d) in zip(left, right, strict=True)
        ]

    def _cells(self) -> tuple[list[str], list[tuple[Any, list[list[str]]]]]:
        """Return the header, and per class or label the rows, as text."""
        tail = f"{100 * self._level:g}%"
        header = ["", "coef", "std error", "z", "p value", f"lower {tail}"]
        header += [f"upper {tail}", "odds ratio"]
        rows = [
            [
                _one_line(name),
                *(_cell(c, values[i]) for c, values in self.table.items()),
            ]
            for i, name in enumerate(self.names)
        ]
        if self.labels is None:
            return header, [(None, rows)]
        groups: dict[Any, list[list[str]]] = {}
        for label, row in zip(self.labels, rows, strict=True):
            groups.setdefault(label, []).append(row)
        return header, list(groups.items())

    def _repr_html_(self) -> str:
        """Return the table as HTML."""
        header, groups = self._cells()
        head = "".join(
            f"<tr>{_row_title(name)}<td>{escape(_number(value))}</td></tr>"
            for name, value in self.head.items()
        )
        body = ""
        for label, rows in groups:
            if label is not None:
                text = escape(f"{self._label_name} {label}")
                body += f"<tr><th colspan='8' style='text-align:left'>{text}</th></tr>"
            for name, *cells in rows:
                data = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
                body += f"<tr>{_row_title(name)}{data}</tr>"
        titles = "".join(f"<th>{title}</th>" for title in header)
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return (
            f"<div><table><caption>{escape(self._title)}</caption>{head}</table>"
            f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
            f"{notes}</div>"
        )


def _one_line(text: str) -> str:
    """Return the text with single spaces: a line break would break the table."""
    return " ".join(text.split())


def _row_title(name: str) -> str:
    return f"<th style='text-align:left'>{escape(name)}</th>"


def _number(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _cell(column: str, value: float) -> str:
    if np.isnan(value):
        return "-"
    if column == "p_value":
        return f"{value:.3f}" if value >= 0.001 else "<0.001"
    return f"{value:.2f}" if column == "z" else f"{value:.4g}"
