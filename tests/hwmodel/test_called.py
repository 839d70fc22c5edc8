"""Units beside tiles that come by a leader, against fingers that go through what came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from cases import Case, cases
from described import design_arch, drawn_formats
from fiber_judges import merged_by_list, merged_in_passes
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from judged import run
from mapped_cases import Mapped, blocks_of, mappings, tile_features
from nest_parts import Design, Loop, Place, Point
from simulator import leads_of
from test_meetings import ALONG, HOW, OVERLAPS, described, walked

import zeroskip as zs
from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, Mapping, arch, called, charge, unit_charges

pytestmark = pytest.mark.usefixtures("without_compiling")

BY_ROWS = {"matrix product": "k", "nothing of the diagonal": "k", "causal values": "n"}
"""Products of two matrices by rows, whatever the order of loops."""

LEVELS: list[dict[str, dict[str, Any]]] = [
    {"DRAM": {}, "GLB": {}, "RF": {"instances": "d0*d1"}},
    {"DRAM": {}, "L2": {}, "GLB": {}, "RF": {"instances": "d0*d1"}},
]


@st.composite
def innermost(
    draw: st.DrawFn, case: Case, rank: str, *, whole: bool = False, in_time: bool = False
) -> Mapped:
    """Loops in blocks, those of a rank inside all others in time, and marks between them.

    whole : whether these are all inside the sync; in_time : whether no loop goes across PEs.
    """
    split: dict[str, list[int]] = {}
    outer: list[Loop] = []
    inner: list[Loop] = []
    for one in case.sizes:
        blocks = draw(st.one_of(st.just([]), blocks_of(2)))
        split |= {one: blocks} if blocks else {}
        names = [f"{one}{n}" for n in range(len(blocks), -1, -1)] if blocks else [one]
        made = [
            Loop(name, one, block, tuple(blocks[:n]))
            for n, (name, block) in enumerate(zip(names, [*blocks, 1], strict=True))
        ]
        inner, outer = (made, outer) if one == rank else (inner, [*outer, *made])
    loops, space = draw(st.permutations(outer)), {}
    across = [x for x in loops if x.block == 1 and not x.within]
    if across and not in_time and draw(st.booleans()):
        chosen = draw(st.sampled_from(across))
        chosen.dims, chosen.pes, space = ("d0",), 2, {chosen.name: "d0"}
        loops = [x for x in loops if x is not chosen]
        inner = [*inner, chosen]
    most, loops = len(loops), [*loops, *inner]
    deepest = len(loops) - len(space)
    levels = draw(st.sampled_from(LEVELS))
    sync = draw(st.integers(0, most if whole else deepest))
    stays: dict[str, list[tuple[str, int]]] = {}
    marks = []
    for tensor in [*case.arrays, "O"]:
        stays[tensor], at = [("DRAM", 0)], 0
        for number, level in enumerate([*levels][1:]):
            at = draw(st.integers(at, deepest))
            stays[tensor].append((level, at))
            marks.append((at, number, f"@{level}({tensor})"))
    order: list[str] = []
    for number in range(len(loops) + 1):
        order += [text for at, _, text in sorted(marks) if at == number]
        order += [loops[number].name] if number < len(loops) else []
    waits = loops[sync - 1].name if sync else "none"
    mapping = Mapping(order, split, space, sync=waits)
    return Mapped(mapping, levels, {"d0": 2, "d1": 1}, loops, sync, stays)


class Led:
    """A layer, a mapping and a design whose unit intersects and whose tiles go by leaders."""

    def __init__(
        self,
        data: st.DataObject,
        name: str,
        how: str,
        overlap: str | None = None,
        merge: dict[str, Any] | None = None,
    ) -> None:
        self.how, self.rank = how, (ALONG | BY_ROWS)[name]
        self.case = data.draw(cases((name,)))
        inside = innermost(self.case, self.rank, whole=overlap is not None)
        any_of_rows = mappings(self.case, together_too=True)
        if merge:
            inside = any_of_rows = innermost(self.case, "n", in_time=True)
        self.mapped = data.draw(any_of_rows if name in BY_ROWS else inside)
        self.design = Design(skip=set(self.case.factors))
        texts = data.draw(tile_features(self.case, self.mapped.kept, self.design))
        given_ = self.mapped.stays, self.mapped.leader
        formats = drawn_formats(data, self.case, self.design, *given_)
        levels, array = self.mapped.levels, self.mapped.array
        self.described = design_arch(self.design, texts, formats, levels, array)
        units = described(how, self.rank)["units"] if merge is None else {"merge": merge}
        self.described |= {"units": units, "overlap": overlap}
        mapped = self.mapped
        shape = mapped.loops, mapped.sync, mapped.stays, mapped.instances
        dense = {t: {x for x, text in by.items() if text == "U"} for t, by in formats.items()}
        self.nest = self.case.nest(*shape, dense, mapped.levels)

    def charged(self) -> Charge:
        return run(self.case, self.described, self.mapped.mapping)

    def comes(self) -> Callable[[Point], bool]:
        """Whether every tile of a point does."""
        (term,) = self.nest.terms
        leads, ranks = leads_of(self.nest, self.design, term), self.nest.ranks(term)
        return lambda at: not any(lead.shut({r: at[r] for r in ranks}) for lead in leads)

    def steps(self, found: Charge) -> int:
        if self.how == "leader-follower" and self.case.name in BY_ROWS:
            return self._entries()
        return self.walked(found).total()

    def walked(self, found: Charge, outside: Sequence[Loop] = ()) -> Counter[Place]:
        """By the iteration of some loops."""
        order = [o.tensor for o in found.layer.work[0].operands]
        return walked(self.case, self.how, self.rank, order, outside, self.comes())

    def _entries(self) -> int:
        """Of the leader, that have a point."""
        (term,) = self.nest.terms
        (leader,) = (one for one in term if one.tensor == "I")
        comes, found = self.comes(), set()
        for at in self.nest.points(term):
            if self.nest.open(term, at) and comes(at) and leader.place(at) in leader.stored:
                found.add(leader.place(at))
        return len(found)

    def check(self, found: Charge) -> None:
        wanted = self.steps(found)
        unit = found.units["intersect"]
        assert (unit.steps, unit.cycles) == (wanted, -(-wanted // 3))


@pytest.mark.parametrize("name", [*ALONG, *BY_ROWS])
@settings(max_examples=6)
@given(data=st.data(), how=st.sampled_from(HOW))
def test_steps_where_tiles_come(name: str, data: st.DataObject, how: str) -> None:
    made = Led(data, name, how)
    made.check(made.charged())


@pytest.mark.parametrize("name", ["pointwise", "conv 1-D", "three along one", "band"])
@settings(max_examples=6)
@given(data=st.data(), how=st.sampled_from(HOW), overlap=OVERLAPS)
def test_steps_of_each_epoch(name: str, data: st.DataObject, how: str, overlap: str) -> None:
    made = Led(data, name, how, overlap)
    assume(0 not in made.case.sizes.values())
    made.described["units"]["intersect"]["rate"] = 0.25
    found = made.charged()
    made.described |= {"units": {}}
    alone = made.charged().epochs
    assert found.epochs is not None
    assert alone is not None
    steps = made.walked(found, made.mapped.loops[: made.mapped.sync])
    busy = [4 * steps[epoch] for epoch in sorted(steps)]
    busy = [0, *busy, 0] if overlap == "double" else busy
    assert found.epochs.cycles.tolist() == np.maximum(alone.cycles, busy).tolist()


@settings(max_examples=20)
@given(data=st.data(), radix=st.sampled_from([None, 2, 3]))
def test_what_is_merged_always_comes(data: st.DataObject, radix: int | None) -> None:
    how = {"how": "list"} if radix is None else {"how": "tree", "radix": radix}
    made = Led(data, "matrix product", "", merge=how)
    sizes, comes = made.case.sizes, made.comes()
    one, other = (access.stored for access in made.nest.terms[0])
    outer = [loop for loop in made.mapped.loops if loop.rank == "k"]
    order = sorted(range(sizes["k"]), key=lambda k: [x.at({"k": k}, sizes) for x in outer])
    steps = 0
    for m in range(sizes["m"]):
        fibers = [
            [n for n in range(sizes["n"]) if (k, n) in other and comes({"m": m, "k": k, "n": n})]
            for k in order
            if (m, k) in one
        ]
        steps += merged_by_list(fibers) if radix is None else merged_in_passes(fibers, radix)
    assert made.charged().units["merge"].steps == steps


needs_of_term = called.needs_of_term
MUTANTS: dict[str, tuple[Any, str, Any, str]] = {
    "every tile comes": (unit_charges, "called_of", lambda *_: None, "pointwise"),
    "every tile comes, by rows": (unit_charges, "called_of", lambda *_: None, "matrix product"),
    "gates let them come": (
        called,
        "needs_of_term",
        lambda *x: tuple(need for need in needs_of_term(*x) if not need.gates),
        "pointwise",
    ),
    "one of two decides": (
        called,
        "needs_of_term",
        lambda *x: needs_of_term(*x)[:1],
        "three along one",
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_other_steps_are_found_out(mutant: str) -> None:
    caught = []
    where, name, instead, layer = MUTANTS[mutant]

    @settings(max_examples=40, phases=(Phase.generate,))
    @given(data=st.data(), how=st.sampled_from(["two-finger", "bitmask(1)"]))
    def against_the_judge(data: st.DataObject, how: str) -> None:
        made = Led(data, layer, how)
        if caught:
            return
        right = made.charged()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(where, name, instead)
            wrong = made.charged()
        if wrong.units["intersect"].steps != right.units["intersect"].steps:
            with pytest.raises(AssertionError):
                made.check(wrong)
            caught.append(1)

    against_the_judge()
    assert caught


A = np.array([[1, 0, 0, 1]])
B = np.array([[0, 0, 0, 1], [0, 1, 1, 0]])
BLOCKS = Mapping("m n k1 @GLB k0", {"k": 2}, {}, sync="none")


def by_hand(how: str, *features: str, **operands: Any) -> Charge:
    design = described(how) | {"sparse": ["skip I,F", *features]}
    return charge(make_spec("Z[m,n] = A[m,k]*B[n,k]"), arch(design), operands, BLOCKS)


@pytest.mark.parametrize(("how", "steps"), [("two-finger", (5, 4)), ("bitmask(2)", (4, 3))])
def test_two_blocks_of_a_row(how: str, steps: tuple[int, int]) -> None:
    """A has 0 and 3, B has 3 in one row and 1, 2 in the other; blocks of two places.

    two fingers     0 3 and 3      0 alone, 3 both               2; without block 0: 1
                    0 3 and 1 2    0, 1, 2 alone, then B ends    3
    words of two                   2 each                        4; without block 0: 3
    """
    found = [
        by_hand(how, *features, A=A, B=B)
        for features in ((), *((f"{kind} A on B @GLB",) for kind in ("skip", "gate")))
    ]
    assert [c.units["intersect"].steps for c in found] == [steps[0], steps[1], steps[1]]
    assert [c.ops["gated"] for c in found] == [0, 0, 2]
    make_spec(found[1].accounting)
    assert "called[n,k] |= someB_2[n,k//2]" in found[1].accounting
    told = [any("whose tiles do not come" in text for text in c.assumptions) for c in found]
    assert told == [False, True, True]


def test_drawn_operands_have_means_of_draws() -> None:
    given_ = {"A": zs.Density((4, 8), 0.3), "B": zs.Density((3, 8), 0.2)}
    found = by_hand("leader-follower", "skip A on B @GLB", **given_)
    unit = found.units["intersect"]
    assert unit.drawn_by is not None
    every = [c.units["intersect"].steps for c in unit.drawn_by.charges]
    assert unit.steps == pytest.approx(np.mean(every))
    assert unit.steps < by_hand("leader-follower", **given_).units["intersect"].steps


def test_more_points_than_are_counted_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(called, "MOST_SCATTERED", 7)
    with pytest.raises(ArchError) as error:
        by_hand("two-finger", "skip A on B @GLB", A=A, B=B)
    assert str(error.value) == (
        "units and lanes beside tiles of a leader: count at most 7 places of n, k, found 8\n"
        "Charge a part of the layer."
    )
