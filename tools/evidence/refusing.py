"""Bad input: refused with a reason, quickly, and nothing is executed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from claim import Claim

import zeroskip as zs

IMAGE, WEIGHTS = np.ones((1, 2, 4, 4)), np.ones((3, 2, 3, 3))
CONV = "O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]"


def claims(folder: Path) -> Iterator[Claim]:
    del folder
    conv = zs.layer(CONV)
    for what, attempt in _attempts(conv):
        start = time.perf_counter()
        try:
            attempt()
            found, refused = "accepted", False
        except zs.ZeroskipError as error:
            found, refused = f"{type(error).__name__}: {str(error).splitlines()[0][:70]}", True
        seconds = time.perf_counter() - start
        yield Claim(what, f"{found} ({seconds * 1e3:.0f} ms)", refused and seconds < 1)


def _attempts(conv: zs.Layer) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "unknown rank", lambda: zs.einsum("y[i,z] = x[i]", x=np.ones(3))
    yield "extent conflict", lambda: conv(I=IMAGE, F=np.ones((3, 5, 3, 3)))
    yield "out-of-range coordinate", lambda: zs.Tensor.from_coords(([5],), [1.0], (3,), "C")
    yield "NaN coordinate", lambda: zs.Tensor.from_coords(([np.nan],), [1.0], (3,), "C")
    yield "wrong dtype", lambda: conv(I=IMAGE.astype(complex), F=WEIGHTS)
    yield "ambiguous sum", lambda: zs.layer("y[i] = exp(A[i,j]) * x[j]")
    yield "corrupted tensor", _corrupted
    yield "an import call", lambda: zs.layer("__import__('os').system('true')")
    yield "100,000 brackets", lambda: zs.layer("y[i] = " + "(" * 100_000 + "x[i]")
    yield "50,000 brackets", lambda: zs.layer("y[i] = " + "(" * 50_000 + "x[i]")
    yield "a rank of extent 10^30", lambda: zs.layer("y[i] = x[j]", sizes={"i": 10**30})
    yield "a number of 10^6 digits", lambda: zs.layer("y[i] = " + "9" * 10**6 + "*x[i]")


def _corrupted() -> zs.Tensor:
    whole = zs.tensor(np.eye(3), "CSR")
    parts = [dict(level.arrays) for level in whole.levels]
    parts[1]["pos"] = np.array([0, 2, 1, 3])
    return zs.Tensor.from_parts(whole.shape, whole.format, parts, whole.values)
