"""What units cost a layer: steps by lines of accounting, or by the routine that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.evaluate import MOST_SCATTERED, Operand, sized
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.pairs import Pair, fibers_of_pair, pair_of
from zeroskip.hwmodel.unit_section import Unit
from zeroskip.hwmodel.units import SCANS, Access, intersection, merge_list, merge_tree
from zeroskip.native.engine import evaluate

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class UnitCharge:
    """Steps of a unit, all of them and of each row of the result.

    cycles : steps over the rate of all units together, rounded up: shared evenly among them.
    accounting : the lines that count them, or the name of the routine.
    """

    unit: Unit
    steps: int
    by_row: Whole
    accounting: str

    @property
    def cycles(self) -> int:
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
    """
    found: dict[str, UnitCharge] = {}
    for unit in arch.units:
        pair = pair_of(layer, f"units.{unit.kind}", unit.rank)
        by_row, text = (_intersected if unit.kind == "intersect" else _merged)(unit, pair, operands)
        found[unit.kind] = UnitCharge(unit, int(by_row.sum()), by_row, text)
    return found


def _intersected(unit: Unit, pair: Pair, operands: Mapping[str, Operand]) -> tuple[Whole, str]:
    """Fibers of both along the reduction rank: row m of the leader, column n of the follower.  A
    leader-follower unit goes through the leader once, since a hit brings a whole fiber."""
    one, other = Access("stL", (pair.group, pair.rank)), Access("stF", (pair.rank, pair.into))
    if unit.how == "leader-follower":
        text = f"steps[{pair.group}] += {one}"
    else:
        if unit.how in SCANS:
            _check_size(pair, operands)
        text = intersection(unit.how, one, other, pair.rank, "steps", [pair.group])
    return _evaluated(text, pair, operands), text


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
    sizes = {pair.group: one.shape[0], pair.rank: one.shape[1], pair.into: other.shape[1]}
    spec = sized("\n".join(lines), tuple(sizes.items()))
    masks = {"stL": one.held(), "stF": other.held()}
    found = evaluate(spec, {name: masks[name] for name in spec.operands if name in masks})
    return {name: np.maximum(np.asarray(value), 0) for name, value in found.items()}
