"""Random Einsums, formats and data before the judges, until so many distinct kernels were judged.

    python tools/fuzz.py [--kernels 20000] [--seconds S] [--count N] [--seed N] [--jobs N]
                         [--no-sanitize]

Dense NumPy, the interpreter of the loop nest, the C, the C under ASan and UBSan and, at tiny
extents, SymPy's doit() agree to the bit.  Kernels are distinct where their C
differs in more than comments and names.  Each failure is printed with the seed that makes its case
again: tools/fuzz.py --seed N --count 1
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from layout import ROOT

from zeroskip.native import settings

for room in ("einsum_spec", "native"):
    sys.path.insert(0, str(ROOT / "tests" / room))
trials, standalone = (importlib.import_module(name) for name in ("trials", "standalone"))

BATCH = 64
BATCHES_OF_A_WORKER = 40


@dataclass(frozen=True)
class Report:
    """What a batch came to: verdicts, digests of kernels, and what is wrong, in words."""

    verdicts: Counter[str]
    kernels: set[bytes]
    wrong: list[str]
    symbolic: int


def run(first: int, count: int, sanitized: bool) -> Report:
    """Judge the cases of ``count`` seeds."""
    warnings.simplefilter("error")
    batch = [trials.Trial(first + k) for k in range(count)]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        with settings.using(cache_dir=place / "cache"):
            trials.judge(batch, place if sanitized else None)
    report = Report(Counter(), set(), [], sum(trial.symbolic for trial in batch))
    for trial in batch:
        report.verdicts["wrong" if trial.wrong else trial.verdict] += 1
        if trial.wrong:
            report.wrong.append(
                f"--seed {trial.seed} --count 1: {trial.case}\n  {trial.verdict[:2500]}"
            )
        elif trial.verdict.startswith("ok"):
            report.kernels.update(trial.kernels)
    return report


class Campaign:
    """Batches on so many processes until enough was judged; the sum of their reports."""

    def __init__(self, args: argparse.Namespace, sanitized: bool) -> None:
        self.args, self.sanitized = args, sanitized
        self.start = self.shown = time.monotonic()
        self.verdicts: Counter[str] = Counter()
        self.kernels: set[bytes] = set()
        self.handed = self.symbolic = 0

    @property
    def done(self) -> bool:
        late = time.monotonic() - self.start >= self.args.seconds
        return bool(
            late or len(self.kernels) >= self.args.kernels or self.handed >= self.args.count
        )

    def take(self, report: Report) -> None:
        self.verdicts += report.verdicts
        self.kernels |= report.kernels
        self.symbolic += report.symbolic
        for text in report.wrong:
            self.show("")
            print(text, flush=True)

    def show(self, text: str) -> None:
        """Progress: on one line of a terminal, or a line a minute."""
        now = time.monotonic()
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{text:70}\r{text}")
            sys.stderr.flush()
        elif text and now - self.shown > 60:
            print(text, file=sys.stderr, flush=True)
            self.shown = now

    def run(self) -> None:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(
            self.args.jobs, context, max_tasks_per_child=BATCHES_OF_A_WORKER
        ) as pool:
            going: dict[Future[Report], int] = {}
            while going or not self.done:
                while len(going) < 2 * self.args.jobs and not self.done:
                    count = min(BATCH, self.args.count - self.handed)
                    first = self.args.seed + self.handed
                    going[pool.submit(run, first, count, self.sanitized)] = first
                    self.handed += count
                for future in wait(going, timeout=5, return_when=FIRST_COMPLETED).done:
                    self.take(future.result())
                    del going[future]
                self.show(
                    f"{len(self.kernels)} kernels, {self.verdicts.total()} cases, "
                    f"{self.verdicts['wrong']} wrong, {time.monotonic() - self.start:.0f} s"
                )
        self.show("")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kernels", type=int, default=20_000, help="distinct kernels to judge")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--count", type=int, default=10**9, help="cases to draw at most")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first case")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-sanitize", dest="sanitize", action="store_false")
    args = parser.parse_args()
    sanitized = args.sanitize
    if sanitized:
        with tempfile.TemporaryDirectory() as place:
            sanitized = standalone.sanitizes(Path(place))
        if not sanitized:
            print("this compiler has no sanitizers: --no-sanitize does without them")
            return 2
    print(f"seed {args.seed}", flush=True)
    campaign = Campaign(args, sanitized)
    try:
        campaign.run()
    except BrokenProcessPool:
        print(f"a worker died: take --jobs 1 from --seed {args.seed + campaign.verdicts.total()}")
        return 1
    for what, count in campaign.verdicts.most_common():
        print(f"{count:8} {what}")
    judges = "NumPy, interpreter, C" + (", C under ASan and UBSan" if sanitized else "")
    print(f"{campaign.symbolic:8} cases judged by SymPy, too")
    seconds = time.monotonic() - campaign.start
    print(f"{len(campaign.kernels):8} distinct kernels judged by {judges}")
    print(f"{seconds:8.0f} s, seeds {args.seed} to {args.seed + campaign.handed - 1}")
    return 1 if campaign.verdicts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
