"""`Table`: rows with named columns, for a terminal, a notebook, pandas or a plot.

This module is a leaf: of zeroskip it imports the errors, and where one is drawn `zeroskip.drawing`.
"""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from zeroskip.checks import brief, is_one_of, path_of
from zeroskip.errors import IndexingError, ZeroskipError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pandas import DataFrame
    from rich.table import Table as RichTable
    from xarray import Dataset


@dataclass(frozen=True, slots=True)
class Column:
    """Name, unit and number format of one column.

    unit : shown in the heading, ``"bits"``.
    format : Python's format specification for its numbers, ``".1%"``; by default integers
        with thousands separators and floats with four digits.  ``"si:s"`` shows numbers of
        that unit with a prefix: 0.000427 as ``427 µs``.  ``"by size"`` shows floats as
        ``24,920,123``, ``12.35`` or ``0.00427``: no exponent where digits do.
    axis : whether its values, with those of other such columns, say which point a row is.
    """

    name: str
    unit: str = ""
    format: str = ""
    axis: bool = False

    @property
    def heading(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    def show(self, value: Any) -> str:
        """A cell as text; None is an empty cell."""
        if value is None:
            return ""
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        if self.format.startswith("si:") and isinstance(value, int | float | np.number):
            return with_prefix(float(value), self.format.removeprefix("si:"))
        if self.format == "by size" and isinstance(value, int | float | np.number):
            return by_size(value)
        if isinstance(value, int | np.integer):
            return format(int(value), self.format or ",")
        if isinstance(value, float | np.floating):
            return format(float(value), self.format or ".4g")
        return str(value)


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Table:
    """Rows of cells under named columns; immutable.

    Parameters
    ----------
    title : str
    columns : sequence of Column or str
    rows : sequence of sequences
        One cell a column; None where there is nothing to say.
    notes : sequence of str
        Lines under the table.

    Examples
    --------
    >>> t = Table("bits", ["format", Column("total", "bits")], [("dense", 2048), ("CSR", 96)])
    >>> print(t)
    bits
    format  total [bits]
    ------  ------------
    dense          2,048
    CSR               96
    >>> t["total"].min(), t[1]
    (np.int64(96), {'format': 'CSR', 'total': 96})
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...]

    def __init__(
        self,
        title: str,
        columns: Sequence[Column | str],
        rows: Sequence[Sequence[Any]],
        notes: Sequence[str] = (),
    ) -> None:
        made = tuple(c if isinstance(c, Column) else Column(c) for c in columns)
        names = [column.name for column in made]
        if len(set(names)) != len(names):
            raise ZeroskipError(f"columns of a table have different names, found {names}")
        for i, row in enumerate(rows):
            if len(row) != len(made):
                raise ZeroskipError(
                    f"row {i} has {len(row)} cells; expected {len(made)}: {', '.join(names)}"
                )
        object.__setattr__(self, "title", title)
        object.__setattr__(self, "columns", made)
        object.__setattr__(self, "rows", tuple(tuple(row) for row in rows))
        object.__setattr__(self, "notes", tuple(notes))

    # ---- reading ------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Each row as a dict."""
        return (dict(zip(self.names, row, strict=True)) for row in self.rows)

    @overload
    def __getitem__(self, key: str) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...
    def __getitem__(self, key: str | int) -> NDArray[Any] | dict[str, Any]:
        """A column by name, as an array; or a row by number, as a dict."""
        if isinstance(key, str):
            cells = [row[self.place(key)] for row in self.rows]
            numeric = cells and all(isinstance(c, int | float | np.number) for c in cells)
            return np.array(cells) if numeric else np.array(cells, dtype=object)
        if not hasattr(key, "__index__") or getattr(key, "shape", ()) != ():
            raise ZeroskipError(
                f"expected the name of a column or the number of a row, found {brief(key)}\n"
                f"The table has {', '.join(self.names)}."
            )
        row = index(key)
        if not -len(self.rows) <= row < len(self.rows):
            raise IndexingError(f"no row {row}; the table has {len(self.rows)}")
        return dict(zip(self.names, self.rows[row], strict=True))

    def place(self, name: str) -> int:
        """The number of a column."""
        if not is_one_of(name, self.names):
            raise ZeroskipError(f"no column {name!r}; the table has {', '.join(self.names)}")
        return self.names.index(name)

    # ---- as text ------------------------------------------------------------------------

    def __str__(self) -> str:
        """Plain text in columns, without colour codes."""
        cells = [[c.show(v) for c, v in zip(self.columns, row, strict=True)] for row in self.rows]
        heads = [column.heading for column in self.columns]
        widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
        right = self.numeric

        def line(row: Sequence[str]) -> str:
            parts = (
                text.rjust(width) if number else text.ljust(width)
                for text, width, number in zip(row, widths, right, strict=True)
            )
            return "  ".join(parts).rstrip()

        lines = [self.title] if self.title else []
        lines += [line(heads), line(["-" * width for width in widths]), *map(line, cells)]
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__

    @property
    def numeric(self) -> list[bool]:
        """Whether a column holds numbers, so that it is aligned to the right."""
        return [
            any(isinstance(v, int | float | np.number) for v in column)
            and not any(isinstance(v, str) for v in column)
            for column in (list(zip(*self.rows, strict=True)) or [()] * len(self.columns))
        ]

    def show(self) -> None:
        """Print it, with rich: in colour where standard output is a terminal."""
        from rich.console import Console

        Console().print(self.__rich__())

    def __rich__(self) -> RichTable:
        """What ``rich.print`` shows."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        caption = Text("\n".join(self.notes)) if self.notes else None
        table = RichTable(
            title=Text(self.title),
            caption=caption,
            box=box.SIMPLE_HEAD,
            title_justify="left",
            caption_justify="left",
        )
        for column, number in zip(self.columns, self.numeric, strict=True):
            table.add_column(
                Text(column.heading), justify="right" if number else "left", overflow="fold"
            )
        for row in self.rows:
            table.add_row(*(Text(c.show(v)) for c, v in zip(self.columns, row, strict=True)))
        return table

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        head = "".join(f"<th>{html.escape(c.heading)}</th>" for c in self.columns)
        align = [' style="text-align:right"' if n else "" for n in self.numeric]
        body = "".join(
            "<tr>"
            + "".join(
                f"<td{a}>{html.escape(c.show(v))}</td>"
                for c, v, a in zip(self.columns, row, align, strict=True)
            )
            + "</tr>"
            for row in self.rows
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return (
            f"<table><caption>{html.escape(self.title)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"
        )

    # ---- other forms --------------------------------------------------------------------

    def to_pandas(self) -> DataFrame:
        """A DataFrame with the columns' names; needs pandas."""
        try:
            import pandas as pd
        except ImportError:
            raise ZeroskipError("to_pandas() needs pandas: pip install zeroskip[plot]") from None
        return pd.DataFrame([list(row) for row in self.rows], columns=list(self.names))

    def to_xarray(self, *axes: str) -> Dataset:
        """An xarray Dataset: a dimension for each axis, a variable for every other column.

        axes : columns whose values together tell the rows apart; by default those that were made
            as such, as `zeroskip.sweep` does, and else one dimension ``row``.  A combination that
            no row has is NaN.

        Raises
        ------
        ZeroskipError
            Where two rows have the same values in all of them; and without xarray.
        """
        try:
            import xarray
        except ImportError:
            raise ZeroskipError("to_xarray() needs xarray: pip install zeroskip[sweep]") from None
        chosen = axes or tuple(column.name for column in self.columns if column.axis)
        values = {name: list(dict.fromkeys(self[name].tolist())) for name in chosen}
        seen: dict[tuple[Any, ...], int] = {}
        for number, row in enumerate(self):
            place = tuple(values[name].index(row[name]) for name in chosen) or (number,)
            if place in seen:
                point = ", ".join(f"{name} {row[name]}" for name in chosen)
                raise ZeroskipError(
                    f"to_xarray: rows {seen[place]} and {number} are both of {point}\n"
                    "Name the columns that tell rows apart: to_xarray('arch', 'F_density')."
                )
            seen[place] = number
        dims = chosen or ("row",)
        shape = tuple(map(len, values.values())) or (len(self),)
        coords: dict[str, Any] = {name: (name, cells) for name, cells in values.items()}
        found = {
            column.name: (dims, _spread(self[column.name], list(seen), shape), _units(column))
            for column in self.columns
            if column.name not in chosen
        }
        attributes = {"title": self.title, "notes": "\n".join(self.notes)}
        return xarray.Dataset(found, coords, attributes)

    def to_csv(self, path: str | Path | None = None) -> str:
        """The table as comma-separated text, a header first; also written to ``path``."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.names)
        writer.writerows(self.rows)
        if path is not None:
            path_of("path", path).write_text(out.getvalue(), encoding="utf-8", newline="")
        return out.getvalue()

    def to_json(self, path: str | Path | None = None) -> str:
        """A JSON list of one object a row; also written to ``path``."""
        text = json.dumps(list(self), default=_plain, indent=1)
        if path is not None:
            path_of("path", path).write_text(text + "\n", encoding="utf-8")
        return text

    def plot(
        self,
        x: str | None = None,
        y: str | None = None,
        *,
        by: str | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw column ``y`` against column ``x``; needs matplotlib.

        Bars where x is text.  Lines where it is a number, one for each value of column ``by``
        (by default the first column of text whose values repeat), with a logarithmic axis
        where all values are positive and the largest is over 50 times the smallest.

        x, y : by default the first column, and the first other column of numbers.
        """
        from zeroskip.drawing import draw

        return draw(self, x, y, by, ax)


def by_size(value: float | np.number[Any]) -> str:
    """Digits as they read best.

    >>> [by_size(n) for n in (24_920_123, 24_920_123.4, 12.345, 0.98765, 0.00427, 0.0)]
    ['24,920,123', '24,920,123', '12.35', '0.99', '0.00427', '0']
    """
    size = abs(float(value))
    if isinstance(value, int | np.integer) or size == 0:
        return format(int(value), ",")
    if 1000 <= size < 1e15:
        return format(float(value), ",.0f")
    return format(float(value), ".2f" if 0.1 <= size < 1000 else ".3g")


def with_prefix(value: float, unit: str) -> str:
    """Three digits and an SI prefix.

    >>> with_prefix(0.00042761, "s"), with_prefix(3.2, "s"), with_prefix(999999.0, "B")
    ('428 µs', '3.2 s', '1 MB')
    """
    if not math.isfinite(value) or value == 0:
        return f"{value:g} {unit}"
    rounded = float(f"{value:.2e}")
    power = min(max(math.floor(math.log10(abs(rounded)) / 3 + 1e-9), -5), 4)
    return f"{rounded / 1000.0**power:.3g} {'fpnµm kMGT'[power + 5].strip()}{unit}"


def _units(column: Column) -> dict[str, str]:
    return {"units": column.unit} if column.unit else {}


def _spread(
    cells: NDArray[Any], places: Sequence[tuple[int, ...]], shape: tuple[int, ...]
) -> NDArray[Any]:
    """Cells at their places; NaN, of no numbers None, at the others."""
    whole = math.prod(shape) == len(places)
    numeric = cells.dtype.kind in "iuf"
    kind = cells.dtype if whole else np.dtype(np.float64 if numeric else object)
    found = np.full(shape, np.nan if kind.kind == "f" else None if kind.kind == "O" else 0, kind)
    for place, cell in zip(places, cells, strict=True):
        found[place] = cell
    return found


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's, for JSON."""
    return value.item() if isinstance(value, np.generic) else str(value)
