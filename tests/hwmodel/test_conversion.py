"""Transposes of operands that come in another order: sorts, bits, cycles, energy."""

from __future__ import annotations

from itertools import pairwise, permutations
from math import ceil, log2
from typing import Any

import numpy as np
import pytest
from layers import one_pe

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError, TensorError
from zeroskip.formats.density import Density
from zeroskip.formats.format import Format
from zeroskip.formats.ranks import Part
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel import Arch, Mapping, arch, charge, transpose
from zeroskip.hwmodel.conversion import sorts_between

MATMUL = "Z[m,n] = A[m,k]*B[k,n]"


def sparse(shape: tuple[int, ...], density: float = 0.3, seed: int = 0) -> np.ndarray:
    return np.sign(Density(shape, density).sample(seed))


def machine(wanted: str, reads: Any = 16, writes: Any = 8, name: str = "A") -> Arch:
    """One PE that wants A in a format, behind a memory of 16 bits in and 8 bits out a cycle."""
    dram = {"read_bits_per_cycle": reads, "write_bits_per_cycle": writes}
    levels = {"DRAM": dram, "GLB": {}, "PE": {}}
    return arch(one_pe(levels=levels, formats={name: {"DRAM": wanted, "GLB": "U"}}))


# ---- how many sorts ---------------------------------------------------------------------


def lead_of(source: tuple[int, ...], target: tuple[int, ...]) -> int:
    pairs = zip(source, target, strict=True)
    return next((n for n, pair in enumerate(pairs) if len({*pair}) > 1), len(source))


def least_sorts(source: tuple[int, ...], target: tuple[int, ...]) -> int:
    """By search: one stable sort moves an axis behind the shared lead of both orders."""
    lead = lead_of(source, target)
    reached, sorts = {source}, 0
    while target not in reached:
        moves = {(o, a) for o in reached for a in o[lead:]}
        reached |= {(*o[:lead], a, *(b for b in o[lead:] if b != a)) for o, a in moves}
        sorts += 1
    return sorts


def order_of(axes: tuple[int, ...]) -> Format:
    return Format(" ".join(f"{axis}:C" for axis in axes))


@pytest.mark.parametrize("target", list(permutations(range(4))))
def test_sorts_are_as_few_as_there_can_be_and_do_sort(target: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    for source in permutations(range(4)):
        sorts = sorts_between(order_of(source), order_of(target), (3, 4, 5, 6))
        assert len(sorts) == least_sorts(source, target)
        entries = sorted(
            {tuple(map(int, rng.integers(0, 3, 4))) for _ in range(60)},
            key=lambda e: [e[axis] for axis in source],
        )
        lead = lead_of(source, target)
        for axis in sorts:
            assert isinstance(axis, int)
            entries.sort(key=lambda e: ([e[a] for a in source[:lead]], e[axis]))
        assert entries == sorted(entries, key=lambda e: [e[axis] for axis in target])


@pytest.mark.parametrize(
    ("source", "target", "shape", "sorts"),
    [
        ("CSR", "CSR", (4, 5), ()),
        ("CSC", "COO", (4, 5), (0,)),
        ("CSC", "CSR", (1, 5), ()),
        ("CSC", "CSR", (0, 5), ()),
        ("m:U c*r*s:C", "[m,c,r,s] c:U m*r*s:C", (4, 3, 2, 2), (1,)),
        ("m:U c*r*s:C", "[m,c,r,s] c:U m*r*s:C", (1, 3, 2, 2), ()),
        ("BSR(2,2)", "CSR", (4, 6), (Part(0, 2, True),)),
        ("BSR(1,2)", "CSR", (4, 6), ()),
        ("BSR(2,1)", "[m,k] m/2:U k:C m%2:C", (4, 6), ()),
        ("BSR(2,2)", "[m,k] m/3:U k:C m%3:C", (6, 6), (Part(0, 3, True), 1, Part(0, 3, False))),
    ],
)
def test_sorts_of_formats(
    source: str, target: str, shape: tuple[int, ...], sorts: tuple[Any, ...]
) -> None:
    held, wanted = (Format(text).bind(len(shape)) for text in (source, target))
    assert sorts_between(held, wanted, shape) == sorts


# ---- what moves -------------------------------------------------------------------------

FORMATS = [
    ("CSC", "CSR", 1),
    ("CSR", "[m,k] k:C m:C", 1),
    ("[m,k] k:C m:C", "bitmask", 1),
    ("[m,k] k*m:B", "RLE(2)", 1),
    ("[m,k] k:U m:R(1)", "COO", 1),
    ("[m,k] k:U m:H(2:4)", "CSR", 1),
    ("BSR(2,2)", "CSR", 1),
    ("[m,k] k%2:C m:C k/2:C", "CSR", 2),
]


def stream(array: np.ndarray, text: str) -> int:
    """Bits of a tensor in a format: the length of the stream that is really written."""
    return Tensor.from_dense(array, text).pack(16).n_bits


def structured(text: str) -> np.ndarray:
    a = sparse((8, 6))
    if "H" in text:
        a[2:4] = a[6:8] = 0
    return a


@pytest.mark.parametrize(("source", "target", "sorts"), FORMATS)
def test_the_charge_includes_what_the_transpose_moves(source: str, target: str, sorts: int) -> None:
    a, b, design = structured(source), np.ones((6, 3)), machine(target)
    held = Tensor.from_dense(a, source)
    before = charge(make_spec(MATMUL), design, {"A": Tensor.from_dense(a, target), "B": b})
    after = charge(make_spec(MATMUL), design, {"A": held, "B": b})
    (made,) = after.conversions
    assert before.conversions == ()
    assert after.missing == before.missing
    assert len(made.sorts) == sorts == len(made.stages) - 1

    # bits, against streams that are written; between two sorts every coordinate: 3 + 3 bits
    coming, going = stream(a, source), stream(a, target)
    between = np.count_nonzero(a) * (16 + 3 + 3) * (sorts - 1)
    counted = coming - 16 * held.stored
    moved = after.at("DRAM", "transpose of A")
    assert moved.read_bits == counted + coming + between
    assert moved.write_bits == between + going
    assert made.target.total_bits == going
    # ... and what is written is what the layer reads
    written, read = made.stages[-1], after.at("DRAM", "A")
    assert (written.writes, written.write_bits) == (read.reads, read.read_bits)

    # cycles: 16 bits in, 8 bits out, the stages one after the other
    sizes = [coming, *[between // max(sorts - 1, 1)] * (sorts - 1), going]
    passes = pairwise(sizes)
    cycles = ceil(counted / 16) + sum(max(ceil(r / 16), ceil(w / 8)) for r, w in passes)
    assert made.cycles == cycles == after.cycles - before.cycles
    assert after.bandwidth_cycles == before.bandwidth_cycles

    # nothing else changes
    assert after.ops == before.ops
    rest = {key: moves for key, moves in after.traffic.items() if key[1] != made.label}
    assert rest == before.traffic
    assert after.level("DRAM").bits - before.level("DRAM").bits == moved.bits
    more = after.energy["DRAM"] - before.energy["DRAM"]
    assert more == pytest.approx(made.energy_pj)
    assert after.energy_pj - before.energy_pj == pytest.approx(made.energy_pj)
    assert made.energy_pj == pytest.approx(moved.bits * design.off_chip.pj_per_bit)


def test_a_transpose_has_rows_of_its_own() -> None:
    a = sparse((8, 6))
    c = charge(
        make_spec(MATMUL), machine("CSR"), {"A": Tensor.from_dense(a, "CSC"), "B": np.eye(6)}
    )
    nnz = np.count_nonzero(a)
    pointer = int(nnz).bit_length()
    columns, rows = nnz * 3 + 7 * pointer, nnz * 3 + 9 * pointer  # log2(8) and ceil(log2(6))
    table = {row["figure"]: row for row in c.table()}
    assert table["transpose of A, data"]["one PE"] == 2 * 16 * nnz
    assert table["transpose of A, metadata"]["one PE"] == 2 * columns + rows
    assert table["transpose of A, stored copy"]["one PE"] == 16 * nnz + rows
    assert table["energy, transpose of A"]["one PE"] == c.conversions[0].energy_pj > 0
    assert table["cycles, transpose of A"]["one PE"] == c.conversion_cycles > 0
    assert {row["dense baseline"] for row in c.table() if "transpose" in row["figure"]} == {0}
    moves = [row for row in c.moves() if row["tensor"] == "transpose of A"]
    assert [(row["level"], row["reads"], row["writes"]) for row in moves] == [("DRAM", nnz, nnz)]
    assert c.baseline.conversions == ()
    assert any(
        text.startswith(
            "transpose of A: it comes as CSC (order k,m), is wanted as CSR (order m,k), and is "
            "stored anew in DRAM before the layer, by a stable counting sort by m;"
        )
        for text in c.assumptions
    )
    with pytest.raises(TensorError, match="no tensor 'transpose of B' in this layer"):
        c.at("DRAM", "transpose of B")


def test_a_slow_transpose_is_what_the_charge_is_bound_by() -> None:
    a = Tensor.from_dense(sparse((8, 6)), "CSC")
    design = machine("CSR", reads=1, writes=0.1)
    c = charge(make_spec("Z[m] = A[m,k]*A[m,k]"), design, {"A": a})
    assert c.bound_by == "transposes"
    assert "bound by transposes" in repr(c)
    free = charge(make_spec(MATMUL), machine("CSR", None, None), {"A": a, "B": np.eye(6)})
    assert free.conversions[0].cycles == 0


def test_the_loop_order_decides_which_order_is_discordant() -> None:
    """One level (C) is a fiber a step: rows where PEs wait after each m, columns after each k."""
    a, b = sparse((8, 6)), sparse((6, 4))
    packed = {"DRAM": "C", "GLB": "C"}
    design = arch(one_pe("skip A,B", formats={"A": packed, "B": packed}))
    found = {}
    for text in ("CSR", "CSC"):
        for sync, order in (("m", "m k n"), ("k", "k m n")):
            mapping = Mapping(order, space={}, sync=sync)
            operands = {"A": Tensor.from_dense(a, text), "B": b}
            c = charge(make_spec(MATMUL), design, operands, mapping)
            found[text, sync] = [made.label for made in c.conversions]
    needed = ["transpose of A"]
    assert found == {("CSR", "m"): [], ("CSR", "k"): needed, ("CSC", "m"): needed, ("CSC", "k"): []}


@pytest.mark.parametrize(("held", "wanted"), [("[m,k] k:U m:U", "CSR"), ("CSC", "dense")])
def test_what_has_every_place_is_in_any_order(held: str, wanted: str) -> None:
    a = Tensor.from_dense(sparse((8, 6)), held)
    c = charge(make_spec(MATMUL), machine(wanted), {"A": a, "B": np.eye(6)})
    assert c.conversions == ()


def test_explicit_zeros_go_through_and_bridges_do_not() -> None:
    coords = [np.array([0, 1, 1, 2]), np.array([3, 0, 5, 2])]
    values = np.array([1.0, 0.0, 2.0, 3.0], np.float32)
    held = Tensor.from_coords(coords, values, (3, 6), "CSC")
    c = charge(make_spec(MATMUL), machine("CSR"), {"A": held, "B": np.eye(6)})
    assert (c.conversions[0].moves.reads, c.conversions[0].moves.writes) == (4, 4)
    bridged = Tensor.from_dense(np.eye(6), "[m,k] k%2:C k/2:U m:R(1)")
    stages = charge(make_spec(MATMUL), machine("CSR"), {"A": bridged, "B": np.eye(6)}).conversions[
        0
    ]
    assert stages.stages[1].reads > 6
    assert all(stage.writes == 6 for stage in stages.stages[1:])


# ---- expected, from a density -----------------------------------------------------------


def test_of_fixed_counts_the_expected_transpose_is_the_exact_one() -> None:
    density, design = Density((8, 6), 0.25), machine("CSR")
    expected = transpose(density, "CSC", "CSR", design)
    exact = transpose(Tensor.from_dense(density.sample(3), "COO"), "CSC", "CSR", design)
    assert expected == exact
    held = {"A": Tensor.from_dense(density.sample(4), "CSC"), "B": np.eye(6)}
    assert charge(make_spec(MATMUL), design, held).conversions == (exact,)


def test_the_expected_transpose_is_the_mean_of_exact_ones() -> None:
    density, design = Density((20, 30), 0.1), machine("RLE(2)")
    expected = transpose(density, "[m,k] k:C m:C", "RLE(2)", design)
    exact = [
        transpose(Tensor.from_dense(density.sample(seed), "COO"), "[m,k] k:C m:C", "RLE(2)", design)
        for seed in range(200)
    ]
    for bits in ("read_bits", "write_bits"):
        drawn = np.array([getattr(made.moves, bits) for made in exact], float)
        error = abs(getattr(expected.moves, bits) - drawn.mean())
        assert error <= 4 * drawn.std() / np.sqrt(len(drawn)) + 22  # entries are rounded


def test_what_needs_no_sort_is_refused() -> None:
    with pytest.raises(ArchError, match=r"transpose\(\) of W: CSR and COO ask for no sort"):
        transpose(Density((8, 6), 0.5), "CSR", "COO", machine("CSR"), name="W")


def test_an_array_has_no_order_and_an_architecture_has_a_name() -> None:
    with pytest.raises(TensorError, match="W: expected a Tensor or a Density, found ndarray\nMake"):
        transpose(np.eye(3), "CSC", "CSR", "scnn", name="W")  # type: ignore[arg-type]
    x = Density((8, 6), 0.5)
    assert transpose(x, "CSC", "CSR", "scnn") == transpose(x, "CSC", "CSR", arch("scnn"))


def test_log2_is_the_width_of_a_coordinate() -> None:
    made = transpose(Density((100, 5), 0.2), "CSC", "CSR", machine("CSR"))
    assert made.target.levels[1].field_bits == ceil(log2(5))
    assert made.source.levels[1].field_bits == ceil(log2(100))
