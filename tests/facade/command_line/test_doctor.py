import importlib.util
import shutil

import pytest

from zeroskip.command_line import doctor
from zeroskip.native import pool, settings, toolchain

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no cc on the PATH")


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    if shutil.which("cc"):
        pool.runner()  # loaded once a process, from the cache of all tests
    monkeypatch.setattr(toolchain, "_found", {})
    monkeypatch.delenv("CC", raising=False)
    with settings.using(cache_dir=tmp_path / "cache", compiler=None):
        yield tmp_path / "cache"


def by_check():
    return {row["check"]: row for row in doctor.examine()}


@needs_cc
def test_a_healthy_installation(cache_dir):
    table = doctor.examine()
    rows = {row["check"]: row for row in table}
    assert {row["state"] for row in table} <= {"ok", "info", "missing"}
    assert rows["trial kernel"]["found"] == "compiled, loaded and ran"
    assert rows["threads"]["found"] == f"kernels run on up to {settings.current().threads}"
    assert "-std=gnu11" in rows["flags"]["found"]
    assert rows["cache"]["found"] == f"{cache_dir}: 0 kernels, 0.0 of 512 MiB"
    assert table.notes == ("Everything that is needed works.",)
    assert not list(cache_dir.glob("*.so"))
    assert not list(cache_dir.glob("*.c"))


def test_without_a_compiler_it_says_how_to_get_one(monkeypatch):
    monkeypatch.setenv("PATH", "")
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ziglang" else real(name)
    )
    rows = by_check()
    assert rows["compiler"]["state"] == "missing"
    assert rows["compiler"]["found"] == (
        "none that works (cc on the PATH: not found; gcc on the PATH: not found;"
        " clang on the PATH: not found; the ziglang package: not found)"
    )
    assert rows["compiler"]["remedy"].startswith("Run pip install zeroskip[cc] for a compiler")
    for check in ("flags", "vectors", "trial kernel", "threads"):
        assert rows[check]["state"] == "missing"
        assert rows[check]["found"] == "no compiler: NumPy and the interpreter answer, slowly"
    assert rows["cache"]["state"] == "ok"


@needs_cc
def test_a_shared_cache_is_broken_and_everything_else_still_reported(cache_dir):
    cache_dir.mkdir()
    cache_dir.chmod(0o777)
    table = doctor.examine()
    rows = {row["check"]: row for row in table}
    assert rows["compiler"]["state"] == "ok"
    assert rows["cache"]["state"] == "broken"
    assert "may be written to by other users (mode 0777)" in rows["cache"]["found"]
    assert f"Run chmod 700 {cache_dir} if nobody else has used it" in rows["cache"]["remedy"]
    assert table.notes == ("Broken: cache, trial kernel.",)


@needs_cc
def test_damaged_kernels_are_counted(cache_dir):
    doctor.examine()
    (cache_dir / f"{'a' * 64}.so").write_bytes(b"half")
    assert by_check()["cache"]["found"].endswith("1 damaged, built again when needed")


@needs_cc
def test_noexec_is_named(monkeypatch):
    monkeypatch.setattr(doctor, "refuses_to_execute", lambda directory: True)
    row = by_check()["cache"]
    assert row["state"] == "broken"
    assert row["found"].endswith("; mounted noexec")
    assert row["remedy"] == "set ZEROSKIP_CACHE_DIR to a directory from which code may be loaded"


def test_missing_packages_tell_how_to_get_them(monkeypatch):
    real = doctor._version
    gone = ("cffi", "pandas", "torch")
    monkeypatch.setattr(doctor, "_version", lambda name: None if name in gone else real(name))
    rows = by_check()
    assert (rows["cffi"]["state"], rows["cffi"]["remedy"]) == ("broken", "pip install cffi")
    assert (rows["pandas"]["state"], rows["pandas"]["remedy"]) == (
        "missing",
        "pip install zeroskip[plot]",
    )
    assert rows["torch"]["remedy"] == "pip install torch"


def test_a_check_that_falls_over_is_a_finding(monkeypatch):
    def falls_over():
        raise RuntimeError("no reason")

    monkeypatch.setattr(doctor, "_settings", falls_over)
    row = by_check()["settings"]
    assert (row["state"], row["found"]) == ("broken", "RuntimeError: no reason")
