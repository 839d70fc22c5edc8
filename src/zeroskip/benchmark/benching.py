"""`bench`: a layer timed densely and sparsely, against NumPy, SciPy and torch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.benchmark.cases import Case, factors, has_compiler, make_case
from zeroskip.benchmark.measuring import Candidate, Progress, Timing, measure, pinned, progress
from zeroskip.benchmark.notes import notes_of
from zeroskip.benchmark.peers import Way
from zeroskip.benchmark.roofline import Roof, measure_roof
from zeroskip.charging import charge
from zeroskip.checks import names_of, number_of, whole_of
from zeroskip.computing import Layer
from zeroskip.errors import TensorError
from zeroskip.formats.density import Density
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.given import Given, as_layer, sample, sample_dtype, take_operands
from zeroskip.native import settings
from zeroskip.table import Column, Table

if TYPE_CHECKING:
    from zeroskip.hwmodel.arch import Arch

DENSE_ENOUGH = 0.9
"""Density from which an operand is taken for dense, unless it is a Tensor or a sweep."""

FORMATS = ("CSR", "bitmask")
PEERS = ("numpy", "scipy", "torch")
INPUTS = frozenset(("i", "x", "input", "inputs", "iact", "iacts", "activation", "activations"))
"""Names, in lower case, of operands that change from call to call."""

SLOWEST_S_PER_MULTIPLICATION = 1e-9
"""Of a plain walk, about; what would take longer than its share is left out before it is run."""

FormatsLike = str | Format | Sequence[str | Format] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One way, timed on one case.

    bound_s : what the machine needs for these multiplications and bytes at the least.
    """

    case: Case
    way: Way
    timing: Timing
    error: float
    speedup: float
    modelled: tuple[float, float] | None
    bound_s: float | None = None


def bench(
    layer: object,
    /,
    *operands: object,
    formats: FormatsLike | None = None,
    arch: Arch | str | Path | Mapping[str, Any] | None = None,
    threads: int = 1,
    seed: int = 0,
    bound: Sequence[str] | None = None,
    peers: Sequence[str] | None = None,
    budget_s: float = 10.0,
    **named: object,
) -> Table:
    """Time a layer: dense by BLAS and by zeroskip, and sparse in formats.

    Every answer is checked against a dense reference before anything is timed; a wrong one is
    an error.  Candidates take turns (`zeroskip.benchmark.measuring`).

    Parameters
    ----------
    layer : Layer, text or SymPy `Eq`
    *operands, **named : array, Tensor, SciPy matrix, torch tensor or `Density`
        A `Density` is drawn with ``seed``; one of several densities makes a sweep, with a row
        for each density and way.
    formats : format, list of formats, or mapping of operand to those, optional
        For the operands less than 90 % dense, and those given as a Tensor or a sweep: each
        alone and all together.  By default a Tensor's own, else CSR and bitmask.
    arch : Arch, name, path or dict, optional
        Adds modelled cycles and energy, from `charge`.
    threads : int
        Threads of every library.
    seed : int
    bound : names of operands that stay over many calls, optional
        They are packed before the timing.  By default every operand not called I, X, input ….
    peers : of ``numpy``, ``scipy`` and ``torch``, optional
        By default the first two, and torch where it is loaded already.
    budget_s : float
        Seconds of timing, about, for the whole table; checks and compilations come on top.

    Returns
    -------
    Table
        kernel, schedule, densities, time and quartiles, speed-up over the fastest dense row
        of the same operands, multiplications executed and effectual, effectual GFLOP/s, the
        roofline bound and the part of it that was reached, error.

    Raises
    ------
    EinsumError, FormatError, TensorError
        For what cannot be computed.
    KernelError
        For an answer that differs from the reference.

    Examples
    --------
    >>> table = bench("y[i] = A[i,j]*x[j]", A=Density((64, 64), 0.1), x=np.ones(64),
    ...               formats="CSR", budget_s=0.1)
    >>> [name for name in table["kernel"] if name.startswith("zeroskip")]
    ['zeroskip dense (A bound)', 'zeroskip A CSR (A bound)']
    """
    made = as_layer(layer)
    check_options(made, threads, seed, bound, peers, budget_s)
    given = take_operands(made, operands, named)
    by_operand = formats_of(made, given, formats)
    held = bound_of(made, given, by_operand, bound)
    points = list(draws(made, given, seed))
    rows: list[Row] = []
    left_out: dict[str, None] = {}
    shared_s = budget_s / len(points)
    with pinned(threads) as pin, progress("timing", budget_s) as bar:
        for operands_here in points:
            case = make_case(made, operands_here)
            ways = _ways(case, by_operand, held, peers, shared_s, left_out)
            rows += time_ways(case, ways, shared_s, bar, arch)
    swept = [name for name, x in given.items() if isinstance(x, Density) and x.swept]
    shown = [name for name in factors(made) if name in by_operand or name in swept]
    notes = notes_of(rows, pin=pin, bound=held, swept=swept, left_out=tuple(left_out), arch=arch)
    return table_of(made, rows, shown, notes, modelled=arch is not None)


def check_options(
    made: Layer,
    threads: int,
    seed: int,
    bound: Sequence[str] | None,
    peers: Sequence[str] | None,
    budget_s: float,
) -> None:
    whole_of("threads", threads, 1)
    whole_of("seed", seed, 0)
    number_of("budget_s", budget_s, "a number of seconds above 0", 0)
    if bound is not None:
        names_of("bound", bound, made.operands)
    if peers is not None:
        names_of("peers", peers, PEERS)


# ---- what is timed ----------------------------------------------------------------------


def formats_of(
    made: Layer, given: Mapping[str, Given], formats: FormatsLike | None
) -> dict[str, list[str]]:
    """Formats of each sparse operand, checked against its axes.

    Raises
    ------
    FormatError
        For a format that cannot be read or does not fit.
    TensorError
        For a mapping that names no operand.
    """
    chosen: dict[str, list[str | Format]] = {}
    if isinstance(formats, Mapping):
        for name in formats:
            if name not in made.operands:
                raise TensorError(
                    f"formats names {name}, which is no operand: {', '.join(made.operands)}"
                )
            chosen[name] = _listed(formats[name])
    else:
        for name in factors(made):
            operand = given[name]
            if not operand.ndim or not _is_sparse(operand):
                continue
            own = isinstance(operand, Tensor) and formats is None
            default: list[str | Format] = [*FORMATS]
            wanted = _listed(formats) if formats is not None else default
            chosen[name] = [operand.format] if own and isinstance(operand, Tensor) else wanted
    found: dict[str, list[str]] = {}
    for name, wanted in chosen.items():
        texts = [_label(f, given[name].ndim) for f in wanted]
        kept = [text for text in dict.fromkeys(texts) if text != "dense"]
        if kept:
            found[name] = kept
    return found


def _listed(formats: Any) -> list[str | Format]:
    return list(formats) if isinstance(formats, list | tuple) else [formats]


def _label(wanted: str | Format, ndim: int) -> str:
    """The format as it was written, where that is a name; checked against the axes."""
    made = Format(wanted)
    bound = made.bind(ndim)
    return bound.label if made.name is None else str(made)


def _is_sparse(operand: Given) -> bool:
    if isinstance(operand, Density):
        return operand.swept or operand.density < DENSE_ENOUGH
    if isinstance(operand, Tensor):
        return True
    return bool(np.count_nonzero(operand) < DENSE_ENOUGH * operand.size)


def bound_of(
    made: Layer,
    given: Mapping[str, Given],
    formats: Collection[str],
    wanted: Sequence[str] | None,
) -> tuple[str, ...]:
    """Operands that stay: those asked for; else all but the inputs; where nothing is called an
    input, the first sparse one, else the first.  Binding spares a cascade nothing yet."""
    if wanted is not None:
        return names_of("bound", wanted, made.operands)
    if len(made.spec.forms) > 1:
        return ()
    names = [name for name in made.operands if given[name].ndim]
    if any(name.lower() in INPUTS for name in names):
        return tuple(name for name in names if name.lower() not in INPUTS)
    return tuple([name for name in names if name in formats][:1] or names[:1])


def draws(made: Layer, given: Mapping[str, Given], seed: int) -> Iterator[dict[str, Any]]:
    """Real operands, one set for each point of a sweep; of several sweeps, all combinations."""
    dtype = sample_dtype(given)
    choices = [list(x) if isinstance(x, Density) else [x] for x in given.values()]
    for point in product(*choices):
        yield {
            name: sample(name, x, made, seed, dtype) if isinstance(x, Density) else x
            for name, x in zip(given, point, strict=True)
        }


def _ways(
    case: Case,
    formats: Mapping[str, list[str]],
    bound: tuple[str, ...],
    wanted: Sequence[str] | None,
    budget_s: float,
    left_out: dict[str, None],
) -> list[Way]:
    """Everything to be timed, dense first."""
    sets: list[tuple[str, ...]] = [(name,) for name in formats]
    if len(formats) > 1:
        sets.append(tuple(formats))
    chosen = wanted if wanted is not None else ("numpy", "scipy", "torch, if loaded")
    found = [*case.peers(sets, chosen)]
    place = sum(way.dense for way in found)
    found[place:place] = case.dense(bound)
    estimate_s = case.multiplications * SLOWEST_S_PER_MULTIPLICATION
    for names in sets:
        for k in range(max(len(formats[name]) for name in names)):
            here = {name: formats[name][min(k, len(formats[name]) - 1)] for name in names}
            if estimate_s > 3 * budget_s and not set(names) <= set(bound):
                shown = ", ".join(f"{n} {f}" for n, f in here.items())
                left_out.setdefault(f"{shown}: about {estimate_s:.0f} s a call")
                continue
            found += case.sparse(here, bound)
    return found


def time_ways(
    case: Case, ways: Sequence[Way], budget_s: float, bar: Progress, arch: Any
) -> Iterator[Row]:
    """Check every way, then time them all against each other."""
    errors = []
    for number, way in enumerate(ways, 1):
        bar.say(f"checking {number} of {len(ways)}")
        errors.append(case.error(way))
    bar.say("timing")
    candidates = [Candidate(way.name, way.call) for way in ways]
    timings = measure(candidates, budget_s=budget_s, tick=bar.spend)
    best = min((t.median_s for t, w in zip(timings, ways, strict=True) if w.dense), default=None)
    roof = None
    if has_compiler():
        roof = measure_roof(case.dtype, case.nbytes({}), settings.current().threads)
    sparse = dense = None
    if arch is not None:
        charged = charge(case.layer, arch, *case.operands.values())
        sparse = (charged.cycles, charged.energy_pj)
        dense = (charged.baseline.cycles, charged.baseline.energy_pj)
    for way, timing, error in zip(ways, timings, errors, strict=True):
        speedup = best / timing.median_s if best is not None else float("nan")
        bound_s = _bound_s(case, way, roof)
        yield Row(case, way, timing, error, speedup, dense if way.dense else sparse, bound_s)


def _bound_s(case: Case, way: Way, roof: Roof | None) -> float | None:
    """Of every multiplication for a dense way, of the effectual ones for a sparse way."""
    count = case.multiplications if way.dense else case.effectual
    if roof is None or count is None:
        return None
    return roof.bound_s(count, case.nbytes(way.formats))


# ---- what is shown ----------------------------------------------------------------------


def table_of(
    made: Layer, rows: Sequence[Row], names: Sequence[str], notes: Sequence[str], *, modelled: bool
) -> Table:
    """names : operands whose density is shown."""
    columns = [
        Column("kernel"),
        *(Column(f"{name}_density", format=".3g") for name in names),
        Column("time_s", format="si:s"),
        Column("low_s", format="si:s"),
        Column("high_s", format="si:s"),
        Column("speedup", format=".3g"),
        Column("executed"),
        Column("effectual"),
        Column("gflops", format=".3g"),
        Column("bound_s", format="si:s"),
        Column("of_bound", format=".2g"),
        Column("max_error", format=".1e"),
        Column("schedule"),
        Column("formats"),
        *([Column("cycles"), Column("energy_pj", format=".4g")] if modelled else []),
    ]
    cells = [_cells(row, names, modelled) for row in rows]
    shapes = ", ".join(
        f"{name} {'×'.join(map(str, x.shape)) or 'scalar'}"
        for name, x in rows[0].case.operands.items()
    )
    title = f"{made.text}\n{shapes}, {rows[0].case.result}"
    return Table(title, columns, cells, notes)


def _cells(row: Row, names: Sequence[str], modelled: bool) -> tuple[Any, ...]:
    count, timing = row.case.effectual, row.timing
    gflops = None if count is None else 2e-9 * count / timing.median_s
    return (
        row.way.name,
        *(row.case.density(name) for name in names),
        timing.median_s,
        timing.low_s,
        timing.high_s,
        row.speedup,
        row.way.executed,
        count,
        gflops,
        row.bound_s,
        None if row.bound_s is None else row.bound_s / timing.median_s,
        row.error,
        row.way.schedule,
        ", ".join(f"{name} {wanted}" for name, wanted in row.way.formats.items()),
        *((row.modelled or (None, None)) if modelled else ()),
    )
