"""Whole lines and caches by epochs, against a simulation that walks them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import Case, cases
from described import design_arch
from epoch_judge import times
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from judged import Drawn, machine_of, with_time
from line_epoch_judge import LineMemory, whole_of
from line_epoch_judge import reached as reached_by
from mapped_cases import ARRAYS, Mapped, default_stays, designs, mappings, tile_features
from test_cache_anywhere import ORDERS
from test_traces import NAMED, PARTIAL, PRODUCTS, mapped
from trace_judge import Lying

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, arch, charge, epoch_lines
from zeroskip.hwmodel.lines import Layout

pytestmark = pytest.mark.usefixtures("without_compiling")
BITS = {"read_bits": 1, "write_bits": 1, "pointer_bits": 32, "lists": "read"}
"""What a level without lines is behind a cache."""
WITHIN = tuple(name for name in PRODUCTS if name != "relu inside")
ALONE = tuple(name for name in (*PRODUCTS, *PARTIAL, *NAMED) if name not in ("gram", "relu inside"))


def lying(data: st.DataObject, shape: tuple[int, ...], value: int, *, lists: bool) -> Lying:
    """How a tensor of fibers lies.  lists : whether those that are empty may be left out."""
    ndim = len(shape)
    order = data.draw(st.permutations(range(ndim)))
    packed = data.draw(st.integers(0, 3)) > 0
    inner = data.draw(st.integers(1, ndim)) if packed else 1
    listed = lists and packed and inner < ndim and data.draw(st.booleans())
    return Lying(list(order), inner, packed, listed, 12, 20, value)


def text_of(found: Lying) -> str:
    """The same in words of zeroskip."""
    outer = found.order[: len(found.order) - found.inner]
    ranks = [f"{'*'.join(map(str, outer))}:C(12)"] if found.listed else [f"{a}:U" for a in outer]
    last = "*".join(str(a) for a in found.order[len(outer) :])
    return " ".join([*ranks, f"{last}:{'C(20)' if found.packed else 'U'}"])


def lines_drawn(data: st.DataObject) -> dict[str, Any]:
    return {
        "read_bits": data.draw(st.sampled_from([1, 16, 48])),
        "write_bits": data.draw(st.sampled_from([1, 16, 48])),
        "pointer_bits": 24,
        "lists": data.draw(st.sampled_from(["read", "unread"])),
    }


def result_drawn(data: st.DataObject, case: Case, made: Drawn) -> tuple[Any, ...] | None:
    """How the result lies where it is compressed; half of the time it is not."""
    spec = make_spec(case.text, sizes=case.known, pad=case.pads or None)
    shape = spec.extents({t: array.shape for t, array in case.arrays.items()}).shapes["O"]
    at_home = made.mapped.stays["O"][0][0] == "DRAM"
    if not shape or not at_home or data.draw(st.booleans()):
        return None
    found = replace(lying(data, shape, 16, lists=True), packed=True)
    inside = dict.fromkeys(list(made.mapped.levels)[1:], "U")
    made.described["formats"]["O"] = {"DRAM": text_of(found), **inside}
    return found, reached_by(made.nest()), shape


def tiled(data: st.DataObject, name: str) -> tuple[Drawn, LineMemory]:
    """Any mapping on any levels, operands in lines off chip or at home on it, some tiles called for
    by a leader, loads and work overlapping."""
    case = data.draw(cases((name,)))
    placed = data.draw(mappings(case, homes_too=data.draw(st.booleans())))
    design = data.draw(designs(case.factors))
    led = data.draw(tile_features(case, placed.kept, design))
    told = {
        tensor: lying(data, array.shape, case.width(tensor), lists=False)
        for tensor, array in case.arrays.items()
    }
    inside = dict.fromkeys(list(placed.levels)[1:], "C(13)")
    formats = {tensor: {"DRAM": text_of(one), **inside} for tensor, one in told.items()}
    described = design_arch(design, led, dict(formats), placed.levels, placed.array)
    made = with_time(data, Drawn(case, placed, design, formats, described))
    lines = lines_drawn(data)
    levels = made.described["levels"]
    made.described["levels"] = levels | {"DRAM": levels["DRAM"] | {"lines": lines}}
    return made, LineMemory("DRAM", lines, told, result=result_drawn(data, case, made))


def cached(data: st.DataObject, name: str) -> tuple[Drawn, LineMemory]:
    """A cache somewhere, off chip in lines or by single bits, some tiles called for by a leader,
    loads and work overlapping."""
    case = data.draw(cases((name,)))
    between = data.draw(st.sampled_from(ORDERS))
    names = ("DRAM", *between, "RF")
    array = dict(zip(("d0", "d1"), data.draw(st.sampled_from(ARRAYS)), strict=True))
    plain, loops = mapped(data, case, array)
    across = next((number for number, loop in enumerate(loops) if loop.pes), len(loops))
    sync = data.draw(st.integers(0, across))
    levels: dict[str, Any] = {name: {} for name in names} | {"RF": {"instances": "d0*d1"}}
    for level in ("L1", "ROW"):
        if level in between:
            levels[level] = {"halo": "whole"}
    if "ROW" in between:
        levels["ROW"]["instances"] = "d0"
    stays = default_stays(case, levels, sync)
    order = list(plain.order)
    inner = next((name for name in ("L1", "ROW") if name in between), "RF")
    at = data.draw(st.integers(0, sync))
    for tensor in case.arrays:
        stays[tensor] = [(x, at if x in (inner, "RF") else p) for x, p in stays[tensor]]
    marked = ",".join(case.arrays)
    order[at:at] = [f"@{inner}({marked})", *([f"@RF({marked})"] if inner != "RF" else [])]
    waits = loops[sync - 1].name if sync else "none"
    mapping = replace(plain, order=tuple(order), sync=waits)
    placed = Mapped(mapping, levels, array, list(loops), sync, stays)
    design = data.draw(designs(case.factors))
    source = names[names.index("GLB") - 1]
    told = {
        tensor: lying(data, shape.shape, case.width(tensor), lists=tensor not in case.gathered)
        for tensor, shape in case.arrays.items()
    }
    outer = names[: names.index("GLB") + 1]
    formats = {
        t: {x: text_of(one) if x in outer else "C(13)" for x in names} for t, one in told.items()
    }
    kept = {
        t: [by[0], *(x for x in by[1:] if x[0] not in ("GLB", "L2"))] for t, by in stays.items()
    }
    led = data.draw(tile_features(case, kept, design))
    described = design_arch(design, led, dict(formats), levels, array)
    made = with_time(data, Drawn(case, placed, design, formats, described))
    lines = lines_drawn(data)
    policy = data.draw(st.sampled_from(["lru", "optimal", "bypass"]))
    capacity = data.draw(st.sampled_from([1, 40, 150, 400, 10**6]))
    special: dict[str, Any] = {"GLB": {"cache": policy, "capacity_bits": capacity}}
    lined = source == "DRAM" and data.draw(st.booleans())
    if lined:
        special["DRAM"] = {"lines": lines}
    for level, more in special.items():
        made.described["levels"][level] = made.described["levels"][level] | more
    memory = LineMemory("DRAM", lines if lined else BITS, told, by_tiles=lined)
    memory.cache, memory.source = ("GLB", capacity, policy), source
    memory.source_lines = memory.lines
    memory.result = result_drawn(data, case, made)
    return made, memory


def charged(made: Drawn) -> Charge | None:
    """None of a result that leaves in parts, which has no lines, and of what is refused apart from
    epochs."""
    spec = make_spec(made.case.text, sizes=made.case.known, pad=made.case.pads or None)
    try:
        return charge(spec, arch(made.described), made.case.arrays, made.mapped.mapping)
    except ArchError as refused:
        known = "in parts that come back", "reach over each other", "transposes it on chip"
        if not any(text in str(refused) for text in known):
            raise
        return None


def check(made: Drawn, memory: LineMemory, found: Charge) -> None:
    nest, plain = made.nest(), machine_of(found, made.case.arrays)
    listed = [operand.tensor for operand in found.layer.work[0].operands]
    nest.terms[0].sort(key=lambda access: listed.index(access.tensor))
    accesses = {access.tensor: access for access in nest.terms[0]}

    def whole(outer: str, inner: str, tensor: str) -> Any:
        read, written = plain.whole(outer, inner, tensor)
        if memory.tiled(tensor, outer, inner):
            read = whole_of(memory, accesses[tensor])
        return read, written

    of_each, interval = times(nest, made.design, replace(plain, whole=whole, lines=memory))
    assert found.epochs is not None
    assert found.epochs.cycles.tolist() == of_each
    assert found.epochs.interval == interval
    assert found.epochs.total == sum(found.epochs.limits.values())
    assert found.cycles - found.conversion_cycles == found.epochs.total


@pytest.mark.parametrize("name", WITHIN)
@settings(max_examples=5)
@given(data=st.data())
def test_a_cache_anywhere(name: str, data: st.DataObject) -> None:
    made, memory = cached(data, name)
    found = charged(made)
    if found is not None:
        check(made, memory, found)


@pytest.mark.parametrize("name", ALONE)
@settings(max_examples=6)
@given(data=st.data())
def test_lines_of_any_tiles(name: str, data: st.DataObject) -> None:
    made, memory = tiled(data, name)
    found = charged(made)
    if found is not None:
        check(made, memory, found)


lines_at, latest, heads = Layout.lines_at, epoch_lines._latest, epoch_lines._heads


def with_the_last(layout: Any, group: Any, place: Any, bits: int, when: Any) -> Any:
    return -lines_at(layout, group, place, bits, -when)


def at_once(term: Any, place: Any, when: Any, number: int) -> Any:
    return latest(term, place, when * 0, number)


def at_the_start(layout: Any, fibers: Any, when: Any) -> Any:
    return heads(layout, fibers, when) * 0


def before_work(lines: Any, *, within: bool) -> str:
    return "load"


def in_the_first(term: Any, loops: Any, at: Any, number: int, *, last: bool = False) -> Any:
    return np.zeros(number, np.int64)


MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "lines come with the last part": (Layout, "lines_at", with_the_last),
    "results leave at the start": (epoch_lines, "_latest", at_once),
    "pointers come at the start": (epoch_lines, "_heads", at_the_start),
    "nothing comes beside work": (epoch_lines.EpochLines, "_phase", before_work),
    "all is asked for at first": (epoch_lines.EpochRows, "met", in_the_first),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_another_rule_is_found_out(mutant: str) -> None:
    """Where it changes a time, the judge says so; and it does somewhere."""
    where, name, instead = MUTANTS[mutant]
    caught = []

    @settings(max_examples=120, phases=(Phase.generate,))
    @given(data=st.data())
    def against_the_judge(data: st.DataObject) -> None:
        layer = data.draw(st.sampled_from(["matrix product", "conv 1-D"]))
        made, memory = data.draw(st.sampled_from([tiled, cached]))(data, layer)
        if caught:
            return
        right = charged(made)
        if right is None:
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(where, name, instead)
            wrong = charged(made)
        assert right.epochs is not None
        assert wrong is not None
        assert wrong.epochs is not None
        if wrong.epochs.cycles.tolist() != right.epochs.cycles.tolist():
            with pytest.raises(AssertionError):
                check(made, memory, wrong)
            caught.append(1)

    against_the_judge()
    assert caught
