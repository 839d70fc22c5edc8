"""``"auto"``: the cheapest in hardware bits of dense, bitmask, CSR and COO, by what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.bits import layout, value_width
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import storage_extents

AUTO = ("dense", "bitmask", "CSR", "COO")
"""The formats that ``"auto"`` chooses among."""


def is_auto(format: object) -> bool:
    """Whether a format is left to be chosen."""
    return isinstance(format, str) and format.strip().lower() == "auto"


def smallest_format(shape: Sequence[int], stored: int, dtype: np.dtype[Any]) -> Format:
    """The cheapest of `AUTO` for ``stored`` entries, by ``total_bits``; ties to the first.

    One whose flattened ranks pass 64-bit positions is left out.
    """
    return _smallest(tuple(shape), stored, dtype)


@lru_cache(maxsize=1024)
def _smallest(shape: tuple[int, ...], stored: int, dtype: np.dtype[Any]) -> Format:
    best, least = Format("COO").bind(len(shape)), None
    for name in AUTO:
        bound = Format(name).bind(len(shape))
        try:
            extents = storage_extents(shape, bound)
        except TensorError:
            continue
        entries = [1]
        for rank, extent in zip(bound.ranks, extents, strict=True):
            entries.append(entries[-1] * extent if rank.level.full else stored)
        metadata = sum(level.metadata_bits for level in layout(shape, bound, entries[1:]))
        total = metadata + entries[-1] * value_width(dtype)
        if least is None or total < least:
            best, least = bound, total
    return best


def turning_points(shape: Sequence[int], dtype: np.dtype[Any]) -> tuple[tuple[Format, int], ...]:
    """The formats that `smallest_format` takes, each with the most entries for which it does.

    Between two powers of 2, where the widths of pointers stay, each cost is linear in the
    entries: a format that is the cheapest at both ends of a stretch is so all along it.

    >>> [(f.label, most) for f, most in turning_points((100, 100), np.dtype("float32"))]
    [('CSR', 0), ('COO', 100), ('CSR', 1269), ('bitmask', 9687), ('dense', 10000)]
    """
    found: list[tuple[Format, int]] = []

    def note(low: int, high: int) -> None:
        first, last = (smallest_format(shape, n, dtype) for n in (low, high))
        if first == last:
            if found and found[-1][0] == last:
                found.pop()
            found.append((last, high))
        elif low < high:
            note(low, (low + high) // 2)
            note((low + high) // 2 + 1, high)

    size, low = prod(shape), 0
    while low <= size:
        high = min(max(2 * low - 1, 0), size)
        note(low, high)
        low = high + 1
    return tuple(found)
