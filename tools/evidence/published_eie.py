"""EIE's nine layers: run-length padding and queues, on matrices drawn with its densities."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from claim import Claim
from numpy.typing import NDArray

import zeroskip as zs
from zeroskip.hwmodel import Charge

LAYERS = {
    "AlexNet FC6": (4096, 9216, 0.09, 0.351),
    "AlexNet FC7": (4096, 4096, 0.09, 0.353),
    "AlexNet FC8": (1000, 4096, 0.25, 0.375),
    "VGG16 FC6": (4096, 25088, 0.04, 0.183),
    "VGG16 FC7": (4096, 4096, 0.04, 0.375),
    "VGG16 FC8": (1000, 4096, 0.23, 0.411),
    "NT- We": (600, 4096, 0.10, 1.0),
    "NT- Wd": (8791, 600, 0.11, 1.0),
    "NT- LSTM": (2400, 1201, 0.10, 1.0),
}
"""Rows, columns, density of weights and of activations: EIE's table of layers, from memory."""

PES, RUN = 64, 16
Places = NDArray[np.int64]


def claims(folder: Path) -> Iterator[Claim]:
    with (folder / "published" / "eie-layers.csv").open() as file:
        published = {row.pop("Layer"): row for row in csv.DictReader(file)}
    layer = zs.layer("y[m] = W[m,k]*X[k]")
    ideal, real, ratios = [], [], []
    for name, (rows, columns, weights, activations) in LAYERS.items():
        rng = np.random.default_rng(rows + columns)
        w = padded(rng, rows, columns, weights)
        x = (rng.random(columns) < activations).astype(np.float32)
        found = zs.charge(layer, "eie", W=w, X=x, mapping=zs.Mapping("k m", space={"m": "pe"}))
        assert isinstance(found, Charge)
        hertz = found.arch.clock_hz
        balanced = float(found.work_per_pe.sum()) / PES / hertz * 1e6
        queued = found.cycles / hertz * 1e6
        wanted = [float(published[row][name]) for row in ("Theoretical Time", "Actual Time")]
        ideal.append(abs(balanced / wanted[0] - 1))
        real.append(abs(queued / wanted[1] - 1))
        ratios.append(queued / balanced)
        yield Claim(
            f"{name}: no time is below that of PEs in balance",
            f"{balanced:.1f} us in balance and {queued:.1f} with queues, published {wanted[0]} and"
            f" {wanted[1]}",
            queued >= balanced,
        )
    yield Claim(
        "times in balance against the theoretical ones: within 12 % on average",
        f"{np.mean(ideal):.1%}, the largest {max(ideal):.1%}",
        float(np.mean(ideal)) < 0.12,
    )
    yield Claim(
        "times with queues over times in balance, where 1.04 to 1.54 are published: 1 to 1.6",
        f"{min(ratios):.2f} to {max(ratios):.2f}; against the actual times {np.mean(real):.1%} off",
        min(ratios) >= 1 and max(ratios) < 1.6,
    )


def padded(rng: np.random.Generator, rows: int, columns: int, density: float) -> Any:
    """Weights whose columns are run-length coded in each PE: a zero is stored for every 16 that
    lie before a weight."""
    at = np.flatnonzero(rng.random(columns * rows) < density)
    column, row = np.divmod(at, rows)
    pe = PES * row // rows
    first = -(-pe * rows // PES)
    before = np.concatenate([[-1], row[:-1]])
    fresh = np.ones(len(at), bool)
    fresh[1:] = (column[1:] != column[:-1]) | (pe[1:] != pe[:-1])
    before = np.where(fresh, first - 1, before)
    bridges = (row - before - 1) // RUN
    owner = np.repeat(np.arange(len(at)), bridges)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(bridges) - bridges, bridges)
    added = before[owner] + RUN * (number + 1)
    coords = (np.concatenate([row, added]), np.concatenate([column, column[owner]]))
    values = np.concatenate([np.ones(len(at)), np.zeros(len(owner))]).astype(np.float32)
    return zs.Tensor.from_coords(coords, values, (rows, columns), "CSR")
