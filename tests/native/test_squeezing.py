"""Ranks of one place are left out, and those summed side by side one, where no lanes need them."""

import numpy as np
import pytest
from generator import random_array
from judges import line_of

import zeroskip as zs
from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native.bound import Bound
from zeroskip.native.fixed import Schedule
from zeroskip.native.flattening import flatten, flattened
from zeroskip.native.settling import settled
from zeroskip.native.squeezing import squeeze, without_axes

CONV = "O[n,m,p,q] = relu(B[m] + sum[c,r,s](I[n,c,2*p+r,2*q+s]*F[m,c,r,s]))"


def drawn(shape, density=1.0, seed=1, dtype="float32"):
    return random_array(np.random.default_rng(seed), shape, dtype, density)


def left(text, bound=(), pad=None, **given):
    spec = make_spec(text, pad=pad)
    line = squeeze(line_of(spec, given), bound)
    return form_text(line.form)


def test_which_ranks_are_left_out():
    W, X = Tensor.from_dense(drawn((6, 5), 0.5), "CSR"), drawn((5, 1))
    assert left("Y[m,n] = W[m,k]*X[k,n]", W=W, X=X) == "Y[m] = sum[k](W[m,k]*X[k])"
    assert left("Y[m,n] = W[m,k]*X[k,n]", W=W, X=drawn((5, 2))).startswith("Y[m,n]")
    assert left("Y[n] = x[k]*X[k,n]", x=drawn((5,)), X=X) == "Y = sum[k](X[k]*x[k])"


def test_an_operand_keeps_an_axis():
    """One of no axes would be a number."""
    assert left("Y[m,n] = A[m]*b[n]", A=drawn((4,)), b=drawn((1,))) == "Y[m,n] = A[m]*b[n]"


def test_a_window_of_one_place_leaves_the_subscript():
    image, F = drawn((1, 3, 4, 4)), drawn((2, 3, 1, 1))
    assert left("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]", I=image, F=F) == (
        "O[m,p,q] = sum[c](F[m,c]*I[c,p,q])"
    )


@pytest.mark.parametrize("size", [3, 4])
def test_what_is_taken_for_the_length_of_an_axis_stays(size):
    """With a stride of 2 the last row of 4 is read by nobody: r alone would be taken for 4 rows."""
    image, F = drawn((1, 3, size, size)), drawn((2, 3, 3, 3))
    found = left("O[n,m,p,q] = I[n,c,2*p+r,2*q+s]*F[m,c,r,s]", I=image, F=F)
    assert found.startswith("O[m] =" if size == 3 else "O[m,p,q] =")


def test_padding_keeps_its_ranks():
    image, F = drawn((1, 3, 1, 1)), drawn((2, 3, 3, 3))
    text = "O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]"
    assert left(text, pad=1, I=image, F=F).startswith("O[m,p,q] =")


@pytest.mark.parametrize(
    "text",
    [
        "Y[m,n] += W[m,k]*X[k,n]",
        "Y[m,n] max= W[m,k]*X[k,n]",
        "Y[m,n] = sum[k](W[m,k]*exp(X[k,n]))",
        "Y[m,n] = W[m,k]*X[k,n]*(m <= n)",
    ],
)
def test_other_lines_stay_as_they_are(text):
    line = line_of(make_spec(text), {"W": drawn((6, 5), 0.5), "X": drawn((5, 1))})
    assert squeeze(line, ("W",)) is line


def test_only_bound_tensors_lose_axes():
    F = Tensor.from_dense(drawn((6, 5, 1), 0.5), "m:U c*r:C")
    line = line_of(make_spec("y[m] = F[m,c,r]*x[c,r]"), {"F": F, "x": drawn((5, 1))})
    assert squeeze(line, ()) is line
    assert form_text(squeeze(line, ("F",)).form) == "y[m] = sum[c](F[m,c]*x[c])"


FORMATS = [
    "a:U b*c*d:C", "a:U b:C c:C d:C", "a*b*c*d:C", "COO", "CSF", "bitmask", "RLE(2)",
    "a:U b:U c:U d:C", "[a,b,c,d] c:U d:C b:U a:C", "[a,b,c,d] c:C d:U b:U a:C",
    "[a,b,c,d] d:B a:U b:B c:B", "a:U b:R(1) c:R(1) d:R(1)", "a:C b:U c:H(1:1) d:U",
    "[a,b,c,d] c:C b:S d:S a:S", "a:U b:U c:U d:U", "a:U b:C(9) c:C(0) d:C(0)",
]  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("axes", [(2, 3), (0, 3), (1,), (3,), (0, 1, 2), (1, 2, 3)])
@pytest.mark.parametrize("density", [0.4, 0])
def test_a_tensor_without_axes_of_one_place(format, axes, density):
    if "C(0)" in format and not {2, 3} <= {*axes}:
        format = "a:U b:C(9) c:C(8) d:C(7)"
    shape = tuple(1 if axis in axes else 5 - axis for axis in range(4))
    array = drawn(shape, density)
    made = without_axes(Tensor.from_dense(array, format), axes).validate()
    kept = tuple(n for axis, n in enumerate(shape) if axis not in axes)
    assert np.array_equal(made.toarray(), array.reshape(kept))


@pytest.mark.parametrize("format", [f for f in FORMATS if "H(" not in f and "C(0)" not in f])
@pytest.mark.parametrize("axes", [(2, 3), (3,), (1, 3), (1, 2, 3), (1,)])
@pytest.mark.parametrize("density", [0.4, 0])
def test_a_tensor_with_axes_flattened(format, axes, density):
    array = drawn((5, 4, 3, 2), density)
    made = flattened(Tensor.from_dense(array, format), axes).validate()
    assert np.array_equal(made.toarray(), array.reshape(made.shape))
    assert made.ndim == 4 - len(axes)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("y[m] = F[m,c,r]*x[c,r]", "y[m] = sum[c](F[m,c]*x[c])"),
        ("y[m,n] = F[m,c,r]*z[n,c,r]", "y[m,n] = sum[c](F[m,c]*z[n,c])"),
        ("y[m,c] = F[m,c,r]*x[c,r]", ""),  # c is no sum
        ("y[m] = F[m,c,r]*w[r,c]", ""),  # in another order
        ("y[m] = F[m,c,r]*x[c,r]*v[c]", ""),  # one without the other
        ("y[m] = F[m,c,r]*u[c+r]", ""),
        ("y[m] = F[m,c,r]*x[c,r] + sum[c](G[m,c]*v[c])", ""),
    ],
)
def test_which_ranks_are_one(text, want):
    arrays = {"x": (4, 3), "z": (2, 4, 3), "w": (3, 4), "v": (4,), "u": (6,), "G": (5, 4)}
    spec = make_spec(text)
    given = {name: drawn(arrays[name]) for name in spec.operands if name in arrays}
    line = line_of(spec, {"F": Tensor.from_dense(drawn((5, 4, 3), 0.5), "m:U c*r:C"), **given})
    assert flatten(line, ()) is line
    made = flatten(line, ("F",))
    assert form_text(made.form) == want if want else made is line


LAYERS = [
    ("Y[m,n] = W[m,k]*X[k,n]", {"W": (70, 90)}, {"X": (90, None)}, "mk,kn->mn"),
    (
        "Y[b,o] = relu(B[o] + W[o,i]*X[b,i])",
        {"W": (70, 90), "B": (70,)}, {"X": (None, 90)}, "oi,bi->bo",
    ),
    ("Y[m,n] = X[m,k]*W[k,n]", {"W": (90, 70)}, {"X": (None, 90)}, "kn,mk->mn"),
    ("Y[b,o] = W[o,c,r]*X[b,c,r]", {"W": (70, 30, 3)}, {"X": (None, 30, 3)}, "ocr,bcr->bo"),
    ("Y[b,o] = W[o,c,r]*X[b,r,c]", {"W": (70, 30, 3)}, {"X": (None, 3, 30)}, "ocr,brc->bo"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "held", "fresh", "einsum"), LAYERS)
@pytest.mark.parametrize("format", ["CSR", "bitmask", "COO", "RLE(3)", None])
@pytest.mark.parametrize(("density", "dtype"), [(0.5, "float32"), (0.05, "float64"), (0, "int32")])
def test_calls_of_one_and_of_several_places_are_served_side_by_side(
    text, held, fresh, einsum, format, density, dtype
):
    W, B = drawn(held["W"], density, dtype=dtype), drawn((70,), 1, 2, dtype)
    given = {"W": W if format is None else Tensor.from_dense(W, format)}
    given |= {"B": B} if "B" in held else {}
    bound = Bound(make_spec(text), given)
    for n in (1, 8, 1, 3):
        x = drawn(tuple(n if extent is None else extent for extent in fresh["X"]), 1, n, dtype)
        want = np.einsum(einsum, W.astype("float64"), x.astype("float64"))
        want = np.maximum(want + B, 0) if "B" in held else want
        tolerance = {"rtol": 1e-4, "atol": 1e-4 * max(1, np.abs(want).max())}
        for got in (bound.run({"X": x}), bound.at_once((x,)), zs.einsum(text, **given, X=x)):
            if got is None:  # of much work, or packed at each call
                continue
            assert got.shape == want.shape
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, **tolerance)
        out = np.empty(want.shape, dtype)
        assert bound.run({"X": x}, out=out) is out
        np.testing.assert_allclose(out, want, **tolerance)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("window", [1, 3])
def test_convolutions_of_one_place(format, window):
    channels = 24 if window > 1 else 200
    F, B = drawn((40, channels, window, window), 0.4), drawn((40,), 1, 2)
    format = format if "H(" not in format and "C(0)" not in format else "CSR"
    layer = zs.layer(CONV).bind(F=Tensor.from_dense(F, format), B=B)
    for n in (1, 2):
        for size in (window, window + 1):
            image = drawn((n, channels, size, size), 1, n)
            part = image[:, :, :window, :window].reshape(n, -1).astype("float64")
            want = np.maximum(part @ F.reshape(40, -1).T + B, 0)
            np.testing.assert_allclose(layer(image)[:, :, 0, 0], want, rtol=1e-4, atol=1e-4)
    image = drawn((1, channels, window, window))
    chosen = zs.explain(layer, image).lines[0]
    if format == "a:U b:U c:U d:U":  # dense: packed by what is not zero, at each call
        return
    assert chosen.schedule == "dots"
    assert "n, p, q" in chosen.why
    again = zs.layer(CONV).bind(F=Tensor.from_dense(F, format), B=B, schedule=chosen.taken)
    assert again(image).shape == (1, 40, 1, 1)


def test_a_schedule_that_the_line_takes_as_it_is_stays():
    W = Tensor.from_dense(drawn((70, 90), 0.5), "CSR")
    line = line_of(make_spec("Y[m,n] = W[m,k]*X[k,n]"), {"W": W, "X": drawn((90, 1))})
    for kind in ("plain", "tiled"):
        fixed = Schedule(kind=kind)
        bound = Bound(make_spec("Y[m,n] = W[m,k]*X[k,n]"), {"W": W}, fixed)
        assert bound.run({"X": drawn((90, 1))}).shape == (70, 1)
    assert settled(line, ("W",))[0].form.target.subscripts != line.form.target.subscripts


def test_entries_of_an_array_that_comes_anew_are_packed_without_the_rank():
    """The array that is packed at each call has the axis that is left out."""
    A = drawn((1, 200, 300), 0.5)
    bound = Bound(make_spec("Y[b,m,n] = A[b,m,k]*X[k,n]"), {"X": drawn((300, 1), 1, 2)})
    for seed in (1, 2, 1):
        A = drawn((1, 200, 300), 0.5, seed)
        np.testing.assert_allclose(
            bound.run({"A": A}), A @ drawn((300, 1), 1, 2), rtol=1e-3, atol=1e-3
        )
