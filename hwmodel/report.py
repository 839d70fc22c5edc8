"""Charges as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zeroskip.hwmodel.traffic import NETWORK
from zeroskip.table import Column, Table

if TYPE_CHECKING:
    from zeroskip.hwmodel.charge import Charge


def summary_table(charge: Charge) -> Table:
    """One row a figure: here, on the dense baseline, and the ratio."""
    dense = charge.baseline
    rows: list[tuple[Any, ...]] = []

    def row(figure: str, unit: str, here: float, there: float | None) -> None:
        ratio = here / there if there else None
        rows.append((figure, unit, here, there, ratio))

    for name in ("dense", "effectual", "gated", "skipped", "never_fetched", "ineffectual"):
        label = "all" if name == "dense" else name.replace("_", " ")
        row(f"operations, {label}", "", charge.ops[name], dense.ops[name])
    if charge.additions:
        row("additions beside them", "", charge.additions, dense.additions)
    row("cycles", "", charge.cycles, dense.cycles)
    row("cycles, compute", "", charge.compute_cycles, dense.compute_cycles)
    for name, cycles in charge.bandwidth_cycles.items():
        row(f"cycles, {name}", "", cycles, dense.bandwidth_cycles[name])
    row("utilisation", "", charge.utilisation, dense.utilisation)
    row("imbalance", "", charge.imbalance, dense.imbalance)
    for level in charge.arch.levels:
        here, there = charge.level(level.name), dense.level(level.name)
        row(f"{level.name}, data", "bits", here.data_bits, there.data_bits)
        row(f"{level.name}, metadata", "bits", here.metadata_bits, there.metadata_bits)
    row("energy", "pJ", charge.energy_pj, dense.energy_pj)
    for name, energy in charge.energy.items():
        row(f"energy, {name}", "pJ", energy, dense.energy[name])
    columns = [
        Column("figure"),
        Column("unit"),
        Column(charge.arch.name, format=",.6g"),
        Column("dense baseline", format=",.6g"),
        Column("ratio", format=".3f"),
    ]
    return Table(f"{charge.layer.form_text} on {charge.arch.name}", columns, rows, _notes(charge))


def _notes(charge: Charge) -> list[str]:
    notes = [f"mapping: {charge.schedule}", f"bound by: {charge.bound_by}"]
    notes += [f"overflow: {text}" for text in charge.overflow]
    notes += [f"assumes {text}" for text in charge.assumptions]
    notes += [f"leaves out {text}" for text in charge.missing]
    return notes


def moves_table(charge: Charge) -> Table:
    """One row for each level and tensor."""
    arch = charge.arch
    bits = {level.name: (level.pj_per_bit, level.metadata_pj_per_bit) for level in arch.levels}
    network = arch.energy.action(NETWORK)
    bits[NETWORK] = (network.pj_per_bit,) * 2 if network else (0.0, 0.0)
    order = [arch.off_chip.name, arch.buffer.name, NETWORK, arch.local.name]
    rows = []
    for level in order:
        for (at, tensor), moved in charge.traffic.items():
            if at != level:
                continue
            data, metadata = bits[level]
            rows.append(
                (
                    level,
                    tensor,
                    moved.reads,
                    moved.writes,
                    moved.data_bits,
                    moved.metadata_bits,
                    moved.data_bits * data + moved.metadata_bits * metadata,
                )
            )
    columns = [
        Column("level"),
        Column("tensor"),
        Column("reads"),
        Column("writes"),
        Column("data", "bits"),
        Column("metadata", "bits"),
        Column("energy", "pJ"),
    ]
    return Table(f"{charge.layer.form_text} on {arch.name}: what moves", columns, rows)


def energy_table(charge: Charge) -> Table:
    """One row a component."""
    rows = [(name, energy, charge.baseline.energy[name]) for name, energy in charge.energy.items()]
    columns = [Column("component"), Column("energy", "pJ"), Column("dense baseline", "pJ")]
    return Table(f"{charge.layer.form_text} on {charge.arch.name}: energy", columns, rows)
