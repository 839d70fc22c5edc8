"""Lines that run tile by tile, against a walk of all of them that imports nothing of hwmodel."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from fused_judge import BITS, LINES, WIDE, Nest, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import CascadeMapping, Mapping, charge_cascade

pytestmark = pytest.mark.usefixtures("without_compiling")


def described(pes: int, **changes: Any) -> dict[str, Any]:
    rates = {"read_bits_per_cycle": 8, "write_bits_per_cycle": 4}
    levels = {"DRAM": rates, "GLB": {**rates}, "PE": {}}
    small = {"name": "small", "array": {"pe": pes}, "value_bits": BITS, "levels": levels}
    return {
        **small,
        "accumulator_bits": WIDE,
        "clock_hz": 1e9,
        "energy": "eyeriss-relative",
        **changes,
    }


@st.composite
def machines(draw: st.DrawFn) -> Any:
    """Lines of which the first ones are fused, their mappings told twice, and what stays."""
    lines = list(draw(st.sampled_from(["SZ", "SX", "SZY", "SXZ", "SZ+Y"])).replace("+", ""))
    number = len(lines) if draw(st.booleans()) else 2
    fused, sizes = lines[:number], {rank: draw(st.integers(1, 5)) for rank in "ijkcbl"}
    pes, blocks = draw(st.integers(1, 3)), {rank: draw(st.integers(1, 3)) for rank in "ij"}
    both = set(fused) in ({"S", "Z"}, {"S", "X"}) and draw(st.booleans())
    ranks = ["i", "j"] if both else ["i"]
    read = {name for line in lines for name in LINES[line][1] if name in lines and name != line}
    keep = {name for name in sorted(read) if draw(st.integers(0, 3))}
    mappings, nests = {}, []
    for line in lines:
        _, tensors, summed = LINES[line]
        own = sorted({r for text in tensors.values() for r in text})
        shared = ranks if line in fused else []
        waits = f"{summed}0" if summed in shared else summed
        names = [f"{r}1" for r in shared]
        split = {r: blocks[r] for r in shared}
        inner = [f"{r}0" if r in shared else r for r in own if r != summed]
        across = ([x for x in inner if len(x) == 1] or inner)[-1]
        space = {across: "pe"} if len(across) == 1 else {}
        nest = Nest(line, sizes, across[0], pes if space else 1)
        nest.order = [(r, blocks[r], 0) for r in shared]
        nest.order.append((summed, 1, blocks[summed] if summed in shared else 0))
        depth = draw(st.integers(0, len(nest.order)))
        told: dict[int, list[str]] = defaultdict(list)
        for tensor in tensors:
            tied = tensor in lines and tensor in fused and line in fused and tensor in read
            at = max(depth * (tensor != line), len(shared)) if tied else depth
            home = tensor in keep
            nest.marks["GLB"][tensor] = at
            if not home:
                told[at if tensor != line or tied else 0].append(f"@GLB({tensor})")
            nest.marks["PE"][tensor] = len(nest.order)
            if tensor == line:
                nest.marks["PE"][tensor] = len(shared) if tied else 0
                if tied:
                    told[len(shared)].append(f"@PE({tensor})")
        order = []
        for position, loop in enumerate([*names, waits]):
            order += [*sorted(told[position]), loop]
        order += sorted(told[len(names) + 1])
        order += [x for x in inner if x != across] + [across]
        mappings[line] = Mapping(order, split, space, sync=waits)
        nests.append(nest)
    turns = [nests[:number], *([nest] for nest in nests[number:])]
    fuse = {",".join(fused): " ".join(f"{r}1" for r in ranks)}
    shared_of = {line: len(ranks) if line in fused else 0 for line in lines}
    return lines, sizes, pes, keep, mappings, turns, fuse, shared_of


@settings(max_examples=80)
@given(machines())
def test_every_move_and_the_room_are_those_of_the_walk(drawn: Any) -> None:
    lines, sizes, pes, keep, mappings, turns, fuse, shared = drawn
    tensors = {name: text for line in lines for name, text in LINES[line][1].items()}
    given_ = {n: np.ones([sizes[r] for r in t]) for n, t in tensors.items() if n not in lines}
    spec = make_spec("; ".join(LINES[line][0] for line in lines))
    mapping = CascadeMapping(mappings, dict.fromkeys(sorted(keep), "GLB"), fuse)
    whole = charge_cascade(spec, described(pes), given_, mapping)
    moved, room = walk(turns, shared, keep)
    for line, made in whole.lines.items():
        for level in ("DRAM", "GLB"):
            for name in LINES[line][1]:
                found = made.traffic.get((level, name))
                for way in ("reads", "writes"):
                    count = moved[line][level, name, way]
                    assert (getattr(found, way) if found else 0) == count, (line, level, name, way)
                    bits = getattr(found, f"{way[:-1]}_bits") if found else 0
                    assert bits == count * BITS
        needed = {c.level: c.needed_bits for c in made.capacity}
        assert needed == room[line], line
    times = []
    for block in turns:
        charges = [whole.lines[nest.line] for nest in block]
        parts = [{"compute": c.compute_cycles, **c.bandwidth_cycles} for c in charges]
        times.append(max(sum(part[name] for part in parts) for name in parts[0]))
    assert whole.cycles == sum(times)


SIZES = {"i": 4, "j": 5, "k": 3, "c": 2}
ATTENTION = "S[i,j] = Q[i,k]*K[j,k]; Z[i,c] = S[i,j]*V[j,c]"
OPERANDS = {"Q": np.ones((4, 3)), "K": np.ones((5, 3)), "V": np.ones((5, 2))}


def tiled(first: str = "i1 k i0 j", second: str = "i1 j i0 c", **changes: Any) -> CascadeMapping:
    """S and Z, two rows at a time."""
    split = {"i": 2}
    given = {"first_sync": "k", "second_sync": "j", "first_split": split, "second_split": split}
    given |= {"fuse": {"S,Z": "i1"}, "keep": {"S": "GLB"}} | changes
    lines = {
        "S": Mapping(first, given["first_split"], {"j": "pe"}, sync=given["first_sync"]),
        "Z": Mapping(second, given["second_split"], {"c": "pe"}, sync=given["second_sync"]),
    }
    return CascadeMapping(lines, given["keep"], given["fuse"])


def charged(mapping: CascadeMapping, text: str = ATTENTION, **changes: Any) -> Any:
    operands = changes.pop("operands", OPERANDS)
    return charge_cascade(make_spec(text), described(2, **changes), operands, mapping)


def failing(mapping: CascadeMapping, text: str = ATTENTION, **changes: Any) -> str:
    with pytest.raises(ArchError) as caught:
        charged(mapping, text, **changes)
    return str(caught.value)


def test_the_room_of_an_intermediate_is_that_of_a_tile() -> None:
    whole, tile = charged(tiled(fuse={})), charged(tiled())
    rooms = [
        [next(c.at_home("S") for c in made.capacity) for made in found.lines.values()]
        for found in (whole, tile)
    ]
    assert rooms == [[20 * BITS] * 2, [10 * BITS] * 2]
    for found in (whole, tile):
        assert found.at("DRAM", "S").bits == 0
        assert (found.at("GLB", "S").writes, found.at("GLB", "S").reads) == (20, 20)
    assert whole.traffic == tile.traffic
    assert tile.cycles <= whole.cycles
    assert tile.mapped.endswith("| keep S: GLB | fuse S,Z: i1")
    assert tile.bound_by == "GLB of S, Z"
    assert "S stays in GLB, a tile for each i1 at a time" in " ".join(tile.assumptions)
    assert tile.metrics(batch=1).latency_s == pytest.approx(tile.seconds)
    assert tile.baseline.blocks == tile.blocks


def test_what_stays_over_the_shared_loop_takes_room_in_the_other_line() -> None:
    """K (15) and V (10) stay while the other line runs; Q comes by tiles of two rows."""
    found = charged(tiled())
    needed = [made.capacity[0].needed_bits for made in found.lines.values()]
    assert needed == [(10 + 15 + 2 + 10) * BITS, (10 + 10 + 15) * BITS]
    levels = {"DRAM": {}, "GLB": {"capacity_bits": 37 * BITS}, "PE": {}}
    assert charged(tiled(), levels=levels).overflow == ()
    levels["GLB"] = {"capacity_bits": 37 * BITS - 1}
    assert "keep S: GLB: in the line of S GLB must hold 592 bits" in failing(tiled(), levels=levels)


def test_lines_that_share_no_tiles_are_refused() -> None:
    assert "no line computes Q" in failing(tiled(fuse={"Q,S": "i1"}))
    assert "two lines or more that follow each other" in failing(tiled(fuse={"Z,S": "i1"}))
    assert "two lines or more" in failing(tiled(fuse={"S": "i1"}))
    assert "expected the loops that they share" in failing(tiled(fuse={"S,Z": ""}))
    assert "S is in another block" in failing(tiled(fuse={"S,Z": "i1", "S, Z": "i1"}))
    found = failing(tiled("k i1 i0 j"))
    assert "expected i1 as the outermost loops of every line; those of S are k i1 i0 j" in found
    found = failing(tiled(second_split={"i": 3}))
    assert "i1 is 2 blocks of 2 places of i in the line of S, and 2 blocks of 3 places" in found
    assert "i1 runs across PEs" in failing(
        CascadeMapping(
            {
                "S": Mapping("i1 k i0 j", {"i": 2}, {"i1": "pe"}, sync="k"),
                "Z": Mapping("i1 j i0 c", {"i": 2}, {"c": "pe"}, sync="j"),
            },
            {},
            {"S,Z": "i1"},
        )
    )
    found = failing(tiled(second_sync="none"))
    assert "those of Z wait for sync none\nLet sync be i1, or a loop inside it." in found


def test_a_tile_that_is_not_done_is_refused() -> None:
    """Summed over k, which both lines have in front: no sum is complete before the last k."""
    text = "S[i,j] = Q[i,k]*K[j,k]; Z[i,k] = S[i,j]*V[j,k]"
    lines = {
        "S": Mapping("k1 i k0 j", {"k": 1}, {"j": "pe"}, sync="i"),
        "Z": Mapping("k1 j i k0", {"k": 1}, {"i": "pe"}, sync="j"),
    }
    mapping = CascadeMapping(lines, {}, {"S,Z": "k1"})
    operands = {"Q": np.ones((4, 3)), "K": np.ones((5, 3)), "V": np.ones((5, 3))}
    found = failing(mapping, text, operands=operands)
    assert "S is summed over k, and so no tile of it is done before the last iteration" in found


def test_windows_over_tiles_are_refused() -> None:
    text = "T[p] = I[p+r]*F[r]; O[p] = T[p+s]*G[s]"
    lines = {
        "T": Mapping("p1 r p0", {"p": 2}, {}, sync="r"),
        "O": Mapping("p1 s p0", {"p": 2}, {}, sync="s"),
    }
    operands = {"I": np.ones(9), "F": np.ones(3), "G": np.ones(1)}
    found = failing(CascadeMapping(lines, {"T": "GLB"}, {"T,O": "p1"}), text, operands=operands)
    assert "the line of O reads T at p+s where T has p: it needs places of other tiles" in found
    found = failing(CascadeMapping(lines, {}, {"T,O": "p1"}), text, operands=operands)
    assert "the line of O reads T at p+s where T has p: it needs places of other tiles" in found


def test_what_is_not_charged_by_turns_is_refused() -> None:
    assert failing(tiled(keep={}), overlap="double") == (
        "fuse S,Z: i1: small has double overlap, and what the next line reads is not done when it "
        "would come ahead\nLeave out double overlap, or run them one after the other, without fuse."
    )
    text = "S[i,j] = Q[i,k]*K[j,k]; Z[i,c] = S[i,j]*V[j,c] + S[i,j]*U[j,c]"
    operands = {**OPERANDS, "U": np.ones((5, 2))}
    found = failing(tiled(), text, operands=operands)
    assert "the line of Z has 2 products, which run one after the other over all loops" in found
    text = "S[i,j] = Q[i,k]*K[j,k]; Z[i,j] = S[i,j] + P[i,j]*V[j,i]"
    lines = {
        "S": Mapping("i1 k i0 j", {"i": 2}, {"j": "pe"}, sync="k"),
        "Z": Mapping("i1 i0 j", {"i": 2}, {"j": "pe"}, sync="i1"),
    }
    operands = {name: OPERANDS[name] for name in "QK"}
    operands |= {"P": np.ones((4, 5)), "V": np.ones((5, 4))}
    found = failing(CascadeMapping(lines, {}, {"S,Z": "i1"}), text, operands=operands)
    assert "the line of Z adds S beside a product" in found


def test_a_spilled_intermediate_needs_its_marks() -> None:
    orders = "i1 @GLB(S) @PE(S) k i0 j", "i1 @GLB(S) j i0 c"
    found = charged(tiled(*orders, keep={}))
    assert found.at("DRAM", "S").bits == 2 * 20 * BITS
    assert "GLB has S over several iterations of i1 in the line of Z" in failing(
        tiled(orders[0], keep={})
    )
