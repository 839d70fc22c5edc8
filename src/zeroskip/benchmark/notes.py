"""What stands under a table of times: how they were taken, what loses, and why."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.benchmark.cases import has_compiler
from zeroskip.benchmark.measuring import blas, machine, versions
from zeroskip.native import toolchain

if TYPE_CHECKING:
    from zeroskip.benchmark.benching import Row

FEW_ROUNDS = 5

MOSTLY_OVERHEAD_S = 20e-6
"""A call costs some microseconds whatever it computes."""


def notes_of(
    rows: Sequence[Row],
    *,
    pin: str,
    bound: Sequence[str],
    swept: Sequence[str],
    left_out: Sequence[str],
    arch: Any,
) -> list[str]:
    """Every line that a reader needs to believe or doubt the table."""
    notes = [*_verdicts(rows, swept), ""]
    notes.append(
        "time_s: median of interleaved rounds, low_s and high_s the quartiles; speedup: over "
        "the fastest dense row of the same operands"
    )
    shown = [name for name in bound if name in rows[0].case.factors]
    if shown and has_compiler():
        notes.append(
            f"bound: {', '.join(shown)} packed before the timing; rows without it pack at every "
            "call; putting operands into formats is never timed"
        )
    free = [kind for kind in ("im2col free", "SciPy", "torch") if _names(rows, kind)]
    if free:
        notes.append(
            f"{', '.join(free)}: the bare product; matrices were made before, and bias, function "
            "and the order of the result cost nothing, as no real layer has it"
        )
    if any(row.way.schedule == "tiled" and row.way.formats for row in rows):
        notes.append(
            "tiled: entries are packed anew, so that the format they came in matters to packing "
            "only; plain and lanes walk the format itself"
        )
    if any(row.bound_s is not None for row in rows):
        notes.append(
            "bound_s: the roofline, measured on this machine before: every multiplication of a "
            "dense row, the effectual ones of a sparse row, each with its addition, at the peak of "
            "vectors; or the bytes of operands and result, read from where as many lie; of_bound: "
            "bound_s over time_s"
        )
    few = sorted(
        {f"{r.way.name} ({r.timing.rounds})" for r in rows if r.timing.rounds < FEW_ROUNDS}
    )
    if few:
        notes.append(f"slow, so timed in few rounds: {', '.join(few)}")
    if left_out:
        notes.append(f"left out, as too slow for the budget: {'; '.join(left_out)}")
    if not has_compiler():
        notes.append("no C compiler: zeroskip's kernels would be interpreted, and were left out")
    if arch is not None:
        notes.append(
            "cycles, energy_pj: modelled by charge(), exactly for these zeros; dense rows are the "
            "same array without gating, skipping and compression"
        )
    largest = max(row.error for row in rows)
    notes.append(
        f"checked against the dense reference: {len(rows)} answers; max_error is at most "
        f"{largest:.1e} of its largest value"
    )
    modules = [name for name in ("numpy", "scipy", "torch") if name in sys.modules]
    used = [n for n in modules if n != "torch" or _names(rows, "torch")]
    notes.append(f"{machine()}; {pin}")
    notes.append(versions(used))
    return [*notes, *_weak_blas()]


def _names(rows: Sequence[Row], text: str) -> bool:
    return any(text in row.way.name for row in rows)


def _weak_blas() -> list[str]:
    """Whether OpenBLAS runs 256-bit vectors on a machine of 512, at half its speed: told to,
    or because the processor is newer than itself."""
    name = blas()
    if "openblas" not in name.lower() or not has_compiler():
        return []
    if "AVX512F" not in toolchain.find().features or not ("Haswell" in name or "Zen" in name):
        return []
    told = os.environ.get("OPENBLAS_CORETYPE")
    why = f"OPENBLAS_CORETYPE={told} is set" if told else "OpenBLAS does not know this processor"
    do = "unset it" if told else "set OPENBLAS_CORETYPE=SkylakeX"
    return [
        f"BEWARE: {why}, and BLAS runs 256-bit vectors on a machine of 512; {do} before Python "
        "starts, or dense rows may be twice too slow"
    ]


# ---- who wins ---------------------------------------------------------------------------


def _verdicts(rows: Sequence[Row], swept: Sequence[str]) -> list[str]:
    ours = dict.fromkeys(r.way.name for r in rows if r.way.formats and r.way.schedule)
    if not any(row.way.dense for row in rows):
        return []
    if len(swept) == 1:
        return [_over_sweep([r for r in rows if r.way.name == n], swept[0]) for n in ours]
    if swept:
        return []
    return _at_one_point([row for row in rows if row.way.name in ours], rows)


def _at_one_point(ours: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """Each sparse row against the fastest dense one; even where their quartiles overlap."""
    best = min((r for r in rows if r.way.dense), key=lambda r: r.timing.median_s)
    faster = [r for r in ours if r.timing.high_s < best.timing.low_s]
    slower = [r for r in ours if r.timing.low_s > best.timing.high_s]
    even = [r for r in ours if r not in faster and r not in slower]
    lines = [f"the fastest dense row is {best.way.name}"]
    for found, what in ((faster, "faster"), (even, "as fast")):
        if found:
            lines.append(f"{what}: {_listed(sorted(found, key=lambda r: -r.speedup))}")
    reasons: dict[str, list[Row]] = {}
    for row in slower:
        reasons.setdefault(_why(row), []).append(row)
    for why, found in reasons.items():
        lines.append(f"slower: {_listed(found)}{f': {why}' if why else ''}")
    return [*lines, *_thresholds(slower)]


def _listed(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row.way.name} {row.speedup:.2g}×" for row in rows)


def _why(row: Row) -> str:
    """The likely reasons, from counts and schedule; never a guess without a number."""
    reasons = []
    count, effectual = row.way.executed, row.case.effectual
    if count is not None and effectual and count > 1.5 * effectual:
        reasons.append(f"{count / effectual:.2g} times the effectual multiplications are executed")
    if row.way.schedule == "plain":
        reasons.append("entries are walked one by one, without vectors")
    if _packs(row):
        reasons.append("entries are packed at every call")
    if row.timing.median_s < MOSTLY_OVERHEAD_S:
        reasons.append("a call this short is mostly overhead")
    return "; ".join(reasons)


def _packs(row: Row) -> bool:
    return row.way.schedule == "tiled" and " bound)" not in row.way.name


def _thresholds(slower: Sequence[Row]) -> list[str]:
    """Below which density of its one sparse operand a loser would win, were time to go with
    its entries."""
    found: dict[str, list[float]] = {}
    for row in slower:
        alone = len(row.way.formats) == 1 and not _packs(row)
        if alone and row.timing.median_s >= MOSTLY_OVERHEAD_S:
            (name,) = row.way.formats
            found.setdefault(name, []).append(row.case.density(name) * row.speedup)
    return [
        f"by extrapolation {name} in a format wins below a density of about {max(at):.2g}; "
        "zeroskip.break_even() measures it"
        for name, at in found.items()
    ]


def _over_sweep(rows: Sequence[Row], name: str) -> str:
    """Where one way crosses the fastest dense one."""
    points = sorted((row.case.density(name), row.speedup) for row in rows)
    wins = [speedup >= 1 for _, speedup in points]
    if all(wins):
        return f"{rows[0].way.name} wins at every density of {name} up to {points[-1][0]:.3g}"
    if not any(wins):
        return f"{rows[0].way.name} loses at every density of {name} from {points[0][0]:.3g} up"
    crossings = [
        crossing(*points[k], *points[k + 1])
        for k in range(len(points) - 1)
        if wins[k] != wins[k + 1]
    ]
    if len(crossings) == 1 and wins[0]:
        return f"{rows[0].way.name} wins below {name}_density {crossings[0]:.2g} (interpolated)"
    listed = ", ".join(f"{x:.2g}" for x in crossings)
    return f"{rows[0].way.name} crosses the fastest dense row at {name}_density {listed}"


def crossing(low: float, faster: float, high: float, slower: float) -> float:
    """Density at which a speed-up passes 1, straight in the logarithms.

    >>> round(crossing(0.1, 4.0, 0.4, 1.0), 3), round(crossing(0.1, 4.0, 0.4, 0.5), 3)
    (0.4, 0.252)
    """
    part = np.log(faster) / (np.log(faster) - np.log(slower))
    start = max(low, 1e-12)
    return float(np.exp(np.log(start) + part * (np.log(high) - np.log(start))))
