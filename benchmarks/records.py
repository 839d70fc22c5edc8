"""What was measured, as JSON: one record a row, so that a row can be measured anew alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.rows.row import Figure
from benchmarks.running import Cell

VERSION = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One row, measured.

    when : `benchmarks.machine.description`.  libraries : versions and kernels.
    binding : whether the bars are for this machine; else ratios are reported.
    skipped : why nothing was measured.
    """

    row: str
    when: dict[str, str]
    libraries: dict[str, str]
    seed: int
    runs: int
    binding: bool
    quick: bool
    cells: tuple[Cell, ...] = ()
    figures: tuple[Figure, ...] = ()
    skipped: str = ""
    missing: dict[str, str] = field(default_factory=dict)


def write(path: Path, records: Mapping[str, Record]) -> None:
    """Everything into one file, written whole or not at all."""
    content = {"version": VERSION, "rows": {name: asdict(r) for name, r in records.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def read(path: Path) -> dict[str, Record]:
    """Records by row; none where the file is absent.

    Raises
    ------
    ValueError
        Where it is of another version.
    """
    if not path.exists():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("version") != VERSION:
        raise ValueError(
            f"{path} is of version {content.get('version')}, expected {VERSION}; measure anew"
        )
    return {name: _record(given) for name, given in content["rows"].items()}


def _record(given: dict[str, Any]) -> Record:
    cells = tuple(
        Cell(**{**c, "runs_s": {n: tuple(s) for n, s in c["runs_s"].items()}})
        for c in given.pop("cells")
    )
    figures = tuple(Figure(**{**f, "runs_s": tuple(f["runs_s"])}) for f in given.pop("figures"))
    return Record(**given, cells=cells, figures=figures)
