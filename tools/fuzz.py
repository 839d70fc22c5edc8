"""Compare C, interpreter and dense NumPy on random Einsums, formats and data, for a while.

    python tools/fuzz.py [--seconds 60] [--seed N] [--count N]

Each failure is printed with the seed that makes its case again: tools/fuzz.py --seed N --count 1
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from layout import ROOT

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import CompilerError, ZeroskipError
from zeroskip.formats.values import is_float
from zeroskip.native import engine, lanes, schedules, settings
from zeroskip.native.reference import evaluate

sys.path.insert(0, str(ROOT / "tests" / "native"))
generator, expressions, judges = (
    importlib.import_module(name) for name in ("generator", "expressions", "judges")
)

BATCH = 48
SPECIFIC = re.compile(r"\b(?:T\d|\d+|[ijkl](?://2)?)\b")
FORMATS = ("CSR", "COO", "dense", "bitmask", "RLE(2)")


class Trial:
    """One random case on its way to a verdict.

    verdict : None until it is reached; then "ok", why the case is none, or what is wrong.
    texts : C of the kernels that the judges will run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.case: Any = None
        self.verdict: str | None = None
        self.texts: list[str] = []

    def guarded(self, step: Any) -> None:
        """Take one step; what it raises is a refusal, or a fault."""
        if self.verdict is not None:
            return
        try:
            with scheduling(self.seed % 3):
                self.verdict = step()
        except CompilerError as error:
            self.verdict = f"WRONG: {error}"
        except ZeroskipError as error:
            self.verdict = f"refused: {SPECIFIC.sub('…', str(error).splitlines()[0])[:48]}"
        except Exception:
            self.verdict = "WRONG: " + traceback.format_exc()

    def draw(self) -> None:
        rng = np.random.default_rng(self.seed)
        kind = expressions.random_expression if rng.random() < 0.5 else generator.random_case
        self.case = kind(rng)
        self.format = str(rng.choice(FORMATS)) if rng.random() < 0.15 else None
        spec = make_spec(self.case.text, self.case.consts, self.case.sizes, self.case.pad)
        with np.errstate(all="ignore"):
            want = evaluate(spec, self.case.dense)["O"]
        self.clean = rng.random() < 0.9 or not spoil(rng, self.case)
        self.finite = self.clean and not self.case.infinite
        self.call = judges.Call(spec, self.case.stored, want)
        self.kernel, self.filled = judges.prepare(self.call)
        self.counted = rng.random() < 0.2
        self.texts = [self.kernel.c_text]
        if self.counted:
            self.texts.append(judges.counted(self.kernel).c_text)

    def judge(self) -> str:
        spec, stored, want = self.call.spec, self.call.operands, self.call.want
        got: dict[str, Any] = {
            b: engine.evaluate(spec, stored, backend=b)["O"] for b in ("c", "interpreter")
        }
        if want.ndim and self.format is not None and self.clean:
            made: Any = engine.evaluate(spec, stored, format=self.format)["O"]
            got[self.format] = made.validate().toarray()
        if not self.finite:  # NumPy has no absent values: C and interpreter judge each other
            want = got["interpreter"]
        for name, result in got.items():
            if result.dtype != want.dtype or result.shape != want.shape:
                return f"WRONG {name}: {result.dtype}{result.shape} for {want.dtype}{want.shape}"
            if not np.array_equal(result, want, equal_nan=is_float(want.dtype)):
                return f"WRONG {name}: {result.tolist()} for {want.tolist()}"
        if self.counted:
            counts = [judges.count(self.kernel, self.filled, b) for b in ("c", "interpreter")]
            if counts[0] != counts[1]:
                return f"WRONG: multiplications {counts}"
        return (
            "ok, tiled"
            if "tile_" in self.kernel.c_text
            else ("ok, lanes" if "* lanes: " in self.kernel.c_text else "ok")
        )


def spoil(rng: np.random.Generator, case: Any) -> bool:
    """Put infinities and NaN into the dense operands; False where there is no room for any, or
    padding, to which each schedule gives its own meaning under them."""
    if case.pad:
        return False
    operands = case.stored
    room = [
        x
        for x in operands.values()
        if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.size and x.ndim
    ]
    for x in room:
        x[rng.random(x.shape) < 0.2] = rng.choice([np.inf, -np.inf, np.nan])
    return bool(room)


@contextlib.contextmanager
def scheduling(kind: int) -> Iterator[None]:
    """0: as the engine chooses; 1: tiles wherever they fit; 2: lanes wherever they fit."""
    before = schedules.WORTH_TILING, lanes.FEWEST_LANES
    schedules.WORTH_TILING = (before[0], 0, 2**62)[kind]
    lanes.FEWEST_LANES = before[1] if kind == 0 else 1
    try:
        yield
    finally:
        schedules.WORTH_TILING, lanes.FEWEST_LANES = before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--count", type=int, default=10**9)
    args = parser.parse_args()
    print(f"seed {args.seed}")
    warnings.simplefilter("error")
    end = time.monotonic() + args.seconds
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place, settings.using(cache_dir=Path(place) / "kernels"):
        while time.monotonic() < end and tally.total() < args.count:
            first = args.seed + tally.total()
            trials = [Trial(first + k) for k in range(min(BATCH, args.count - tally.total()))]
            for trial in trials:
                trial.guarded(trial.draw)
            with contextlib.suppress(CompilerError):  # then each is compiled alone, and says so
                judges.prime(text for trial in trials for text in trial.texts)
            for trial in trials:
                trial.guarded(trial.judge)
                verdict = trial.verdict or ""
                tally["wrong" if verdict.startswith("WRONG") else verdict] += 1
                if verdict.startswith("WRONG"):
                    print(
                        f"--seed {trial.seed} --count 1: {trial.case}\n  {verdict[:2500]}",
                        flush=True,
                    )
    for what, count in tally.most_common():
        print(f"{count:8} {what}")
    return 1 if tally["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
