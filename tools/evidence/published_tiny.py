"""ExTensor and SIGMA on the pair of tiny matrices, and SIGMA's loads of its published shapes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from claim import Claim, exactly
from numpy.typing import NDArray

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.hwmodel.units import Access, intersection_steps
from zeroskip.native.engine import evaluate

Mask = NDArray[np.bool_]
LINE_BITS, ELEMENT_BITS = 64, 128
TILE, FILL_BITS, VALUE_BITS, K_PART = 16_384, 4_096, 32, 128

EXTENSOR = """
fullA[g,h,p,i] |= A[g,h,k,p,i,a]
fullB[g,h,q,e] |= B[g,h,k,q,e,b]
metA[q,g,h,p,i] |= fullA[g,h,p,i]*fullB[g,h,q,e]
metB[q,g,h,e] |= fullA[g,h,p,i]*fullB[g,h,q,e]
rowA[g,h,p,i,a] += A[g,h,k,p,i,a]
rowB[g,h,q,e,b] += B[g,h,k,q,e,b]
heldA[g,h,p,i,a] |= A[g,h,k,p,i,a]
heldB[g,h,q,e,b] |= B[g,h,k,q,e,b]
rowsA[g,h,p,i] += heldA[g,h,p,i,a]
rowsB[g,h,q,e] += heldB[g,h,q,e,b]
tilesA += metA[q,g,h,p,i]
headsA += metA[q,g,h,p,i]*ceil(rowsA[g,h,p,i]/2)
fibersA += metA[q,g,h,p,i]*ceil(rowA[g,h,p,i,a]/2)
valuesA += metA[q,g,h,p,i]*rowA[g,h,p,i,a]
headsB += metB[q,g,h,e]*ceil(rowsB[g,h,q,e]/2)
fibersB += metB[q,g,h,e]*ceil(rowB[g,h,q,e,b]/2)
valuesB += metB[q,g,h,e]*rowB[g,h,q,e,b]
partsB[q,g,e] += metB[q,g,h,e]
tiles1B += ceil(partsB[q,g,e]/2)
someB[q,g,e] |= metB[q,g,h,e]
columnsB[q,g] += someB[q,g,e]
tiles2B += ceil(columnsB[q,g]/2)
Z[g,p,i,a,q,e,b] |= A[g,h,k,p,i,a]*B[g,h,k,q,e,b]
taken[g,p,i,q,e] |= Z[g,p,i,a,q,e,b]
before[g,p,i,a,q,e,b] |= Z[f,p,i,a,q,e,b]*(f < g)
again += before[g,p,i,a,q,e,b]*taken[g,p,i,q,e]
result[p,i,a,q,e,b] |= Z[g,p,i,a,q,e,b]
distinct += result[p,i,a,q,e,b]
"""
"""k = 4*g + 2*h + k, m = 4*p + 2*i + a, n = 4*q + 2*e + b: tiles of 4, micro-tiles of 2.  Whatever
A and B have in common is loaded for each tile of n; the coordinates of a micro-tile of A are a
line, heads are coordinates and pointers of its rows, two to a line.  Micro-tiles of Z that a g has
something for are read whole and written back after it."""


def claims(folder: Path) -> Iterator[Claim]:
    given = json.loads((folder / "published" / "teaal-tiny.json").read_text())
    a, b = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    for k, m, _ in given["A_KM"]:
        a[k, m] = True
    for k, n, _ in given["B_KN"]:
        b[k, n] = True
    yield from extensor(a.reshape((2,) * 6), b.reshape((2,) * 6))
    bits = sigma(a[:, : given["M"]].T, given["N"])
    yield exactly("the tiny pair, SIGMA: bits of A that are loaded", bits[0], 4_096)
    yield exactly("the tiny pair, SIGMA: bits of B that are loaded", bits[1], 28_672)
    yield from sigma_shapes(folder)


def extensor(a: Mask, b: Mask) -> Iterator[Claim]:
    for level, ranks, published in (("K2", 1, 4), ("K1", 2, 39), ("K0", 3, 84)):
        steps = steps_at(a, b, ranks)
        yield exactly(
            f"the tiny pair, ExTensor: steps of intersection at {level}", steps, published
        )
    found = {
        name: int(np.sum(x)) for name, x in evaluate(make_spec(EXTENSOR), {"A": a, "B": b}).items()
    }
    lines = found["tilesA"] + 2 * found["headsA"] + found["fibersA"] + found["valuesA"]
    yield exactly("the tiny pair, ExTensor: bits of A that are read", LINE_BITS * lines, 7_296)
    lines = 2 * (found["headsB"] + found["tiles1B"] + found["tiles2B"])
    lines += found["fibersB"] + found["valuesB"]
    yield exactly("the tiny pair, ExTensor: bits of B that are read", LINE_BITS * lines, 6_464)
    again, written = found["again"], found["again"] + found["distinct"]
    yield exactly("the tiny pair, ExTensor: bits of Z read again", ELEMENT_BITS * again, 2_560)
    yield Claim(
        "the tiny pair, ExTensor: elements of Z written, one below those published as known",
        f"{written}, published 54",
        written == 53,
    )


def steps_at(a: Mask, b: Mask, level: int) -> int:
    """Skip-ahead steps along the k of a level, of tiles that hold something."""
    inner = tuple(axis for part in (0, 3) for axis in range(part + level, part + 3))
    if level == 1:  # tiles of n alone stand outside the outermost k
        one, other = np.asarray(a.any((1, 2, 3, 4, 5))), np.asarray(b.any((1, 2, 4, 5)))
        left, right = Access("A", ("g",)), Access("B", ("g", "q"))
    else:
        one, other = np.asarray(a.any(inner)), np.asarray(b.any(inner))
        left = Access("A", (*"ghk"[:level], *"pia"[:level]))
        right = Access("B", (*"ghk"[:level], *"qeb"[:level]))
    return int(intersection_steps("skip-ahead", (left, one), (right, other), "ghk"[level - 1]))


def sigma(a: Mask, columns: int) -> tuple[int, int]:
    """Bits of A and B that go to the PEs: A[m,k] in parts of 128 k, each in tiles of 16,384
    stored entries, and for each tile every column of B, all in lines of 4,096 bits."""
    bits_a = bits_b = 0
    for first in range(0, a.shape[1], K_PART):
        part = a[:, first : first + K_PART]
        stored = np.flatnonzero(part.reshape(-1))
        tile = np.arange(len(stored)) // TILE  # stored entries before this one: a prefix scan
        for entries in np.bincount(tile):
            bits_a += -(-int(entries) * VALUE_BITS // FILL_BITS) * FILL_BITS
            bits_b += columns * -(-part.shape[1] * VALUE_BITS // FILL_BITS) * FILL_BITS
    return bits_a, bits_b


def sigma_shapes(folder: Path) -> Iterator[Claim]:
    """A was drawn there with a density of .2; B's loads depend on the number of tiles alone."""
    with (folder / "published" / "teaal" / "pregenerated-sigma.csv").open() as file:
        rows: list[dict[str, Any]] = [
            {key: int(value) for key, value in row.items()} for row in csv.DictReader(file)
        ]
    for row in rows:
        m, n, k = row["M"], row["N"], row["K"]
        if not row["B"]:
            continue
        drawn = np.random.default_rng(m).random((m, k)) < 0.2
        loaded = sigma(drawn, n)
        yield exactly(f"SIGMA, {m} x {n} x {k}: bytes of B", loaded[1] // 8, row["B"])
        off = abs(loaded[0] / 8 / row["A"] - 1)
        yield Claim(
            f"SIGMA, {m} x {n} x {k}: bytes of A on another draw within 1 %",
            f"{loaded[0] // 8:,d}, published {row['A']:,d}",
            off < 0.01,
        )
