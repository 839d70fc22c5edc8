"""From text to a callable, from disk, importing, and what a bound call costs beyond its work."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np

import zeroskip as zs
from benchmarks.rows.row import Figure, Figures

HEAD = """
import json, sys, time
import numpy as np
import zeroskip as zs
rng = np.random.default_rng(0)
w = np.where(rng.random((64, 64)) < .2, rng.random((64, 64)), 0).astype(np.float32)
W = zs.tensor(w, "CSR")
X = rng.random((64, 32)).astype(np.float32)
zs.layer  # its modules are loaded when it is first asked for
"""

UNBOUND = """
begin = time.perf_counter()
layer = zs.layer("O[m,n] = W[m,k]*X[k,n]")
y = layer(W=W, X=X)
seconds = time.perf_counter() - begin
"""

BOUND = """
begin = time.perf_counter()
call = zs.layer("O[m,n] = W[m,k]*X[k,n]").bind(W=W)
y = call(X)
seconds = time.perf_counter() - begin
"""

TAIL = """
assert np.allclose(y, w @ X, atol=1e-4)
loaded = [name for name in ("sympy", "scipy") if name in sys.modules]
print(json.dumps({"seconds": seconds, "loaded": loaded}))
"""


@cache
def surroundings() -> dict[str, str]:
    """The environment of new processes: they find Python's bytecode, as after a first use of an
    installed package, whatever this process was told of writing it."""
    place = tempfile.TemporaryDirectory()
    atexit.register(place.cleanup)
    found = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    found |= {"PYTHONPYCACHEPREFIX": place.name}
    for script in (HEAD + BOUND + TAIL, HEAD + UNBOUND + TAIL):
        own = {**found, "ZEROSKIP_CACHE_DIR": str(Path(place.name) / "kernels")}
        subprocess.run([sys.executable, "-c", script], env=own, capture_output=True, check=False)
    return found


def fresh(script: str, kernels: Path) -> float:
    """Seconds that a new process says it took.

    Raises
    ------
    RuntimeError
        Where it fails, or has imported SymPy or SciPy.
    """
    done = subprocess.run(
        [sys.executable, "-c", HEAD + script + TAIL],
        env={**surroundings(), "ZEROSKIP_CACHE_DIR": str(kernels)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    said = json.loads(done.stdout.splitlines()[-1])
    if said["loaded"]:
        raise RuntimeError(f"a new process imported {', '.join(said['loaded'])}")
    return float(said["seconds"])


def cold_and_warm(script: str, runs: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """With an empty cache, and again in another process with the one just filled."""
    cold: list[float] = []
    warm: list[float] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as place:
            kernels = Path(place) / "kernels"
            cold.append(fresh(script, kernels))
            warm.append(fresh(script, kernels))
    return tuple(cold), tuple(warm)


def importing(what: str, runs: int) -> tuple[float, ...]:
    """Seconds that ``what`` takes after NumPy is imported, each in a new process."""

    script = f"import time, numpy; t = time.perf_counter(); {what}; print(time.perf_counter() - t)"

    def taken() -> float:
        out = subprocess.run(
            [sys.executable, "-c", script],
            env=surroundings(),
            capture_output=True,
            text=True,
            check=True,
        )
        return float(out.stdout)

    return tuple(taken() for _ in range(runs))


def each_s(call: Callable[[], object], calls: int = 2000) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begin) / calls


def overhead(runs: int) -> tuple[float, ...]:
    """Seconds of a bound call whose work is one multiplication, the result's array included."""
    call = zs.layer("y[m] = W[m,k]*x[k]").bind(W=zs.tensor(np.ones((1, 1), np.float32), "CSR"))
    x = np.ones(1, np.float32)
    if call(x)[0] != 1:
        raise RuntimeError("1 times 1 is not 1")
    return tuple(median(each_s(lambda: call(x)) for _ in range(5)) for _ in range(runs))


def measure(runs: int) -> list[Figure]:
    cold, warm = cold_and_warm(UNBOUND, runs)
    bound_cold, bound_warm = cold_and_warm(BOUND, runs)
    return [
        Figure("text to first result, cold, unbound", cold, 0.100),
        Figure("text to first result, cold, bound", bound_cold, 0.400),
        Figure("text to first result, from disk in a new process", warm, 0.005),
        Figure("the same, bound", bound_warm, 0.005),
        Figure("import zeroskip, after NumPy", importing("import zeroskip", runs), 0.050),
        Figure(
            "the same, and the modules of a first layer and tensor",
            importing("import zeroskip as zs; zs.layer, zs.tensor", runs),
            0.050,
        ),
        Figure("a bound call of one multiplication", overhead(runs), 2e-6, "its array included"),
    ]


ROWS = (
    Figures(
        "starting",
        "text to callable, import, call",
        measure,
        notes=(
            "Cold: no kernel on disk. New processes are refused where they import SymPy or SciPy. "
            "Modules are loaded when a name is first asked for: before the clock of the first "
            "four rows, and within that of the sixth. New processes find Python's bytecode.",
        ),
    ),
)
