"""Geometries on disk: the same as those made, made anew where a file is not what was written."""

import io
import pickle

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.hwmodel import expected, geometry_files
from zeroskip.native import filed, settings

LINE = zs.layer("Z[m,n] = A[m,k]*B[k,n]")
GIVEN = {
    "A": zs.Density((8, 12), 0.25, structure="banded", width=3),
    "B": zs.Density.profile(np.tri(12, 6), axes=0),
}


@pytest.fixture
def folder(tmp_path):
    expected._remembered.cache_clear()
    with settings.using(cache_dir=tmp_path / "cache"):
        yield tmp_path / "cache"
    expected._remembered.cache_clear()


def charged():
    expected._remembered.cache_clear()  # as in another process
    return zs.charge(LINE, "scnn", **GIVEN)


def same(one, other):
    assert one.ops == other.ops
    assert one.cycles == other.cycles
    assert one.energy == other.energy
    assert one.tags == other.tags
    assert np.array_equal(one.work_per_pe, other.work_per_pe)


def only(folder):
    (path,) = folder.glob("expected-*.bin")
    return path


def test_another_process_reads_what_was_made(folder, monkeypatch):
    made = charged()
    assert only(folder).stat().st_size < geometry_files.MOST_BYTES
    monkeypatch.setattr(expected._Compiler, "geometry", lambda self: pytest.fail("made again"))
    same(charged(), made)


@pytest.mark.parametrize("harm", ["short", "changed", "other key", "not ours"])
def test_a_file_that_is_not_what_was_written_is_made_again(folder, harm):
    made, path = charged(), only(folder)
    held = path.read_bytes()
    if harm == "short":
        path.write_bytes(held[:-5])
    elif harm == "changed":
        path.write_bytes(held[:-5] + b"12345")
    elif harm == "other key":
        path.write_bytes(filed._digest("0" * 64, held[32:]) + held[32:])
    else:
        path.write_bytes(b"")
    same(charged(), made)
    assert path.read_bytes() == held


def test_nothing_but_parts_of_a_geometry_is_made():
    planted = pickle.dumps(print)
    assert geometry_files._read(planted) is None
    with pytest.raises(pickle.UnpicklingError, match=r"builtins\.print is no part of a geometry"):
        geometry_files._Reader(io.BytesIO(planted)).load()


def test_other_patterns_have_files_of_their_own(folder):
    charged()
    other = {**GIVEN, "B": zs.Density.profile(np.tri(12, 6).T.copy().reshape(12, 6), axes=0)}
    zs.charge(LINE, "scnn", **other)
    assert len(list(folder.glob("expected-*.bin"))) == 2
    zs.charge(LINE, "scnn", **{**GIVEN, "A": zs.Density((8, 12), 0.1, structure="banded", width=3)})
    assert len(list(folder.glob("expected-*.bin"))) == 2


def test_a_full_disk_costs_only_time(folder, monkeypatch):
    def full(path, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(filed, "write_whole", full)
    same(charged(), charged())
    assert not list(folder.glob("expected-*.bin"))
