"""Charges as tables: one beside its dense baseline, several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zeroskip.errors import ArchError
from zeroskip.hwmodel.costs import energy_of_moves
from zeroskip.hwmodel.ladder import causes_of, ladder_table
from zeroskip.hwmodel.moves import NETWORK
from zeroskip.table import Column, Table, with_prefix

if TYPE_CHECKING:
    from zeroskip.hwmodel.totals import Totals

Figures = dict[tuple[str, str], float]


def figures_of(charge: Totals) -> Figures:
    """(figure, unit) -> number.  Bits and energy of a transpose are among those of its level."""
    found: Figures = {}
    for name in ("dense", "effectual", "gated", "skipped", "never_fetched", "ineffectual"):
        label = "all" if name == "dense" else name.replace("_", " ")
        found[f"operations, {label}", ""] = charge.ops[name]
    if charge.additions:
        found["additions beside them", ""] = charge.additions
    found["cycles", ""] = charge.cycles
    found["cycles, compute", ""] = charge.compute_cycles
    for name, cycles in charge.bandwidth_cycles.items():
        found[f"cycles, {name}", ""] = cycles
    for figure, number in charge.of_units.items():
        found[figure, ""] = number
    for made in charge.conversions:
        _add(found, f"cycles, {made.label}", "", made.cycles)
    found["utilisation", ""] = charge.utilisation
    found["imbalance", ""] = charge.imbalance
    for level in charge.arch.levels:
        moved = charge.level(level.name)
        found[f"{level.name}, data", "bits"] = moved.data_bits
        found[f"{level.name}, metadata", "bits"] = moved.metadata_bits
    for made in charge.conversions:
        _add(found, f"{made.label}, data", "bits", made.moves.data_bits)
        _add(found, f"{made.label}, metadata", "bits", made.moves.metadata_bits)
        _add(found, f"{made.label}, stored copy", "bits", made.target.total_bits)
    found["energy", "pJ"] = charge.energy_pj
    for name, energy in charge.energy.items():
        found[f"energy, {name}", "pJ"] = energy
    for made in charge.conversions:
        _add(found, f"energy, {made.label}", "pJ", made.energy_pj)
    if charge.arch.area_mm2 is not None:
        found["area, as far as known", "mm²"] = charge.arch.area_mm2
    return found


def _add(found: Figures, figure: str, unit: str, value: float) -> None:
    """Lines of a cascade may transpose one operand each."""
    found[figure, unit] = found.get((figure, unit), 0) + value


def summary_table(charge: Totals) -> Table:
    """One row a figure: here, on the dense baseline, and the ratio."""
    here, there = figures_of(charge), figures_of(charge.baseline)
    rows = [
        (*key, value, there.get(key, 0), _ratio(value, there.get(key, 0)))
        for key, value in here.items()
    ]
    columns = [
        Column("figure"),
        Column("unit"),
        Column(free_name(charge.arch.name, _TAKEN), format="by size"),
        Column("dense baseline", format="by size"),
        Column("ratio", format=".3f"),
    ]
    return Table(f"{charge.text} on {charge.arch.name}", columns, rows, _notes(charge))


_TAKEN = ("figure", "unit", "dense baseline", "ratio")


def compare(*charges: Totals, ladder: bool | None = None) -> Table:
    """Charges side by side: a row a figure, a column a charge, and its ratio to the first.

    Parameters
    ----------
    *charges : Totals
        Of one layer on several architectures, or of several operands, mappings or layers.
    ladder : bool, optional
        Without it, notes under the table say of an expected charge beside the exact one of the
        same line and design by how much densities alone are off, and along which rank operands
        are correlated, where that is why; False leaves these out.  True, of exact charges: for
        each line, what its densities alone give, what profiles along the rank that explains most
        of the error give, and the data; see `zeroskip.hwmodel.ladder`.

    Returns
    -------
    Table
        Cells are None where a charge has no such figure (a level of another name) and where
        the first charge's figure is 0.  Columns are named by architecture, with "expected" for a
        charge of densities; of equal names the later ones are numbered.

    Raises
    ------
    ArchError
        Where there is nothing to compare.

    Examples
    --------
    >>> import numpy as np
    >>> import zeroskip as zs
    >>> w, x = np.eye(4), np.ones(4)
    >>> found = [zs.charge("y[i] = A[i,j]*x[j]", a, A=w, x=x) for a in ("dense", "scnn")]
    >>> table = zs.compare(*found)
    >>> table.names
    ('figure', 'unit', 'dense', 'scnn', 'scnn / dense')
    >>> table[3]
    {'figure': 'operations, skipped', 'unit': '', 'dense': 0, 'scnn': 12, 'scnn / dense': None}
    """
    for charge in charges:
        if not hasattr(charge, "traffic"):
            raise ArchError(f"compare() takes charges, found {type(charge).__name__}")
    if not charges:
        raise ArchError("compare() needs at least one charge")
    if ladder:
        return ladder_table(charges)
    names: list[str] = []
    for charge in charges:
        names.append(free_name(_called(charge), (*_TAKEN, *names)))
    columns = [Column("figure"), Column("unit")]
    for number, name in enumerate(names):
        columns.append(Column(name, format="by size"))
        if number:
            columns.append(Column(f"{name} / {names[0]}", format=".3f"))
    found = [figures_of(charge) for charge in charges]
    rows = []
    for key in dict.fromkeys(key for figures in found for key in figures):
        first = found[0].get(key)
        cells: list[Any] = [*key, first]
        for figures in found[1:]:
            cells += [figures.get(key), _ratio(figures.get(key), first)]
        rows.append(tuple(cells))
    lines = list(dict.fromkeys(charge.text for charge in charges))
    causes = causes_of(charges) if ladder is None else []
    return Table("; ".join(lines), columns, rows, [*causes, *_differences(charges, names)])


def _differences(charges: Sequence[Totals], names: Sequence[str]) -> list[str]:
    """What is not the same for all: layer, mapping, bound, overflow, assumptions."""
    notes = []
    for name, charge in zip(names, charges, strict=True):
        shapes = ", ".join(f"{t}{list(s)}" for t, s in charge.shapes.items())
        notes.append(f"{name}: {shapes}; mapping: {charge.mapped}; {_headline(charge)}")
        notes += [f"{name}: {text}" for text in _overflows(charge)]
    sides = [
        {f"assumes {t}" for t in c.assumptions} | {f"leaves out {t}" for t in c.missing}
        for c in charges
    ]
    shared = sides[0].intersection(*sides[1:])
    for name, side in zip(names, sides, strict=True):
        own = side - shared
        notes += [f"{name} {text}" for text in sorted(own)]
    return notes


def _called(charge: Totals) -> str:
    """A charge by its architecture, and that it is a mean where it is one."""
    expected = any(part.estimate is not None for part in charge.parts)
    return f"{charge.arch.name}, expected" if expected else charge.arch.name


def free_name(name: str, taken: Sequence[str]) -> str:
    """The name, or the name with the first number that makes it another."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free


def _ratio(here: float | None, there: float | None) -> float | None:
    return here / there if here is not None and there else None


def _headline(charge: Totals) -> str:
    seconds, joules = with_prefix(charge.seconds, "s"), with_prefix(charge.energy_pj / 1e12, "J")
    return f"{seconds} and {joules}, bound by {charge.bound_by}"


def _overflows(charge: Totals) -> list[str]:
    return [
        *(f"spill: {text}" for text in charge.spills),
        *(
            f"overflow: {text}; what that moves again is not counted: a lower bound"
            for text in charge.overflow
        ),
    ]


def _notes(charge: Totals) -> list[str]:
    notes = [f"mapping: {charge.mapped}", f"{charge.arch.name}: {_headline(charge)}"]
    notes += [f"dense baseline: {_headline(charge.baseline)}", *_overflows(charge)]
    notes += [f"assumes {text}" for text in charge.assumptions]
    notes += [f"leaves out {text}" for text in charge.missing]
    return notes


def moves_table(charge: Totals) -> Table:
    """One row for each level and tensor."""
    arch = charge.arch
    outside = sum(not level.instances for level in arch.levels)
    order = [level.name for level in arch.levels]
    order.insert(outside, NETWORK)
    rows = []
    for level in order:
        for (at, tensor), moved in charge.traffic.items():
            if at != level:
                continue
            rows.append(
                (
                    level,
                    tensor,
                    moved.reads,
                    moved.writes,
                    moved.data_bits,
                    moved.metadata_bits,
                    energy_of_moves(arch, level, moved),
                )
            )
    columns = [
        Column("level"),
        Column("tensor"),
        Column("reads", "entries"),
        Column("writes", "entries"),
        Column("data", "bits"),
        Column("metadata", "bits"),
        Column("energy", "pJ", format="by size"),
    ]
    return Table(f"{charge.text} on {arch.name}: what moves", columns, rows)


def energy_table(charge: Totals) -> Table:
    """One row a component."""
    rows = [
        (name, energy, charge.baseline.energy.get(name, 0))
        for name, energy in charge.energy.items()
    ]
    columns = [
        Column("component"),
        Column("energy", "pJ", format="by size"),
        Column("dense baseline", "pJ", format="by size"),
    ]
    return Table(f"{charge.text} on {charge.arch.name}: energy", columns, rows)
