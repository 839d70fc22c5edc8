"""`sweep`: one layer charged at many densities and on several architectures, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from hashlib import blake2b
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.benchmark.measuring import progress as progress_bar
from zeroskip.charging import charge
from zeroskip.checks import brief, path_of
from zeroskip.errors import ArchError, ZeroskipError
from zeroskip.formats.density import Density
from zeroskip.formats.tensor import Tensor
from zeroskip.given import Given, as_layer, take_operands
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.arch import arch as find_arch
from zeroskip.table import Column, Table

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from zeroskip.computing import Layer
    from zeroskip.hwmodel.kept import CascadeMapping
    from zeroskip.hwmodel.mapping import Mapping as LoopMapping

FIGURES = ("cycles", "energy_pj", "effectual", "utilisation", "off_chip_bits", "fits")
AHEAD = 256
"""Points handed to an executor before the first of them has to be done."""


def sweep(
    layer: object,
    archs: object,
    /,
    *operands: object,
    mapping: LoopMapping | CascadeMapping | None = None,
    executor: Executor | None = None,
    resume: str | Path | None = None,
    progress: bool | None = None,
    **named: object,
) -> Table:
    """Charge a layer at every combination of architectures and densities.

    Parameters
    ----------
    layer : Layer, text or SymPy `Eq`
        One line.
    archs : one architecture, or a sequence of them
        Whatever `charge` takes.
    *operands, **named : array, Tensor, SciPy matrix, torch tensor or `Density`
        A `Density` of several values is swept over; of several such, all combinations.
    mapping : Mapping, of several lines `zeroskip.hwmodel.CascadeMapping`, optional
        For every point.
    executor : optional
        Anything with the interface of `concurrent.futures.Executor`, as of processes, Dask (a
        client is one) or MPI; points are charged one after the other without it.
    resume : path, optional
        A file that every point is written to as it is done; those that are there already are not
        charged again.  Of another sweep it is refused.
    progress : bool, optional
        Whether a bar is shown; by default on a terminal.

    Returns
    -------
    Table
        A row a point: the architecture, the density of each operand that is swept, cycles,
        picojoules, effectual operations, utilisation, bits off chip, whether every working set
        fits, and ``pareto``: no other row of the same densities needs less time and no more energy,
        or less energy and no more time.  ``.to_xarray()`` has the architecture and each
        density as a dimension.

    Raises
    ------
    ArchError, EinsumError, TensorError
        As `charge`; and for a file that is no record of this sweep, or cannot be written.

    Examples
    --------
    >>> import zeroskip as zs
    >>> table = zs.sweep("y[i] = A[i,j]*x[j]", ["dense", "scnn"], progress=False,
    ...                  A=zs.Density((16, 16), [0.25, 0.5]), x=zs.Density((16,), 1.0))
    >>> table.names[:4]
    ('arch', 'A_density', 'cycles', 'energy_pj')
    >>> [int(n) for n in table["effectual"]]
    [64, 128, 64, 128]
    """
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise ZeroskipError(
            f"executor: expected what has submit(), found {brief(executor)}\n"
            "Pass a concurrent.futures.ProcessPoolExecutor(), a Dask client or the like."
        )
    made = as_layer(layer)
    designs = _designs(archs)
    given = take_operands(made, operands, named)
    swept = [name for name, x in given.items() if isinstance(x, Density) and x.swept]
    points = list(_points(made, designs, given, mapping, swept))
    found: dict[int, list[Any]] = {}
    with ExitStack() as stack:
        record = _Record(resume, _fingerprint(made, designs, given, mapping, swept))
        found |= stack.enter_context(record).read(len(points))
        left = [k for k in range(len(points)) if k not in found]
        shown = progress is not False and bool(left)
        bar = stack.enter_context(progress_bar("sweep", len(left))) if shown else None
        for k, row in _charged(left, points, executor):
            record.write(k, row)
            found[k] = row
            if bar is not None:
                bar.spend(1.0)
    rows = [[*points[k].labels, *found[k]] for k in range(len(points))]
    front = _pareto(rows, len(swept) + 1)
    columns = [
        Column("arch", axis=True),
        *(Column(f"{name}_density", format=".3g", axis=True) for name in swept),
        Column("cycles", format="by size"),
        Column("energy_pj", format="by size"),
        Column("effectual", format="by size"),
        Column("utilisation", format=".3f"),
        Column("off_chip_bits", format="by size"),
        Column("fits"),
        Column("pareto"),
    ]
    cells = [(*row, best) for row, best in zip(rows, front, strict=True)]
    return Table(made.text, columns, cells, _notes(given))


@dataclass(frozen=True, slots=True)
class _Point:
    """One charge: what it is of, and what it is called."""

    layer: Layer
    arch: Arch
    operands: dict[str, Given]
    mapping: LoopMapping | CascadeMapping | None
    labels: tuple[Any, ...]

    def row(self) -> list[Any]:
        """Figures of `FIGURES`, as plain numbers."""
        found: Any = charge(self.layer, self.arch, mapping=self.mapping, **self.operands)
        off_chip = found.level(self.arch.off_chip.name)
        figures = (
            found.cycles,
            found.energy_pj,
            found.ops["effectual"],
            found.utilisation,
            off_chip.bits,
        )
        return [*(_plain(x) for x in figures), not found.overflow]


def _plain(number: Any) -> int | float:
    return int(number) if isinstance(number, int | np.integer) else float(number)


def _designs(archs: object) -> list[Arch]:
    listed: Iterable[Any] = (
        archs if isinstance(archs, Sequence) and not isinstance(archs, str) else [archs]
    )
    found = [find_arch(one) for one in listed]
    if not found:
        raise ArchError("sweep: expected at least one architecture, found none")
    return found


def _points(
    made: Layer,
    designs: Sequence[Arch],
    given: Mapping[str, Given],
    mapping: LoopMapping | CascadeMapping | None,
    swept: Sequence[str],
) -> Iterator[_Point]:
    for design in designs:
        for chosen in product(*(list(_density(given[name])) for name in swept)):
            operands = {**given, **dict(zip(swept, chosen, strict=True))}
            labels = (design.name, *(point.density for point in chosen))
            yield _Point(made, design, operands, mapping, labels)


def _density(given: Given) -> Density:
    assert isinstance(given, Density)
    return given


def _charged(
    left: Sequence[int], points: Sequence[_Point], executor: Executor | None
) -> Iterator[tuple[int, list[Any]]]:
    """Rows as they are done."""
    if executor is None:
        yield from ((k, points[k].row()) for k in left)
        return
    waiting: dict[Future[list[Any]], int] = {}
    try:
        for start in range(0, len(left), AHEAD):
            waiting = {executor.submit(points[k].row): k for k in left[start : start + AHEAD]}
            for done in _as_completed(waiting):
                yield waiting[done], done.result()
    except BaseException:
        for future in waiting:
            future.cancel()
        raise


def _as_completed(waiting: Mapping[Any, int]) -> Iterator[Any]:
    """Futures as they are done; one by one where they are not those of the standard library."""
    if all(isinstance(future, Future) for future in waiting):
        yield from as_completed(waiting)
    else:
        yield from waiting


def _pareto(rows: Sequence[Sequence[Any]], figures: int) -> list[bool]:
    """Rows that no other row of the same densities beats in time and energy."""
    groups: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[1:figures]), []).append((row[figures], row[figures + 1]))
    return [
        not any(
            time <= row[figures]
            and energy <= row[figures + 1]
            and (time, energy) != (row[figures], row[figures + 1])
            for time, energy in groups[tuple(row[1:figures])]
        )
        for row in rows
    ]


def _notes(given: Mapping[str, Given]) -> list[str]:
    drawn = [name for name, x in given.items() if isinstance(x, Density)]
    if not drawn:
        return ["every operand is a real one: counts are exact"]
    return [
        f"expected over {', '.join(drawn)}: means of counts, and of maxima over PEs an estimate; "
        "charge one point for its tags and assumptions"
    ]


# ---- the record -------------------------------------------------------------------------


def _fingerprint(
    made: Layer,
    designs: Sequence[Arch],
    given: Mapping[str, Given],
    mapping: LoopMapping | CascadeMapping | None,
    swept: Sequence[str],
) -> str:
    """What two sweeps have in common that give the same rows."""
    digest = blake2b(digest_size=16)
    for text in (made.text, *(repr(design) for design in designs), str(mapping), *swept):
        digest.update(text.encode() + b"\0")
    for name, x in given.items():
        digest.update(f"{name} ".encode())
        if isinstance(x, Density):
            digest.update(x.fingerprint.encode())
        else:
            if isinstance(x, Tensor):  # how it is stored counts, explicit zeros too
                digest.update(repr(x).encode())
            dense = x if isinstance(x, np.ndarray) else x.toarray()
            digest.update(str((dense.shape, dense.dtype.str)).encode())
            digest.update(np.ascontiguousarray(dense).tobytes())
    return digest.hexdigest()


class _Record:
    """A file of finished points, one JSON value a line; the first says of which sweep."""

    def __init__(self, path: str | Path | None, fingerprint: str) -> None:
        self.path = None if path is None else path_of("resume", path, ArchError)
        self.fingerprint = fingerprint
        self._file: Any = None

    def __enter__(self) -> _Record:
        """Open the file, for this sweep alone."""
        if self.path is not None:
            try:
                self._file = self.path.open("a+", encoding="utf-8", newline="\n")
            except OSError as cause:
                raise self._refused(f"cannot be written ({cause})") from cause
            if not _locked(self._file):
                self._file.close()
                raise self._refused("is being written by another sweep")
        return self

    def read(self, points: int) -> dict[int, list[Any]]:
        """Rows that are there; a last line that was cut off is left out, and removed.

        Raises
        ------
        ArchError
            For a file that is no record of this sweep, or that cannot be read or written.
        """
        if self.path is None:
            return {}
        try:
            self._file.seek(0)
            held = self._file.read()
        except (OSError, UnicodeDecodeError) as cause:
            raise self._refused(f"cannot be read ({cause})") from cause
        lines = held.splitlines(keepends=True)
        found = self._rows(lines, points) if lines else {}
        if lines and not lines[-1].endswith("\n"):
            self._file.truncate(len("".join(lines[:-1]).encode()))
        if not any(line.endswith("\n") for line in lines):
            self._line({"sweep": self.fingerprint})
        return found

    def _rows(self, lines: Sequence[str], points: int) -> dict[int, list[Any]]:
        head = _parsed(lines[0])
        if not isinstance(head, dict) or "sweep" not in head:
            raise self._refused("is no record of a sweep")
        if head["sweep"] != self.fingerprint:
            raise self._refused(
                "is the record of another sweep: of other operands, architectures or mapping"
            )
        found: dict[int, list[Any]] = {}
        for number, line in enumerate(lines[1:], 2):
            row = _parsed(line) if line.endswith("\n") else None
            match row:
                case [int(k), list(cells)] if 0 <= k < points and len(cells) == len(FIGURES):
                    found[k] = cells
                case _ if line.endswith("\n"):  # only the last may be cut off
                    raise self._refused(f"is broken at line {number}")
        return found

    def _refused(self, why: str) -> ZeroskipError:
        return ArchError(f"resume: {self.path} {why}\nName another file, or remove this one.")

    def write(self, k: int, row: Sequence[Any]) -> None:
        if self._file is not None:
            self._line([k, list(row)])

    def _line(self, value: object) -> None:
        try:
            self._file.write(json.dumps(value) + "\n")
            self._file.flush()
        except OSError as cause:
            raise self._refused(f"cannot be written ({cause})") from cause

    def __exit__(self, *raised: object) -> None:
        if self._file is not None:
            with suppress(OSError):  # every line was written out, or is the one that failed
                self._file.close()


def _locked(file: Any) -> bool:
    """Take the file until it is closed; False where another sweep has it.  Where a system or a disk
    has no locks, nothing is taken."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
