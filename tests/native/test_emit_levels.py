"""Walks of levels in C: bitmasks whose words meet."""

import numpy as np
import pytest

import zeroskip as zs

LINES = {
    "s = x[k]*y[k]": {"x": "k", "y": "k"},
    "s = x[k]*y[k]*z[k]": {"x": "k", "y": "k", "z": "k"},
    "y[b] = A[b,k]*B[b,k]": {"A": "bk", "B": "bk"},
    "y[i,j] = A[i,k]*B[j,k]": {"A": "ik", "B": "jk"},
    "y[i] = A[i,k]*x[k]*w[k]": {"A": "ik", "x": "k", "w": "k"},
    "y[i] max= A[i,k]*x[k]": {"A": "ik", "x": "k"},
    "y[i] = A[i,k]*x[k] + C[i,k]*A[i,k]": {"A": "ik", "x": "k", "C": "ik"},
    "y[i] = A[i,k]*x[k]*A[i,k]*w[k+1]": {"A": "ik", "x": "k", "w": "l"},
    "y[i] = A[i,k]*D[k,i]": {"A": "ik", "D": "ki"},
}


def drawn(rng, shape, density):
    """Values of which some cancel in sums; a row of a matrix is empty, and one full."""
    stored = rng.random(shape) < density
    if len(shape) == 2:
        stored[1], stored[2] = False, True
    return np.where(stored, rng.choice([-2.0, -1, 1, 2], shape), 0.0)


@pytest.mark.parametrize("text", LINES)
@pytest.mark.parametrize("extent", [1, 63, 64, 65, 200])
def test_words_that_meet_give_what_dense_sums_give(text, extent):
    rng = np.random.default_rng(extent)
    extents = {"k": extent, "l": extent + 1, "b": 5, "i": 4, "j": 6}
    for density in (0.05, 0.5, 1):
        dense = {
            name: drawn(rng, tuple(extents[rank] for rank in ranks), density)
            for name, ranks in LINES[text].items()
            if ranks != "ki"
        }
        if "D" in LINES[text]:
            dense["D"] = drawn(rng, (max(extent, 3), 4), density)[:extent]
        given = {
            name: zs.tensor(x, "bitmask" if x.ndim == 1 else "0:U 1:B") for name, x in dense.items()
        }
        layer = zs.layer(text)
        want = layer(backend="numpy", **(given if "max" in text else dense))
        for backend in ("c", "interpreter"):
            assert np.array_equal(layer(backend=backend, **given), want), (density, backend)


@pytest.mark.parametrize("extent", [4095, 4096, 4160, 8199])
@pytest.mark.parametrize("text", ["y[b] = A[b,k]*B[b,k]", "y[i] = A[i,k]*x[k]*w[k]"])
def test_what_blocks_of_words_have_in_common_is_found_however_much_it_is(text, extent):
    rng = np.random.default_rng(extent)
    extents = {"k": extent, "b": 9, "i": 9}
    dense = {}
    for name, ranks in LINES[text].items():
        densities = np.repeat(rng.choice([0, 0.01, 0.3, 0.5, 0.7, 1], 9 * (extent // 512 + 1)), 512)
        each = densities[: 9 * extent].reshape(9, extent)
        x = np.where(rng.random((9, extent)) < each, rng.choice([-2.0, -1, 1, 2], (9, extent)), 0)
        dense[name] = x if len(ranks) == 2 else x[0]
        assert dense[name].shape == tuple(extents[rank] for rank in ranks)
    given = {
        name: zs.tensor(x, "bitmask" if x.ndim == 1 else "0:U 1:B") for name, x in dense.items()
    }
    layer = zs.layer(text)
    want = layer(backend="numpy", **dense)
    assert np.count_nonzero(want) > 3
    assert np.array_equal(layer(**given), want)


@pytest.mark.parametrize("backend", ["c", "interpreter"])
def test_what_is_not_finite_counts_where_all_masks_have_it(backend):
    x = np.zeros(130)
    y, z = x.copy(), x.copy()
    x[[0, 63, 64, 129]] = [np.inf, np.nan, 2, 3]
    y[[1, 64, 128, 129]] = [np.nan, 5, np.inf, 1]
    z[[0, 63, 129]] = [1, 1, -np.inf]
    x, y, z = (zs.tensor(v, "bitmask") for v in (x, y, z))
    assert zs.einsum("s = x[k]*y[k]", x=x, y=y, backend=backend) == 13
    assert np.isnan(zs.einsum("s = x[k]*z[k]", x=x, z=z, backend=backend))
    assert zs.einsum("s = y[k]*z[k]", y=y, z=z, backend=backend) == -np.inf


def test_no_position_is_looked_up_where_words_meet():
    x = zs.tensor(np.eye(1, 70)[0], "bitmask")
    assert "zs_bits_before" in zs.explain("s = x[k]*y[k]", x=x, y=x).c
    longer = zs.tensor(np.eye(1, 71)[0], "bitmask")
    assert "zs_bit_locate" in zs.explain("s = x[k]*y[k+1]", x=x, y=longer).c
