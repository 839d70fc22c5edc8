"""What is printed fits the terminal; what is written is written whole or not at all."""

import os

import numpy as np
import pytest

from zeroskip.command_line import output
from zeroskip.command_line.output import as_text, fit, save, without_constants
from zeroskip.table import Column, Table

WIDE = Table(
    "a title of some length that is wrapped",
    ["kernel", Column("time_s"), "constant", "remark"],
    [(f"kernel {n}", n, 7, "x" * 20 + str(n)) for n in range(3)],
    ["a note that is longer than the terminal is wide, so that it is wrapped"],
)


def test_a_narrow_terminal_drops_the_least_important_and_says_so():
    text = as_text(WIDE, 30, ["kernel", "time_s"])
    assert max(map(len, text.splitlines())) <= 30
    assert "remark" not in text.partition("in every row")[0]
    assert "in every row: constant 7" in text
    assert "left out for want of width" in text.replace("\n  ", " ")
    full = as_text(WIDE, 200)
    assert "left out" not in full
    assert "xxx2" in full


def test_without_a_terminal_nothing_is_cut():
    text = as_text(WIDE, None)
    assert text.splitlines()[-1] == WIDE.notes[0]
    assert "constant" in text.splitlines()[1]


def test_what_fits_and_what_is_constant():
    kept, dropped = fit(WIDE, 20, ["time_s"])
    assert kept.names == ("kernel", "time_s")
    assert dropped == ("constant", "remark")
    assert without_constants(WIDE)[1] == ["in every row: constant 7"]
    short = Table("", ["a", "b"], [(1, 2)])
    assert without_constants(short) == (short, [])


def test_findings_are_wrapped_in_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(output, "width", lambda: 40)
    found = Table("", ["check", "state", "found", "remedy"],
                  [("flags", "ok", "-O2 " * 20, "do " * 20)], ["done"])  # fmt: skip
    output.write_findings(found, "text")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert sum("→" in line for line in lines) == 1


def test_a_write_that_fails_leaves_the_old_file_and_no_other(files, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(np, "save", fail)
    before = sorted(os.listdir())
    with pytest.raises(OSError, match="disk full"):
        save(files / "x.npy", "y", np.ones(3))
    assert sorted(os.listdir()) == before
    assert np.load("x.npy").shape == (8,)
