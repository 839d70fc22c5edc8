"""A cache between other levels, against a walk through all points of a nest."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from cases import Case, cases
from described import design_arch, trees_of
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from mapped_cases import ARRAYS, cuts, default_stays, designs, tile_features
from mapped_nest import Nest
from nest_parts import Design
from test_spilling import what_stays
from test_traces import PARTIAL, PRODUCTS, lying, mapped
from trace_judge import Lying, through_cache

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, arch, asking, charge
from zeroskip.hwmodel.streamed import streams_of

pytestmark = pytest.mark.usefixtures("without_compiling")

ORDERS = (("L2", "GLB"), ("GLB", "L1"), ("L2", "GLB", "L1"), ("GLB", "ROW"))
"""Levels between the one off chip and the PEs; GLB is the cache, ROW has an instance a row."""
BITS = {"read_bits": 1, "pointer_bits": 32, "lists": "read"}


class Drawn:
    """A mapped layer on a design with a cache somewhere, and what the judge goes by."""

    def __init__(
        self,
        data: st.DataObject,
        case: Case,
        *,
        homes_too: bool = False,
        streams_too: bool = False,
        spills_too: bool = False,
    ) -> None:
        self.case = case
        between = data.draw(st.sampled_from([x for x in ORDERS if "L1" in x or not spills_too]))
        array = dict(zip(("d0", "d1"), data.draw(st.sampled_from(ARRAYS)), strict=True))
        plain, loops = mapped(data, case, array)
        self.design: Design = data.draw(designs(list(case.arrays)))
        told = {t: lying(data, case, t, lists=not spills_too) for t in case.arrays}
        names = ("DRAM", *between, "RF")
        self.outside = names[names.index("GLB") - 1]
        shared = [name for name in between if name in ("L2", "L1")]
        homes = {
            tensor: data.draw(st.sampled_from(shared))
            for tensor in [*case.arrays, "O"]
            if homes_too and shared and data.draw(st.booleans())
        }
        outer = names[: names.index("GLB")]
        formats = {
            t: {name: text if name in outer else "C(13)" for name in names}
            for t, (_, text) in told.items()
        }
        self.lyings: dict[str, Lying] = {tensor: one for tensor, (one, _) in told.items()}
        levels: dict[str, Any] = {name: {} for name in names} | {"RF": {"instances": "d0*d1"}}
        instances: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
        instances["RF"] = ("d0", "d1")
        for name in ("L1", "ROW"):
            if name in between:
                levels[name] = {"halo": "whole"}
        if "ROW" in between:
            levels["ROW"]["instances"] = "d0"
            instances["ROW"] = ("d0",)
        if streams_too or spills_too:
            levels["RF"]["halo"] = "whole"
        rounds = any(x.pes and x.iterations(case.sizes) < case.sizes[x.rank] for x in loops)
        self.passes = [
            (tensor, name)
            for tensor in case.arrays
            for name in names[1:]
            if streams_too and not (rounds and name == "RF") and data.draw(st.integers(0, 2)) == 0
        ]
        self.policy = data.draw(st.sampled_from(["lru", "optimal", "bypass"]))
        self.capacity = data.draw(st.sampled_from([1, 40, 150, 400, 10**6]))
        self.special = {"GLB": {"cache": self.policy, "capacity_bits": self.capacity}}
        stays = default_stays(case, levels, 0)
        inner = next((name for name in ("L1", "ROW") if name in between), None)
        order = list(plain.order)
        if inner is not None:
            across = [number for number, loop in enumerate(loops) if loop.pes]
            deepest = min(across, default=len(order))
            at = data.draw(st.integers(0, deepest))
            local = data.draw(st.integers(at, deepest)) if spills_too else at
            barred = {*self.passes, *homes.items()}
            for name, place in (("RF", local), (inner, at)):
                marked = [tensor for tensor in case.arrays if (tensor, name) not in barred]
                order.insert(place, f"@{name}({','.join(marked)})" if marked else "")
                for tensor in case.arrays:
                    own = [(level, place if level == name else p) for level, p in stays[tensor]]
                    stays[tensor] = own
        told_homes, self.cut = {}, False
        for tensor, home in homes.items():
            most = at if inner is not None and tensor in case.arrays else len(loops)
            depth = data.draw(st.sampled_from([0, *cuts(case, tensor, loops[:most])]))
            told_homes[tensor] = " ".join([home, *(x.name for x in loops[:depth][-1:])])
            first = [name for name, _ in stays[tensor]].index(home)
            stays[tensor] = [(name, max(depth, p)) for name, p in stays[tensor][first:]]
            if home == "L2" and tensor in case.arrays:
                lying_ = self.lyings[tensor]
                inside = [case.subscripts(tensor)[0][a] for a in lying_.order[-lying_.inner :]]
                several = [x for x in loops[:depth] if x.iterations(case.sizes) > 1]
                self.cut |= any(x.rank in inside for x in several)
        named = [word for word in order if word]
        stream = {
            name: ",".join(t for t, level in self.passes if level == name)
            for name in {name for _, name in self.passes}
        }
        self.mapping = replace(
            plain, order=tuple(named), home=told_homes, stream=streams_of(stream)
        )
        self.nest: Nest = case.nest(loops, 0, stays, instances, {}, levels)
        self.nest.words = dict.fromkeys(self.passes, 1)
        told_apart = all(one.packed for one in self.lyings.values())
        tiled = [x for x in names if x != "GLB" and (told_apart or x != "L2")]
        kept = {
            t: [by[0], *(x for x in by[1:] if x[0] in tiled and (t, x[0]) not in self.passes)]
            for t, by in stays.items()
        }
        led = data.draw(tile_features(case, kept, self.design))
        self.described = design_arch(self.design, led, formats, levels, array)

    def spilling(self, data: st.DataObject) -> None:
        """Let L1 be too small for its tiles."""
        plain = self.charge(plain=True)
        room = next(room for room in plain.capacity if room.level == "L1")
        by_layer(self.nest, plain)
        least = max(room.result_bits, 1)
        assume(room.needed_bits > least)
        bits = data.draw(st.integers(least, room.needed_bits - 1))
        self.described["levels"]["L1"]["capacity_bits"] = bits
        self.mapping = replace(self.mapping, overflow={"L1": "spill"})
        with suppress(ArchError):  # of tiles that share places
            self.charge(plain=True)
            shapes = {name: array.shape for name, array in self.case.arrays.items()}
            told = {
                t: {name: text for name, text in by.items() if text == "C(13)"}
                for t, by in self.described["formats"].items()
            }
            self.nest.trees = trees_of(self.described["levels"], told, shapes)
            self.nest.stay_in = what_stays(self.nest, self.design, told, {"L1": bits})
            return
        assume(False)

    def charge(self, *, plain: bool = False, alike: bool = False) -> Charge:
        """plain : without a cache; alike : with its format that of the level outside."""
        spec = make_spec(self.case.text, sizes=self.case.sizes, pad=self.case.pads or None)
        levels = self.described["levels"] | ({} if plain else self.special)
        formats = self.described["formats"]
        if alike:
            formats = {t: by | {"GLB": by[self.outside]} for t, by in formats.items()}
        described = arch(self.described | {"levels": levels, "formats": formats})
        return charge(spec, described, self.case.arrays, self.mapping)


def by_layer(nest: Nest, found: Charge) -> None:
    """Put operands in the order that the layer has them in."""
    listed = [operand.tensor for operand in found.layer.work[0].operands]
    nest.terms[0].sort(key=lambda access: listed.index(access.tensor))


def check(made: Drawn, found: Charge) -> None:
    plain, nest = made.charge(plain=True), made.nest
    alike = made.charge(plain=True, alike=True)
    by_layer(nest, found)
    given_ = nest, made.lyings, made.design, BITS, made.capacity, made.policy
    wanted = through_cache(*given_)
    for tensor in {*made.case.arrays, "O"} - set(wanted):
        for level in found.arch.levels:
            assert found.at(level.name, tensor) == plain.at(level.name, tensor)
    for tensor, moved in wanted.items():
        read = moved["entries"], moved["data"], moved["metadata"]
        kept = [level for level, _ in nest.keeping(tensor)]
        source = kept[kept.index("GLB") - 1]
        passed = [level for level in ("L2",) if (tensor, level) in nest.words]
        for level in (source, *passed):
            at, before = found.at(level, tensor), plain.at(level, tensor)
            assert (at.reads, at.read_data_bits, at.read_metadata_bits) == read, tensor
            wrote = (at.writes, at.write_data_bits, at.write_metadata_bits)
            own = (before.writes, before.write_data_bits, before.write_metadata_bits)
            assert wrote == (own if level == source else read), tensor
        at, same = found.at("GLB", tensor), alike.at("GLB", tensor)
        assert (at.writes, at.write_data_bits, at.write_metadata_bits) == read
        assert (at.reads, at.read_bits) == (same.reads, same.read_bits)
        assert at.decoded_bits == same.decoded_bits
        for level in found.arch.levels:
            if level.name not in ("GLB", source, *passed):
                assert found.at(level.name, tensor) == alike.at(level.name, tensor)
    assert (found.ops, found.compute_cycles) == (plain.ops, plain.compute_cycles)


@pytest.mark.parametrize("name", PRODUCTS)
@settings(max_examples=6)
@given(data=st.data())
def test_a_cache_beside_homes_on_chip(name: str, data: st.DataObject) -> None:
    """Of those outside it brings fibers as from off chip; for those inside nobody asks it."""
    made = Drawn(data, data.draw(cases((name,))), homes_too=True)
    if made.cut:
        text = "a cache, brings whole ones from there|nothing transposes it on chip"
        with pytest.raises(ArchError, match=text):
            made.charge()
        return
    try:
        found = made.charge()
    except ArchError as error:
        assume("nothing transposes it on chip" not in str(error))
        raise
    check(made, found)


@pytest.mark.parametrize("name", PRODUCTS)
@settings(max_examples=6)
@given(data=st.data())
def test_a_cache_beside_what_passes_levels(name: str, data: st.DataObject) -> None:
    """Inside it, each pass asks for its fibers; outside, what it brings passes; the cache itself
    has no part in what passes it."""
    made = Drawn(data, data.draw(cases((name,))), streams_too=True)
    check(made, made.charge())


@pytest.mark.parametrize("name", PRODUCTS)
@settings(max_examples=5)
@given(data=st.data())
def test_a_cache_beside_tiles_that_spill(name: str, data: st.DataObject) -> None:
    """Of tiles inside it: what stays asks when it comes, what passes at each use."""
    made = Drawn(data, data.draw(cases((name,))), spills_too=True)
    made.spilling(data)
    check(made, made.charge())


@pytest.mark.parametrize("name", [*PRODUCTS, *PARTIAL])
@settings(max_examples=6)
@given(data=st.data())
def test_a_cache_anywhere(name: str, data: st.DataObject) -> None:
    made = Drawn(data, data.draw(cases((name,))))
    check(made, made.charge())


loops_of = asking._loops_of


def fewer_loops(*given_: Any) -> Any:
    return loops_of(*given_)[:-1]


def all_at_once(*given_: Any) -> Any:
    del given_
    return []


tiles_of = asking.tiles_of


def without_parts(nest: Any, number: int, bound: Any, keys: Any, called: Any, parts: Any) -> Any:
    del parts
    return tiles_of(nest, number, bound, keys, called)


called_rows = asking.called_rows


def every_tile(calls: Any, counts: Any) -> Any:
    return called_rows((), counts)


MUTANTS = {
    "a loop fewer": ("_loops_of", fewer_loops),
    "all comes at once": ("_loops_of", all_at_once),
    "what passes asks as if it stayed": ("tiles_of", without_parts),
    "uncalled tiles come": ("called_rows", every_tile),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_another_rule_is_found_out(mutant: str) -> None:
    caught = []

    @settings(max_examples=150, phases=(Phase.generate,))
    @given(data=st.data())
    def against_the_judge(data: st.DataObject) -> None:
        spills = data.draw(st.booleans())
        case = data.draw(cases(("matrix product", "matrix vector")))
        made = Drawn(data, case, spills_too=spills)
        if caught:
            return
        if spills:
            made.spilling(data)
        right = made.charge()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asking, *MUTANTS[mutant])
            wrong = made.charge()
        if wrong.traffic != right.traffic:
            with pytest.raises(AssertionError):
                check(made, wrong)
            caught.append(1)

    against_the_judge()
    assert caught
