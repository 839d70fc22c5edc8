"""Entries as machine code: right on every shape, equal to the walk, or refused."""

import itertools
import random
import sys
from dataclasses import replace

import numpy as np
import pytest
from generator import random_array
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import line_of

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import KernelError
from zeroskip.explanation.inspecting import choose
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import HALVES
from zeroskip.native import cutting, effort, engine, geometry, schedules, tile, unrolled
from zeroskip.native.fixed import Schedule
from zeroskip.native.geometry import MASKS
from zeroskip.native.interpret import FEWEST_SHARED, interpret
from zeroskip.native.prepared import run
from zeroskip.native.texts import header
from zeroskip.native.tile_shape import MEMBERS

PRODUCT = zs.layer("C[i,j] = A[i,k]*B[k,j]")
CONV = zs.layer("O[n,m,p,q] = relu(D[m] + I[n,c,2*p+r,q+s]*F[m,c,r,s])", pad=1)
UNROLLED = Schedule(unrolled=True)
RNG = np.random.default_rng(5)

codes = pytest.mark.skipif(not unrolled.available(), reason="no machine code of a process is run")
seeds = st.integers(0, 2**32 - 1)


BLOCKS = st.sampled_from([None, 0, 9])


@codes
@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from([0, 0.03, 0.2, 1]),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from([None, 0, 1, 13, 400]),
    st.sampled_from([1, 2, 5]),
    seeds,
)
def test_products(rows, inner, columns, density, dtype, block, threads, seed):
    rng = np.random.default_rng(seed)
    a = random_array(rng, (rows, inner), dtype, density)
    b = random_array(rng, (inner, columns), dtype, 1.0)
    bound = PRODUCT.bind(
        A=Tensor.from_dense(a, "CSR"), schedule=Schedule(unrolled=True, block=block)
    )
    with zs.config.using(threads=threads):
        assert np.array_equal(bound(b), a @ b)


@codes
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 20), st.integers(1, 40), seeds)
def test_convolutions(filters, channels, height, width, seed):
    rng = np.random.default_rng(seed)
    given_ = {
        "D": random_array(rng, (filters,), "float32", 1.0),
        "I": random_array(rng, (2, channels, height, width), "float32", 1.0),
    }
    f = random_array(rng, (filters, channels, 3, 3), "float32", 0.3)
    want = CONV(**given_, F=f, backend="numpy")
    for block, tiles in ((None, 16), (0, 1), (9, 2)):  # as few vectors in a strip of the line
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(geometry, "STRIP_BYTES", 1)
            patch.setattr(geometry, "FEWEST_TILES", tiles)
            bound = CONV.bind(F=f, schedule=Schedule(unrolled=True, block=block))
            for threads in (1, 2):
                with zs.config.using(threads=threads):
                    assert np.array_equal(bound(**given_), want)


@codes
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_rows_that_follow_each_other_without_a_halo(data):
    """Windows of 1 to 8 places, steps between them and padding of each side that leave a row as
    long as it was: one batch writes the result as it lies, another does not; what a row's
    neighbour holds, an infinity too, does not come in."""
    rng = np.random.default_rng(data.draw(seeds))
    batch, filters, height = (data.draw(st.integers(1, n)) for n in (2, 30, 6))
    taps, step = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 2))
    reach = step * (taps - 1)
    before = data.draw(st.integers(0, reach))
    width = data.draw(st.integers(1, 40))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    image = random_array(rng, (batch, 3, height, width), dtype, 0.9)
    weights = random_array(rng, (filters, 3, 2, taps), dtype, 0.5)
    layer = zs.layer(
        f"O[n,m,p,q] = I[n,c,p+r,q+{step}*s] * F[m,c,r,s]",
        pad={"I": {2: (1, 0), 3: (before, reach - before)}},
    )
    if data.draw(st.booleans()):
        image[..., [0, -1]] = np.inf
    want = layer(I=image, F=weights, backend="numpy")
    bound = layer.bind(F=weights, schedule=Schedule(unrolled=True, block=data.draw(BLOCKS)))
    for threads in (1, 2):
        with zs.config.using(threads=threads):
            assert np.array_equal(bound(image), want, equal_nan=True)


def test_which_rows_may_follow_each_other():
    """Of a step of 1, as long in the result as in the source, and of at most 7 shifts."""

    def shifts(text, image, filters, pad):
        line = line_of(make_spec(text, pad=pad), {"I": np.ones(image), "F": np.ones(filters)})
        plan = tile.plan(line.form, line.signatures, "float64")
        return geometry.shifts_of(plan, line.extents)

    text = "O[m,q] = I[c,q+s] * F[m,c,s]"
    assert shifts(text, (2, 9), (3, 2, 3), 1) == (0, 2)
    assert shifts(text, (2, 9), (3, 2, 3), {"I": {1: (0, 2)}}) == (1, 2)
    assert shifts(text, (2, 9), (3, 2, 6), {"I": {1: (3, 2)}}) == (0, 1, 2, 4, 5)
    assert shifts(text, (2, 9), (3, 2, 7), 3) == (0, 1, 2, 4, 5, 6)
    assert shifts(text, (2, 9), (3, 2, 8), {"I": {1: (4, 3)}}) is None  # seven masks
    assert shifts(text, (2, 9), (3, 2, 3), 0) is None  # shorter than its row
    assert shifts(text, (2, 2), (3, 2, 3), 1) is None  # a shift is longer than a row
    assert shifts("O[m,q] = I[c,q+s+1] * F[m,c,s]", (2, 9), (3, 2, 3), 1) is None
    assert shifts("O[m,q] = I[c,2*q+s] * F[m,c,s]", (2, 9), (3, 2, 3), 1) is None
    assert shifts("O[m,q] = I[c,q] * F[m,c]", (2, 9), (3, 2), 0) is None  # no window


@codes
@pytest.mark.parametrize("left", ["float32", *HALVES])
@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("schedule", [None, Schedule(unrolled=True, block=7)])
def test_lanes_that_are_halves_become_float32(left, half, turned, schedule):
    """Those that lie in place are read as what they are, the last of a row included."""
    layer = zs.layer("C[i,j] = A[i,k]*B[j,k]") if turned else PRODUCT
    a = random_array(RNG, (64, 40), left, 0.5)
    b = random_array(RNG, (131, 40) if turned else (40, 131), half, 1.0)
    (found,) = choose(layer.spec, {"A": a, "B": b}, ("A",))
    assert found.taken.unrolled
    bound = layer.bind(A=a, schedule=schedule)
    want = a.astype(float) @ (b.T if turned else b).astype(float)
    for threads in (1, 2):
        with zs.config.using(threads=threads):
            got = bound(B=b)
            assert got.dtype == (half if left == half else "float32")
            assert np.array_equal(got, want.astype(got.dtype))


@codes
def test_nothing_beside_the_result_is_written_and_nothing_behind_the_operands_read():
    a, b = (random_array(RNG, s, "float32", 1.0) for s in [(30, 20), (20, 49)])
    room = np.full(30 * 49 + 200, 7, np.float32)
    out = room[100:-100].reshape(30, 49)
    assert PRODUCT.bind(A=a, schedule=UNROLLED)(b, out=out) is out
    assert np.array_equal(out, a @ b)
    assert (room[:100] == 7).all()
    assert (room[-100:] == 7).all()
    last = b.copy()
    last[:, -1] = np.nan  # lanes that are not there would be of the next row
    got = PRODUCT.bind(A=a, schedule=UNROLLED)(last)
    assert np.isnan(got[:, -1]).all()
    assert np.array_equal(got[:, :-1], (a @ b)[:, :-1])


@codes
def test_code_and_walk_give_the_same_bits(monkeypatch):
    """Both add up in one order, each product with one rounding."""
    a = (RNG.standard_normal((61, 150)) * (RNG.random((61, 150)) < 0.3)).astype(np.float32)
    b = RNG.standard_normal((150, 83)).astype(np.float32)
    coded = PRODUCT.bind(A=a, schedule=UNROLLED)(b)
    absent = np.zeros(0, np.uint8)

    def none(first, *_, groups, **__):
        return absent, np.zeros((len(first) - 1) // groups + 1, np.int64)

    monkeypatch.setattr(unrolled, "machine_code", none)
    walked = PRODUCT.bind(A=a, schedule=UNROLLED)(b)
    assert np.array_equal(coded, walked)
    assert np.allclose(coded, a.astype(float) @ b, atol=1e-4)


@codes
def test_the_default_is_unrolled_where_it_pays():
    shapes = {"A": (64, 64), "B": (64, 256)}
    for density, columns, taken in [(0.5, 256, True), (0.01, 256, None), (0.5, 16, None)]:
        a = Tensor.from_dense(random_array(RNG, shapes["A"], "float32", density), "CSR")
        b = np.ones((64, columns), np.float32)
        (bound,) = choose(PRODUCT.spec, {"A": a, "B": b}, ("A",))
        (called,) = choose(PRODUCT.spec, {"A": a, "B": b})
        assert (bound.taken.unrolled, called.taken.unrolled) == (taken, None), (density, columns)


@codes
def test_a_part_is_printed_with_its_tiles_and_its_programs():
    a = Tensor.from_dense(random_array(RNG, (40, 30), "float32", 0.2), "CSR")
    text = str(zs.explain(PRODUCT.bind(A=a, schedule=UNROLLED), B=np.ones((30, 20), np.float32)))
    share = "share [lo, hi) of [0, line_tiles), [first, end) of [0, row_blocks):  # parallel"
    assert share in text
    assert "for program in [first, end):" in text


def test_what_cannot_be_unrolled_is_refused():
    a, b = (random_array(RNG, s, "float32", 1.0) for s in [(30, 20), (20, 49)])
    with pytest.raises(KernelError, match=r"unrolled=True: .*A is not bound"):
        PRODUCT(a, b, schedule=UNROLLED)
    with pytest.raises(KernelError, match="int32 is computed by no such instruction"):
        PRODUCT.bind(A=a.astype(np.int32), schedule=UNROLLED)(b.astype(np.int32))
    with pytest.raises(KernelError, match="it takes vectors of 64 bytes, and these have 32"):
        PRODUCT.bind(A=a, schedule=Schedule(unrolled=True, vector_bytes=32))(b)
    with pytest.raises(KernelError, match="rows=2 is of tiles that are not unrolled"):
        Schedule(unrolled=True, rows=2)
    with pytest.raises(KernelError, match="unrolled=1: expected True or False"):
        Schedule(unrolled=1)


def test_where_code_cannot_be_run_tiles_are_taken(monkeypatch):
    a, b = (random_array(RNG, s, "float32", 1.0) for s in [(64, 64), (64, 256)])
    monkeypatch.setattr(unrolled, "available", lambda _=1: False)
    (bound,) = choose(PRODUCT.spec, {"A": a, "B": b}, ("A",))
    assert bound.taken.unrolled is None
    assert np.array_equal(PRODUCT.bind(A=a)(b), a @ b)
    if zs.config.get().vector_bytes in (None, 64):
        with pytest.raises(KernelError, match=r"runs no code|takes vectors of 64"):
            PRODUCT.bind(A=a, schedule=UNROLLED)(b)


def test_the_numbers_of_the_header_are_those_here():
    text = header("zs_unrolled.h")
    assert f"#define ZS_MEMBERS {MEMBERS}\n" in text
    assert f"#define ZS_FEWEST_SHARED {FEWEST_SHARED}\n" in text
    assert f"#define ZS_MASKS {MASKS}\n" in text


@codes
@pytest.mark.skipif(sys.platform != "linux", reason="maps are read from /proc")
def test_code_can_no_longer_be_written_and_goes_when_nothing_holds_it():
    a = random_array(RNG, (200, 200), "float32", 1.0)
    bound = PRODUCT.bind(A=a, schedule=UNROLLED)
    bound(np.ones((200, 64), np.float32))
    with open("/proc/self/maps") as maps:
        kinds = [line.split()[1] for line in maps]
    assert not any("w" in kind and "x" in kind for kind in kinds)
    code, begin = unrolled.machine_code(
        np.array([0, 1]),
        np.zeros(1, np.uint8),
        np.zeros(1, np.int32),
        np.zeros(1, np.uint8),
        turn=1,
        groups=1,
        members=1,
        rows=1,
        dtype="float64",
    )
    assert 0 < begin[1] <= len(code)
    assert not code.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        code[0] = 0


@codes
def test_code_is_written_once_for_lines_of_every_length(monkeypatch):
    a = random_array(RNG, (40, 30), "float32", 0.5)
    bound = PRODUCT.bind(A=a, schedule=UNROLLED)
    written = []
    coded = unrolled.machine_code

    def counted(*arrays, **sizes):
        written.append(sizes)
        return coded(*arrays, **sizes)

    monkeypatch.setattr(unrolled, "machine_code", counted)
    for columns in (49, 64, 200):
        b = random_array(RNG, (30, columns), "float32", 1.0)
        assert np.array_equal(bound(b), a @ b)
    assert len(written) == 1


@codes
def test_without_room_for_code_entries_are_walked(monkeypatch):
    a, b = (random_array(RNG, s, "float32", 1.0) for s in [(40, 30), (30, 49)])

    def full(*_):
        raise OSError("Cannot allocate memory")

    monkeypatch.setattr(unrolled, "pages", full)
    assert np.array_equal(PRODUCT.bind(A=a, schedule=UNROLLED)(b), a @ b)


@codes
@pytest.mark.parametrize("rows", [28, 260])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_the_programs_where_there_are_many_and_else_the_line(rows, threads):
    a, b = (random_array(RNG, s, "float32", 1.0) for s in [(rows, 90), (90, 200)])
    with zs.config.using(threads=threads):
        assert np.array_equal(PRODUCT.bind(A=a, schedule=UNROLLED)(b), a @ b)


SHARED = [
    ("C[i,j] = A[i,k]*B[k,j]", {"A": (260, 30), "B": (30, 83)}, "A", None),
    ("C[i,j] = A[i,k]*B[k,j]", {"A": (29, 30), "B": (30, 200)}, "A", None),
    ("O[m,p,q] = I[c,p+r,q+s]*F[m,c,r,s]", {"F": (260, 2, 3, 3), "I": (2, 4, 9)}, "F", 1),
    ("O[m,p,q] = I[c,p+r,q+s]*F[m,c,r,s]", {"F": (40, 2, 3, 3), "I": (2, 33, 15)}, "F", 1),
    (
        "O[n,m,p,q] = relu(D[m] + I[n,c,2*p+r,q+s]*F[m,c,r,s])",
        {"F": (40, 2, 3, 3), "I": (2, 2, 9, 9), "D": (40,)},
        "F",
        {"I": {2: (1, 1), 3: (1, 1)}},
    ),
]


@codes
@pytest.mark.parametrize("own", [0, geometry.OWN_BYTES])
@pytest.mark.parametrize(("text", "shapes", "coded", "pad"), SHARED)
def test_parts_of_any_number_in_any_order_give_the_same_bits(
    monkeypatch, text, shapes, coded, pad, own
):
    """Each with a staged line of its own, or one for all; in C and in the interpreter."""
    monkeypatch.setattr(effort, "PART", 1)
    monkeypatch.setattr(geometry, "OWN_BYTES", own)
    arrays = {name: random_array(RNG, shape, "float32", 0.6) for name, shape in shapes.items()}
    operands = {**arrays, coded: Tensor.from_dense(arrays[coded], "CSR")}
    spec = make_spec(text, pad=pad)
    want = engine.evaluate(spec, operands, backend="numpy")[spec.results[-1]]
    for threads in (1, 2, 3, 7):
        with zs.config.using(threads=threads):
            line = replace(line_of(spec, operands), fixed=replace(UNROLLED, block=5))
            plan = tile.plan(line.form, line.signatures, line.dtype.name)
            assert plan is not None
            shape = cutting.shape_in(line, plan, (coded,))
            targets = [np.full(line.shape, 7, np.float32) for _ in range(2)]
            prepared, filled = schedules.tiled(line, plan, targets[0], shape)
            assert filled.parts == threads
            assert ("ZS_BARRIER" in prepared.c_text) == (own == 0 and text[0] == "O")
            run(prepared, filled, "c")
            _, apart = schedules.tiled(line, plan, targets[1], shape)
        rng = random.Random(threads)
        orders = (rng.sample(range(threads), threads) for _ in itertools.count())
        interpret(prepared.lowered.kernel, apart.buffers, apart.dims, apart.parameters, orders)
        assert np.array_equal(targets[0], want)
        assert np.array_equal(targets[1], want)


@codes
@pytest.mark.parametrize(("density", "most"), [(0.8, 8), (0.5, 8.2), (0.2, 9.5), (0.05, 14)])
def test_an_entry_is_some_bytes_of_code(density, most):
    a = Tensor.from_dense(random_array(RNG, (280, 512), "float32", density), "CSR")
    seen: list[int] = []
    coded = unrolled.machine_code

    def measured(*arrays, **sizes):
        made = coded(*arrays, **sizes)
        seen.append(made[1][-1])
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unrolled, "machine_code", measured)
        PRODUCT.bind(A=a, schedule=UNROLLED)(np.ones((512, 64), np.float32))
    assert 7 < seen[0] / a.stored < most


@codes
def test_machine_code_is_shared_by_threads_where_each_has_enough_of_it():
    """A vector takes one instruction: more points are worth a thread than of other kernels."""
    rng = np.random.default_rng(2)
    a = random_array(rng, (56, 256), "float32", 0.5)
    point = 56 * 256 // 2
    for columns, parts in ((2 * effort.PART * effort.PROGRAMS // point * 3 // 4, 1), (1024, 2)):
        bound = PRODUCT.bind(A=Tensor.from_dense(a, "CSR"), schedule=Schedule(unrolled=True))
        b = random_array(rng, (256, columns), "float32", 1.0)
        with zs.config.using(threads=2):
            assert np.array_equal(bound(b), a @ b)
        ((ready,),) = bound._bound._idle.values()
        assert ready.slots.parts == parts, columns
