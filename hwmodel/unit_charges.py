"""What units cost a layer: steps by lines of accounting, or by the routine that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError, TensorError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.evaluate import MOST_SCATTERED, Operand, sized
from zeroskip.hwmodel.expected import geometry_of_lines
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.expected_scans import skip_ahead, two_finger
from zeroskip.hwmodel.geometry import Geometry
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.pairs import Pair, fibers_of_pair, pair_of
from zeroskip.hwmodel.plan import Mask
from zeroskip.hwmodel.unit_section import Unit
from zeroskip.hwmodel.units import SCANS, Access, intersection, merge_list, merge_tree
from zeroskip.native.engine import evaluate

Whole = NDArray[np.int64]
Counts = NDArray[Any]


@dataclass(frozen=True, slots=True)
class UnitCharge:
    """Steps of a unit, all of them and of each row of the result; means where operands are drawn.

    cycles : steps over the rate of all units together, rounded up: shared evenly among them.  A
        mean is not rounded: that of what is rounded up is less than one cycle more.
    accounting : the lines that count them, or the name of the routine.
    geometry : these lines as means, where any operand is drawn and each line is linear in its mask.
    """

    unit: Unit
    steps: int
    by_row: Counts
    accounting: str
    geometry: Geometry | None = None

    @property
    def drawn(self) -> bool:
        """Whether steps are a mean."""
        return isinstance(self.steps, float)

    @property
    def cycles(self) -> float:
        if self.drawn:
            return self.steps / self.unit.rate
        top, bottom = self.unit.rate.as_integer_ratio()
        return -(-self.steps * bottom // top)


def charge_units(
    arch: Arch, layer: Layer, operands: Mapping[str, Operand]
) -> dict[str, UnitCharge]:
    """Of every unit of an architecture.

    Raises
    ------
    ArchError
        For a layer that is no product of two matrices.
    TensorError
        For a unit whose steps are no sum over masks, where an operand is drawn.
    """
    found: dict[str, UnitCharge] = {}
    for unit in arch.units:
        pair = pair_of(layer, f"units.{unit.kind}", unit.rank)
        if any(isinstance(operands[n], Expected) for n in (pair.leader, pair.follower)):
            found[unit.kind] = _expected(arch, unit, pair, operands)
            continue
        by_row, text = (_intersected if unit.kind == "intersect" else _merged)(unit, pair, operands)
        found[unit.kind] = UnitCharge(unit, int(by_row.sum()), by_row, text)
    return found


def check_linear(arch: Arch) -> None:
    """Refuse units whose steps are no sum over masks: of drawn operands they have no mean here."""
    for unit in arch.units:
        if unit.kind == "merge":
            raise TensorError(
                f"{arch.name} has units of {unit.kind}, {unit.how}, whose steps go by the places "
                "of entries: they are charged on real coordinates only, not on a Density\n"
                "Draw arrays, density.sample(rng), and charge these."
            )


def _expected(arch: Arch, unit: Unit, pair: Pair, operands: Mapping[str, Operand]) -> UnitCharge:
    """Means of the steps of a unit that intersects."""
    check_linear(arch)
    text = _intersection(unit, pair)
    if unit.how in SCANS:
        if pair.leader == pair.follower:
            raise TensorError(
                f"{unit}: {pair.leader} meets itself, and its places are not drawn apart\n"
                "Draw an array, density.sample(rng), and charge that."
            )
        mean = two_finger if unit.how == "two-finger" else skip_ahead
        by_row = mean(operands[pair.leader], operands[pair.follower])
        scanned: Any = float(by_row.sum())
        return UnitCharge(unit, scanned, by_row, text)
    masks = {}
    for name, tensor in (("stL", pair.leader), ("stF", pair.follower)):
        shape = operands[tensor].shape
        masks[name] = Mask("st", tensor, shape, ((0, 0), (0, 0)))
    geometry = geometry_of_lines(text, _sizes(pair, operands), masks, operands)
    shares = {name: x.share for name, x in operands.items() if isinstance(x, Expected)}
    by_row = geometry.counts(shares)["steps"]
    steps: Any = float(by_row.sum())
    return UnitCharge(unit, steps, by_row, text, geometry)


def _intersected(unit: Unit, pair: Pair, operands: Mapping[str, Operand]) -> tuple[Whole, str]:
    """Fibers of both along the reduction rank: row m of the leader, column n of the follower."""
    if unit.how in SCANS:
        _check_size(pair, operands)
    text = _intersection(unit, pair)
    return _evaluated(text, pair, operands), text


def _intersection(unit: Unit, pair: Pair) -> str:
    """Its lines.  A leader-follower unit goes through the leader once, since a hit brings a whole
    fiber."""
    one, other = Access("stL", (pair.group, pair.rank)), Access("stF", (pair.rank, pair.into))
    if unit.how == "leader-follower":
        return f"steps[{pair.group}] += {one}"
    return intersection(unit.how, one, other, pair.rank, "steps", [pair.group])


def _check_size(pair: Pair, operands: Mapping[str, Operand]) -> None:
    """A scan has a value for every place, stored or not."""
    shapes = {name: operands[name].shape for name in (pair.leader, pair.follower)}
    if max(map(prod, shapes.values())) > MOST_SCATTERED:
        found = " and ".join(f"{name} of shape {shape}" for name, shape in shapes.items())
        raise ArchError(
            "units.intersect: scans at most "
            f"{MOST_SCATTERED:,} places of an operand, found {found}\n"
            "Use leader-follower or bitmask, or leave intersect out of the architecture."
        )


def _merged(unit: Unit, pair: Pair, operands: Mapping[str, Operand]) -> tuple[Whole, str]:
    """Partial results of each row of the leader, one fiber for each entry."""
    if unit.how == "list":
        text = "# zs_merge_steps (zs_mergers.c): each row of the result, of its fibers' heads"
        return merge_list(*fibers_of_pair(pair, operands)), text
    one, other = f"stL[{pair.group},{pair.rank}]", f"stF[{pair.rank},{pair.into}]"
    lines = [
        f"live[{pair.rank}] |= {other}",
        f"fibers[{pair.group}] += {one}*live[{pair.rank}]",
        f"entries[{pair.group}] += {one}*{other}",
    ]
    radix = unit.radix or 2
    counts = _all(lines, pair, operands)
    text = "\n".join([*lines, f"# passes over up to {radix} fibers: each, its fibers + entries"])
    return merge_tree(counts["fibers"], counts["entries"], radix), text


def _evaluated(text: str, pair: Pair, operands: Mapping[str, Operand]) -> Whole:
    return _all([text], pair, operands)["steps"]


def _all(lines: list[str], pair: Pair, operands: Mapping[str, Operand]) -> dict[str, Whole]:
    """Lines over the masks of the pair, factored as the accounting is."""
    one, other = operands[pair.leader], operands[pair.follower]
    spec = sized("\n".join(lines), tuple(_sizes(pair, operands).items()))
    masks = {"stL": one.held(), "stF": other.held()}
    found = evaluate(spec, {name: masks[name] for name in spec.operands if name in masks})
    return {name: np.maximum(np.asarray(value), 0) for name, value in found.items()}


def _sizes(pair: Pair, operands: Mapping[str, Operand]) -> dict[str, int]:
    one, other = operands[pair.leader].shape, operands[pair.follower].shape
    return {pair.group: one[0], pair.rank: one[1], pair.into: other[1]}
