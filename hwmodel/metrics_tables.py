"""Metrics as tables: a report, the factors behind it, several reports side by side."""

from __future__ import annotations

from collections.abc import Iterator

from zeroskip.errors import ArchError
from zeroskip.hwmodel.accuracy import checked
from zeroskip.hwmodel.metrics import Metrics
from zeroskip.hwmodel.report import free_name
from zeroskip.table import Column, Table

Row = tuple[str, str, str, float | None]
"""Metric, unit, number of its equation, figure."""


def report(made: Metrics) -> Table:
    """A row a figure; what is missing, and what the figures leave out, below."""
    rows = [row for row in _rows(made) if row[3] is not None]
    columns = [
        Column("metric"),
        Column("unit"),
        Column("equation"),
        Column("figure", "", "by size"),
    ]
    return Table(_title(made), columns, rows, _notes(made))


def _title(made: Metrics) -> str:
    name = f"{made.network or 'a network'} on {made.design or 'a design'}"
    return f"{name}, {made.basis}" if made.basis else name


def _notes(made: Metrics) -> list[str]:
    notes = [f"incomplete: no {', '.join(made.missing)}" if made.missing else "complete"]
    most = made.most_inferences_per_s
    if most is not None and most < made.inferences_per_s:
        notes.append(
            f"too hot: {made.most_watts:g} W allow {most:.4g} inferences/s at most (equation 5)"
        )
    used, most = made.off_chip_bits_per_s_used, made.off_chip_bits_per_s
    if used is not None and most is not None and used > most * (1 + 1e-9):
        notes.append(f"{used:.4g} bit/s move off the chip, more than the {most:.4g} that it has")
    return [*notes, *(f"leaves out {text}" for text in made.omitted)]


def _rows(made: Metrics) -> Iterator[Row]:
    for one in checked(made.accuracy):
        said = ", ".join(text for text in (one.task, one.dataset) if text.strip())
        yield f"accuracy{f', {said}' if said else ''}", one.unit, "", one.value
        yield "error", one.unit, "", one.error
    yield "throughput", "inferences/s", "1", made.inferences_per_s
    yield "throughput", "GMAC/s", "1", made.macs_per_s / 1e9
    yield (
        "throughput of busy PEs, zeros skipped not counted",
        "GMAC/s",
        "2",
        _over(made.peak_macs_per_s, 1e9),
    )
    yield "latency", "ms", "10", _over(made.latency_s, 1e-3)
    yield "batch", "inferences", "", made.batch
    yield "in flight", "inferences", "10", made.in_flight
    yield "energy", "mJ/inference", "7", _over(made.joules_per_inference, 1e-3)
    yield "energy, multiply-accumulates", "mJ/inference", "7", _over(made.mac_joules, 1e-3)
    yield "energy, moving data", "mJ/inference", "7", _over(made.data_joules, 1e-3)
    yield "energy of an operation", "pJ/MAC", "6", _over(made.joules_per_mac, 1e-12)
    effectual = _over(made.joules_per_effectual, 1e-12)
    yield "energy of an operation", "pJ/effectual MAC", "9", effectual
    yield "power", "mW", "", _over(made.watts, 1e-3)
    yield "throughput by power, at most", "inferences/s", "5", made.most_inferences_per_s
    yield "efficiency", "GMAC/s/W", "6", _over(made.macs_per_joule, 1e9)
    yield "off chip", "bits/inference", "", made.off_chip_bits
    yield "off chip", "bits/MAC", "", _over(made.off_chip_bits, made.macs)
    yield "off chip, mean", "Gbit/s", "", _over(made.off_chip_bits_per_s_used, 1e9)
    yield "off chip, at most", "Gbit/s", "", _over(made.off_chip_bits_per_s, 1e9)
    yield "PEs", "", "2", made.pes
    yield "storage on chip", "bits", "", made.storage_bits
    yield "area", "mm2", "", made.area_mm2
    yield "throughput by PE", "inferences/s/PE", "", _by(made.inferences_per_s, made.pes)
    yield "throughput by area", "inferences/s/mm2", "", _by(made.inferences_per_s, made.area_mm2)
    yield "process", "nm", "", made.process_nm
    yield "images", "", "", made.images


def _over(figure: float | None, unit: float) -> float | None:
    return None if figure is None else figure / unit


def _by(figure: float, cost: float | None) -> float | None:
    return None if cost is None else figure / cost


def factors(made: Metrics) -> Table:
    """Factors of throughput (equations 1 to 4) and of energy (6 and 9), and who sets each.

    Hardware, network and input data stand in columns of their own, as in table 3.1 of the book.
    """
    hardware, network, both = (True, False, False), (False, True, False), (True, True, False)
    zeros, all_three = (False, True, True), (True, True, True)
    per_joule = _over(made.executed_per_joule, 1e9)
    pace, taken = "MAC/cycle", "operations of a busy PE"
    listed: list[tuple[str, str, str, float | None, tuple[bool, bool, bool]]] = [
        ("operations of an inference", "MAC", "1, 6", made.macs, network),
        (f"{taken} that take time", pace, "4", made.pe_macs_per_cycle, hardware),
        ("effectual of those that take time", "", "4", made.effectual_of_timed, all_three),
        ("effectual of all", "", "4, 9", made.effectual_of_all, zeros),
        (f"{taken}, all", pace, "4", made.macs_per_pe_cycle, all_three),
        ("cycles", "GHz", "2", _over(made.clock_hz, 1e9), hardware),
        ("PEs", "", "2", made.pes, hardware),
        ("active PEs", "", "3", made.active_pes, both),
        ("utilisation of active PEs", "", "3", made.utilisation_of_active, both),
        ("utilisation", "", "2, 3", made.utilisation, both),
        ("executed operations", "GMAC/J", "9", per_joule, hardware),
        ("effectual of executed", "", "9", made.effectual_of_executed, all_three),
        ("operations, all", "GMAC/J", "6, 9", _over(made.macs_per_joule, 1e9), all_three),
    ]
    rows = [
        (name, unit, equation, figure, *(True if mark else None for mark in by))
        for name, unit, equation, figure, by in listed
        if figure is not None
    ]
    columns = [
        Column("factor"),
        Column("unit"),
        Column("equation"),
        Column("figure", "", "by size"),
        Column("hardware"),
        Column("network"),
        Column("input data"),
    ]
    notes = []
    if made.work is not None:
        notes.append(
            "utilisation of active PEs follows the input data too where PEs wait for the one with "
            "the fewest zeros"
        )
    return Table(f"{_title(made)}: factors", columns, rows, notes)


def compare_metrics(*metrics: Metrics) -> Table:
    """Reports side by side: a row a figure, a column a report, and its ratio to the first.

    Raises `ArchError` where there is nothing to compare.
    """
    if not metrics or not all(isinstance(made, Metrics) for made in metrics):
        raise ArchError("compare_metrics() takes metrics, one or more")
    names: list[str] = []
    for made in metrics:
        names.append(
            free_name(f"{made.network or 'a network'} on {made.design or 'a design'}", names)
        )
    columns = [Column("metric"), Column("unit")]
    for number, name in enumerate(names):
        columns.append(Column(name, "", "by size"))
        columns += [Column(f"{name} / first", "", ".3f")] if number else []
    found = [{row[:2]: row[3] for row in _rows(made)} for made in metrics]
    rows: list[tuple[object, ...]] = []
    for key in dict.fromkeys(key for figures in found for key in figures):
        first = found[0].get(key)
        cells: list[object] = [*key, first]
        for figures in found[1:]:
            own = figures.get(key)
            cells += [own, own / first if own is not None and first else None]
        if any(cell is not None for cell in cells[2:]):
            rows.append(tuple(cells))
    notes = [
        f"{name}: {note}"
        for name, made in zip(names, metrics, strict=True)
        for note in _notes(made)[: len(_notes(made)) - len(made.omitted)]
    ]
    return Table("metrics", columns, rows, notes)
