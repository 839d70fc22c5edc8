"""A `Table` as a figure of matplotlib: bars or lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.checks import is_one_of
from zeroskip.errors import ZeroskipError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from zeroskip.table import Table

LINE_STYLES = ("-", "--", ":", "-.")


def draw(table: Table, x: str | None, y: str | None, by: str | None, ax: Axes | None) -> Axes:
    """What `Table.plot` draws, which says of what."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ZeroskipError("plot() needs matplotlib: pip install zeroskip[plot]") from None
    x = x if x is not None else table.names[0]
    y = y if y is not None else _first_number(table, x)
    if ax is None:
        ax = plt.subplots(layout="constrained")[1]
    ys = table[y]
    if not table.numeric[table.place(x)]:
        ax.bar([str(value) for value in table[x]], ys)
    else:
        by = by if by is not None else _grouping(table, x, y)
        groups = table[by] if by is not None else np.zeros(len(table))
        for k, group in enumerate(dict.fromkeys(groups)):
            chosen = [i for i in np.argsort(table[x], kind="stable") if groups[i] == group]
            label = str(group) if by is not None else None
            # Ten colours, then the same ten dashed: no two lines look alike.
            style = LINE_STYLES[k // 10 % len(LINE_STYLES)]
            ax.plot(table[x][chosen], ys[chosen], style, marker=".", label=label)
        if by is not None:
            ax.legend(title=by, loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
        if _wide(table[x]):
            ax.set_xscale("log")
    if _wide(ys):
        ax.set_yscale("log")
    ax.set_xlabel(table.columns[table.place(x)].heading)
    ax.set_ylabel(table.columns[table.place(y)].heading)
    ax.set_title(table.title)
    return ax


def _first_number(table: Table, x: str) -> str:
    for name, number in zip(table.names, table.numeric, strict=True):
        if number and not is_one_of(x, (name,)):
            return name
    raise ZeroskipError(f"no column of numbers to draw; the table has {', '.join(table.names)}")


def _grouping(table: Table, x: str, y: str) -> str | None:
    for name in table.names:
        cells = [str(cell) for cell in table[name]]
        text = all(isinstance(cell, str) for cell in table[name])
        if name not in (x, y) and text and 1 < len(set(cells)) < len(cells):
            return name
    return None


def _wide(values: NDArray[Any]) -> bool:
    return bool(len(values)) and min(values) > 0 and max(values) > 50 * min(values)
