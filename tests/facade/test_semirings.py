"""Paths in graphs and in time, by lines of Einsum: against SciPy's graph routines and NumPy."""

import numpy as np
import pytest
from scipy.sparse import csgraph, csr_array

import zeroskip as zs
from zeroskip.benchmark.cases import has_compiler
from zeroskip.formats.convert import from_coords
from zeroskip.formats.tensor import Tensor
from zeroskip.semirings import Semiring

FORMATS = ["CSR", "CSC", "COO", "bitmask", "RLE(3)", "C U", "0:C 1:C", "0:U 1:H(8:8)", "0*1:C"]
RINGS = [zs.semirings.min_plus, zs.semirings.max_plus, zs.semirings.max_times]
RINGS += [zs.semirings.or_and, zs.semirings.plus_times]
INF = np.inf


@pytest.fixture
def no_dense_copies(monkeypatch):
    """Whoever turns a tensor into an array fails."""

    def refuse(self):
        raise AssertionError(f"a dense copy of {self!r}")

    monkeypatch.setattr(Tensor, "toarray", refuse)


def graph(seed, nodes=40, density=0.08, low=1):
    """Lengths of edges, inf where there is none; no cycle is negative, for edges that go down
    are long."""
    rng = np.random.default_rng(seed)
    lengths = np.where(
        rng.random((nodes, nodes)) < density, rng.integers(low, 9, (nodes, nodes)), INF
    )
    down = np.tri(nodes, dtype=bool)
    return np.where(down, np.abs(lengths) + (nodes * max(-low, 0)), lengths).astype(float)


def as_scipy(lengths):
    """SciPy leaves out 0, and what it stores is an edge."""
    kept = np.isfinite(lengths) & ~np.eye(len(lengths), dtype=bool)
    rows, columns = np.nonzero(kept)
    return csr_array((lengths[kept], (rows, columns)), lengths.shape)


def naive(ring: Semiring, a, b):
    """The product point by point."""
    times = np.add if ring.times == "+" else np.multiply
    plus = {"min=": np.minimum, "max=": np.maximum, "|=": np.logical_or, "=": np.add}[ring.plus]
    return plus.reduce(times(a[:, :, None], b[None]), axis=1)


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_the_laws_of_a_ring_with_its_zero_and_one(ring):
    a = np.array([[0.5, ring.zero], [ring.zero, 0.25]])
    zero, one = np.full((2, 2), float(ring.zero)), np.full((2, 2), float(ring.zero))
    np.fill_diagonal(one, ring.one)
    wanted = a != 0 if ring.name == "or_and" else a
    assert np.array_equal(zs.einsum(ring.matmul, A=a, B=one), wanted)
    assert np.array_equal(zs.einsum(ring.matmul, A=a, B=zero), zero)


@pytest.mark.parametrize("spec", FORMATS)
@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_sparse_products_are_those_of_numpy(ring, spec):
    rng = np.random.default_rng(7)
    a, b = (
        np.where(rng.random(shape) < 0.3, rng.random(shape), float(ring.zero))
        for shape in ((9, 12), (12, 8))
    )
    given = {"A": zs.tensor(a, spec, fill=ring.zero), "B": zs.tensor(b, "CSR", fill=ring.zero)}
    for backend in ("c", "interpreter"):
        got = zs.einsum(ring.matmul, **given, backend=backend)
        np.testing.assert_allclose(got, naive(ring, a, b), rtol=1e-12)
    sparse = zs.einsum(ring.matmul, **given, format="CSR")
    assert sparse.fill == ring.zero
    np.testing.assert_allclose(sparse.toarray(), naive(ring, a, b), rtol=1e-12)


@pytest.mark.parametrize("spec", FORMATS)
def test_shortest_paths_from_one_node_with_negative_edges(spec, no_dense_copies):
    """Bellman and Ford: relax every edge until nothing changes."""
    lengths = graph(3, low=-2)
    wanted = csgraph.bellman_ford(as_scipy(lengths), indices=0)
    edges = zs.tensor(lengths, spec, fill=INF)
    relax = zs.layer(zs.semirings.min_plus.line("d[j]", "x[i]", "A[i,j]"))
    distances = np.full(len(lengths), INF)
    distances[0] = 0
    for _ in range(len(lengths)):
        before = distances.copy()
        relax(x=before, A=edges, out=distances)
        if np.array_equal(before, distances):
            break
    assert np.array_equal(distances, wanted)
    assert np.isfinite(wanted).sum() > 5


@pytest.mark.parametrize("spec", FORMATS)
def test_shortest_paths_between_all_nodes_stay_sparse(spec):
    """Squaring: paths of 1, 2, 4 ... edges."""
    lengths = graph(5, nodes=24)
    np.fill_diagonal(lengths, 0)
    wanted = csgraph.floyd_warshall(as_scipy(lengths))
    paths = zs.tensor(lengths, spec, fill=INF)
    square = zs.layer(zs.semirings.min_plus.line("D[i,j]", "A[i,k]", "B[k,j]"))
    for _ in range(5):
        paths = square(A=paths, B=paths, format=spec)
    assert paths.fill == INF
    assert np.array_equal(paths.toarray(), wanted)
    assert paths.nnz == np.isfinite(wanted).sum() < wanted.size


def test_paths_of_two_edges_in_a_graph_whose_matrix_would_not_fit():
    """A ring of a million nodes: dense, 8 TB."""
    n = 1_000_000
    node = np.arange(n)
    edges = from_coords([node, (node + 1) % n], np.full(n, 2.0), (n, n), "CSR", fill=INF)
    two = zs.einsum(zs.semirings.min_plus.matmul, A=edges, B=edges, format="CSR")
    assert two.stored == n
    assert two.fill == INF
    (rows, columns), values = two.coords()
    assert np.array_equal(columns, (rows + 2) % n)
    assert (values == 4).all()
    there = from_coords([node, (node + 1) % n], np.ones(n, bool), (n, n), "CSR")
    reach = zs.einsum(zs.semirings.or_and.matmul, A=there, B=there, format="CSR")
    assert reach.dtype == np.bool_
    assert reach.nnz == n


def test_floyd_and_warshall_by_pivots():
    """D[i,j] = min(D[i,j], D[i,k] + D[k,j]) for one k after another."""
    lengths = graph(11, nodes=16)
    np.fill_diagonal(lengths, 0)
    pivot = zs.layer("D[i,j] min= A[i] + B[j]")
    distances = lengths.copy()
    for k in range(len(lengths)):
        column = zs.tensor(distances[:, k].copy(), "C", fill=INF)
        row = zs.tensor(distances[k].copy(), "C", fill=INF)
        pivot(A=column, B=row, out=distances)
    assert np.array_equal(distances, csgraph.floyd_warshall(as_scipy(lengths)))


@pytest.mark.parametrize("spec", FORMATS)
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32"])
def test_what_can_be_reached(spec, dtype):
    lengths = graph(2, nodes=30, density=0.05)
    wanted = np.isfinite(csgraph.shortest_path(as_scipy(lengths)))
    there = np.isfinite(lengths) | np.eye(len(lengths), dtype=bool)
    reach = zs.tensor(there.astype(dtype), spec)
    square = zs.layer(zs.semirings.or_and.line("R[i,j]", "A[i,k]", "B[k,j]"))
    for _ in range(5):
        reach = square(A=reach, B=reach, format=spec)
    assert reach.dtype == np.bool_
    assert np.array_equal(reach.toarray(), wanted)
    assert 0 < wanted.sum() < wanted.size


@pytest.mark.parametrize("spec", FORMATS)
def test_the_most_likely_path_of_a_hidden_chain(spec, no_dense_copies):
    """Viterbi: most transitions are impossible; the way back by argmax."""
    rng = np.random.default_rng(4)
    states, steps = 12, 9
    with np.errstate(divide="ignore"):
        moves = np.log(
            np.where(rng.random((states, states)) < 0.3, rng.random((states, states)), 0)
        )
    np.fill_diagonal(moves, np.log(0.2))
    seen = np.log(rng.random((steps, states)))
    forward = zs.layer(zs.semirings.max_plus.line("s[j]", "x[i]", "A[i,j]"))
    back = zs.layer("b[j] = argmax[i](x[i] + A[i,j])")
    A = zs.tensor(moves, spec, fill=-INF)
    score = wanted = seen[0]
    for t in range(1, steps):
        best = back(x=score, A=A)
        assert np.array_equal(best, (wanted[:, None] + moves).argmax(axis=0))
        score = forward(x=score, A=A) + seen[t]
        wanted = (wanted[:, None] + moves).max(axis=0) + seen[t]
        np.testing.assert_allclose(score, wanted, rtol=1e-12)


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_the_loops_follow_what_is_stored(ring):
    a = zs.tensor(np.full((30, 30), float(ring.zero)), "CSR", fill=ring.zero)
    shown = str(zs.explain(ring.matmul, A=a, B=a).nest)
    assert "in A.k[i]:  # compressed" in shown
    assert "in B.j[k]:  # compressed" in shown


def test_explain_names_the_fill():
    a = zs.tensor(np.full((3, 3), INF), "CSR", fill=INF)
    shown = str(zs.explain(zs.semirings.min_plus.matmul, A=a, B=a))
    assert "A  3×3 float64, CSR (U C), 0 stored, density 0, fill inf" in shown


@pytest.mark.skipif(not has_compiler(), reason="nothing is timed without a compiler")
def test_bench_checks_answers_that_hold_infinities():
    lengths = graph(1, nodes=20)
    edges = zs.tensor(lengths, "CSR", fill=INF)
    shown = str(zs.bench(zs.semirings.min_plus.matmul, A=edges, B=edges))
    assert "zeroskip A CSR, B CSR (A bound)" in shown
    assert "checked against the dense reference: 4 answers" in shown
