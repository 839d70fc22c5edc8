"""What cannot be computed says what was expected, what was found and what to do next."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp

import zeroskip as zs

A, x = np.arange(12.0).reshape(3, 4), np.ones(4)
MATVEC = "y[i] = A[i,j]*x[j]"


def refused(error, call, *lines):
    """Run ``call``; its error is an ``error`` and holds each of ``lines``."""
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, ValueError)
    for line in lines:
        assert line in str(caught.value), str(caught.value)
    return str(caught.value)


# ---- operands ---------------------------------------------------------------------------


def test_two_sizes_of_one_rank_are_both_named():
    text = refused(zs.EinsumError, lambda: zs.einsum(MATVEC, A, np.ones(5)))
    assert text == (
        "rank j has two sizes: 4 in A (axis 1 of shape (3, 4)), 5 in x (axis 0 of shape (5,))\n"
        "  y[i] = A[i,j]*x[j]\n"
        "             ^    ^\n"
        "Pass an x of length 4, or rename its rank: x[k]."
    )


@pytest.mark.parametrize(
    ("given", "named", "line"),
    [
        ((A,), {}, "operands x are missing; expected A, x"),
        ((A, x, x), {}, "expected 2 operands (A, x), found 3"),
        ((A, x), {"x": x}, "operand x is given twice, by place and by name"),
        ((A,), {"z": x}, "z is no operand here; expected A, x"),
        ((A[0], x), {}, "A has 2 axes in the Einsum, but its shape is (4,)"),
        ((A, x[:, None]), {}, "x has 1 axis in the Einsum, but its shape is (4, 1)"),
    ],
)
def test_operands_missing_extra_or_of_other_axes(given, named, line):
    refused(zs.EinsumError, lambda: zs.layer(MATVEC)(*given, **named), line, MATVEC)


@pytest.mark.parametrize(
    ("operand", "found"),
    [
        (x.astype(complex), "found complex128"),
        (np.array([1, None, 2, 3]), "found object"),
        (np.array(list("abcd")), "found <U1"),
        ([1, "a", 2, 3], "found <U21"),
        (None, "found object"),
        ({"a": 1}, "found object"),
        (x.astype("g"), "found float128"),
        (np.zeros(4, [("a", "f4")]), "found [('a', '<f4')]"),
        (zs.Density((4,), 0.5), "x is a Density, which has no values"),
    ],
)
@pytest.mark.parametrize("bound", [False, True])
def test_operands_of_no_type_of_ours(operand, found, bound):
    layer = zs.layer(MATVEC)
    call = layer.bind(A=A) if bound else lambda x: layer(A, x)
    refused(zs.TensorError, lambda: call(x=operand), "x", found)
    refused(zs.TensorError, lambda: layer.bind(x=operand), "x", found)


@pytest.mark.parametrize("cause", ["index", "pointers", "shape"])
def test_scipy_matrices_that_contradict_themselves(cause):
    bad = sp.csr_array(np.eye(3, 4))
    if cause == "index":
        bad.indices[1] = 9
        lines = ["coordinate 1 of axis 1 is 9; expected 0 .. 3"]
    elif cause == "pointers":
        bad.indptr[1] = 3
        lines = ["indptr"]
    else:
        bad.data = bad.data[:1]
        lines = ["indptr ends at 3; there are 3 indices and 1 values"]
    refused(zs.TensorError, lambda: zs.einsum(MATVEC, bad, x), "A: ", *lines)


def test_coordinates_that_are_no_place():
    for rows, line in [
        ([0.0, np.nan], "coordinate 1 of axis 0 is NaN; expected an integer"),
        ([0, 3], "coordinate 1 of axis 0 is 3; expected 0 .. 2"),
        ([-1, 0], "coordinate 0 of axis 0 is -1; expected 0 .. 2"),
        ([0.5, 1], "coordinates of axis 0 are float64; expected integers"),
        ([0], "coordinates of axis 0 have shape (1,); expected (2,)"),
    ]:
        refused(
            zs.TensorError,
            lambda rows=rows: zs.Tensor.from_coords([rows, [0, 1]], np.ones(2), (3, 4), "CSR"),
            line,
        )


def test_a_tensor_whose_arrays_were_altered_is_found():
    held = zs.tensor(A, "CSR")
    crd = held.levels[1].arrays["crd"]
    with pytest.raises(ValueError, match="read-only"):
        crd[0] = 77
    crd.setflags(write=True)
    crd[0] = 77
    refused(zs.TensorError, held.validate, "rank 1", "77")


# ---- lines ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("y[i,l] = A[i,j]*x[j]", ["rank l has no size", 'Give it: sizes={"l": 3}.']),
        ("y[i] = relu(A[i,j])*x[j]", ["ambiguous sum: j under relu is not on the left", "^^^^"]),
        ("y[i] = A[i,j+4]*x[j]", ["j+4 reads places 4 to 7 of axis 1 of A", "Pad it: pad="]),
        ("y[i-1] = A[i,j]*x[j]", ["i-1 writes places -1 to 1 of axis 0 of y"]),
        ("y[0] = A[i,j]*x[j]*y[0]", ["y is read before its line has written it"]),
        ("y[i//2] = A[i,j]*x[j]", ["= writes some places of y more than once", "+= adds them up"]),
        ("y[i] = A[i,j]*x[j", ["expected", "^"]),
        ("y[i] = A[i,j]*x[j] ? 2", ["'?' means nothing in an Einsum"]),
        ("y[i] = foo(A[i,j]*x[j])", ["foo"]),
        ("y[i] = A[i*j]*x[j]", ["i*j"]),
        ("", ["an Einsum without a statement"]),
    ],
)
def test_lines_that_are_no_layer(text, lines):
    refused(zs.EinsumError, lambda: zs.einsum(text, A=A, x=x), *lines)


@pytest.mark.parametrize("thing", [5, None, [], object(), b"y[i] = x[i]", {"y": 1}])
def test_what_is_no_text(thing):
    refused(zs.EinsumError, lambda: zs.layer(thing), "expected")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("__import__('os').system('exit 3')", "means nothing in an Einsum"),
        ("y[i] = __import__('antigravity')", "means nothing in an Einsum"),
        ("y[i] = exec(x[i])", "exec"),
        ("y[i] = x[i].__class__", "'.' means nothing in an Einsum"),
        ("y[i] = x[(lambda: 1)()]", "':' means nothing in an Einsum"),
        ("y[i] = x[i]; import antigravity", "expected"),
        ("y[i] = " + "(" * 100_000 + "x[i]" + ")" * 100_000, "an Einsum of 200,011 characters"),
        ("y[i] = " + "(" * 40_000 + "x[i]" + ")" * 40_000, "brackets nested deeper than 64"),
        ("y[" * 50_000, "brackets nested deeper than 64"),
        ("y[i] = " + "-" * 99_000 + "x[i]", "nested deeper than 64"),
        ("y[i] = x[i]" + "+x[i]" * 19_000, "more than 1024 terms"),
        ("y[i] = " + "(x[i]+1)*" * 30 + "x[i]", "more than 1024 additive terms"),
        ("y[i] = x[i]*" + "9" * 5000, "is too large"),
        ("y[i] = x[i]*1e999", "is too large"),
        ("y[i] = 10**30*x[i]", "expected + - * /"),
        ("y[" + "a" * 5000 + "] = x[i]", "a name of 5000 characters"),
        ("y[i] = x[i\x00]", "means nothing in an Einsum"),
        ("y[ı] = x[ı]", "means nothing in an Einsum"),
        ("y[i] = x[i]\u202e", "means nothing in an Einsum"),
    ],
    ids=lambda v: v[:24] if isinstance(v, str) else None,
)
def test_hostile_text_is_refused_and_never_evaluated(text, line):
    before = set(sys.modules)
    message = refused(zs.EinsumError, lambda: zs.layer(text), line)
    assert len(message) < 500
    assert "antigravity" not in set(sys.modules) - before


# ---- sizes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "given", "line"),
    [
        ("y[i] = x[i]", {"sizes": {"i": 10**30}}, "size of i: expected 0 to 2**40, found 1000000"),
        ("y[i] = x[i]", {"sizes": {"i": -1}}, "size of i: expected 0 to 2**40, found -1"),
        ("y[i] = x[i]", {"sizes": {"i": 2.5}}, "size of i: expected a whole number, found 2.5"),
        ("y[i] = x[i]", {"sizes": {"z": 3}}, "sizes names z, which is no rank"),
        ("y[i] = x[i]", {"sizes": {"i": 5}}, "rank i has two sizes: 5 in sizes, 4 in x"),
        ("y[i,j,k] = x[i]", {"sizes": {"j": 2**40, "k": 2**40}}, "more than 2**62 points"),
        ("y[10**9*i] = x[i]", {}, "expected"),
        ("y[4000000000000000000*i] = x[i]", {}, "takes at most 2**40"),
        (
            "y[i] = a*x[i]",
            {"consts": {"a": float("nan")}},
            "constant a: expected a number, found nan",
        ),
        ("y[i] = x[U*i]", {"consts": {"U": 10**30}}, "to 2**62, found 1000000000000000"),
        ("y[i] = x[U*V*i]", {"consts": {"U": 2**40, "V": 2**40}}, "to 2**62, found 120892581961"),
        ("y[i] = x[i//U]", {"consts": {"U": 10**30}}, "to 2**62, found 1000000000000000"),
        ("y[i] = x[i]", {"pad": {"x": {0: -1}}}, "expected 0 or more places, found -1"),
        ("y[i] = x[i]", {"pad": {"x": {0: 10**30}}}, "expected at most 2**40 places"),
        ("y[i] = x[i]", {"pad": 1}, "pads nothing"),
    ],
)
def test_sizes_constants_and_padding_out_of_range(text, given, line):
    refused(zs.EinsumError, lambda: zs.einsum(text, x=x, **given), line)


@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
@pytest.mark.parametrize("format", [None, "COO"])
def test_a_result_larger_than_the_memory_is_refused_before_it_is_asked_for(backend, format):
    layer = zs.layer("y[i,j] = x[i]", sizes={"j": 2**40})
    line = "the dense result y would hold 4398046511104 items of 8 bytes, 35184372088832 bytes"
    refused(zs.TensorError, lambda: layer(x, backend=backend, format=format), line)
    padded = zs.layer("y[i] = x[i]", pad={"x": {0: (2**40 - 8, 0)}})
    refused(zs.TensorError, lambda: padded(x, backend=backend, format=format), "more than the")


# ---- where results go -------------------------------------------------------------------


def outs():
    read_only = np.zeros(3)
    read_only.setflags(write=False)
    return [
        (np.zeros(3, np.float32), "expected a float64 array of shape (3,), found float32"),
        (np.zeros(4), "found float64 of shape (4,)"),
        ([0.0, 0, 0], "found list"),
        (5, "found int"),
        (read_only, "expected a writable C-contiguous array"),
        (np.zeros(6)[::2], "expected a writable C-contiguous array, found one with strides (16,)"),
        (np.zeros(3, ">f8"), "expected a float64 array of shape (3,), found >f8"),
    ]


@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
@pytest.mark.parametrize("bound", [False, True])
def test_a_wrong_out_is_refused_and_stays_as_it_is(backend, bound):
    layer = zs.layer(MATVEC)
    call = layer.bind(A=A) if bound else lambda x, **given: layer(A, x, **given)
    for out, line in outs():
        before = np.array(out)
        refused(
            zs.KernelError, lambda out=out: call(x, out=out, backend=backend), "out= for y", line
        )
        assert np.array_equal(before, np.array(out))


@pytest.mark.parametrize("bound", [False, True])
def test_out_may_not_be_an_operand_or_a_part_of_one(bound):
    layer, square = zs.layer("y[i] = S[i,j]*v[j]"), np.eye(4)
    v = np.arange(4.0)
    call = layer.bind(S=square) if bound else lambda v, **given: layer(square, v, **given)
    line = "out= for y shares memory with an operand\nPass a fresh one."
    refused(zs.KernelError, lambda: call(v, out=v), line)
    refused(zs.KernelError, lambda: call(v, out=v[::-1][::-1]), line)
    if not bound:
        refused(zs.KernelError, lambda: call(v, out=square[0]), line)
    assert v.tolist() == [0, 1, 2, 3]
    assert np.array_equal(square, np.eye(4))


def test_formats_backends_and_bindings_that_are_not_there():
    layer = zs.layer(MATVEC)
    refused(
        zs.FormatError, lambda: layer(A, x, format="nonsense"), "'nonsense' is no level", "^^^^"
    )
    refused(zs.FormatError, lambda: layer(A, x, format="CSR C"), "^")
    refused(
        zs.FormatError, lambda: layer(A, x, format="U C"), "stores 2 axes, the tensor has 1 axis"
    )
    refused(zs.FormatError, lambda: layer(A, x, format=5), "found int")
    refused(
        zs.KernelError,
        lambda: layer(A, x, backend="gpu"),
        "expected a backend of c, interpreter, numpy",
    )
    refused(zs.EinsumError, lambda: layer.bind(Z=A), "Z is no operand of", "bind any of A, x")


def test_after_a_refusal_the_same_call_works():
    layer = zs.layer(MATVEC)
    bound = layer.bind(A=A)
    for bad in (np.ones(5), x + 0j, None):
        with pytest.raises(zs.ZeroskipError):
            layer(A, bad)
        with pytest.raises(zs.ZeroskipError):
            bound(bad)
        assert layer(A, x).tolist() == bound(x).tolist() == (A @ x).tolist()


# ---- arguments of the wrong kind --------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: zs.layer(MATVEC, consts=3), "consts: expected names and numbers"),
        (lambda: zs.layer(MATVEC, sizes="i"), "sizes: expected names and numbers"),
        (lambda: zs.layer(MATVEC).extents(A=3), "shape of A: expected the extents of its axes"),
        (lambda: zs.layer(MATVEC).extents(A=np.ones((50, 50))), "...\nPass A.shape."),
        (
            lambda: zs.layer("O[p] = I[p+r]*F[r]", pad=2**62),
            "pad: expected at most 2**40 places, found 4611686018427387904",
        ),
    ],
)
def test_arguments_of_the_wrong_kind(call, line):
    refused(zs.EinsumError, call, line)


def test_a_view_too_large_to_copy_is_refused():
    endless = np.broadcast_to(np.float32(1), (2**40, 2**20))
    for call in (
        lambda: zs.einsum("y = a[i,j]", endless),
        lambda: zs.layer("y = a[i,j]*b[i]").bind(a=endless),
    ):
        refused(zs.TensorError, call, "a contiguous copy of a would hold")


def test_an_operand_named_like_an_option_is_passed_by_place():
    line = zs.layer("y[i] = out[i]")
    with pytest.raises(
        zs.EinsumError, match="out= is an option of the call: pass that operand by place"
    ):
        line(format="dense")
    assert line(np.ones(2)).tolist() == [1, 1]


@pytest.mark.parametrize("format", ["j:U i:C", "j*i:C", "[j,i] i:U j:C", zs.Format("j:U i:C")])
def test_ranks_of_a_result_in_another_order_are_no_names_for_axes(format):
    product = zs.layer("C[i,j] = A[i,k]*B[k,j]")
    sampled = zs.layer("C[i,j] = M[i,j]*A[i,k]*B[k,j]")
    a, b, mask = np.eye(3), np.ones((3, 2)), np.eye(3, 2)
    fixed, fitted = product.bind(A=zs.tensor(a, "CSR")), sampled.bind(A=a, B=b)
    for call in (
        lambda f: product(a, b, format=f),
        lambda f: product(a, b, format={"C": f}),
        lambda f: product(a, b, format=f, backend="numpy"),
        lambda f: fixed(b, format=f),
        lambda f: fitted(zs.tensor(mask, "CSC"), format=f),
        lambda f: zs.explain(product, A=a, B=b, format=f),
    ):
        refused(zs.FormatError, lambda call=call: call(format), "Write format='[i,j] ")
    by_columns = product(a, b, format="[i,j] j:U i:C")
    assert by_columns.format == zs.Format("CSC").bind(2)
    assert by_columns.toarray().tolist() == b.tolist()
    assert product(a, b, format="m:U k:C").format == zs.Format("CSR").bind(2)
