"""Charges against a point-by-point simulation, to the integer."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import NETS, Case, cases, designs, mappings
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator import Design, Nest, ranks_of, simulate

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
    design: Design, formats: dict[str, str], shape: tuple[int, int] = (2, 3)
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
        "array": {"d0": shape[0], "d1": shape[1]},
        "multipliers": design.multipliers,
        "value_bits": 16,
        "accumulator_bits": 32,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "sparse": sparse,
        "formats": {tensor: {"DRAM": text} for tensor, text in formats.items()},
    }


def run(
    case: Case,
    design: Design,
    formats: dict[str, str],
    mapping: Mapping | None,
    shape: tuple[int, int],
) -> Charge:
    spec = make_spec(case.text, sizes=case.sizes, pad=case.pads or None)
    return charge(spec, arch(design_arch(design, formats, shape)), case.arrays, mapping)


def check(charged: Charge, case: Case, design: Design, formats: dict[str, str], nest: Nest) -> None:
    """Every count of a charge against the simulation."""
    simulated = simulate(nest, design)
    found, of_pe = simulated["counts"], simulated["of_pe"]
    for name in ("dense", *CLASSES):
        assert charged.ops[name] == found[name], name
    assert charged.compute_cycles == found["cycles"]
    work = np.zeros(charged.arch.shape, dtype=np.int64)
    for place, count in of_pe.items():
        work[place_in_array(place, nest, charged)] += count
    assert charged.work_per_pe.tolist() == work.tolist()

    bits = dict.fromkeys(case.arrays, 0)
    moved: dict[str, dict[str, int]] = {t: dict.fromkeys(KEYS, 0) for t in case.arrays}
    local = buffer = 0
    most = max(len(term) for term in nest.terms)
    work_terms = [t for t in nest.terms if len(t) > 1] if most > 1 else nest.terms
    result_reads = 0
    for number, term in enumerate(work_terms):
        needed = kept = 0
        for i, access in enumerate(term):
            key, letter = f"{number}.{i}", formats[access.tensor][0]
            entry, place = (ENTRY_BITS * (letter == "C"), int(letter == "B"))
            counts = moved[access.tensor]
            for name in ("fetched", "arrived", "reads"):
                counts[name] += found[f"{key}.{name}"]
            counts["metadata"] += (
                entry * found[f"{key}.fetched"] + place * found[f"{key}.places.fetched"]
            )
            needed += found[f"{key}.most"] * (16 + entry) + place * found[f"{key}.places.most"]
            kept += found[f"{key}.tile"] * (16 + entry) + place * found[f"{key}.places.tile"]
        local, buffer = max(local, needed), max(buffer, kept)
        result_reads += found[f"{number}.-1.reads"]
    in_work = {access.tensor for term in work_terms for access in term}
    in_additions = {a.tensor for t in nest.terms if t not in work_terms for a in t}
    for tensor in in_work - in_additions:
        glb, pe, counts = charged.at("GLB", tensor), charged.at("PE", tensor), moved[tensor]
        assert glb.reads == counts["fetched"], tensor
        assert glb.read_data_bits == 16 * counts["fetched"], tensor
        assert glb.read_metadata_bits == counts["metadata"], tensor
        assert pe.writes == counts["arrived"], tensor
        assert pe.reads == counts["reads"], tensor
    assert bits == dict.fromkeys(case.arrays, 0)
    result = charged.at("PE", "O")
    additions = [term for term in nest.terms if term not in work_terms]
    added = sum(prod(nest.extents[r] for r in ranks_of(nest, term)) for term in additions)
    assert charged.additions == added
    assert result.writes == result_reads + added
    assert result.reads == result_reads + added + found["written"]
    assert charged.at("GLB", "O").writes == found["written"]
    assert charged.capacity[0].needed_bits == buffer
    assert charged.capacity[1].needed_bits == local + 32 * found["most_result"]


KEYS = ("fetched", "arrived", "reads", "metadata")


def place_in_array(place: tuple[int, ...], nest: Nest, charged: Charge) -> tuple[int, ...]:
    """The PE of the tiles of each rank across: flattened dimensions unravelled."""
    index = dict.fromkeys((name for name, _ in charged.arch.array), 0)
    sizes = dict(charged.arch.array)
    for tile, across in zip(place, charged.schedule.across, strict=True):
        coordinates = np.unravel_index(tile, [sizes[d] for d in across.dims])
        index.update(zip(across.dims, map(int, coordinates), strict=True))
    return tuple(index.values())


def drawn_formats(data: st.DataObject, case: Case, design: Design) -> dict[str, str]:
    packed = st.sampled_from([f"C({ENTRY_BITS})", "B"])
    return {
        tensor: data.draw(packed if tensor in design.skip else st.one_of(packed, st.just("U")))
        for tensor in case.arrays
    }


@pytest.mark.parametrize("name", list(NETS))
@settings(max_examples=6)
@given(data=st.data())
def test_default_mapping(name: str, data: st.DataObject) -> None:
    case = data.draw(cases((name,)))
    design = data.draw(designs(list(case.arrays)))
    formats = drawn_formats(data, case, design)
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    charged = run(case, design, formats, None, shape)
    steps = [(s.rank, s.block) for s in charged.schedule.steps]
    across = [(a.rank, a.tiles) for a in charged.schedule.across]
    dense = {tensor for tensor, text in formats.items() if text == "U"}
    check(charged, case, design, formats, case.nest(steps, across, dense))


@pytest.mark.parametrize("name", list(NETS))
@settings(max_examples=6)
@given(data=st.data())
def test_any_mapping(name: str, data: st.DataObject) -> None:
    case = data.draw(cases((name,)))
    design = data.draw(designs(list(case.arrays)))
    formats = drawn_formats(data, case, design)
    mapping, steps, placed = data.draw(mappings(case))
    shape = (2, 3)
    charged = run(case, design, formats, mapping, shape)
    tiles = {"d0": 2, "d1": 3, "d0*d1": 6}
    across = [(rank, tiles[dims]) for rank, dims in placed]
    dense = {tensor for tensor, text in formats.items() if text == "U"}
    check(charged, case, design, formats, case.nest(steps, across, dense))


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
    from simulator import Access

    a = Access("A", ["k"], (4,), (0,), {(1,): 1.0, (2,): 1.0}, {(1,), (2,), (3,)}, False)
    b = Access("B", ["k"], (4,), (0,), {(0,): 1.0, (2,): 1.0, (3,): 1.0}, set(), True)
    nest = Nest({"k": 4}, [], [[a, b]], [], [("k", 2)])
    assert ranks_of(nest, [a, b]) == ["k"]
    counts = simulate(nest, Design(skip={"A"}))["counts"]
    assert (counts["dense"], counts["skipped"]) == (4, 1)
    assert (counts["effectual"], counts["ineffectual"]) == (1, 2)
    assert counts["cycles"] == 2
    assert counts["0.0.fetched"] == 3
    assert counts["0.1.fetched"] == 4
