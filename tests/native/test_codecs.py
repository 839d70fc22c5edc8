"""Encoding and decoding in C give what NumPy gives, to the bit."""

from __future__ import annotations

import platform
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.errors import CompilerError
from zeroskip.formats import codecs as hook
from zeroskip.formats import provided
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import DTYPES, as_bits, dtype_of
from zeroskip.native import codecs
from zeroskip.native.load import load
from zeroskip.native.scratch import LINE_BYTES

FORMATS = ("CSR", "CSC", "bitmask", "j:U i:B", "i*j:C", "i*j:B")


@pytest.fixture(scope="module", autouse=True)
def always():
    """C for arrays of any size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hook, "MIN_SIZE", 1)
        patch.setattr(provided, "WORTH_LOADING", 0)
        yield


def in_numpy(work):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provided, "_load_codecs", None)
        return work()


def in_c(work):
    """The result, and how often C gave one."""
    served = []

    def counted(function):
        def call(*given):
            made = function(*given)
            served.append(made is not None and made is not False)
            return made

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codecs, "encode", counted(codecs.encode))
        patch.setattr(codecs, "decode", counted(codecs.decode))
        return work(), served


def bits_of(array):
    return array.dtype, array.shape, as_bits(np.ascontiguousarray(array)).tobytes()


def parts_of(tensor):
    levels = [
        (level.spec, level.extent, level.axes, level.fibers, level.entries,
         [(name, bits_of(array), array.flags.writeable) for name, array in level.arrays.items()])
        for level in tensor.levels
    ]  # fmt: skip
    return levels, bits_of(tensor.values), tensor.values.flags.writeable, tensor.fill.tobytes()


def drawn(rng, shape, dtype, density, fill):
    wide = rng.choice([1, 2, 3, 100], shape)
    array = np.where(rng.random(shape) < density, wide, fill).astype(dtype_of(dtype))
    if dtype.startswith(("float", "bfloat")) and array.size > 3:
        array.reshape(-1)[:3] = [-0.0, np.nan, np.inf]
    return array


def laid_out(array, layout):
    match layout:
        case "Fortran":
            return np.asfortranarray(array)
        case "strided":
            wide = np.zeros((array.shape[0], 2 * array.shape[1]), array.dtype)
            wide[:, ::2] = array
            return wide[:, ::2]
        case "unaligned":
            room = np.zeros(array.nbytes + 1, np.uint8)
            moved = room[1:].view(array.dtype).reshape(array.shape)
            moved[...] = array
            return moved
        case "read-only":
            array.setflags(write=False)
    return array


@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 8, 63, 64, 65, 200, 256])),
    dtype=st.sampled_from(DTYPES),
    density=st.sampled_from([0, 0.05, 0.3, 0.7, 1]),
    fill=st.sampled_from([0, 1]),
    format=st.sampled_from(FORMATS),
    layout=st.sampled_from(["C", "Fortran", "strided", "unaligned", "read-only"]),
)
def test_c_and_numpy_agree(seed, shape, dtype, density, fill, format, layout):
    array = drawn(np.random.default_rng(seed), shape, dtype, density, fill)
    array = laid_out(array, layout)
    made, served = in_c(lambda: Tensor.from_dense(array, format, fill=fill))
    assert served == [True] * bool(array.size)
    assert parts_of(made) == parts_of(in_numpy(lambda: Tensor.from_dense(array, format, fill=fill)))
    back, served = in_c(made.toarray)
    assert all(served)
    assert bits_of(back) == bits_of(in_numpy(made.toarray))
    made.validate()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (7, 70)])
def test_memory_that_is_taken_holds_anything(shape, format, monkeypatch):
    monkeypatch.setattr(codecs, "empty", lambda count, dtype: np.full(count, 7, dtype))
    array = drawn(np.random.default_rng(8), shape, "float32", 0.5, 0)
    made, served = in_c(lambda: Tensor.from_dense(array, format))
    assert served == [True] * bool(array.size)
    assert parts_of(made) == parts_of(in_numpy(lambda: Tensor.from_dense(array, format)))


@pytest.mark.parametrize("format", ["CSR", "bitmask"])
@pytest.mark.parametrize("extent", [2**16, 2**16 + 1])
def test_coordinates_as_wide_as_the_extent(format, extent):
    array = drawn(np.random.default_rng(3), (3, extent), "float32", 0.5, 0)
    made = Tensor.from_dense(array, format)
    assert parts_of(made) == parts_of(in_numpy(lambda: Tensor.from_dense(array, format)))
    assert bits_of(made.toarray()) == bits_of(in_numpy(made.toarray))


@pytest.mark.parametrize(
    "without", [(), ("-mno-avx512vbmi2",), ("-mno-avx512f",), ("-mno-avx2", "-mno-avx512f")]
)
@pytest.mark.parametrize("dtype", ["int8", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("fill", [0, 3])
def test_instructions_and_their_twins_agree(without, dtype, fill, monkeypatch):
    if without and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("these are flags of x86 compilers")
    monkeypatch.setattr(codecs, "load", partial(load, flags=without))
    rng = np.random.default_rng(7)
    for density in (0, 0.02, 0.4, 1):
        for shape in ((3, 64), (7, 333), (2, 2**16 + 70)):
            array = drawn(rng, shape, dtype, density, fill)
            for format in ("CSR", "bitmask"):
                made, served = in_c(partial(Tensor.from_dense, array, format, fill=fill))
                assert served == [True]
                wanted = in_numpy(partial(Tensor.from_dense, array, format, fill=fill))
                assert parts_of(made) == parts_of(wanted)
                back, served = in_c(made.toarray)
                assert served == [True]
                assert bits_of(back) == bits_of(in_numpy(made.toarray))


@pytest.mark.parametrize("format", ["CSR", "bitmask", "i*j:C", "i*j:B"])
@pytest.mark.parametrize("first", [0, 1, 130])
def test_room_grows_to_what_the_rest_of_the_array_needs(format, first, monkeypatch):
    """An array whose later rows are fuller than its first."""
    monkeypatch.setattr(codecs, "FIRST_ROOM", first)
    rng = np.random.default_rng(8)
    array = drawn(rng, (40, 250), "float32", np.linspace(0, 1, 40)[:, None], 0)
    rooms = []
    monkeypatch.setattr(
        codecs, "check_room", lambda items, width, what: rooms.append((what, items))
    )
    made = Tensor.from_dense(array, format)
    asked = [items for what, items in rooms if what == "values and coordinates"]
    assert len(asked) > 2
    assert asked == sorted(set(asked))
    assert asked[-1] <= array.size + 2 * codecs.WORD
    assert parts_of(made) == parts_of(in_numpy(lambda: Tensor.from_dense(array, format)))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_nan_as_the_fill_is_numpys(dtype):
    array = drawn(np.random.default_rng(4), (4, 70), dtype, 0.5, 0)
    made, served = in_c(lambda: Tensor.from_dense(array, "CSR", fill=np.nan))
    assert served == [False]
    assert made.nnz == 4 * 70 - 1


@pytest.mark.parametrize("format", FORMATS)
def test_without_a_compiler_numpy_answers(format, monkeypatch):
    def refuse(*_):
        raise CompilerError("no compiler")

    monkeypatch.setattr(codecs, "load", refuse)
    array = drawn(np.random.default_rng(5), (4, 70), "int32", 0.5, 0)
    made, served = in_c(lambda: Tensor.from_dense(array, format))
    assert served == [False]
    assert np.array_equal(made.toarray(), array)


@pytest.mark.parametrize(
    ("format", "name", "bad"),
    [("CSR", "crd", 70), ("CSR", "pos", 2**40), ("CSR", "pos", -1), ("bitmask", "words", 0)],
)
def test_altered_arrays_write_nothing_outside(format, name, bad):
    array = drawn(np.random.default_rng(6), (4, 70), "float32", 0.9, 0)
    made = Tensor.from_dense(array, format)
    altered = made.levels[-1].arrays[name]
    altered.setflags(write=True)
    altered[1] = bad
    room = np.zeros(array.size, np.float32)
    assert not codecs.decode(made.levels[-1], made.values, room, np.float32(0), False)
    assert not codecs.decode(made.levels[-1], made.values, room, np.float32(0), True)


@pytest.mark.parametrize("at", range(9))
def test_a_coordinate_outside_is_refused_wherever_it_stands(at):
    """Four are tested at once, and what is left one by one."""
    made = Tensor.from_dense(np.ones((1, 9), np.float32), "CSR")
    altered = made.levels[-1].arrays["crd"]
    altered.setflags(write=True)
    altered[at] = 9
    room = np.zeros(11, np.float32)
    assert not codecs.decode(made.levels[-1], made.values, room[:9], np.float32(0), False)
    assert not room[9:].any()


@pytest.mark.parametrize(("stored", "filled"), [(124, True), (125, False)])
def test_few_values_are_put_into_zeros(stored, filled, monkeypatch):
    """125 pages of 1024 float32: zeros are asked for at once where there are fewer values."""
    array = np.zeros((1280, 100), np.float32)
    array.reshape(-1)[:: 128000 // stored][:stored] = 2
    told = []
    decode = codecs.decode
    monkeypatch.setattr(
        codecs, "decode", lambda *given: (told.append(given[-1]), decode(*given))[1]
    )
    made = Tensor.from_dense(array, "CSR")
    assert made.stored == stored
    assert np.array_equal(made.toarray(), array)
    assert np.array_equal(Tensor.from_dense(array, "bitmask").toarray(), array)
    assert told == [filled, False]


def test_arrays_are_served_once_there_have_been_enough_of_them(monkeypatch):
    monkeypatch.setattr(provided, "_met", 0)
    monkeypatch.setattr(provided, "WORTH_LOADING", 30)
    monkeypatch.setattr(hook, "MIN_SIZE", 10)
    small, large = np.ones((3, 3)), np.ones((3, 4))
    _, served = in_c(lambda: [Tensor.from_dense(a, "CSR") for a in (large, small, large, small)])
    assert served == []
    _, served = in_c(lambda: [Tensor.from_dense(a, "CSR") for a in (large, small)])
    assert served == [True]


def test_small_arrays_load_nothing(monkeypatch):
    monkeypatch.setattr(hook, "MIN_SIZE", 10)
    _, served = in_c(lambda: Tensor.from_dense(np.ones((3, 3)), "CSR").toarray())
    assert served == []


@pytest.mark.parametrize("without", [(), ("-mno-avx2", "-mno-avx512f")])
@pytest.mark.parametrize("dtype", DTYPES)
def test_matrices_are_turned(without, dtype, monkeypatch):
    """Of every shape around the blocks that are gone through, in vectors and without."""
    if without and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("these are flags of x86 compilers")
    monkeypatch.setattr(codecs, "load", partial(load, flags=without))
    rng = np.random.default_rng(3)
    shapes = [(1, 1, 1), (2, 8, 16), (1, 7, 16), (1, 8, 15), (3, 9, 17), (1, 40, 64), (2, 1, 5)]
    for count, rows, columns in [*shapes, (0, 3, 4), (2, 0, 4), *rng.integers(1, 70, (6, 3))]:
        array = drawn(rng, (count, rows, columns), dtype, 0.8, 0)
        turned = codecs.turn(array.reshape(-1), count, rows, columns)
        wanted = array.transpose(0, 2, 1).reshape(-1)
        assert turned is not None
        assert bits_of(turned) == bits_of(wanted)
        assert not turned.size or turned.ctypes.data % LINE_BYTES == 0


@pytest.mark.parametrize("without", [(), ("-mno-avx2", "-mno-avx512f")])
@pytest.mark.parametrize("first", [0, 30, 2000])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64", "bfloat16"])
def test_fibers_that_are_columns_are_encoded_as_they_are_turned(first, dtype, without, monkeypatch):
    """Of every number of columns around those that are turned together, and with so little room
    that it has to begin anew in the middle of them."""
    if without and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("these are flags of x86 compilers")
    monkeypatch.setattr(codecs, "load", partial(load, flags=without))
    monkeypatch.setattr(codecs, "FIRST_ROOM", first)
    rng, asked = np.random.default_rng(5), []
    encode = codecs.encode
    monkeypatch.setattr(codecs, "encode", lambda *of: (asked.append(of[5]), encode(*of))[1])
    shapes = [(1, 64, 4, 4), (2, 70, 3, 5), (3, 2, 1, 17), (1, 130, 7, 7), (2, 9, 8, 4)]
    for shape in shapes:
        for density in (0.1, 0.9):
            array = drawn(rng, shape, dtype, density, 0)
            for format in ("0:U 2:U 3:U 1:C", "0:U 2*3:U 1:B", "2:U 3:U 0*1:C"):
                made = Tensor.from_dense(array, format)
                twin = in_numpy(partial(Tensor.from_dense, array, format))
                assert parts_of(made) == parts_of(twin), (shape, format)
    columns = [shape[2] * shape[3] for shape in shapes for _ in range(2)]
    assert asked[::3] == asked[1::3] == columns
    assert asked[2::3] == columns


def test_without_a_compiler_nothing_is_turned(monkeypatch):
    def refuse(*given):
        raise CompilerError("none")

    monkeypatch.setattr(codecs, "load", refuse)
    assert codecs.turn(np.zeros(12), 1, 3, 4) is None
