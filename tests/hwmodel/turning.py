"""Generated cascades whose lines take turns, told twice: to zeroskip, and as nests to judges."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cases import accesses_of, subscripts_of
from hypothesis import strategies as st
from mapped_nest import Nest
from nest_parts import Access, Loop
from trace_judge import Lying

from zeroskip.einsum_spec import make_spec
from zeroskip.hwmodel import CascadeMapping, Mapping, charge_cascade
from zeroskip.hwmodel.cascade import CascadeCharge

CASCADES = {
    "attention": ("S[i,j] = Q[i,k]*K[j,k]", "Z[i,c] = S[i,j]*V[j,c]"),
    "by rows": ("S[i,j] = Q[i,k]*K[k,j]", "Z[i,c] = S[i,j]*V[j,c]"),
    "three": ("S[i,j] = Q[i,k]*K[k,j]", "Z[i,c] = S[i,j]*V[j,c]", "Y[i,b] = Z[i,c]*U[c,b]"),
    "read twice": ("S[i,j] = Q[i,k]*K[k,j]", "Z[i,k] = S[i,j]*K[k,j]"),
    "planes": ("S[i,j,c] = Q[i,k]*K[j,k,c]", "Z[i,j] = S[i,j,c]*P[j,c]"),
}
INSTANCES: dict[str, tuple[str, ...]] = {"DRAM": (), "GLB": (), "PE": ("pe",)}


@dataclass
class Turning:
    """Lines, operands, a mapping of each line, and the same for the judges."""

    lines: tuple[str, ...]
    sizes: dict[str, int]
    operands: dict[str, Any]
    nests: list[Nest]
    mappings: dict[str, Mapping]
    shared: list[str]
    described: dict[str, Any]
    keep: dict[str, str] = field(default_factory=dict)

    @property
    def block(self) -> dict[str, str]:
        return {",".join(nest.result for nest in self.nests): " ".join(self.shared)}

    @property
    def wide(self) -> set[str]:
        """Of the loops that are shared those of several iterations."""
        nest = self.nests[0]
        return {x.name for x in nest.loops[: len(self.shared)] if x.iterations(nest.extents) > 1}

    def charge(self, *, fused: bool = True, **changes: Any) -> CascadeCharge:
        whole = CascadeMapping(self.mappings, self.keep, self.block if fused else {})
        spec = make_spec("; ".join(self.lines), sizes=self.sizes)
        return charge_cascade(spec, self.described | changes, self.operands, whole)

    def listed(self, found: CascadeCharge) -> list[Nest]:
        """The nests, whose operands stand in the order in which their charge has them."""
        for nest in self.nests:
            order = [o.tensor for o in found.lines[nest.result].layer.work[0].operands]
            nest.terms[0].sort(key=lambda access: order.index(access.tensor))
        return self.nests


@st.composite
def turning(
    draw: st.DrawFn,
    names: tuple[str, ...] = tuple(CASCADES),
    *,
    along: str = "",
    both: bool = True,
    across: bool = True,
    keeping: bool = True,
    marked: bool = True,
) -> Turning:
    """along : ``summed`` or ``into``: whether the rank that is summed over is the innermost loop,
    or the last rank of the result; both : whether two loops may be shared; across : whether one may
    go across PEs; keeping : whether intermediates may stay on chip; marked : whether operands may
    come to GLB tile by tile."""
    name = draw(st.sampled_from(names))
    lines = CASCADES[name]
    told = [[subscripts_of(text) for text in accesses_of(line)] for line in lines]
    sizes = {rank: draw(st.integers(1, 5)) for rank in "ijkcb"}
    used = {rank for line in told for _, ranks in line for rank in ranks}
    sizes = {rank: n for rank, n in sizes.items() if rank in used}
    masks = _masks(draw, told, sizes)
    ranks = ["i", "j"] if both and draw(st.booleans()) and len(lines) == 2 else ["i"]
    blocks = {rank: draw(st.integers(1, 3)) for rank in ranks}
    results = [line[0][0] for line in told]
    keep = {n: "GLB" for n in results[:-1] if keeping and draw(st.booleans())}
    mappings, nests = {}, []
    for target, *reads in told:
        (result, axes) = target
        own = list(dict.fromkeys(r for _, of in (target, *reads) for r in of))
        last = axes[-1] if along == "into" else next(r for r in own if r not in axes)
        outer = [Loop(f"{r}1", r, blocks[r]) for r in ranks]
        inner = [Loop(f"{r}0", r, 1, (blocks[r],)) if r in ranks else Loop(r, r) for r in own]
        inner = draw(st.permutations(inner))
        if along:
            inner.sort(key=lambda loop: loop.rank == last)
        whole = [x for x in inner if not x.within and not (along and x.rank == last)]
        side = draw(st.sampled_from([None, *whole])) if across else None
        pes = draw(st.integers(1, 3))
        if side is not None:
            side.pes, side.dims = pes, ("pe",)
        timed = [x for x in inner if not x.pes and not x.within and x.rank != last]
        step = draw(st.sampled_from([None, *timed]))
        if step is not None:  # PEs wait inside the turn
            inner = [step, *(x for x in inner if x is not step)]
        loops = [*outer, *inner]
        sync = len(outer) + (step is not None)
        depths = {n: draw(st.integers(0, sync)) if marked else 0 for n, _ in reads}
        stays, order = _marked(loops, sync, len(outer), result, depths, results, keep)
        space = {} if side is None else {side.name: "pe"}
        waits = loops[sync - 1].name
        roles = {name: role for (name, _), role in zip(reads, "IF", strict=True)}
        mappings[result] = Mapping(order, dict(blocks), space, sync=waits, roles=roles)
        terms = [_access(n, of, masks[n], sizes) for n, of in reads]
        extents = {r: sizes[r] for r in own}
        nest = Nest(extents, axes, [terms], loops, sync, stays, INSTANCES, result=result)
        nests.append(nest)
    operands = {n: masks[n] * 2.0 for n in masks if n not in results}
    described = {
        "name": "turning",
        "array": {"pe": 3},
        "energy": "eyeriss-relative",
        "levels": {level: {} for level in INSTANCES},
        "sparse": ["skip I,F"],
        "formats": {role: {"DRAM": "C(13)", "GLB": "C(13)"} for role in "IF"},
    }
    for nest in nests:  # an array of as many PEs as the loop across deals to
        for loop in nest.loops:
            loop.pes = 3 if loop.pes else 0
    return Turning(
        lines, sizes, operands, nests, mappings, [f"{r}1" for r in ranks], described, keep
    )


def _masks(
    draw: st.DrawFn, told: list[list[tuple[str, list[str]]]], sizes: dict[str, int]
) -> dict[str, Any]:
    """Where every tensor holds something, results as they are computed."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    found: dict[str, Any] = {}
    for (result, axes), *reads in told:
        for name, ranks in reads:
            if name not in found:
                share = draw(st.sampled_from([0.2, 0.5, 0.8, 1.0]))
                found[name] = rng.random([sizes[r] for r in ranks]) < share
        text = f"{','.join(''.join(ranks) for _, ranks in reads)}->{''.join(axes)}"
        found[result] = np.einsum(text, *(found[name].astype(int) for name, _ in reads)) > 0
    return found


def _access(name: str, ranks: list[str], mask: Any, sizes: dict[str, int]) -> Access:
    held = {tuple(map(int, place)) for place in np.argwhere(mask)}
    shape = tuple(sizes[r] for r in ranks)
    return Access(name, ranks, shape, (0,) * len(shape), dict.fromkeys(held, 1.0), held, set())


def _marked(
    loops: list[Loop],
    sync: int,
    shared: int,
    result: str,
    depths: dict[str, int],
    results: list[str],
    keep: dict[str, str],
) -> tuple[dict[str, list[tuple[str, int]]], list[str]]:
    """Where each tensor stays, and the order with its marks: of what is read later tile by tile.

    depths : loops outside the mark of each operand at GLB.
    """
    stays: dict[str, list[tuple[str, int]]] = {}
    marks: dict[int, list[str]] = defaultdict(list)
    for name in [result, *depths]:
        tied = name in results[:-1]
        at = shared if tied else depths.get(name, 0)
        stays[name] = [("DRAM", 0), ("GLB", at), ("PE", sync if name != result else at)]
        if name in keep:
            stays[name] = [("GLB", 0), stays[name][2]]
        elif at:
            marks[at].append(f"@GLB({name})")
        if tied and name == result:
            marks[shared].append(f"@PE({name})")
    order: list[str] = []
    for number, loop in enumerate(loops):
        order += [*sorted(marks[number]), loop.name]
    return stays, order


def lying_of(
    draw: st.DrawFn, made: Turning, plain: bool
) -> tuple[dict[str, Lying], dict[str, str]]:
    """How operands lie off chip, by their tensors; and the formats, by their roles: the first of
    each line is I.  plain : whether what is I is uncompressed."""
    lyings, texts = {}, {}
    most = max(len(access.shape) for nest in made.nests for access in nest.terms[0])
    for role in "IF":
        order = draw(st.permutations(range(2))) if most == 2 else [0, 1, 2]
        packed = most == 2 and not (plain and role == "I") and draw(st.booleans())
        listed = packed and draw(st.booleans())
        outer, last = order[0], order[-1]
        texts[role] = f"[a,b] {'ab'[outer]}:{'C(12)' if listed else 'U'} "
        texts[role] += f"{'ab'[last]}:{'C(20)' if packed else 'U'}" if most == 2 else ""
        texts[role] = texts[role] if most == 2 else "U"
        for nest in made.nests:
            access = nest.terms[0]["IF".index(role)]
            mine = list(order) if most == 2 else list(range(len(access.shape)))
            lyings[access.tensor] = Lying(mine, 1, packed, listed, 12, 20, 16)
    return lyings, texts
