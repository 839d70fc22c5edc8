"""What each tile has of a format, place by place: against the judge, and by hand."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from drawn_trees import trees
from hypothesis import assume, given
from hypothesis import strategies as st
from tree_judge import Place, tree_of

from zeroskip.einsum_spec.tree import Affine, Monomial, Var
from zeroskip.errors import TensorError
from zeroskip.formats.format import Format
from zeroskip.hwmodel import tile_trees
from zeroskip.hwmodel.fields import encoded_in, fills_gaps
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.tile_trees import Side, Tiles, counted

Shape = tuple[int, ...]


def tiles_of(bound: Format, shape: Shape, blocks: Shape) -> Tiles:
    """Tiles that cut each axis into blocks; 0: not at all."""
    sides, loops = [], []
    for axis, (n, block) in enumerate(zip(shape, blocks, strict=True)):
        if not block:
            sides.append(Side((axis,), (), (), ()))
            continue
        rank = "abc"[axis]
        loops.append(Loop(f"{rank}1", rank, block, -(-n // block)))
        place = Affine(((Monomial(1), Var(rank)),))
        sides.append(Side((axis,), (place,), (loops[-1],), ((rank, n),)))
    of_loops = tuple(loops), tuple(loop.count for loop in loops)
    return Tiles("A", "nz", shape, shape, ((0, 0),) * len(shape), bound, *of_loops, tuple(sides))


def differs(text: str, held: Any, blocks: Shape, pointer: int = 0) -> bool:
    """Whether any tile is not what the judge makes of it."""
    shape = held.shape
    bound = Format(text).bind(len(shape))
    tiles = tiles_of(bound, shape, blocks)
    found = counted(tiles, lambda: held)
    entry, _, fields = encoded_in(bound, shape, "nz", pointer or None)
    tree = tree_of(text, shape, pointer)
    places: dict[Place, set[Place]] = defaultdict(set)
    for place in np.ndindex(*shape):
        places[tuple(x // b for x, b in zip(place, blocks, strict=True) if b)].add(place)
    for key in np.ndindex(*tiles.counts):
        bits = holding = 0
        for field in fields:
            assert field.listed is not None
            number = int(found[field.listed[1:]][key])
            bits += field.bits * number
            holding += number * field.valued
        stored = {place for place in places[key] if held[place]}
        if (bits, holding) != tree.built(places[key], stored):
            return True
    return entry != tree.entry


@given(data=st.data())
def test_every_field_of_every_tile(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
    bits = st.lists(st.booleans(), min_size=prod(shape), max_size=prod(shape))
    held = np.array(data.draw(bits), np.bool_).reshape(shape)
    text = data.draw(trees(len(shape), filling=True))
    assume(fills_gaps(Format(text).bind(len(shape))))
    blocks = tuple(data.draw(st.integers(0, 3)) for _ in shape)
    pointer = data.draw(st.sampled_from([0, 7]))
    with suppress(TensorError):  # a group that holds too much
        assert not differs(text, held, blocks, pointer)


def wrong(before: str, after: str) -> dict[str, Any]:
    """The module with another line."""
    assert tile_trees.__file__ is not None
    with open(tile_trees.__file__, encoding="utf-8") as file:
        text = file.read()
    assert text.count(before) == 1, before
    made: dict[str, Any] = dict(vars(sys.modules[tile_trees.__name__]))
    exec(compile(text.replace(before, after), "changed", "exec"), made)
    return made


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1 << level.run_bits", "(1 << level.run_bits) - 1"),
        (", first - 1)", ", -1)"),
        ("// step\n", "// (step + 1)\n"),
        ("turn < level.most", "turn < level.most + 1"),
        ("coordinate // level.group", "coordinate // (level.group + 1)"),
        ("fibers + there", "fibers"),
        ("starts_of(rows[: depth + 1])", "starts_of(rows[:1])"),
        ("tile * size + at", "tile + at"),
    ],
)
def test_a_changed_line_is_found_out(
    monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    made = wrong(before, after)
    monkeypatch.setitem(globals(), "counted", made["counted"])
    rng = np.random.default_rng(0)
    texts = ["0:U 1:R(1)", "0:R(1) 1:C(3)", "0:C(2) 1:H(2:3)", "1:H(2:3) 0%2:U 0/2:U"]
    found = []
    for text, _ in product(texts, range(8)):
        held = rng.random((4, 7)) < 0.3
        held[:, 2::3] = False
        try:
            found.append(differs(text, held, (3, 4), 5))
        except (IndexError, ValueError, TensorError):
            found.append(True)
    assert any(found)


def by_hand(text: str, row: list[int], block: int = 0) -> Callable[[int, str], list[int]]:
    held = np.array(row, np.bool_)
    found = counted(tiles_of(Format(text).bind(1), held.shape, (block,)), lambda: held)
    return lambda level, what: np.atleast_1d(found[level, what]).tolist()


def test_runs_begin_with_the_tile() -> None:
    """Runs of at most one zero: of 0 0 0 1 0 1 0 0 the first gap of three is bridged once."""
    assert by_hand("0:R(1)", [0, 0, 0, 1, 0, 1, 0, 0])(0, "fillers") == [1]
    # 0 0 | 0 1 | 0 1 | 0 0: no gap of two or more before an entry in any of them
    assert by_hand("0:R(1)", [0, 0, 0, 1, 0, 1, 0, 0], 2)(0, "fillers") == [0, 0, 0, 0]
    # 0 0 0 1 0 | 1 0 0
    assert by_hand("0:R(1)", [0, 0, 0, 1, 0, 1, 0, 0], 5)(0, "fillers") == [1, 0]


def test_groups_are_padded_as_far_as_the_tile_goes() -> None:
    """2 of every 4; a tile of 3 has one place of the second group, or two of the first."""
    row = [1, 0, 0, 0, 0, 0, 1]
    assert by_hand("0:H(2:4)", row)(0, "entries") == [2 + 2]
    assert by_hand("0:H(2:4)", row, 3)(0, "entries") == [2, 1 + 2, 1]


def test_blocks_that_hold_something_are_whole() -> None:
    row = [1, 0, 0, 0, 0, 0, 1]
    count = by_hand("0/2:C 0%2:U", row, 3)  # 1 0 | 0, 0 | 0 0, 1: the tile begins in mid-block
    assert count(0, "entries") == [1, 0, 1]
    assert count(1, "fillers") == [1, 0, 0]


def test_what_fits_no_group_is_refused() -> None:
    with pytest.raises(TensorError) as caught:
        by_hand("0:H(1:2)", [1, 1])
    assert str(caught.value) == (
        "A is 1:2 tile by tile, and a group of 2 holds 2 entries; expected at most 1\n"
        "Prune the group, or use C or B there."
    )


def test_too_many_places_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_trees, "MOST_LISTED", 7)
    with pytest.raises(TensorError) as caught:
        by_hand("0:R(1)", [1] * 8)
    assert str(caught.value) == (
        "A is RLE(1): tiles are encoded place by place, and they have 8 places together; at most 7 "
        "are listed\nCharge a part of the layer, or use C or B."
    )


def test_too_many_points_are_refused_before_they_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A window has fewer places than points, of 4096 x 2048 x 3 here."""
    extents = (("p", 4096), ("r", 2048), ("s", 3))
    subscript = Affine(tuple((Monomial(1), Var(rank)) for rank, _ in extents))
    shape = (sum(extent - 1 for _, extent in extents) + 1,)
    bound = Format("0:R(1)").bind(1)
    side = Side((0,), (subscript,), (), extents)
    tiles = Tiles("A", "nz", shape, shape, ((0, 0),), bound, (), (), (side,))
    monkeypatch.setattr(tile_trees, "points_of", pytest.fail)
    with pytest.raises(TensorError) as caught:
        counted(tiles, lambda: np.zeros(shape, np.bool_))
    assert str(caught.value) == (
        "A is RLE(1): tiles are encoded place by place, and they have 25,165,824 points; "
        "at most 16,777,216 are listed\nCharge a part of the layer, or use C or B."
    )
