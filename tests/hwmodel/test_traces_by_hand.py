"""Caches and lines in nests of several orders, counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, Mapping, arch, charge

PRODUCT = "Z[m,n] = A[m,k]*B[k,n]"
ROWS, COLUMNS = "a:U b:C(8)", "[a,b] b:U a:C(8)"


def charged(
    text: str,
    order: str,
    formats: dict[str, str],
    given: dict[str, Any],
    *,
    capacity: int = 128,
    policy: str = "lru",
    sparse: tuple[str, ...] = ("skip I,F",),
) -> Charge:
    """Values and coordinates of 8 bits, lines and pointers of 16."""
    design = {
        "name": "by hand",
        "array": {"pe": 1},
        "value_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {
            "DRAM": {"lines": {"read_bits": 16, "pointer_bits": 16}},
            "GLB": {"cache": policy, "capacity_bits": capacity},
            "PE": {},
        },
        "sparse": list(sparse),
        "formats": {t: {"DRAM": f, "GLB": "U" if t == "O" else "C"} for t, f in formats.items()},
    }
    mapping = Mapping(order, space={}, sync="none")
    return charge(make_spec(text), arch(design), given, mapping)


def read(found: Charge, tensor: str) -> tuple[int, int, int]:
    at = found.at("DRAM", tensor)
    return at.reads, at.read_data_bits, at.read_metadata_bits


@pytest.mark.parametrize(
    ("policy", "b"),
    [("lru", (7, 80, 80 + 32)), ("optimal", (4, 48, 48 + 32)), ("bypass", (4, 48, 48 + 32))],
)
def test_rows_meet_columns(policy: str, b: tuple[int, int, int]) -> None:
    """Row 0 of A (2 entries) takes a line of 16 bits for values and one for coordinates, 32; row 1
    (1 entry) 32; column 0 of B (3) 32 + 32 = 64; column 1 (1) 32.  Of 128 bits:

        (m, n)    0,0       0,1       1,0       1,1
        asked     r0 c0     r0 c1     r1 c0     r1 c1
        LRU       +  +      .  +      +  +      .  .     r1 puts c0 out, c0 comes again for r0
        optimal   +  +      .  +      +  .      .  .     r1 puts r0 out, which nobody needs

    A: rows 0 and 1 once, 16 + 16 bits of values, as many of coordinates, 2 pointers.  B under LRU:
    c0, c1, c0 = 32 + 16 + 32 bits of either, 2 pointers; else c0, c1 = 32 + 16.
    """
    a, b_ = np.array([[1, 0, 2], [0, 3, 0]]), np.array([[1, 0], [1, 1], [1, 0]])
    formats = {"A": ROWS, "B": COLUMNS}
    found = charged(PRODUCT, "m n k", formats, {"A": a, "B": b_}, policy=policy)
    assert read(found, "A") == (3, 32, 32 + 32)
    assert read(found, "B") == b
    assert found.at("GLB", "B").write_bits == b[1] + b[2]


def test_an_empty_row_calls_for_no_column() -> None:
    """Row 0 holds nothing: only row 1 asks for columns, each once, and row 1 twice, for two
    columns.  Pointers of both rows are looked up; where nothing is skipped, row 0 asks too."""
    a, b = np.array([[0, 0], [3, 4]]), np.array([[1, 0], [0, 1]])
    formats, given = {"A": ROWS, "B": COLUMNS}, {"A": a, "B": b}
    found = charged(PRODUCT, "m n k", formats, given, capacity=32)
    assert read(found, "B") == (2, 32, 32 + 32)  # columns of one entry, 16 + 16 bits each
    assert read(found, "A") == (2, 16, 16 + 32)  # row 1 comes once: 32 bits, which is the room
    every = charged(PRODUCT, "m n k", formats, given, capacity=32, sparse=())
    assert read(every, "B") == (4, 64, 64 + 32)


def test_an_outer_product_asks_for_one_row_at_a_time() -> None:
    """Of 2 x 2 places that are all there, with room for one row of B (16 + 16 bits): by rows of A,
    rows of B are asked for as 0 1 0 1, and each comes twice; by columns as 0 0 1 1."""
    ones = np.ones((2, 2), int)
    rows, columns = {"A": ROWS, "B": ROWS}, {"A": COLUMNS, "B": ROWS}
    given = {"A": ones, "B": ones}
    gustavson = charged(PRODUCT, "m k n", rows, given, capacity=32)
    outer = charged(PRODUCT, "k m n", columns, given, capacity=32)
    assert read(gustavson, "B") == (8, 64, 64 + 32)
    assert read(outer, "B") == (4, 32, 32 + 32)
    assert read(gustavson, "A") == read(outer, "A") == (4, 32, 32 + 32)  # each passes by once


def test_channels_of_a_convolution() -> None:
    """O[m,q] = I[c,q+s]*F[m,c,s], loops m c q s: q and s go along a channel of I, asked for at each
    (m, c) at which F has an entry; s alone along a row of F, asked for at each (m, c, q) whose
    window of I has one.

    I has one channel with an entry at w = 0: of 3 windows of 2 the first sees it.  F has both
    weights of both filters.  The channel (16 + 16 bits) is asked for twice and stays; rows of F
    once each, at q = 0, and pass by: 2 entries of 16 + 16 bits each.
    """
    image, weights = np.zeros((1, 4), int), np.ones((2, 1, 2), int)
    image[0, 0] = 5
    formats = {"I": "a:U b:C(8)", "F": "a:U b:U c:C(8)"}
    given = {"I": image, "F": weights}
    text = "O[m,q] = I[c,q+s]*F[m,c,s]"
    found = charged(text, "m c q s", formats, given)
    assert read(found, "I") == (1, 16, 16 + 16)
    assert read(found, "F") == (4, 32, 32 + 32)
    narrow = charged(text, "m c q s", formats, given, capacity=16)
    assert read(narrow, "I") == (2, 32, 32 + 16)
    # without skipping, rows of F are asked for at each of 3 windows, and stay while they are
    dense = charged(text, "m c q s", formats, given, sparse=(), capacity=64)
    assert read(dense, "F") == (4, 32, 32 + 32)


@pytest.mark.parametrize(
    ("text", "shapes", "order", "said"),
    [
        (
            "Z[m,n] = A[m,k]*B[k,n] + C[m,n]",
            {"A": (2, 2), "B": (2, 2), "C": (2, 2)},
            "m k n",
            "levels.DRAM.lines: expected a single product, such as Z[m,n] = A[m,k]*B[k,n], found "
            "Z[m,n] = sum[k](A[m,k]*B[k,n]) + C[m,n]: terms that are added go through memory one "
            "after the other, which is not listed as yet\n"
            "Charge each term as a line of its own, or leave levels.DRAM.lines out.",
        ),
        (
            "y[m] = A[k,k]*B[m,k]",
            {"A": (2, 2), "B": (2, 2)},
            "m k",
            "lines and caches: A has k in two axes, and which of its fibers are touched is then "
            "told by both; not listed as yet\nLeave lines and cache out of the architecture.",
        ),
    ],
)
def test_what_is_not_listed_is_refused(
    text: str, shapes: dict[str, tuple[int, ...]], order: str, said: str
) -> None:
    given = {name: np.ones(shape) for name, shape in shapes.items()}
    with pytest.raises(ArchError) as error:
        charged(text, order, dict.fromkeys(shapes, ROWS), given)
    assert str(error.value) == said


def test_marks_at_a_cache_are_refused() -> None:
    ones = np.ones((2, 2))
    with pytest.raises(ArchError) as error:
        charged(PRODUCT, "m @GLB(B) k n", {"A": ROWS, "B": ROWS}, {"A": ones, "B": ones})
    assert str(error.value) == (
        "levels.GLB.cache: keeps what its policy says, lru, and a mark has it keep B from a loop "
        "on, in order m @GLB(B) k n; sync none; space none: one PE; roles A: I, B: F\n"
        "Leave B out of @GLB."
    )


def test_a_format_without_fibers_is_refused() -> None:
    ones = np.ones((2, 2))
    with pytest.raises(ArchError) as error:
        charged(PRODUCT, "m k n", {"A": "a:U b:B", "B": ROWS}, {"A": ones, "B": ones})
    assert str(error.value) == (
        "lines: A is bitmask, which is not modelled in whole lines as yet: expected levels U and a "
        "last one C, R, H or U, or two levels C\n"
        "Give it a format such as a:U b:C or a:C b:C, or leave lines and cache out."
    )


def test_results_in_lines_of_other_orders() -> None:
    """Z of A by columns and B by rows, 2 x 3: row 0 has entries at all n, row 1 none.
    Written in lines of 16 bits: 3 values of 8 are two lines, coordinates too, and 2 pointers."""
    a, b = np.array([[1, 0], [1, 0]]), np.array([[1, 0, 1], [0, 1, 0]])
    formats = {"A": COLUMNS, "B": ROWS, "O": ROWS}
    found = charged("Z[m,n] = A[k,m]*B[k,n]", "m k n", formats, {"A": a, "B": b})
    at = found.at("DRAM", "Z")
    assert (at.writes, at.write_data_bits, at.write_metadata_bits) == (3, 32, 32 + 32)
