"""Cascades: the sum of their lines, each charged as a layer of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layers import one_pe

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError, EinsumError, TensorError, ZeroskipError
from zeroskip.formats.density import Density
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel import Mapping, arch, cascade_charging, charge, charge_cascade, compare

LINES = (
    "S[i,j] = relu(Q[i,k]*K[j,k])",
    "M[i] max= S[i,j]",
    "Z[i,c] = S[i,j]*V[j,c]",
)


def operands() -> dict[str, np.ndarray]:
    shapes = {"Q": (6, 4), "K": (6, 4), "V": (6, 5)}
    return {n: Density(s, 0.5).sample(seed) for seed, (n, s) in enumerate(shapes.items())}


def one_by_one(name: str, given: dict[str, Any]) -> list[Any]:
    """Each line as a layer, on results that NumPy computes."""
    plain = {n: np.asarray(x) for n, x in given.items()}
    s = np.maximum(plain["Q"] @ plain["K"].T, 0)
    known = {**given, "S": s, "M": s.max(1), "Z": s @ plain["V"]}
    specs = [make_spec(line) for line in LINES]
    reads = [{*spec.operands, *spec.results} for spec in specs]
    return [
        charge(spec, arch(name), {n: x for n, x in known.items() if n in names})
        for spec, names in zip(specs, reads, strict=True)
    ]


@pytest.mark.parametrize("name", ["dense", "eyeriss", "scnn"])
def test_a_cascade_is_the_sum_of_its_lines(name: str) -> None:
    given: dict[str, Any] = operands()
    given["K"] = Tensor.from_dense(given["K"], "CSR")
    whole = charge_cascade(make_spec("; ".join(LINES)), name, given)
    parts = one_by_one(name, given)
    for made, line in zip(whole.lines.values(), parts, strict=True):
        assert made.table().rows == line.table().rows
        assert made.moves().rows == line.moves().rows
        assert (made.accounting, made.assumptions) == (line.accounting, line.assumptions)
    for figure in ("cycles", "compute_cycles", "energy_pj", "busy", "worked", "additions"):
        assert getattr(whole, figure) == pytest.approx(sum(getattr(p, figure) for p in parts))
    for key, number in whole.ops.items():
        assert number == sum(p.ops[key] for p in parts)
    assert np.array_equal(whole.work_per_pe, sum(p.work_per_pe for p in parts))
    for level in ("DRAM", "GLB", "PE", "network"):
        assert whole.level(level).bits == sum(p.level(level).bits for p in parts)
    assert whole.baseline.cycles == sum(p.baseline.cycles for p in parts)
    assert whole.speedup == whole.baseline.cycles / whole.cycles
    assert whole.conversions == tuple(made for p in parts for made in p.conversions)
    slowest = max(parts, key=lambda p: p.cycles)
    assert whole.bound_by == f"{slowest.bound_by} of {slowest.layer.target.tensor}"


def test_an_intermediate_is_spilled_with_its_real_zeros() -> None:
    """S is written once, and read by two lines; only what relu leaves of it."""
    given = operands()
    whole = charge_cascade(make_spec("; ".join(LINES)), "scnn", given)
    left = np.count_nonzero(np.maximum(given["Q"] @ given["K"].T, 0))
    moved = whole.at("DRAM", "S")
    assert (moved.writes, moved.reads) == (left, 2 * left)
    assert 0 < left < 36
    assert whole.lines["Z"].at("DRAM", "S").reads == left
    assert any(
        text.startswith("lines run one after the other, none fused: each result is written to DRAM")
        for text in whole.assumptions
    )
    assert "S: relu of each result" in whole.missing
    assert "control, clock, leakage, area" in whole.missing


def test_a_line_that_a_call_leaves_out_is_named() -> None:
    said = (
        "every line is computed, also M, which the last does not need and a call of the layer "
        "leaves out"
    )
    assert said in charge_cascade(make_spec("; ".join(LINES)), "scnn", operands()).assumptions
    needed = charge_cascade(make_spec("; ".join((LINES[0], LINES[2]))), "scnn", operands())
    assert not any(text.startswith("every line is computed") for text in needed.assumptions)


def test_a_cascade_in_print() -> None:
    whole = charge_cascade(make_spec("; ".join(LINES)), "scnn", operands())
    rows = {row["figure"]: row for row in whole.table()}
    assert rows["cycles"]["scnn"] == whole.cycles
    assert rows["cycles"]["dense baseline"] == whole.baseline.cycles
    by_line = {row["figure"]: row for row in whole.by_line()}
    parts = [by_line["cycles"][name] for name in "SMZ"]
    assert sum(parts) == by_line["cycles"]["all"] == whole.cycles
    assert "S: order k i j; sync k;" in repr(whole)
    assert sum(row["energy"] for row in whole.moves()) == pytest.approx(
        whole.energy_pj - whole.energy["multiply"] - whole.energy["add"]
    )
    assert whole.accounting.count("# ---- ") == 3
    make_spec(whole.accounting)


def test_an_operand_that_two_lines_transpose_counts_twice() -> None:
    a = Tensor.from_dense(Density((6, 6), 0.5).sample(0), "CSC")
    design = arch(one_pe(formats={"A": {"DRAM": "CSR", "GLB": "U"}}))
    spec = make_spec("T[i] = A[i,k]*x[k]; y[i] = A[i,k]*T[k]")
    whole = charge_cascade(spec, design, {"A": a, "x": np.ones(6)})
    assert len(whole.conversions) == 2
    rows = {row["figure"]: row["one PE"] for row in whole.table()}
    each = whole.lines["y"].conversions[0]
    assert rows["transpose of A, data"] == 2 * each.moves.data_bits
    assert rows["energy, transpose of A"] == 2 * each.energy_pj
    assert whole.at("DRAM", "transpose of A") == each.moves + each.moves


def test_each_line_takes_a_mapping_of_its_own() -> None:
    spec, given = make_spec("; ".join(LINES)), operands()
    mapping = Mapping("i k j", space={}, sync="i")
    whole = charge_cascade(spec, "scnn", given, {"S": mapping})
    assert whole.mapping["S"].order == ("i", "k", "j")
    default = charge_cascade(spec, "scnn", given)
    assert whole.lines["Z"].table().rows == default.lines["Z"].table().rows
    with pytest.raises(ArchError, match="mapping names Q, which no line computes: S, M, Z"):
        charge_cascade(spec, "scnn", given, {"Q": mapping})
    with pytest.raises(ArchError, match=r"mapping of S: expected a Mapping, found 'i k j'\nWrite"):
        charge_cascade(spec, "scnn", given, {"S": "i k j"})  # type: ignore[dict-item]


def test_padding_belongs_to_the_line_that_reads_it() -> None:
    spec = make_spec("T[p] = I[p+r]*F[r]; O[p] = T[p]*T[p]", pad={"I": 1})
    whole = charge_cascade(spec, "dense", {"I": np.ones(6), "F": np.ones(3)})
    said = "a padding tap is an operation on a zero"
    assert any(text.startswith(said) for text in whole.lines["T"].assumptions)
    assert not any(text.startswith(said) for text in whole.lines["O"].assumptions)
    assert (whole.lines["T"].ops["dense"], whole.lines["O"].ops["dense"]) == (18, 6)


@pytest.mark.parametrize("name", ["dense", "eyeriss", "scnn"])
@pytest.mark.parametrize(("op", "end"), [("min", np.inf), ("max", -np.inf)])
def test_paths_of_paths_count_what_there_is(name: str, op: str, end: float) -> None:
    """The result of the first line has its infinities, which are nothing in the second."""
    mask = sparse = Density((5, 5), 0.3).sample(0) != 0
    roads = np.where(mask, 1.0, end)
    text = f"D[i,j] {op}= A[i,k] + A[k,j]; E[i,j] {op}= D[i,k] + D[k,j]"
    whole = charge_cascade(make_spec(text), name, {"A": Tensor.from_dense(roads, "CSR", fill=end)})
    for line in whole.lines.values():
        pairs = sparse.astype(int) @ sparse.astype(int)
        assert line.ops["effectual"] == pairs.sum()
        sparse = pairs > 0
    assert 0 < pairs.sum() < 125
    second = {"D": np.where(mask.astype(int) @ mask.astype(int), 2.0, end)}
    alone = make_spec(text.partition("; ")[2])
    given = {n: Tensor.from_dense(x, "dense", fill=end) for n, x in second.items()}
    assert whole.lines["E"].table().rows == charge(alone, arch(name), given).table().rows


def test_a_dense_operand_of_paths_is_dense_in_every_line() -> None:
    """Without a fill an infinity is a value, also in lines of another kind."""
    roads = np.where(Density((4, 4), 0.3).sample(0), 1.0, np.inf)
    spec = make_spec("D[i,j] min= A[i,k] + A[k,j]; y[i] max= D[i,j]")
    dense = charge_cascade(spec, "scnn", {"A": roads})
    assert [line.ops["effectual"] for line in dense.lines.values()] == [
        line.ops["dense"] for line in dense.lines.values()
    ]
    filled = {"A": Tensor.from_dense(roads, "CSR", fill=np.inf)}
    other = charge_cascade(spec, "scnn", filled).lines["y"]
    assert other.table().rows == dense.lines["y"].table().rows


@pytest.mark.parametrize("name", ["eyeriss", "scnn"])
def test_a_name_that_is_a_role_means_the_role(name: str) -> None:
    """O is a result, then an input; the next result is named I, and its input is not."""
    given = {"A": Density((4, 4), 0.5).sample(0), "F": Density((4, 4), 0.5).sample(1)}
    given["G"] = Density((4, 4), 0.5).sample(2)
    texts = "{}[n,m] = A[n,c]*F[m,c]; {}[n,k] = {}[n,m]*G[k,m]"
    found = []
    for first, last in (("O", "I"), ("S", "Z")):
        spec = make_spec(texts.format(first, last, first))
        mappings = {
            first: Mapping(roles={"A": "I", "F": "F"}),
            last: Mapping(roles={first: "I", "G": "F"}),
        }
        found.append(charge_cascade(spec, name, given, mappings))
    assert found[0].table().rows == found[1].table().rows
    for a, b in zip(found[0].lines.values(), found[1].lines.values(), strict=True):
        assert [m for _, m in a.traffic.items()] == [m for _, m in b.traffic.items()]
        renamed = [said.replace("decodes O", "decodes S") for said in a.missing]
        assert sorted(renamed) == sorted(b.missing)


@pytest.mark.parametrize(
    ("last", "kind", "said"),
    [
        ("Z[i] = " + "*".join(["S[i,j]"] * 7), EinsumError, "a product of 7 operands"),
        ("Z[i,c] = S[i,j]*W[j,c]", TensorError, "W has fill 1"),
    ],
)
def test_a_line_that_cannot_be_charged_is_named_before_anything_runs(
    last: str, kind: type[ZeroskipError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cascade_charging, "evaluate", lambda *_: pytest.fail("the cascade was run"))
    given: dict[str, Any] = {"Q": np.eye(3), "K": np.eye(3)}
    if "W" in last:
        given["W"] = Tensor.from_dense(np.eye(3), "CSR", fill=1)
    with pytest.raises(kind) as caught:
        charge_cascade(make_spec(f"{LINES[0]}; {last}"), "scnn", given)
    message = str(caught.value)
    assert message.startswith("the line of Z cannot be charged, and so the cascade cannot\n  Z[i")
    assert said in message


CASCADES: dict[str, tuple[str, dict[str, Any]]] = {
    "chain": (
        "T[i,j] = relu(A[i,k]*B[k,j]); Z[i,c] = T[i,j]*V[j,c]",
        {"A": Density((24, 12), 0.15), "B": Density((12, 32), 0.2), "V": Density((32, 16), 0.4)},
    ),
    "attention": (
        "S[i,j] = M[i,j]*Q[i,k]*K[j,k]; Z[i,c] = S[i,j]*V[j,c]",
        {
            **{"M": Density((24, 24), 0.3), "Q": Density((24, 8), 0.4)},
            **{"K": Density((24, 8), 0.4), "V": Density((24, 12), 0.6)},
        },
    ),
    "network": (
        "T[m,p,q] = relu(I[c,p+r,q+s]*F[m,c,r,s]); O[k,p,q] = T[m,p,q]*G[k,m]",
        {
            **{"I": Density((3, 10, 10), 0.2), "F": Density((8, 3, 3, 3), 0.3)},
            "G": Density((12, 8), 0.5),
        },
    ),
    "real beside drawn": (
        "T[i,j] = A[i,k]*B[k,j]; Y[i,j] = T[i,j]*C[i,j]; Z[i,c] = Y[i,j]*V[j,c]",
        {
            **{"A": Density((16, 6), 0.3).sample(0), "B": Density((6, 16), 0.4).sample(1)},
            **{"C": Density((16, 16), 0.5), "V": Density((16, 12), 0.4)},
        },
    ),
}


@pytest.mark.parametrize("name", ["dense", "eyeriss", "scnn"])
@pytest.mark.parametrize("case", CASCADES)
def test_an_expected_cascade_is_the_mean_of_drawn_ones(case: str, name: str) -> None:
    """A line of operands alone is the mean; those after it are within a tenth."""
    text, given = CASCADES[case]
    spec, rng = make_spec(text), np.random.default_rng(0)
    expected = charge_cascade(spec, name, given)
    charges = []
    for _ in range(40):
        drawn = {n: x.sample(rng) if isinstance(x, Density) else x for n, x in given.items()}
        charges.append(charge_cascade(spec, name, drawn))
    for line, made in expected.lines.items():
        effectual = np.array([c.lines[line].ops["effectual"] for c in charges], float)
        error = 5 * effectual.std(ddof=1) / np.sqrt(len(charges))
        estimated = made.tags["ops"] == "approximate"
        slack = 0.1 * effectual.mean() if estimated else 1e-9 * effectual.mean()
        assert abs(made.ops["effectual"] - effectual.mean()) <= error + slack, line
        assert made.ops["dense"] == pytest.approx(sum(made.ops.values()) - made.ops["dense"])
    for figure in ("energy_pj", "busy", "compute_cycles", "cycles"):
        found = np.array([getattr(c, figure) for c in charges], float)
        error = 5 * found.std(ddof=1) / np.sqrt(len(charges))
        assert abs(getattr(expected, figure) - found.mean()) <= error + 0.1 * found.mean(), figure
    total = sum(made.ops["effectual"] for made in expected.lines.values())
    assert expected.ops["effectual"] == pytest.approx(total)


def test_an_expected_cascade_says_how_sure_it_is() -> None:
    text, given = CASCADES["chain"]
    whole = charge_cascade(make_spec(text), "scnn", given)
    assert whole.lines["T"].tags["ops"] == "exact in expectation"
    assert set(whole.lines["Z"].tags.values()) == {"approximate"}
    assert set(whole.tags.values()) == {"approximate"}
    said = "Z: T: density 0.153, the mean of its line, where points are independent of each other"
    assert any(line.startswith(said) for line in whole.assumptions)
    text, given = CASCADES["real beside drawn"]
    read = {n: given[n] for n in "ABC"}
    mixed = charge_cascade(make_spec(text.rpartition("; ")[0]), "scnn", read)
    assert mixed.lines["T"].tags["ops"] == "exact"
    assert mixed.tags["ops"] == "exact in expectation"
    real = charge_cascade(make_spec("; ".join(LINES)), "scnn", operands())
    assert set(real.tags.values()) == {"exact"}
    table = compare(real, whole)
    assert table.names[2:] == ("scnn", "scnn, expected", "scnn, expected / scnn")


@pytest.mark.parametrize("figure", ["effectual", "skipped", "energy_pj"])
def test_a_formula_of_a_cascade_has_the_densities_of_its_operands(figure: str) -> None:
    text, given = CASCADES["chain"]
    whole = charge_cascade(make_spec(text), "scnn", given)
    formula = whole.formula(figure)
    assert {str(s) for s in formula.free_symbols} == {"d_A", "d_B", "d_V"}
    shares = {f"d_{n}": x.model.share for n, x in given.items()}
    number = whole.energy_pj if figure == "energy_pj" else whole.ops[figure]
    assert float(whole.function(figure)(**shares)) == pytest.approx(number, rel=1e-9)
    with pytest.raises(ArchError, match="no closed formula of the cycles of scnn"):
        whole.formula("cycles")
    real = charge_cascade(make_spec("; ".join(LINES)), "scnn", operands())
    with pytest.raises(ArchError, match="counts real operands and has numbers only"):
        real.formula(figure)


def test_a_cascade_refuses_a_sweep_and_units_by_name() -> None:
    given = {**operands(), "V": Density((6, 5), [0.5, 0.6])}
    with pytest.raises(TensorError, match="V is a sweep over 2 densities, and a charge has one"):
        charge_cascade(make_spec("; ".join(LINES)), "scnn", given)
