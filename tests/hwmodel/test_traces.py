"""Caches and lines of any mapped product, against a walk through all of its points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from cases import GATHERED, SCATTERED, Case, cases
from described import design_arch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from mapped_cases import ARRAYS, blocks_of, default_stays, designs, tile_features
from mapped_nest import Nest
from nest_parts import Design, Loop
from trace_judge import Lying, through_cache

from zeroskip.einsum_spec import make_spec
from zeroskip.hwmodel import Charge, Mapping, arch, asking, caches, charge, lined, relations, traces
from zeroskip.hwmodel.lines import Layout

pytestmark = pytest.mark.usefixtures("without_compiling")

PRODUCTS = (
    "matrix product",
    "matrix vector",
    "dot product",
    "elementwise",
    "conv",
    "conv 1-D",
    "depthwise",
    "pointwise",
    "transposed",
    "fully connected",
    "upsampling",
    "one channel",
    "gram",
    "three operands",
    "masked window",
    "chain",
    "relu inside",
)
PARTIAL = (
    "causal scores",
    "causal values",
    "causal sums",
    "band",
    "window within",
    "nothing of the diagonal",
)
"""Of a part of their points."""
NAMED = tuple(name for name in GATHERED | SCATTERED if name != "bias by name")
"""Of places that data names."""


def lying(data: st.DataObject, case: Case, tensor: str, *, lists: bool = True) -> tuple[Lying, str]:
    """A format off chip, told twice.  lists : whether fibers that are empty may be left out."""
    ndim = case.arrays[tensor].ndim
    order = data.draw(st.permutations(range(ndim)))
    packed = data.draw(st.integers(0, 3)) > 0
    inner = data.draw(st.integers(1, ndim)) if packed else 1
    outer = order[: ndim - inner]
    listed = lists and packed and len(outer) >= 1 and data.draw(st.booleans())
    names = "abcdefg"
    ranks = [f"{names[a]}:U" for a in outer]
    if listed:
        ranks = [f"{'*'.join(names[a] for a in outer)}:C(12)"]
    last = "C(20)" if packed else "U"
    ranks.append(f"{'*'.join(names[a] for a in order[ndim - inner :])}:{last}")
    text = f"[{','.join(names[:ndim])}] {' '.join(ranks)}"
    return Lying(list(order), inner, packed, listed, 12, 20, case.width(tensor)), text


def mapped(data: st.DataObject, case: Case, array: dict[str, int]) -> tuple[Mapping, list[Loop]]:
    """Any order of loops, some split, one across PEs wherever it stands."""
    split, loops = {}, []
    for rank in case.sizes:
        blocks = data.draw(st.one_of(st.just([]), st.just([]), blocks_of(3)))
        if blocks:
            split[rank] = blocks
        names = [f"{rank}{n}" for n in range(len(blocks), -1, -1)] if blocks else [rank]
        for n, (name, block) in enumerate(zip(names, [*blocks, 1], strict=True)):
            loops.append(Loop(name, rank, block, tuple(blocks[:n])))
    loops = data.draw(st.permutations(loops))
    space = {}
    whole = [x for x in loops if x.block == 1 and not x.within]
    if whole and data.draw(st.booleans()):
        across = data.draw(st.sampled_from(whole))
        across.dims, across.pes = ("d0",), array["d0"]
        space[across.name] = "d0"
    return Mapping([x.name for x in loops], split, space, sync="none"), loops


@dataclass
class Drawn:
    """A mapped layer on a design with lines and a cache, and what the judge goes by."""

    case: Case
    mapping: Mapping
    described: dict[str, Any]
    special: dict[str, Any]
    nest: Nest
    design: Design
    how: tuple[Any, ...]

    def charge(self, *, plain: bool = False, alike: bool = False) -> Charge:
        """plain : by single bits, and all that the mapping keeps is kept; alike : GLB has the
        formats of DRAM, as a cache has them whatever its own are."""
        spec = make_spec(self.case.text, sizes=self.case.known, pad=self.case.pads or None)
        levels = self.described["levels"] | ({} if plain else self.special)
        formats = self.described["formats"]
        if alike:
            formats = {t: by | {"GLB": by["DRAM"]} for t, by in formats.items()}
        described = arch(self.described | {"levels": levels, "formats": formats})
        return charge(spec, described, self.case.arrays, self.mapping)


def drawn(data: st.DataObject, case: Case) -> Drawn:
    array = dict(zip(("d0", "d1"), data.draw(st.sampled_from(ARRAYS)), strict=True))
    mapping, loops = mapped(data, case, array)
    design = data.draw(designs(case.factors))
    across = [number for number, loop in enumerate(loops) if loop.pes]
    at = data.draw(st.integers(0, min(across, default=len(loops))))
    order = list(mapping.order)
    order.insert(at, f"@RF({','.join(case.arrays)})")
    mapping = replace(mapping, order=tuple(order))
    told = {t: lying(data, case, t, lists=t not in case.gathered) for t in case.arrays}
    formats = {t: {"DRAM": text, "GLB": "C(13)", "RF": "C(13)"} for t, (_, text) in told.items()}
    policy = data.draw(st.sampled_from(["lru", "optimal", "bypass"]))
    lines = {
        "read_bits": data.draw(st.sampled_from([1, 16, 48])),
        "pointer_bits": 24,
        "lists": data.draw(st.sampled_from(["read", "unread"])),
    }
    capacity = data.draw(st.sampled_from([1, 40, 150, 400, 10**6]))
    levels: dict[str, Any] = {"DRAM": {}, "GLB": {}, "RF": {"instances": "d0*d1"}}
    special = {"DRAM": {"lines": lines}, "GLB": {"cache": policy, "capacity_bits": capacity}}
    instances: dict[str, tuple[str, ...]] = {"DRAM": (), "GLB": (), "RF": ("d0", "d1")}
    stays = {
        tensor: [(name, at if name == "RF" and tensor != "O" else 0) for name, _ in kept]
        for tensor, kept in default_stays(case, levels, 0).items()
    }
    nest = case.nest(loops, 0, stays, instances, {}, levels)
    by_units = {tensor: [kept[0], kept[-1]] for tensor, kept in stays.items()}
    led = data.draw(tile_features(case, by_units, design))
    described = design_arch(design, led, formats, levels, array)
    lyings = {tensor: one for tensor, (one, _) in told.items()}
    how = lyings, lines, capacity, policy
    return Drawn(case, mapping, described, special, nest, design, how)


def check(made: Drawn, found: Charge) -> None:
    lyings, lines, capacity, policy = made.how
    plain, nest = made.charge(plain=True), made.nest
    alike = made.charge(plain=True, alike=True)
    listed = [operand.tensor for operand in found.layer.work[0].operands]
    nest.terms[0].sort(key=lambda access: listed.index(access.tensor))
    wanted = through_cache(nest, lyings, made.design, lines, capacity, policy)
    for tensor, moved in wanted.items():
        at, before = found.at("DRAM", tensor), alike.at("GLB", tensor)
        assert at.reads == moved["entries"], tensor
        assert at.read_data_bits == moved["data"], tensor
        assert at.read_metadata_bits == moved["metadata"], tensor
        assert (at.writes, at.write_bits) == (0, 0)
        at = found.at("GLB", tensor)
        assert at.writes == moved["entries"]
        assert (at.write_data_bits, at.write_metadata_bits) == (moved["data"], moved["metadata"])
        assert (at.reads, at.read_bits) == (before.reads, before.read_bits)
        assert found.at("RF", tensor) == alike.at("RF", tensor)
    assert (found.ops, found.compute_cycles) == (plain.ops, plain.compute_cycles)
    assert found.at("DRAM", "O") == plain.at("DRAM", "O")


@pytest.mark.parametrize("name", [*PRODUCTS, *PARTIAL, *NAMED])
@settings(max_examples=10)
@given(data=st.data())
def test_a_cache_in_any_nest(name: str, data: st.DataObject) -> None:
    case = data.draw(cases((name,)))
    made = drawn(data, case)
    check(made, made.charge())


def strip_nothing(nest: Any, operand: Any, bound: Any) -> Any:
    return nest.loops


def strip_what_it_lacks(nest: Any, operand: Any, bound: Any) -> Any:
    left = list(nest.loops)
    while left and left[-1].rank not in operand.variables:
        left.pop()
    return tuple(left)


trace_of = traces.trace_of


def innermost_first(*given: Any) -> Any:
    found = trace_of(*given)
    return replace(found, times=found.times[:, ::-1])


def led_by(says: bool) -> Any:
    def made(*given: Any) -> Any:
        return replace(trace_of(*given), led=says)

    return made


called = traces._called


def by_its_own(nest: Any, others: Any, *given: Any) -> Any:
    return called(nest, (), *given)


called_rows = traces.called_rows


def every_tile(calls: Any, counts: Any) -> Any:
    return called_rows((), counts)


bits_of_layout = Layout.bits


def without_coordinates(layout: Any) -> Any:
    data, metadata = bits_of_layout(layout)
    return data, metadata * 0


misses = caches.misses


def as_lru(trace: Any, sizes: Any, capacity: Any, policy: str) -> Any:
    return misses(trace, sizes, capacity, "lru" if policy != "lru" else "optimal")


def from_everyone(layer: Any, arch: Any, schedule: Any, accounting: Any, *rest: Any) -> Any:
    rules = tuple(replace(rule, skipped_by=True) for rule in accounting.policy.terms[0])
    known = replace(accounting, policy=replace(accounting.policy, terms=(rules,)))
    return lined_through(layer, arch, schedule, known, *rest)


inside_of = traces.inside_of


def all_points(*given: Any) -> Any:
    return np.ones_like(inside_of(*given))


values_of = relations.values_of


def the_first(subscript: Any, at: Any, constants: Any, tables: Any) -> Any:
    return values_of(subscript, at, constants, {name: x * 0 for name, x in tables.items()})


lined_through = lined._through_cache
MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "every loop is an access": (traces, "loops_outside", strip_nothing),
    "no loop goes along": (traces, "loops_outside", strip_what_it_lacks),
    "innermost comes first": (asking, "trace_of", innermost_first),
    "who is asked for is told": (asking, "trace_of", led_by(True)),
    "nobody tells": (asking, "trace_of", led_by(False)),
    "others call for nothing": (traces, "_called", by_its_own),
    "all others call": (lined, "_through_cache", from_everyone),
    "coordinates need no room": (Layout, "bits", without_coordinates),
    "a bracket keeps nothing away": (traces, "inside_of", all_points),
    "a leader keeps nothing away": (asking, "called_rows", every_tile),
    "every name is the first": (relations, "values_of", the_first),
    "another policy": (lined, "misses", as_lru),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_another_rule_is_found_out(mutant: str) -> None:
    """Where it changes a figure, the judge says so; and it does somewhere."""
    where, name, instead = MUTANTS[mutant]
    caught = []

    @settings(max_examples=400, phases=(Phase.generate,))
    @given(data=st.data())
    def against_the_judge(data: st.DataObject) -> None:
        made = drawn(data, data.draw(cases(("matrix product", "conv 1-D", "band", "rows by name"))))
        if caught:
            return
        right = made.charge()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(where, name, instead)
            wrong = made.charge()
        if wrong.traffic != right.traffic:
            with pytest.raises(AssertionError):
                check(made, wrong)
            caught.append(1)

    against_the_judge()
    assert caught
