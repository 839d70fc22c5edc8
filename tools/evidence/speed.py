"""Speed and the cache, one thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.sparse
from claim import Claim, median_s
from squeezenet import layers

import zeroskip as zs
from zeroskip.native.bound import Bound

FRESH = """
import json
import numpy as np
import zeroskip as zs
from zeroskip.native import cache
built = []
build = cache.Cache.build
cache.Cache.build = lambda *a: built.append(1) or build(*a)
matrix = zs.tensor(np.eye(4, dtype=np.float32), "CSR")
layer = zs.layer("y[i] = A[i,j]*x[j]")
x = np.arange(4, dtype=np.float32)
y = layer(A=matrix, x=x)
print(json.dumps({"right": bool((y == x).all()), "built": len(built)}))
"""


def claims(folder: Path) -> Iterator[Claim]:
    yield _against_scipy(folder)
    yield _call_overhead()
    yield _cold_compile()
    with tempfile.TemporaryDirectory() as place:
        cache = Path(place) / "kernels"
        yield from _processes(cache)
        yield from _altered(cache)
    yield _without_compiler()
    yield _with_ziglang()


def _against_scipy(folder: Path) -> Claim:
    step = next(s for s in layers(folder) if s.name == "fire9/expand3x3")
    bound = step.layer.bind(F=zs.tensor(step.weights, "CSR"))
    padded = np.pad(step.activations[0], ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    columns = np.ascontiguousarray(windows.transpose(0, 3, 4, 1, 2).reshape(-1, 169))
    matrix = scipy.sparse.csr_array(step.weights.reshape(len(step.weights), -1))
    wanted = (matrix @ columns).reshape(1, -1, 13, 13)
    found = bound(I=step.activations)
    if not np.allclose(found, wanted, rtol=1e-4, atol=1e-2):
        return Claim("fire9/expand3x3 against SciPy", "the answers differ", False)
    ours, theirs = [], []
    for _ in range(9):
        ours.append(median_s(lambda: bound(I=step.activations), 21))
        theirs.append(median_s(lambda: matrix @ columns, 21))
    ratio = float(np.median(np.array(theirs) / np.array(ours)))
    return Claim(
        "fire9/expand3x3, bound weights, against SciPy's CSR product on a free im2col: 2x",
        f"{ratio:.1f}x ({np.median(ours) * 1e6:.0f} us against {np.median(theirs) * 1e6:.0f} us)",
        ratio >= 2,
    )


def _call_overhead() -> Claim:
    """A bound call of almost no work, less what the same kernel takes when called alone."""
    layer = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", pad=1)
    image = np.ones((1, 1, 4, 4), np.float32)
    weights = zs.tensor(np.ones((1, 1, 3, 3), np.float32), "CSR")
    bound = layer.bind(F=weights)
    bound(I=image)
    ready = Bound(layer.spec, {"F": weights})._fill({"I": image}, (), True)
    assert ready is not None
    whole = median_s(lambda: bound(I=image), 201, burst=50)
    bare = median_s(ready.call.call, 201, burst=50)
    over = (whole - bare) * 1e6
    return Claim("a bound call beyond its work: under 10 us", f"{over:.1f} us", over < 10)


def _cold_compile() -> Claim:
    """Text to first result with an empty cache, a new kernel each time."""
    seconds = []
    layer = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", pad=1)
    image, weights = np.ones((1, 2, 8, 8), np.float32), np.ones((3, 2, 3, 3), np.float32)
    layer(I=image, F=zs.tensor(weights, "CSR"))
    for spec in ("0:U 1:C 2:U 3:U", "0:C 1*2*3:R(3)", "0:U 1*2*3:B", "0:C 1:C 2:C 3:C", "COO"):
        tensor = zs.tensor(weights, spec)
        with (
            tempfile.TemporaryDirectory() as place,
            zs.config.using(cache_dir=Path(place) / "kernels"),
        ):
            start = time.perf_counter()
            layer(I=image, F=tensor)
            seconds.append(time.perf_counter() - start)
    worst = max(seconds) * 1e3
    return Claim(
        "a cold compile: under 300 ms",
        f"{worst:.0f} ms, the slowest of {len(seconds)}",
        worst < 300,
    )


def _run(cache: Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FRESH],
        env={**os.environ, "ZEROSKIP_CACHE_DIR": str(cache), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _answers(running: list[subprocess.Popen[str]]) -> list[dict[str, int]]:
    found = []
    for process in running:
        out, _ = process.communicate(timeout=120)
        if process.returncode == 0:
            found.append(json.loads(out.strip().splitlines()[-1]))
    return found


def _processes(cache: Path) -> Iterator[Claim]:
    together = _answers([_run(cache) for _ in range(10)])
    right = sum(bool(a["right"]) for a in together)
    yield Claim("ten processes at once on an empty cache", f"{right} right", right == 10)
    (second,) = _answers([_run(cache)])
    yield Claim(
        "a further process finds the kernel", f"{second['built']} built", second["built"] == 0
    )


def _altered(cache: Path) -> Iterator[Claim]:
    (kernel,) = cache.glob("*.so")
    whole = kernel.read_bytes()
    flipped = bytes([whole[len(whole) // 2] ^ 1])
    for what, damaged in (
        ("truncated", whole[: len(whole) // 2]),
        ("altered", whole[: len(whole) // 2] + flipped + whole[len(whole) // 2 + 1 :]),
    ):
        kernel.write_bytes(damaged)
        answers = _answers([_run(cache)])
        good = len(answers) == 1 and bool(answers[0]["right"]) and answers[0]["built"] == 1
        yield Claim(f"{what} object in the cache", "rebuilt" if good else str(answers), good)


def _without_compiler() -> Claim:
    with tempfile.TemporaryDirectory() as place:
        nowhere = {"PATH": "", "CC": "", "ZEROSKIP_CC": ""}
        script = "import sys; sys.modules['ziglang'] = None\n" + FRESH
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, **nowhere, "ZEROSKIP_CACHE_DIR": str(Path(place) / "kernels")},
            capture_output=True,
            text=True,
            check=False,
        )
    said = done.stderr.count("pip install zeroskip[cc]")
    good = done.returncode == 0 and '"right": true' in done.stdout and said == 1
    return Claim(
        "no compiler: the interpreter answers, and says once what to do",
        f"right, said {said} time(s)" if good else (done.stderr or done.stdout)[-200:],
        good,
    )


def _with_ziglang() -> Claim:
    """In a fresh virtual environment, with no other compiler on the path."""
    root = Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory() as place:
        venv = Path(place) / "venv"
        python = venv / "bin" / "python"
        for command in (
            [sys.executable, "-m", "venv", str(venv)],
            [str(python), "-m", "pip", "-qq", "install", f"{root}[cc]"],
        ):
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode:
                return Claim("ziglang from PyPI compiles", made.stderr[-200:], False)
        done = subprocess.run(
            [str(python), "-c", FRESH],
            env={"PATH": "", "HOME": place, "ZEROSKIP_CACHE_DIR": str(Path(place) / "kernels")},
            capture_output=True,
            text=True,
            check=False,
        )
    good = done.returncode == 0 and '"built": 1' in done.stdout and '"right": true' in done.stdout
    found = "right, compiled by it" if good else (done.stderr or done.stdout)[-300:]
    return Claim("ziglang from PyPI compiles, PATH emptied, fresh environment", found, good)
