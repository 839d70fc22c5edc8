"""Variances of counts, against those of drawn tensors and of every placement."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.hwmodel import expected_spread
from zeroskip.hwmodel.expected_lines import Compiler
from zeroskip.hwmodel.expected_spread import spread_of
from zeroskip.hwmodel.plan import Mask

SIZES = (("m", 12), ("k", 16), ("n", 6), ("h", 16), ("p", 14), ("r", 3))
UNEVEN = np.random.default_rng(6).random((12, 16)) < np.linspace(0.1, 0.9, 12)[:, None]
LEFT = {
    "uniform": zs.Density((12, 16), 0.3),
    "groups": zs.Density((12, 16), structure="1:4"),
    "groups of groups": zs.Density((12, 16), structure="1:2 2:4"),
    "band": zs.Density((12, 16), 0.15, structure="banded", width=3),
    "profile": zs.Density.profile(UNEVEN, axes=0),
    "tiles": zs.Density.empirical(UNEVEN, tile=(3, 4)),
}
RIGHT = zs.Density((16, 6), 0.4)
DRAWS = 1500


def compiled(text: str, left: zs.Density) -> Compiler:
    masks = tuple(
        (f"nz{name}", Mask("nz", name, density.shape, ((0, 0), (0, 0))))
        for name, density in (("A", left), ("B", RIGHT))
    )
    made = Compiler(text, SIZES, masks, (("A", left), ("B", RIGHT)), {})
    made.geometry()
    return made


@pytest.mark.parametrize("case", LEFT)
def test_counts_of_one_operand_vary_as_drawn(case: str) -> None:
    """Tiles of 4 rows by 8 columns, and windows of three."""
    density, rng = LEFT[case], np.random.default_rng(1)
    tiles = spread_of(compiled("held[m//4,k//8] += nzA[m,k]", density), "held", [0, 1])
    windows = spread_of(compiled("held[m,p//7] += nzA[m,p+r]", density), "held", [0, 1])
    assert tiles is not None
    assert windows is not None
    shares = {"A": density.model.share}
    drawn = np.array([density.model.draw(rng) for _ in range(DRAWS)], np.float64)
    counts = drawn.reshape(DRAWS, 3, 4, 2, 8).sum(axis=(2, 4))
    seen = np.stack([drawn[:, :, p : p + 3].sum(axis=2) for p in range(14)], axis=2)
    moved = seen.reshape(DRAWS, 12, 2, 7).sum(axis=3)
    for spread, values in ((tiles, counts), (windows, moved)):
        found = np.broadcast_to(spread.variance(shares), values.shape[1:])
        assert np.allclose(found, values.var(axis=0), rtol=0.25, atol=0.02)
        assert found.mean() == pytest.approx(values.var(axis=0).mean(), rel=0.05, abs=0.01)


@pytest.mark.parametrize("case", LEFT)
def test_counts_of_two_operands_vary_nearly_as_drawn(case: str) -> None:
    density, rng = LEFT[case], np.random.default_rng(2)
    known = compiled("busy[m//4] += nzA[m,k]*nzB[k,n]", density)
    spread = spread_of(known, "busy", [0])
    assert spread is not None
    # no axis of B is gone: all counts have it alike, unless each meets other rows of it
    assert spread.common == (set() if case == "band" else {"B"})
    shares = {"A": density.model.share, "B": RIGHT.model.share}
    counts = []
    for _ in range(DRAWS):
        a, b = density.model.draw(rng).astype(float), RIGHT.model.draw(rng).astype(float)
        counts.append((a @ b).reshape(3, -1).sum(axis=1))
    own = np.array(counts) - np.mean(counts, axis=1, keepdims=True)  # what is not in common
    found = np.broadcast_to(spread.variance(shares), (3,)).mean()
    assert found * 2 / 3 == pytest.approx(own.var(axis=0).mean(), rel=0.3)


def test_every_placement_of_a_small_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    density = zs.Density((2, 3), 0.5)
    mask = ("nzA", Mask("nz", "A", (2, 3), ((0, 0), (0, 0))))
    known = Compiler("held[m] += nzA[m,k]", (("m", 2), ("k", 3)), (mask,), (("A", density),), {})
    known.geometry()
    spread = spread_of(known, "held", [0])
    assert spread is not None
    rows = [sum(place < 3 for place in some) for some in combinations(range(6), 3)]
    assert np.allclose(spread.variance({"A": 0.5}), np.var(rows))
    assert np.allclose(spread.full, 3)
    monkeypatch.setattr(expected_spread, "MOST_MOMENTS", 1)  # points count as independent
    rough = spread_of(known, "held", [0])
    assert rough is not None
    assert rough.parts == {}
    assert np.allclose(rough.variance({"A": 0.5}), 3 * 0.25)


def test_counts_that_an_event_calls_for_have_no_spread() -> None:
    text = "some[m] |= nzA[m,k]\ncalled[m,n] += some[m]*nzB[k,n]"
    assert spread_of(compiled(text, LEFT["uniform"]), "called", [0, 1]) is None
