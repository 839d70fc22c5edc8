"""Charges against a point-by-point simulation, to the integer."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import GATHERED, NETS, SCATTERED, cases
from described import dense_of, design_arch, drawn_formats
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from judged import check, drawn, run
from mapped_cases import (
    ARRAYS,
    default_stays,
    designs,
    hierarchies,
    mappings,
    tile_features,
    windows,
)
from mapped_nest import Nest
from nest_parts import Access, Design, Loop
from simulator import simulate

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Mapping, arch, charge

JUDGES = (
    "tree_judge",
    "nest_parts",
    "mapped_nest",
    "simulator",
    "room_judge",
    "spill_judge",
    "epoch_judge",
    "epoch_log",
    "line_epoch_judge",
    "vector_judge",
    "fiber_judges",
    "trace_judge",
    "fused_judge",
    "turns_judge",
    "halo_judge",
    "leave_judge",
)
pytestmark = pytest.mark.usefixtures("without_compiling")


@pytest.mark.parametrize("name", [*NETS, *GATHERED, *SCATTERED])
@settings(max_examples=4)
@given(data=st.data())
def test_default_mapping(name: str, data: st.DataObject) -> None:
    case = data.draw(cases((name,)))
    design = data.draw(designs(case.factors))
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
    check(charged, design, formats, nest, case.arrays)


@pytest.mark.parametrize("name", [*NETS, *GATHERED, *SCATTERED])
@settings(max_examples=4)
@given(data=st.data())
def test_any_mapping(name: str, data: st.DataObject) -> None:
    case = data.draw(cases((name,)))
    made = drawn(data, case, data.draw(mappings(case)), tiles=True)
    made.check(made.charge())


@pytest.mark.parametrize("name", [*NETS, *GATHERED, *SCATTERED])
@settings(max_examples=4)
@given(data=st.data())
def test_tensors_whose_home_is_on_chip(name: str, data: st.DataObject) -> None:
    """No level but the home and those inside it have anything of such a tensor."""
    case = data.draw(cases((name,)))
    made = drawn(data, case, data.draw(mappings(case, homes_too=True)), tiles=True)
    try:
        charged = made.charge()
    except ArchError as error:
        if "nothing transposes it on chip" not in str(error):
            raise
        assume(False)
    made.check(charged)
    for tensor, stays in made.mapped.stays.items():
        for level in list(made.mapped.levels):
            if level not in dict(stays):
                assert charged.at(level, tensor).bits == 0, (level, tensor)


@pytest.mark.parametrize("name", [*NETS, *GATHERED, *SCATTERED])
@settings(max_examples=6)
@given(data=st.data())
def test_tensors_that_pass_levels(name: str, data: st.DataObject) -> None:
    case = data.draw(cases((name,)))
    together = data.draw(st.booleans())
    more = {"homes_too": data.draw(st.booleans()), "together_too": together}
    made = drawn(data, case, data.draw(mappings(case, streams_too=True, **more)), tiles=True)
    try:
        charged = made.charge()
    except ArchError as error:
        if "nothing transposes it on chip" not in str(error):
            raise
        assume(False)
    made.check(charged)
    for tensor, level in made.mapped.words:
        if level != list(made.mapped.levels)[-1]:
            at = charged.at(level, tensor)
            assert (at.reads, at.read_metadata_bits) == (at.writes, at.write_metadata_bits)


@settings(max_examples=12)
@given(data=st.data())
def test_windows_that_are_led(data: st.DataObject) -> None:
    case = data.draw(cases(("masked window",)))
    mapped = data.draw(windows(case))
    kind, level = data.draw(st.sampled_from(["skip", "gate"])), list(mapped.levels)[-1]
    made = drawn(data, case, mapped, ((kind, level, {"I"}, {"G"}),), tiles=True)
    made.check(made.charge())


@pytest.mark.parametrize("name", [*NETS, *GATHERED, *SCATTERED])
@settings(max_examples=4)
@given(data=st.data())
def test_tiles_by_numbers_of_places(name: str, data: st.DataObject) -> None:
    """Stored entries of a leader, flattened ranks, and both; loops of either kind anywhere."""
    case = data.draw(cases((name,)))
    made = drawn(data, case, data.draw(mappings(case, together_too=True)), tiles=True)
    made.check(made.charge())


EMPTY = {
    "transposed": ("c",),
    "conv 1-D": ("c", "s"),
    "fully connected": ("c", "w"),
    "chain": ("k", "l"),
    "two products": ("k", "l"),
    "sum pooling": ("r",),
}
"""Layers, and of each the ranks that are summed over."""


@pytest.mark.parametrize("name", list(EMPTY))
@settings(max_examples=12)
@given(data=st.data())
def test_empty_sums_leave_once(name: str, data: st.DataObject) -> None:
    """Whatever the mapping: it has no parts that could leave one by one."""
    case = data.draw(cases((name,), EMPTY[name]))
    made = drawn(data, case, data.draw(mappings(case)), tiles=True)
    charged = made.charge()
    made.check(charged)
    if not any(plan.term.points for plan in charged.cascade.terms):
        levels = [level for level, _ in made.mapped.stays["O"]]
        assert charged.at(levels[0], "O").reads == 0
        assert charged.at(levels[-1], "O").writes == 0


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


@pytest.mark.parametrize("module", JUDGES)
def test_the_judge_imports_nothing_of_the_model(module: str) -> None:
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    assert found <= {*sys.stdlib_module_names, *JUDGES}


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
