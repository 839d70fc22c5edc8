"""Expected charges: means over drawn operands, and what each is worth."""

from dataclasses import replace

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError, EinsumError, TensorError
from zeroskip.hwmodel import evaluate, order_statistics
from zeroskip.hwmodel.expected import geometry_of
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.sampled import draws_of

CONV = "O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]"
CASES = {
    "conv": (zs.layer(CONV, pad=1), {"I": (1, 4, 6, 7), "F": (6, 4, 3, 3)}),
    "stride": (
        zs.layer("O[n,m,p,q] = I[n,c,2*p+r,2*q+s]*F[m,c,r,s] + B[m]"),
        {"I": (2, 3, 9, 9), "F": (5, 3, 3, 3), "B": (5,)},
    ),
    "product": (zs.layer("Z[m,n] = A[m,k]*B[k,n]"), {"A": (48, 12), "B": (12, 40)}),
    "three": (
        zs.layer("Z[m,n] = A[m,k]*B[k,n]*C[m,n]"),
        {"A": (12, 6), "B": (6, 16), "C": (12, 16)},
    ),
}
SHARES = (0.15, 0.4, 0.7)
DRAWS = 60


def drawn(shapes, seed=0):
    rng = np.random.default_rng(seed)
    given = {n: zs.Density(s, SHARES[k % 3]) for k, (n, s) in enumerate(shapes.items())}
    return given, [{n: d.sample(rng) for n, d in given.items()} for _ in range(DRAWS)]


def means(charges, figure):
    values = np.array([figure(c) for c in charges], float)
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("arch", ["dense", "eyeriss", "scnn"])
@pytest.mark.parametrize("case", CASES)
def test_means_of_drawn_operands_agree_with_what_is_expected(case, arch):
    layer, shapes = CASES[case]
    given, draws = drawn(shapes)
    ones = np.ones(layer(**draws[0]).shape)  # the result's own zeros are another estimate
    target = layer.spec.results[-1]
    expected = zs.charge(layer, arch, **given, **{target: ones})
    charges = [zs.charge(layer, arch, **draw, **{target: ones}) for draw in draws]
    for name, value in expected.ops.items():
        mean, error = means(charges, lambda c: c.ops[name])  # noqa: B023
        assert abs(value - mean) <= 5 * error + 1e-9, name
    assert expected.tags["ops"] == "exact in expectation"
    for figure in ("energy_pj", "busy", "worked"):
        mean, error = means(charges, lambda c: getattr(c, figure))  # noqa: B023
        slack = 2e-3 * mean if figure == "energy_pj" else 0  # pointers, and bridges of runs
        assert abs(getattr(expected, figure) - mean) <= 5 * error + slack + 1e-9, figure
    mean, error = means(charges, lambda c: c.compute_cycles)
    slack = 0.25 if case == "three" else 0.1
    assert abs(expected.compute_cycles - mean) <= 5 * error + slack * mean
    assert expected.tags["cycles"] in ("approximate", "bound")
    least = [max(expected.bandwidth_cycles.values()), expected.compute_cycles]
    assert expected.cycles == max(least)


@pytest.mark.parametrize("case", CASES)
def test_full_and_empty_operands_are_charged_to_the_integer(case):
    layer, shapes = CASES[case]
    for share, make in ((1.0, np.ones), (0.0, np.zeros)):
        real = zs.charge(layer, "scnn", **{n: make(s) for n, s in shapes.items()})
        full = zs.charge(layer, "scnn", **{n: zs.Density(s, share) for n, s in shapes.items()})
        assert full.ops == real.ops
        assert full.compute_cycles == real.compute_cycles
        assert np.array_equal(full.work_per_pe, real.work_per_pe)
        assert {k: m.reads for k, m in full.traffic.items()} == {
            k: m.reads for k, m in real.traffic.items()
        }


def test_a_real_operand_beside_a_density_counts_as_it_is():
    rng = np.random.default_rng(3)
    weights = zs.Density((4, 3, 3, 3), 0.5).sample(rng)
    density = zs.Density((1, 3, 6, 6), 0.5)
    mixed = zs.charge(CONV, "scnn", I=density, F=weights)
    per_place = zs.charge(CONV, "scnn", I=np.ones(density.shape), F=weights)
    assert mixed.ops["effectual"] == pytest.approx(0.5 * per_place.ops["effectual"])
    assert mixed.at("GLB", "F").reads == per_place.at("GLB", "F").reads


def test_formulas_give_the_figures():
    given = {"I": zs.Density((1, 4, 6, 6), 0.5), "F": zs.Density((6, 4, 3, 3), 0.25)}
    charge = zs.charge(CONV, "scnn", **given)
    at = {"d_I": 0.5, "d_F": 0.25}
    for name in ("effectual", "skipped"):
        assert float(charge.formula(name).subs(at)) == pytest.approx(charge.ops[name])
    assert float(charge.formula("energy_pj").subs(at)) == pytest.approx(charge.energy_pj, rel=1e-6)
    assert str(charge.formula("effectual")) == f"{6 * 4 * 9 * 16}*d_F*d_I"
    with pytest.raises(ArchError, match="no closed formula of the cycles of scnn"):
        charge.formula("cycles")
    listed = replace(zs.arch("scnn"), formats={r: {"DRAM": "COO", "GLB": "C"} for r in "IF"})
    coordinates = zs.charge(CONV, listed, **given)
    found = float(coordinates.formula("energy_pj").subs(at))
    assert found == pytest.approx(coordinates.energy_pj, rel=1e-6)
    assert coordinates.energy_pj != charge.energy_pj
    real = zs.charge(CONV, "scnn", **{n: d.sample(0) for n, d in given.items()})
    assert real.tags["ops"] == "exact"
    with pytest.raises(ArchError, match="counts real operands and has numbers only"):
        real.formula("energy_pj")


@pytest.mark.parametrize(("places", "runs"), [((1, 4, 6, 6), 5), ((1, 2, 40, 40), 2)])
def test_formulas_have_run_lengths(places, runs):
    """Few bridges have a term each, many a closed form; an empty operand has none."""
    design = replace(zs.arch("eyeriss"), formats={"I": {"DRAM": f"RLE({runs})", "GLB": "U"}})
    density = zs.Density(places, 0.1)
    found = zs.charge(CONV, design, I=density, F=np.ones((6, places[1], 3, 3)))
    made = found.function("energy_pj")
    with np.errstate(all="ignore"):
        energies = made(d_I=np.array([0.0, 0.1, 1.0]))
    # a draw is without replacement, the formula with it
    assert energies[1] == pytest.approx(found.energy_pj, rel=3e-3)
    for share, energy in ((0.0, energies[0]), (1.0, energies[2])):
        other = zs.charge(
            CONV, design, I=zs.Density(places, share), F=np.ones((6, places[1], 3, 3))
        )
        pointers = 64 * 300 / 16  # their width is that of the density of the charge
        assert energy == pytest.approx(other.energy_pj, abs=pointers)


def test_correlated_patterns_are_what_a_density_does_not_see():
    """Eight entries each: identity times identity, a column times a row (course lab 4, part 5)."""
    shape, text = (8, 8), "Z[m,n] = A[m,k]*B[k,n]"
    predicted = zs.charge(text, "scnn", A=zs.Density(shape, 1 / 8), B=zs.Density(shape, 1 / 8))
    column, row, last = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    column[:, 0] = row[0] = last[7] = 1
    real = [
        zs.charge(text, "scnn", A=a, B=b).ops["effectual"]
        for a, b in ((np.eye(8), np.eye(8)), (column, row), (column, last))
    ]
    assert predicted.ops["effectual"] == pytest.approx(8)
    assert real == [8, 64, 0]


def test_assumptions_say_what_was_taken_for_granted():
    charge = zs.charge(
        CONV, "scnn", I=zs.Density((1, 2, 6, 6), 0.5), F=zs.Density((4, 2, 3, 3), 0.5)
    )
    text = "\n".join(charge.assumptions)
    assert "I: 36 of 72 places, anywhere, drawn apart from other operands" in text
    assert "maxima over PEs and steps: means of the largest" in text
    assert "O: density 0.994, off chip" in text
    square = zs.charge("Z[m,n] = A[m,k]*A[k,n]", "scnn", A=zs.Density((6, 6), 0.5))
    assert square.tags["ops"] == "approximate"
    assert "A: its places at one point are independent of each other" in "\n".join(
        square.assumptions
    )
    same = zs.charge("z[m] = A[m,k]*A[m,k]", "scnn", A=zs.Density((6, 6), 0.5))
    assert (same.ops["effectual"], same.tags["ops"]) == (18, "exact in expectation")


def test_what_a_density_cannot_tell_is_refused():
    given = {"A": zs.Density((8, 8), 0.5), "B": zs.Density((8, 8), 0.5)}
    huge = {"A": zs.Density((9000, 9000), 0.5), "B": given["B"]}
    with pytest.raises(TensorError, match="A, B: this design goes by the order of places, and its"):
        draws_of({name: Expected(density) for name, density in huge.items()})
    swept = zs.Density((8, 8), [0.1, 0.5])
    with pytest.raises(TensorError, match="A is a sweep over 2 densities, and a charge has one"):
        zs.charge("Z[m,n] = A[m,k]*B[k,n]", "scnn", A=swept, B=given["B"])


def test_lines_without_an_expectation_are_named():
    arch = zs.arch("scnn")
    charge = zs.charge(CONV, arch, I=np.ones((1, 2, 4, 4)), F=np.ones((2, 2, 3, 3)))
    drawn = {
        "I": Expected(zs.Density((1, 2, 4, 4), 0.5)),
        "F": Expected(zs.Density((2, 2, 3, 3), 0.5)),
    }
    for line, why in (
        ("there[c] |= nzI[n,c,h,w]*nzF[n,c,h,w]", "a tile of several tensors"),
        ("twice max= steps[c]", "the maximum of a maximum"),
        ("both += steps[c]*steps[c]", None),
    ):
        text = f"{charge.accounting}\n{line}"
        accounting = type(charge.cascade)(
            **{
                f: getattr(charge.cascade, f)
                for f in charge.cascade.__dataclass_fields__
                if f != "text"
            },
            text=text,
        )
        if why is None:
            assert geometry_of(accounting, drawn).tags["both"] == "approximate"
            continue
        with pytest.raises(EinsumError, match=f"{why} has no expectation here:\n  .*") as refused:
            geometry_of(accounting, drawn)
        assert line in str(refused.value)


def test_counts_are_those_of_the_engine_where_everything_is_full():
    charge = zs.charge(CONV, "scnn", I=np.ones((1, 2, 6, 6)), F=np.ones((4, 2, 3, 3)))
    full = {
        "I": Expected(zs.Density((1, 2, 6, 6), 1.0)),
        "F": Expected(zs.Density((4, 2, 3, 3), 1.0)),
    }
    real = {n: evaluate.Operand(x.shape, np.ones(x.shape)) for n, x in full.items()}
    found = geometry_of(charge.cascade, full).counts({"I": 1.0, "F": 1.0})
    counts = evaluate.counts(charge.cascade, real)
    assert len(found) > 10
    for name, count in found.items():
        assert np.array_equal(count, counts[name]), name


@pytest.mark.parametrize(
    ("size", "held", "share"), [(400, 25, 0.02), (400, 100, 0.3), (64, 8, 0.9)]
)
def test_the_mean_of_the_largest_of_drawn_counts(size, held, share):
    """So many places in each of 16 tiles: the largest number of entries in one."""
    rng = np.random.default_rng(5)
    entries = round(share * size)
    counts = rng.hypergeometric(entries, size - entries, held, (4000, 16))
    mean = np.full(16, held * share)
    variance = np.full(16, held * share * (1 - share) * (size - held) / (size - 1))
    want = counts.max(axis=1).mean()
    full = np.full(16, float(held))
    assert order_statistics.mean_of_maximum(mean, variance, full) == pytest.approx(want, rel=0.05)
