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
    monkeypatch.setattr(level_data, "lately_available", lambda: 1000)
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
    monkeypatch.setattr(level_data, "lately_available", None)
    assert tensor([1.0, 0], "C").toarray().tolist() == [1, 0]


@pytest.fixture
def system(monkeypatch, tmp_path):
    """A system that tells nothing until files are written."""
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "groups")

    def write(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    return write


def test_the_least_of_machine_and_container_counts(system):
    assert memory.available_bytes() == memory._whole_memory()
    system("meminfo", "MemTotal: 9 kB\nMemAvailable:      7 kB\n")
    assert memory.available_bytes() == 7 * 1024
    system("memory.max", "max\n")
    system("memory.current", "1000\n")
    assert memory.available_bytes() == 7 * 1024
    system("memory.max", "5000\n")
    assert memory.available_bytes() == 4000
    system("memory.stat", "anon 900\ninactive_file 30\nactive_file 50\n")
    assert memory.available_bytes() == 4030
    system("memory.current", "6000\n")
    assert memory.available_bytes() == 0


def test_every_group_around_the_process_counts(system):
    system("groups", "0::/jobs/7\n")
    system("jobs/7/memory.max", "9000\n")
    system("jobs/7/memory.current", "1000\n")
    assert memory.available_bytes() == 8000
    system("jobs/memory.max", "10000\n")
    system("jobs/memory.current", "6000\n")
    assert memory.available_bytes() == 4000


def test_groups_of_the_first_version(system):
    system("groups", "9:cpu:/\n5:hugetlb,memory:/docker/ab\n0::/\n")
    system("memory/memory.limit_in_bytes", "9223372036854771712\n")
    system("memory/memory.usage_in_bytes", "800\n")
    assert memory.available_bytes() == memory._whole_memory()
    system("memory/memory.limit_in_bytes", "2000\n")  # a container sees its own as the root
    assert memory.available_bytes() == 1200
    system("memory/docker/ab/memory.limit_in_bytes", "1000\n")
    system("memory/docker/ab/memory.usage_in_bytes", "700\n")
    system("memory/docker/ab/memory.stat", "inactive_file 1\ntotal_inactive_file 100\n")
    assert memory.available_bytes() == 400


def test_a_machine_whose_whole_memory_is_not_told(system, monkeypatch):
    monkeypatch.setattr(memory.os, "sysconf", lambda name: int(name))
    assert memory.available_bytes() == 2**40


def test_what_was_told_lately_is_not_asked_again(monkeypatch):
    times, told = iter([0.0, 0.05, 0.2, 0.1, 0.15]), iter([7, 8, 9])
    monkeypatch.setattr(memory, "monotonic", lambda: next(times))
    monkeypatch.setattr(memory, "available_bytes", lambda: next(told))
    monkeypatch.setattr(memory, "_lately", (float("-inf"), 0))
    assert [memory.lately_available() for _ in range(5)] == [7, 7, 8, 9, 9]
