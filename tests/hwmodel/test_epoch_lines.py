"""Whole lines and caches by epochs, against a simulation that walks them, and by hand."""

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

import zeroskip as zs
from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, Mapping, arch, charge, epoch_lines, reached, sampled
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


def by_hand(order: str, **more: Any) -> list[int]:
    """Two rows of 7 values of 8 bits, two to a line of 16, of which tiles have three; one PE."""
    lines = {"read_bits": 16, "write_bits": 16, "pointer_bits": 16}
    rates = {"read_bits_per_cycle": 16, "write_bits_per_cycle": 16}
    design = {
        "name": "by hand",
        "array": {"pe": 1},
        "value_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": lines, **rates}, "PE": {}},
        "formats": {"A": {"DRAM": "a:U b:C(8)", "PE": "C"}},
        "overlap": "none",
    }
    mapping = Mapping(order, {"k": 3}, {}, sync="k1")
    operands = {"A": np.ones((2, 7)), "x": np.ones(7)}
    found = charge(make_spec("y[m] = A[m,k]*x[k]"), arch(design | more), operands, mapping).epochs
    assert found is not None
    return [int(cycles) for cycles in found.cycles]


def test_lines_of_tiles_by_hand() -> None:
    """Tiles 0-2, 3-5 and 6 of |01|23|45|6 | take 2, 2 and 1 lines of values, and of coordinates; a
    pointer is a line, with the first tile of its row; of x come 2, 2 and 1.  Products are 3, 3 and
    1; the results, 16 bits, leave at the end."""
    loads = [2 + 2 + 1 + 2, 2 + 2 + 2, 1 + 1 + 1]
    times = [loads[0] + 3, loads[1] + 3, loads[2] + 1]
    assert by_hand("m k1 @PE(A,x) k0") == [*times, *times[:2], times[2] + 1]


def test_lines_of_parts_by_hand() -> None:
    """A row of A comes part by part: the line of 2 and 3 with the first of them."""
    loads = [2 + 2 + 1 + 2, 1 + 1 + 2, 1 + 1 + 1]
    times = [loads[0] + 3, loads[1] + 3, loads[2] + 1]
    assert by_hand("m @PE(A) k1 @PE(x) k0") == [*times, *times[:2], times[2] + 1]


def test_lines_of_results_by_hand() -> None:
    """Three results in a line and a half: each leaves with its row, a line with the last in it."""
    rates = {"write_bits_per_cycle": 1}
    lines = {"read_bits": 16, "write_bits": 16, "pointer_bits": 16}
    design = {
        "name": "by hand",
        "array": {"pe": 1},
        "value_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": lines, **rates}, "PE": {}},
        "formats": {"O": {"DRAM": "a:C(8)", "PE": "U"}},
        "overlap": "none",
    }
    mapping = Mapping("m @PE(y) k", {}, {}, sync="m")
    operands = {"A": np.ones((3, 2)), "x": np.ones(2)}
    spec = make_spec("y[m] = A[m,k]*x[k]")
    found = charge(spec, arch(design), operands, mapping).epochs
    assert found is not None
    assert found.cycles.tolist() == [2, 2 + 32, 2 + 32]


def cache_by_hand(capacity: int, mapping: Mapping) -> Charge:
    """2 rows of A by 3 rows of B, each of two entries of 16 + 8 bits, and a pointer of 32."""
    design = {
        "name": "cached",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {
            "DRAM": {"read_bits_per_cycle": 8},
            "LLC": {"cache": "lru", "capacity_bits": capacity},
            "PE": {},
        },
        "sparse": ["skip A,B"],
        "formats": {name: {"DRAM": "a:U b:C(8)"} for name in "AB"},
        "overlap": "none",
    }
    given_ = {"A": np.ones((2, 3)), "B": np.ones((3, 2))}
    return zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, mapping=mapping, **given_)


@pytest.mark.parametrize(("capacity", "again"), [(150, 0), (100, 48)])
def test_misses_come_when_they_are_asked_for(capacity: int, again: int) -> None:
    """An entry of A in each epoch, and at first a row of B with its pointer; 100 bits hold two
    rows, of which the one that is needed has left."""
    mapping = Mapping("m k @PE n", space={}, sync="k", keep={"LLC": "B"})
    found = cache_by_hand(capacity, mapping).epochs
    assert found is not None
    first, later = (24 + 48 + 32) // 8 + 2, (24 + again) // 8 + 2
    assert found.cycles.tolist() == [first] * 3 + [later] * 3


def large(a: Any, b: Any, mapping: Mapping) -> Charge:
    """A product whose result has lines of 16 bits."""
    lines = {"read_bits": 16, "write_bits": 16, "pointer_bits": 16}
    design = {
        "name": "large",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": lines, "write_bits_per_cycle": 16}, "GLB": {}, "PE": {}},
        "sparse": ["skip A,B"],
        "formats": {name: {"DRAM": "a:U b:C(8)", "GLB": "C"} for name in "AB"}
        | {"O": {"DRAM": "a:U b:C(8)", "GLB": "U"}},
        "overlap": "double",
    }
    return zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, mapping=mapping, A=a, B=b)


def test_of_large_results_only_rows_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    a, b = (rng.random((6, 6)) < 0.4, rng.random((6, 6)) < 0.4)
    rows = Mapping("m1 @GLB(Z) k m0 n", {"m": 2}, {}, sync="m1")
    columns = Mapping("n1 @GLB(Z) k m n0", {"n": 2}, {}, sync="n1")
    known = [large(a * 1.0, b * 1.0, rows), large(a * 1.0, b * 1.0, columns)]
    monkeypatch.setattr(reached, "MOST_SCATTERED", 35)
    found = large(a * 1.0, b * 1.0, rows)
    assert all(charged.epochs is not None for charged in (*known, found))
    assert found.epochs.cycles.tolist() == known[0].epochs.cycles.tolist()
    assert known[0].epochs.cycles.tolist() != known[1].epochs.cycles.tolist()
    with pytest.raises(ArchError, match="how many of each fiber are reached, not where; n1, which"):
        large(a * 1.0, b * 1.0, columns)


@pytest.mark.parametrize("cache", [None, "lru"])
def test_other_draws_have_this_mean(cache: str | None) -> None:
    lines = {"read_bits": 16, "write_bits": 16, "pointer_bits": 16}
    glb = {} if cache is None else {"cache": cache, "capacity_bits": 300}
    design = arch(
        {
            "name": "drawn",
            "array": {"pe": 2},
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {"lines": lines, "read_bits_per_cycle": 16}, "GLB": glb, "PE": {}},
            "sparse": ["skip A,B"],
            "formats": {name: {"DRAM": "a:U b:C(8)", "GLB": "C"} for name in "AB"},
            "overlap": "double",
        }
    )
    drawn = {"A": zs.Density((8, 12), 0.3), "B": zs.Density((12, 8), 0.4)}
    mapping = Mapping("m1 k n m0", {"m": 2}, {}, sync="k", keep={"GLB": "B"})
    expected = zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, mapping=mapping, **drawn)
    rng, found = np.random.default_rng(3), []
    for _ in range(40):
        real = {name: density.sample(rng) for name, density in drawn.items()}
        found.append(zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, mapping=mapping, **real))
    cycles = [charged.cycles for charged in found]
    error = 4 * np.std(cycles, ddof=1) * np.sqrt(1 / len(found) + 1 / sampled.MOST_RUNS)
    assert abs(expected.cycles - np.mean(cycles)) <= error
    assert expected.epochs is not None
    assert expected.epochs.total == pytest.approx(sum(expected.epochs.limits.values()))
    assert expected.tags["cycles"] == "approximate"
    assert any(text.startswith("epochs, cycles: the mean of") for text in expected.assumptions)
