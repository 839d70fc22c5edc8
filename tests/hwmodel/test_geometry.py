"""The lines of a geometry at densities: polynomials, kinds of cells, products, what needs what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.formats.density import Density
from zeroskip.hwmodel.events import Event
from zeroskip.hwmodel.geometry import (
    Apart,
    Closed,
    Either,
    Geometry,
    Largest,
    Scaled,
    Summed,
    Total,
    bundles_of,
    largest_of,
)
from zeroskip.hwmodel.order_statistics import mean_of_maximum
from zeroskip.hwmodel.spread import Spread

COUNTS = np.array([[3, 1, 3], [1, 3, 3], [2, 2, 0]])


def test_a_polynomial_at_numbers_arrays_and_symbols() -> None:
    import sympy

    line = Closed({(): np.array([1, 0]), ("A",): np.array([2, 3]), ("A", "B"): np.array([0, 4])})
    a, b = 0.5, 0.25
    assert line.value({"A": a, "B": b}).tolist() == [1 + 2 * a, 3 * a + 4 * a * b]
    d, e = sympy.symbols("d e")
    held = Closed({k: x.astype(object) for k, x in line.terms.items()})
    assert held.value({"A": d, "B": e}).tolist() == [2 * d + 1, 4 * d * e + 3 * d]
    assert Closed({}).value({}).shape == ()


def spread_of(counts: np.ndarray[Any, Any]) -> Spread:
    """Of independent points."""
    held = counts.astype(float)
    return Spread(("A",), {}, {}, held, held, frozenset())


def test_a_maximum_is_that_of_each_row_whatever_kinds_it_shares_with_others() -> None:
    """Rows 0 and 1 hold the same counts in another order, and are one."""
    made = largest_of(Closed({("A",): COUNTS}), spread_of(COUNTS), (0, 1), 1)
    assert len(made.rows) == 2
    assert made.where.tolist()[0] == made.where.tolist()[1] != made.where.tolist()[2]
    for share in (0.0, 0.2, 0.9, 1.0):
        found = made.value({"A": share})
        for row, counts in enumerate(COUNTS.astype(float)):
            wanted = mean_of_maximum(counts * share, counts * share * (1 - share), counts)
            assert found[row] == pytest.approx(wanted)


def test_a_maximum_over_other_axes_and_over_all() -> None:
    columns = largest_of(Closed({("A",): COUNTS}), None, (1, 0), 1)
    assert columns.value({"A": 0.5}).tolist() == (COUNTS.max(axis=0) / 2).tolist()
    whole = largest_of(Closed({("A",): COUNTS}), None, (0, 1), 0)
    assert whole.value({"A": 0.5}).shape == ()
    assert whole.value({"A": 0.5}) == 1.5


def largest(counts: Any, name: str) -> Largest:
    return largest_of(Closed({(name,): np.asarray(counts)}), None, (0, 1), 1)


def test_products_of_counts_apart_are_largest_together() -> None:
    a, b = largest([[2, 4], [1, 1]], "A"), largest([[5, 0, 5]], "B")
    made = Apart(((a, (2, 1)), (b, (1, 1))), 3.0)
    assert made.value({"A": 0.5, "B": 0.2}).tolist() == [[3 * 2 * 1.0], [3 * 0.5 * 1.0]]
    event = Closed({("A|2",): np.array([1, 1])})
    called = Apart(((b, (1,)), (event, (2,))), 1.0)
    assert called.value({"B": 0.2, "A|2": 0.75}).tolist() == [0.75, 0.75]


def test_an_event_decides_which_maximum_it_is() -> None:
    b, event = largest([[5, 0, 5], [1, 2, 0]], "B"), Closed({("A|2",): np.array([1, 0])})
    made = Either(event, b, Closed({(): np.array([9, 7])}))
    assert made.value({"B": 0.2, "A|2": 0.75}).tolist() == [0.75 * 1 + 0.25 * 9, 7.0]


def geometry() -> Geometry:
    lines: Any = {
        "some": Closed({("A|2",): np.array([1, 1])}),
        "busy": Closed({("A",): COUNTS}),
        "steps": largest_of(Closed({("A",): COUNTS}), None, (0, 1), 1),
        "cycles": Total("steps", 2.0),
        "twice": Scaled("cycles", 2.0),
        "each": Summed("each += steps[m]*M", ("steps",)),
    }
    return Geometry(lines, {}, (("m", 3), ("k", 3)), (), (Event("A", 4, 4, 2),))


def test_lines_over_lines_are_evaluated_in_order() -> None:
    found = geometry().counts({"A": 0.5})
    assert found["steps"].tolist() == [1.5, 1.5, 1.0]
    assert (found["cycles"], found["twice"], found["each"]) == (8.0, 16.0, 12.0)
    assert found["some"].tolist() == pytest.approx([1 - 1 / 6, 1 - 1 / 6])


def test_polynomials_of_the_same_monomials_are_evaluated_together() -> None:
    rng = np.random.default_rng(0)
    shapes: list[tuple[int, ...]] = [(2, 3), (), (4,), (0, 2), (5,)]
    monomials = [("A",), ("A",), ("A", "B"), ("A",), ("A", "B")]
    lines: Any = {
        f"line{k}": Closed({m: rng.integers(0, 9, shape), (): rng.integers(0, 9, shape)})
        for k, (m, shape) in enumerate(zip(monomials, shapes, strict=True))
    }
    lines["nothing"] = Closed({})
    bundles = bundles_of(lines)
    assert [[name for name, *_ in one.parts] for one in bundles] == [
        ["line0", "line1", "line3"],
        ["line2", "line4"],
    ]
    shares = {"A": 0.3, "B": 0.7}
    found = Geometry(lines, {}, (), ()).counts(shares)
    assert list(map(np.shape, found.values()))[-1] == ()
    for name, line in lines.items():
        assert found[name].shape == line.value(shares).shape
        assert np.array_equal(found[name], line.value(shares))


def test_only_the_lines_that_are_needed() -> None:
    whole = geometry()
    kept = whole.needed({"twice"})
    assert list(kept.lines) == ["steps", "cycles", "twice"]
    assert kept.counts({"A": 0.5})["twice"] == whole.counts({"A": 0.5})["twice"]
    assert list(whole.needed({"each"}).lines) == ["steps", "each"]
    assert whole.closed("steps") is None
    assert whole.closed("busy") is whole.lines["busy"]


def test_variances_are_of_the_cells_that_are_picked() -> None:
    density = Density((3, 3), 4 / 9)
    model: Any = density.model
    squares = (COUNTS.astype(float) ** 2, COUNTS.astype(float))
    held = Spread(("A",), {"A": model}, {"A": squares}, COUNTS * 2.0, COUNTS * 1.0, frozenset())
    made = largest_of(Closed({("A",): COUNTS}), held, (0, 1), 1)
    share = 4 / 9
    variance = held.variance({"A": share})
    for row in range(3):
        wanted = mean_of_maximum(COUNTS[row] * share, variance[row], COUNTS[row] * 2.0)
        assert made.value({"A": share})[row] == pytest.approx(wanted)
