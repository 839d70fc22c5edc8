"""Compilation: every kernel of the fuzzed family in less than a second."""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from claim import ROOT, Claim

from zeroskip.native import toolchain
from zeroskip.native.texts import whole_text

COUNT, SEED, MOST_S = 400, 7_000_000, 1.0


def claims(folder: Path) -> Iterator[Claim]:
    sys.path[:0] = [str(ROOT / "tests" / room) for room in ("", "native", "einsum_spec")]
    golden_kernels, trials = map(importlib.import_module, ("golden_kernels", "trials"))
    texts: dict[bytes, str] = {}
    seed = SEED
    while len(texts) < COUNT:
        trial = trials.Trial(seed)
        trial.guarded(trial.draw)
        texts |= {trials.digest(text): text for text in trial.texts}
        seed += 1
    family = list(texts.values())[:COUNT]
    yield _compiled(f"{COUNT} kernels of the family, from seed {SEED}", family)
    yield _compiled("the kernels of the goldens", list(golden_kernels.kernels().values()))


def _compiled(what: str, texts: list[str]) -> Claim:
    tools, taken = toolchain.find(), []
    with tempfile.TemporaryDirectory() as place:
        for n, text in enumerate(texts):
            source = Path(place) / f"k{n}.c"
            source.write_text(whole_text(text))
            start = time.perf_counter()
            tools.compile(source, source.with_suffix(".so"), ())
            taken.append(time.perf_counter() - start)
    return Claim(
        f"compile: {what}: each under {MOST_S:.0f} s",
        f"median {np.median(taken):.3f} s, slowest {max(taken):.3f} s",
        max(taken) < MOST_S,
    )
