"""What a tensor of a `Density` costs in a format: the mean over every way to place its non-zeros.

    entries of a level    P * (1 - probability that nothing lies behind a place of it)

for a level with P places above and in it; each has the same chance.  z non-zeros among N places
leave t given ones empty with probability C(N - t, z) / C(N, z) (hypergeometric).  Of G:H, each
group of H neighbours leaves u of its places empty with C(H - u, G) / C(H, G), and groups do not
depend on each other.  Run-length bridges are those of `zeroskip.hwmodel.bridges`.

Means of sums are exact.  Entries are rounded to whole ones, and the width of a pointer is that of
the mean: approximate where entries of a level are not the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Literal, get_args

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.bits import Storage, layout, value_width
from zeroskip.formats.density import Density
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import storage_extents
from zeroskip.formats.levels import RunLength, Structured, Uncompressed
from zeroskip.hwmodel.bridges import bridges_of

Rounding = Literal["mean", "sparseloop"]


def expected_storage(
    density: Density, format: str | Format, value_bits: int, *, rounding: Rounding = "mean"
) -> Storage:
    """Expected bits of a density in a format, `Tensor.storage` of the mean.

    Parameters
    ----------
    density : Density
    format : a bound format, or what `zeroskip.Format` takes
    value_bits : width of a value
    rounding : ``"mean"``: the mean of all entries of a level, to the next whole one;
        ``"sparseloop"``: values rounded up, and of every level the mean entries of a fiber rounded
        up, times its fibers, as Sparseloop sizes a tile.  That is no less than the mean.

    Raises
    ------
    FormatError
        For a width that is not 1 .. 64.
    TensorError
        For blocks, groups G:H, and run lengths below a compressed level, of hierarchical groups
        that leave longer gaps than a run along an axis that is not the last of the fiber, and of a
        profile along some axes of the fiber and others.
    """
    if rounding not in get_args(Rounding):
        expected = ", ".join(map(repr, get_args(Rounding)))
        raise TensorError(f"rounding: expected one of {expected}; found {rounding!r}")
    if not isinstance(density, Density):
        raise TensorError(f"expected a Density, found {density!r}\nA tensor has .storage(bits).")
    value_bits = value_width(np.dtype(np.float64), value_bits)
    named = Format(format) if isinstance(format, str) else format
    bound = named if named.bound else named.bind(density.ndim)
    entries = expected_entries(density, bound)
    if rounding == "sparseloop":
        if entries and not isinstance(bound.levels[-1], Uncompressed):
            entries[-1] += density.density * density.size - density.model.share * density.size
            stored = ceil(steady(entries[-1]))
            whole = _fibers_up(entries)
        else:
            whole = _fibers_up(entries)
            stored = whole[-1] if whole else 1
    else:
        whole = [round(number) for number in entries]
        stored = whole[-1] if whole else 1
    return Storage(
        bound,
        value_bits,
        stored,
        layout(density.shape, bound, whole),
        density.size * value_bits,
    )


def _fibers_up(entries: Sequence[float]) -> list[int]:
    """Entries of each level where every fiber has the next whole number of the mean."""
    found, fibers, mean = [], 1, 1.0
    for number in entries:
        fibers *= ceil(steady(number / mean)) if mean else 0
        mean = number
        found.append(fibers)
    return found


def steady(number: float) -> float:
    """Without the last bits, so that a whole number of a long sum is not rounded up."""
    return float(f"{number:.12g}")


def expected_entries(density: Density, bound: Format) -> list[float]:
    """Expected entries of each level, outermost first.

    Examples
    --------
    One of four places: one row holds it.

    >>> expected_entries(Density((2, 2), 0.25), Format("C U").bind(2))
    [1.0, 2.0]
    """
    if bound.split or any(isinstance(level, Structured) for level in bound.levels):
        raise _refused(density, bound, "split axes and groups G:H have")
    found: list[float] = []
    above = 1.0  # fibers of the level at hand
    taken: list[int] = []
    for number, (extent, rank) in enumerate(
        zip(storage_extents(density.shape, bound), bound.ranks, strict=True)
    ):
        taken += bound.order[number]
        match rank.level:
            case Uncompressed():
                above *= extent
            case RunLength(run_bits):
                full = all(isinstance(level, Uncompressed) for level in bound.levels[:number])
                own = bound.order[number]
                if not full or number + 1 < len(bound.ranks):
                    raise _refused(density, bound, "run lengths there have")
                bridges = bridges_of(density, own, extent, run_bits)
                if bridges is None:
                    raise _refused(density, bound, "run lengths there have")
                above = density.model.share * density.size + above * bridges
            case _ if not bound.unique(number) or len(taken) == density.ndim:
                above = density.model.share * density.size  # a coordinate for every entry
            case _:
                above = density.model.occupied(taken)
        found.append(above)
    return found


def _refused(density: Density, bound: Format, what: str) -> TensorError:
    return TensorError(
        f"{density!r} in format {bound.label}: {what} no closed expectation here\n"
        "Draw an array from it: density.sample(rng)."
    )
