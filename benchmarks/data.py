"""Real inputs, from the folder of shared data: ZEROSKIP_DATA, or beside the repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contest import Absent, Array

ROOT = Path(__file__).resolve().parents[1]


def folder() -> Path:
    given = os.environ.get("ZEROSKIP_DATA")
    return Path(given) if given else ROOT.parent / "shared" / "data"


def file(*parts: str) -> Path:
    """A file of it.

    Raises
    ------
    Absent
        Where it is not here.
    """
    path = folder().joinpath(*parts)
    if not path.exists():
        raise Absent(f"{'/'.join(parts)} is not in the shared data; set ZEROSKIP_DATA")
    return path


def matrix(name: str) -> Any:
    """A SciPy matrix by its name."""
    from scipy.sparse import load_npz

    return load_npz(file("matrices", f"{name}.npz"))


def masks(name: str) -> dict[str, tuple[Array, int]]:
    """Packed masks of pruned layers: name → (booleans, columns of the dense operand)."""
    found: dict[str, tuple[Array, int]] = {}
    with np.load(file("matrices", f"{name}.npz")) as held:
        for key in held.files:
            layer, _, what = key.rpartition("|")
            if what == "mask":
                rows, columns = held[f"{layer}|shape"]
                bits = np.unpackbits(held[key])[: rows * columns].reshape(rows, columns)
                found[layer] = (bits.astype(bool), int(held[f"{layer}|n"]))
    return found
