"""Compare C, interpreter and dense NumPy on random Einsums, formats and data, until told to stop.

    python tools/fuzz.py [--seconds 60] [--seed N]

Every failure prints the seed that makes its case again:  tools/fuzz.py --seed N --count 1
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from layout import ROOT

sys.path.insert(0, str(ROOT / "tests" / "native"))

from cases import Case, random_case

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import EinsumError, KernelError
from zeroskip.native import engine, settings
from zeroskip.native.reference import evaluate


def verdict(case: Case, formats: list[str | None]) -> str:
    """``"ok"``, the reason for which the case is no case, or what is wrong."""
    try:
        spec = make_spec(case.text, case.consts, case.sizes, case.pad)
        with np.errstate(all="ignore"):
            want = evaluate(spec, case.dense)["O"]
    except EinsumError as error:
        return f"refused: {str(error).splitlines()[0][:40]}"
    try:
        got = {b: engine.evaluate(spec, case.stored, backend=b)["O"] for b in ("c", "interpreter")}
        for format in formats:
            if want.ndim:
                made = engine.evaluate(spec, case.stored, format=format)["O"]
                made.validate()
                got[f"as {format}"] = made.toarray()
    except KernelError as error:
        return f"refused: {str(error).splitlines()[0][:40]}"
    for name, result in got.items():
        if result.dtype != want.dtype or result.shape != want.shape:
            return f"WRONG {name}: {result.dtype}{result.shape}, want {want.dtype}{want.shape}"
        if not np.array_equal(result, want, equal_nan=want.dtype.kind == "f"):
            return f"WRONG {name}: {result.tolist()}, want {want.tolist()}"
    return "ok"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--count", type=int, default=None)
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else int(time.time())
    print(f"seed {seed}")
    warnings.simplefilter("error")
    end = time.monotonic() + args.seconds
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place, settings.using(cache_dir=Path(place) / "kernels"):
        while time.monotonic() < end and (args.count is None or tally.total() < args.count):
            rng = np.random.default_rng(seed)
            case = None
            try:
                case = random_case(rng)
                formats = [str(rng.choice(["CSR", "COO", "dense", "bitmask"]))]
                found = verdict(case, formats if rng.random() < 0.2 else [])
            except Exception:
                found = "WRONG\n" + traceback.format_exc()
            tally["wrong" if found.startswith("WRONG") else found] += 1
            if found.startswith("WRONG"):
                print(f"--seed {seed}: {case}\n  {found[-3000:]}", flush=True)
            seed += 1
    for what, count in tally.most_common():
        print(f"{count:8} {what}")
    return 1 if tally["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
