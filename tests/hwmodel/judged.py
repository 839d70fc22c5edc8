"""Generated layers on generated designs, charged; every figure against the simulations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise, product
from math import prod
from typing import Any

import numpy as np
from cases import Case
from described import dense_of, design_arch, drawn_formats, trees_of
from epoch_judge import times
from epoch_log import Machine
from hypothesis import strategies as st
from mapped_cases import Mapped, designs, tile_features
from mapped_nest import Nest
from nest_parts import Access, Design, Place
from room_judge import needed
from simulator import simulate
from tree_judge import Tree

from zeroskip.einsum_spec import make_spec
from zeroskip.hwmodel import Charge, Mapping, arch, charge
from zeroskip.hwmodel.charging import known_operands
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.traffic import whole_moves

CLASSES = ("effectual", "gated", "skipped", "never_fetched", "ineffectual")
RATES = st.sampled_from([None, 0.5, 3, 16, 100])
Tile = tuple[str, str, set[str], set[str]]


@dataclass
class Drawn:
    """A layer, a mapping of it, and a design: all that a charge goes by, and the simulation."""

    case: Case
    mapped: Mapped
    design: Design
    formats: dict[str, dict[str, str]]
    described: dict[str, Any]
    stays: dict[tuple[int, int, str], set[Place]] = field(default_factory=dict)

    def charge(self) -> Charge:
        return run(self.case, self.described, self.mapped.mapping)

    def nest(self) -> Nest:
        mapped = self.mapped
        shape = mapped.loops, mapped.sync, mapped.stays, mapped.instances
        nest = self.case.nest(*shape, dense_of(self.formats), mapped.levels)
        nest.stay_in = self.stays
        nest.words = self.mapped.words
        nest.trees = self.trees()
        nest.overlap = self.described.get("overlap")
        return nest

    def trees(self) -> dict[tuple[str, str], Tree]:
        """The formats in words of the judge."""
        shapes = {name: array.shape for name, array in self.case.arrays.items()}
        return trees_of(self.described["levels"], self.formats, shapes)

    def check(self, charged: Charge) -> None:
        """Every figure of its charge against the simulations, those of epochs if it has some."""
        nest = self.nest()
        check(charged, self.design, self.formats, nest, self.case.arrays)
        self.check_epochs(charged)

    def check_epochs(self, charged: Charge) -> None:
        """The time of its epochs against the simulation, if it has some."""
        nest = self.nest()
        if charged.epochs is not None:
            machine = machine_of(charged, self.case.arrays)
            of_each, interval = times(nest, self.design, machine)
            assert charged.epochs.cycles.tolist() == of_each
            assert charged.epochs.interval == interval
            assert charged.epochs.total == sum(charged.epochs.limits.values())
            assert charged.cycles - charged.conversion_cycles == charged.epochs.total


def drawn(
    data: st.DataObject, case: Case, mapped: Mapped, led: tuple[Tile, ...] = (), *, tiles: bool
) -> Drawn:
    """A design for a mapped layer.

    led : skips and gates of fills that it has; tiles : whether others are drawn too.
    """
    design = data.draw(designs(case.factors))
    texts = data.draw(tile_features(case, mapped.kept, design)) if tiles else []
    for kind, level, targets, conditions in led:
        design.tiles.append((kind, level, targets, conditions))
        to, by = (",".join(sorted(side)) for side in (targets, conditions))
        texts.append(f"{kind} {to} on {by} @{level}")
    formats = drawn_formats(data, case, design, mapped.stays, mapped.leader)
    described = design_arch(design, texts, formats, mapped.levels, mapped.array)
    return Drawn(case, mapped, design, formats, described)


def with_lanes(data: st.DataObject, case: Case, mapped: Mapped) -> Drawn:
    """A design whose multipliers form all products of two vectors of entries."""
    widths = {name: data.draw(st.integers(1, 3)) for name in ("I", "F")}
    design = Design(skip={"I", "F"}, multipliers=widths["I"] * widths["F"], lanes=widths)
    led = data.draw(tile_features(case, mapped.kept, design))
    formats = drawn_formats(data, case, design, mapped.stays, mapped.leader)
    described = design_arch(design, led, formats, mapped.levels, mapped.array)
    return Drawn(case, mapped, design, formats, described | {"lanes": widths})


def with_time(data: st.DataObject, made: Drawn) -> Drawn:
    """The same on a design whose loads and work overlap in one way or the other, and whose ports
    have bandwidths."""
    made.described["overlap"] = data.draw(st.sampled_from(["none", "double"]))
    ways = ("read", "write", "metadata_read", "metadata_write", "decode", "encode")
    made.described["levels"] = {
        level: entry
        | {f"{way}_bits_per_cycle": rate for way in ways if (rate := data.draw(RATES)) is not None}
        for level, entry in made.described["levels"].items()
    }
    return made


def run(case: Case, described: dict[str, Any], mapping: Mapping | None) -> Charge:
    spec = make_spec(case.text, sizes=case.known, pad=case.pads or None)
    return charge(spec, arch(described), case.arrays, mapping)


def check(
    charged: Charge,
    design: Design,
    formats: dict[str, dict[str, str]],
    nest: Nest,
    arrays: Any,
) -> None:
    """Every count of a charge against the simulation."""
    if not nest.trees:
        nest.trees = trees_of({x.name: {} for x in charged.arch.levels}, formats, charged.shapes)
    simulated = simulate(nest, design)
    found, of_pe = simulated["counts"], simulated["of_pe"]
    for name in ("dense", *CLASSES):
        assert charged.ops[name] == found[name], name
    assert charged.compute_cycles == found["cycles"]
    work = np.zeros(charged.arch.shape, dtype=np.int64)
    for place, count in of_pe.items():
        work[place_in_array(dict(place), charged)] += count
    assert charged.work_per_pe.tolist() == work.tolist()

    work_terms = nest.work()
    every_term = [(str(number), term) for number, term in enumerate(work_terms)]
    every_term += [(f"+{number}", term) for number, term in enumerate(nest.additions())]
    levels = [level.name for level in charged.arch.levels]
    moved: Counter[tuple[str, str, str]] = Counter()
    coded: Counter[tuple[str, str, str]] = Counter()
    all_of: dict[tuple[str, str, str], int] = {}
    walked: dict[tuple[str, str, str], tuple[int, ...]] = {}
    looked_up: Counter[str] = Counter()
    result_reads = 0
    added = 0
    for number, term in every_term:
        for i, access in enumerate(term):
            tensor = access.tensor
            stays = [level for level, _ in nest.stays[tensor]]
            if number[0] == "+":
                points = sum(nest.open(term, at) for at in nest.points(term))
                added += points * (not access.index)
                looked_up[tensor] += points
            looked_up[tensor] += found[f"{number}.{i}.reads"]
            for outer, inner, key in ways(stays, f"{number}.{i}", found):
                if f"{key}.whole" in found:
                    times = found[f"{key}.whole"]
                    before = moved[inner, tensor, "times"]
                    once = times == 1 and before in (0, 1)
                    moved[inner, tensor, "times"] = 1 if once else before + times
                    moved[outer, tensor, "whole"] = moved[inner, tensor, "times"]
                    all_of[outer, inner, tensor] = moved[inner, tensor, "times"]
                    if times:
                        both = (found[f"{key}.walked.{of}"] for of in ("fillers", "fibers"))
                        walked.setdefault((outer, inner, tensor), tuple(both))
                    continue
                for level, other, what in ((outer, inner, "read"), (inner, outer, "arrived")):
                    bits = found[f"{key}.{what}"] * access.width + found[f"{key}.{what}.bits"]
                    coded[level, tensor, what] += bits * nest.coded(tensor, level, other)
                moved[outer, tensor, "reads"] += found[f"{key}.read"]
                moved[inner, tensor, "writes"] += found[f"{key}.arrived"]
                moved[outer, tensor, "read metadata"] += found[f"{key}.read.bits"]
                moved[inner, tensor, "write metadata"] += found[f"{key}.arrived.bits"]
                if inner == stays[-1]:
                    moved[inner, tensor, "read metadata"] += found[f"{key}.arrived.fibers"]
                    moved[inner, tensor, "reads"] += found[f"{key}.arrived.fillers"]
        result_reads += found[f"{number}.-1.reads"]
    accesses = {access.tensor: access for term in nest.terms for access in term}
    machine = machine_of(charged, arrays)
    for (outer, inner, tensor), times in all_of.items():
        read, written = machine.whole(outer, inner, tensor)
        if inner == nest.stays[tensor][-1][0]:
            fillers, fibers = walked.get((outer, inner, tensor), (0, 0))
            moved[inner, tensor, "reads"] += times * fillers
            moved[inner, tensor, "read metadata"] += times * fibers
        coded[outer, tensor, "read"] += times * sum(read) * nest.coded(tensor, outer, inner)
        coded[inner, tensor, "arrived"] += times * sum(written) * nest.coded(tensor, inner, outer)
    for tensor, times in looked_up.items():
        innermost = nest.stays[tensor][-1][0]
        moved[innermost, tensor, "reads"] += times
        tree = nest.tree(tensor, innermost)
        moved[innermost, tensor, "read metadata"] += times * tree.look_up
    for tensor, access in accesses.items():
        brought = {level: moved[level, tensor, "times"] for level in levels}
        for level in levels:
            at, of = charged.at(level, tensor), (tensor, level)
            all_of_it = whole_entries(nest, access, level)
            assert at.decoded_bits == coded[level, tensor, "read"], of
            assert at.encoded_bits == coded[level, tensor, "arrived"], of
            times = moved[level, tensor, "whole"]
            assert at.reads == moved[level, tensor, "reads"] + times * all_of_it, of
            assert at.writes == moved[level, tensor, "writes"] + brought[level] * all_of_it, of
            if not brought[level]:
                assert at.write_metadata_bits == moved[level, tensor, "write metadata"], of
            if not times:
                assert at.read_metadata_bits == moved[level, tensor, "read metadata"], of
    assert charged.additions == added
    check_result(charged, nest, found, result_reads + added)
    check_rooms(charged, nest, found)


def check_rooms(charged: Charge, nest: Nest, found: Counter[str]) -> None:
    """What each level must hold at a time."""
    kept = [level for level, _ in nest.keeping("O")]
    parted = len(kept) > 1 and found[f"{kept[1]}.drained"] > found[f"{kept[1]}.outside"]
    held = result_room(nest, found)
    for room in charged.capacity:
        passed = ("O", room.level) in nest.words
        fixed = held[room.level] if passed else 0
        result = 32 if room.level in held and not passed else 0
        shape = charged.shapes["O"]
        home = 32 if parted else 16
        most = needed(nest, room.level, shape, result, home, fixed)
        assert room.needed_bits == most, room.level


def whole_entries(nest: Nest, access: Access, level: str) -> int:
    """Entries of a tensor that comes whole."""
    places = product(*map(range, access.shape))
    stored = {place for place in places if access.held(place, level)}
    return nest.tree(access.tensor, level).whole(access.shape, stored)


def ways(stays: list[str], access: str, found: Counter[str]) -> list[tuple[str, str, str]]:
    """From which level to which an access comes, and by which name that is counted."""
    every = [(o, i, f"{access}.{i}") for o, i in pairwise(stays)]
    return every + [
        (o, i, f"{access}.{i}<{o}")
        for i in stays
        for o in stays
        if f"{access}.{i}<{o}.read" in found
    ]


def check_result(charged: Charge, nest: Nest, found: Counter[str], operations: int) -> None:
    """What the result moves."""
    stays = [level for level, _ in nest.keeping("O")]
    size = prod(charged.shapes["O"])
    expected: Counter[tuple[str, str]] = Counter()
    expected[stays[-1], "reads"] += operations
    expected[stays[-1], "writes"] += operations
    for outer, inner in reversed(list(pairwise(stays))):
        out, held, outside = (found[f"{inner}.{x}"] for x in ("drained", "resident", "outside"))
        partial = out - outside
        last = outer == stays[0]
        local = inner == charged.arch.levels[-1].name
        expected[inner, "reads"] += size + partial if last and not local else out
        expected[inner, "writes"] += out - held
        expected[outer, "writes"] += size + partial if last else out
        expected[outer, "reads"] += partial
        for passed in nest.passed("O", inner):
            expected[passed, "reads"] += out + out - held
            expected[passed, "writes"] += out + out - held
    for level, _ in nest.stays["O"]:
        at = charged.at(level, "O")
        assert (at.reads, at.writes) == (expected[level, "reads"], expected[level, "writes"]), level
        assert at.decoded_bits == at.encoded_bits == 0, level  # it is uncompressed everywhere


def result_room(nest: Nest, found: Counter[str]) -> Counter[str]:
    """Bits that the result takes in the innermost level, and where parts of it come back to."""
    room: Counter[str] = Counter()
    for level, _ in nest.keeping("O")[1:]:
        parts = found[f"{level}.drained"] > found[f"{level}.outside"]
        for passed in nest.passed("O", level):
            room[passed] = nest.words["O", passed] * (32 if parts else 16)
    for level, _ in reversed(nest.keeping("O")[1:]):
        room[level] = 32 * found[f"{level}.room"]
        if found[f"{level}.drained"] <= found[f"{level}.resident"]:
            break
    return room


def machine_of(charged: Charge, operands: Any) -> Machine:
    design = charged.arch
    known = {n: Operand(x.shape, x) for n, x in known_operands(operands).items()}
    moved = partial(whole_moves, charged.layer, design, charged.schedule, known)

    def whole(*way: str) -> tuple[tuple[int, int], tuple[int, int]]:
        read, written = moved(way)
        return (read.read_data_bits, read.read_metadata_bits), (
            written.write_data_bits,
            written.write_metadata_bits,
        )

    size = prod(charged.shapes["O"])
    return Machine(
        design.overlap == "double",
        {
            level.name: (
                level.read_bits_per_cycle,
                level.write_bits_per_cycle,
                level.metadata_read_bits_per_cycle,
                level.metadata_write_bits_per_cycle,
            )
            for level in design.levels
        },
        {level.name: design.number(level) for level in design.levels},
        whole,
        (size * 16, 0),
        size,
        design.local.name,
        coders={
            level.name: (level.decode_bits_per_cycle, level.encode_bits_per_cycle)
            for level in design.levels
        },
    )


def place_in_array(place: dict[str, int], charged: Charge) -> tuple[int, ...]:
    """The PE of each loop across: flattened dimensions unravelled."""
    sizes = dict(charged.arch.array)
    index = dict.fromkeys(sizes, 0)
    for across in charged.schedule.across:
        coordinates = np.unravel_index(place[across.name], [sizes[d] for d in across.dims])
        index.update(zip(across.dims, map(int, coordinates), strict=True))
    return tuple(index.values())
