"""Results that store what one operand stores: which lines have them, and that the judges agree."""

import numpy as np
import pytest
from generator import random_array
from judges import line_of

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import alike, engine, results
from zeroskip.native import settings as native_settings
from zeroskip.native.reference import evaluate

SHAPES = {"M": (6, 7), "N": (6, 7), "A": (6, 5), "B": (5, 7), "D": (6, 7), "x": (7,)}
SHAPES |= {"T": (4, 3, 5), "E": (4, 8), "F": (5, 8), "v": (9,), "w": (9,)}
SAMPLED = "S[i,j] = M[i,j]*A[i,k]*B[k,j]"
BESIDE = [
    (SAMPLED, "CSR", "M"),
    (SAMPLED, "CSC", "M"),
    ("S[i,j] = -2*A[i,k]*B[k,j]*M[i,j]", "CSR", "M"),
    ("S[i,j] = abs(A[i,k]*B[k,j]*M[i,j])", "CSR", "M"),
    ("S[i,j] = M[i,j]*x[j]", "CSR", "M"),
    ("S[i,j] = M[i,j]*D[i,j]", "CSR", "M"),
    ("S[i,j] = M[i,j]", "CSR", "M"),
    ("S[i,j,k] = T[i,j,k]*E[i,r]*F[k,r]", "0:U 1:U 2:C", "T"),
    ("y[i] = v[i]*w[i]", "0:C", "v"),
]
ELSEWHERE = [
    ("S[i,j] = relu(A[i,k]*B[k,j]*M[i,j])", "CSR", "CSR"),  # drops zeros
    ("S[i,j] = M[i,j]*N[i,j]", "CSR", "CSR"),  # stores less
    ("S[i,j] = M[i,j] + N[i,j]", "CSR", "CSR"),
    ("S[j,i] = M[i,j]", "CSR", "CSR"),  # in another order
    ("S[i,j] = M[i,j]*M[i,j]", "CSR", "CSR"),
    (SAMPLED, "CSR", "bitmask"),  # not what was asked for
    (SAMPLED, "bitmask", "CSR"),
    (SAMPLED, "COO", "COO"),
    (SAMPLED, "RLE(2)", "RLE(2)"),
    ("S[i,j] max= M[i,j]*A[i,k]", "CSR", "CSR"),
    ("S[i,j] = M[i,j]*A[i,k]*(k <= j)", "CSR", "CSR"),
]


def operands_of(text, format, rng, sparse="MNTv", dtype="float64"):
    dense = {n: random_array(rng, SHAPES[n], dtype, 0.5) for n in make_spec(text).operands}
    given = {n: Tensor.from_dense(x, format) if n in sparse else x for n, x in dense.items()}
    return dense, given


def like(text, stored, wanted):
    _, given = operands_of(text, stored, np.random.default_rng(0))
    found = results.alike_in(line_of(make_spec(text), given), wanted)
    return None if found is None else found[1]


@pytest.mark.parametrize(("text", "format", "name"), BESIDE)
@pytest.mark.parametrize("width", [16, 32, 64])
def test_lines_that_share_the_coordinates(text, format, name, width):
    assert like(text, format, format) == name
    rng = np.random.default_rng(len(text))
    for dtype in ("float64", "float32", "int32"):
        dense, given = operands_of(text, format, rng, dtype=dtype)
        (want,) = evaluate(make_spec(text), dense).values()
        with native_settings.using(vector_bytes=width):
            for backend in ("c", "interpreter"):
                (made,) = engine.evaluate(
                    make_spec(text), given, format=format, backend=backend
                ).values()
                assert np.allclose(made.validate().toarray(), want), backend
                assert made.levels is given[name].levels
                assert not made.values.flags.writeable


@pytest.mark.parametrize(("text", "stored", "wanted"), ELSEWHERE)
def test_lines_that_do_not(text, stored, wanted):
    assert like(text, stored, wanted) is None
    dense, given = operands_of(text, stored, np.random.default_rng(1))
    (made,) = engine.evaluate(make_spec(text), given, format=wanted).values()
    (want,) = evaluate(make_spec(text), dense).values()
    assert np.allclose(made.validate().toarray(), want)


@pytest.mark.parametrize("entries", [0, 1, 3, 4, 5, 15, 16, 17, 20, 33, 50])
@pytest.mark.parametrize("depth", [0, 1, 16, 35])
def test_rows_of_any_length(entries, depth):
    rng = np.random.default_rng(entries)
    M = np.zeros((3, 50), "float32")
    M[1, rng.permutation(50)[:entries]] = rng.integers(1, 4, entries)
    A, B = (rng.integers(-4, 5, of).astype("float32") for of in ((3, depth), (depth, 50)))
    made = zs.einsum(SAMPLED, M=zs.tensor(M, "CSR"), A=A, B=B, format="CSR").validate()
    assert np.array_equal(made.toarray(), M * (A @ B))
    assert made.stored == entries


def test_a_finite_sample_is_multiplied_once_and_an_infinite_one_with_each_product():
    rng = np.random.default_rng(2)
    _, given = operands_of(SAMPLED, "CSR", rng)
    for value, once in ((1.0, True), (np.inf, False), (np.nan, False)):
        held = given["M"].toarray()
        held[np.nonzero(held)[0][:1], np.nonzero(held)[1][:1]] = value
        line = line_of(make_spec(SAMPLED), {**given, "M": Tensor.from_dense(held, "CSR")})
        chosen, name, _ = results.alike_in(line, "CSR")
        line = results.rearranged(line, chosen)
        values = np.empty(line.used["M"].stored)
        finite = alike.all_finite(line.used[name])
        assert finite == once
        prepared, _ = results.alike_kernel(line, chosen, name, values, once=finite)
        assert ("S_vals[pM_j] = acc * M_vals[pM_j]" in prepared.c_text) == once


def test_what_is_finite():
    def finite(*values, dtype="float32"):
        return alike.all_finite(np.array(values, dtype))

    assert finite()
    assert finite(1, -2)
    assert finite(2**62, 2**62, dtype="int64")
    assert not finite(1, np.nan)
    assert not finite(np.inf, -np.inf)
    assert not finite(3e38, 3e38)  # may be: the sum does not tell


@pytest.mark.parametrize("bound", [(), ("M",), ("B",), ("A", "M"), ("A", "B", "M")])
def test_calls_one_after_the_other(bound):
    """Other values, other patterns of as many entries, and an infinity, in turn."""
    rng = np.random.default_rng(5)
    layer = zs.layer(SAMPLED)
    _, first = operands_of(SAMPLED, "CSR", rng)
    called = layer.bind(**{name: first[name] for name in bound}) if bound else layer
    for turn in range(6):
        _, given = operands_of(SAMPLED, "CSR", rng)
        if turn == 3:
            given["M"] = Tensor.from_dense(np.where(given["M"].toarray(), np.inf, 0), "CSR")
        given |= {name: first[name] for name in bound}
        fresh = {name: given[name] for name in given if name not in bound}
        made = called(**fresh, format="CSR").validate()
        dense = {n: x.toarray() if isinstance(x, Tensor) else x for n, x in given.items()}
        with np.errstate(invalid="ignore"):
            want = dense["M"][:, :, None] * dense["A"][:, None] * dense["B"].T[None]
            want = np.where(dense["M"], want.sum(axis=-1), 0)
        assert np.allclose(made.toarray(), want, equal_nan=True)
        assert made.levels is given["M"].levels


def test_a_large_operand_is_turned_at_every_call_and_results_stay():
    rng = np.random.default_rng(6)
    M = zs.tensor(rng.random((300, 400)) < 0.2, "CSR").astype("float32")
    bound = zs.layer(SAMPLED).bind(M=M)
    kept = []
    for _ in range(3):
        A, B = (rng.standard_normal(of).astype("float32") for of in ((300, 96), (96, 400)))
        kept.append((bound(A=A, B=B, format="CSR"), M.toarray() * (A @ B)))
    for made, want in kept:
        assert np.allclose(made.toarray(), want, atol=1e-4)


def test_explain_says_so():
    _, given = operands_of(SAMPLED, "CSR", np.random.default_rng(0))
    assert "S stores what M does" in str(zs.explain(SAMPLED, **given, format="CSR"))


def test_threads_give_the_same():
    rng = np.random.default_rng(8)
    M = (rng.random((700, 600)) < 0.3).astype("float32")
    A, B = (rng.standard_normal(of).astype("float32") for of in ((700, 64), (64, 600)))
    made = []
    for threads in (1, 2):
        with native_settings.using(threads=threads):
            made.append(zs.einsum(SAMPLED, M=zs.tensor(M, "CSR"), A=A, B=B, format="CSR"))
    assert np.array_equal(made[0].values, made[1].values)


@pytest.mark.parametrize("backend", ["c", "interpreter"])
def test_a_sum_that_is_too_large_before_it_is_multiplied(backend):
    """2e19 * 1e19 twice is beyond float32, and 1e-20 of it is not: products are multiplied each."""
    layer = zs.layer("S[i,j] = A[i,k]*B[k,j]*M[i,j]")
    a, b = np.full((3, 2), 2e19, "f4"), np.full((2, 3), 1e19, "f4")
    m = Tensor.from_dense(np.diag([1e-20, 1, 1]).astype("f4"), "CSR")
    want = np.array([4e18, np.inf, np.inf], "f4")
    for _ in range(3):
        assert np.allclose(layer(A=a, B=b, M=m, format="CSR", backend=backend).values, want)
        assert np.allclose(layer.bind(A=a)(B=b, M=m, format="CSR").values, want)
