"""A watch over the main kernels that needs no quiet machine: instructions, counted by valgrind.

    make guard              counts, held against benchmarks/guard.json
    make guard UPDATE=1     counts become the ones to hold against

Kernels are compiled for 256-bit vectors, which valgrind runs on every machine, and called on
small inputs with a fixed seed; what is counted is bound calls alone.  Counts are those of one
compiler: of another there is nothing to hold against, until they are written.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.restart import restart_clean

ROOT = Path(__file__).resolve().parents[1]
KEPT = Path(__file__).with_name("guard.json")
MOST = 1.1
"""Part of the instructions kept that a kernel may take: more is a fault."""

LEAST = 0.8
"""Below it the kernel has become so much better that the kept counts guard nothing."""

CALLS = 3
MARK = "getppid"
"""A function of the C library that nobody else calls: valgrind starts a new count at it."""

HIDDEN = ("torch", "graphblas", "sparse", "numba")

KERNELS: dict[str, tuple[str, str, str]] = {
    "SpMM at 0.2": ("spmm", "128,256,196", "0.2"),
    "SpMM at 0.01": ("spmm", "256,512,49", "0.01"),
    "SpMM, N = 16": ("spmm-narrow", "256,256,16", "0.1"),
    "GEMV, bitmask": ("gemv-bitmask", "512,512", "0.3"),
    "GEMV, CSR": ("gemv-csr", "512,512", "0.05"),
    "3×3 convolution": ("conv", "32,14²", "0.2"),
    "convolution, image encoded": ("conv-activations", "32,14²", "0.1"),
    "SpGEMM": ("spgemm", "256,10", "squared"),
    "SDDMM": ("sddmm", "128,64", "0.1"),
    "MTTKRP": ("mttkrp", "40,4000,32", "drawn"),
    "dot, bitmasks": ("dot", "1024", "0.1"),
    "encode to bitmask": ("encode-bitmask", "256,256", "0.3"),
    "encode to CSR": ("encode-csr", "256,256", "0.3"),
}
"""What is shown → row, shape and point."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One kernel: instructions of a call now, and the ones kept, if there are."""

    name: str
    now: int
    kept: int | None

    @property
    def state(self) -> str:
        if self.kept is None:
            return "new"
        ratio = self.now / self.kept
        return "MORE" if ratio > MOST else "far fewer" if ratio < LEAST else "holds"

    def __str__(self) -> str:
        ratio = "" if self.kept is None else f"{self.now / self.kept:6.3f} of {self.kept:,d}"
        return f"  {self.state:<10} {self.name:<28} {self.now:>14,d}  {ratio}"


def judge(now: Mapping[str, int], kept: Mapping[str, int]) -> list[Judged]:
    return [Judged(name, count, kept.get(name)) for name, count in now.items()]


# ---- counting ---------------------------------------------------------------------------


def counts(folder: Path) -> list[int]:
    """Instructions of each part between two marks, from valgrind's files ``out.1``, ``out.2`` …

    What came before the first mark and after the last is left out.
    """
    parts = sorted(folder.glob("out.*"), key=lambda path: int(path.suffix[1:]))
    found: list[int] = []
    for path in parts:
        match = re.search(r"^(?:summary|totals): (\d+)", path.read_text(), re.MULTILINE)
        if match is None:
            raise RuntimeError(f"{path.name}: valgrind wrote no total")
        found.append(int(match[1]))
    return found[1:]


def count(environment: Mapping[str, str]) -> dict[str, int]:
    """Instructions of one call of each kernel.

    Raises
    ------
    RuntimeError
        Where the kernels or valgrind fail.
    """
    inside = [sys.executable, "-m", "benchmarks.guard", "--inside"]
    with tempfile.TemporaryDirectory() as place:
        _run(inside, environment)  # compiles, and checks answers
        out = f"--callgrind-out-file={place}/out"
        valgrind = ["valgrind", "--tool=callgrind", f"--dump-before={MARK}", out]
        _run([*valgrind, *inside], environment)
        found = counts(Path(place))
    if len(found) < 2 * len(KERNELS) - 1:
        raise RuntimeError(f"{len(found)} counts of {len(KERNELS)} kernels")
    return {name: found[2 * k] // CALLS for k, name in enumerate(KERNELS)}


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, cwd=ROOT, env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} …: {done.stderr[-2000:]}")


def surroundings() -> dict[str, str]:
    """The same for every machine: 256-bit vectors, one thread, dictionaries in one order."""
    from zeroskip.native import toolchain

    command = " ".join(toolchain.find().command)
    return {
        **os.environ,
        "ZEROSKIP_CC": f"{command} -mno-avx512f",
        "ZEROSKIP_VECTOR_BYTES": "32",
        "ZEROSKIP_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "OPENBLAS_NUM_THREADS": "1",
    }


def inside() -> None:
    """What is counted: for each kernel a mark, the calls, and a mark."""
    sys.modules.update(dict.fromkeys(HIDDEN))  # type: ignore[arg-type]  # not to be imported
    for call in calls():
        os.getppid()
        for _ in range(CALLS):
            call()
        os.getppid()


def calls() -> Iterator[Any]:
    """Each kernel's call, warmed up and checked."""
    from benchmarks.contest import OURS
    from benchmarks.rows.all import ROWS
    from benchmarks.rows.row import Row
    from benchmarks.running import generator

    rows = {row.name: row for row in ROWS if isinstance(row, Row)}
    for name, shape, at in KERNELS.values():
        contest = rows[name].contest(shape, at, generator(4, name, shape, at))
        ours = next(e for e in contest.entrants if e.family == OURS)
        contest.check(ours)
        ours.call()
        yield ours.call


# ---- kept -------------------------------------------------------------------------------


def compiler() -> str:
    """Counts of which compiler: kind and major version."""
    from zeroskip.native import toolchain

    found = toolchain.find()
    match = re.search(r"(\d+)\.\d", found.version)
    return f"{found.kind} {match[1] if match else '?'}, {sys.implementation.cache_tag}"


def read(path: Path = KEPT) -> dict[str, dict[str, int]]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def main(arguments: Sequence[str]) -> int:
    restart_clean()
    made = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    made.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    made.add_argument("--update", action="store_true", help="keep the counts found")
    options = made.parse_args(arguments)
    if options.inside:
        inside()
        return 0
    if shutil.which("valgrind") is None:
        print("guard: valgrind is not installed; it counts the instructions", file=sys.stderr)
        return 2
    key, kept = compiler(), read()
    found = judge(count(surroundings()), kept.get(key, {}))
    print(f"instructions of a call, {key}, 256-bit vectors")
    for judged in found:
        print(judged)
    if options.update:
        kept[key] = {judged.name: judged.now for judged in found}
        KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"kept in {KEPT.relative_to(ROOT)}")
        return 0
    more = [judged.name for judged in found if judged.state == "MORE"]
    if more:
        print(f"{', '.join(more)}: more than {MOST:g} of what is kept", file=sys.stderr)
    if any(judged.state in ("new", "far fewer") for judged in found):
        print("some counts are not kept or too generous: make guard UPDATE=1, and read the diff")
    return 1 if more else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
