"""Is a design fit for a task?  What is asked of it, in the order in which it is asked.

Accuracy first: can it do the task at all?  Then throughput and latency: fast enough?  Energy and
power: will they fit the device?  Cost: what does it take?  Of the case study of chapter 3 in the
book of Sze, Chen, Yang and Emer; flexibility and scalability have tables of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from zeroskip.checks import kind_of
from zeroskip.errors import ArchError
from zeroskip.hwmodel.accuracy import Accuracy, checked
from zeroskip.hwmodel.figures import METRICS, check_number
from zeroskip.hwmodel.metrics import Metrics
from zeroskip.table import Column, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a task asks of a design; None where it does not matter.

    least_accuracy : with unit, task and dataset: only an accuracy of the same three answers it.
    Others are units of `zeroskip.hwmodel.Metrics`, at least or at most.
    """

    least_accuracy: Accuracy | None = None
    least_inferences_per_s: float | None = None
    most_latency_s: float | None = None
    most_joules_per_inference: float | None = None
    most_watts: float | None = None
    most_area_mm2: float | None = None
    most_storage_bits: float | None = None
    most_off_chip_bits_per_s: float | None = None

    def __post_init__(self) -> None:
        given = [f.name for f in fields(self) if getattr(self, f.name) is not None]
        if not given:
            raise ArchError("viability: expected at least one need, such as most_latency_s=0.033")
        for name in given:
            if name != "least_accuracy":
                check_number(name, getattr(self, name))
        if self.least_accuracy is not None:
            checked(self.least_accuracy)


QUESTIONS = (
    ("can it do the task?", "least_accuracy", "", ""),
    ("is it fast enough?", "least_inferences_per_s", "inferences_per_s", "inferences/s"),
    ("is it fast enough?", "most_latency_s", "latency_s", "s"),
    ("does it fit the device?", "most_joules_per_inference", "joules_per_inference", "J"),
    ("does it fit the device?", "most_watts", "watts", "W"),
    ("what does it take?", "most_area_mm2", "area_mm2", "mm2"),
    ("what does it take?", "most_storage_bits", "storage_bits", "bits"),
    ("what does it take?", "most_off_chip_bits_per_s", "off_chip_bits_per_s_used", "bit/s"),
)
"""Question, need, figure, unit."""


def viability(made: Metrics, needs: Needs) -> Table:
    """A row a need: the figure, what is asked, and whether it is met; empty where nobody knows.

    The first note says whether the design is viable: no need is unmet and none unanswered.

    Examples
    --------
    >>> eyeriss = Metrics(666e6, 34.7, watts=0.278, latency_s=0.1153)
    >>> table = viability(eyeriss, Needs(least_inferences_per_s=30, most_latency_s=0.033))
    >>> table["met"].tolist(), table.notes[0]
    ([True, False], 'not viable: latency_s')
    """
    kind_of("viability", made, Metrics, METRICS, ArchError)
    kind_of("viability", needs, Needs, "Write Needs(most_latency_s=0.033).", ArchError)
    rows: list[tuple[object, ...]] = []
    unmet, unknown = [], []
    for question, need, figure, unit in QUESTIONS:
        wanted = getattr(needs, need)
        if wanted is None:
            continue
        name = figure or "accuracy"
        if isinstance(wanted, Accuracy):
            value, limit, unit = _reached(made, wanted), wanted.value, wanted.unit
        else:
            value, limit = getattr(made, figure), wanted
        met = None
        if value is not None:
            met = value >= limit if need.startswith("least") else value <= limit
        rows.append((question, name, unit, value, need.split("_")[0], limit, met))
        unmet += [name] if met is False else []
        unknown += [name] if met is None else []
    notes = [f"not viable: {', '.join(unmet)}"] if unmet else []
    if unknown:
        notes.append(f"cannot be told: no {', '.join(unknown)}")
    columns = [
        Column("question"),
        Column("figure"),
        Column("unit"),
        Column("value", "", "by size"),
        Column("at"),
        Column("asked", "", "by size"),
        Column("met"),
    ]
    title = f"{made.network or 'a network'} on {made.design or 'a design'}: is it viable?"
    return Table(title, columns, rows, notes or ["viable"])


def _reached(made: Metrics, wanted: Accuracy) -> float | None:
    """The accuracy in the same unit, of the same task and data."""
    asked = (wanted.unit.strip(), wanted.task, wanted.dataset)
    for one in checked(made.accuracy):
        if (one.unit.strip(), one.task, one.dataset) == asked:
            return one.value
    return None
