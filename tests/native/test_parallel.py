"""Loops that threads share: which they are, and that results do not depend on how many share."""

import itertools
import random

import numpy as np
import pytest
from judges import Call, line_of, prepare, sparse

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.native import effort, engine, pool, schedules, settings, settling, tile
from zeroskip.native.bound import Bound
from zeroskip.native.domains import Range
from zeroskip.native.emit import emit
from zeroskip.native.integers import ONE, ZERO, Const
from zeroskip.native.interpret import interpret
from zeroskip.native.load import load
from zeroskip.native.machine import Machine
from zeroskip.native.nest import Buffer, Fill, Kernel, Loop, Reduce
from zeroskip.native.nest_tiles import Stage, StageAxis
from zeroskip.native.parallel import with_barriers
from zeroskip.native.prepared import run
from zeroskip.native.show import show
from zeroskip.native.tile_shape import TileShape
from zeroskip.native.values import Elem, Number

THREADS = (1, 2, 3, 7)
SPMM = "C[i,j] = A[i,k] * B[k,j]"
CONV = "O[n,m,p,q] = relu(B[m] + sum[c,r,s](I[n,c,2*p+r,q+s] * F[m,c,r,s]))"
BATCHES = "C[b,i,j] = relu(A[b,i,k] * B[b,k,j])"
CASES = [
    ("y[i] = A[i,j] * x[j]", {"A": (40, 30), "x": (30,)}, {"A": "CSR"}),
    ("y[i] = A[i,j] * x[j]", {"A": (3, 30), "x": (30,)}, {"A": "bitmask"}),
    ("y[i] = A[i,j] * x[j]", {"A": (0, 30), "x": (30,)}, {"A": "CSR"}),
    ("y[i] = A[i,j] * x[j]", {"A": (5, 0), "x": (0,)}, {"A": "CSR"}),
    ("y[i] = A[i,j] * x[j]", {"A": (40, 30), "x": (30,)}, {"A": "CSC"}),
    ("y[i] += A[i,j] * x[j]", {"A": (40, 30), "x": (30,)}, {"A": "RLE(4)"}),
    (SPMM, {"A": (2, 9), "B": (9, 33)}, {"A": "CSR"}),
    (SPMM, {"A": (12, 9), "B": (9, 7)}, {"A": "CSR", "B": "CSR"}),
    (SPMM, {"A": (12, 9), "B": (9, 7)}, {"A": "CSR", "B": "CSC"}),
    (SPMM, {"A": (5, 9), "B": (9, 0)}, {}),
    (CONV, {"I": (1, 3, 9, 8), "F": (5, 3, 3, 3), "B": (5,)}, {"F": "CSR"}),
    (CONV, {"I": (2, 3, 9, 8), "F": (5, 3, 3, 3), "B": (5,)}, {"I": "0*1:U 2*3:B"}),
    ("O[c,p,q] max= I[c,p+r,q+s] * F[r,s]", {"I": (2, 9, 9), "F": (3, 3)}, {}),
    ("O[i] max= A[i,k] * x[k]", {"A": (40, 30), "x": (30,)}, {"A": "CSR"}),
    ("O[i,k] = max(A[i,k], B[i,k])", {"A": (9, 8), "B": (9, 8)}, {"A": "CSR", "B": "bitmask"}),
    ("s[i] = sum[k](exp(A[i,k]))", {"A": (9, 8)}, {"A": "CSR"}),
    ("s = A[i,k]", {"A": (9, 8)}, {"A": "CSR"}),
    (BATCHES, {"A": (5, 6, 7), "B": (5, 7, 20)}, {"A": "U U C"}),
    (BATCHES, {"A": (2, 6, 7), "B": (2, 7, 20)}, {"A": "U U C"}),
]


@pytest.fixture(autouse=True)
def every_call_is_worth_threads(monkeypatch):
    monkeypatch.setattr(effort, "PART", 1)


def drawn(shapes, formats, seed=3):
    rng = np.random.default_rng(seed)
    dense = {name: sparse(rng, shape, "float32") for name, shape in shapes.items()}
    return {n: Tensor.from_dense(x, formats[n]) if n in formats else x for n, x in dense.items()}


def kernel_of(text, shapes, formats, pad=None):
    line = line_of(make_spec(text, pad=pad), drawn(shapes, formats))
    return schedules.plain(line, np.full(line.shape, 7, line.stored))


def parallel_loops(text, shapes, formats):
    lines = show(kernel_of(text, shapes, formats)[0].lowered.kernel).splitlines()
    return [line.split()[1] for line in lines if "# parallel" in line]


# ---- which loops ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shapes", "formats", "loops"),
    [
        ("y[i] = A[i,j]*x[j]", [(4, 5), (5,)], {"A": "CSR"}, ["i"]),
        ("y[i] = A[i,j]*x[j]", [(4, 5), (5,)], {"A": "CSC"}, []),  # columns meet in one row
        ("y[i] = A[i,j]*x[j]", [(4, 5), (5,)], {"A": "COO"}, []),  # a row may come twice
        ("C[i,j] = A[i,k]*x[k,j]", [(4, 5), (5, 6)], {"A": "CSR"}, ["i"]),
        ("C[i,j] = A[i,k]*x[k,j]", [(4, 5), (5, 6)], {}, ["i"]),
        ("C[i,j] = A[i,k]*x[j,k]", [(4, 5), (6, 5)], {}, ["i", "j"]),
        ("C[i,j] = A[i,j]", [(4, 5)], {}, ["i"]),
        ("s = A[i,j]", [(4, 5)], {}, []),  # no sum is cut
        ("O[i+j] += A[i]*x[j]", [(4,), (5,)], {}, []),  # places meet
        ("O[i+j,i] += A[i]*x[j]", [(4,), (5,)], {}, ["i"]),
        ("O[2*i] = A[i]", [(4,)], {}, []),
        ("O[m] = sum[k]((k <= m)*A[m,k])", [(4, 5)], {}, ["m"]),
    ],
)
def test_loops_over_ranks_of_the_result_are_shared(text, shapes, formats, loops):
    assert parallel_loops(text, dict(zip("Ax", shapes, strict=False)), formats) == loops


def test_all_loops_are_shared_or_none():
    """A last pass that is shared gains nothing where the loops before it are one thread's."""
    text = "y[i] = relu(B[i] + sum[j](A[i,j] * x[j]))"
    shapes = {"A": (4, 5), "x": (5,), "B": (4,)}
    assert parallel_loops(text, shapes, {"A": "CSR"}) == ["i"]
    assert parallel_loops(text, shapes, {"A": "CSC"}) == []


def test_loops_around_vectors_are_shared_with_the_copies_before_them():
    operands = drawn({"A": (5, 6, 7), "B": (5, 7, 20)}, {"A": "U U C"})
    line = line_of(make_spec(BATCHES), operands)
    prepared, filled = settling.scheduled(line, np.empty(line.shape, line.stored))
    assert "lanes: j" in prepared.c_text
    assert prepared.c_text.count("ZS_SHARED") == 4  # copy, fill, walk, result
    assert prepared.c_text.count("ZS_BARRIER") == 3
    assert filled.parts == (5 * 6 * 20 + 20 * operands["A"].stored) // 16


def test_what_is_not_shared_runs_in_part_0_between_barriers():
    one = Reduce(Elem("a", ZERO), "=", Number(1))
    fill, loop = Fill("a", ONE, Number(0), True), Loop("i", Range(ZERO, ONE), (one,), par=True)
    outer = Loop("n", Range(ZERO, ONE), (one, one, loop))
    kernel = Kernel(("title",), (Buffer("a", "float32", True),), (), (), "float32", (fill, outer))
    text = emit(kernel)
    assert text[text.index("    ZS_SHARED") :] == (
        "    ZS_SHARED(i, args->part, args->parts, 0, 1) {\n"
        "        a[i] = 0.0f;\n"
        "    }\n"
        "    ZS_BARRIER(args);\n"
        "    for (int64_t n = 0; n < 1; n++) {\n"
        "        ZS_POLL(args);\n"
        "        if (args->part == 0) {\n"
        "            a[0] = 1.0f;\n"
        "            a[0] = 1.0f;\n"
        "        }\n"
        "        ZS_BARRIER(args);\n"
        "        ZS_SHARED(i, args->part, args->parts, 0, 1) {\n"
        "            a[0] = 1.0f;\n"
        "        }\n"
        "        ZS_BARRIER(args);\n"
        "    }\n"
        "    return ZS_OK;\n}\n"
    )
    assert with_barriers((outer.body[0],)) == (outer.body[0],)


# ---- results ----------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "shapes", "formats"), CASES)
def test_results_are_equal_to_the_bit_for_any_number_of_threads(text, shapes, formats):
    """Unbound, bound, and with every walk of the levels; from a result that holds rubbish."""
    spec = make_spec(text, pad={"I": {2: (1, 1)}} if "2*p" in text else None)
    operands = drawn(shapes, formats)
    name, got = spec.results[-1], []
    held = {n: x for n, x in operands.items() if isinstance(x, Tensor)}
    for threads in THREADS:
        with settings.using(threads=threads):
            result = engine.evaluate(spec, operands)[name]
            again = Bound(spec, held).run({n: x for n, x in operands.items() if n not in held})
        line = line_of(spec, operands)
        prepared, filled = schedules.plain(line, np.full(line.shape, 7, line.stored))
        with settings.using(threads=threads):
            run(prepared, filled, "c")
        walked = filled.buffers[prepared.lowered.buffers.index(("vals", name))]
        got.append((result.tobytes(), np.asarray(again).tobytes(), walked.tobytes()))
    assert got == [got[0]] * len(THREADS)
    want = engine.evaluate(spec, operands, backend="numpy")[name]
    assert np.allclose(result, want, 1e-4, 1e-4)


@pytest.mark.parametrize(("text", "shapes", "formats"), CASES)
@pytest.mark.parametrize("parts", [2, 5])
def test_parts_may_run_in_any_order(text, shapes, formats, parts):
    pad = {"I": {2: (1, 1)}} if "2*p" in text else None
    (prepared, alone), (_, apart) = (kernel_of(text, shapes, formats, pad) for _ in range(2))
    rng = random.Random(parts)
    orders = (rng.sample(range(parts), parts) for _ in itertools.count())
    kernel = prepared.lowered.kernel
    interpret(kernel, alone.buffers, alone.dims, alone.parameters)
    interpret(kernel, apart.buffers, apart.dims, apart.parameters, orders)
    for one, other in zip(alone.buffers, apart.buffers, strict=True):
        assert one.tobytes() == other.tobytes()


EACH = tuple(range(1, 9))
TILED = [
    (SPMM, {"A": (11, 9), "B": (9, 33)}),
    ("O[b,o] = relu(B[o] + sum[i](W[o,i]*X[b,i]))", {"W": (7, 6), "X": (5, 6), "B": (7,)}),
    (CONV, {"I": (2, 3, 9, 8), "F": (5, 3, 3, 3), "B": (5,)}),
]


@pytest.mark.parametrize(("text", "shapes"), TILED)
@pytest.mark.parametrize("cut", [TileShape(64, 1, EACH, 0), TileShape(16, 4, (1, 2, 3), 4)])
def test_threads_share_the_rows_of_every_tile(text, shapes, cut):
    spec = make_spec(text, pad={"I": {2: (1, 1)}} if "I" in shapes else None)
    line = line_of(spec, drawn(shapes, {}))
    plan = tile.plan(line.form, line.signatures, line.dtype.name)
    assert plan is not None
    got = []
    for threads in THREADS:
        with settings.using(threads=threads):
            targets = [np.full(line.shape, 7, line.stored) for _ in range(2)]
            prepared, filled = schedules.tiled(line, plan, targets[0], cut)
            assert filled.parts == threads
            run(prepared, filled, "c")
            _, apart = schedules.tiled(line, plan, targets[1], cut)
        rng = random.Random(threads)
        orders = (rng.sample(range(threads), threads) for _ in itertools.count())
        interpret(prepared.lowered.kernel, apart.buffers, apart.dims, apart.parameters, orders)
        assert np.allclose(*targets, 1e-5, 1e-5)  # C has fused multiply-adds
        got.append([target.tobytes() for target in targets])
    assert got == [got[0]] * len(THREADS)
    want = engine.evaluate(spec, line.used, backend="numpy")
    assert np.allclose(targets[0], want[line.name], 1e-4, 1e-4)


def test_a_copy_is_shared_over_its_outer_axes():
    """Axes of 2 and 3 among 7 parts, in C and in the interpreter."""
    shape = (2, 3, 4)
    strides = [(Const(12), Const(1)), (Const(4), Const(2)), (ONE, Const(6))]
    axes = tuple(
        StageAxis(Const(n), ZERO, 1, source, ZERO, target)
        for n, (source, target) in zip(shape, strides, strict=True)
    )
    buffers = (Buffer("x", "float32"), Buffer("y", "float32", True))
    body = (Stage("y", "x", axes, par=True),)
    kernel = Kernel(("turned",), buffers, (), (), "float32", body)
    x = np.arange(24, dtype=np.float32)
    y, z = np.zeros(24, np.float32), np.zeros(24, np.float32)
    load(emit(kernel), "zs_kernel").prepare([x, y]).call(through=pool.spread(7))
    interpret(kernel, [x, z], [], [], itertools.repeat([1, 0, 2, 6, 4, 5, 3]))
    assert y.tolist() == z.tolist() == x.reshape(shape).transpose(2, 1, 0).ravel().tolist()


# ---- errors, and what is worth it -------------------------------------------------------


def test_the_first_error_in_the_order_of_the_loop_is_the_one_that_is_raised():
    spec = make_spec("O[n,X[n,p]] = I[n,p]", sizes={"O": (64, 9)})
    places = np.stack([np.arange(64) % 9, np.arange(64) % 9 + 20], 1) % 9
    values = np.ones((64, 2), np.float32)
    places[[11, 40, 63], 1] = places[[11, 40, 63], 0]  # written twice
    raised = []
    for threads in THREADS:
        with settings.using(threads=threads), pytest.raises(KernelError) as found:
            engine.evaluate(spec, {"X": places, "I": values})
        raised.append(str(found.value))
    assert f"O[11, {places[11, 0]}] more than once" in raised[0]
    assert raised == [raised[0]] * len(THREADS)
    places[50, 0] = 99
    with settings.using(threads=3), pytest.raises(KernelError, match="more than once"):
        engine.evaluate(spec, {"X": places, "I": values})


def test_as_many_threads_as_a_call_is_worth(monkeypatch):
    monkeypatch.setattr(effort, "PART", 100)
    spec = make_spec("y[i] = A[i,j]*x[j]")

    def parts(rows, columns, format="CSR"):
        a = Tensor.from_dense(np.ones((rows, columns)), format)
        line = line_of(spec, {"A": a, "x": np.ones(columns)})
        return schedules.plain(line, np.empty(line.shape))[1].parts

    assert parts(10, 18) == 1  # 10 places and 180 products
    assert parts(10, 19) == 2
    assert parts(10, 99) == 10
    assert parts(10, 99, "CSC") == 1
    with settings.using(threads=1):
        assert pool.team(10) is None
    with settings.using(threads=4):
        assert (pool.team(10).args, pool.team(3).args, pool.team(1)) == ((4,), (3,), None)


def test_a_name_of_the_nest_is_no_name_of_the_pool():
    """Ranks may be called as what the shares are held in."""
    text = "C[i,zs_end_i,i_share] = A[i,k,zs_end_i,part]*B[k,i_share,parts]"
    operands = drawn({"A": (3, 4, 2, 2), "B": (4, 5, 2)}, {})
    with settings.using(threads=5):
        got = engine.evaluate(make_spec(text), operands)["C"]
    want = engine.evaluate(make_spec(text), operands, backend="numpy")["C"]
    assert np.allclose(got, want, 1e-4, 1e-4)


def test_rows_are_shared_by_their_entries():
    """One long row among many short ones: whoever has it has little else."""
    array = np.zeros((64, 900))
    array[:, 0], array[5] = 1, np.arange(1, 901)
    operands = {"A": Tensor.from_dense(array, "CSR"), "x": np.arange(900.0)}
    call = Call(make_spec("y[i] = A[i,j]*x[j]"), operands, array @ operands["x"])
    prepared, filled = prepare(call)
    kernel = prepared.lowered.kernel
    machine = Machine(kernel, filled.buffers, filled.dims, filled.parameters)
    (loop,) = kernel.body
    rows = [machine.share_by(loop.by, 0, 64, part, 4) for part in range(4)]
    assert [row for part in rows for row in part] == list(range(64))
    assert rows[0] == range(6)
    assert rows[3] == range(6, 64)
    assert "ZS_SHARED_BY(A_j_pos, i, args->part, args->parts, 0, I)" in prepared.c_text
    assert machine.share_by(loop.by, 3, 3, 0, 2) == range(3, 3)
