"""Generated C under the address and undefined-behaviour sanitizers: a finding fails.

Every schedule on awkward sizes, and sparse results; random Einsums are in test_trials.py.
Results are checked against NumPy on the way.
"""

import os
from dataclasses import replace

import numpy as np
import pytest
from generator import random_array, random_format
from integers import drawn, product
from judges import Call, line_of
from standalone import FLAGS, run, sanitizes

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import assemble, lanes, schedules, settings, settling, unrolled
from zeroskip.native.fixed import OPEN, Schedule
from zeroskip.native.reference import evaluate
from zeroskip.native.results import assembly_of, rearranged, rows_kernel

pytestmark = pytest.mark.sanitize

SEED = int(os.environ.get("ZEROSKIP_SEED", "20171113"))


@pytest.fixture(scope="module", autouse=True)
def sanitizers(tmp_path_factory):
    if not sanitizes(tmp_path_factory.mktemp("empty")):
        pytest.skip("this compiler has no sanitizers")


def prepare(call, fixed=OPEN):
    """The kernel that the engine takes; its result starts as what no kernel would compute.  Of a
    schedule that is fixed what is sparse is bound."""
    bound = [name for name, x in call.operands.items() if isinstance(x, Tensor) and fixed != OPEN]
    line = replace(line_of(call.spec, call.operands), fixed=fixed)
    target = np.full(line.shape, 99, line.stored)
    return settling.scheduled(line, target, bound), line


def check(place, calls, fixed=OPEN):
    """Run the calls' kernels as one program; compare each result to the bit."""
    prepared = [prepare(call, fixed) for call in calls]
    results = run(place, [kernel for kernel, _ in prepared])
    for call, (kernel, line), buffers in zip(calls, prepared, results, strict=True):
        at = kernel[0].lowered.buffers.index(("vals", line.name))
        got = buffers[at].reshape(line.shape).astype(call.want.dtype)
        assert np.array_equal(got, call.want), call


def test_rows_of_sparse_results(tmp_path):
    """Room for all entries, and for one less than there are."""
    rng = np.random.default_rng(SEED)
    kernels, wants = [], []
    for text, shapes in [
        ("C[i,k] = A[i,j]*B[j,k]", {"A": (7, 6), "B": (6, 50)}),
        ("C[i,k] = A[i,j]*B[j,k]", {"A": (3, 40), "B": (40, 900)}),
        ("C[i,j] = relu(A[i,j] + B[i,j])", {"A": (5, 70), "B": (5, 70)}),
    ]:
        dense = {n: random_array(rng, shape, "float64", 0.3) for n, shape in shapes.items()}
        for format in ("CSR", "bitmask", "a:C b:C"):
            stored = {name: Tensor.from_dense(x, format) for name, x in dense.items()}
            spec = make_spec(text)
            line, want = line_of(spec, stored), evaluate(spec, dense)["C"]
            chosen = assembly_of(line)
            assert chosen is not None
            line = rearranged(line, chosen)
            for room in (int(np.count_nonzero(want)) * 2 + 5, 3):
                prepared, filled = rows_kernel(line, chosen, room)
                kernels.append((prepared, filled))
                wants.append((want, chosen, line, room))
    for (prepared, _), buffers, (want, chosen, line, room) in zip(
        kernels, run(tmp_path, kernels), wants, strict=True
    ):
        arrays = dict(zip(prepared.lowered.buffers, buffers, strict=True))
        ends = arrays["ends",]
        count = int(ends[-1])
        assert not arrays["seen",].any()
        if count <= room:
            made = np.zeros_like(want)
            places = arrays["inners",][:count]
            coords = assemble.coordinates(chosen, ends, places, line.extents.ranks)
            made[coords] = arrays["vals", "C"][:count]
            assert np.array_equal(made, want)


@pytest.mark.parametrize(
    "flags",
    [FLAGS, (*FLAGS, "-U__AVX512VBMI2__"), (*FLAGS, "-U__BMI2__")],
    ids=["vectors", "narrow vectors", "one by one"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "float16"])
def test_rows_are_swept_within_their_arrays(tmp_path, dtype, flags):
    """Full rows, and others behind them, where there is room for all of them and a sweep beyond,
    for just all, and for fewer: nothing is written behind the room, and no row over another."""
    rng = np.random.default_rng(SEED)
    kernels, wants = [], []
    for extent in (2, 7, 8, 9, 12, 67, 64 * 40 + 63, 2**16 + 11):
        b = np.zeros((5, extent), dtype)
        b[0], b[1, -1] = 1, 2
        b[2, rng.random(extent) < 0.3] = 3
        b[4, rng.random(extent) < 0.03] = 4
        turns = [3, 0, 0, 1, 2, 0, 3, 2, 4, 4, 1, 4, 0]
        a = np.zeros((len(turns), 5), dtype)
        a[np.arange(len(turns)), turns] = 1
        # of a bitmask it is not known how many products there will be: no row is listed
        stored = {"A": Tensor.from_dense(a, "CSR"), "B": Tensor.from_dense(b, "bitmask")}
        line = line_of(make_spec("C[i,k] = A[i,j]*B[j,k]"), stored)
        chosen = assembly_of(line)
        assert chosen is not None
        assert chosen.outer == ("i",)
        line = rearranged(line, chosen)
        rows = b[turns]
        entries = np.count_nonzero(rows)
        past = extent + assemble.SWEPT
        for room in (past, past - 1, assemble.SWEPT, assemble.SWEPT - 1, 1, 0, -1, 1 - extent):
            kernels.append(rows_kernel(line, chosen, int(entries + room)))
            wants.append((rows, int(entries), int(entries + room)))
    for (prepared, _), buffers, (rows, entries, room) in zip(
        kernels, run(tmp_path, kernels, flags), wants, strict=True
    ):
        arrays = dict(zip(prepared.lowered.buffers, buffers, strict=True))
        at, places = np.nonzero(rows)
        kept = min(entries, room)
        assert arrays["ends",].tolist() == [0, *np.cumsum(np.count_nonzero(rows, axis=1))]
        assert np.array_equal(arrays["inners",][:kept], places[:kept])
        assert np.array_equal(arrays["vals", "C"][:kept], rows[at, places][:kept])
        assert not arrays["seen",].any()
        assert not arrays["row",].any()


@pytest.mark.parametrize(
    "flags", [FLAGS, (*FLAGS, "-U__AVX512F__")], ids=["network", "merged runs"]
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "float16"])
def test_short_rows_within_their_arrays(tmp_path, dtype, flags):
    """Of every few products, also such that meet, where the last fiber ends with its array."""
    rng = np.random.default_rng(SEED)
    kernels, wants = [], []
    for extent in (1, 7, 40, 700, 2**16 + 11):
        b = np.zeros((9, extent), dtype)
        for row, fill in zip(b, (1, 1 / 2, 1 / 3, 2 / 3, 1 / 9, 1, 1 / 5, 0, 1), strict=True):
            row[rng.random(extent) < min(fill, 600 / extent)] = rng.integers(1, 3)
        turns = [*range(9), 8, 0, 7, 3]
        a = np.zeros((len(turns), 9), dtype)
        a[np.arange(len(turns)), turns] = 1
        a[1:7, 4] = 1
        stored = {"A": Tensor.from_dense(a, "CSR"), "B": Tensor.from_dense(b, "CSR")}
        line = line_of(make_spec("C[i,k] = A[i,j]*B[j,k]"), stored)
        chosen = assembly_of(line)
        assert chosen is not None
        line = rearranged(line, chosen)
        rows = a.astype(float) @ b.astype(float)
        entries = np.count_nonzero(rows)
        for room in (assemble.SWEPT, 1, 0, -1, -7):
            kernels.append(rows_kernel(line, chosen, max(int(entries + room), 1)))
            wants.append((rows, max(int(entries + room), 1)))
    for (prepared, _), buffers, (rows, room) in zip(
        kernels, run(tmp_path, kernels, flags), wants, strict=True
    ):
        arrays = dict(zip(prepared.lowered.buffers, buffers, strict=True))
        at, places = np.nonzero(rows)
        kept = min(len(at), room)
        assert arrays["ends",].tolist() == [0, *np.cumsum(np.count_nonzero(rows, axis=1))]
        assert np.array_equal(arrays["inners",][:kept], places[:kept])
        assert np.array_equal(arrays["vals", "C"][:kept], rows[at, places][:kept])
        assert not arrays["seen",].any()


def product_calls(rng, dtype):
    """Matrix products and convolutions on sizes that fill no vector, or barely more than one."""
    calls = []
    for rows, inner, columns in [
        (1, 1, 1),
        (0, 3, 9),
        (3, 0, 9),
        (2, 5, 0),
        (3, 4, 17),
        (5, 3, 129),
    ]:
        a = random_array(rng, (rows, inner), dtype, 0.6)
        b = random_array(rng, (inner, columns), dtype, 0.8)
        spec = make_spec("C[i,j] = A[i,k] * B[k,j]")
        stored = {"A": Tensor.from_dense(a, random_format(rng, 2)), "B": b}
        calls.append(Call(spec, stored, a @ b))
    for stride, pad, size, filters in [(1, 1, 5, 3), (2, 0, 7, 9), (3, 2, 6, 8), (1, 0, 3, 1)]:
        image = random_array(rng, (2, 2, size, size + 1), dtype, 0.7)
        weights = random_array(rng, (filters, 2, 3, 2), dtype, 0.5)
        text = f"O[n,m,p,q] = I[n,c,{stride}*p+r,q+s] * F[m,c,r,s]"
        spec = make_spec(text, pad=pad)
        want = evaluate(spec, {"I": image, "F": weights})["O"]
        for which in "IF":
            stored = {"I": image, "F": weights}
            stored[which] = Tensor.from_dense(stored[which], random_format(rng, 4))
            calls.append(Call(spec, stored, want))
    return calls


def test_a_read_past_the_end_of_a_buffer_is_found(tmp_path):
    """The harness sees what it is there to see."""
    operands = {"A": Tensor.from_dense(np.eye(3), "CSR"), "x": np.ones(3)}
    call = Call(make_spec("y[i] = A[i,j] * x[j]"), operands, np.ones(3))
    (prepared, filled), _ = prepare(call)
    at = prepared.lowered.buffers.index(("vals", "x"))
    filled.buffers[at] = filled.buffers[at][:2]
    with pytest.raises(AssertionError, match=r"heap-buffer-overflow[\s\S]*READ of size 8"):
        run(tmp_path, [(prepared, filled)])


@pytest.mark.parametrize("schedule", ["tile", "lanes"])
def test_every_schedule_on_awkward_sizes(tmp_path, monkeypatch, schedule):
    monkeypatch.setattr(schedules, "WORTH_TILING", 0 if schedule == "tile" else 2**62)
    monkeypatch.setattr(schedules, "REUSE", 0)
    monkeypatch.setattr(lanes, "FEWEST_LANES", 1)
    rng = np.random.default_rng(SEED)
    calls = [c for dtype in ("float32", "int64") for c in product_calls(rng, dtype)]
    texts = [prepare(call)[0][0].c_text for call in calls]
    assert any("register tiles of the line" in t for t in texts) == (schedule == "tile")
    check(tmp_path, calls)


@pytest.mark.parametrize("width", [16, 32, 64])
def test_extremes_on_awkward_sizes(tmp_path, width):
    rng = np.random.default_rng(SEED)
    lines = ("R[i] max= A[i,j]", "R[j] min= A[i,j]", "R[i,q] max= A[i,2*q+s]")
    with settings.using(vector_bytes=width):
        calls = [
            Call(make_spec(line, sizes={"s": 3} if "s" in line else None), {"A": x}, want)
            for dtype in ("float32", "float64", "int64")
            for length in (3, 15, 16, 37, 130)
            for x in [rng.integers(-9, 10, (3, length)).astype(dtype)]
            for line, want in zip(lines, extremes(x), strict=True)
        ]
        check(tmp_path, calls)


def extremes(x):
    places = range((x.shape[1] - 3) // 2 + 1)
    return x.max(1), x.min(0), np.stack([x[:, 2 * q : 2 * q + 3].max(1) for q in places], 1)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_lanes_that_join_integers_on_awkward_sizes(tmp_path, monkeypatch, dtype):
    """Their entries walked, as sanitizers see no machine code; copies of 4 or 2 places at once.
    Sums stay in range, as these flags let none wrap around."""
    none = np.zeros(0, np.uint8)

    def absent(first, *_, groups, **__):
        return none, np.zeros((len(first) - 1) // groups + 1, np.int64)

    monkeypatch.setattr(unrolled, "machine_code", absent)
    monkeypatch.setattr(unrolled, "available", lambda _=1: True)
    rng = np.random.default_rng(SEED)
    calls = []
    for rows, inner, columns in [(1, 1, 1), (3, 5, 17), (30, 9, 33), (2, 64, 7)]:
        a, b = drawn(rng, (rows, inner), dtype, 0.4), drawn(rng, (inner, columns), dtype)
        a //= 100
        for text, dense in (("C[i,j] = A[i,k]*B[k,j]", b), ("C[i,j] = A[i,k]*B[j,k]", b.T.copy())):
            want, stored = product(a, b, "int32"), Tensor.from_dense(a, "CSR")
            calls.append(Call(make_spec(text), {"A": stored, "B": dense}, want))
    for width, step, channels in [(1, 1, 1), (19, 1, 6), (9, 2, 3)]:
        image = drawn(rng, (2, channels, 5, width), dtype)
        weights = drawn(rng, (7, channels, 3, 3), dtype, 0.5) // 100
        text = f"O[n,m,p,q] = I[n,c,{step}*p+r,{step}*q+s] * F[m,c,r,s]"
        spec = make_spec(text, pad={"I": {2: (1, 1), 3: (1, 1)}})
        want = evaluate(spec, {"I": image, "F": weights})["O"]
        operands = {"I": image, "F": Tensor.from_dense(weights, "CSR")}
        calls.append(Call(spec, operands, want))
    check(tmp_path, calls, Schedule(unrolled=True, block=5, vector_bytes=64))


@pytest.mark.parametrize("parts", [1, 3])
def test_images_that_are_read_where_they_lie(tmp_path, monkeypatch, parts):
    """Entries of programs are walked; no vector of the image reaches past its ends."""

    def none(first, *_, groups, elsewhere, **__):
        programs = (len(first) - 1) // groups * (2 if elsewhere else 1)
        return np.zeros(0, np.uint8), np.zeros(programs + 1, np.int64)

    monkeypatch.setattr(unrolled, "available", lambda *_: True)
    monkeypatch.setattr(unrolled, "machine_code", none)
    rng = np.random.default_rng(SEED)
    kernels, wants = [], []
    text = "O[n,m,p,q] = I[n,c,p+r,q+2*s] * F[m,c,r,s]"
    for height, width, pad in [
        (20, 19, {2: 1, 3: (2, 2)}),
        (30, 14, {2: (0, 2), 3: (4, 0)}),
        (40, 9, {2: 1, 3: 0}),
        (13, 33, {2: 0, 3: 0}),
        (30, 60, {2: (2, 0), 3: 2}),
    ]:
        image = random_array(rng, (1, 3, height, width), "float32", 0.9)
        weights = random_array(rng, (31, 3, 3, 3), "float32", 0.5)
        spec = make_spec(text, pad={"I": pad})
        operands = {"I": image, "F": weights}
        line = replace(line_of(spec, operands), fixed=Schedule(unrolled=True, block=9))
        with settings.using(vector_bytes=64, threads=parts):
            plan = schedules.schedule_of(line, ("F",))
            shape = schedules.shape_in(line, plan, ("F",))
            assert shape.lying
            target = np.full(line.shape, 99, line.stored)
            kernels.append(schedules.tiled(line, plan, target, shape))
        wants.append(evaluate(spec, operands)["O"])
    for (prepared, _), buffers, want in zip(
        kernels, run(tmp_path, kernels, parts=parts), wants, strict=True
    ):
        at = prepared.lowered.buffers.index(("vals", "O"))
        assert np.array_equal(buffers[at].reshape(want.shape), want)


@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_within_their_arrays(tmp_path, dtype, width):
    rng = np.random.default_rng(SEED)
    spec, prepared, wants = make_spec("C[i,j] = A[i,k] * B[k,j]"), [], []
    for rows, inner, columns, block in ((17, 9, 3, None), (5, 30, 29, 7), (16, 4, 8, 0)):
        a = random_array(rng, (rows, inner), dtype, 0.5)
        b = random_array(rng, (inner, columns), dtype, 1.0)
        line = line_of(spec, {"A": Tensor.from_dense(a, "CSR"), "B": b})
        line = replace(line, fixed=Schedule(bitmask=True, vector_bytes=width, block=block))
        target = np.full(line.shape, 99, dtype)
        prepared.append(settling.scheduled(line, target, ("A",)))
        wants.append(a @ b)
    results = run(tmp_path, prepared)
    for (kernel, _), want, buffers in zip(prepared, wants, results, strict=True):
        got = buffers[kernel.lowered.buffers.index(("vals", "C"))]
        assert np.array_equal(got.reshape(want.shape), want)
