"""Records are kept and shown: tables, losses beside wins, who was missing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from benchmarks.contest import OURS
from benchmarks.page import page
from benchmarks.records import Record, read, write
from benchmarks.report import section, summary, table
from benchmarks.rows.row import Bar, Figure, Figures, Row
from benchmarks.running import Cell

ROW = Row(
    "spmm",
    "SpMM",
    lambda: ("8,8,8",),
    ("0.5",),
    lambda shape, at, rng: pytest.fail("nothing is measured here"),
    (Bar("best dense", "0.5", 2.0), Bar("best sparse", "0.5", None)),
    notes=("a note",),
)
FIGURES = Figures("starting", "text to callable", lambda runs: [])
WHEN = dict.fromkeys(
    ("date", "machine", "caches", "vectors", "system", "compiler", "python"), "some"
)


def record(**more):
    cell = Cell(
        "8,8,8",
        "0.5",
        {"zeroskip CSR": (1e-3, 1e-3), "NumPy": (5e-3, 5e-3), "MKL": (5e-4, 5e-4)},
        {"zeroskip CSR": OURS, "NumPy": "best dense", "MKL": "best sparse"},
        {"zeroskip CSR": 1e-7, "NumPy": 2e-7},
        {"GraphBLAS": "not installed"},
        multiplications=500_000,
    )
    plain = {"binding": True, "quick": False, "cells": (cell,)}
    return Record("spmm", WHEN, {"numpy": "2.4"}, 4, 2, **{**plain, **more})


def test_a_table_is_lined_up():
    assert table(("a", "wide"), [("long cell", "b")]) == [
        "| a         | wide |",
        "|-----------|------|",
        "| long cell | b    |",
    ]


def test_a_record_comes_back_as_it_was_written(tmp_path):
    kept = {
        "spmm": record(),
        "starting": record(cells=(), figures=(Figure("a call", (1e-6, 2e-6), 2e-6, "alone"),)),
    }
    path = tmp_path / "build" / "bars.json"
    write(path, kept)
    assert read(path) == kept
    assert [p.name for p in path.parent.iterdir()] == ["bars.json"]


def test_no_file_is_no_record_and_another_version_is_refused(tmp_path):
    assert read(tmp_path / "none.json") == {}
    path = tmp_path / "bars.json"
    path.write_text('{"version": 0, "rows": {}}')
    message = re.escape(f"{path} is of version 0, expected 1; measure anew")
    with pytest.raises(ValueError, match=message):
        read(path)


def test_a_section_has_bars_losses_times_and_who_was_missing():
    text = "\n".join(section(ROW, record()))
    assert re.search(r"\| best dense, 0.5 +\| 2× +\| 5.00× .* NumPy +\| reached", text)
    assert re.search(r"\| best sparse, 0.5 +\| +\| 0.50× .* MKL +\| reported", text)
    assert "Slower than a peer: 8,8,8 at 0.5: 0.50× MKL." in text
    assert re.search(r"\| 8,8,8 +\| 0.5 +\| 1 ms +\| 1 +\| 5.00× NumPy +\| 0.50× MKL", text)
    assert "- missing: GraphBLAS, not installed" in text
    assert "checked against the dense one: 2, the worst 2.0e-07" in text
    assert "- a note" in text
    assert "seed 4, 2 run(s)" in text


def test_without_peers_there_is_nothing_to_be_faster_than():
    whole = record()
    alone = replace(
        whole.cells[0],
        runs_s={"zeroskip CSR": (1e-3, 1e-3)},
        families={"zeroskip CSR": OURS},
    )
    text = "\n".join(section(ROW, replace(whole, cells=(alone,))))
    assert "No peer took part." in text
    assert "Slower than a peer" not in text


def test_figures_are_times():
    figures = (Figure("a bound call", (1e-6, 3e-6, 2e-6), 2e-6),)
    text = "\n".join(section(FIGURES, record(cells=(), figures=figures)))
    assert re.search(r"\| a bound call +\| ≤ 2 µs +\| 2 µs +\| 3 µs +\| slowest run", text)


def test_what_was_skipped_says_why():
    text = "\n".join(section(ROW, record(cells=(), skipped="one processor only")))
    assert "Not measured: one processor only" in text


def test_the_summary_names_every_row_and_counts_the_bars():
    lines = summary((ROW, FIGURES), {"spmm": record()})
    assert lines[-2] == "Of 2: 1 reached, 0 not reached, 1 reported."
    assert any("text to callable" in line and "not measured yet" in line for line in lines)


def test_the_page_has_all_of_it():
    text = page((ROW, FIGURES), {"spmm": record()})
    assert text.startswith("# Performance\n")
    assert "## Every bar" in text
    assert "## SpMM" in text
    assert "## text to callable" not in text
