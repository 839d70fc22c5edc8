"""Sparse results: their structure, their values, every format."""

import numpy as np
import pytest
from generator import every_format, random_array, random_format
from judges import line_of, prime, stored_mask

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import FormatError, KernelError
from zeroskip.formats.auto import smallest_format
from zeroskip.formats.splits import part_coordinates
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine, schedules

MATRIX = every_format(2, run_bits=1)
PRODUCT = make_spec("C[i,j] = A[i,k] * B[k,j]")


def named(tensor):
    """Coordinates that a tensor holds as a set; each once and, in storage order, increasing."""
    coords, _ = tensor.coords()
    found = list(zip(*(c.tolist() for c in coords), strict=True))
    assert len(set(found)) == len(found)
    parts = list(zip(*part_coordinates(coords, tensor.format), strict=True))
    ordered = [tuple(c[a] for axes in tensor.format.order for a in axes) for c in parts]
    assert ordered == sorted(ordered)
    return set(found)


def names_zeros(format):
    """Whether the last level names what it stores, so that a stored zero can be told."""
    return format.split(":")[-1][0] in "CSB"


def reaching(x):
    """1 where an operand's entries reach a result: those stored, but not what bridges a run."""
    bridged = any(level.spec.letter == "R" for level in x.levels)
    return stored_mask(x) * (x.toarray() != 0 if bridged else 1)


def run(spec, operands, format, backend="c"):
    made = engine.evaluate(spec, operands, format=format, backend=backend)[spec.results[-1]]
    assert isinstance(made, Tensor)
    return made.validate()


@pytest.mark.parametrize("backend", ["c", "interpreter"])
def test_a_product_in_every_format(backend):
    """Values are those of the dense result; stored is what products of stored entries reach."""
    rng = np.random.default_rng(1)
    a, b = random_array(rng, (5, 6), "float64", 0.3), random_array(rng, (6, 4), "float64", 0.3)
    operands = {"A": Tensor.from_dense(a, "CSR"), "B": Tensor.from_dense(b, "CSC")}
    reached = {tuple(map(int, p)) for p in np.argwhere((a != 0).astype(int) @ (b != 0))}
    for format in MATRIX:
        made = run(PRODUCT, operands, format, backend)
        assert np.array_equal(made.toarray(), a @ b), format
        if names_zeros(format):
            assert named(made) == reached, format


def test_structure_follows_what_each_operand_stores():
    """Explicit zeros reach, run-length bridges do not, and an uncompressed operand is full."""
    a = np.array([[0, 0, 0, 0, 0, 7.0], [0, 0, 0, 0, 0, 0]])
    b = np.ones((6, 2))
    zero = Tensor.from_coords([[0, 1], [5, 2]], np.array([7.0, 0]), (2, 6), "CSR")
    bridged = Tensor.from_dense(a, "RLE(1)")
    assert bridged.stored > bridged.nnz
    spec, row0 = PRODUCT, {(0, 0), (0, 1)}
    row1 = {(1, 0), (1, 1)}
    assert named(run(spec, {"A": Tensor.from_dense(a, "CSR"), "B": b}, "COO")) == row0
    assert named(run(spec, {"A": zero, "B": b}, "COO")) == row0 | row1
    assert named(run(spec, {"A": bridged, "B": b}, "COO")) == row0
    assert named(run(spec, {"A": a, "B": b}, "COO")) == row0 | row1


@pytest.mark.parametrize("backend", ["c", "interpreter"])
def test_an_exact_cancellation_stays_stored_and_relu_drops_zeros(backend):
    a = Tensor.from_dense(np.array([[1.0, -1], [0, 0], [-2, 0], [3, 0]]), "CSR")
    x = np.ones(2)
    plain = run(make_spec("y[i] = A[i,j]*x[j]"), {"A": a, "x": x}, "C", backend)
    assert named(plain) == {(0,), (2,), (3,)}
    assert plain.values.tolist() == [0, -2, 3]
    after = run(make_spec("y[i] = relu(A[i,j]*x[j])"), {"A": a, "x": x}, "C", backend)
    assert named(after) == {(3,)}


@pytest.mark.parametrize(
    ("function", "values"),
    [("abs", [0, 2, 3]), ("sign", [0, -1, 1]), ("floor", [0, -2, 3]), ("ceil", [0, -2, 3])],
)
def test_functions_that_are_0_at_0_keep_the_structure(function, values):
    a = Tensor.from_dense(np.array([[1.0, -1], [0, 0], [-2, 0], [3, 0]]), "CSR")
    made = run(make_spec(f"y[i] = {function}(A[i,j])"), {"A": a}, "C")
    assert named(made) == {(0,), (2,), (3,)}
    assert made.values.tolist() == values


def test_terms_each_reach_their_own_places():
    a = Tensor.from_dense(np.array([0, 1.0, 0, 2]), "C")
    b = Tensor.from_dense(np.array([3.0, -1, 0, 0]), "B")
    made = run(make_spec("y[i] = a[i] + b[i]"), {"a": a, "b": b}, "C")
    assert named(made) == {(0,), (1,), (3,)}
    assert made.values.tolist() == [3, 0, 2]
    everywhere = run(make_spec("y[i] = a[i] + 1"), {"a": a}, "C")
    assert named(everywhere) == {(1,), (3,)}
    assert (everywhere.fill, everywhere.toarray().tolist()) == (1, [1, 2, 1, 3])
    biased = run(make_spec("y[i] = a[i] + c[i]"), {"a": a, "c": np.zeros(4)}, "C")
    assert named(biased) == {(i,) for i in range(4)}


def test_scatters_and_strided_writes():
    x = Tensor.from_dense(np.array([0, 1.0, 0, -1]), "C")
    f = Tensor.from_dense(np.array([1.0, 0, 1]), "C")
    made = run(make_spec("O[p+r] += I[p]*F[r]"), {"I": x, "F": f}, "C")
    assert named(made) == {(1,), (3,), (5,)}
    assert made.values.tolist() == [1, 0, -1]
    spread = run(make_spec("O[2*p] = I[p]"), {"I": x}, "B")
    assert named(spread) == {(2,), (6,)}


@pytest.mark.parametrize("seed", range(3))
def test_a_convolution_in_random_formats_of_four_axes(seed):
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    spec = make_spec("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", pad={"I": {2: (1, 0)}})
    image = random_array(rng, (2, 2, 4, 5), "float32", 0.3)
    filters = random_array(rng, (3, 2, 2, 3), "float32", 0.4)
    operands = {
        "I": Tensor.from_dense(image, random_format(rng, 4)),
        "F": Tensor.from_dense(filters, random_format(rng, 4)),
    }
    want = engine.evaluate(spec, operands, backend="numpy")["O"]
    masks = {name: reaching(x) for name, x in operands.items()}
    reach = engine.evaluate(spec, masks, backend="numpy")["O"]
    for format in [
        "CSR",
        "COO",
        "CSF",
        "bitmask",
        "RLE(2)",
        *(random_format(rng, 4) for _ in range(6)),
    ]:
        made = run(spec, operands, format)
        assert made.dtype == np.float32
        assert np.array_equal(made.toarray(), want), format
        if made.format.levels[-1].letter in "CSB":
            stored = {tuple(map(int, p)) for p in np.argwhere(reach)}
            assert named(made) == stored, format


def test_results_of_extent_0_and_of_nothing():
    for shape in [(0, 3), (3, 0), (0, 0)]:
        for format in ("CSR", "COO", "bitmask", "RLE(1)", "dense", "1:C 0:B"):
            made = run(make_spec("O[i,j] = A[i,j]*A[i,j]"), {"A": np.zeros(shape)}, format)
            assert (made.shape, made.nnz) == (shape, 0)
    nothing = Tensor.from_dense(np.zeros((2, 3)), "CSR")
    assert run(make_spec("O[j,i] = A[i,j]"), {"A": nothing}, "COO").stored == 0


@pytest.mark.parametrize(
    ("text", "dtype"),
    [("y[i] |= A[i,j]", "bool"), ("y[i] max= A[i,j]", "int32"), ("y[i] += relu(A[i,j])", "int32")],
)
def test_reductions_in_a_format_store_what_is_not_zero(text, dtype):
    a = np.array([[0, 0], [1, 0], [2, 3]], np.int8)
    for stored in (a, Tensor.from_dense(a, "CSR")):
        made = run(make_spec(text), {"A": stored}, "C")
        assert made.dtype == dtype
        assert named(made) == {(1,), (2,)}


def test_a_result_of_no_axes_may_have_a_format():
    a = np.array([1.0, 2])
    made = run(make_spec("s = a[i]*b[i]"), {"a": a, "b": a}, "COO")
    assert (made.shape, made.toarray().tolist()) == ((), 5)


def test_the_numpy_backend_stores_what_is_not_zero():
    made = run(make_spec("y[i] = a[i]"), {"a": np.array([0, 1.0])}, "C", "numpy")
    assert named(made) == {(1,)}


@pytest.mark.parametrize(("function", "at_0"), [("exp", 1), ("sigmoid", 0.5), ("log", -np.inf)])
@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
def test_the_fill_of_a_result_is_its_value_where_nothing_is_stored(function, at_0, backend):
    a = np.array([0, 2.0, 0, 3])
    spec = make_spec(f"y[i] = {function}(a[i])")
    made = run(spec, {"a": Tensor.from_dense(a, "C")}, "C", backend)
    assert made.fill == at_0
    assert named(made) == {(1,), (3,)}
    assert np.array_equal(made.toarray(), engine.evaluate(spec, {"a": a})["y"])
    dense = run(spec, {"a": a}, "C", backend)
    assert dense.fill == 0
    assert np.array_equal(dense.toarray(), made.toarray())


def test_out_and_format_exclude_each_other():
    with pytest.raises(KernelError, match="y: out= and format= cannot both be given"):
        engine.evaluate(make_spec("y[i] = a[i]"), {"a": np.ones(2)}, out=np.ones(2), format="C")


def test_a_format_of_other_axes_is_refused():
    with pytest.raises(FormatError, match="stores 2 axes, the tensor has 1 axis"):
        engine.evaluate(make_spec("y[i] = a[i]"), {"a": np.ones(2)}, format="U C")


def test_a_marking_kernel_is_not_the_plain_one():
    """Kernels are remembered by what they do, not only by what they compute."""
    line = line_of(PRODUCT, {"A": np.ones((1, 1)), "B": np.ones((1, 1))})
    plain, marking = schedules.walk(line), schedules.walk(line, hits=True)
    assert "C_hit" not in plain.c_text
    assert "C_hit[" in marking.c_text
    prime([plain.c_text, marking.c_text])


@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
@pytest.mark.parametrize("density", [0.0, 0.05, 0.4, 1.0])
@pytest.mark.parametrize(
    "text", ["C[i,j] = A[i,k]*B[k,j]", "C[i,j] = relu(A[i,k]*B[k,j] - 1)", "C[j,i] max= A[i,j]"]
)
def test_auto_is_the_smallest_for_what_the_result_stores(text, density, backend):
    rng = np.random.default_rng(2)
    a, b = (random_array(rng, (20, 20), "float64", density) for _ in "ab")
    given = {"A": Tensor.from_dense(a, "CSR"), "B": Tensor.from_dense(b, "CSR")}
    spec = make_spec(text)
    operands = {name: given[name] for name in spec.operands}
    made = run(spec, operands, "auto", backend)
    listed = run(spec, operands, "COO", backend)
    assert made.format == smallest_format((20, 20), listed.stored, listed.dtype)
    assert np.array_equal(made.toarray(), listed.toarray())


def test_auto_of_a_line_is_read_by_the_next():
    rng = np.random.default_rng(3)
    spec = make_spec("T[i,j] = A[i,k]*A[k,j]\ny[i] = T[i,j]*x[j]")
    x = np.ones(30)
    for density, label in ((0.02, "COO"), (0.06, "CSR"), (0.3, "bitmask"), (0.8, "dense")):
        a = random_array(rng, (30, 30), "float64", density)
        operands = {"A": Tensor.from_dense(a, "CSR"), "x": x}
        made = engine.evaluate(spec, operands, format={"T": "auto"})
        assert made["T"].format.label == label
        assert np.array_equal(made["y"], a @ a @ x)
