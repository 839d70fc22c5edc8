"""Steps where fibers of two operands meet, against fingers that go through each pair of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from cases import Case, cases
from fiber_judges import intersected
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from nest_parts import Loop, Place

import zeroskip as zs
from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import (
    Charge,
    Mapping,
    arch,
    at_points,
    charge,
    epochs,
    meetings,
    unit_charges,
    unit_epochs,
)
from zeroskip.hwmodel.brackets import inside_of
from zeroskip.native.engine import evaluate

HOW = ("leader-follower", "two-finger", "skip-ahead", "bitmask(1)", "bitmask(3)")
ALONG = {
    "matrix vector": "k",
    "dot product": "k",
    "conv": "c",
    "conv 1-D": "c",
    "pointwise": "c",
    "transposed": "c",
    "fully connected": "w",
    "upsampling": "c",
    "three along one": "k",
    "three, two windows": "c",
    "three operands": "k",
    "four operands": "k",
    "causal scores": "k",
    "band": "k",
    "band of three": "k",
    "window within": "c",
    "name of a name": "k",
    "bag": "k",
    "names within": "k",
}
"""Layers, and the rank along which their fibers meet."""
BY_EPOCHS = [
    "conv 1-D",
    "pointwise",
    "fully connected",
    "three, two windows",
    "four operands",
    "band",
    "names within",
]
OVERLAPS = st.sampled_from(["none", "double"])


def described(how: str, rank: str | None = None) -> dict[str, Any]:
    unit = {"how": how, "rate": 3} | ({} if rank is None else {"rank": rank})
    return {
        "name": "meeting",
        "array": {"pe": 2},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "sparse": ["skip I,F"],
        "formats": {name: {"DRAM": "C", "GLB": "C"} for name in "IF"},
        "units": {"intersect": unit},
    }


def charged(case: Case, how: str, rank: str) -> Charge:
    order = [r for r in case.sizes if r != rank] + [rank]
    return run(case, described(how, rank), Mapping(order, space={}, sync="none"))


def run(case: Case, design: dict[str, Any], mapping: Mapping) -> Charge:
    spec = make_spec(case.text, sizes=case.known, pad=case.pads or None)
    return charge(spec, arch(design), case.arrays, mapping)


def walked(
    case: Case,
    how: str,
    rank: str,
    order: list[str],
    outside: Sequence[Loop] = (),
    comes: Callable[[dict[str, int]], bool] = lambda _: True,
) -> Counter[Place]:
    """At every point of the other ranks, the fibers one after the other, and how long it takes to
    go through what the first ones hold and the next: by the iteration of some loops.

    comes : whether what a point reads is there.
    """
    (term,) = case.terms
    order = [name for name in order if name not in case.indices]
    term = sorted((one for one in term if one[0] in order), key=lambda one: order.index(one[0]))
    every = [case.access(name, subscripts, set()) for name, subscripts in term]
    sides = [one for one in every if rank in one.names()]
    others = [one for one in every if one not in sides]
    ranks = [r for r in case.sizes if r != rank] + [rank]
    points = np.array(list(np.ndindex(*(case.sizes[r] for r in ranks)))).reshape(-1, len(ranks))
    steps: Counter[Place] = Counter()
    for other, group in groupby(points.tolist(), lambda at: at[:-1]):
        here = dict(zip(ranks, other, strict=False))
        epoch = tuple(loop.at(here, case.sizes) for loop in outside)
        steps[epoch] += 0
        fibers: list[list[int]] = [[] for _ in sides]
        there = [True] * len(sides)
        words = set()
        for point in group:
            at = dict(zip(ranks, point, strict=True))
            if not comes(at) or not all(eval(text, {}, at) for text in case.within[0]):
                continue
            if not all(one.place(at) in one.stored for one in others):
                continue
            words.add(at[rank] // int(how[8:-1]) if how.startswith("bitmask") else 0)
            for i, side in enumerate(sides):
                place = side.place(at)
                there[i] = there[i] and side.inside(place)
                fibers[i] += [at[rank]] * (place in side.stored)
        if not all(there):
            continue
        left = fibers[0]
        for right in fibers[1:]:
            bits = how.startswith("bitmask")
            taken = len(words) if bits else intersected(how, left, right, case.sizes[rank])
            steps[epoch] += taken
            left = sorted({*left} & {*right})
    return steps


def check(case: Case, how: str, rank: str, found: Charge) -> None:
    unit, order = found.units["intersect"], [o.tensor for o in found.layer.work[0].operands]
    wanted = walked(case, how, rank, order).total()
    assert (unit.steps, unit.cycles) == (wanted, -(-wanted // 3))
    at_a_time = any("takes two fibers at a time" in text for text in found.assumptions)
    assert at_a_time == (len(set(order) - case.indices) > 2)


@pytest.mark.parametrize("name", ALONG)
@settings(max_examples=8)
@given(data=st.data(), how=st.sampled_from(HOW))
def test_steps_of_all_fibers_that_meet(name: str, data: st.DataObject, how: str) -> None:
    case = data.draw(cases((name,)))
    check(case, how, ALONG[name], charged(case, how, ALONG[name]))


def by_epochs(case: Case, how: str, rank: str, data: st.DataObject) -> tuple[Charge, list[int]]:
    """A charge by epochs, and the cycles of each by the judge: no level has a limit."""
    loops, split = [], {}
    for r in (r for r in case.sizes if r != rank):
        block = data.draw(st.integers(1, 3))
        split |= {r: [block]} if block > 1 else {}
        parts = [Loop(f"{r}1", r, block), Loop(f"{r}0", r, 1, (block,))]
        loops += parts if block > 1 else [Loop(r, r)]
    loops = data.draw(st.permutations(loops))
    sync, overlap = data.draw(st.integers(0, len(loops))), data.draw(OVERLAPS)
    waits = loops[sync - 1].name if sync else "none"
    mapping = Mapping([*(loop.name for loop in loops), rank], split, {}, sync=waits)
    design = described(how, rank) | {"overlap": overlap}
    design["units"]["intersect"]["rate"] = 0.75
    with pytest.MonkeyPatch.context() as patch:  # many structures: none is compiled
        patch.setattr(at_points, "evaluate", partial(evaluate, backend="numpy"))
        found = run(case, design, mapping)
    alone = run(case, design | {"units": {}}, mapping).epochs
    assert alone is not None
    order = [o.tensor for o in found.layer.work[0].operands]
    steps = walked(case, how, rank, order, loops[:sync])
    busy = [-(-steps[epoch] * 4 // 3) for epoch in sorted(steps)]
    busy = [0, *busy, 0] if overlap == "double" else busy
    return found, np.maximum(alone.cycles, busy).tolist()


@pytest.mark.usefixtures("without_compiling")
@pytest.mark.parametrize("name", BY_EPOCHS)
@settings(max_examples=6)
@given(data=st.data(), how=st.sampled_from(HOW))
def test_steps_of_each_epoch(name: str, data: st.DataObject, how: str) -> None:
    case = data.draw(cases((name,)))
    assume(0 not in case.sizes.values())
    found, cycles = by_epochs(case, how, ALONG[name], data)
    assert found.epochs is not None
    assert found.epochs.cycles.tolist() == cycles


steps_by_epoch, parts_of = unit_epochs.steps_by_epoch, unit_epochs._parts
steps_of_meeting = unit_charges.steps_of_meeting


def all_at_once(*given_: Any) -> Any:
    right = steps_by_epoch(*given_)
    return np.array([right.sum(), *[0] * (len(right) - 1)])


def whole_blocks(rank: str, loops: Any, *rest: Any) -> Any:
    return parts_of(rank, [replace(x, places=("",)) if x.spans else x for x in loops], *rest)


def other_parts(*given_: Any) -> Any:
    part, epoch, number = parts_of(*given_)
    return part, (epoch + 1) % max(number, 1), number


OTHER_EPOCHS: dict[str, tuple[Any, str, Any]] = {
    "all at once": (epochs, "steps_by_epoch", all_at_once),
    "evenly": (unit_charges, "steps_of_meeting", lambda *x: steps_of_meeting(*x[:4])),
    "blocks alone": (unit_epochs, "_parts", whole_blocks),
    "others' parts": (unit_epochs, "_parts", other_parts),
}


@pytest.mark.usefixtures("without_compiling")
@pytest.mark.parametrize("mutant", OTHER_EPOCHS)
def test_steps_of_other_epochs_are_found_out(mutant: str) -> None:
    caught = []

    @settings(max_examples=60, phases=(Phase.generate,))
    @given(data=st.data())
    def against_the_judge(data: st.DataObject) -> None:
        case = data.draw(cases(("pointwise", "conv 1-D")))
        if caught or 0 in case.sizes.values():
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*OTHER_EPOCHS[mutant])
            found, cycles = by_epochs(case, "two-finger", "c", data)
        assert found.epochs is not None
        if found.epochs.cycles.tolist() != cycles:
            caught.append(1)

    against_the_judge()
    assert caught


def test_ranks_of_others_have_a_share_of_steps() -> None:
    """Each row of F meets I for every n: of five, two, two and one."""
    rng = np.random.default_rng(3)
    weights, vector = rng.random((4, 6)) < 0.5, rng.random(6) < 0.7
    design = described("two-finger") | {"overlap": "none", "sparse": []}
    design["units"]["intersect"]["rate"] = 0.01
    mapping = Mapping("n1 m n0 k", {"n": 2}, {}, sync="m")
    spec = make_spec("O[m,n] = F[m,k]*I[k]*G[n]")
    found = charge(spec, arch(design), {"F": weights, "I": vector, "G": np.ones(5)}, mapping)
    rows = [np.flatnonzero(row).tolist() for row in weights]
    steps = [intersected("two-finger", row, np.flatnonzero(vector).tolist(), 6) for row in rows]
    assert found.epochs is not None
    assert found.epochs.cycles.tolist() == [100 * n * one for n in (2, 2, 1) for one in steps]


def test_epochs_that_cut_fibers_are_refused() -> None:
    case = {"I": np.ones((3, 2, 4)), "F": np.ones((2, 4))}
    spec, design = make_spec("O[n,m,p] = I[n,p,c]*F[m,c]"), described("two-finger")
    mapping = Mapping("n m p c1 c0", {"c": 2}, {}, sync="c1")
    with pytest.raises(ArchError) as caught:
        charge(spec, arch(design | {"overlap": "none"}), case, mapping)
    assert str(caught.value) == (
        "units.intersect: beside overlap its steps are counted by epoch, and c1, which is outside "
        "the sync, cuts what it goes through along c\n"
        "Let PEs wait (sync) at a loop outside c1, or leave out overlap."
    )


intersection = meetings.intersection


def another_unit(how: str, *rest: Any) -> str:
    return intersection("skip-ahead" if how == "two-finger" else "two-finger", *rest)


def none_ends(how: str, left: Any, right: Any, rank: str, target: str, *rest: Any) -> str:
    return f"{target} += {left} + {right} - {left}*{right}"


def matches_alone(how: str, left: Any, right: Any, rank: str, target: str, *rest: Any) -> str:
    return f"{target} += {left}*{right}"


def all_points(within: Any, extents: Any) -> Any:
    return np.ones_like(inside_of(within, extents))


MUTANTS: dict[str, tuple[Any, str, Any, str]] = {
    "another unit": (meetings, "intersection", another_unit, "pointwise"),
    "none ends": (meetings, "intersection", none_ends, "conv 1-D"),
    "matches alone": (meetings, "intersection", matches_alone, "pointwise"),
    "the first meets the third": (
        meetings._Lines,
        "met",
        lambda _, left, *__: left,
        "band of three",
    ),
    "the second meets it": (meetings._Lines, "met", lambda *x: x[2], "three along one"),
    "brackets cut nothing": (at_points, "inside_of", all_points, "band"),
    "brackets keep nothing away": (at_points, "inside_of", all_points, "causal scores"),
    "padding is a fiber": (meetings._Lines, "_there", lambda *_: "1", "three, two windows"),
    "others let all meet": (meetings.AtPoints, "stored", lambda *_: "1", "four operands"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_other_steps_are_found_out(mutant: str) -> None:
    caught = []

    where, name, instead, layer = MUTANTS[mutant]

    @settings(max_examples=60, phases=(Phase.generate,))
    @given(data=st.data(), how=st.sampled_from(["two-finger", "skip-ahead"]))
    def against_the_judge(data: st.DataObject, how: str) -> None:
        case = data.draw(cases((layer,)))
        if caught:
            return
        right = charged(case, how, ALONG[layer])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(where, name, instead)
            wrong = charged(case, how, ALONG[layer])
        if wrong.units["intersect"].steps != right.units["intersect"].steps:
            with pytest.raises(AssertionError):
                check(case, how, ALONG[layer], wrong)
            caught.append(1)

    against_the_judge()
    assert caught


def test_channels_of_two_windows() -> None:
    """O[m,q] = I[c,q+s]*F[m,c,s], 4 channels; I has 0 and 2 at w = 0, nothing at w = 1, 3 at w = 2.
    F has 0, 1, 2 at s = 0 and 2 at s = 1.  Two fingers, pair by pair (q, s):

        (0, 0)  02 and 012   0 both, 1 alone, 2 both   3
        (0, 1)  none         0
        (1, 0)  none         0
        (1, 1)  3 and 2      2 alone, then F ends      1
    """
    image, weights = np.zeros((4, 3), int), np.zeros((1, 4, 2), int)
    image[[0, 2], 0] = image[3, 2] = 1
    weights[0, [0, 1, 2], 0] = weights[0, 2, 1] = 1
    mapping = Mapping("m q s c", space={}, sync="none")
    found = charge(
        make_spec("O[m,q] = I[c,q+s]*F[m,c,s]"),
        arch(described("two-finger")),
        {"I": image, "F": weights},
        mapping,
    )
    assert found.units["intersect"].steps == 4


@pytest.mark.parametrize(
    ("text", "shapes", "order", "rank", "said"),
    [
        ("O[m] = sum[k](relu(I[m,k] - G[k])*F[k])", {"I": (2, 3), "F": 3, "G": 3}, "m k", None,
         "units.intersect: expected a product of operands whose fibers meet, found O[m] = "),
        ("O[m,q] = I[q+s]*F[m,s]", {"I": (4,), "F": (2, 2)}, "m q s", None,
         "units.intersect: expected a rank that is summed over and an axis by itself of F and I"),
        ("O[m,q] = I[c,q+s]*F[m,c,s]", {"I": (2, 4), "F": (2, 2, 2)}, "m q s c", "s",
         "units.intersect: expected a rank, s, that is summed over and an axis by itself of F"),
        ("O[m,q] = I[c,q+s]*F[m,c,s]", {"I": (2, 4), "F": (2, 2, 2)}, "m q c s", None,
         "units.intersect: fibers along c meet where it is the innermost loop, and s is inside it"),
    ],
)  # fmt: skip
def test_fibers_that_do_not_meet_are_refused(
    text: str, shapes: dict[str, tuple[int, ...]], order: str, rank: str | None, said: str
) -> None:
    given_ = {name: np.ones(shape) for name, shape in shapes.items()}
    mapping = Mapping(order, space={}, sync="none")
    with pytest.raises(ArchError) as error:
        charge(make_spec(text), arch(described("two-finger", rank)), given_, mapping)
    assert str(error.value).startswith(said)


def test_drawn_operands_have_means_of_draws() -> None:
    mapping = Mapping("m q s c", space={}, sync="none")
    given_ = {"I": zs.Density((6, 5), 0.4), "F": zs.Density((3, 6, 2), 0.5)}
    text, design = "O[m,q] = I[c,q+s]*F[m,c,s]", arch(described("two-finger"))
    found = zs.charge(text, design, **given_, mapping=mapping)
    unit = found.units["intersect"]
    assert found.tags["cycles"] == "approximate"
    assert unit.drawn_by is not None
    assert unit.steps == pytest.approx(
        np.mean([c.units["intersect"].steps for c in unit.drawn_by.charges])
    )
