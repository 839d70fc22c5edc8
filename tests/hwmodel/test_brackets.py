"""Iverson brackets and places as values: what loops do not go over, and what counters give."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from fiber_judges import intersected, merged_by_list, merged_in_passes
from numpy.typing import NDArray

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import Charge, Mapping, arch, charge, vector_cells
from zeroskip.hwmodel.brackets import inside_of, ranks_of
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_results import structural
from zeroskip.hwmodel.layer import layer_of

pytestmark = pytest.mark.usefixtures("without_compiling")

CAUSAL = "S[m,p] = Q[m,k]*K[p,k]*(p <= m)"
RNG = np.random.default_rng(7)


def made(text: str, design: Any = "scnn", mapping: Mapping | None = None, **given: Any) -> Charge:
    return charge(make_spec(text), arch(design), given, mapping)


def sparse(*shape: int) -> NDArray[Any]:
    return (RNG.random(shape) < 0.5) * RNG.integers(1, 9, shape)


def two_levels(**more: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "array": {"pe": 1},
        "value_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        **more,
    }


def test_half_of_attention_is_never_fetched() -> None:
    """6 queries and keys: 21 of 36 scores, each of 3 products."""
    q, k = sparse(6, 3), sparse(6, 3)
    for design in ("dense", "scnn", "eyeriss", "eyeriss-v2"):
        charged = made(CAUSAL, design, Q=q, K=k)
        effectual = sum(
            bool(q[m, c] and k[p, c]) for m, p, c in product(range(6), range(6), range(3)) if p <= m
        )
        assert charged.ops["never_fetched"] >= 3 * 15
        assert charged.ops["effectual"] == effectual
        assert charged.ops["dense"] == 3 * 36
    dense = made(CAUSAL, "dense", Q=q, K=k)
    assert dense.ops["never_fetched"] == dense.baseline.ops["never_fetched"] == 3 * 15


def test_tiles_without_a_point_do_not_come() -> None:
    """Blocks of 2 queries and 2 keys: of 3 x 3, the 6 on and below the diagonal come.

    Every block of queries brings K's blocks anew: 1 + 2 + 3 of 2 x 3 entries; without the bracket
    it would be 9 of them.  Q's blocks come once each.
    """
    mapping = Mapping("m1 p1 @GLB(K,Q) m0 p0 k", {"m": [2], "p": [2]}, {}, sync="none")
    ones = np.ones((6, 3))
    within = made(CAUSAL, two_levels(), mapping, Q=ones, K=ones)
    whole = made("S[m,p] = Q[m,k]*K[p,k]", two_levels(), mapping, Q=ones, K=ones)
    assert (within.at("GLB", "K").writes, whole.at("GLB", "K").writes) == (6 * 6, 9 * 6)
    assert within.at("GLB", "Q").writes == whole.at("GLB", "Q").writes == 18
    assert within.compute_cycles == 21 * 3


def test_a_bracket_that_no_point_meets_brings_nothing() -> None:
    ones = np.ones((3, 2))
    charged = made("S[m,p] = Q[m,k]*K[p,k]*(p > m + 9)", two_levels(), Q=ones, K=ones)
    assert charged.ops["never_fetched"] == charged.ops["dense"] == 18
    assert charged.compute_cycles == charged.at("PE", "K").bits == 0
    assert charged.at("GLB", "K").writes == charged.at("DRAM", "Q").reads == 0


def test_brackets_of_constants_and_of_sums() -> None:
    """A band, written with a constant: |k - m| <= 1 of 5 x 5 is 13 places."""
    spec = make_spec("y[m] = A[m,k]*x[k]*(k <= m + w)*(m <= k + w)", consts={"w": 1})
    layer = layer_of(spec, {"A": (5, 5), "x": (5,)})
    (term,) = layer.work
    assert set(ranks_of(term.within)) == {"m", "k"}
    assert inside_of(term.within, layer.extents.ranks).sum() == term.inside == 13


def test_an_addition_within_brackets() -> None:
    b, a, x = np.ones((4, 4)), np.ones((4, 2)), np.ones((2, 4))
    charged = made("Z[m,n] = B[m,n]*(n <= m) + A[m,k]*X[k,n]", "dense", B=b, A=a, X=x)
    assert charged.additions == 10


@pytest.mark.parametrize("design", ["dense", "eyeriss", "scnn"])
def test_means_are_those_of_draws(design: str) -> None:
    shape, draws = (6, 4), 200
    one, other = Density(shape, 0.5), Density(shape, 0.25)
    expected = made(CAUSAL, design, Q=one, K=other)
    rng = np.random.default_rng(1)
    found = [made(CAUSAL, design, Q=one.sample(rng), K=other.sample(rng)) for _ in range(draws)]
    for name in ("effectual", "skipped", "gated", "never_fetched", "ineffectual"):
        counts = np.array([one.ops[name] for one in found])
        error = counts.std() / draws**0.5
        assert abs(counts.mean() - expected.ops[name]) <= 4.5 * error + 1e-9, name
    assert str(expected.formula("effectual")) == "84*d_K*d_Q"
    reads = np.array([one.at("GLB", "K").reads for one in found])
    error = reads.std() / draws**0.5
    assert abs(reads.mean() - expected.at("GLB", "K").reads) <= 4.5 * error + 1e-9


def test_how_full_a_masked_result_is() -> None:
    """The diagonal is 4 of 16 places; row 0 of 4 sums nothing before it."""
    layer = layer_of(make_spec("S[m,p] = Q[m]*K[p]*(p == m)"), {"Q": (4,), "K": (4,)})
    full = {"Q": Operand((4,), None), "K": Operand((4,), None)}
    assert structural(layer, full).share == 0.25
    layer = layer_of(make_spec("z[m] = S[m,p]*v[p]*(p < m)"), {"S": (4, 4), "v": (4,)})
    full = {"S": Operand((4, 4), None), "v": Operand((4,), None)}
    assert structural(layer, full).share == 0.75


def test_places_as_values_are_counted_not_read() -> None:
    charged = made("y[m] = A[m]*m", "dense", A=np.array([1, 0, 1, 1]))
    assert charged.multiplications["effectual"] == 3
    assert charged.at("PE", "A").reads == 4
    assert {tensor for _, tensor in charged.traffic} == {"A", "y"}
    assert any("a counter has it" in text for text in charged.assumptions)


def test_a_bracket_under_a_maximum_is_a_number() -> None:
    """Its zero is a value like any other there."""
    below = made("y[m] = max[k](A[m,k]*(k <= m))", "dense", A=np.ones((4, 4)))
    assert below.ops["never_fetched"] == 0
    assert below.multiplications["effectual"] == 16
    chosen = made("y[m] = max[k](where(k <= m, A[m,k], 0))", "dense", A=np.ones((4, 4)))
    assert (chosen.ops["effectual"], chosen.multiplications["effectual"]) == (16, 0)


def test_banks_are_refused() -> None:
    with pytest.raises(ArchError, match=r"which products are outside \(k <= m\) goes by more"):
        made(
            "S[m,p] = I[m,k]*F[k,p]*(k <= m)",
            two_levels(
                multipliers=4,
                lanes={"I": 2, "F": 2, "banks": 3},
                sparse=["skip I,F"],
                formats={x: {"DRAM": "C"} for x in "IF"},
            ),
            I=np.ones((3, 3)),
            F=np.ones((3, 3)),
        )


def test_a_product_by_rows_within_brackets() -> None:
    """On gamma, entry (m, k) of Q leads to row k of K wherever a point of it is within."""
    q, k = sparse(6, 5), sparse(5, 6)
    for bracket, holds in (
        ("(p <= m)", lambda m, c, p: p <= m),
        ("(c <= m)", lambda m, c, p: c <= m),
        ("(c < p)", lambda m, c, p: c < p),
        ("(c + p < m + 4)", lambda m, c, p: c + p < m + 4),
    ):
        text = f"S[m,p] = Q[m,c]*K[c,p]*{bracket}"
        fibers = [
            [[p for p in range(6) if k[c, p] and holds(m, c, p)] for c in np.flatnonzero(q[m])]
            for m in range(6)
        ]
        called = [
            [(m, c) for c in np.flatnonzero(q[m]) if any(holds(m, c, p) for p in range(6))]
            for m in range(6)
        ]
        charged = made(text, walker("list"), Q=q, K=k)
        assert charged.units["merge"].steps == sum(map(merged_by_list, fibers))
        assert charged.units["intersect"].by_place.tolist() == [len(row) for row in called]
        assert charged.at("DRAM", "K").reads == sum(
            np.count_nonzero(k[c]) for c in {c for row in called for _, c in row}
        )
        reached = [len({p for fiber in row for p in fiber}) for row in fibers]
        assert charged.at("DRAM", "S").writes == sum(reached)
        charged = made(text, walker("tree", "two-finger"), Q=q, K=k)
        assert charged.units["merge"].steps == sum(merged_in_passes(row, 64) for row in fibers)
        steps = 0
        for m, p in product(range(6), range(6)):
            within = [c for c in range(5) if holds(m, c, p)]
            sides = [[c for c in within if q[m, c]], [c for c in within if k[c, p]]]
            steps += intersected("two-finger", *sides, 5)
        assert charged.units["intersect"].steps == steps


@pytest.mark.parametrize("how", ["list", "tree"])
def test_mergers_within_brackets_go_by_the_nest(how: str) -> None:
    """Rows of K, where p is innermost; columns of Q, or sums, are no such fibers."""
    given = {"Q": sparse(4, 4), "K": sparse(4, 4)}
    text, design = "S[m,p] = Q[m,c]*K[c,p]*(p <= m)", walker(how)
    every, by = [], Mapping("m c p", space={}, sync="none")
    for m in range(4):
        held = [[p for p in range(m + 1) if given["K"][c, p]] for c in range(4) if given["Q"][m, c]]
        every.append(merged_by_list(held) if how == "list" else merged_in_passes(held, 64))
    assert made(text, design, by, **given).units["merge"].steps == sum(every)
    for order, said in (
        ("m p c", "its innermost loop is over c"),
        ("p c m", "within brackets rows of K along p are merged alone, and its innermost loop is "),
    ):
        with pytest.raises(ArchError) as error:
            made(text, design, Mapping(order, space={}, sync="none"), **given)
        assert str(error.value).startswith("units.merge: expected partial results that are fibers")
        assert said in str(error.value)


def walker(merge: str, how: str = "leader-follower") -> dict[str, Any]:
    """Rows of Q lead rows of K, and are merged."""
    merging = {"how": merge} | ({"radix": 64} if merge == "tree" else {})
    return {
        "name": "walker",
        "array": {"pe": 2},
        "value_bits": 8,
        "sync": "none",
        "energy": "eyeriss-relative",
        "levels": {
            "DRAM": {"lines": {"read_bits": 16}},
            "GLB": {"cache": "lru", "capacity_bits": 10**6},
            "PE": {},
        },
        "units": {"intersect": {"how": how}, "merge": merging},
        "sparse": ["skip Q,K"],
        "formats": {x: {"DRAM": "a:U b:C", "GLB": "CSR"} for x in "QK"}
        | {"O": {"DRAM": "a:U b:C", "GLB": "U"}},
    }


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("O[m,n] = I[m,k]*F[k,n]*(n <= m)", lambda m, n, k: n <= m),
        ("O[m,n] = I[m,k]*F[k,n]*(k < n)", lambda m, n, k: k < n),
        ("O[m,n] = I[m,k]*F[k,n]*(m + n == 2*k)", lambda m, n, k: m + n == 2 * k),
        ("O[m,n] = I[m,k]*F[k,n]*(k > 9)", lambda m, n, k: k > 9),
    ],
)
@pytest.mark.parametrize("block", [1, 2])
def test_vectors_that_meet_at_no_point_are_not_formed(text: str, holds: Any, block: int) -> None:
    check_vectors(text, holds, block)


open_cells = vector_cells.Cells.open


@pytest.mark.parametrize(
    "mutant",
    [
        lambda *given: np.ones_like(open_cells(*given)),
        lambda *given: open_cells(*given)[::-1],
        lambda *given: np.broadcast_to(open_cells(*given).any(0), open_cells(*given).shape),
    ],
    ids=["all", "steps turned", "any step"],
)
def test_other_vectors_are_found_out(mutant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cells.Cells, "open", mutant)
    with pytest.raises(AssertionError):
        check_vectors("O[m,n] = I[m,k]*F[k,n]*(m + n == 2*k)", lambda m, n, k: m + n == 2 * k, 1)


def check_vectors(text: str, holds: Any, block: int) -> None:
    """Steps of one place of k or of two, which do not meet; rows on 2 PEs and columns on 2."""
    one, other = sparse(7, 5), sparse(5, 6)
    design = two_levels(
        array={"rows": 2, "cols": 2},
        multipliers=6,
        lanes={"I": 2, "F": 3},
        sparse=["skip I,F"],
        formats={x: {"DRAM": "C"} for x in "IF"},
    )
    order, split = ("k m n", {}) if block == 1 else ("k1 k0 m n", {"k": block})
    spaces = {"m": "rows", "n": "cols"}
    mapping = Mapping(order, split, spaces, sync=order.split()[0])
    vectors = made(text, design, mapping, I=one, F=other).cartesian
    design["lanes"] |= {"banks": 5}
    waits = np.zeros(np.shape(vectors.turns if vectors else 0), int)
    banked = None
    if "k" not in text.rpartition("(")[2]:
        banked = made(text, design, mapping, I=one, F=other).cartesian
    assert vectors is not None
    turns = np.zeros(vectors.turns.shape, int)
    products = executed = 0
    for k, i, j in product(range(5), range(2), range(2)):
        step = k // block
        rows = [m for m in range(7) if 2 * m // 7 == i]
        columns = [n for n in range(6) if 2 * n // 6 == j]
        if not any(holds(*at, k) for at in product(rows, columns)):
            continue
        left = [m for m in rows if one[m, k]]
        right = [n for n in columns if other[k, n]]
        products += len(left) * len(right)
        executed += sum(holds(m, n, k) for m, n in product(left, right))
        turns[step, i, j] += -(-len(left) // 2) * -(-len(right) // 3)
        for a, b in product(range(0, len(left), 2), range(0, len(right), 3)):
            met = product(left[a : a + 2], right[b : b + 3])
            loads = Counter((6 * m + n) % 5 for m, n in met if holds(m, n, 0))
            waits[step, i, j] += max(loads.values(), default=1)
    if banked is not None:
        assert banked.turns.tolist() == waits.tolist()
    assert vectors.turns.tolist() == turns.tolist()
    assert (vectors.products, vectors.off_output) == (products, products - executed)


def test_epochs_beside_brackets() -> None:
    """An epoch for each of 3 places of k: 6 of 9 points.  DRAM gives 8 bits a cycle: 3 values of Q
    and of K for each, before it, and the work of one epoch hides the loads of the next."""
    ones = np.ones((3, 3))
    levels = {"DRAM": {"read_bits_per_cycle": 8}, "GLB": {}, "PE": {}}
    apart = made(CAUSAL, two_levels(overlap="none", levels=levels), Q=ones, K=ones)
    beside = made(CAUSAL, two_levels(overlap="double", levels=levels), Q=ones, K=ones)
    assert apart.epochs is not None
    assert apart.cycles == 18 + 18
    assert beside.cycles == 6 + 3 * 6
    nothing = made(
        CAUSAL.replace("(p <= m)", "(p > m + 9)"),
        two_levels(overlap="none", levels=levels),
        Q=ones,
        K=ones,
    )
    assert nothing.cycles == nothing.at("DRAM", "K").reads == 0


def test_epochs_of_tiles_that_a_bracket_calls_for_one_by_one() -> None:
    """Of 3 x 3 blocks 6 have a point inside: 9 of their 12 on the diagonal.  A tile of K has 6
    values, that come in a cycle each where there is one, and so has Q for each row of blocks."""
    ones = np.ones((6, 3))
    mapping = Mapping("m1 p1 @GLB(K,Q) m0 p0 k", {"m": [2], "p": [2]}, {}, sync="p1")
    levels = {"DRAM": {"read_bits_per_cycle": 8}, "GLB": {}, "PE": {}}
    found = made(CAUSAL, two_levels(overlap="none", levels=levels), mapping, Q=ones, K=ones).epochs
    assert found is not None
    on, below = 6 + 9, 6 + 12
    assert found.cycles.tolist() == [6 + on, 0, 0, 6 + below, on, 0, 6 + below, below, on]
