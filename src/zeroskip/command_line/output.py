"""What a command prints: tables that fit the terminal, JSON, CSV, files that are never half."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any, Literal

import numpy as np

from zeroskip.errors import ZeroskipError
from zeroskip.formats.tensor import Tensor
from zeroskip.table import Table

Kind = Literal["text", "json", "csv"]


def width() -> int | None:
    """Columns of the terminal; None where standard output is no terminal, and nothing is cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def write_table(table: Table, kind: Kind, priority: Sequence[str] = ()) -> None:
    """Print a table.

    priority : columns to keep first where the terminal is too narrow for all.
    """
    if kind == "json":
        made = {"title": table.title, "notes": list(table.notes)}
        print(json.dumps({**made, "rows": json.loads(table.to_json())}, indent=1))
    elif kind == "csv":
        sys.stdout.write(table.to_csv())
        for note in table.notes:
            print(f"# {note}" if note else "", file=sys.stderr)
    else:
        print(as_text(table, width(), priority))


def as_text(table: Table, columns: int | None, priority: Sequence[str] = ()) -> str:
    """A table in at most so many columns: some of its own left out, its notes wrapped.

    On a terminal, what is the same in every row is said once, under the table.
    """
    table, constant = (table, []) if columns is None else without_constants(table)
    shown, dropped = fit(table, columns, priority)
    notes = [*constant, *table.notes]
    if dropped:
        notes.append(f"left out for want of width, and in --csv and --json: {', '.join(dropped)}")
    if columns is None:
        return "\n".join([str(shown), "", *notes])
    title = [line for text in table.title.split("\n") for line in wrap(text, columns) or [""]]
    wrapped = [
        line for note in notes for line in wrap(note, columns, subsequent_indent="  ") or [""]
    ]
    return "\n".join([*title, str(shown).removeprefix(f"{table.title}\n"), "", *wrapped])


def without_constants(table: Table) -> tuple[Table, list[str]]:
    """The table without columns of one value, and a line that has them."""
    same = [
        name
        for place, name in enumerate(table.names)
        if len(table) > 2 and place and len({str(row[place]) for row in table.rows}) == 1
    ]
    if not same:
        return table, []
    kept = [place for place, name in enumerate(table.names) if name not in same]
    cells = [[row[place] for place in kept] for row in table.rows]
    made = Table(table.title, [table.columns[place] for place in kept], cells, table.notes)
    cells_of = {c.heading: c.show(table[0][c.name]) for c in table.columns if c.name in same}
    shown = [f"{heading} {cell}" for heading, cell in cells_of.items() if cell]
    return made, [f"in every row: {', '.join(shown)}"] if shown else []


def fit(
    table: Table, columns: int | None, priority: Sequence[str]
) -> tuple[Table, tuple[str, ...]]:
    """The table without its notes and without the columns that do not fit; and their names."""
    kept = list(table.names)
    order = [name for name in priority if name in kept]
    order += [name for name in kept if name not in order]
    dropped: list[str] = []
    while True:
        places = [table.names.index(name) for name in kept]
        cells = [[row[p] for p in places] for row in table.rows]
        made = Table(table.title, [table.columns[p] for p in places], cells)
        body = str(made).removeprefix(f"{table.title}\n").splitlines()
        if columns is None or max(map(len, body)) <= columns or len(kept) <= 2:
            return made, tuple(dropped)
        dropped.insert(0, order.pop())
        kept.remove(dropped[0])


def write_sections(sections: Mapping[str, str], kind: Kind) -> None:
    """Headings with text under each; bold headings on a terminal."""
    if kind == "json":
        print(json.dumps(dict(sections), indent=1))
        return
    bold, plain = ("\x1b[1m", "\x1b[0m") if _colours() else ("", "")
    for number, (head, text) in enumerate(sections.items()):
        print(f"{'' if number == 0 else chr(10)}{bold}{head}{plain}")
        for line in text.splitlines():
            print(f"  {line}" if line else "")


def write_findings(table: Table, kind: Kind) -> None:
    """What the doctor found: a line each, and what to do under it."""
    if kind != "text":
        write_table(table, kind)
        return
    columns = width() or 10_000
    colours = {"ok": "32", "broken": "1;31", "missing": "33"} if _colours() else {}
    checks = max(len(row["check"]) for row in table)
    for row in table:
        state = row["state"].ljust(8)
        if row["state"] in colours:
            state = f"\x1b[{colours[row['state']]}m{state}\x1b[0m"
        found = wrap(row["found"], max(columns - checks - 10, 20), break_on_hyphens=False) or [""]
        print(f"{state}{row['check'].ljust(checks)}  {found[0]}".rstrip())
        for line in found[1:]:
            print(f"{'':{checks + 10}}{line}")
        if row["remedy"]:
            for k, line in enumerate(wrap(row["remedy"], max(columns - checks - 12, 20))):
                print(f"{'':{checks + 10}}{'→ ' if k == 0 else '  '}{line}")
    print("\n".join(table.notes))


def _colours() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


# ---- files ------------------------------------------------------------------------------


def check_output(path: Path, force: bool) -> None:
    """Refuse a file that cannot be written, before anything is computed."""
    if path.suffix not in (".npy", ".npz"):
        raise ZeroskipError(f"-o {path}: expected a name that ends in .npy or .npz")
    if not path.parent.is_dir():
        raise ZeroskipError(f"-o {path}: there is no folder {path.parent}")
    if path.is_dir() or (path.exists() and not force):
        raise ZeroskipError(f"-o {path}: it exists already\nGive --force to replace it.")


def save(path: Path, name: str, result: Any) -> None:
    """Write a result: .npy an array; .npz SciPy's matrix for a sparse result of two axes, else
    one compressed array of the result's name.

    Goes to a temporary file beside it, which then takes its place: the file is whole or absent.
    """
    handle, temporary = tempfile.mkstemp(
        suffix=path.suffix, prefix=f".{path.stem}-", dir=path.parent
    )
    try:
        with os.fdopen(handle, "wb") as file:
            if path.suffix == ".npy":
                np.save(file, np.asarray(result), allow_pickle=False)
            elif isinstance(result, Tensor) and result.ndim == 2:
                from scipy.sparse import save_npz

                save_npz(file, result.to_scipy())
            else:
                arrays: dict[str, Any] = {name: np.asarray(result)}
                np.savez_compressed(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
