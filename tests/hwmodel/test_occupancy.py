"""Tiles by stored entries: numbers by hand and by the text, and what is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layers import one_pe

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError, ZeroskipError
from zeroskip.formats.density import Density
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel import Charge, Mapping, arch, charge, evaluate
from zeroskip.hwmodel.occupancy import numbers_of
from zeroskip.native import engine

PRODUCT = "Z[m,n] = A[m,k]*B[k,n]"
A = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 0, 1], [0, 1, 0, 0]])
B = np.ones((4, 2))


def row_of_pes(number: int, *sparse: str, **changes: Any) -> dict[str, Any]:
    packed = {"A": {"DRAM": "C", "GLB": "C"}, "B": {}}
    return one_pe(*sparse, **({"array": {"pe": number}, "formats": packed} | changes))


def charged(
    split: dict[str, Any], described: dict[str, Any] | None = None, /, **given: Any
) -> Charge:
    across = given.pop("across", None)
    mapping = Mapping(split=split, space={across: "pe"} if across else {}, sync="none")
    described = described or row_of_pes(4, "skip B on A")
    return charge(make_spec(PRODUCT), arch(described), {"A": A, "B": B} | given, mapping)


def test_numbers_by_hand() -> None:
    """Columns of A hold 1, 3, 1, 1 entries; tiles of 2 begin at entries 0, 2 and 4."""
    found = charged({"k": "occupancy(A, 2)"}, across="k1").cascade.given["numberA"]
    assert found.tolist() == [0, 1, 4, 5]
    flat = charged({"m*k": "occupancy(A, 2)"}, across="mk1").cascade.given["numberA"]
    assert flat.tolist() == [[0, 0, 1, 2], [2, 2, 2, 2], [2, 3, 4, 4], [5, 5, 5, 5]]


def test_a_place_is_not_cut() -> None:
    assert charged({"k": "occupancy(A, 2)"}, across="k1").work_per_pe.tolist() == [8, 0, 4, 0]


def test_tiles_of_entries_balance_the_array() -> None:
    rows = charged({"m": 1}, across="m1").work_per_pe.tolist()
    tiles = charged({"m*k": "occupancy(A, 2)"}, across="mk1").work_per_pe.tolist()
    assert rows == [4, 0, 6, 2]
    assert tiles == [4, 4, 4, 0]


def test_the_last_tile_takes_what_is_behind_the_last_entry() -> None:
    """Six entries are three tiles of two, though two places follow the last entry."""
    c = charged({"m*k": "occupancy(A, 2)"}, row_of_pes(3), across="mk1")
    assert c.work_per_pe.sum() == c.ops["dense"] == 4 * 4 * 2
    assert (
        charged({"m*k": "occupancy(A, 2)"}, across="mk1", A=0 * A).work_per_pe.tolist() == [0] * 4
    )


def test_zeros_that_are_stored_count() -> None:
    coordinates = [np.array([0, 0, 1, 3]), np.array([0, 1, 0, 3])]
    named = Tensor.from_coords(coordinates, np.array([0.0, 1.0, 0.0, 1.0]), (4, 4), "COO")
    c = charged({"m*k": "occupancy(A, 2)"}, across="mk1", A=named)
    assert c.cascade.given["numberA"][1].tolist() == [2, 3, 3, 3]


def test_followers_have_the_tiles_of_the_leader() -> None:
    """Tiles of A hold columns 0-2, 1-3 (the empty row 1 has all of them), and 0-3."""
    c = charged({"m*k": "occupancy(A, 2)"}, across="mk1")
    assert c.at("GLB", "A").reads == 6
    reach = [set(np.nonzero(c.cascade.given["numberA"] // 2 == tile)[1]) for tile in range(3)]
    assert c.at("GLB", "B").reads == sum(map(len, reach)) * 2


def test_the_dense_charge_beside_it_has_the_same_tiles() -> None:
    c = charged({"m*k": "occupancy(A, 2)"}, across="mk1")
    tiles = c.cascade.given["numberA"] // 2
    points = [int((tiles == tile).sum()) * 2 for tile in range(4)]
    assert c.baseline.work_per_pe.tolist() == points


PARTS: list[dict[str, Any]] = [
    {"k": 2, "m*k0": "occupancy(A, 2)"},
    {"k": 3, "k0*m": "occupancy(A, 2)"},
    {"k": [3, 2], "m*k1": "occupancy(A, 2)"},
    {"k": [3, 2], "k0": "occupancy(A, 2)"},
    {"k": 3, "m": [3, 2], "m1*k0": "occupancy(A, 2)"},
]


def test_numbers_of_a_part_begin_anew_in_each_block() -> None:
    """Columns 0 and 1 hold four entries, row by row 1, 0, 2, 1; columns 2 and 3 two, 1, 0, 1, 0."""
    found = charged({"k": 2, "m*k0": "occupancy(A, 2)"}).cascade.given["numberA"]
    assert found.tolist() == [[0, 0, 0, 1], [1, 1, 1, 1], [1, 2, 1, 1], [3, 3, 1, 1]]


def test_flattened_parts_are_numbered_in_a_row() -> None:
    found = charged({"k": 3, "m*k0": 2}).cascade.given["placeMK"]
    assert found.tolist() == [[3 * m + k % 3 for k in range(4)] for m in range(4)]


def test_tiles_of_a_block_are_as_even_as_its_entries() -> None:
    """SIGMA: blocks of columns in time, and in each as many stored entries to every PE."""
    mapping = Mapping(
        "k1 mk01 mk00 n", {"k": 2, "m*k0": "occupancy(A, 2)"}, {"mk01": "pe"}, sync="k1"
    )
    described = arch(row_of_pes(2, "skip B on A"))
    c = charge(make_spec(PRODUCT), described, {"A": A, "B": B}, mapping)
    assert c.work_per_pe.tolist() == [8, 4]  # 2 + 2 and 2 + 0 entries, each with two columns of B
    assert c.compute_cycles == 8


@pytest.mark.parametrize("backend", ["numpy", "c"])
@pytest.mark.parametrize(
    "split", [*({key: "occupancy(A, 2)"} for key in ("k", "m*k", "k*m")), *PARTS], ids=str
)
def test_the_text_gives_the_numbers_that_are_used(split: dict[str, Any], backend: str) -> None:
    """The scan is printed as Einsums, and the numbers are those that these give."""
    c = charged(split)
    lines = c.cascade.scans
    sizes = {name: n for name, n in c.cascade.sizes.items() if name in make_spec(lines).ranks}
    found = engine.evaluate(make_spec(lines, sizes=sizes), {"stA": A != 0}, backend=backend)
    assert np.array_equal(found["numberA"], c.cascade.given["numberA"])
    assert c.accounting.startswith(lines)


def test_c_counts_as_numpy_does(monkeypatch: pytest.MonkeyPatch) -> None:
    split = {"m*k": "occupancy(A, 4, 2)"}
    compiled = charged(split, across="mk1").cascade
    counts = evaluate.counts(compiled, operands())

    def dense(*given: Any, **named: Any) -> Any:
        return engine.evaluate(*given, **named, backend="numpy")

    monkeypatch.setattr(evaluate, "evaluate", dense)
    plain = evaluate.counts(compiled, operands())
    assert {n: x.tolist() for n, x in counts.items()} == {n: x.tolist() for n, x in plain.items()}


def operands() -> dict[str, evaluate.Operand]:
    return {"A": evaluate.Operand(A.shape, A), "B": evaluate.Operand(B.shape, B)}


def test_one_text_serves_all_operands() -> None:
    """Counts of real entries are no part of the text: its kernels are made once."""
    split = {"m*k": "occupancy(A, 2)"}
    texts = {charged(split, A=np.roll(A, n)).cascade.text for n in range(4)}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("split", "changes", "message"),
    [
        (
            {"k": "occupancy(Q, 64)"},
            {},
            "split of k: occupancy(Q, 64) counts the entries of Q, which is no operand; operands: "
            "A, B",
        ),
        (
            {"k": "occupancy(Z, 64)"},
            {},
            "split of k: occupancy(Z, 64) counts the entries of Z, which is no operand; operands: "
            "A, B",
        ),
        (
            {"k": "occupancy(B, 64)"},
            {},
            "split of k: occupancy(B, 64) goes by the stored entries of B, which is uncompressed "
            "in DRAM, GLB, PE: every place is stored\nGive B (role F) the format C or B, or split "
            "k by coordinates.",
        ),
        (
            {"n": "occupancy(A, 64)"},
            {},
            "split of n: occupancy(A, 64) needs n as an axis of A, which has axes that go by m, k\n"
            "Split ranks that A has, or by coordinates.",
        ),
        (
            {"m*k": "occupancy(A, 2)"},
            {"A": Density((4, 4), structure="2:4")},
            "split of m*k: occupancy(A, 2) goes by entries of A, which is Density((4, 4), 0.5, "
            "structure='2:4'): of a leader that is drawn, only a uniform one has tiles that are "
            "known on average\nDraw an array, density.sample(rng), and charge that.",
        ),
    ],
)
def test_what_is_refused(split: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ZeroskipError) as raised:
        charged(split, **changes)
    assert str(raised.value) == message


UNEVEN = {
    "banded": Density((4, 4), 0.3, structure="banded", width=1),
    "profile": Density.profile(A, axes=0),
    "empirical": Density.empirical(A, tile=(2, 2)),
    "groups": Density((4, 4), structure="1:2 1:2"),
}


@pytest.mark.parametrize("structure", UNEVEN)
@pytest.mark.parametrize("split", [{"m*k": "occupancy(A, 2)"}, PARTS[0]], ids=str)
def test_leaders_that_are_drawn_unevenly_are_refused(split: dict[str, Any], structure: str) -> None:
    with pytest.raises(ZeroskipError, match="of a leader that is drawn, only a uniform one has"):
        charged(split, A=UNEVEN[structure])


def test_chances_are_no_entries() -> None:
    with pytest.raises(TypeError, match="expected a mask of what is stored, bool, found float64"):
        numbers_of(np.full((2, 2), 0.5), [0], [1])


def test_more_tiles_than_pes_are_refused_with_a_way_out() -> None:
    with pytest.raises(ArchError) as raised:
        charged({"m*k": "occupancy(A, 2)"}, row_of_pes(2), across="mk1")
    assert str(raised.value) == (
        "space of mk1: it has 3 iterations, and pe 2 PEs\n"
        "Split m*k once more, so that the loop across has at most 2.\n"
        'For example m*k: "occupancy(A, 4, 2)".'
    )
    again = charged({"m*k": "occupancy(A, 4, 2)"}, row_of_pes(2, "skip B on A"), across="mk1")
    assert again.work_per_pe.tolist() == [8, 4]


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("lanes", {"multipliers": 4, "lanes": {"I": 2, "F": 2}}),
        ("lines", {"levels": {"DRAM": {"lines": {"read_bits": 64}}, "GLB": {}, "PE": {}}}),
    ],
)
def test_designs_that_go_by_coordinates(part: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ArchError) as raised:
        charged({"k": "occupancy(A, 2)"}, row_of_pes(1, **changes))
    assert str(raised.value) == (
        f"split of k: occupancy(A, 2): one PE has {part}, which go by coordinates of single ranks\n"
        f"Split single ranks by coordinates, or leave {part} out."
    )


def test_large_scans_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeroskip.hwmodel.occupancy.MOST_SCATTERED", 8)
    with pytest.raises(ZeroskipError, match=r"at most 8 places are numbered, and m\*k has 16"):
        charged({"m*k": "occupancy(A, 2)"})
