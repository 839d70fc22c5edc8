"""Timing that compares: candidates take turns, in bursts, on one machine and one input.

    round 1: A A A  B B  C      round 2: A A A  B B  C      …

A slow phase of the machine then falls on all of them.  How often each is called is settled by
its warm-up, before anything is timed; nothing is chosen by the times.
"""

from __future__ import annotations

import gc
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from zeroskip.errors import ZeroskipError
from zeroskip.native import settings, toolchain

BURST_S = 1.5e-3
"""Shortest burst: calls of microseconds are timed many at a time, far above the clock's grain."""

ROUNDS = 25
"""Most rounds; a median and quartiles of more change little."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to compute; ``call`` makes the whole result anew each time."""

    name: str
    call: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one call: the median over rounds, and the quartiles.

    rounds : bursts that were timed; calls : calls in each.
    """

    median_s: float
    low_s: float
    high_s: float
    rounds: int
    calls: int


def measure(
    candidates: Sequence[Candidate],
    *,
    budget_s: float,
    tick: Callable[[float], object] = lambda seconds: None,
) -> list[Timing]:
    """Time the candidates against each other.

    Parameters
    ----------
    candidates : sequence of Candidate
        Each is called twice before, to warm up.
    budget_s : float
        Seconds for all of them together.  A candidate is timed in at most `ROUNDS` rounds; one
        that is too slow for its share sits out some, evenly, but never all.
    tick : called with the seconds that were spent, after each burst

    Returns
    -------
    list of Timing, one a candidate
    """
    warm = [_warm(c) for c in candidates]
    calls = [max(1, round(BURST_S / max(t, 1e-9))) for t in warm]
    rounds = share(budget_s, [t * n for t, n in zip(warm, calls, strict=True)])
    seconds: list[list[float]] = [[] for _ in candidates]
    collecting = gc.isenabled()
    gc.disable()
    try:
        for turn in range(max(rounds, default=0)):
            for k, candidate in enumerate(candidates):
                if not _takes_part(turn, rounds[k], max(rounds)):
                    continue
                begin = perf_counter()
                for _ in range(calls[k]):
                    candidate.call()
                spent = perf_counter() - begin
                seconds[k].append(spent / calls[k])
                tick(spent)
    finally:
        if collecting:
            gc.enable()
    return [_timing(s, n) for s, n in zip(seconds, calls, strict=True)]


def _warm(candidate: Candidate) -> float:
    """Seconds of one call, the first one left out."""
    candidate.call()
    begin = perf_counter()
    candidate.call()
    return perf_counter() - begin


def share(budget_s: float, bursts_s: Sequence[float]) -> list[int]:
    """Rounds for each candidate, 1 to `ROUNDS`; what the quick ones leave goes to the slow.

    >>> share(1.0, [0.001, 0.1, 2.0])
    [25, 4, 1]
    """
    rounds = [1] * len(bursts_s)
    left = budget_s
    order = sorted(range(len(bursts_s)), key=lambda k: bursts_s[k])
    for place, k in enumerate(order):
        part = left / (len(order) - place)
        rounds[k] = int(min(max(part / max(bursts_s[k], 1e-9), 1), ROUNDS))
        left = max(left - rounds[k] * bursts_s[k], 0.0)
    return rounds


def _takes_part(turn: int, rounds: int, of: int) -> bool:
    """Whether one that is timed in ``rounds`` of ``of`` turns has its go, evenly spread."""
    return (turn + 1) * rounds // of > turn * rounds // of


def _timing(seconds: list[float], calls: int) -> Timing:
    low, median, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    return Timing(float(median), float(low), float(high), len(seconds), calls)


# ---- the machine ------------------------------------------------------------------------


@contextmanager
def pinned(threads: int) -> Iterator[str]:
    """Give every library ``threads`` threads for the length of a ``with`` block.

    Yields a line that says how far that went.  BLAS can be told by threadpoolctl only.
    """
    with settings.using(threads=threads):
        undo = _torch_threads(threads)
        try:
            from threadpoolctl import threadpool_limits
        except ImportError:
            try:
                yield (
                    "BLAS was NOT pinned and may use every core, as threadpoolctl is missing "
                    "(pip install threadpoolctl): dense rows can look better or far worse"
                )
            finally:
                undo()
            return
        try:
            with threadpool_limits(limits=threads):
                yield f"{threads} thread{'s' if threads > 1 else ''}; BLAS pinned to as many"
        finally:
            undo()


def _torch_threads(threads: int) -> Callable[[], None]:
    torch = sys.modules.get("torch")
    if torch is None:
        return lambda: None
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    return lambda: torch.set_num_threads(before)


def machine() -> str:
    """Processor, cores that this process may use, and how busy they are."""
    cores = settings.usable_cpus()
    text = f"{_processor()}, {cores} core{'s' if cores > 1 else ''}"
    if hasattr(os, "getloadavg"):
        load = os.getloadavg()[0]
        text += f", load average {load:.1f}"
        if load > cores:
            text += " (BUSY: times are not to be trusted)"
    return text


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown processor"


def versions(names: Sequence[str]) -> str:
    """What was compared: Python's packages with versions, BLAS with its kernel, the compiler."""
    found = [f"Python {platform.python_version()}"]
    for name in names:
        module = sys.modules.get(name)
        found.append(f"{name} {getattr(module, '__version__', 'not loaded')}")
    return ", ".join([*found, blas(), compiler()])


def blas() -> str:
    """NumPy's BLAS: name, version and the kernel that it picked for this processor."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        config: Any = np.show_config(mode="dicts")
        built = config.get("Build Dependencies", {}).get("blas", {})
        return f"{built.get('name', 'BLAS')} {built.get('version', '')} (kernel unknown)"
    for pool in threadpool_info():
        if pool.get("user_api") == "blas" and "numpy" in pool.get("filepath", ""):
            kernel = pool.get("architecture") or "unknown"
            return f"{pool.get('internal_api')} {pool.get('version')} (kernel {kernel})"
    return "BLAS of its own (kernel unknown)"


def compiler() -> str:
    """The C compiler and its version, in a word."""
    try:
        version = toolchain.find().version
    except ZeroskipError:
        return "no C compiler"
    return version.partition(" (")[0].replace(" version ", " ")


class Progress:
    """What goes on: seconds spent of those there are, and a word on it."""

    def spend(self, seconds: float) -> None:
        """Move the bar on."""

    def say(self, what: str) -> None:
        """Change the word in front of it."""


@contextmanager
def progress(what: str, total: float) -> Iterator[Progress]:
    """A bar on standard error, where that is a terminal; else nothing is shown."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)

        class Shown(Progress):
            def spend(self, seconds: float) -> None:
                bar.advance(task, seconds)

            def say(self, what: str) -> None:
                bar.update(task, description=what)

        yield Shown()
