"""Metrics of Chapter 3: what a design reports for a network, and what its report leaves out.

Equations are those of Sze, Chen, Yang and Emer, chapter 3, in their order there.
"""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.errors import ArchError


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures of one network on one design; None where nobody gave one.

    macs : multiply-accumulates of one inference, ineffectual ones included.
    inferences_per_s, watts : of the whole chip, as measured or modelled.
    pes, clock_hz : multiply-accumulate units, each one operation a cycle, and their clock.
    batch : inferences that are worked on together.
    accuracy : figure by its unit, such as ``{"Top-1 %": 57.1}``; dataset, task : of that figure.
    off_chip_bits : data moved off the chip for one inference.
    """

    macs: int
    inferences_per_s: float
    watts: float | None = None
    pes: int | None = None
    clock_hz: float | None = None
    batch: int | None = None
    accuracy: dict[str, float] | None = None
    dataset: str | None = None
    task: str | None = None
    off_chip_bits: float | None = None

    def __post_init__(self) -> None:
        for name in ("macs", "inferences_per_s", "watts", "pes", "clock_hz", "batch"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ArchError(
                    f"metrics: {name} is {value}, expected a number above 0. "
                    f"Give {name} as it was measured, or leave it out if it is not known."
                )

    @property
    def macs_per_s(self) -> float:
        """Equation 1, solved for operations a second: inferences/s times operations of each."""
        return self.inferences_per_s * self.macs

    @property
    def peak_macs_per_s(self) -> float | None:
        """Equation 2 at full utilisation: one operation a cycle on every PE."""
        if self.pes is None or self.clock_hz is None:
            return None
        return self.pes * self.clock_hz

    @property
    def utilisation(self) -> float | None:
        """Equations 2 and 3: active PEs and their use together, a share of the peak."""
        peak = self.peak_macs_per_s
        return None if peak is None else self.macs_per_s / peak

    @property
    def joules_per_inference(self) -> float | None:
        """Equation 5: power over inferences a second."""
        return None if self.watts is None else self.watts / self.inferences_per_s

    @property
    def macs_per_joule(self) -> float | None:
        """Equation 6: operations of one joule; equally operations a second of one watt."""
        return None if self.watts is None else self.macs_per_s / self.watts

    @property
    def missing(self) -> tuple[str, ...]:
        """What a report must state and this one does not; empty for a complete one."""
        needed = ("watts", "pes", "clock_hz", "batch", "accuracy", "dataset", "task")
        absent: tuple[object, ...] = (None, "", {})
        return tuple(n for n in (*needed, "off_chip_bits") if getattr(self, n) in absent)

    def __str__(self) -> str:
        state = f"incomplete: no {', '.join(self.missing)}" if self.missing else "complete"
        lines = [f"{self.inferences_per_s:.4g} inferences/s", f"{self.macs_per_s / 1e9:.4g} GMAC/s"]
        if self.joules_per_inference is not None and self.macs_per_joule is not None:
            lines.append(f"{self.joules_per_inference * 1e3:.4g} mJ/inference")
            lines.append(f"{self.macs_per_joule / 1e9:.4g} GMAC/s/W")
        return "\n".join([*lines, state])


def roofline(peak: float, intensity: float, bandwidth: float) -> float:
    """The most that a design attains: its peak, or what its bandwidth feeds.

    peak : operations a cycle; intensity : operations a value; bandwidth : values a cycle.

    >>> roofline(peak=1.0, intensity=0.5, bandwidth=1.0)
    0.5
    """
    return min(peak, intensity * bandwidth)
