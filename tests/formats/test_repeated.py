"""Arrays like those before: the tensors are those of a first array, to the bit."""

import threading

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import FormatError, TensorError
from zeroskip.formats import provided, repeated
from zeroskip.formats.tensor import Tensor
from zeroskip.native import codecs, settings

IMAGE = "0:U 2:U 3:U 1:C"
FORMATS = (IMAGE, "0:U 2:U 3:U 1:B", "0:U 1:U 2:U 3:C", "0:U 1*2*3:B")


@pytest.fixture(autouse=True)
def always(monkeypatch):
    monkeypatch.setattr(repeated, "MIN_SIZE", 1)
    monkeypatch.setattr("zeroskip.formats.codecs.MIN_SIZE", 1)
    monkeypatch.setattr(provided, "WORTH_LOADING", 0)
    monkeypatch.setattr(repeated, "_prepared", {})


def parts_of(tensor):
    levels = [
        (level.spec, level.extent, level.axes, level.fibers, level.entries,
         [(name, array.dtype, array.tobytes(), array.flags.writeable, array.flags.owndata)
          for name, array in level.arrays.items()])
        for level in tensor.levels
    ]  # fmt: skip
    values = tensor.values
    held = values.dtype, values.tobytes(), values.flags.writeable
    return tensor.shape, tensor.format, levels, held, tensor.fill.tobytes(), type(tensor.fill)


def drawn(rng, shape, dtype, density):
    array = np.where(rng.random(shape) < density, rng.integers(1, 100, shape), 0).astype(dtype)
    if array.dtype.kind == "f" and array.size > 3:
        array.reshape(-1)[:3] = [-0.0, np.nan, np.inf]
    return array


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "uint16", "int64"])
@pytest.mark.parametrize("format", FORMATS)
def test_tensors_are_those_of_a_first_array(dtype, format):
    rng = np.random.default_rng(1)
    served = 0
    for shape in ((1, 70, 5, 7), (2, 3, 4, 5), (1, 1, 1, 1), (1, 300, 3, 2), (0, 3, 4, 5)):
        for density in (0.05, 1, 0, 0.5):
            array = drawn(rng, shape, dtype, density)
            for given in (array, np.asfortranarray(array), array.copy()):
                made = zs.tensor(given, format)
                assert parts_of(made) == parts_of(Tensor.from_dense(given, format))
                made.validate()
            served += sum(x is not None for x in repeated._prepared.values())
    assert served  # some were prepared


def test_what_is_found_first_is_found_once(monkeypatch):
    array = drawn(np.random.default_rng(2), (1, 9, 8, 7), "float32", 0.3)
    asked = []
    real = codecs.encoder
    monkeypatch.setattr(codecs, "encoder", lambda *given: asked.append(given) or real(*given))
    for _ in range(5):
        zs.tensor(array, IMAGE)
    assert len(asked) == 1
    zs.tensor(array, IMAGE, fill=1)
    zs.tensor(array, IMAGE, dtype="float64")
    zs.tensor(array.astype(">f4"), IMAGE)
    assert len(asked) == 1


def test_arrays_that_numpy_still_answers_for_are_prepared_for_later(monkeypatch):
    array = drawn(np.random.default_rng(2), (1, 9, 8, 7), "float32", 0.3)
    monkeypatch.setattr(provided, "_met", 0)
    monkeypatch.setattr(provided, "WORTH_LOADING", 4 * array.size)
    wanted = parts_of(Tensor.from_dense(array, IMAGE))
    for _ in range(6):
        assert parts_of(zs.tensor(array, IMAGE)) == wanted
    (again,) = repeated._prepared.values()
    assert again is not None
    assert again is not repeated._new


def test_settings_that_change_meanwhile(tmp_path):
    array = drawn(np.random.default_rng(3), (1, 9, 8, 7), "float32", 0.3)
    wanted = parts_of(Tensor.from_dense(array, IMAGE))
    for _ in range(3):
        assert parts_of(zs.tensor(array, IMAGE)) == wanted
    with settings.using(threads=settings.current().threads + 1):
        for _ in range(3):
            assert parts_of(zs.tensor(array, IMAGE)) == wanted
    assert parts_of(zs.tensor(array, IMAGE)) == wanted


def test_what_is_refused_is_refused_again():
    array = drawn(np.random.default_rng(4), (2, 9, 8, 7), "float32", 0.3)
    for _ in range(3):
        with pytest.raises(FormatError):
            zs.tensor(array, "0:U 1:C")
        with pytest.raises(FormatError):
            zs.tensor(array, "nonsense!")
        with pytest.raises(TensorError):
            zs.tensor(array.astype("complex64"), IMAGE)
        assert zs.tensor(array).shape == array.shape  # whose format is chosen by what it holds
        empty, full = np.zeros((9, 90), np.int8), np.ones((9, 90), np.int8)
        assert zs.tensor(empty).format != zs.tensor(full).format


def test_arrays_that_are_fuller_or_emptier_than_those_before(monkeypatch):
    """With little room at first, and memory of earlier arrays from few values on."""
    monkeypatch.setattr(codecs, "FIRST_ROOM", 100)
    monkeypatch.setattr(codecs, "LEAST_BYTES", 2000)
    rng, held = np.random.default_rng(6), []
    for format in FORMATS:
        for density in (0.1, 0.9, 0.9, 0.02, 0.5, 0.4, 0.01, 1, 0):
            array = drawn(rng, (1, 70, 9, 7), "float32", density)
            made = zs.tensor(array, format)
            held.append((array, format, made))
            made.validate()
    for array, format, made in held:
        levels, twin = made.levels, Tensor.from_dense(array, format)
        assert made.values.tobytes() == twin.values.tobytes()
        for level, other in zip(levels, twin.levels, strict=True):
            assert all(np.array_equal(x, other.arrays[name]) for name, x in level.arrays.items())


def test_no_more_kinds_are_kept_than_there_is_room_for():
    for n in range(2 * repeated.MOST):
        array = drawn(np.random.default_rng(n), (1, n + 2, 3, 4), "int16", 0.5)
        for _ in range(3):
            assert np.array_equal(zs.tensor(array, IMAGE).toarray(), array)
    assert len(repeated._prepared) == repeated.MOST


def test_threads_share_nothing():
    rng = np.random.default_rng(5)
    arrays = [drawn(rng, (1, 64, 12, 12), "float32", d) for d in (0.1, 0.4, 0.7, 0.9)]
    wanted = [parts_of(Tensor.from_dense(array, IMAGE)) for array in arrays]
    wrong = []

    def work(array, want):
        for _ in range(100):
            if parts_of(zs.tensor(array, IMAGE)) != want:
                wrong.append(want)

    both = zip(arrays, wanted, strict=True)
    threads = [threading.Thread(target=work, args=one) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
