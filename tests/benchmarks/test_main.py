"""The command: rows by name, the page, and time that runs out; nothing is measured."""

from __future__ import annotations

import subprocess

import pytest

from benchmarks import __main__ as command
from benchmarks.records import Record, read, write

WHEN = dict.fromkeys(
    ("date", "machine", "caches", "vectors", "system", "compiler", "python"), "some"
)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """Or the process would be started anew."""
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def children(monkeypatch):
    """Commands that would be run, in place of running them."""
    asked = []

    def run(command, *, timeout, **more):
        asked.append((command, timeout))
        if len(asked) == 2:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, len(asked) == 3)

    monkeypatch.setattr(command.subprocess, "run", run)
    return asked


def test_every_row_is_measured_in_a_process_of_its_own(children, tmp_path, capsys):
    into = tmp_path / "bars.json"
    rows = ("spmm", "conv", "dot")
    before = {n: Record(n, WHEN, {}, 4, 5, False, False, skipped=f"{n} then") for n in rows}
    write(into, before)
    arguments = [word for row in rows for word in ("--only", row)]
    code = command.main([*arguments, "--into", str(into), "--quick", "--minutes", "1"])
    assert [c[c.index("--only") + 1] for c, _ in children] == [*rows]
    assert all("--quick" in c and 0 < timeout <= 60 for c, timeout in children)
    assert [c[c.index("--share") + 1] for c, _ in children] == ["20", "30", "60"]
    said = capsys.readouterr()
    assert said.err == "out of time: conv was stopped\nFAILED: dot\n"
    assert said.out.count("not measured yet") == 2  # what was kept before is not of this run
    assert [n for n in rows if f"{n} then" in said.out] == ["spmm"]
    assert read(into) == before
    assert code == 1


def test_a_row_that_is_none(capsys):
    assert command.main(["--only", "spmv"]) == 2
    assert capsys.readouterr().err.startswith("no row spmv; there are spmm, spmm-narrow, ")


def test_one_row_is_kept_beside_the_others(monkeypatch, tmp_path, capsys):
    into = tmp_path / "bars.json"
    old = Record("conv", WHEN, {}, 4, 5, False, False, skipped="for a test")
    write(into, {"conv": old, "gone": old})
    new = Record("spmm", WHEN, {}, 4, 5, False, False, skipped="for a test")
    monkeypatch.setattr(command, "measured", lambda row, options: new)
    assert command.main(["--only", "spmm", "--into", str(into)]) == 0
    assert read(into) == {"spmm": new, "conv": old}
    assert "Not measured: for a test" in capsys.readouterr().out


def test_the_page_is_written_from_what_is_kept(tmp_path, capsys):
    into, page = tmp_path / "bars.json", tmp_path / "performance.md"
    assert command.main(["--page", str(page), "--into", str(into)]) == 1
    assert not page.exists()
    assert "holds nothing: run `make bars` first" in capsys.readouterr().err
    write(into, {"conv": Record("conv", WHEN, {}, 4, 5, False, False, skipped="for a test")})
    assert command.main(["--page", str(page), "--into", str(into)]) == 0
    assert "Not measured: for a test" in page.read_text(encoding="utf-8")
