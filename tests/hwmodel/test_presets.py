"""Presets: what each charges, and the call of the first page."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.hwmodel import arch, presets

LAYERS = {
    "fc": ("O[n,m] = I[n,c]*F[m,c] + B[m]", {"I": (2, 12), "F": (7, 12), "B": (7,)}, {}),
    "conv": (
        "O[n,m,p,q] = relu(I[n,c,2*p+r,2*q+s]*F[m,c,r,s])",
        {"I": (1, 3, 9, 8), "F": (4, 3, 3, 4)},
        {"pad": 1},
    ),
    "depthwise": ("O[n,c,p,q] = I[n,c,p+r,q+s]*F[c,r,s]", {"I": (1, 5, 6, 6), "F": (5, 3, 3)}, {}),
    "pointwise": ("O[n,m,p,q] = I[n,c,p,q]*F[m,c]", {"I": (1, 6, 5, 5), "F": (8, 6)}, {}),
    "matmul": ("Z[m,n] = A[m,k]*B[k,n]", {"A": (9, 8), "B": (8, 10)}, {}),
    "matvec": ("y[m] = A[m,k]*x[k]", {"A": (9, 8), "x": (8,)}, {}),
    "three": ("S[i,j] = A[i,j]*B[i,k]*C[k,j]", {"A": (6, 5), "B": (6, 4), "C": (4, 5)}, {}),
    "pool": ("O[c,p] = I[c,2*p+r]", {"I": (3, 8)}, {"sizes": {"r": 2}}),
    "max": ("O[c,p] max= I[c,2*p+r]", {"I": (3, 8)}, {"sizes": {"r": 2}}),
    "scalar": ("s = a[i]*b[i]", {"a": (6,), "b": (6,)}, {}),
}
ANY_LAYER = ("dense", "eyeriss", "eyeriss-v2", "eyeriss-v2-pe", "scnn")


def drawn(shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < 0.5) * rng.integers(1, 9, shape)


@pytest.mark.parametrize("case", LAYERS)
@pytest.mark.parametrize("name", ANY_LAYER)
def test_presets_charge_any_layer(name: str, case: str) -> None:
    text, shapes, more = LAYERS[case]
    layer = zs.layer(text, **more)
    given = {x: drawn(shape, k) for k, (x, shape) in enumerate(shapes.items())}
    charge = zs.charge(layer, name, **given)
    classes = ("effectual", "gated", "skipped", "never_fetched", "ineffectual")
    assert sum(charge.ops[kind] for kind in classes) == charge.ops["dense"] > 0
    assert charge.work_per_pe.shape == arch(name).shape
    assert charge.work_per_pe.sum() == prod(charge.layer.extents.ranks.values()) - (
        charge.ops["skipped"] + charge.ops["never_fetched"]
    )
    assert charge.cycles > 0


def test_every_preset_says_where_its_numbers_are_from() -> None:
    for name in presets():
        design = arch(name)
        assert design.source
        assert all(level.source for level in design.levels)


def test_eyeriss_v2_is_as_large_as_published() -> None:
    """192 PEs of two multipliers; 16 clusters of 12 kB, 3 banks for inputs and 4 for sums."""
    design = arch("eyeriss-v2")
    assert (design.pes, design.multipliers) == (8 * 2 * 3 * 4, 2)
    assert design.level("GLB").capacity_bits == 16 * (3 * 1536 + 4 * 1920) * 8
    spads = 16 * 12 + 9 * 4 + 96 * 24 + 16 * 7 + 32 * 20
    assert design.local.capacity_bits == spads


def test_the_call_of_the_first_page() -> None:
    conv = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]")
    x, w = drawn((1, 4, 8, 8), 0), drawn((8, 4, 3, 4), 1)
    a = zs.arch("eyeriss-v2")
    c = zs.charge(conv, a, I=x, F=w)
    e = zs.charge(conv, a, I=zs.Density(x.shape, 0.4), F=zs.Density(w.shape, structure="2:4"))
    assert c.cycles > 0
    assert c.energy_pj > 0
    assert len(c.table()) > 10
    assert c.work_per_pe.shape == (24, 8)
    assert c.at("GLB", "F").metadata_bits > 0
    assert "busy" in c.accounting
    figure = e.formula("energy_pj").subs({"d_I": 0.4, "d_F": 0.5})
    assert float(figure) == pytest.approx(e.energy_pj, rel=0.01)
    assert e.ops["effectual"] == pytest.approx(round(0.4 * x.size) / x.size * c.ops["dense"] / 2)
    assert zs.compare(c, e).names[-1] == "eyeriss-v2, expected / eyeriss-v2"
    swept = zs.sweep(
        conv, [a, "scnn"], F=zs.Density(w.shape, np.linspace(0.01, 1, 4)), I=x, progress=False
    )
    assert len(swept) == 8
    assert swept["pareto"].any()
