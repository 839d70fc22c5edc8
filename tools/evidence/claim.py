"""A claim: what was asked, what was found, whether it holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Claim:
    asked: str
    found: str
    holds: bool

    def __str__(self) -> str:
        return f"  {'holds ' if self.holds else 'FAILED'}  {self.asked}: {self.found}"


def data_folder() -> Path:
    """Where the shared data lies: ZEROSKIP_DATA, or beside the repository."""
    given = os.environ.get("ZEROSKIP_DATA")
    return Path(given) if given else ROOT.parent / "shared" / "data"


def exactly(asked: str, found: int, expected: int) -> Claim:
    return Claim(asked, f"{found:,d}, expected {expected:,d}", found == expected)


def median_s(work: Callable[[], object], repeats: int = 51, burst: int = 1) -> float:
    """Median over ``repeats`` of the time of one of ``burst`` calls in a row."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(burst):
            work()
        times.append((time.perf_counter() - start) / burst)
    return float(np.median(times))
