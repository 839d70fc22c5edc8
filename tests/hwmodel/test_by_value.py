"""Figures that the field publishes: a course's labs, Sparseloop's tutorial, the book's chapter on
sparsity; each is in the test as it is printed there."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import FormatError, TensorError
from zeroskip.formats.format import Format
from zeroskip.hwmodel import expected_cycles, expected_storage

SHAPE = (8, 8)


def one_pe(*features: str, **formats: str) -> dict[str, Any]:
    """A single multiplier, three levels without limits."""
    return {
        "name": "one",
        "array": {"pe": 1},
        "sync": "none",
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "sparse": list(features),
        "formats": {name: {"DRAM": text} for name, text in formats.items()},
    }


# ---- what Sparseloop's rounding makes of CSR (course lab 4, part 4.1) ----------------------


@pytest.mark.parametrize(
    ("density", "data", "format_words"),
    [(0.2, 13, 25), (0.4, 26, 41), (0.6, 39, 49), (0.8, 52, 65), (1.0, 64, 73)],
)
def test_words_of_csr_as_sparseloop_rounds_them(density, data, format_words):
    price = expected_storage(zs.Density(SHAPE, density), "CSR", 16, rounding="sparseloop")
    assert price.stored == data
    assert sum(level.pointers + level.fields for level in price.levels) == format_words


def test_a_real_matrix_of_13_entries_has_22_words_of_format():
    array = zs.Density(SHAPE, 0.2).sample(3)
    real = zs.tensor(array, "CSR").storage(16)
    assert real.stored == 13
    assert sum(level.pointers + level.fields for level in real.levels) == 22
    assert expected_storage(zs.Density(SHAPE, 0.2), "CSR", 16) == real


@pytest.mark.parametrize(
    "text", ["CSR", "CSC", "COO", "C C", "bitmask", "a:C b:U", "dense", "U R(2)"]
)
@pytest.mark.parametrize("density", [0.0, 0.03, 0.5, 1.0])
def test_sparseloop_rounds_to_no_less_than_the_mean(text, density):
    bound = Format(text).bind(2)
    given = zs.Density((8, 6), density)
    low, high = (expected_storage(given, bound, 8, rounding=r) for r in ("mean", "sparseloop"))
    assert high.stored >= low.stored
    for more, less in zip(high.levels, low.levels, strict=True):
        assert (more.fields, more.pointers) >= (less.fields, 0)
    if density in (0.0, 1.0):
        assert high == low


def test_a_rounding_that_nobody_knows():
    with pytest.raises(
        TensorError, match="rounding: expected one of 'mean', 'sparseloop'; found 'up'"
    ):
        expected_storage(zs.Density(SHAPE, 0.5), "CSR", 8, rounding="up")


def test_what_has_no_expected_storage():
    for bits in (0, -8, 65):
        with pytest.raises(FormatError, match=f"expected value_bits in 1 .. 64, found {bits}"):
            expected_storage(zs.Density(SHAPE, 0.5), "CSR", bits)
    with pytest.raises(TensorError, match=r"expected a Density, found 3\nA tensor has .storage"):
        expected_storage(3, "CSR", 8)


# ---- gating and skipping a vector of six (book, chapter 8) ---------------------------------

A = np.array([0, 0, 3, 4, 0, 6.0])
B = np.array([7, 8, 0, 1, 2, 3.0])


@pytest.mark.parametrize(
    ("features", "figures"),
    [
        ([], (6, 6, 6, 6)),
        (["gate B,z on A @MAC"], (6, 6, 3, 3)),
        (["skip B on A"], (3, 3, 3, 3)),
        (["skip A,B"], (2, 2, 2, 2)),
    ],
    ids=["dense", "gate B on A", "skip B on A", "skip both"],
)
def test_cycles_reads_and_computes_of_six_places(features, figures):
    stored = {name: "C" for name in ("A", "B") if name in "".join(features).replace("gate B", "")}
    formats = stored if "skip" in "".join(features) else {}
    c = zs.charge("z = A[k]*B[k]", one_pe(*features, **formats), A=A, B=B)
    computes = c.ops["effectual"] + c.ops["ineffectual"]
    reads = [c.at("PE", name).reads for name in "AB"]
    assert (c.compute_cycles, *reads, computes) == figures
    assert c.ops["effectual"] == 2


# ---- dot products and products of matrices (Sparseloop's tutorial) --------------------------


@pytest.mark.parametrize(
    ("features", "formats", "cycles", "computes"),
    [([], {}, 16, 16), (["gate B,z on A @MAC"], {}, 16, 4), (["skip B on A"], {"A": "C"}, 4, 4)],
    ids=["dense", "gated", "skipped"],
)
def test_a_dot_product_of_sixteen_at_a_quarter(features, formats, cycles, computes):
    design = one_pe(*features, **formats)
    given = {"A": zs.Density((16,), 0.25), "B": zs.Density((16,), 1.0)}
    drawn = {name: density.sample(5) for name, density in given.items()}
    for operands in (given, drawn):
        c = zs.charge("z = A[k]*B[k]", design, **operands)
        assert c.compute_cycles == pytest.approx(cycles)
        assert c.ops["effectual"] + c.ops["ineffectual"] == pytest.approx(computes)
        assert c.worked / c.compute_cycles == pytest.approx(computes / cycles)


def test_a_product_of_eight_by_eight_at_a_quarter_and_a_half():
    design = one_pe("skip A,B", A="CSR", B="CSR")
    given = {"A": zs.Density(SHAPE, 0.25), "B": zs.Density(SHAPE, 0.5)}
    c = zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, **given)
    assert c.ops["effectual"] == pytest.approx(64)
    assert c.ops["dense"] == 512
    price = expected_storage(given["A"], "CSR", 8, rounding="sparseloop")
    rows, columns = price.levels
    assert (columns.fields, columns.pointers + rows.pointers) == (16, 9)


@pytest.mark.parametrize(
    ("shares", "effectual", "ineffectual"),
    [((1.0, 1.0), 512, 0), ((0.5, 1.0), 256, 256), ((0.5, 0.5), 128, 384)],
)
def test_effectual_multiplications_of_a_product(shares, effectual, ineffectual):
    given = {name: zs.Density(SHAPE, share) for name, share in zip("AB", shares, strict=True)}
    c = zs.charge("Z[m,n] = A[m,k]*B[k,n]", one_pe(), **given)
    assert c.ops["effectual"] == pytest.approx(effectual)
    assert c.ops["ineffectual"] == pytest.approx(ineffectual)


# ---- what a density does not see (course lab 4, part 5) -------------------------------------

EYE = np.eye(8)
COLUMN, ROW, LAST = np.zeros(SHAPE), np.zeros(SHAPE), np.zeros(SHAPE)
COLUMN[:, 0] = ROW[0] = LAST[7] = 1


@pytest.mark.parametrize(("a", "b", "real"), [(EYE, EYE, 8), (COLUMN, ROW, 64), (COLUMN, LAST, 0)])
def test_eight_are_predicted_whatever_they_are(a, b, real):
    design = one_pe("skip A,B", A="C", B="C")
    line = "Z[m,n] = A[m,k]*B[k,n]"
    eighth = zs.Density(SHAPE, 1 / 8)
    assert zs.charge(line, design, A=eighth, B=eighth).ops["effectual"] == pytest.approx(8)
    assert zs.charge(line, design, A=a, B=b).ops["effectual"] == real
    measured = {"A": zs.Density.profile(a, axes=1), "B": zs.Density.profile(b, axes=0)}
    assert zs.charge(line, design, **measured).ops["effectual"] == pytest.approx(real)


# ---- Sparseloop's format study: 128^3, coordinates and skipping -------------------------------

STUDY = {
    Fraction(3, 256): 34_056,
    Fraction(2, 100): 58_124,
    Fraction(4, 100): 116_247,
    Fraction(8, 100): 232_490,
    Fraction(26, 256): 295_152,
    Fraction(51, 256): 578_952,
    Fraction(102, 256): 1_157_904,
    Fraction(205, 256): 3_698_200,
}
"""The density in Sparseloop's file, and its cycles; .01, .1, .2, .4 and .8 are whole 256ths."""

FORMATS = dict.fromkeys(("DRAM", "GLB", "Reg"), "C(14)")


def study(density, formats=FORMATS, sparse=("skip A on B @Reg", "skip A,B")):
    """A comes 128 times and B once, two words of 8 bits a cycle; into the register A where B has an
    entry, a word a cycle."""
    machine = {
        "array": {"pe": 1},
        "value_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {
            "DRAM": {"read_bits_per_cycle": 16},
            "GLB": {"read_bits_per_cycle": 8},
            "Reg": {},
        },
        "sparse": list(sparse),
        "formats": {"A": formats, "B": formats},
    }
    order = "n k @GLB(A) @Reg(B) m @Reg(A)"
    mapping = zs.Mapping(order, space={}, sync="n", keep={"GLB": "A"})
    drawn = zs.Density((128, 128), float(density))
    return zs.charge("Z[m,n] = A[m,k]*B[k,n]", machine, A=drawn, B=drawn, mapping=mapping)


@pytest.mark.parametrize("density", STUDY, ids=str)
def test_cycles_of_the_format_study_by_expectation(density):
    """The mean is the published figure where the density is that of a matrix, and whole accesses
    have it everywhere: entries rounded up, their coordinates in whole words, cut."""
    charged, published = study(density), STUDY[density]
    rounded = expected_cycles(charged, rounding="sparseloop")
    assert max(rounded.values()) == published

    def words(entries):
        return ceil(entries) + 14 * ceil(entries) // 8

    read = -(-(words(128**3 * density) + words(128**2 * density)) // 2)
    assert (rounded["DRAM"], rounded["GLB"]) == (read, words(128**3 * density**2))
    entries = round(128**2 * density)
    share = entries / 128**2
    mean = 2.75 * max(129 * entries / 2, 128**3 * share**2)
    assert charged.cycles == pytest.approx(mean, rel=1e-12)
    if share == density:
        assert charged.cycles == pytest.approx(published, rel=1e-12)
    else:
        assert 40 < abs(charged.cycles - published) < 70


@pytest.mark.parametrize("density", STUDY, ids=str)
def test_cycles_of_bitmasks_and_gating_by_expectation(density):
    """Every point takes its cycle, and Z is written after them, at whatever density."""
    masks = dict.fromkeys(FORMATS, "B")
    gating = study(density, masks, ("gate A,Z on B @MAC", "gate B,Z on A @MAC"))
    rounded = expected_cycles(gating, rounding="sparseloop")
    assert rounded["compute"] + gating.at("DRAM", "Z").writes == 2_113_536
