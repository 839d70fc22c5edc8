"""What the judge of time writes down: bits and cycles of each epoch, and how long that takes.

Like `simulator` it imports nothing of zeroskip.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any

BUSY = ("load", "work", "drain")


@dataclass
class Machine:
    """What the time of a nest depends on beside it.

    rates : level -> bits a cycle of reads, writes, reads and writes of metadata; None: unlimited,
        or with the data.
    lines : of what lies in whole lines, a `line_epoch_judge.LineMemory`.
    coders : level -> compressed bits a cycle that are decoded, and encoded; None: unlimited.
    number : instances of each level.
    whole : (level outside, level, tensor) -> (data, metadata) of all of it, read and written.
    stored : (data, metadata) of the result off chip; size : its places.
    """

    double: bool
    rates: dict[str, tuple[float | None, float | None, float | None, float | None]]
    number: dict[str, int]
    whole: Callable[[str, str, str], tuple[tuple[int, int], tuple[int, int]]]
    stored: tuple[int, int]
    size: int
    local: str
    value: int = 16
    wide: int = 32
    coders: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    lines: Any = None


@dataclass
class Log:
    """(phase, level, epoch) -> bits read, written, and those of metadata; epoch -> cycles."""

    bits: dict[tuple[str, str, int], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0, 0, 0])
    )
    compute: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    coded: dict[tuple[str, str, int], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0])
    )
    """Of the bits read those that are decoded, of those written those that are encoded."""

    def read(
        self, phase: str, level: str, epoch: int, data: int, metadata: int = 0, coded: bool = False
    ) -> None:
        self.bits[phase, level, epoch][0] += data
        self.bits[phase, level, epoch][2] += metadata
        self.coded[phase, level, epoch][0] += (data + metadata) * coded

    def write(
        self, phase: str, level: str, epoch: int, data: int, metadata: int = 0, coded: bool = False
    ) -> None:
        self.bits[phase, level, epoch][1] += data
        self.bits[phase, level, epoch][3] += metadata
        self.coded[phase, level, epoch][1] += (data + metadata) * coded

    def code(
        self, phase: str, way: tuple[str, str], epoch: int, decoded: int, encoded: int
    ) -> None:
        """Of a tensor that comes whole, what the first level decodes, and the other encodes."""
        self.coded[phase, way[0], epoch][0] += decoded
        self.coded[phase, way[1], epoch][1] += encoded


def columns(machine: Machine, log: Log, number: int) -> list[int]:
    """The time of each epoch, phase after phase; or of each column, phases of three epochs side by
    side."""
    if not machine.double:
        return [
            sum(_slowest(machine, log, [(phase, epoch)]) for phase in BUSY)
            for epoch in range(number)
        ]
    return [
        _slowest(machine, log, [(phase, column - late) for late, phase in enumerate(BUSY)])
        for column in range(number + 2)
    ]


def _slowest(machine: Machine, log: Log, phases: list[tuple[str, int]]) -> int:
    most = max((log.compute.get(epoch, 0) for phase, epoch in phases if phase == "work"), default=0)
    for level, rates in machine.rates.items():
        moved = [log.bits.get((phase, level, epoch), [0, 0, 0, 0]) for phase, epoch in phases]
        read, write, read_metadata, write_metadata = map(sum, zip(*moved, strict=True))
        coded = [log.coded.get((phase, level, epoch), [0, 0]) for phase, epoch in phases]
        for bits, coder in zip(
            map(sum, zip(*coded, strict=True)), machine.coders.get(level, ()), strict=False
        ):
            if coder is not None:
                most = max(most, ceil(Fraction(bits) / Fraction(coder) / machine.number[level]))
        for data, metadata, rate, apart in (
            (read, read_metadata, rates[0], rates[2]),
            (write, write_metadata, rates[1], rates[3]),
        ):
            loads = [(data if apart else data + metadata, rate), (metadata, apart)]
            for bits, port in loads:
                if port is not None:
                    most = max(most, ceil(Fraction(bits) / Fraction(port) / machine.number[level]))
    return most


def shared(
    weights: dict[int, int], bits: tuple[int, int], put: Callable[[int, int, int], None]
) -> None:
    """Bits spread over epochs by weights, through each so much as is full."""
    epochs = sorted(weights)
    every = sum(weights.values())
    if not every:
        put(epochs[-1], *bits)
        return
    through = 0
    gone = (0, 0)
    for epoch in epochs:
        through += weights[epoch]
        until = (bits[0] * through // every, bits[1] * through // every)
        put(epoch, until[0] - gone[0], until[1] - gone[1])
        gone = until
