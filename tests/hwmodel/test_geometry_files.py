"""Geometries on disk: the same as those made, made anew where a file is not what was written."""

import io
import os
import pickle
import subprocess
import sys

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
    expected.forget()
    with settings.using(cache_dir=tmp_path / "cache"):
        yield tmp_path / "cache"
    expected.forget()


def charged():
    expected.forget()  # as in another process
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
    monkeypatch.setattr(expected.Compiler, "geometry", lambda self: pytest.fail("made again"))
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


def called(module, name, argument):
    """A pickle that calls what a module has under a name, with dots in it or not."""
    texts = (b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name, argument))
    return b"\x80\x04%b%b\x93%b\x85R." % tuple(texts)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "print"),
        ("os", "mkdir"),
        ("zeroskip.hwmodel.geometry", "np.lib._datasource.os.mkdir"),
        ("zeroskip.hwmodel.geometry", "evaluate"),
        ("zeroskip.hwmodel.geometry", "Geometry.counts"),
        ("numpy", "lib._datasource.os.mkdir"),
        ("numpy", "fromfile"),
        ("numpy._core.multiarray", "fromfile"),
    ],
)
def test_nothing_but_parts_of_a_geometry_is_made(folder, tmp_path, monkeypatch, module, name):
    made = charged()
    planted = called(module, name, str(tmp_path / "made"))
    with pytest.raises(pickle.UnpicklingError, match=f"{module}.{name} is no part of a geometry"):
        geometry_files._Reader(io.BytesIO(planted)).load()
    monkeypatch.setattr(geometry_files, "recall", lambda *key: planted)
    same(charged(), made)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("held", [b"", b"\x80\x05", b"Ix\n.", b"\x80\x05]\x94a.", b"\x80\xff."])
def test_what_is_no_pickle_is_no_geometry(held):
    assert geometry_files._read(held) is None


def test_processes_that_make_one_geometry_at_once_leave_a_whole_file(folder, monkeypatch):
    given = {"A": GIVEN["A"], "B": zs.Density((12, 6), 0.5)}
    named = ", ".join(f"{name}=zs.{density!r}" for name, density in given.items())
    code = f"import zeroskip as zs; zs.charge({LINE.text!r}, 'scnn', {named})"
    env = {**os.environ, "ZEROSKIP_CACHE_DIR": str(folder)}
    running = [subprocess.Popen([sys.executable, "-c", code], env=env) for _ in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    only(folder)
    monkeypatch.setattr(expected.Compiler, "geometry", lambda self: pytest.fail("made again"))
    zs.charge(LINE, "scnn", **given)


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
