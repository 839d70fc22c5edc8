"""Vectors whose products are all formed, and their banks, against entries that meet one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import CONV, conv_case
from test_queues import stepped

import zeroskip as zs
from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, Mapping, arch, banks, charge

Cell = tuple[int, ...]


def design(**changes: Any) -> dict[str, Any]:
    return {
        "name": "cartesian",
        "array": {"rows": 2, "cols": 3},
        "multipliers": 6,
        "lanes": {"I": 2, "F": 3, "banks": 5},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "sparse": ["skip I,F"],
        "formats": {"I": {"DRAM": "C"}, "F": {"DRAM": "C"}},
        **changes,
    }


def vectors(entries: list[Cell], width: int) -> list[list[Cell]]:
    left = iter(entries)
    return list(iter(lambda: list(islice(left, width)), []))


def simulated(
    x: np.ndarray, w: np.ndarray, stride: int, pad: int, group: int
) -> tuple[Counter[str], dict[Cell, Counter[Cell]]]:
    """Counts, and turns of each (group of m, c) in each PE, conflicts among them."""
    (n, c, h, wide), (m, _, r, s) = x.shape, w.shape
    p, q = ((e + 2 * pad - t) // stride + 1 for e, t in ((h, r), (wide, s)))
    found: Counter[str] = Counter()
    turns: dict[Cell, Counter[Cell]] = defaultdict(Counter)
    for channel, first in product(range(c), range(0, m, group)):
        weights = [
            (i, a, b)
            for i, a, b in product(range(first, min(first + group, m)), range(r), range(s))
            if w[i, channel, a, b]
        ]
        tiles: dict[Cell, list[Cell]] = defaultdict(list)
        for image, y, z in product(range(n), range(h), range(wide)):
            if x[image, channel, y, z]:
                tiles[2 * y // h, 3 * z // wide].append((image, y, z))
        for pe, inputs in tiles.items():
            for some, others in product(vectors(inputs, 2), vectors(weights, 3)):
                loads: Counter[int] = Counter()
                for (image, y, z), (i, a, b) in product(some, others):
                    found["products"] += 1
                    up, across = y + pad - a, z + pad - b
                    on = up % stride == 0 and across % stride == 0
                    row, column = up // stride, across // stride
                    if not on or not (0 <= row < p and 0 <= column < q):
                        found["off"] += 1
                        continue
                    loads[(((image * m + i) * p + row) * q + column) % 5] += 1
                found["slots"] += 6
                found["waiting"] += max(loads.values(), default=1) - 1
                turns[first // group, channel][pe] += max(loads.values(), default=1)
    return found, turns


def run(source: Any, x: np.ndarray, w: np.ndarray, stride: int, pad: int, **mapping: Any) -> Charge:
    spec = make_spec(CONV, consts={"U": stride}, pad={"I": {"h": pad, "w": pad}})
    return charge(spec, arch(source), {"I": x, "F": w}, Mapping(**mapping))


@settings(max_examples=12)
@given(
    st.integers(0, 2**16),
    st.sampled_from([0.1, 0.5, 1.0]),
    st.integers(1, 2),
    st.integers(0, 2),
    st.booleans(),
)
def test_every_product(seed: int, density: float, stride: int, pad: int, grouped: bool) -> None:
    given_ = conv_case(seed, density)
    x, w = given_["I"][:, :2, :6, :7], given_["F"][:, :2]
    group = 3 if grouped else 4
    mapping: dict[str, Any] = {"order": "c n m r s p q", "sync": "c"}
    if grouped:
        mapping = {"order": "m1 c n m0 r s p q", "sync": "m1", "split": {"m": 3}}
    found = run(design(), x, w, stride, pad, **mapping).cartesian
    counts, turns = simulated(x, w, stride, pad, group)
    assert found is not None
    assert (found.products, found.off_output) == (counts["products"], counts["off"])
    assert (found.slots, found.waiting) == (counts["slots"], counts["waiting"])
    assert found.idle_lanes == counts["slots"] - counts["products"]
    steps: dict[int, Counter[Cell]] = defaultdict(Counter)
    for (block, channel), pes in turns.items():
        steps[block if grouped else channel].update(pes)
    assert found.cycles == sum(max(pes.values()) for pes in steps.values())
    for step, spent in enumerate(found.slowest.tolist()):
        assert spent == max(steps[step].values(), default=0)
    wanted = np.zeros(found.turns.shape, np.int64)
    for step, pes in steps.items():
        for pe, spent in pes.items():
            wanted[(step, *pe)] = spent
    assert found.turns.tolist() == wanted.tolist()


@settings(max_examples=8)
@given(st.integers(0, 2**16), st.sampled_from([0.1, 0.5]), st.integers(1, 3), st.booleans())
def test_queues_take_vectors(seed: int, density: float, depth: int, banked: bool) -> None:
    given_ = conv_case(seed, density)
    x, w = given_["I"][:, :2, :6, :7], given_["F"][:, :2]
    mapping = {"order": "m1 c n m0 r s p q", "sync": "c", "split": {"m": 2}}
    lanes = {"I": 2, "F": 3} | ({"banks": 5} if banked else {})
    found = run(design(queue=depth, lanes=lanes), x, w, 1, 1, **mapping)
    _, turns = simulated(x, w, 1, 1, 2)
    work = []
    for group, channel in product(range(-(-len(w) // 2)), range(2)):
        pes = turns[group, channel]
        if not banked:
            weights = np.count_nonzero(w[2 * group : 2 * group + 2, channel])
            tiles = Counter((2 * y // 6, 3 * z // 7) for _, y, z in np.argwhere(x[:, channel]))
            pes = Counter({pe: -(-n // 2) * -(-weights // 3) for pe, n in tiles.items()})
        work.append([pes[pe] for pe in product(range(2), range(3))])
    assert found.compute_cycles == max(stepped(work, depth))
    assert f"queue: {depth} steps wait in each PE" in str(found.arch)


@settings(max_examples=12)
@given(
    st.integers(0, 2**16),
    st.sampled_from([0.03, 0.1, 0.3]),
    st.integers(0, 1),
    st.sampled_from(["skip F on I", "skip I on F", "skip I,F"]),
)
def test_what_a_leader_keeps_away_is_in_no_vector(
    seed: int, density: float, pad: int, feature: str
) -> None:
    """Tiles of one channel and one row of filters: of images what these rows touch."""
    given_ = conv_case(seed, density)
    x, w = given_["I"][:, :2, :6, :7], given_["F"][:, :2]
    (_, _, h, wide), (_, _, r, s) = x.shape, w.shape
    p, q = (h + 2 * pad - r) // 2 + 1, (wide + 2 * pad - s) // 2 + 1
    inputs, weights = np.zeros_like(x), np.zeros_like(w)
    met = [
        (c, a, b, 2 * up + a - pad, 2 * across + b - pad)
        for c, a, b, up, across in product(range(2), range(r), range(s), range(p), range(q))
    ]
    met = [(c, a, b, y, z) for c, a, b, y, z in met if 0 <= y < h and 0 <= z < wide]
    for c, a in product(range(2), range(r)):
        row = [(y, z) for channel, line, _, y, z in met if (channel, line) == (c, a)]
        if any(x[:, c, y, z].any() for y, z in row):
            weights[:, c, a] = w[:, c, a]
        if w[:, c, a].any():
            for y, z in row:
                inputs[:, c, y, z] = x[:, c, y, z]
    mapping = {"order": "c r @GLB n m s p q", "sync": "c"}
    source = design(sparse=["skip I,F", f"{feature} @GLB"])
    found = run(source, x, w, 2, pad, **mapping)
    left = (x if feature == "skip F on I" else inputs), (w if feature == "skip I on F" else weights)
    alone = run(design(), *left, 2, pad, **mapping)
    assert found.cartesian is not None
    assert alone.cartesian is not None
    assert found.cartesian.turns.tolist() == alone.cartesian.turns.tolist()
    counts, _ = simulated(*left, 2, pad, len(w))
    assert found.cartesian.products == counts["products"]
    assert found.cartesian.waiting == counts["waiting"]
    assert found.ops["effectual"] == run(design(), x, w, 2, pad, **mapping).ops["effectual"]
    make_spec(found.accounting)


@pytest.mark.parametrize(
    ("sparse", "order", "operands", "said"),
    [
        (
            "gate F on I @GLB",
            "c r @GLB n m s p q",
            {},
            "lanes: cycles of what a gate keeps away of F",
        ),
        (
            "skip F on I @RF",
            "c r @GLB @RF n m s p q",
            {},
            "lanes: tiles of F come by a leader to some PEs along p and not to others",
        ),
        (
            "skip I on F @GLB",
            "m c @GLB n r s p q",
            {},
            "lanes: tiles of I come by a leader to some steps of m and not to others",
        ),
        (
            "skip F on I @GLB",
            "c r @GLB n m s p q",
            {"I": zs.Density((1, 2, 6, 7), 0.3)},
            "lanes: of densities, which entries of F tiles of a leader leave to vectors",
        ),
    ],
)
def test_tiles_that_vectors_do_not_follow_are_refused(
    sparse: str, order: str, operands: dict[str, Any], said: str
) -> None:
    given_ = {"I": np.ones((1, 2, 6, 7)), "F": np.ones((4, 2, 3, 3))} | operands
    levels = {"DRAM": {}, "GLB": {}, "RF": {}}
    source = arch(design(sparse=["skip I,F", sparse], levels=levels))
    mapping = Mapping(order, sync="c")
    with pytest.raises(ArchError) as error:
        charge(make_spec("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]"), source, given_, mapping)
    assert str(error.value).startswith(said)


def test_queues_of_drawn_vectors_are_means_of_draws() -> None:
    given_ = {"I": zs.Density((1, 2, 6, 7), 0.3), "F": zs.Density((4, 2, 3, 3), 0.3)}
    mapping = Mapping("c n m r s p q", sync="c")
    design_ = arch(design(queue=2, lanes={"I": 2, "F": 3}))
    found = charge(make_spec("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]"), design_, given_, mapping)
    assert found.estimate is not None
    assert found.estimate.sampled is not None
    every = [each.compute_cycles for each in found.estimate.sampled.charges]
    assert found.compute_cycles == pytest.approx(np.mean(every))
    assert found.tags["cycles"] == "approximate"
    assert any(
        text.startswith("queues, cycles: the mean of 12 draws") for text in found.assumptions
    )


def test_without_banks_nothing_waits_and_products_off_the_output_cost_energy() -> None:
    given_ = conv_case(3)
    x, w = given_["I"], given_["F"]
    free = run(design(lanes={"I": 2, "F": 3}), x, w, 1, 1, order="c n m r s p q", sync="c")
    banked = run(design(), x, w, 1, 1, order="c n m r s p q", sync="c")
    assert free.cartesian is not None
    assert banked.cartesian is not None
    assert free.cartesian.waiting == 0 < banked.cartesian.waiting
    assert free.compute_cycles == free.cartesian.cycles < banked.compute_cycles
    plain = run(design(lanes=None), x, w, 1, 1, order="c n m r s p q", sync="c")
    assert plain.cartesian is None
    each = plain.energy["multiply"] / plain.ops["effectual"]
    more = free.energy["multiply"] - plain.energy["multiply"]
    assert more == pytest.approx(each * free.cartesian.off_output)
    assert free.ops == plain.ops
    assert free.cartesian.products == free.ops["effectual"] + free.cartesian.off_output
    waits = "products that wait for a bank of accumulators"
    assert waits in free.missing
    assert waits not in banked.missing
    assert free.of_units["products off the output"] == free.cartesian.off_output
    assert "turns[c,i,j] += " in free.accounting
    assert "lanes: 2 entries of I x 3 entries of F into 5 banks" in str(banked.arch)


def test_without_a_compiler_banks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    given_ = conv_case(4)
    x, w = given_["I"][:1, :2], given_["F"][:, :2]
    wanted = run(design(), x, w, 2, 1).cartesian
    monkeypatch.setattr(banks.routines, "run", lambda *_: False)
    found = run(design(), x, w, 2, 1).cartesian
    assert wanted is not None
    assert found is not None
    assert found.turns.tolist() == wanted.turns.tolist()
    assert found.waiting == wanted.waiting > 0


@pytest.mark.parametrize(
    ("text", "shapes", "said"),
    [
        (
            "O[m] = I[k]*F[m,k] + G[m,l]*H[l]",
            {"I": 3, "F": (2, 3), "G": (2, 4), "H": 4},
            "one prod",
        ),
        ("O[m,n] = I[m,k]*I[n,k]", {"I": (2, 3)}, "lanes: I twice: give it two names"),
        ("O[p] = I[p+r+2*s]*F[r]*1", {"I": 9, "F": 3}, "lanes.banks: expected a convolution"),
    ],
)
def test_other_layers_are_refused(text: str, shapes: dict[str, Any], said: str) -> None:
    operands = {name: np.ones(shape) for name, shape in shapes.items()}
    spec = make_spec(text, sizes={"s": 2} if "2*s" in text else None)
    source = design(sparse=["skip I,F,G,H"] if "G" in shapes else ["skip I,F"])
    with pytest.raises(ArchError, match=said):
        charge(spec, arch(source), operands, Mapping(sync="none"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"multipliers": 8},
            "lanes in the dict given: expected two operands whose entries make 8 products, found "
            "'2 entries of I x 3 entries of F into 5 banks'",
        ),
        ({"lanes": {"I": 6}}, "lanes in the dict given: expected two operands whose"),
        ({"lanes": {"I": 2, "F": 0}}, "lanes.F in the dict given: expected entries a cycle, 1 or"),
    ],
)
def test_errors_name_the_key(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ArchError) as error:
        arch(design(**changes))
    assert str(error.value).startswith(said)


def test_vectors_are_formed_of_what_is_skipped_by() -> None:
    given_ = conv_case(5)
    with pytest.raises(ArchError, match="does not skip by F\nAdd skip F to sparse"):
        run(design(sparse=["skip F on I"]), given_["I"], given_["F"], 1, 1)
    with pytest.raises(ArchError, match="lanes: I has r in a window, and r is a step"):
        run(design(), given_["I"], given_["F"], 1, 1, order="r c n m s p q", sync="r")


def test_parts_of_ranks_that_vectors_cannot_share_are_refused() -> None:
    given_ = conv_case(6)
    for mapping in (
        {"order": "m2 m1 c n m0 r s p q", "sync": "m1", "split": {"m": [4, 2]}},
        {"order": "c n m0 m1 r s p q", "sync": "c", "split": {"m": 2}, "space": {"m1": "rows"}},
    ):
        with pytest.raises(ArchError, match="lanes: a step goes over a rank or its blocks, and"):
            run(design(), given_["I"], given_["F"], 1, 1, **mapping)
