"""Operands in blocks are walked as they lie: every judge agrees, tails are never visited."""

import numpy as np
import pytest
from generator import random_array

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.explanation.inspecting import choose, executed
from zeroskip.formats.convert import tensor
from zeroskip.formats.expand import axis_coordinates, expand
from zeroskip.native import engine
from zeroskip.native.lines import line_of
from zeroskip.native.show import show

MATRIX = [
    "BSR(2,3)",
    "BSR(1,7)",
    "BSR(8,8)",
    "m:U k/4:U k%4:B",
    "m:C k/4:C k%4:C",
    "[m,k] k/3:U m:U k%3:C",
    "m/16:U k:U m%16:R(1)",
    "m/2:U k:C m%2:U",
    "[m,k] k/2:B m/2:R(1) k%2:H(2:2) m%2:U",
    "m/2:C k/2:S m%2:C k%2:S",
    "m/2:C k:B m%2:H(2:2)",
]
CONVERTED = ["m/2*k/2:C m%2*k%2:U", "m%2:C k:C m/2:U", "m/2*m%2:C k:C"]

LINES = [
    "y[m] = A[m,k] * x[k]",
    "y[k] = A[m,k] * x2[m]",
    "y[m] = relu(b[m] + A[m,k] * x[k])",
    "Y[m,n] = A[m,k] * X[k,n]",
    "Y[n,m] = A[m,k] * X[k,n] + C[n,m]",
    "s = A[m,k] * D[m,k]",
    "Y[m,k] = A[m,k] + D[m,k]",
    "Y[m,k] = A[m,k] * x[k] - D[m,k]",
    "Y[m,n] = A[m,k] * E[k,n]",
    "Y[m,j] = A[m,k] * A[j,k]",
    "y[m] max= A[m,k] * D[m,k]",
    "y[k] max= A[m,k]",
    "Y[m,k] = max(A[m,k], D[m,k])",
    "y[m] += A[m,k] * (k <= m)",
    "t[m] = A[m,m]",
    "y[p] = A[p+r,k] * w[r,k]",
    "Y[p,q] = A[p+r,q+s] * v[r,s]",
]
SHAPES = {
    "A": (5, 7), "D": (5, 7), "E": (7, 6), "x": (7,), "x2": (5,), "b": (5,), "X": (7, 9),
    "C": (9, 5), "w": (3, 7), "v": (2, 2),
}  # fmt: skip
SPARSE = "ADE"


def operands(spec, rng, formats, **changed):
    shapes = SHAPES | changed
    dense = {n: random_array(rng, shapes[n], "float64", 0.4) for n in spec.operands}
    stored = {n: tensor(x, formats[n]) if n in SPARSE else x for n, x in dense.items()}
    return dense, stored


def agree(spec, dense, stored):
    (name,) = spec.results
    want = engine.evaluate(spec, dense, backend="numpy")[name]
    for backend in ("c", "interpreter", "numpy"):
        got = engine.evaluate(spec, stored, backend=backend)[name]
        assert np.array_equal(got, want), (spec.text, stored, backend)


@pytest.mark.parametrize("text", LINES)
def test_the_judges_agree(text):
    rng, spec = np.random.default_rng(1), make_spec(text)
    changed = {"A": (7, 7)} if "A[m,m]" in text else {}
    for k, format in enumerate(MATRIX + CONVERTED):
        formats = {"A": format, "D": MATRIX[(k * 3) % len(MATRIX)], "E": MATRIX[(k * 5) % 4]}
        agree(spec, *operands(spec, rng, formats, **changed))


@pytest.mark.parametrize("shape", [(0, 7), (5, 0), (1, 1), (4, 6)])
def test_shapes_that_are_small_or_divide(shape):
    rng, spec = np.random.default_rng(2), make_spec("y[m] = A[m,k] * x[k]")
    for format in MATRIX:
        agree(spec, *operands(spec, rng, {"A": format}, A=shape, x=shape[1:]))


@pytest.mark.parametrize("format", MATRIX)
def test_what_is_walked_is_what_is_stored_within_the_extents(format):
    rng, spec = np.random.default_rng(3), make_spec("y[m] = A[m,k] * x[k]")
    _, stored = operands(spec, rng, {"A": format})
    assert executed(spec, stored) == held_inside(stored["A"])
    (chosen,) = choose(spec, stored)
    assert "converted" not in chosen.why


def held_inside(held):
    """Entries that do not stand past the extents."""
    coords = axis_coordinates(expand(held.levels), held.shape, held.format)
    inside = [crd < n for crd, n in zip(coords, held.shape, strict=True)]
    return int(np.logical_and.reduce(inside).sum())


@pytest.mark.parametrize("format", CONVERTED)
def test_what_loops_cannot_follow_is_compressed_by_axes(format):
    spec = make_spec("y[m] = A[m,k] * x[k]")
    _, stored = operands(spec, np.random.default_rng(4), {"A": format})
    (chosen,) = choose(spec, stored)
    assert " A is converted to " in chosen.why
    assert chosen.line.converted == ("A",)


def test_a_sum_of_a_row_of_blocks_stays_in_a_register():
    spec = make_spec("y[m] = A[m,k] * x[k]")
    _, stored = operands(spec, np.random.default_rng(5), {"A": "m:U k/4:C k%4:B"})
    (chosen,) = choose(spec, stored)
    assert "acc = 0" in show(chosen.prepared.lowered.kernel)


def test_a_distance_with_a_fill_is_walked_in_blocks():
    rng = np.random.default_rng(6)
    array = np.where(rng.random((6, 6)) < 0.4, rng.integers(1, 9, (6, 6)), np.inf)
    held = tensor(array, "BSR(4,4)", fill=np.inf)
    spec = make_spec("D[i,j] min= A[i,k] + B[k,j]")
    want = (array[:, :, None] + array[None]).min(axis=1)
    for backend in ("c", "interpreter"):
        got = engine.evaluate(spec, {"A": held, "B": array}, backend=backend)["D"]
        assert np.array_equal(got, want)


def test_a_tiled_product_packs_blocks():
    rng, spec = np.random.default_rng(7), make_spec("Y[m,n] = A[m,k] * X[k,n]")
    a, x = (random_array(rng, s, "float32", 0.5) for s in ((33, 41), (41, 64)))
    operands = {"A": tensor(a, "BSR(4,8)"), "X": x}
    (chosen,) = choose(spec, operands)
    assert chosen.schedule == "tiled"
    assert np.array_equal(engine.evaluate(spec, operands)["Y"], a @ x)


def test_results_in_a_format_follow_operands_without_blocks():
    spec = make_spec("Y[m,n] = A[m,k] * E[k,n]")
    dense, stored = operands(spec, np.random.default_rng(8), {"A": "BSR(2,3)", "E": "BSR(3,2)"})
    extents = spec.extents({n: x.shape for n, x in stored.items()})
    assert line_of(spec.forms[0], stored, extents).converted == ()
    made = engine.evaluate(spec, stored, format="BSR(2,2)")["Y"]
    assert np.array_equal(made.validate().toarray(), dense["A"] @ dense["E"])
    (chosen,) = choose(spec, stored, format="BSR(2,2)")
    assert chosen.line.converted == ("A", "E")
