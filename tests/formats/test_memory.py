import numpy as np
import pytest

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import RoomError, TensorError, ZeroskipError
from zeroskip.formats import level_data, memory
from zeroskip.formats.convert import tensor
from zeroskip.native import engine


@pytest.fixture
def little(monkeypatch):
    """1000 bytes of memory, and every array looked at."""
    monkeypatch.setattr(level_data, "available_bytes", lambda: 1000)
    monkeypatch.setattr(level_data, "SMALL_BYTES", 0)


def test_what_does_not_fit_is_a_memory_error_that_says_what_to_do(little):
    with pytest.raises(MemoryError) as caught:
        engine.evaluate(make_spec("O[i,j] = x[i]*y[j]"), {"x": np.ones(20), "y": np.ones(9)})
    assert isinstance(caught.value, ZeroskipError | TensorError)
    assert str(caught.value) == (
        "the dense result O would hold 180 items of 8 bytes, 1440 bytes, more than the 1000 bytes"
        " of memory that are available\n"
        "Compute O in parts: a result is held densely, also on its way to a format."
    )


def test_temporaries_count_too(little):
    held = tensor(np.ones(300, np.float16), "C")
    with pytest.raises(RoomError, match="sums of O would hold 300 items of 4 bytes, 1200 bytes"):
        engine.evaluate(make_spec("O[299-i] += x[i]"), {"x": held})


def test_small_arrays_are_not_looked_at(monkeypatch):
    monkeypatch.setattr(level_data, "available_bytes", None)
    assert tensor([1.0, 0], "C").toarray().tolist() == [1, 0]


def test_the_least_of_machine_and_container_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    whole = memory.available_bytes()
    assert whole == memory._whole_memory()
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:      7 kB\n")
    assert memory.available_bytes() == 7 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert memory.available_bytes() == 7 * 1024
    (tmp_path / "memory.max").write_text("5000\n")
    assert memory.available_bytes() == 4000
