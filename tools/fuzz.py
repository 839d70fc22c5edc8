"""Compare C, interpreter and dense NumPy on random Einsums, formats and data, for a while.

    python tools/fuzz.py [--seconds 60] [--seed N] [--count N]

Each failure is printed with the seed that makes its case again: tools/fuzz.py --seed N --count 1
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from layout import ROOT

from zeroskip.einsum_spec.spec import Spec, make_spec
from zeroskip.errors import CompilerError, ZeroskipError
from zeroskip.native import engine, settings
from zeroskip.native.prepared import Prepared
from zeroskip.native.reference import evaluate

sys.path.insert(0, str(ROOT / "tests" / "native"))
generator, judges = (importlib.import_module(name) for name in ("generator", "judges"))

BATCH = 48
FORMATS = ("CSR", "COO", "dense", "bitmask", "RLE(2)")


class Trial:
    """One random case on its way to a verdict.

    verdict : None until it is reached; then "ok", why the case is none, or what is wrong.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.case: Any = None
        self.verdict: str | None = None
        self.kernel: Prepared | None = None

    def guarded(self, step: Any) -> None:
        """Take one step; what it raises is a refusal, or a fault."""
        if self.verdict is not None:
            return
        try:
            self.verdict = step()
        except CompilerError as error:
            self.verdict = f"WRONG: {error}"
        except ZeroskipError as error:
            self.verdict = f"refused: {str(error).splitlines()[0][:48]}"
        except Exception:
            self.verdict = "WRONG: " + traceback.format_exc()

    def draw(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.case = generator.random_case(self.rng)
        self.spec: Spec = make_spec(
            self.case.text, self.case.consts, self.case.sizes, self.case.pad
        )
        with np.errstate(all="ignore"):
            self.want = evaluate(self.spec, self.case.dense)["O"]
        self.kernel, _ = judges.prepare(judges.Call(self.spec, self.case.stored, self.want))

    def judge(self) -> str:
        stored, want = self.case.stored, self.want
        got: dict[str, Any] = {
            b: engine.evaluate(self.spec, stored, backend=b)["O"] for b in ("c", "interpreter")
        }
        if want.ndim and self.rng.random() < 0.1:
            format = str(self.rng.choice(FORMATS))
            made: Any = engine.evaluate(self.spec, stored, format=format)["O"]
            got[format] = made.validate().toarray()
        for name, result in got.items():
            if result.dtype != want.dtype or result.shape != want.shape:
                return f"WRONG {name}: {result.dtype}{result.shape} for {want.dtype}{want.shape}"
            if not np.array_equal(result, want, equal_nan=want.dtype.kind == "f"):
                return f"WRONG {name}: {result.tolist()} for {want.tolist()}"
        return self.work()

    def work(self) -> str:
        """C and interpreter count the same multiplications."""
        if self.rng.random() > 0.1:
            return "ok"
        call = judges.Call(self.spec, self.case.stored, self.want)
        prepared, filled = judges.prepare(call)
        counts = [judges.count(prepared, filled, backend) for backend in ("c", "interpreter")]
        return "ok" if counts[0] == counts[1] else f"WRONG: multiplications {counts}"


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
                judges.prime(t.kernel.c_text for t in trials if t.kernel is not None)
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
