"""What units cost a layer: steps by lines of accounting, or by the routine that says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.at_points import listed
from zeroskip.hwmodel.brackets import inside_of, ranks_of
from zeroskip.hwmodel.called import Called, called_of
from zeroskip.hwmodel.evaluate import MOST_SCATTERED, Bits, Operand, sized
from zeroskip.hwmodel.expanded import expanded, expanded_operands
from zeroskip.hwmodel.expected import geometry_of_lines
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.expected_scans import is_uniform, skip_ahead, two_finger
from zeroskip.hwmodel.fibers import Fibers, fibers_of
from zeroskip.hwmodel.geometry import Geometry
from zeroskip.hwmodel.holding import held_in_pes
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.meetings import meeting_of, met_along, steps_of_meeting
from zeroskip.hwmodel.merging import merging_of, steps_of_merging
from zeroskip.hwmodel.pairs import Pair, fibers_of_pair, is_pair, pair_of
from zeroskip.hwmodel.plan import Mask
from zeroskip.hwmodel.policy import OperandPolicy
from zeroskip.hwmodel.unit_epochs import check_turns, check_whole
from zeroskip.hwmodel.unit_section import Unit
from zeroskip.hwmodel.units import SCANS, Access, intersection, merge_list, merge_tree
from zeroskip.native.engine import evaluate

if TYPE_CHECKING:
    from zeroskip.hwmodel.sampled import Sampled

Whole = NDArray[np.int64]
Counts = NDArray[Any]


@dataclass(frozen=True, slots=True)
class UnitCharge:
    """Steps of a unit: all, and those of each place of some ranks; means of drawn operands.

    cycles : steps over the rate of all units together, rounded up: shared evenly among them.  A
        mean is not rounded: that of what is rounded up is less than one cycle more.
    accounting : the lines that count them, or the name of the routine.
    ranks : those of ``by_place``: of rows of a product by rows, of fibers of the result that are
        merged; where others meet, those of them that epochs ask for.
    geometry : these lines as means, where any operand is drawn and each line is linear in its mask.
    drawn_by : the draws whose mean steps are, where they have no other.
    """

    unit: Unit
    steps: int
    by_place: Counts
    accounting: str
    ranks: tuple[str, ...] = ()
    geometry: Geometry | None = None
    drawn_by: Sampled | None = None

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
    arch: Arch,
    layer: Layer,
    schedule: Schedule,
    operands: Mapping[str, Operand],
    rules: Sequence[OperandPolicy],
    sampled: Sampled | None = None,
) -> dict[str, UnitCharge]:
    """Of every unit of an architecture.

    rules : of the operands of the one product.
    sampled : charges of drawn operands, for units that have no other mean.

    Raises
    ------
    ArchError
        For a layer whose fibers do not meet where the unit is; of mergers, for one whose partial
        results are no fibers; beside ``overlap``, for epochs that cut what a unit goes through, and
        for fused lines that take turns within it.
    """
    found: dict[str, UnitCharge] = {}
    drawn = any(isinstance(x, Expected) for x in operands.values())
    known: Collection[int] = [i for i, rule in enumerate(rules) if rule.skipped_by]
    called = None
    steps = () if arch.overlap is None else schedule.steps
    told = tuple(dict.fromkeys(rank for loop in steps for rank in loop.told_by))
    if arch.units:
        if not drawn and any(unit.kind == "intersect" for unit in arch.units):
            called = called_of(layer, schedule, rules, operands)
        operands = held_in_pes(layer, schedule, rules, operands)
        wide = expanded(layer)
        if wide is not layer:
            numbers = [i for i, o in enumerate(layer.work[0].operands) if not o.is_index]
            known = [n for n, i in enumerate(numbers) if i in known]
            operands = operands if drawn else expanded_operands(layer, operands, wide)
            layer = wide
    for unit in arch.units:
        paired = is_pair(layer, unit.rank)
        merging = merging_of(layer, schedule, unit.rank) if unit.kind == "merge" else None
        if merging is not None and not layer.work[0].within:
            check_whole(unit.kind, merging.merged, steps)
            check_turns(unit.kind, merging.merged, schedule.turned)
            if drawn:
                assert sampled is not None
                found[unit.kind] = _sampled(unit, sampled)
                continue
            by_place, text = steps_of_merging(unit, merging, operands)
            found[unit.kind] = _counted(unit, by_place, text, merging.group)
            continue
        if not paired:
            meeting = meeting_of(layer, schedule, unit.rank, called)
            check_whole(unit.kind, [meeting.rank], steps)
            check_turns(unit.kind, [meeting.rank], schedule.turned)
            if drawn:
                assert sampled is not None
                found[unit.kind] = _sampled(unit, sampled)
                continue
            by_place, ranks, text = steps_of_meeting(unit, meeting, operands, known, told)
            found[unit.kind] = _counted(unit, by_place, _beside(called, text), ranks)
            continue
        pair = pair_of(layer, f"units.{unit.kind}", unit.rank)
        check_whole(unit.kind, [pair.rank, pair.into], steps)
        rows = unit.kind == "merge" or unit.how == "leader-follower"  # all of them at a hit
        check_turns(unit.kind, [pair.rank, *([pair.into] if rows else [])], schedule.turned)
        if (pair.within or called) and not drawn:
            found[unit.kind] = _in_part(unit, pair, layer, operands, called)
            continue
        if any(isinstance(operands[n], Expected) for n in (pair.leader, pair.follower)):
            if has_mean(unit, arch, layer, operands):
                found[unit.kind] = _expected(unit, pair, operands)
            else:
                assert sampled is not None
                found[unit.kind] = _sampled(unit, sampled)
            continue
        found[unit.kind] = _intersected(unit, pair, operands)
    return found


def _counted(unit: Unit, by_place: Whole, text: str, ranks: Sequence[str]) -> UnitCharge:
    """What is counted of real operands."""
    return UnitCharge(unit, int(by_place.sum()), by_place, text, tuple(ranks))


def _beside(called: Called | None, text: str) -> str:
    """The lines of a unit, after those that say which tiles come."""
    return text if called is None else f"{called.text}\n{text}"


def has_mean(unit: Unit, arch: Arch, layer: Layer, operands: Mapping[str, Operand]) -> bool:
    """Whether steps have a mean without drawing operands: not those of mergers, of other layers
    than products of two matrices by rows, all of their points, nor of skip-ahead where a density is
    not uniform; nor where features keep tiles away."""
    if any(feature.level is not None for feature in arch.features):
        return False
    if unit.kind == "merge" or not is_pair(layer, unit.rank):
        return False
    pair = pair_of(layer, f"units.{unit.kind}", unit.rank)
    if pair.within:
        return False
    given = (operands[pair.leader], operands[pair.follower])
    return unit.how not in SCANS or (
        pair.leader != pair.follower
        and (unit.how == "two-finger" or all(is_uniform(x) for x in given))
    )


def _sampled(unit: Unit, sampled: Sampled) -> UnitCharge:
    """Mean steps over draws."""
    by_place = np.asarray(sampled.mean(lambda charge: charge.units[unit.kind].by_place))
    steps: Any = float(by_place.sum())
    one = sampled.charges[0].units[unit.kind]
    return UnitCharge(unit, steps, by_place, one.accounting, one.ranks, drawn_by=sampled)


def _expected(unit: Unit, pair: Pair, operands: Mapping[str, Operand]) -> UnitCharge:
    """Means of the steps of a unit that intersects."""
    text, ranks = _intersection(unit, pair), (pair.group,)
    if unit.how in SCANS:
        mean = two_finger if unit.how == "two-finger" else skip_ahead
        by_place = mean(operands[pair.leader], operands[pair.follower])
        scanned: Any = float(by_place.sum())
        return UnitCharge(unit, scanned, by_place, text, ranks)
    masks = {}
    for name, tensor in (("stL", pair.leader), ("stF", pair.follower)):
        shape = operands[tensor].shape
        masks[name] = Mask("st", tensor, shape, ((0, 0), (0, 0)))
    geometry = geometry_of_lines(text, _sizes(pair, operands), masks, operands)
    shares = {name: x.share for name, x in operands.items() if isinstance(x, Expected)}
    by_place = geometry.counts(shares)["steps"]
    steps: Any = float(by_place.sum())
    return UnitCharge(unit, steps, by_place, text, ranks, geometry)


def _intersected(unit: Unit, pair: Pair, operands: Mapping[str, Operand]) -> UnitCharge:
    """Fibers of both along the reduction rank: row m of the leader, column n of the follower."""
    if unit.how in SCANS:
        _check_size(pair, operands)
    text = _intersection(unit, pair)
    return _counted(unit, _all([text], pair, operands)["steps"], text, [pair.group])


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


def _merged_in_passes(
    unit: Unit,
    pair: Pair,
    operands: Mapping[str, Operand],
    inside: str,
    masks: Mapping[str, Bits],
    told: Sequence[str],
) -> tuple[Whole, str]:
    """By a tree.  inside : whether a point is there, by these masks; told : what tells it beside
    the ranks of the follower."""
    one, other = f"stL[{pair.group},{pair.rank}]", f"stF[{pair.rank},{pair.into}]"
    live = f"live{listed([*told, pair.rank])}"
    lines = [
        f"{live} |= {other}*{inside}",
        f"fibers[{pair.group}] += {one}*{live}",
        f"entries[{pair.group}] += {one}*{other}*{inside}",
    ]
    radix = unit.radix or 2
    counts = _all(lines, pair, operands, masks)
    text = "\n".join([*lines, f"# passes over up to {radix} fibers: each, its fibers + entries"])
    return merge_tree(counts["fibers"], counts["entries"], radix), text


def _in_part(
    unit: Unit,
    pair: Pair,
    layer: Layer,
    operands: Mapping[str, Operand],
    called: Called | None,
) -> UnitCharge:
    """Of a product by rows that goes over a part of its points."""
    rows = [pair.group]
    if unit.kind == "intersect" and unit.how != "leader-follower":
        meeting = met_along(layer, pair.rank, called)
        by_row, ranks, text = steps_of_meeting(unit, meeting, operands, told=rows)
        return _counted(unit, by_row, _beside(called, text), ranks)
    ranks = ranks_of(pair.within)
    inside = inside_of(pair.within, layer.extents.ranks)
    if unit.how == "list":
        text = "# zs_merge_steps (zs_mergers.c): each row of the result, of its fibers' heads"
        merged = merge_list(*_fibers_within(pair, operands, ranks, inside))
        return _counted(unit, merged, text, rows)
    if unit.kind == "intersect":
        parts = [("inside", ranks, inside)] if pair.within else []
        parts += [(called.name, called.ranks, called.mask)] if called else []
        by_row, text = _led(pair, operands, parts)
        return _counted(unit, by_row, _beside(called, text), rows)
    there, masks = f"inside{listed(ranks)}", {"inside": inside}
    told = [rank for rank in ranks if rank == pair.group]
    by_row, text = _merged_in_passes(unit, pair, operands, there, masks, told)
    return _counted(unit, by_row, text, rows)


def _led(
    pair: Pair, operands: Mapping[str, Operand], parts: Sequence[tuple[str, Sequence[str], Bits]]
) -> tuple[Whole, str]:
    """A step for each entry of the leader that has a point.

    parts : masks of the points that there are: their names and ranks.
    """
    ranks = {rank for _, own, _ in parts for rank in own}
    told = listed([rank for rank in (pair.group, pair.rank) if rank in ranks])
    lines = [
        f"open{told} |= {'*'.join(f'{name}{listed(own)}' for name, own, _ in parts)}",
        f"steps[{pair.group}] += stL[{pair.group},{pair.rank}]*open{told}",
    ]
    found = _all(lines, pair, operands, {name: mask for name, _, mask in parts})
    return found["steps"], "\n".join(lines)


def _fibers_within(
    pair: Pair, operands: Mapping[str, Operand], ranks: tuple[str, ...], inside: Bits
) -> tuple[Fibers, Fibers]:
    """The fibers of the follower, one for each entry of the leader, as far as points go."""
    leader, follower = fibers_of_pair(pair, operands)
    along, number = leader.coordinates, follower.entries[leader.coordinates]
    entry = np.repeat(np.arange(len(along)), number)
    first = np.repeat(follower.positions[along] - np.cumsum(number) + number, number)
    into = follower.coordinates[first + np.arange(len(entry))]
    row = np.repeat(np.arange(len(leader)), leader.entries)[entry]
    at = {pair.group: row, pair.rank: along[entry], pair.into: into}
    kept = np.broadcast_to(inside[tuple(at[rank] for rank in ranks)], entry.shape)
    merged = fibers_of(entry[kept], into[kept], len(along), follower.extent)
    return Fibers(leader.positions, np.arange(len(along)), len(along)), merged


def _all(
    lines: list[str],
    pair: Pair,
    operands: Mapping[str, Operand],
    more: Mapping[str, Bits] = MappingProxyType({}),
) -> dict[str, Whole]:
    """Lines over the masks of the pair, factored as the accounting is."""
    one, other = operands[pair.leader], operands[pair.follower]
    spec = sized("\n".join(lines), tuple(_sizes(pair, operands).items()))
    masks: dict[str, Any] = {"stL": one.held(), "stF": other.held(), **more}
    found = evaluate(spec, {name: masks[name] for name in spec.operands if name in masks})
    return {name: np.maximum(np.asarray(value), 0) for name, value in found.items()}


def _sizes(pair: Pair, operands: Mapping[str, Operand]) -> dict[str, int]:
    one, other = operands[pair.leader].shape, operands[pair.follower].shape
    return {pair.group: one[0], pair.rank: one[1], pair.into: other[1]}
