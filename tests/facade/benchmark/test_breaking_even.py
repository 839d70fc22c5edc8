"""`break_even`: the search, and what it says.  No times."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.benchmark.breaking_even import _search, break_even


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (lambda d: 0.5 / d, (0.5, True)),
        (lambda d: 2.0, (1.0, False)),
        (lambda d: 0.5, (None, False)),
    ],
)
def test_the_search_brackets_the_crossing(curve, expected):
    found, low, high = _search(curve, 0.01, 1.0, 8, 10**6)
    wanted, bracketed = expected
    assert found == (pytest.approx(wanted) if wanted else None)
    if bracketed:
        assert low < 0.5 < high
        assert curve(low) >= 1 > curve(high)


def test_the_search_ends_where_no_entry_is_between_two_densities():
    tried = []

    def speedup(density):
        tried.append(density)
        return 2.0 if density < 0.3 else 0.5

    found, low, high = _search(speedup, 0.01, 1.0, 2**70, 16)
    assert found is not None
    assert low < 0.3 <= high < low + 1 / 16
    assert len(tried) < 12


def test_break_even_measures_and_shows():
    found = break_even(
        "O[n,m,p,q] = relu(B[m] + I[n,c,p+r,q+s]*F[m,c,r,s])",
        np.ones(8, np.float32),
        np.ones((1, 2, 6, 6), np.float32),
        zs.Density((8, 2, 3, 3), 0.5),
        format="bitmask",
        steps=2,
        budget_s=0.05,
    )
    assert (found.operand, found.format) == ("F", "bitmask")
    assert "zeroskip F bitmask (F bound)" in found.table["kernel"]
    assert str(found).startswith("F bitmask ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operand": "Z"}, "operand: expected any of A, x, found 'Z'"),
        ({"format": "dense"}, "format dense of A has no density to break even at"),
        ({"low": 0.0}, "expected 0 < low < high <= 1, found low 0.0 and high 1.0"),
        ({"steps": 1}, "steps: expected a whole number of 2 or more, found 1"),
    ],
)
def test_break_even_checks_its_options(options, message):
    with pytest.raises(zs.ZeroskipError) as error:
        break_even("y[i] = A[i,j]*x[j]", np.eye(4), np.ones(4), **options)
    assert message in str(error.value)


def test_a_layer_without_operands_has_no_density():
    with pytest.raises(zs.TensorError) as caught:
        zs.break_even("y = 3")
    assert "expected an operand with axes" in str(caught.value)
