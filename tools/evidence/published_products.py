"""Products of sparse matrices on Gamma and OuterSPACE, as published, from the real matrices."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from claim import Claim, exactly

import zeroskip as zs
from zeroskip.hwmodel import Charge

MATRICES = ("wiki-Vote", "p2p-Gnutella31")
ROWS = zs.Mapping("m k n", space={"m": "pe"})
TINY = {"A": 1600, "B": 2368, "Z": 3456, "merge": 60, "list": 71, "mul": 46, "add": 13}
MULTIPLICATIONS = 50_000_000


def claims(folder: Path) -> Iterator[Claim]:
    product = zs.layer("Z[m,n] = A[m,k]*B[k,n]")
    gamma, outerspace = published(folder, "gamma"), published(folder, "outerspace")
    for name in MATRICES:
        file = folder / "matrices" / f"{name}.npz"
        matrix = zs.tensor(scipy_matrix(file), "CSR")
        found = charged(product, "gamma", matrix, matrix)
        wanted = gamma[name]
        additions = found.ops["effectual"] - found.at("DRAM", "Z").writes
        where = f"Gamma, {name} squared"
        yield exactly(f"{where}, multiplications", found.ops["effectual"], wanted["Multiplies"])
        yield exactly(f"{where}, additions", additions, wanted["Adds"])
        yield exactly(f"{where}, swaps of the mergers", found.units["merge"].steps, wanted["Swaps"])
        for tensor in "ABZ":
            moved = found.at("DRAM", tensor).bits // 8
            yield exactly(f"{where}, bytes of {tensor} off chip", moved, wanted[tensor])
        found = charged(product, sorting("a:C b:C(32)"), matrix, matrix)
        wanted, where = outerspace[name], f"OuterSPACE, {name} squared"
        moved = found.at("DRAM", "Z").bits // 8
        yield exactly(f"{where}, bytes of Z off chip", moved, wanted["Z"])
        yield exactly(f"{where}, swaps of its sort", found.units["merge"].steps, wanted["Swaps"])
    yield from tiny(folder, product)
    yield from fifty_million(product)


def charged(product: zs.Layer, design: Any, a: Any, b: Any) -> Charge:
    found = zs.charge(product, design, A=a, B=b, mapping=ROWS)
    assert isinstance(found, Charge)
    return found


def published(folder: Path, design: str) -> dict[str, dict[str, int]]:
    path = folder / "published" / "teaal" / f"pregenerated-{design}.csv"
    with path.open() as file:
        return {
            row.pop("Matrix"): {key: int(float(value)) for key, value in row.items()}
            for row in csv.DictReader(file)
        }


def scipy_matrix(file: Path) -> Any:
    from scipy.sparse import csr_matrix, load_npz

    return csr_matrix(load_npz(file))


def sorting(result: str) -> dict[str, Any]:
    """A merger by a sorted list, everything in lines of 64 bits."""
    lines = {"read_bits": 64, "pointer_bits": 32, "lists": "unread"}
    rows, listed = "a:U b:C(32)", "a:C b:C(32)"
    return {
        "name": "sorting",
        "array": {"pe": 1},
        "value_bits": 64,
        "sync": "none",
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": lines}, "GLB": {"cache": "optimal"}, "PE": {}},
        "units": {"merge": {"how": "list"}, "intersect": {"how": "leader-follower"}},
        "sparse": ["skip I,F @MAC"],
        "formats": {
            "I": {"DRAM": rows, "GLB": "CSR"},
            "F": {"DRAM": listed, "GLB": "CSR"},
            "O": {"DRAM": result, "GLB": "U"},
        },
    }


def tiny(folder: Path, product: zs.Layer) -> Iterator[Claim]:
    given = json.loads((folder / "published" / "teaal-tiny.json").read_text())
    a = np.zeros((given["M"], given["K"]))
    b = np.zeros((given["K"], given["N"]))
    for k, m, value in given["A_KM"]:
        a[m, k] = value
    for k, n, value in given["B_KN"]:
        b[k, n] = value
    found = charged(product, sorting("a:U b:C(32)"), a, b)
    merged = charged(product, "gamma", a, b).units["merge"].steps
    for tensor in "ABZ":
        moved = found.at("DRAM", tensor).bits
        yield exactly(f"the tiny pair, Gamma: bits of {tensor} off chip", moved, TINY[tensor])
    yield exactly("the tiny pair, Gamma: swaps of the mergers", merged, TINY["merge"])
    steps = found.units["intersect"].steps
    yield exactly("the tiny pair, Gamma: steps of intersection", steps, len(given["A_KM"]))
    steps = found.units["merge"].steps
    yield exactly("the tiny pair, OuterSPACE: swaps of its sort", steps, TINY["list"])
    yield exactly("the tiny pair, multiplications", found.ops["effectual"], TINY["mul"])
    additions = found.ops["effectual"] - found.at("DRAM", "Z").writes
    yield exactly("the tiny pair, additions", additions, TINY["add"])


def fifty_million(product: zs.Layer) -> Iterator[Claim]:
    """Fresh matrices on every repeat, whose columns are as uneven as those of a graph."""
    seconds, effectual = [], []
    for seed in range(3):
        matrix = graph(seed)
        start = time.perf_counter()
        found = charged(product, "gamma", matrix, matrix)
        seconds.append(time.perf_counter() - start)
        effectual.append(found.ops["effectual"])
    yield Claim(
        f"a charge on Gamma of {MULTIPLICATIONS:,d} multiplications, kernels warm: under 2 s",
        f"{max(seconds[1:]):.2f} s for {min(effectual):,d}",
        max(seconds[1:]) < 2 and min(effectual) >= MULTIPLICATIONS,
    )


def graph(seed: int, nodes: int = 36_692, edges: int = 420_000) -> Any:
    """A matrix whose rows and columns are drawn by a power law, as many as email-Enron's."""
    rng = np.random.default_rng(seed)
    weights = (np.arange(nodes) + 20.0) ** -0.84
    ends = rng.permutation(nodes)[rng.choice(nodes, (2, edges), p=weights / weights.sum())]
    coords = np.unique(ends, axis=1)
    return zs.Tensor.from_coords(tuple(coords), np.ones(coords.shape[1]), (nodes, nodes), "CSR")
