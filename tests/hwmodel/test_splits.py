"""What ranks are cut into: texts, loops, and errors that name the split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Mapping, arch, charge
from zeroskip.hwmodel.layer import layer_of
from zeroskip.hwmodel.nest import Loop, iterations
from zeroskip.hwmodel.splits import check_splits, loops_of, split_of


def test_a_split_prints_as_it_is_written() -> None:
    assert str(split_of("k", [128, 16])) == "128 16"
    assert str(split_of("k", "occupancy( A,64 )")) == "occupancy(A, 64)"
    assert str(split_of("m * k", "occupancy(A, 256, 64)")) == "occupancy(A, 256, 64)"
    mapping = Mapping(split={"m * k": "occupancy(A, 64)", "n": 4})
    assert str(mapping).endswith("split m*k: occupancy(A, 64), n: 4")
    assert mapping.split["m*k"].ranks == ("m", "k")
    assert Mapping(split=dict(mapping.split)).split == mapping.split


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True))
def test_parts_are_places_in_the_blocks_around_them(sizes: list[int]) -> None:
    """Iterations of all loops name a place of their own, and put together they are that place."""
    blocks = sorted(sizes, reverse=True)
    loops = loops_of(["k"], {"k": split_of("k", blocks)})
    assert [loop.block for loop in loops] == [*blocks, 1]
    for place in range(100):
        left = place
        for loop in loops:
            number, left = divmod(left, loop.block)
            assert loop.index(np.array([place])).tolist() == [number]


def test_a_part_is_cut_as_its_rank_would_be() -> None:
    """By other names: k0 of blocks of 100 is cut into 16, k1 put together by fours."""
    inner = loops_of(["k"], {"k": split_of("k", 100), "k0": split_of("k0", 16)})
    assert [x.name for x in inner] == ["k1", "k01", "k00"]
    outer = loops_of(["k"], {"k1": split_of("k1", 4), "k": split_of("k", [16])})
    assert [x.name for x in outer] == ["k11", "k10", "k0"]
    for loops, blocks in ((inner, [100, 16]), (outer, [64, 16])):
        wanted = loops_of(["k"], {"k": split_of("k", blocks)})
        assert [(x.block, x.spans) for x in loops] == [(x.block, x.spans) for x in wanted]


def test_loops_of_flattened_parts_go_over_the_ranks_of_both() -> None:
    loops = loops_of(["m", "k"], {"m*k0": split_of("m*k0", [9, 4]), "k": split_of("k", 6)})
    assert [(x.name, x.rank, x.told_by, x.block, x.spans) for x in loops] == [
        ("mk02", "m*k", ("m", "k"), 9, ()),
        ("mk01", "m*k", ("m", "k"), 4, (9,)),
        ("mk00", "m*k", ("m", "k"), 1, (9, 4)),
        ("k1", "m*k", ("k",), 6, ()),
    ]


def test_loops_of_flattened_ranks_have_both_names() -> None:
    splits = {"m*k": split_of("m*k", "occupancy(A, 64, 16)")}
    loops = loops_of(["m", "k", "n"], splits)
    assert [(x.name, x.ranks, x.block, x.spans) for x in loops] == [
        ("mk2", ("m", "k"), 64, ()),
        ("mk1", ("m", "k"), 16, (64,)),
        ("mk0", ("m", "k"), 1, (16,)),
        ("n", ("n",), 1, ()),
    ]


@pytest.mark.parametrize(
    ("key", "size", "message"),
    [
        ("k", "occupancy(A, 0)", "split of k: expected tiles of 1 stored entry or more, found 0"),
        ("k", "occupancy(A, -3)", "split of k: expected tiles of 1 stored entry or more, found -3"),
        (
            "k",
            "occupancy(A, nan)",
            "split of k: occupancy(A, ...) expects whole numbers of stored entries, such as 64, "
            "found 'nan'",
        ),
        (
            "k",
            "occupancy(A, 2.5)",
            "split of k: occupancy(A, ...) expects whole numbers of stored entries, such as 64, "
            "found '2.5'",
        ),
        (
            "k",
            float("nan"),
            'split of k: expected block sizes, such as [128, 16], or "occupancy(A, 64)", found nan',
        ),
        (
            "m*k",
            "occupancy(A, 64, 64)",
            "split of m*k: expected each block to be cut into smaller ones, found 64 after 64\n"
            "Write blocks from large to small, such as [65, 64].",
        ),
        (
            "k",
            "occupancy(64)",
            "split of k: expected block sizes, such as [128, 16], or a leader and stored entries "
            "of a tile, \"occupancy(A, 64)\", found 'occupancy(64)'",
        ),
        (
            "k",
            "64",
            "split of k: expected block sizes, such as [128, 16], or a leader and stored entries "
            "of a tile, \"occupancy(A, 64)\", found '64'",
        ),
        ("m*m", 4, "split of m*m: m is flattened with itself"),
        ("m*", 4, "split of m*: expected a rank, or several such as \"m*k\", found 'm*'"),
        (1, 4, 'split: expected a rank, or several such as "m*k", found 1'),
        ("k", split_of("m", 4), "split of k: expected a split of k, found one of m"),
        (
            "k",
            2**62 + 1,
            "split of k: expected at most 2**62 in a block, found 4611686018427387905",
        ),
        (
            "k",
            [7, 10**18],
            "split of k: expected each block to be cut into smaller ones, found "
            "1000000000000000000 after 7\nWrite blocks from large to small, such as "
            "[1000000000000000001, 1000000000000000000].",
        ),
        (
            "k",
            f"occupancy(A, {'9' * 5000})",
            "split of k: occupancy(A, ...) expects whole numbers of stored entries, such as 64, "
            f"found '{'9' * 60}'",
        ),
    ],
)
def test_what_is_no_split(key: str, size: Any, message: str) -> None:
    with pytest.raises(ArchError) as raised:
        split_of(key, size)
    assert str(raised.value) == message


def test_one_key_in_two_spellings_is_refused() -> None:
    with pytest.raises(ArchError, match=r"^split of m \* k: it stands twice\nWrite it once"):
        Mapping(split={"m*k": 4, "m * k": 2})


@pytest.mark.parametrize(
    ("text", "splits", "message"),
    [
        ("Z[m,n] = A[m,k]*B[k,n]", {"m*x": 4}, "split names x, which is no rank; ranks: m, n, k"),
        (
            "Z[m,n] = A[m,k]*B[k,n]",
            {"k": 4, "m*k2": 2},
            "split names k2, which is no rank; ranks: m, n, k; parts: k1, k0",
        ),
        (
            "Z[m,n] = A[m,k]*B[k,n]",
            {"k": 4, "k1*k0": 2},
            "split of k1*k0: k1 and k0 are parts of one rank\nFlatten parts of different ranks.",
        ),
        (
            "Z[m,n] = A[m,k]*B[k,n]",
            {"m*k": 4, "mk0*n": 2},
            "split of mk0*n: mk0 is a part of m*k, whose places have numbers: it can be cut into "
            "smaller blocks, mk0: 8, and no more",
        ),
        (
            "Z[m,n] = C[m] + A[m,k]*B[k,n]",
            {"k": 4, "m*k0": 2},
            "split of m*k0: the term C goes over m and not over k, so that it has no tile of both\n"
            "Charge that term as a line of its own, or split m alone.",
        ),
        (
            "Z[m,n] = A[m,k]*B[k,n]",
            {"m*k": 4, "k": 2},
            "split: k is in m*k and in k\nGive each rank one split, of several sizes if need be.",
        ),
        (
            "Z[m,n] = C[m] + A[m,k]*B[k,n]",
            {"m*k": 4},
            "split of m*k: the term C goes over m and not over k, so that it has no tile of both\n"
            "Charge that term as a line of its own, or split m alone.",
        ),
    ],
)
def test_splits_that_do_not_fit_a_layer(text: str, splits: dict[str, Any], message: str) -> None:
    shapes = {"A": (4, 5), "B": (5, 6)} | ({"C": (4,)} if "C" in text else {})
    layer = layer_of(make_spec(text), shapes)
    with pytest.raises(ArchError) as raised:
        check_splits({key: split_of(key, size) for key, size in splits.items()}, layer)
    assert str(raised.value) == message


def test_blocks_of_ranks_that_are_split_together_go_on_by_themselves() -> None:
    """Two blocks of m, each with both of k."""
    m1, k1 = Loop("m1", "m*k", 2, 2, places=("m",)), Loop("k1", "m*k", 3, 2, places=("k",))
    assert iterations([m1, k1], {"m": 4, "k": 6}) == 2 * 2


def test_the_place_in_a_block_of_one_is_written_as_0() -> None:
    """``m - 1*(m//1)`` would be m less itself, which no subscript may be."""
    rng = np.random.default_rng(0)
    given_ = {"A": (rng.random((5, 4)) < 0.5) * 1.0, "B": np.ones(4)}
    mapping = Mapping(split={"m": 1, "m0": "occupancy(A, 1)"})
    charged = charge(make_spec("Z[m] = A[m,k]*B[k]"), arch("scnn"), given_, mapping)
    scans = charged.cascade.scans
    assert "entriesA[m,0]" in scans.replace(" ", "")
    make_spec(scans)
    assert charged.ops["effectual"] == np.count_nonzero(given_["A"])
