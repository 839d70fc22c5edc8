"""Means over charges of drawn operands, of what goes by the order of places and has no mean here.

    queues          when PEs are done that take work from queues
    merge           steps of mergers
    banks           products that wait for a bank of accumulators
    lines, cache    whole lines off chip, and fibers that are not in a cache
    skip-ahead      of densities that are not uniform
    intersect       beside tiles that go by a leader

Each draw is charged exactly, and nothing is assumed of the figure: its mean is that of the draws,
within a standard error that the charge names.  All other figures stay those of the density.  The
seed is fixed and named, and operands are drawn by their names' order: a charge is the same every
time, however its operands are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.lined import is_lined
from zeroskip.hwmodel.moves import Moves
from zeroskip.hwmodel.unit_charges import has_mean

if TYPE_CHECKING:
    from zeroskip.hwmodel.charge import Charge

MOST_RUNS, FEWEST_RUNS = 12, 3
"""Draws of small operands, and of large ones."""

PLACES = 2**23
"""Places of all draws together, from which on they are few."""

MOST_PLACES = 2**26
"""Places of one draw at most."""

SEED = 0


@dataclass(frozen=True, slots=True)
class Sampled:
    """Charges of drawn operands."""

    charges: tuple[Charge, ...]

    def mean(self, figure: Callable[[Charge], Any]) -> Any:
        """Of a number, or of an array."""
        return np.mean([figure(charge) for charge in self.charges], axis=0)

    def error(self, figure: Callable[[Charge], float]) -> float:
        """The standard error of a mean, over the mean."""
        values = np.array([figure(charge) for charge in self.charges], np.float64)
        mean = float(values.mean())
        return float(values.std(ddof=1)) / len(values) ** 0.5 / mean if mean else 0.0

    def moves(self, level: str, tensor: str) -> Moves:
        """Mean moves of a tensor at a level."""
        found = sum((c.traffic[level, tensor] for c in self.charges), Moves())
        share: Any = 1 / len(self.charges)
        mean: Moves = share * found
        return mean

    def said(self, what: str, figure: Callable[[Charge], float]) -> str:
        """The assumption behind a figure."""
        return (
            f"{what}: the mean of {len(self.charges)} draws of the operands, seed {SEED}, each "
            f"charged exactly; standard error {self.error(figure):.2%}"
        )


def said_of(sampled: Sampled, arch: Arch, units: Sequence[str]) -> list[str]:
    """What is a mean of draws, and how sure it is.

    units : whose steps are such a mean.
    """

    def steps(name: str) -> Callable[[Charge], float]:
        return lambda charge: charge.units[name].steps

    found = []
    if arch.queue is not None or arch.banked:
        what = "queues" if arch.queue is not None else "banks"
        found.append(sampled.said(f"{what}, cycles", lambda charge: charge.compute_cycles))
    found += [sampled.said(f"{name}, steps", steps(name)) for name in units]
    if is_lined(arch):
        level = arch.off_chip.name
        found.append(sampled.said(f"lines of {level}, bits", lambda c: bits_at(c, level)))
        if arch.overlap is not None:
            found.append(sampled.said("epochs, cycles", lambda charge: charge.cycles))
    return found


def bits_at(charge: Charge, level: str) -> int:
    """All that moves at a level."""
    return sum(moves.bits for (name, _), moves in charge.traffic.items() if name == level)


def by_places(arch: Arch, layer: Layer, operands: Mapping[str, Operand], *, lined: bool) -> bool:
    """Whether anything of an architecture goes by the order of places.

    lined : whether lines or a cache do, whose means are not known.
    """
    units = [unit for unit in arch.units if not has_mean(unit, arch, layer, operands)]
    return arch.queue is not None or bool(units) or arch.banked or lined


def draws_of(operands: Mapping[str, Operand]) -> list[dict[str, Operand]]:
    """Operands as they may be, those that are real as they are.

    Raises
    ------
    TensorError
        For more places than are drawn.
    """
    drawn = {name: x for name, x in operands.items() if isinstance(x, Expected)}
    places = sum(x.density.size for x in drawn.values())
    if places > MOST_PLACES:
        raise TensorError(
            f"{', '.join(drawn)}: this design goes by the order of places, and its figures are "
            f"means over draws of {MOST_PLACES:,} places at most, found {places:,}\n"
            "Charge a part of the layer, or a design without queues, mergers, banks, lines, caches."
        )
    rng = np.random.default_rng(SEED)
    runs = min(max(PLACES // max(places, 1), FEWEST_RUNS), MOST_RUNS)
    found = []
    for _ in range(runs):
        masks = {name: drawn[name].density.model.draw(rng) for name in sorted(drawn)}
        made = {name: Operand(mask.shape, mask) for name, mask in masks.items()}
        found.append({name: made.get(name, x) for name, x in operands.items()})
    return found
