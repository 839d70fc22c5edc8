"""Places of the tiles that lines ask of, against places that are walked."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import EinsumError
from zeroskip.hwmodel.expected_lines import Compiler
from zeroskip.hwmodel.plan import Mask

GROUPS = zs.Density((4, 8), structure="1:4")


def compiled(text: str, pads: tuple[int, int], density: zs.Density = GROUPS) -> Compiler:
    """Lines over X of 4 rows of 8 places, some padding before and after each row."""
    mask = Mask("nz", "X", (4, 8 + sum(pads)), ((0, 0), pads))
    sizes = (("c", 4), ("h", 8 + sum(pads)), ("p", 6 + sum(pads)), ("r", 3))
    made = Compiler(text, sizes, (("nzX", mask),), (("X", density),), {})
    made.geometry()
    return made


def places(known: Compiler, name: str) -> dict[tuple[int, ...], set[tuple[int, ...]]]:
    """The places of each tile that has any."""
    found: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    regions = known.regions[name]
    for cell, place in zip(regions.cell, regions.place, strict=True):
        tile = tuple(int(i) for i in np.unravel_index(cell, regions.shape))
        at = tuple(int(i) for i in np.unravel_index(place, (4, 8)))
        assert at not in found.setdefault(tile, set()), "a place comes once"
        found[tile].add(at)
    return found


@pytest.mark.parametrize("pads", [(0, 0), (1, 1), (2, 0)])
def test_tiles_have_their_places(pads: tuple[int, int]) -> None:
    text = "some[c//2,h//3] |= nzX[c,h]\nrows[c1] |= some[c1,h1]\nwhole |= some[c1,h1]"
    known = compiled(text, pads)
    tiles: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for c, h in product(range(4), range(8)):
        tiles.setdefault((c // 2, (h + pads[0]) // 3), set()).add((c, h))
    assert places(known, "some") == tiles
    assert places(known, "rows") == {
        (row,): {(c, h) for c, h in product(range(4), range(8)) if c // 2 == row} for row in (0, 1)
    }
    assert places(known, "whole") == {(): set(product(range(4), range(8)))}


@pytest.mark.parametrize("pads", [(0, 0), (1, 1)])
def test_windows_have_each_place_once(pads: tuple[int, int]) -> None:
    known = compiled("some[c,p//2] |= nzX[c,p+r]", pads)
    windows: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for c, p, r in product(range(4), range(6 + sum(pads)), range(3)):
        if 0 <= p + r - pads[0] < 8:
            windows.setdefault((c, p // 2), set()).add((c, p + r - pads[0]))
    assert places(known, "some") == windows


@pytest.mark.parametrize("density", [GROUPS, zs.Density((4, 8), 0.3)], ids=repr)
def test_tiles_that_overlap_are_refused_by_their_line(density: zs.Density) -> None:
    said = (
        r"a tile of tiles that may overlap has no expectation here:\n  rows\[c\] \|= some\[c,p1\]"
    )
    with pytest.raises(EinsumError, match=said):
        compiled("some[c,p//2] |= nzX[c,p+r]\nrows[c] |= some[c,p1]", (0, 0), density)
