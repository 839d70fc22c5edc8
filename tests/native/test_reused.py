"""What a large result leaves is taken by the next one, and by nobody while it is held."""

import mmap
import sys
import threading
import weakref

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.native import reused, scratch, settings
from zeroskip.native.reused import KEPT, LEAST_BYTES, SPARE, empty, trimmed

keeps = pytest.mark.skipif(not reused.KEEPS, reason="the system takes no memory that is kept")
BYTE = np.dtype(np.uint8)


allocated = reused._allocated


@pytest.fixture(autouse=True)
def nothing_idle(monkeypatch):
    """And an allocator that hands out new pages alone."""
    monkeypatch.setattr(reused, "_idle", [])
    monkeypatch.setattr(reused, "_allocated", handing_out(0))


def handing_out(value):
    return lambda size: np.full(size, value, np.uint8)


def address(array):
    return array.ctypes.data


def address_of(block):
    return address(np.frombuffer(block.mapping, np.uint8, block.size, block.start))


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.int8, np.bool_])
def test_arrays_are_as_those_of_numpy(dtype):
    items = LEAST_BYTES // np.dtype(dtype).itemsize
    for shape in [(), (0, 3), (items - 1,), (items,), items, (3, items // 2, 5)]:
        found, expected = empty(shape, np.dtype(dtype)), np.empty(shape, dtype)
        assert (found.shape, found.dtype, found.strides) == (
            expected.shape,
            expected.dtype,
            expected.strides,
        )
        assert found.flags.writeable
        assert found.flags.aligned
        found[...] = 1
        assert (found == 1).all()


@keeps
def test_memory_is_taken_once_nobody_holds_it():
    first = empty(LEAST_BYTES, BYTE)
    where, view = address(first), first[5:10]
    view[...] = 7
    del first
    second = empty(LEAST_BYTES, BYTE)
    second[...] = 1
    assert address(second) != where
    assert (view == 7).all()
    del view
    third = empty(LEAST_BYTES // 4, np.dtype(np.float32))
    assert address(third) == where


@keeps
def test_every_kind_of_view_holds_it():
    def views(array):
        yield array.reshape(-1, 64).T
        yield array.view(np.int16)[3:]
        yield memoryview(array)
        yield np.frombuffer(array, np.int32)
        yield np.lib.stride_tricks.as_strided(array, (4,), (8,))
        yield np.asarray(array)[:0]

    for number in range(6):
        reused._idle.clear()
        array = empty(LEAST_BYTES, BYTE)
        where = address(array)
        view = list(views(array))[number]
        del array
        assert not reused._idle
        other = empty(LEAST_BYTES, BYTE)
        assert address(other) != where
        assert not reused._idle
        del view
        assert [address_of(block) for block in reused._idle] == [where]
        del other


@keeps
def test_an_array_takes_no_memory_of_many_times_its_size():
    large = empty(SPARE * LEAST_BYTES + mmap.PAGESIZE, BYTE)
    where = address(large)
    del large
    small = empty(LEAST_BYTES, BYTE)
    assert address(small) != where
    other = empty(LEAST_BYTES + mmap.PAGESIZE, BYTE)
    assert address(other) == where


@keeps
@pytest.mark.parametrize("size", [LEAST_BYTES, scratch.LARGE_PAGE - 1])
def test_memory_of_the_allocator_is_taken_where_it_was_written(size, monkeypatch):
    first = empty(size, BYTE)
    where = address(first)
    del first
    monkeypatch.setattr(reused, "_allocated", handing_out(1))
    written = empty((size,), BYTE)
    assert not isinstance(written.base, mmap.mmap)
    assert address(written) % scratch.LINE_BYTES == 0
    del written
    assert [address_of(block) for block in reused._idle] == [where]
    monkeypatch.setattr(reused, "_allocated", handing_out(0))
    assert address(empty(size, BYTE)) == where


@keeps
def test_what_fills_large_pages_is_kept_whatever_the_allocator_has(monkeypatch):
    monkeypatch.setattr(reused, "_allocated", handing_out(1))
    first = empty(scratch.LARGE_PAGE, BYTE)
    where = address(first)
    assert isinstance(first.base, mmap.mmap)
    del first
    assert address(empty(scratch.LARGE_PAGE, BYTE)) == where


@keeps
@pytest.mark.parametrize("ends", [b"", b"\0" * 64, b"\0" * 63 + b"\1", b"\1" + b"\0" * 63])
def test_only_what_an_array_ends_with_tells_of_it(ends):
    raw = np.full(LEAST_BYTES + scratch.LINE_BYTES, 7, np.uint8)
    raw[LEAST_BYTES - scratch.LINE_BYTES : LEAST_BYTES] = 0
    raw[LEAST_BYTES - len(ends) : LEAST_BYTES] = np.frombuffer(ends, np.uint8)
    assert reused._was_written(raw) == (1 in ends)


@keeps
@pytest.mark.skipif(sys.platform != "linux", reason="counts the faults of Linux")
def test_results_that_are_kept_and_dropped_need_no_new_pages(monkeypatch):
    import resource

    monkeypatch.setattr(reused, "_allocated", allocated)
    pages = 4 * LEAST_BYTES // mmap.PAGESIZE

    def faults_of_ten():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        held = []
        for _ in range(10):
            held.append(empty(pages * mmap.PAGESIZE, BYTE))
            held[-1][:: mmap.PAGESIZE] = 1
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    found = [faults_of_ten() for _ in range(6)]
    assert min(found[2:]) < pages


@keeps
def test_what_is_kept_is_offered_and_then_dropped(monkeypatch):
    monkeypatch.setattr(reused, "PLAIN_BYTES", 2 * LEAST_BYTES)
    with settings.using(kept_bytes=4 * LEAST_BYTES):
        arrays = [empty(LEAST_BYTES, BYTE) for _ in range(6)]
        gone = weakref.ref(arrays[0])
        while arrays:
            arrays.pop()
    assert gone() is None
    assert sum(block.size for block in reused._idle) == 4 * LEAST_BYTES
    assert sum(block.size for block in reused._idle if block.offered) == 2 * LEAST_BYTES
    again = [empty(LEAST_BYTES, BYTE) for _ in range(4)]
    for number, array in enumerate(again):
        array[...] = number
    assert all((array == number).all() for number, array in enumerate(again))
    assert not reused._idle


@keeps
def test_nothing_is_kept_where_none_is_allowed():
    array = empty(LEAST_BYTES, BYTE)
    with settings.using(kept_bytes=0):
        assert not isinstance(empty(LEAST_BYTES, BYTE).base, mmap.mmap)
        del array
        assert not reused._idle
    array = empty(LEAST_BYTES, BYTE)
    del array
    assert len(reused._idle) == 1


@keeps
def test_threads_never_hold_the_same_memory():
    wrong = []

    def work(number):
        for turn in range(200):
            array = empty(LEAST_BYTES, BYTE)
            array[:: mmap.PAGESIZE] = number * 16 + turn % 16
            if not (array[:: mmap.PAGESIZE] == number * 16 + turn % 16).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(reused._idle) <= 8


@keeps
def test_what_the_system_does_not_take_is_dropped(monkeypatch):
    class Locked:
        def madvise(self, *arguments):
            raise OSError("locked")

    monkeypatch.setattr(reused, "PLAIN_BYTES", 0)
    array = empty(LEAST_BYTES, BYTE)
    next(reversed(reused._loans.values())).block.mapping = Locked()
    del array
    assert not reused._idle


def test_without_room_an_array_is_one_of_numpy(monkeypatch):
    def refuses(size):
        raise OSError("no room")

    monkeypatch.setattr(scratch, "pages_of", refuses)
    before = set(reused._loans)
    found = empty((LEAST_BYTES, 2), BYTE)
    assert found.shape == (LEAST_BYTES, 2)
    assert not reused._loans.keys() - before


@pytest.mark.parametrize("size", [1000, LEAST_BYTES])
@pytest.mark.parametrize("part", [0.0, 0.1, 1 / KEPT, 0.9, 1.0])
def test_what_is_trimmed_keeps_its_first_items(size, part):
    array = empty(size, np.dtype(np.float64))
    array[...] = np.arange(size)
    count = int(size * part)
    assert (trimmed(array, count) == np.arange(count)).all()


@keeps
def test_little_of_an_array_is_a_copy_that_leaves_it():
    array = trimmed(empty(LEAST_BYTES, BYTE), LEAST_BYTES // KEPT - 1)
    assert array.flags.owndata
    assert len(reused._idle) == 1


@keeps
def test_results_that_are_held_stay_as_they_are():
    """Of encoding, decoding and sparse products, while others are made."""
    rng = np.random.default_rng(0)
    product = zs.layers.spgemm()

    def make(number):
        dense = np.where(rng.random((700, 700)) < 0.3, rng.standard_normal((700, 700)), 0)
        dense = dense.astype(np.float32)
        sparse = zs.tensor(dense, ("CSR", "bitmask")[number % 2])
        few = zs.tensor(np.where(rng.random((700, 700)) < 0.02, dense, 0), "CSR")
        squared = product(A=few, B=few, format="CSR")
        return dense, sparse, sparse.toarray(), few.toarray() @ few.toarray(), squared

    held = []
    for number in range(12):
        held.append(make(number))
        if number % 3 == 2:
            held.pop(number % 2)
    for dense, sparse, back, expected, squared in held:
        assert np.array_equal(back, dense)
        assert np.array_equal(sparse.toarray(), dense)
        assert np.allclose(squared.toarray(), expected, atol=1e-4)
