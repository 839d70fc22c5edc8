"""What a charge takes for granted, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.formats.format import Format
from zeroskip.formats.ranks import Axis, Part, axis_of
from zeroskip.hwmodel.absorbing import FULL
from zeroskip.hwmodel.arch import ROLES, Arch
from zeroskip.hwmodel.conversion import Conversion
from zeroskip.hwmodel.features import Feature
from zeroskip.hwmodel.layer import Layer, Operand
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.stored import (
    bound_format,
    coders_of,
)

COUNTED = ("no", "one", "two", "three", "four", "five", "six")


def assumptions_of(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    conversions: Sequence[Conversion],
    listed: Sequence[str],
) -> tuple[str, ...]:
    """Assumptions behind the figures of this charge.

    listed : tensors whose tiles are encoded place by place.
    """
    return (
        *_of_moves(arch, schedule),
        *_of_tiles(schedule),
        *_of_conversions(layer, arch, conversions),
        *_of_time(layer, arch, schedule),
        *_of_coders(layer, arch, schedule),
        *_of_units(layer, arch, schedule),
        *_of_zeros(layer, arch),
        *_of_terms(layer),
        *_of_formats(layer, arch, schedule, listed),
        *_of_energy(arch),
    )


def _of_moves(arch: Arch, schedule: Schedule) -> Iterator[str]:
    off_chip, local = arch.off_chip.name, arch.local.name
    kept = [[stay for stay in stays if not stay.words] for stays in schedule.stays.values()]
    once = {
        stays[1].level if len(stays) > 1 else local: stays
        for stays in kept
        if len(stays) > 1 and not stays[1].position
    }
    cached = arch.cache is not None and arch.cache.name in once
    if len(once) == 1 and not cached and all(s[1:2] and not s[1].position for s in kept):
        yield (
            f"{off_chip}: each operand is read once and the result written once; true while the "
            f"working set fits {next(iter(once))}"
        )
    yield (
        "a tile comes anew at every iteration of the loops outside its mark, but for those "
        "directly outside it that its tensor does not have; of one that a window moves over, only "
        "what the tile of the iteration before did not have"
    )
    refilled = [level.name for level in arch.levels if level.halo == "whole"]
    if refilled:
        yield f"{', '.join(refilled)}: windows come whole (halo: whole)"
    singly = [level.name for level in arch.levels if not level.multicast]
    but = f", except of {', '.join(singly)} (multicast: false)" if singly else ""
    yield (
        "one read serves all PEs that need the same entry of an operand that does not depend on "
        f"their place{but}"
    )
    yield "network: an entry that k PEs take is moved k times, once to each"
    yield (
        f"{local}: an operation reads each operand once, with its coordinate or bit where it has "
        "one, and reads and writes its accumulator"
    )


def _of_tiles(schedule: Schedule) -> Iterator[str]:
    for tensor, stays in schedule.stays.items():
        for stay in (stay for stay in stays if stay.words):
            last = ", what is stored at each point of the units, also if skipped" * stay.each
            yield (
                f"{stay.level}: {tensor} passes and is not kept: read further out for each of its "
                f"reads there{last}; {stay.words} word{'s' * (stay.words > 1)} under way"
            )
    cut = [level for level, way in schedule.mapping.overflow.items() if way == "split"]
    if cut:
        yield (
            f"{', '.join(cut)}: where the largest tile does not fit, its outermost loop is cut in "
            "halves until it does, for all tiles alike; the mapping has what came of it"
        )
    for key, split in schedule.mapping.split.items():
        if split.leader is not None:
            yield (
                f"{key} by {split}: no place is cut, its tile is the number of entries that "
                f"{split.leader} stores before it, over the size; finding where tiles end takes no "
                "time"
            )


_OVERLAPS = {
    None: "transfers and compute overlap fully",
    "none": "an epoch is loaded, worked on and drained, and then the next one is",
    "double": "while an epoch is worked on, the next is loaded and the one before drained",
}


def _of_time(layer: Layer, arch: Arch, schedule: Schedule) -> Iterator[str]:
    yield (
        f"time: {_OVERLAPS[arch.overlap]}; a gated operation takes a cycle, a skipped one none; "
        "finding the next stored entry takes no time"
    )
    if arch.overlap is not None:
        yield (
            "time: what comes whole comes by parts, fiber pointers and all, in proportion to their "
            "entries; what is added once comes before the first epoch"
        )
    yield "a PE has all that a step needs at once: the order of loops inside the sync is free"
    if not schedule.steps and arch.queue is None:
        yield "PEs wait for each other at the end only"
    if arch.multipliers > 1 and arch.lanes is None:
        yield f"the {arch.multipliers} multipliers of a PE share its work evenly within a step"
    if arch.local.has_limit:
        yield f"{arch.local.name}: its bandwidth is shared evenly: the mean PE, not the busiest"


def _of_coders(layer: Layer, arch: Arch, schedule: Schedule) -> Iterator[str]:
    """Where formats change, and whether that takes time."""
    free = []
    for (name, way), tensors in coders_of(layer, arch, schedule).items():
        level = arch.level(name)
        rate = level.decode_bits_per_cycle if way == "decode" else level.encode_bits_per_cycle
        if rate is None:
            free.append(f"{name} {way}s {', '.join(dict.fromkeys(tensors))}")
            continue
        yield (
            f"{name} {way}s {', '.join(dict.fromkeys(tensors))}: all of their bits, values and "
            f"metadata, at {rate:,.10g} a cycle, beside what its ports move"
        )
    if free:
        yield (
            f"formats change in no time: {'; '.join(free)} (decode_bits_per_cycle, "
            "encode_bits_per_cycle)"
        )


def _of_units(layer: Layer, arch: Arch, schedule: Schedule) -> Iterator[str]:
    lines, cache = arch.off_chip.lines, arch.cache
    if lines is not None:
        yield (
            f"{arch.off_chip.name}: coordinates and values of each fiber begin on a line of their "
            "own, pointers lie packed, one a fiber; a result has an entry where a stored product "
            "reaches it"
        )
        if arch.overlap is not None:
            yield (
                f"{arch.off_chip.name}: a line comes with its tile, or the first part of it that "
                "needs the line, one of pointers with the first tile that touches their fibers; of "
                "a compressed result one is written with the last of what is in it"
            )
    if cache is not None:
        yield (
            f"{cache.name}: a cache of whole fibers, asked for in the order of the loops, "
            "those across PEs as if in time, where operands that are skipped by have an entry "
            "under the loops outside; an operand of which no fiber is asked for twice passes by"
        )
        if arch.overlap is not None:
            yield (
                f"{cache.name}: what is not there comes in the epoch in which it is asked for, "
                "beside the work where the next level inside is filled then"
            )
        inside = arch.levels[arch.levels.index(cache) + 1 : -1]
        if inside:
            names = ", ".join(level.name for level in inside)
            yield (
                f"{cache.name}: what {names} keeps asks for the fibers of each of its tiles as it "
                "comes, in the order in which they are stored"
            )
    if arch.queue is not None:
        yield (
            f"queue: a step is sent to all PEs, one a cycle, when each has fewer than {arch.queue} "
            "waiting; one without work for any PE is not sent"
        )
        if schedule.turned:
            yield "queue: all PEs are done with a line's turn before another line has its own"
    if arch.lanes is not None:
        yield (
            "lanes: entries form vectors in the order of storage, those of one step, one PE and "
            "one place of the ranks that both operands have as they are; an input is in the PE "
            "of its place in the plane, and a product that reaches no output takes a lane too"
        )
        if any(f.level is not None for f in arch.features):
            yield (
                "lanes: an entry whose tile comes at any iteration of a step is there for all "
                "vectors of the step, one whose tile does not come is in none"
            )
    if any(unit.kind == "merge" for unit in arch.units):
        yield (
            "merge: parts of a fiber of the result along the innermost loop are merged at once, "
            "all of them and whole, whatever blocks ranks are cut into"
        )
    factors = [operand for operand in layer.work[0].operands if not operand.is_index]
    for unit in arch.units:
        rest = "the rest" if arch.overlap is None else "the rest of the epoch of their fibers"
        yield f"{unit.kind}: its steps are shared evenly by all units, and overlap with {rest}"
        if unit.kind == "intersect" and any(f.level is not None for f in arch.features):
            yield (
                "intersect: at points whose tiles do not come, whether they are skipped or gated, "
                "a unit finds nothing of any operand, and takes no step for them"
            )
        if unit.kind == "intersect" and len(factors) > 2:
            yield (
                "intersect: a unit takes two fibers at a time; of more that meet, those of the "
                f"first two of {', '.join(o.tensor for o in factors)} that have the rank, then "
                "what both hold and the next"
            )
    named = [operand.tensor for operand in factors if operand.gathered]
    if named and (arch.units or arch.lanes is not None):
        yield (
            f"{', '.join(dict.fromkeys(named))}: units and vectors take a place that is named as "
            "often as it is named"
        )


def _of_zeros(layer: Layer, arch: Arch) -> Iterator[str]:
    if any(lo or hi for pads in layer.extents.pads.values() for lo, hi in pads):
        yield "a padding tap is an operation on a zero, read in the PE; buffers hold no padding"
    if not layer.additive and arch.features:
        post = layer.form.post
        what = f"{layer.form.reduction}= " + (f"of {post}" if post in FULL else "is not a sum")
        yield f"{what}: a zero counts, so nothing is gated or skipped"
        return
    if any(f.kind == "gate" and f.level is None for f in arch.features):
        yield "a gated operation costs the reads of the operands that are not its targets"
    if any(f.kind == "skip" and f.level is None for f in arch.features):
        yield "an operation is skipped whole: none of its operands is read, whatever the targets"
    factors = [o for term in layer.work for o in term.operands if not o.is_index]
    inside = {o.tensor: o for o in factors if not o.absorbs}
    if inside and arch.features:
        yield (
            f"a zero of {', '.join(inside)} does not make its product zero: nothing is gated or "
            "skipped by it"
        )
    tensors = {o.tensor for term in layer.work for o in term.operands if o.absorbs}
    names = tensors - {*ROLES} | {layer.roles[name] for name in tensors}
    for feature in arch.features:
        if not names & set(feature.conditions):
            yield f'"{feature}" changes nothing: no product has {" or ".join(feature.conditions)}'
        elif feature.level is not None and not _is_led(layer, feature):
            yield f'"{feature}" changes nothing: no product has a follower and a leader of it'
        elif feature.level is not None:
            passes = "pass, and nothing is read" if feature.kind == "gate" else "do not pass"
            yield (
                f'"{feature}": a tile comes into {feature.level}, and further in, where that of '
                "its leader there has an entry, which takes no time to know; the cycles of other "
                f"points {passes}"
            )


def _is_led(layer: Layer, feature: Feature) -> bool:
    """Whether a product has two operands, one of which follows the other."""

    def named(operand: Operand, names: Sequence[str]) -> bool:
        tensor = operand.tensor
        return (tensor in names and tensor not in ROLES) or layer.roles[tensor] in names

    return any(
        named(one, feature.targets) and named(other, feature.conditions) and other.absorbs
        for term in layer.work
        for one, other in permutations(term.operands, 2)
    )


def _of_terms(layer: Layer) -> Iterator[str]:
    if len(layer.work) > 1:
        yield "terms run one after the other"
    for many in sorted({t.multiplications for t in layer.work if t.multiplications > 1}):
        yield (
            f"a product of {COUNTED[many + 1]} operands is {COUNTED[many]} multiplications, one "
            "after the other"
        )
    if all(term.multiplications == 0 for term in layer.work):
        yield "a line without products: its additions are the work, one a cycle"
    if layer.additive and layer.form.reduction in ("min", "max"):
        op = layer.form.reduction
        yield f"an operation is + and {op}=, charged as a multiplication and an addition"
    if any(term.factors for term in layer.form.terms):
        yield (
            "operands that are divided by, added or compared inside a product are charged as a "
            "multiplication each; functions cost nothing"
        )
    within = [deparse(one) for term in (*layer.work, *layer.additions) for one in term.within]
    if within:
        yield (
            f"outside {' and '.join(dict.fromkeys(within))} loops do not go: these points are "
            "never fetched, by the dense baseline neither; a tile of an operand comes whole where "
            "it has a point inside, and not at all where it has none; tiles of the result come and "
            "leave as if all were inside"
        )
    if any(term.counters for term in (*layer.work, *layer.additions)):
        yield (
            "a place of an index variable as a value is one more operand that is multiplied, and "
            "costs no read: a counter has it"
        )
    every = [o for term in (*layer.work, *layer.additions) for o in term.operands]
    indices = {o.tensor: o.width for o in every if o.is_index}
    if indices:
        named = ", ".join(dict.fromkeys(o.tensor for o in every if o.gathered))
        widths = ", ".join(f"{name} of {bits} bits" for name, bits in indices.items())
        yield (
            f"places that are named ({widths} an entry) are read at each operation, also at one "
            "that is skipped or gated for what lies there"
        )
        yield (
            f"of {named} a tile brings the places that its points name, each once, and knows of "
            "them ahead in no time; what of it stays for the next tile, or is not called for, is "
            "room all the same"
        )
    if layer.additions:
        yield "terms of one operand are added in accumulators, without a cycle of their own"


def _of_formats(
    layer: Layer, arch: Arch, schedule: Schedule, listed: Sequence[str]
) -> Iterator[str]:
    if listed:
        yield (
            f"{', '.join(listed)}: runs, groups and blocks of a tile are those of its own places, "
            "whatever lies around them; what only holds a place there is read once a tile and "
            "takes no cycle, or, where it is skipped by, is an entry that takes one"
        )
    seen: dict[str, set[str]] = {}
    for term in (*layer.work, *layer.additions):
        for operand in term.operands:
            text = arch.format(operand.tensor, layer.roles[operand.tensor], arch.buffer.name)
            label = str(bound_format(text, operand, schedule))
            seen.setdefault(operand.tensor, set()).add(label)
    for tensor, labels in seen.items():
        if len(labels) > 1:
            yield (
                f"{tensor} is read in two orders, as {' and as '.join(sorted(labels))}, and "
                "brought in once, in the first that the line has"
            )


def _of_energy(arch: Arch) -> Iterator[str]:
    for level in arch.levels:
        limit = level.data.capacity_bits if level.data else None
        if level.data is None or limit is None:
            continue
        if level.capacity_bits is None or level.capacity_bits > limit:
            held = "" if level.capacity_bits is None else f" of {level.capacity_bits:,} bits"
            yield (
                f"{level.name}{held} costs a bit what {level.data.name} of {limit:,} bits does: "
                "the energy is a lower bound"
            )


def _of_conversions(layer: Layer, arch: Arch, conversions: Sequence[Conversion]) -> Iterator[str]:
    """How the operands that come in another order are brought into that of their format."""
    for made in conversions:
        ranks = [deparse(subscript) for subscript in layer.first(made.tensor).subscripts]
        passes = " and ".join(_named(axis, ranks) for axis in made.sorts)
        sorts = "a stable counting sort" if len(made.sorts) == 1 else "stable counting sorts"
        yield (
            f"{made.label}: it comes as {ordered(made.source.format, ranks)}, is wanted as "
            f"{ordered(made.target.format, ranks)}, and is stored anew in {arch.off_chip.name} "
            f"before the layer, by {sorts} by {passes}; its cycles come on top, its bits and "
            f"energy are among those of {arch.off_chip.name}; counters cost nothing, and single "
            "entries are written at the full bandwidth"
        )


def ordered(format: Format, ranks: Sequence[str]) -> str:
    """A format, and the order in which it has these ranks."""
    order = (_named(axis, ranks) for rank in format.ranks for axis in rank.axes)
    return f"{format.label} (order {','.join(order)})"


def _named(axis: Axis, ranks: Sequence[str]) -> str:
    """An axis or a part of one, by the subscript that reads it."""
    name = ranks[int(axis_of(axis))]
    return str(replace(axis, axis=name)) if isinstance(axis, Part) else name
