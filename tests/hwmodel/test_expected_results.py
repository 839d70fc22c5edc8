"""How full a result is on average, against every placement of its operands, and draws."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.formats.density import Density
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.expected_results import structural
from zeroskip.hwmodel.layer import layer_of
from zeroskip.native.engine import evaluate


def share_of(text: str, **operands: Density | np.ndarray) -> float:
    layer = layer_of(make_spec(text), {n: x.shape for n, x in operands.items()})
    made = {
        n: Expected(x) if isinstance(x, Density) else Operand(x.shape, x)
        for n, x in operands.items()
    }
    return float(structural(layer, made).share)


def test_every_placement_of_independent_places_gives_the_mean() -> None:
    """Places that are each set with its density: the formula is the mean over all masks."""
    places = list(product((0, 1), repeat=3))
    p, q = 0.25, 0.5
    mean = 0.0
    for a, x in product(places, places):
        chance = np.prod([p if v else 1 - p for v in a]) * np.prod([q if v else 1 - q for v in x])
        mean += chance * any(u and v for u, v in zip(a, x, strict=True))
    layer = layer_of(make_spec("y[m] = A[m,k]*x[k]"), {"A": (8, 3), "x": (3,)})
    drawn = {"A": Expected(Density((8, 3), p), p), "x": Expected(Density((3,), q), q)}
    assert structural(layer, drawn).share == pytest.approx(mean)


def test_one_point_a_place_is_the_mean_over_all_placements() -> None:
    """Nothing is summed: places of both are met once, and no independence is needed within one."""
    a, b = Density((2, 2), 0.5), Density((2, 2), 0.75)
    masks = [[np.isin(np.arange(4), c) for c in combinations(range(4), d.nnz)] for d in (a, b)]
    mean = np.mean([(x & y).mean() for x, y in product(*masks)])
    assert share_of("Z[i,j] = A[i,j]*B[i,j]", A=a, B=b) == pytest.approx(mean)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("Z[i,j] = A[i,k]*B[k,j]", {"A": ((16, 9), 0.2), "B": ((9, 16), 0.3)}),
        (
            "Z[i,j] = C[i,j]*A[i,k]*B[k,j]",
            {"C": ((16, 16), 0.4), "A": ((16, 9), 0.5), "B": ((9, 16), 0.4)},
        ),
        ("Z[i] = A[i,k]", {"A": ((64, 3), 0.2)}),
        ("Z[i] = A[i,k]*x[k] + b[i]", {"A": ((64, 6), 0.2), "x": ((6,), 0.5), "b": ((64,), 0.3)}),
        ("Z[p] = I[c,p+r]*F[c,r]", {"I": ((4, 40), 0.2), "F": ((4, 3), 0.5)}),
    ],
)
def test_the_mean_of_drawn_results(
    text: str, shapes: dict[str, tuple[tuple[int, ...], float]]
) -> None:
    given = {name: Density(*of) for name, of in shapes.items()}
    rng, spec = np.random.default_rng(1), make_spec(text)
    drawn = [
        np.count_nonzero(evaluate(spec, {n: d.sample(rng) for n, d in given.items()})["Z"])
        for _ in range(200)
    ]
    size = spec.extents({n: d.shape for n, d in given.items()}).shapes["Z"]
    assert share_of(text, **given) == pytest.approx(np.mean(drawn) / np.prod(size), rel=0.06)


def test_what_a_function_leaves() -> None:
    a, x = Density((4, 2), 0.5), np.array([1.0, 0.0])
    assert share_of("y[m] = A[m,k]*x[k]", A=a, x=x) == pytest.approx(1 - 0.75**2)
    assert share_of("y[m] = relu(A[m,k]*x[k])", A=a, x=x) == pytest.approx((1 - 0.75**2) / 2)
    assert share_of("y[m] = tanh(A[m,k]*x[k])", A=a, x=x) == pytest.approx(1 - 0.75**2)
    assert share_of("y[m] = exp(A[m,k]*x[k])", A=a, x=x) == 1
    assert share_of("y[m] = A[m,k]*x[k] + 1", A=a, x=x) == 1
    assert share_of("y[m] = A[m,k]*x[k]", A=Density((4, 0), 0.5), x=np.zeros(0)) == 0
