"""Metrics: what a design reports for a network, and what its report leaves out.

Equations are numbered as in V. Sze, Y.-H. Chen, T.-J. Yang and J. Emer, "How to evaluate deep
neural network processors", IEEE Solid-State Circuits Magazine 12(3), 2020, which is taken from
chapter 3 of their book.  `zeroskip.hwmodel.measured` makes metrics from charges.

    inferences/s = operations/s / (operations of an inference)                               (1)
    operations/s = operations/cycle of a PE * cycles/s * PEs * utilisation                   (2)
    utilisation  = active PEs / PEs * utilisation of active PEs                              (3)
    operations/cycle of a PE = those it takes * effectual of these / effectual of all        (4)
    inferences/s <= watts at most * inferences/J                                             (5)
    inferences/J = operations/J / (operations of an inference)                               (6)
    energy       = of moving data + of multiply-accumulates                                  (7)
    joules of an operation = activity * capacitance * voltage squared                        (8)
    operations/J = those executed on one joule * effectual of these / effectual of all       (9)
    inferences/s = inferences in flight / mean latency, Little's law                        (10)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zeroskip.errors import ArchError
from zeroskip.hwmodel import accuracy as accuracies
from zeroskip.hwmodel.accuracy import Accuracy
from zeroskip.hwmodel.figures import check_number, check_whole

if TYPE_CHECKING:
    from zeroskip.table import Table

MODELLED, EXPECTED = "modelled, on real operands", "modelled, expected from densities"
_ABOVE_ZERO = (
    "macs", "inferences_per_s", "latency_s", "watts", "most_watts", "clock_hz", "pe_macs_per_cycle",
    "active_pes", "area_mm2", "process_nm", "storage_bits", "off_chip_bits_per_s",
)  # fmt: skip
_FROM_ZERO = ("mac_joules", "off_chip_bits")
_WHOLE = ("batch", "pes", "images")


@dataclass(frozen=True, slots=True)
class Work:
    """What becomes of the operations of one inference.

    effectual : no operand is zero.
    executed : these, and ineffectual ones that the design does not avoid: they cost energy.
    timed : these, and gated ones: they take a cycle of a PE.
    """

    effectual: float
    executed: float
    timed: float

    def __post_init__(self) -> None:
        for name in ("effectual", "executed", "timed"):
            check_number(f"work.{name}", getattr(self, name), zero=True)
        if not self.effectual <= self.executed <= self.timed:
            raise ArchError(
                "metrics: expected effectual <= executed <= timed operations, found "
                f"{self.effectual:,} effectual, {self.executed:,} executed, {self.timed:,} timed"
            )


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures of one network on one design; None where nobody gave one.

    Everything of one inference is the mean over a batch.

    macs : multiply-accumulates of one inference, ineffectual ones included.
    inferences_per_s, watts : of the whole chip, as measured or modelled.
    batch : inferences that are worked on together; latency_s : from their first bit to their last.
    pes, clock_hz : processing elements and their clock; pe_macs_per_cycle : of one that is busy.
    active_pes : that have work at all, the mean over time.
    work : what the zeros of the data make of the operations.
    mac_joules : energy of one inference that multiply-accumulates take, gated ones and units that
        find and merge operands among them; the rest moves data.
    most_watts : that the chip can be fed or cooled by.
    accuracy : one figure, or several.
    network, design : names.  basis : how the figures were found, such as ``"measured"``; images :
        over how many inputs.
    off_chip_bits : moved for one inference; off_chip_bits_per_s : at most.
    storage_bits, area_mm2, process_nm : of the chip.
    omitted : costs that the figures leave out.

    Raises `ArchError` for a figure that cannot be: NaN, negative, zero where nothing is.
    """

    macs: float
    inferences_per_s: float
    watts: float | None = None
    pes: int | None = None
    clock_hz: float | None = None
    batch: int | None = None
    latency_s: float | None = None
    accuracy: tuple[Accuracy, ...] | Accuracy = ()
    network: str | None = None
    design: str | None = None
    basis: str | None = None
    images: int | None = None
    active_pes: float | None = None
    pe_macs_per_cycle: float = 1.0
    work: Work | None = None
    mac_joules: float | None = None
    most_watts: float | None = None
    off_chip_bits: float | None = None
    off_chip_bits_per_s: float | None = None
    storage_bits: int | None = None
    area_mm2: float | None = None
    process_nm: float | None = None
    omitted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*_ABOVE_ZERO, *_FROM_ZERO):
            if getattr(self, name) is not None or name in ("macs", "inferences_per_s"):
                check_number(name, getattr(self, name), zero=name in _FROM_ZERO)
        for name in _WHOLE:
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name))
        object.__setattr__(self, "accuracy", accuracies.checked(self.accuracy))
        if self.work is not None and not isinstance(self.work, Work):
            raise ArchError(
                f"metrics: work is {self.work!r}, expected Work(effectual, executed, timed)"
            )
        if self.active_pes is not None and self.pes is not None and self.active_pes > self.pes:
            raise ArchError(f"metrics: {self.active_pes} of {self.pes} PEs cannot be active")
        if self.work is not None and self.work.timed > self.macs * (1 + 1e-9):
            raise ArchError(
                f"metrics: {self.work.timed:,} operations take time, more than the "
                f"{self.macs:,} that an inference has"
            )
        energy, for_macs = self.joules_per_inference, self.mac_joules
        if energy is not None and for_macs is not None and for_macs > energy * (1 + 1e-9):
            raise ArchError(
                f"metrics: multiply-accumulates take {for_macs} J of an inference that "
                f"takes {energy} J: watts over inferences_per_s"
            )

    # ---- time ---------------------------------------------------------------------------

    @property
    def macs_per_s(self) -> float:
        """Operations a second, ineffectual ones counted (equation 1)."""
        return self.inferences_per_s * self.macs

    @property
    def peak_macs_per_s(self) -> float | None:
        """Operations a second that PEs take when all are busy (equation 2, utilisation 1)."""
        if self.pes is None or self.clock_hz is None:
            return None
        return self.pes * self.pe_macs_per_cycle * self.clock_hz

    @property
    def macs_per_pe_cycle(self) -> float | None:
        """Operations that a busy PE is done with in a cycle, skipped ones counted (equation 4);
        its inverse is the cycles of an operation of equation 2.

        Without `work`, those that it takes; None where no operation takes time.
        """
        if self.work is None:
            return self.pe_macs_per_cycle
        return self.pe_macs_per_cycle * self.macs / self.work.timed if self.work.timed else None

    @property
    def utilisation(self) -> float | None:
        """Share of the PEs' cycles in which they have an operation (equations 2 and 3)."""
        if self.peak_macs_per_s is None:
            return None
        taken = self.macs if self.work is None else self.work.timed
        return taken * self.inferences_per_s / self.peak_macs_per_s

    @property
    def active_share(self) -> float | None:
        """PEs that have work at all, of all (equation 3)."""
        if self.active_pes is None or self.pes is None:
            return None
        return self.active_pes / self.pes

    @property
    def utilisation_of_active(self) -> float | None:
        """Share of their cycles in which PEs that have work at all are busy (equation 3)."""
        if self.active_share is None or self.utilisation is None:
            return None
        return self.utilisation / self.active_share

    @property
    def effectual_of_all(self) -> float | None:
        """Share of operations that no zero is part of (equations 4 and 9)."""
        return None if self.work is None else self.work.effectual / self.macs

    @property
    def effectual_of_timed(self) -> float | None:
        """Of operations that take time, those that are effectual (equation 4): 1 where the design
        exploits every zero.  None where none takes time."""
        if self.work is None or not self.work.timed:
            return None
        return self.work.effectual / self.work.timed

    @property
    def in_flight(self) -> float | None:
        """Inferences under way at a time (equation 10)."""
        return None if self.latency_s is None else self.inferences_per_s * self.latency_s

    # ---- energy -------------------------------------------------------------------------

    @property
    def joules_per_inference(self) -> float | None:
        """Power over inferences a second: of data and of multiply-accumulates (equation 7)."""
        return None if self.watts is None else self.watts / self.inferences_per_s

    @property
    def data_joules(self) -> float | None:
        """Energy of one inference that moving data takes (equation 7)."""
        if self.joules_per_inference is None or self.mac_joules is None:
            return None
        return max(self.joules_per_inference - self.mac_joules, 0.0)

    @property
    def macs_per_joule(self) -> float | None:
        """Operations on one joule, ineffectual ones counted (equations 6 and 9)."""
        return None if self.watts is None else self.macs_per_s / self.watts

    @property
    def joules_per_mac(self) -> float | None:
        """Energy of one operation, moving its data included (equation 6, turned over)."""
        return None if self.watts is None else self.watts / self.macs_per_s

    @property
    def joules_per_effectual(self) -> float | None:
        """The same of one that no zero is part of.  None where there is none."""
        if self.joules_per_inference is None or self.work is None or not self.work.effectual:
            return None
        return self.joules_per_inference / self.work.effectual

    @property
    def executed_per_joule(self) -> float | None:
        """Executed operations on one joule: about the same for all data of one design
        (equation 9)."""
        if self.watts is None or self.work is None:
            return None
        return self.work.executed * self.inferences_per_s / self.watts

    @property
    def effectual_of_executed(self) -> float | None:
        """Of operations that cost energy, those that are effectual (equation 9); gated ones take
        time and are none of them.  None where none is executed."""
        if self.work is None or not self.work.executed:
            return None
        return self.work.effectual / self.work.executed

    @property
    def most_inferences_per_s(self) -> float | None:
        """What `most_watts` allow (equation 5)."""
        if self.most_watts is None or self.joules_per_inference is None:
            return None
        return self.most_watts / self.joules_per_inference

    @property
    def tops_per_watt(self) -> float:
        """Tera-operations a second of one watt, a multiply-accumulate being two.

        Raises
        ------
        ArchError
            Where the report is incomplete: the figure never stands alone.
        """
        if self.macs_per_joule is None or self.missing:
            raise ArchError(
                "TOPS/W says nothing alone, and this report is incomplete: it states no "
                f"{', '.join(self.missing)}\nGive what is missing, or show table(), which has the "
                "figure among the others."
            )
        return 2 * self.macs_per_joule / 1e12

    # ---- cost ---------------------------------------------------------------------------

    @property
    def off_chip_bits_per_s_used(self) -> float | None:
        """Mean bandwidth off the chip, in bits a second."""
        return None if self.off_chip_bits is None else self.off_chip_bits * self.inferences_per_s

    # ---- what is not there --------------------------------------------------------------

    @property
    def missing(self) -> tuple[str, ...]:
        """What a report must state and this one does not; empty for a complete one."""
        found = ["accuracy"] if not self.accuracy else []
        found += [text for one in accuracies.checked(self.accuracy) for text in one.missing]
        needed = ["network", "basis", "batch", "latency_s", "pes", "clock_hz", "watts"]
        needed += ["off_chip_bits", "off_chip_bits_per_s"]
        needed += [] if self.basis == EXPECTED else ["images"]
        needed += ["storage_bits"] if self.area_mm2 is None else ["process_nm"]
        found += [name for name in needed if getattr(self, name) in (None, "")]
        return tuple(found)

    # ---- print --------------------------------------------------------------------------

    def table(self) -> Table:
        """Every figure with its unit and equation; what is missing stands below."""
        from zeroskip.hwmodel.metrics_tables import report

        return report(self)

    def factors(self) -> Table:
        """Factors of throughput and energy, and who sets each: hardware, network or data."""
        from zeroskip.hwmodel.metrics_tables import factors

        return factors(self)

    def to_pandas(self) -> Any:
        return self.table().to_pandas()

    def __str__(self) -> str:
        return str(self.table())

    def __rich__(self) -> Any:
        return self.table().__rich__()

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def switching_joules(activity: float, farads: float, volts: float) -> float:
    """Energy of one operation, a multiply-accumulate or a movement of data (equation 8).

    activity : share of the capacitance that switches, 0 to 1; farads : capacitance.

    >>> switching_joules(0.5, 2e-12, 1.0)
    1e-12
    """
    if check_number("activity", activity, zero=True) > 1:
        raise ArchError(f"metrics: activity is {activity}, expected a share of 0 to 1")
    return activity * check_number("farads", farads) * check_number("volts", volts) ** 2
