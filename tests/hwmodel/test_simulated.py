"""Charges against a point-by-point simulation, to the integer."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import (
    ARRAYS,
    NETS,
    Case,
    cases,
    default_stays,
    designs,
    hierarchies,
    mappings,
    tile_features,
    windows,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator import Access, Design, Loop, Nest, simulate

from zeroskip.einsum_spec import make_spec
from zeroskip.hwmodel import Charge, Mapping, arch, charge
from zeroskip.native import engine

CLASSES = ("effectual", "gated", "skipped", "never_fetched", "ineffectual")
ENTRY_BITS = 13


@pytest.fixture(autouse=True, scope="module")
def without_compiling() -> Iterator[None]:
    """Hundreds of structures: the engine answers by its dense judge here.  That C gives the
    same is the engine's own test, and `test_squeezenet`'s."""
    with pytest.MonkeyPatch.context() as patch:
        dense = partial(engine.evaluate, backend="numpy")
        patch.setattr(sys.modules["zeroskip.hwmodel.evaluate"], "evaluate", dense)
        yield


def design_arch(
    design: Design,
    tiles: list[str],
    formats: dict[str, dict[str, str]],
    levels: dict[str, dict[str, Any]],
    array: dict[str, int],
) -> dict[str, Any]:
    sparse = [f"gate {','.join(sorted(t))} on {','.join(sorted(c))}" for t, c in design.gate]
    if design.lead:
        others = sorted({*formats, "O"} - design.lead)
        sparse.append(f"skip {','.join(others)} on {min(design.lead)} @PE")
    left = design.skip - design.lead
    if len(left) == 1:
        others = sorted({*formats, "O"} - left)
        sparse.append(f"skip {','.join(others)} on {min(left)}")
    elif design.skip:
        sparse.append(f"skip {','.join(sorted(design.skip))}")
    return {
        "name": "generated",
        "array": array,
        "multipliers": design.multipliers,
        "value_bits": 16,
        "accumulator_bits": 32,
        "energy": "eyeriss-relative",
        "levels": levels,
        "sparse": [*sparse, *tiles],
        "formats": formats,
    }


def run(case: Case, described: dict[str, Any], mapping: Mapping | None) -> Charge:
    spec = make_spec(case.text, sizes=case.sizes, pad=case.pads or None)
    return charge(spec, arch(described), case.arrays, mapping)


def check(charged: Charge, design: Design, formats: dict[str, dict[str, str]], nest: Nest) -> None:
    """Every count of a charge against the simulation."""
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
    room = dict.fromkeys(levels, 0)
    result_reads = 0
    added = 0
    for number, term in every_term:
        needed = dict.fromkeys(levels, 0)
        for i, access in enumerate(term):
            tensor = access.tensor
            stays = [level for level, _ in nest.stays[tensor]]
            if number[0] == "+":
                points = prod(nest.extents[rank] for rank in nest.ranks(term))
                added += points
                moved[stays[-1], tensor, "reads"] += points
            moved[stays[-1], tensor, "reads"] += found[f"{number}.{i}.reads"]
            for outer, inner in pairwise(stays):
                key = f"{number}.{i}.{inner}"
                entry, place = bits_of(formats, tensor, inner)
                needed[inner] += found[f"{key}.most"] * (16 + entry)
                needed[inner] += place * found[f"{key}.most.places"]
                if f"{key}.whole" in found:
                    times = found[f"{key}.whole"]
                    before = moved[inner, tensor, "times"]
                    once = times == 1 and before in (0, 1)
                    moved[inner, tensor, "times"] = 1 if once else before + times
                    moved[outer, tensor, "whole"] = moved[inner, tensor, "times"]
                    continue
                moved[outer, tensor, "reads"] += found[f"{key}.read"]
                moved[inner, tensor, "writes"] += found[f"{key}.arrived"]
                outer_entry, outer_place = bits_of(formats, tensor, outer)
                moved[outer, tensor, "read metadata"] += outer_entry * found[f"{key}.read"]
                moved[outer, tensor, "read metadata"] += outer_place * found[f"{key}.read.places"]
                moved[inner, tensor, "write metadata"] += entry * found[f"{key}.arrived"]
                moved[inner, tensor, "write metadata"] += place * found[f"{key}.arrived.places"]
        if number[0] != "+":  # what is added takes no room
            room = {level: max(room[level], needed[level]) for level in levels}
        result_reads += found[f"{number}.-1.reads"]
    accesses = {access.tensor: access for term in nest.terms for access in term}
    for tensor, access in accesses.items():
        brought = {level: moved[level, tensor, "times"] for level in levels}
        for level in levels:
            at, all_of_it = charged.at(level, tensor), access.entries(level)
            times = moved[level, tensor, "whole"]
            assert at.reads == moved[level, tensor, "reads"] + times * all_of_it, (tensor, level)
            assert at.writes == (moved[level, tensor, "writes"] + brought[level] * all_of_it), (
                tensor,
                level,
            )
            if not brought[level]:
                assert at.write_metadata_bits == moved[level, tensor, "write metadata"]
            innermost = level == nest.stays[tensor][-1][0]
            if not times and not innermost:
                assert at.read_metadata_bits == moved[level, tensor, "read metadata"]
    assert charged.additions == added
    check_result(charged, nest, found, result_reads + added, room)
    needed = {c.level: c.needed_bits for c in charged.capacity}
    assert needed == {level: room[level] for level in levels[1:]}


def check_result(
    charged: Charge, nest: Nest, found: Counter[str], operations: int, room: dict[str, int]
) -> None:
    """What the result moves; adds the room that it takes."""
    stays = [level for level, _ in nest.stays["O"]]
    size = prod(charged.shapes["O"])
    expected: Counter[tuple[str, str]] = Counter()
    expected[stays[-1], "reads"] += operations
    expected[stays[-1], "writes"] += operations
    keeps = True
    for outer, inner in reversed(list(pairwise(stays))):
        out, held, outside = (found[f"{inner}.{x}"] for x in ("drained", "resident", "outside"))
        partial = out - outside
        last = outer == stays[0]
        local = inner == charged.arch.levels[-1].name
        expected[inner, "reads"] += size + partial if last and not local else out
        expected[inner, "writes"] += out - held
        expected[outer, "writes"] += size + partial if last else out
        expected[outer, "reads"] += partial
        if keeps:
            room[inner] += 32 * found[f"{inner}.room"]
        keeps = out > held
    for level in stays:
        at = charged.at(level, "O")
        assert (at.reads, at.writes) == (expected[level, "reads"], expected[level, "writes"]), level


def bits_of(formats: dict[str, dict[str, str]], tensor: str, level: str) -> tuple[int, int]:
    """Bits of an entry, and of a place."""
    letter = formats[tensor][level][0]
    return ENTRY_BITS * (letter == "C"), int(letter == "B")


def place_in_array(place: dict[str, int], charged: Charge) -> tuple[int, ...]:
    """The PE of each loop across: flattened dimensions unravelled."""
    sizes = dict(charged.arch.array)
    index = dict.fromkeys(sizes, 0)
    for across in charged.schedule.across:
        coordinates = np.unravel_index(place[across.name], [sizes[d] for d in across.dims])
        index.update(zip(across.dims, map(int, coordinates), strict=True))
    return tuple(index.values())


def drawn_formats(
    data: st.DataObject,
    case: Case,
    design: Design,
    stays: dict[str, list[tuple[str, int]]],
    leader: str | None = None,
) -> dict[str, dict[str, str]]:
    """A format of each operand in each level: skipping, and a leader, need one that tells what is
    stored."""
    telling = design.skip | ({leader} if leader else set())
    packed = st.sampled_from([f"C({ENTRY_BITS})", "B"])
    either = st.one_of(packed, st.just("U"))
    return {
        tensor: {
            level: data.draw(
                packed
                if (tensor in telling and level == stays[tensor][-1][0])
                or any(level == at and tensor in by for _, at, _, by in design.tiles)
                else either
            )
            for level, _ in stays[tensor]
        }
        for tensor in case.arrays
    }


def dense_of(formats: dict[str, dict[str, str]]) -> dict[str, set[str]]:
    return {t: {level for level, text in by.items() if text == "U"} for t, by in formats.items()}


@pytest.mark.parametrize("name", list(NETS))
@settings(max_examples=4)
@given(data=st.data())
def test_default_mapping(name: str, data: st.DataObject) -> None:
    case = data.draw(cases((name,)))
    design = data.draw(designs(list(case.arrays)))
    levels = data.draw(hierarchies())
    array = dict(zip(("d0", "d1"), data.draw(st.sampled_from(ARRAYS)), strict=True))
    if any(level.get("instances") == "d0" for level in levels.values()):
        array["d1"] = 1
    plain = default_stays(case, levels, 0)
    tiles = data.draw(tile_features(case, plain, design))
    formats = drawn_formats(data, case, design, plain)
    described = design_arch(design, tiles, formats, levels, array)
    mapping = Mapping(space={next(iter(case.sizes)): "d0"}) if "ROW" in levels else None
    charged = run(case, described, mapping)
    loops = [
        Loop(x.name, x.rank, x.block, pes=x.tiles, dims=x.dims) for x in charged.schedule.loops
    ]
    sync = len(charged.schedule.steps)
    instances = {level.name: level.instances for level in charged.arch.levels}
    stays = default_stays(case, levels, sync)
    nest = case.nest(loops, sync, stays, instances, dense_of(formats), levels)
    check(charged, design, formats, nest)


@pytest.mark.parametrize("name", list(NETS))
@settings(max_examples=4)
@given(data=st.data())
def test_any_mapping(name: str, data: st.DataObject) -> None:
    case = data.draw(cases((name,)))
    design = data.draw(designs(list(case.arrays)))
    mapped = data.draw(mappings(case))
    tiles = data.draw(tile_features(case, mapped.stays, design))
    formats = drawn_formats(data, case, design, mapped.stays)
    described = design_arch(design, tiles, formats, mapped.levels, mapped.array)
    charged = run(case, described, mapped.mapping)
    nest = case.nest(
        mapped.loops,
        mapped.sync,
        mapped.stays,
        mapped.instances,
        dense_of(formats),
        mapped.levels,
    )
    check(charged, design, formats, nest)


@settings(max_examples=12)
@given(data=st.data())
def test_windows_that_are_led(data: st.DataObject) -> None:
    case = data.draw(cases(("masked window",)))
    design = data.draw(designs(list(case.arrays)))
    mapped = data.draw(windows(case))
    tiles = data.draw(tile_features(case, mapped.stays, design))
    kind, level = data.draw(st.sampled_from(["skip", "gate"])), list(mapped.levels)[-1]
    design.tiles.append((kind, level, {"I"}, {"G"}))
    tiles.append(f"{kind} I on G @{level}")
    formats = drawn_formats(data, case, design, mapped.stays)
    described = design_arch(design, tiles, formats, mapped.levels, mapped.array)
    charged = run(case, described, mapped.mapping)
    nest = case.nest(
        mapped.loops,
        mapped.sync,
        mapped.stays,
        mapped.instances,
        dense_of(formats),
        mapped.levels,
    )
    check(charged, design, formats, nest)


@pytest.mark.parametrize("name", list(NETS))
@settings(max_examples=4)
@given(data=st.data())
def test_tiles_by_numbers_of_places(name: str, data: st.DataObject) -> None:
    """Stored entries of a leader, flattened ranks, and both; loops of either kind anywhere."""
    case = data.draw(cases((name,)))
    design = data.draw(designs(list(case.arrays)))
    mapped = data.draw(mappings(case, together_too=True))
    tiles = data.draw(tile_features(case, mapped.stays, design))
    formats = drawn_formats(data, case, design, mapped.stays, mapped.leader)
    described = design_arch(design, tiles, formats, mapped.levels, mapped.array)
    charged = run(case, described, mapped.mapping)
    nest = case.nest(
        mapped.loops,
        mapped.sync,
        mapped.stays,
        mapped.instances,
        dense_of(formats),
        mapped.levels,
    )
    check(charged, design, formats, nest)


def test_the_default_is_what_the_design_says() -> None:
    rng = np.random.default_rng(3)
    arrays = {"I": rng.random((2, 3, 6, 7)), "F": rng.random((4, 3, 3, 3))}
    spec = make_spec("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]")
    charged = charge(spec, arch("scnn"), arrays)
    assert [(s.rank, s.block) for s in charged.schedule.steps] == [("c", 1)]
    assert [(a.rank, a.dims) for a in charged.schedule.across] == [
        ("p", ("rows",)),
        ("q", ("cols",)),
    ]


def test_the_judge_imports_nothing_of_the_model() -> None:
    tree = ast.parse((Path(__file__).parent / "simulator.py").read_text())
    modules = [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    ]
    assert sorted(set(modules)) == [
        "__future__",
        "collections",
        "dataclasses",
        "itertools",
        "typing",
    ]


def test_the_judge_counts_what_can_be_counted_by_hand() -> None:
    a = Access("A", ["k"], (4,), (0,), {(1,): 1.0, (2,): 1.0}, {(1,), (2,), (3,)}, set())
    b = Access("B", ["k"], (4,), (0,), {(0,): 1.0, (2,): 1.0, (3,): 1.0}, set(), {"D", "P"})
    stays = {"A": [("D", 0), ("P", 0)], "B": [("D", 0), ("P", 0)], "O": [("D", 0), ("P", 0)]}
    loop = Loop("k", "k", pes=2, dims=("d",))
    nest = Nest({"k": 4}, [], [[a, b]], [loop], 0, stays, {"D": (), "P": ("d",)})
    counts = simulate(nest, Design(skip={"A"}))["counts"]
    assert (counts["dense"], counts["skipped"]) == (4, 1)
    assert (counts["effectual"], counts["ineffectual"]) == (1, 2)
    assert counts["cycles"] == 2
    assert counts["0.0.P.read"] == 3
    assert counts["0.1.P.read"] == 4
