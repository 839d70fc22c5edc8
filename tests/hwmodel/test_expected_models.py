"""Expected charges of densities that are not the same everywhere, against drawn operands."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import EinsumError

RNG = np.random.default_rng(1)
UNEVEN = RNG.random((12, 24)) < np.linspace(0.05, 0.9, 12)[:, None]
CLUSTERED = np.kron(RNG.random((6, 6)) < 0.3, np.ones((2, 4)))
IMAGE = RNG.random((1, 4, 6, 8)) < np.array([0.1, 0.3, 0.6, 0.9])[:, None, None]
FILTERS = RNG.random((6, 4, 3, 3)) < np.array([0.9, 0.7, 0.3, 0.1])[:, None, None]
PRODUCT = zs.layer("Z[m,n] = A[m,k]*B[k,n]")
CONV = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]", pad=1)
B = zs.Density((24, 16), 0.4)
CASES = {
    "groups": (PRODUCT, {"A": zs.Density((12, 24), structure="2:4"), "B": B}),
    "groups down": (PRODUCT, {"A": zs.Density((12, 24), structure="2:4", axis=0), "B": B}),
    "hierarchy": (PRODUCT, {"A": zs.Density((12, 24), structure="1:2 2:4"), "B": B}),
    "band": (
        PRODUCT,
        {
            "A": zs.Density((12, 24), 0.1, structure="banded", width=3),
            "B": zs.Density((24, 16), 0.15, structure="banded", width=4),
        },
    ),
    "rows": (PRODUCT, {"A": zs.Density.profile(UNEVEN, axes=0), "B": B}),
    "shared": (
        PRODUCT,
        {"A": zs.Density.profile(UNEVEN.T, axes=1), "B": zs.Density.profile(UNEVEN, axes=0)},
    ),
    "tiles": (PRODUCT, {"A": zs.Density.empirical(CLUSTERED, tile=(2, 4)), "B": B}),
    "channels": (
        CONV,
        {"I": zs.Density.profile(IMAGE, axes=1), "F": zs.Density.profile(FILTERS, axes=(0, 1))},
    ),
    "2:4 image": (
        CONV,
        {"I": zs.Density((1, 4, 6, 8), structure="2:4"), "F": zs.Density((6, 4, 3, 3), 0.3)},
    ),
}
DRAWS = 60


def draws_of(given):
    rng = np.random.default_rng(7)
    return [{name: d.sample(rng) for name, d in given.items()} for _ in range(DRAWS)]


def means(charges, figure):
    values = np.array([figure(c) for c in charges], float)
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("case", CASES)
def test_means_of_drawn_operands_agree_with_what_is_expected(case):
    layer, given = CASES[case]
    draws = draws_of(given)
    ones = np.ones(layer(**draws[0]).shape)
    target = layer.spec.results[-1]
    expected = zs.charge(layer, "scnn", **given, **{target: ones})
    charges = [zs.charge(layer, "scnn", **draw, **{target: ones}) for draw in draws]
    assert expected.tags["ops"] == "exact in expectation"
    for name, value in expected.ops.items():
        mean, error = means(charges, lambda c: c.ops[name])  # noqa: B023
        assert abs(value - mean) <= 5 * error + 1e-9 * mean + 1e-9, name
    for figure in ("energy_pj", "busy", "worked"):
        mean, error = means(charges, lambda c: getattr(c, figure))  # noqa: B023
        slack = 5e-3 * mean if figure == "energy_pj" else 1e-9 * mean  # widths of pointers
        assert abs(getattr(expected, figure) - mean) <= 5 * error + slack, figure
    work = np.mean([c.work_per_pe for c in charges], axis=0)
    assert np.abs(expected.work_per_pe - work).max() <= 0.25 * work.max()
    mean, error = means(charges, lambda c: c.compute_cycles)
    assert abs(expected.compute_cycles - mean) <= 5 * error + 0.1 * mean


def test_assumptions_name_the_model():
    for case, said in {
        "groups": "A: 144 of 288 places, in each group, drawn apart from other operands",
        "band": "A: 29 of 288 places, at most 3 off the diagonal, drawn apart",
        "rows": "places, as many in each slice along axes 0 as measured, drawn apart",
        "tiles": "places, as many in each tile of 2, 4 as in one that was measured, drawn apart",
    }.items():
        layer, given = CASES[case]
        assert said in "\n".join(zs.charge(layer, "scnn", **given).assumptions)


def test_one_place_twice_is_refused_where_places_differ():
    given = zs.Density.profile(UNEVEN, axes=0)
    with pytest.raises(EinsumError, match="one place of A twice, which is not uniform, has no"):
        zs.charge("z[m] = A[m,k]*A[m,k]", "scnn", A=given)
