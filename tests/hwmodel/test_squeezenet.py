"""Published and independently counted figures, on the real data where it is at hand."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.hwmodel import Charge, arch, charge

Layer = tuple[str, Any, dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def layers(shared_data: Path) -> list[Layer]:
    """The 26 layers of SqueezeNet on image 0.  expand3x3 reads what expand1x1 reads."""
    held = np.load(shared_data / "nets" / "squeezenet_dc.npz")
    found: list[Layer] = []
    for name in sorted(key[:-2] for key in held.files if key.endswith(".w")):
        w = held[f"{name}.w"]
        source = name if f"{name}.x" in held.files else name.replace("expand3x3", "expand1x1")
        spec = make_spec(
            "O[n,m,p,q] = I[n,c,U*p+r,U*q+s]*F[m,c,r,s]",
            consts={"U": 2 if w.shape[2] == 7 else 1},
            pad={"I": {"h": 1, "w": 1}} if w.shape[2] == 3 else None,
        )
        found.append((name, spec, {"I": held[f"{source}.x"][:1], "F": w}))
    assert len(found) == 26
    return found


def charges(layers: list[Layer], name: str) -> Iterator[Charge]:
    design = arch(name)
    return (charge(spec, design, operands) for _, spec, operands in layers)


def total(found: list[Charge], figure: str) -> int:
    return sum(c.ops[figure] for c in found)


def test_an_array_that_skips_both(layers: list[Layer]) -> None:
    found = list(charges(layers, "scnn"))
    assert total(found, "dense") == 832_667_936
    assert total(found, "effectual") == 344_561_019
    assert total(found, "skipped") == 832_667_936 - 344_561_019
    assert sum(c.compute_cycles for c in found) == 25_934_077
    assert sum(int(c.work_per_pe.sum()) for c in found) == 344_561_019
    assert all(c.arch.shape == (4, 4) for c in found)


def test_an_array_that_gates(layers: list[Layer]) -> None:
    found = list(charges(layers, "eyeriss"))
    assert total(found, "effectual") == 344_561_019
    assert total(found, "skipped") == 0
    assert total(found, "gated") == sum(gated(operands, spec) for _, spec, operands in layers)
    dense = [c.baseline for c in found]
    assert sum(c.compute_cycles for c in found) == sum(c.compute_cycles for c in dense)
    assert sum(c.energy_pj for c in found) < sum(c.energy_pj for c in dense)


def gated(operands: dict[str, np.ndarray], spec: Any) -> int:
    """Points whose activation is zero or padding, counted window by window."""
    x, w = operands["I"], operands["F"]
    m, _, r, s = w.shape
    pad, stride = (1 if r == 3 else 0), (2 if r == 7 else 1)
    zero = np.pad(x == 0, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=True)
    p, q = ((n + 2 * pad - r) // stride + 1 for n in x.shape[2:])
    return m * sum(
        int(zero[:, :, i : i + stride * p : stride, j : j + stride * q : stride][..., :p, :q].sum())
        for i in range(r)
        for j in range(s)
    )


def test_one_weight_less(layers: list[Layer]) -> None:
    _, spec, operands = next(layer for layer in layers if layer[0] == "fire9/expand3x3")
    before = charge(spec, arch("scnn"), operands)
    m, c, r, s = (int(i) for i in np.argwhere(operands["F"])[1000])
    changed = operands["F"].copy()
    changed[m, c, r, s] = 0
    after = charge(spec, arch("scnn"), {**operands, "F": changed})
    padded = np.pad(operands["I"][0, c], 1)
    lost = int(np.count_nonzero(padded[r : r + 13, s : s + 13]))
    assert before.ops["effectual"] - after.ops["effectual"] == lost > 0
    assert before.at("DRAM", "F").reads - after.at("DRAM", "F").reads == 1


def test_cycles_of_an_eyeriss_v2_pe(shared_data: Path) -> None:
    """A cycle for each effectual product; published."""
    with (shared_data / "published" / "eyerissv2-pe-cycles.csv").open() as file:
        published = {row["layer"]: int(row["cycles"]) for row in csv.DictReader(file)}
    held = np.load(shared_data / "nets" / "mobilenet05_masks.npz")
    design = arch("eyeriss-v2-pe")
    for layer in ("L07", "L09", "L13", "L19"):
        m, c, e, f = (int(n) for n in held[f"{layer}_MCEF"])
        iacts = held[f"{layer}_iacts"].reshape(e * f, c) != 0
        weights = held[f"{layer}_weights"].reshape(m, c) != 0
        operands = {"I": iacts, "F": weights, "O": np.ones((e * f, m), bool)}
        charged = charge(make_spec("O[e,m] = I[e,c]*F[m,c]"), design, operands)
        assert charged.compute_cycles == published[layer], layer
        assert charged.ops["never_fetched"] == int((~iacts).sum()) * m, layer
        assert charged.ops["skipped"] == int(iacts.sum(0) @ (~weights).sum(0)), layer
