"""Layers, operands and a smallest machine that several tests charge."""

from __future__ import annotations

from typing import Any

import numpy as np

from zeroskip.einsum_spec import make_spec

CONV = "O[n,m,p,q] = I[n,c,U*p+r,U*q+s]*F[m,c,r,s]"


def one_pe(*sparse: str, **changes: Any) -> dict[str, Any]:
    """One PE with one multiplier; operands A and B compressed on chip where something skips."""
    packed = {"A": {"GLB": "C"}, "B": {"GLB": "C"}}
    return {
        "name": "one PE",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "sparse": list(sparse),
        "formats": packed if any(text.startswith("skip") for text in sparse) else {},
        **changes,
    }


def conv_case(seed: int = 0, density: float = 0.5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = (rng.random((2, 3, 8, 9)) < density) * rng.random((2, 3, 8, 9))
    w = (rng.random((4, 3, 3, 3)) < density) * rng.standard_normal((4, 3, 3, 3))
    return {"I": x.astype(np.float32), "F": w.astype(np.float32)}


def conv_spec(stride: int = 1, pad: int = 1) -> Any:
    return make_spec(CONV, consts={"U": stride}, pad={"I": {"h": pad, "w": pad}})
