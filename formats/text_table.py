"""Entries as lines of text: coordinates from 1, then the value."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import IO, Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.level_data import Array, Indices

ROWS = 1 << 16
"""Lines that are written at a time."""


def write_entries(file: IO[bytes], coords: Sequence[Indices], values: Array) -> None:
    """A line an entry; numbers in the fewest digits that read back equal, as their own type."""
    for start in range(0, len(values), ROWS):
        part = slice(start, start + ROWS)
        held = values[part]
        if held.dtype.kind in "bV":  # bfloat16 is a float32 with fewer digits
            held = held.astype(np.int8 if held.dtype.kind == "b" else np.float32)
        numbers: list[Iterable[Any]] = [(crd[part] + 1).tolist() for crd in coords]
        short = held.dtype.kind == "f" and held.itemsize < 8  # as a float64, of more digits
        numbers.append(held if short else held.tolist())
        rows = map(" ".join, zip(*(map(str, column) for column in numbers), strict=True))
        file.write(("\n".join(rows) + "\n").encode())


def check_end(file: IO[bytes]) -> None:
    """Refuse a file whose last line has no end: digits may be missing.  The place is kept."""
    here = file.tell()
    file.seek(-1, os.SEEK_END)
    if file.read(1) != b"\n":
        raise TensorError("the last line has no end: the file is cut short")
    file.seek(here)


def read_entries(
    lines: Iterable[bytes], axes: int, dtype: np.dtype[Any] | None, comment: str
) -> tuple[list[Indices], Array]:
    """Coordinates from 0, an array an axis, and values (ones where ``dtype`` is None).

    Raises `TensorError` with the row and column of what is no number.
    """
    columns: list[tuple[str, Any]] = [(f"c{axis}", np.int64) for axis in range(axes)]
    if dtype is not None:
        kinds = {"b": np.dtype(np.int8), "V": np.dtype(np.float32)}
        columns.append(("value", kinds.get(dtype.kind, dtype)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "input contained no data"
        try:
            table = np.loadtxt(lines, np.dtype(columns), comments=comment, ndmin=1)
        except (ValueError, OverflowError, TypeError) as error:
            raise TensorError(f"an entry cannot be read: {error}") from error
    coords = [_from_one(np.ascontiguousarray(table[f"c{axis}"]), axis) for axis in range(axes)]
    if dtype is None:
        return coords, np.ones(len(table))
    return coords, np.ascontiguousarray(table["value"]).astype(dtype)


def _from_one(crd: Indices, axis: int) -> Indices:
    bad = np.flatnonzero(crd < 1)
    if len(bad):
        raise TensorError(
            f"coordinate {crd[bad[0]]} of axis {axis} in entry {bad[0]}; coordinates start at 1"
        )
    return crd - 1
