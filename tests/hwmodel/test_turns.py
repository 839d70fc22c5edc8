"""Lines that take turns on designs with lanes, units and queues, against a walk of all turns."""

from __future__ import annotations

import re
from collections import Counter
from math import prod
from typing import Any

import numpy as np
import pytest
from epoch_judge import times
from epoch_log import Machine
from hypothesis import given, settings
from hypothesis import strategies as st
from nest_parts import Design
from turning import CASCADES, Turning, lying_of, turning
from turns_judge import in_lines, meeting, merged, queued, vectors

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import CascadeMapping, Mapping, charge_cascade

pytestmark = pytest.mark.usefixtures("without_compiling")

HOW = ("leader-follower", "two-finger", "skip-ahead", "bitmask(1)", "bitmask(2)")
BY_ROWS = ("by rows", "three", "read twice")


def summed(turns: list[Any], number: int = 1) -> dict[str, int]:
    """By line."""
    found: Counter[str] = Counter()
    for turn in turns:
        found[turn[0]] += turn[number]
    return dict(found)


def is_by_rows(line: str) -> bool:
    """A product of matrices, of which the second lies by rows of the result."""
    target, one, other = (text[2:-1].split(",") for text in re.findall(r"\w\[[^]]*\]", line))
    return len(target) == 2 and other == [one[1], target[1]]


@pytest.mark.parametrize("name", CASCADES)
@settings(max_examples=15)
@given(data=st.data())
def test_vectors_are_of_one_turn(name: str, data: st.DataObject) -> None:
    made = data.draw(turning((name,)))
    widths = {role: data.draw(st.integers(1, 3)) for role in "IF"}
    found = made.charge(lanes=widths, multipliers=widths["I"] * widths["F"])
    nests = made.listed(found)
    of = {
        t: widths[r]
        for line in found.lines.values()
        for t, r in line.layer.roles.items()
        if r in widths
    }
    turns = vectors(nests, len(made.shared), of)
    cycles, products, spent = (summed(turns, n) for n in (1, 2, 3))
    for line, charged in found.lines.items():
        assert charged.cartesian is not None
        assert charged.cartesian.cycles == charged.compute_cycles == cycles.get(line, 0)
        assert charged.cartesian.products == products.get(line, 0)
        assert charged.cartesian.slots == spent.get(line, 0) * widths["I"] * widths["F"]
    assert found.cycles == sum(cycles.values())


@pytest.mark.parametrize("name", CASCADES)
@settings(max_examples=15)
@given(data=st.data())
def test_queues_are_empty_at_the_end_of_a_turn(name: str, data: st.DataObject) -> None:
    made = data.draw(turning((name,)))
    depth, multipliers = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    found = made.charge(queue=depth, multipliers=multipliers)
    skips = {access.tensor for nest in made.nests for access in nest.terms[0]}
    cycles = summed(queued(made.nests, len(made.shared), skips, multipliers, depth))
    assert {n: x.compute_cycles for n, x in found.lines.items()} == cycles
    assert found.cycles == sum(cycles.values())


@pytest.mark.parametrize("name", CASCADES)
@settings(max_examples=15)
@given(data=st.data(), how=st.sampled_from(HOW))
def test_fibers_that_meet_are_of_one_turn(name: str, data: st.DataObject, how: str) -> None:
    made = data.draw(turning((name,), along="summed", across=False))
    unit = {"how": how, "rate": 2}
    along = {nest.result: nest.loops[-1].rank for nest in made.nests}
    rows = {line[0] for line in made.lines if is_by_rows(line)}
    cut = {f"{rank}1" for rank in along.values()}
    if how == "leader-follower":  # all of a row at an entry of the leader
        cut |= {f"{nest.target[-1]}1" for nest in made.nests if nest.result in rows}
    if cut & made.wide:
        with pytest.raises(ArchError, match=r"cuts what it goes through along| is inside it in "):
            made.charge(units={"intersect": unit})
        return
    found = made.charge(units={"intersect": unit})
    steps = summed(meeting(made.listed(found), len(made.shared), how, along, rows))
    assert {n: x.units["intersect"].steps for n, x in found.lines.items()} == steps


@pytest.mark.parametrize("name", BY_ROWS)
@settings(max_examples=15)
@given(data=st.data(), radix=st.sampled_from([None, 2, 3]))
def test_fibers_that_are_merged_are_of_one_turn(
    name: str, data: st.DataObject, radix: int | None
) -> None:
    made = data.draw(turning((name,), along="into", across=False))
    unit = {"how": "list"} if radix is None else {"how": "tree", "radix": radix}
    if "j1" in made.wide:
        with pytest.raises(
            ArchError, match=r"fused lines take turns, cuts what|innermost loop is over"
        ):
            made.charge(units={"merge": unit})
        return
    found = made.charge(units={"merge": unit})
    steps = summed(merged(made.nests, len(made.shared), radix))
    assert {n: x.units["merge"].steps for n, x in found.lines.items()} == steps


RATES = st.sampled_from([None, 1, 3, 16, 100])


def machine_of(made: Turning, levels: dict[str, Any], line: str) -> Machine:
    nest = next(nest for nest in made.nests if nest.result == line)
    shapes = {access.tensor: access.shape for access in nest.terms[0]}
    size = prod(made.sizes[rank] for rank in nest.target)

    def whole(outer: str, inner: str, tensor: str) -> tuple[tuple[int, int], tuple[int, int]]:
        bits = prod(shapes[tensor]) * 16, 0
        return bits, bits

    return Machine(
        False,
        {
            name: (of.get("read_bits_per_cycle"), of.get("write_bits_per_cycle"), None, None)
            for name, of in levels.items()
        },
        {name: 3 if name == "PE" else 1 for name in levels},
        whole,
        (size * 16, 0),
        size,
        "PE",
    )


@pytest.mark.parametrize("name", CASCADES)
@settings(max_examples=15)
@given(data=st.data())
def test_without_overlap_epochs_of_all_turns_are_added_up(name: str, data: st.DataObject) -> None:
    made = data.draw(turning((name,)))
    levels = {
        level: {
            f"{way}_bits_per_cycle": rate
            for way in ("read", "write")
            if (rate := data.draw(RATES)) is not None
        }
        for level in ("DRAM", "GLB", "PE")
    }
    found = made.charge(overlap="none", levels=levels, sparse=[], formats={})
    total = 0
    for nest in made.listed(found):
        nest.overlap = "none"
        for access in nest.terms[0]:
            access.dense = set(levels)
        cycles, _ = times(nest, Design(), machine_of(made, levels, nest.result))
        epochs = found.lines[nest.result].epochs
        assert epochs is not None
        assert epochs.cycles.tolist() == cycles
        total += sum(cycles)
    assert found.cycles == total
    limits: Counter[str] = Counter()
    for line in found.lines.values():
        assert line.epochs is not None
        limits.update({name: int(cycles) for name, cycles in line.epochs.limits.items()})
    assert limits[found.bound_by.partition(" of ")[0]] == max(limits.values())


@pytest.mark.parametrize("name", CASCADES)
@settings(max_examples=12)
@given(data=st.data())
def test_each_line_reads_the_lines_of_its_tiles(name: str, data: st.DataObject) -> None:
    made = data.draw(turning((name,)))
    off_chip = {nest.result for nest in made.nests[:-1]} - set(made.keep)
    lyings, texts = data.draw(st.composite(lying_of)(made, bool(off_chip)))
    lines = {
        "read_bits": data.draw(st.sampled_from([1, 16, 48])),
        "pointer_bits": 24,
        "lists": data.draw(st.sampled_from(["read", "unread"])),
    }
    levels = {level: {} for level in ("DRAM", "GLB", "PE")} | {"DRAM": {"lines": lines}}
    formats = {role: {"DRAM": text, "GLB": "C(13)", "PE": "C(13)"} for role, text in texts.items()}
    found = made.charge(levels=levels, formats=formats)
    for (line, tensor), moved in in_lines(made.nests, len(made.shared), lyings, lines).items():
        at = found.lines[line].at("DRAM", tensor)
        assert at.reads == moved["entries"], (line, tensor)
        assert at.read_data_bits == moved["data"], (line, tensor)
        assert at.read_metadata_bits == moved["metadata"], (line, tensor)


def test_a_line_of_several_turns_is_refused() -> None:
    lines = "S[i,j] = Q[i,k]*K[k,j]; Z[i,c] = S[i,j]*V[j,c]"
    orders = {
        "S": Mapping("i1 @GLB(S) @PE(S) k i0 j", {"i": 2}, {}, sync="k"),
        "Z": Mapping("i1 @GLB(S) j i0 c", {"i": 2}, {}, sync="j"),
    }
    design = {
        "name": "lined",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": {"read_bits": 64}}, "GLB": {}, "PE": {}},
        "formats": {"I": {"DRAM": "a:U b:C"}},
    }
    operands = {name: np.ones((4, 4)) for name in "QKV"}
    fused = CascadeMapping(orders, {}, {"S,Z": "i1"})
    with pytest.raises(ArchError) as caught:
        charge_cascade(make_spec(lines), design, operands, fused)
    assert str(caught.value) == (
        "fuse S,Z: i1: S is CSR in DRAM, which has lines, and a line of its entries or "
        "pointers, read in one turn, is full in a later one\n"
        "Give S, as a result (role O) and as it is read, the format U at DRAM, or let it stay on "
        "chip: keep."
    )
    home = {
        "S": Mapping("i1 @PE(S) k i0 j", {"i": 2}, {}, sync="k"),
        "Z": Mapping("i1 j i0 c", {"i": 2}, {}, sync="j"),
    }
    kept = CascadeMapping(home, {"S": "GLB"}, {"S,Z": "i1"})
    assert charge_cascade(make_spec(lines), design, operands, kept).at("DRAM", "S").bits == 0


def test_a_turn_within_what_an_entry_of_the_leader_brings_is_refused() -> None:
    """Of 4 x 4 results 2 x 2 a turn: pairs of fibers are of one turn, and rows of K are not."""
    lines = "S[i,j] = Q[i,k]*K[k,j]; Z[i,j] = S[i,j]*P[i,c]*R[j,c]"
    orders = {
        "S": Mapping("i1 j1 @PE(S) i0 j0 k", {"i": 2, "j": 2}, {}, sync="j1"),
        "Z": Mapping("i1 j1 i0 j0 c", {"i": 2, "j": 2}, {}, sync="j1"),
    }
    fused = CascadeMapping(orders, {"S": "GLB"}, {"S,Z": "i1 j1"})
    operands = {name: np.ones((4, 4)) for name in "QKPR"}

    def design(how: str) -> dict[str, Any]:
        return {
            "name": "meeting",
            "array": {"pe": 1},
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
            "units": {"intersect": {"how": how}},
        }

    found = charge_cascade(make_spec(lines), design("two-finger"), operands, fused)
    assert [made.units["intersect"].steps for made in found.lines.values()] == [64, 64]
    assert found.cycles == 64 + 128  # of products; a point of Z has two
    with pytest.raises(ArchError) as caught:
        charge_cascade(make_spec(lines), design("leader-follower"), operands, fused)
    assert str(caught.value) == (
        "units.intersect: its steps are those of whole fibers, and j1, at which fused lines take "
        "turns, cuts what it goes through along k and j\n"
        "Move j1 inside the shared loops, or leave intersect out of the architecture."
    )
