"""The order of loops by estimated cost: where the rule visits far more than is stored."""

import numpy as np
import pytest
from judges import count

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import choice, interpret, results
from zeroskip.native.arguments import shapes
from zeroskip.native.engine import evaluate
from zeroskip.native.lines import line_of
from zeroskip.native.schedules import plain

PRODUCT = make_spec("C[i,j] = A[i,k]*B[k,j]")
N, STORED = 300, 1500


def scattered(seed, format, n=N, stored=STORED):
    rng = np.random.default_rng(seed)
    array = np.zeros((n, n))
    array.reshape(-1)[rng.permutation(n * n)[:stored]] = rng.integers(1, 5, stored)
    return Tensor.from_dense(array, format)


def line(first, second, spec=PRODUCT, **options):
    given = {"A": first, "B": second}
    (form,) = spec.forms
    return line_of(form, given, spec.extents(shapes(given)), **options)


@pytest.fixture
def visits(monkeypatch):
    """Bodies of loops and searches that the interpreter runs."""
    ran, found = interpret._run, [0]

    def run(stmts, machine):
        found[0] += 1
        ran(stmts, machine)

    monkeypatch.setattr(interpret, "_run", run)
    return found


@pytest.mark.parametrize(
    ("first", "second", "order", "converted", "less"),
    [
        ("CSC", "CSC", "jki", (), 40),  # the rule looks each entry of A up in each column of B
        ("CSR", "CSC", "ikj", ("B",), 40),  # so it does here, and any order has to convert
        ("CSR", "CSR", "", (), 1),
        ("CSC", "CSR", "", (), 1),
    ],
)
def test_a_product_visits_little_more_than_it_multiplies(
    visits, monkeypatch, first, second, order, converted, less
):
    a, b = scattered(1, first), scattered(2, second)
    chosen = line(a, b)
    assert chosen.order == tuple(order)
    assert chosen.converted == converted
    target = np.empty((N, N))
    work = count(*plain(chosen, target), "interpreter")
    assert np.array_equal(target, a.toarray() @ b.toarray())
    assert work == int(((a.toarray() != 0).astype(int) @ (b.toarray() != 0)).sum())
    assert visits[0] < 2 * N + 2 * STORED + 2 * work
    taken, visits[0] = visits[0], 0
    monkeypatch.setattr(choice, "candidates", lambda used: False)
    ruled = line(a, b)
    assert ruled.order == ()
    assert count(*plain(ruled, target), "interpreter") == work
    assert visits[0] >= less * taken


@pytest.mark.parametrize("formats", ["CSC CSC", "CSR CSC", "COO CSC", "CSC CSR", "COO COO"])
@pytest.mark.parametrize("format", [None, "CSR", "CSC", "auto"])
def test_results_are_right_whatever_is_chosen(formats, format):
    a, b = (scattered(seed, f) for seed, f in enumerate(formats.split()))
    got = evaluate(PRODUCT, {"A": a, "B": b}, format=format)["C"]
    assert np.array_equal(got if format is None else got.toarray(), a.toarray() @ b.toarray())


def test_rows_of_a_sparse_result_follow_what_is_stored():
    """By columns, where the rule looks rows of A up in columns, or rearranges both."""
    a, b = scattered(1, "CSC"), scattered(2, "CSC")
    chosen = line(a, b, blocks=False)
    assert (chosen.order, chosen.converted) == (("j", "k", "i"), ())
    assembly = results.assembly_of(chosen)
    assert assembly is not None
    assert assembly.outer == ("j",)
    assert assembly.reordered == {}


def test_nothing_is_converted_without_permission():
    a, b = (scattered(seed, f, stored=60 * N) for seed, f in enumerate(["CSR", "CSC"]))
    chosen = line(a, b, convert=False)
    assert chosen.converted == ()
    assert chosen.order == ("i", "j", "k")  # two fingers over rows and columns


def test_few_visits_and_ties_are_left_to_the_rule():
    small = scattered(1, "CSC", 20, 40)
    assert line(small, small).order == ()
    a = scattered(1, "CSR")
    assert line(a, a, make_spec("C[i,j] = A[i,j]*B[i,j]")).order == ()
    assert line(a, a, make_spec("C[i,j] = A[i,j] + B[i,j]")).order == ()
    assert line(a, np.ones((N, N))).order == ()


def test_equal_classes_have_one_order_and_one_kernel():
    first = line(scattered(1, "CSC"), scattered(2, "CSC"))
    second = line(scattered(3, "CSC", stored=1400), scattered(4, "CSC", stored=1600))
    assert first.order == second.order != ()
    assert first.key == second.key


def test_a_tensor_is_not_stored_in_two_orders():
    a = scattered(1, "CSR")
    square = make_spec("C[i,j] = A[i,k]*A[j,k]")
    (form,) = square.forms
    chosen = line_of(form, {"A": a}, square.extents({"A": a.shape}))
    got = evaluate(square, {"A": a})["C"]
    assert len(chosen.converted) <= 1
    assert np.array_equal(got, a.toarray() @ a.toarray().T)
