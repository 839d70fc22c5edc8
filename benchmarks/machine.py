"""Where a row was measured: processor, caches, vectors, versions, and with which kernels."""

from __future__ import annotations

import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from zeroskip.benchmark.measuring import compiler, machine
from zeroskip.errors import ZeroskipError
from zeroskip.native import toolchain

PEERS = (
    ("numpy", "numpy"),
    ("scipy", "scipy"),
    ("torch", "torch"),
    ("sparse", "sparse"),
    ("numba", "numba"),
    ("mkl", "mkl"),
    ("graphblas", "python-graphblas"),
    ("suitesparse_graphblas", "suitesparse-graphblas"),
    ("ml_dtypes", "ml_dtypes"),
)
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def has_avx512() -> bool:
    """Whether kernels here are compiled for AVX-512, which the bars are for."""
    try:
        return "AVX512F" in toolchain.find().features
    except ZeroskipError:
        return False


def vectors() -> str:
    try:
        features = toolchain.find().features
    except ZeroskipError:
        return "no C compiler"
    for name, bits in (("AVX512F", 512), ("AVX2", 256), ("AVX", 256)):
        if name in features:
            return f"{bits} bits ({'AVX-512' if bits == 512 else name})"
    return "128 bits"


def caches() -> str:
    """Data and unified caches of the first core, as the system tells them."""
    found = []
    for place in sorted(CACHES.glob("index*")):
        try:
            level, kind, size = ((place / n).read_text().strip() for n in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return ", ".join(found) or "unknown"


def description() -> dict[str, str]:
    """Everything about the machine and the moment that a reader needs to doubt a figure."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "caches": caches(),
        "vectors": vectors(),
        "system": f"{platform.system()} {platform.release()}",
        "compiler": compiler(),
        "python": platform.python_version(),
    }


def libraries() -> dict[str, str]:
    """Of what is loaded: library → version, and the kernel where one can be told.

    To be asked after the contests, when all that takes part is loaded.
    """
    found: dict[str, str] = {}
    for module, package in PEERS:
        if module in sys.modules or (module == "mkl" and "benchmarks.peers.mkl" in sys.modules):
            try:
                found[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                continue
    for pool in _pools():
        kernel = pool.get("architecture") or "its own choice"
        name = Path(pool.get("filepath", "?")).name.partition("-")[0].partition(".")[0]
        found[f"{pool.get('internal_api')} in {name}"] = (
            f"{pool.get('version') or '?'}, kernel {kernel}, {pool.get('num_threads')} thread(s)"
            if pool.get("user_api") == "blas"
            else f"{pool.get('num_threads')} thread(s)"
        )
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        found["torch kernels"] = torch.backends.cpu.get_cpu_capability()
        onednn = [line for line in torch.__config__.show().splitlines() if "DNN" in line]
        if onednn:
            found["oneDNN"] = onednn[0].strip(" -")
    return found


def _pools() -> list[dict[str, Any]]:
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    return list(threadpool_info())
