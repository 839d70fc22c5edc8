"""Mergers of partial results that are fibers, against a walk of the nest that makes them one by
one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from math import ceil
from typing import Any

import numpy as np
import pytest
from fiber_judges import Fiber, in_pieces, merged_by_list, merged_in_passes
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import zeroskip as zs
from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, Mapping, arch, charge, merging
from zeroskip.hwmodel.fibers import Fibers
from zeroskip.hwmodel.merging import Merging

LAYERS = {
    "by rows": ("Z[m,n] = A[m,k]*B[k,n]", "n"),
    "by columns": ("Z[m,n] = A[m,k]*B[k,n]", "m"),
    "batches": ("Z[b,m,n] = A[b,m,k]*B[b,k,n]", "n"),
    "tensor times matrix": ("Z[i,j,n] = A[i,j,k]*B[k,n]", "n"),
    "matrix times tensor": ("Z[m,i,j] = A[m,k]*B[i,k,j]", "j"),
    "two sums": ("Z[m,n] = A[m,k,l]*B[l,k,n]", "n"),
    "two leaders": ("Z[m,n] = A[m,k]*B[k]*C[k,n]", "n"),
    "a sum alone": ("Z[m,n] = A[m,k,n]", "n"),
    "filters": ("Z[m,q] = A[k,2*q+l]*B[m,k,l]", "m"),
    "a window": ("Z[m,q,n] = A[m,q+l]*B[q+l,n]", "n"),
}
"""Layers, and the rank of the innermost loop."""


def design(**unit: Any) -> dict[str, Any]:
    return {
        "name": "merging",
        "array": {"pe": 2},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "units": {"merge": unit},
    }


def operands_of(text: str) -> dict[str, list[str]]:
    """Subscripts of each, as Python."""
    parts = text.split("= ")[1].replace("]*", "]|").split("|")
    return {part[0]: part[2:-1].split(",") for part in parts}


def drawn(
    data: st.DataObject, name: str
) -> tuple[dict[str, np.ndarray], Mapping, dict[str, int], list[tuple[str, int, int]]]:
    """Operands, a mapping, sizes, and the loops outside the innermost for the judge."""
    text, into = LAYERS[name]
    inside = operands_of(text)
    named = sorted(
        {c for subscripts in inside.values() for s in subscripts for c in s if c.isalpha()}
    )
    sizes = {rank: data.draw(st.integers(1, 4), rank) for rank in named}
    most = {rank: size - 1 for rank, size in sizes.items()}
    arrays = {}
    for tensor, subscripts in inside.items():
        shape = [eval(s, {}, most) + 1 for s in subscripts]
        seed, density = data.draw(st.integers(0, 99)), data.draw(st.sampled_from([0.3, 0.6, 1.0]))
        arrays[tensor] = (np.random.default_rng(seed).random(shape) < density).astype(int)
    order, split = data.draw(st.permutations([rank for rank in named if rank != into])), {}
    loops, names = [(rank, 1, 0) for rank in order], list(order)
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(order) - 1))
        rank, (block) = order[at], 2
        split = {rank: block}
        outer = data.draw(st.integers(0, at))
        loops[at], names[at] = (rank, 1, block), f"{rank}0"
        loops.insert(outer, (rank, block, 0))
        names.insert(outer, f"{rank}1")
    mapping = Mapping([*names, into], split, {}, sync="none")
    return arrays, mapping, sizes, loops


def steps(
    name: str,
    arrays: dict[str, np.ndarray],
    sizes: dict[str, int],
    loops: list[tuple[str, int, int]],
    merged: Callable[[list[Fiber]], int],
) -> int:
    return sum(by_fiber(name, arrays, sizes, loops, merged).values())


def group_of(name: str) -> list[str]:
    """The ranks of the result but that of its fibers."""
    text, into = LAYERS[name]
    return [rank for rank in text[2 : text.index("]")].split(",") if rank != into]


def by_fiber(
    name: str,
    arrays: dict[str, np.ndarray],
    sizes: dict[str, int],
    loops: list[tuple[str, int, int]],
    merged: Callable[[list[Fiber]], int],
) -> dict[tuple[int, ...], int]:
    """Steps of each fiber of the result, by its place."""
    text, into = LAYERS[name]
    inside = operands_of(text)
    follower = next(tensor for tensor, subscripts in inside.items() if into in subscripts)

    def fiber(at: dict[str, int]) -> Fiber | None:
        places = {
            tensor: [
                tuple(eval(s, {}, {**at, into: v}) for s in subscripts) for v in range(sizes[into])
            ]
            for tensor, subscripts in inside.items()
        }
        if any(not arrays[t][places[t][0]] for t in inside if t != follower):
            return None
        return [v for v, place in enumerate(places[follower]) if arrays[follower][place]]

    parts = in_pieces(loops, sizes, group_of(name), fiber)
    return {place: merged(pieces) for place, pieces in parts.items()}


def charged(
    name: str, arrays: dict[str, Any], mapping: Mapping, sizes: dict[str, int], **unit: Any
) -> Charge:
    return charge(make_spec(LAYERS[name][0], sizes=sizes), arch(design(**unit)), arrays, mapping)


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=12)
@given(data=st.data())
def test_steps_of_any_nest(name: str, data: st.DataObject) -> None:
    arrays, mapping, sizes, loops = drawn(data, name)
    tree = charged(name, arrays, mapping, sizes, how="tree", radix=3, rate=2).units["merge"]
    wanted = steps(name, arrays, sizes, loops, lambda parts: merged_in_passes(parts, 3))
    assert (tree.steps, tree.cycles, tree.by_place.sum()) == (wanted, -(-wanted // 2), wanted)
    found = charged(name, arrays, mapping, sizes, how="list").units["merge"]
    assert found.steps == found.cycles == steps(name, arrays, sizes, loops, merged_by_list)


@pytest.mark.usefixtures("without_compiling")
@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=6)
@given(data=st.data(), overlap=st.sampled_from(["none", "double"]))
def test_steps_of_each_epoch(name: str, data: st.DataObject, overlap: str) -> None:
    """Loops over places of the result go outside, and PEs wait at one of these: no level has a
    limit."""
    arrays, mapping, sizes, loops = drawn(data, name)
    group = group_of(name)
    order = sorted(range(len(loops)), key=lambda i: loops[i][0] not in group)
    names, loops = [mapping.order[i] for i in order], [loops[i] for i in order]
    last = data.draw(st.integers(1, sum(rank in group for rank, _, _ in loops)))
    mapping = Mapping([*names, mapping.order[-1]], mapping.split, {}, sync=names[last - 1])
    unit = {"how": "tree", "radix": 3, "rate": 0.3}
    spec, timed = make_spec(LAYERS[name][0], sizes=sizes), {"overlap": overlap}
    found = charge(spec, arch(design(**unit) | timed), arrays, mapping).epochs
    alone = charge(spec, arch(design(**unit) | timed | {"units": {}}), arrays, mapping).epochs
    assert found is not None
    assert alone is not None
    wanted: Counter[tuple[int, ...]] = Counter()
    steps_of = by_fiber(name, arrays, sizes, loops, lambda parts: merged_in_passes(parts, 3))
    for place in product(*(range(sizes[rank]) for rank in group)):
        at = dict(zip(group, place, strict=True))
        epoch = tuple(
            (at[rank] % around if around else at[rank]) // block
            for rank, block, around in loops[:last]
        )
        wanted[epoch] += steps_of.get(place, 0)
    busy = [ceil(wanted[epoch] / Fraction(unit["rate"])) for epoch in sorted(wanted)]
    busy = [0, *busy, 0] if overlap == "double" else busy
    assert found.cycles.tolist() == np.maximum(alone.cycles, busy).tolist()


def test_epochs_that_cut_what_is_merged_are_refused() -> None:
    given_ = {"A": np.ones((2, 3, 4)), "B": np.ones((2, 4, 3))}
    text, mapping = LAYERS["batches"][0], Mapping("b k m n", space={}, sync="m")
    with pytest.raises(ArchError) as error:
        zs.charge(text, design(how="list") | {"overlap": "none"}, mapping=mapping, **given_)
    assert str(error.value) == (
        "units.merge: beside overlap its steps are counted by epoch, and k, which is outside the "
        "sync, cuts what it goes through along n and k\n"
        "Let PEs wait (sync) at a loop outside k, or leave out overlap."
    )


def with_empty_fibers(lines: str) -> str:
    return "\n".join(
        x.replace("*live[", "*0*live[") if "fibers" in x else x for x in lines.split("\n")
    )


def any_entry(lines: str) -> str:
    return lines.replace("+= ", "|= ")


def in_other_order(group: Fibers, held: Fibers) -> tuple[Fibers, Fibers]:
    members = [member for g in range(len(group)) for member in reversed(group.fiber(g))]
    return Fibers(group.positions, np.array(members, np.int64), group.extent), held


@pytest.mark.parametrize("change", [with_empty_fibers, any_entry])
def test_other_lines_are_found_out(change: Callable[[str], str]) -> None:
    rng = np.random.default_rng(0)
    arrays = {name: (rng.random((4, 4)) < 0.6).astype(int) for name in "AB"}
    sizes, loops = dict.fromkeys("mkn", 4), [("m", 1, 0), ("k", 1, 0)]
    lines = merging._lines
    given_ = "by rows", arrays, Mapping("m k n", space={}, sync="none"), sizes
    wanted = steps("by rows", arrays, sizes, loops, lambda parts: merged_in_passes(parts, 2))
    assert charged(*given_, how="tree", radix=2).units["merge"].steps == wanted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "_lines", lambda *given: change(lines(*given)))
        assert charged(*given_, how="tree", radix=2).units["merge"].steps != wanted


@settings(max_examples=10)
@given(data=st.data())
def test_another_order_of_the_parts_is_found_out(data: st.DataObject) -> None:
    arrays, mapping, sizes, loops = drawn(data, "two sums")
    pieces = merging._pieces

    def turned(one: Merging, operands: Any) -> tuple[Fibers, Fibers]:
        return in_other_order(*pieces(one, operands))

    right = charged("two sums", arrays, mapping, sizes, how="list").units["merge"].steps
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "_pieces", turned)
        wrong = charged("two sums", arrays, mapping, sizes, how="list").units["merge"].steps
    assume(wrong != right)
    assert wrong != steps("two sums", arrays, sizes, loops, merged_by_list)


def test_batches_by_hand() -> None:
    """Batch 0: row 0 has parts 0 1 and 1, two fibers of 3 entries; row 1 has one part.  Batch 1
    has none that is not empty."""
    a, b = np.zeros((2, 2, 2), int), np.zeros((2, 2, 2), int)
    a[0, 0] = a[0, 1, 0] = a[1, 0] = 1
    b[0, 0] = b[0, 1, 1] = 1
    mapping = Mapping("b m k n", space={}, sync="none")
    text = LAYERS["batches"][0]
    found = zs.charge(text, design(how="tree", radix=2), mapping=mapping, A=a, B=b)
    assert found.units["merge"].by_place.tolist() == [[2 + 3, 0], [0, 0]]
    assert "\nfibers[v0,v1] += st0[v0,v1,v3]*live[v0,v3]\n" in found.accounting


def test_ranks_of_any_name() -> None:
    """Names of axes, masks and counts in the lines are not those of a layer's ranks."""
    rng = np.random.default_rng(0)
    arrays = {"A": (rng.random((5, 5)) < 0.6) * 1.0, "B": np.ones(3)}
    steps = set()
    for p, r, n in (("p", "r", "n"), ("p", "r", "x0"), ("v1", "x1", "v0"), ("live", "stF", "x0")):
        text = f"Z[{p},{n}] = A[{p}+{r},{n}]*B[{r}]"
        mapping = Mapping([p, r, n], space={}, sync="none")
        found = zs.charge(text, design(how="tree", radix=2), mapping=mapping, **arrays)
        steps.add(found.units["merge"].steps)
    assert len(steps) == 1
    assert min(steps) > 0


def test_drawn_operands_have_means_of_draws() -> None:
    given_ = {"A": zs.Density((3, 4, 5), 0.4), "B": zs.Density((3, 5, 6), 0.5)}
    mapping = Mapping("b m k n", space={}, sync="none")
    text = LAYERS["batches"][0]
    found = zs.charge(text, design(how="tree", radix=2), mapping=mapping, **given_)
    unit = found.units["merge"]
    assert unit.drawn_by is not None
    draws = [c.units["merge"].steps for c in unit.drawn_by.charges]
    assert unit.steps == pytest.approx(np.mean(draws))
    assert unit.by_place.shape == (3, 4)


@pytest.mark.parametrize(
    ("text", "shapes", "order", "said"),
    [
        ("Z[m,n] = A[m,k]*B[k,n]", {"A": (2, 3), "B": (3, 2)}, "m n k",
         "its innermost loop is over k"),
        ("Z[m,n] = A[m,n]*B[m,n]", {"A": (2, 3), "B": (2, 3)}, "m n",
         "n has to be an axis by itself, without padding, of one operand, and is of A and B"),
        ("Z[q] = A[q+s]*B[s]", {"A": (4,), "B": (2,)}, "s q",
         "q has to be an axis by itself, without padding, of one operand, and is of A"),
        ("Z[m,n] = A[m,k]*B[k,n] + C[n]", {"A": (2, 3), "B": (3, 2), "C": (2,)}, "m k n",
         "it is no single product whose result has ranks as axes"),
    ],
)  # fmt: skip
def test_other_nests_are_refused(
    text: str, shapes: dict[str, tuple[int, ...]], order: str, said: str
) -> None:
    given_ = {name: np.ones(shape) for name, shape in shapes.items()}
    with pytest.raises(ArchError) as error:
        zs.charge(text, design(how="list"), mapping=Mapping(order, space={}, sync="none"), **given_)
    assert str(error.value).startswith("units.merge: expected partial results that are fibers")
    assert said in str(error.value)


def test_a_loop_of_one_iteration_is_no_innermost_one() -> None:
    """Where k has one place, n is innermost in m n k, too, as in m k1 n k0 where k goes one by
    one; where n does in m n1 k n0, k is."""
    a, b = np.ones((4, 3)), np.ones((3, 4))

    def found(order: str, split: Any = None, *, most: int = 3) -> int:
        mapping = Mapping(order, split or {}, space={}, sync="none")
        text, given_ = LAYERS["by rows"][0], {"A": a[:, :most], "B": b[:most]}
        return zs.charge(text, design(how="list"), mapping=mapping, **given_).units["merge"].steps

    assert found("m n k", most=1) == found("m k n", most=1) == 0  # one part each
    assert found("m k1 n k0", {"k": 1}) == found("m k n") > 0
    with pytest.raises(ArchError, match="its innermost loop is over k"):
        found("m n1 k n0", {"n": 1})


def test_a_unit_may_name_the_sum_that_it_merges() -> None:
    given_ = {"A": np.ones((2, 3)), "B": np.ones((3, 2))}
    text, mapping = LAYERS["by rows"][0], Mapping("m k n", space={}, sync="none")
    found = zs.charge(text, design(how="list", rank="k"), mapping=mapping, **given_)
    assert found.units["merge"].steps > 0
    with pytest.raises(ArchError, match=r"not summed over j \(units.merge.rank\)"):
        zs.charge(text, design(how="list", rank="j"), mapping=mapping, **given_)
