"""The main job, on one screen: a pruned network, run, measured and charged.

    python examples/demo.py                          the project's own digits network
    python examples/demo.py --data squeezenet_dc.npz  SqueezeNet as pruned by Deep Compression

Everything is computed now: nothing on the screen is kept from an earlier run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import sections
import workloads
from rich.console import Console
from rich.rule import Rule


def main() -> int:
    parser = argparse.ArgumentParser(description="A pruned network, run, measured and charged.")
    parser.add_argument("--data", type=Path, help="an .npz of layers, as squeezenet_dc.npz")
    parser.add_argument("--seed", type=int, default=0, help="of the synthetic layer")
    given = parser.parse_args()
    if given.data is not None and not given.data.exists():
        parser.error(f"{given.data} does not exist")
    start = time.perf_counter()
    console = Console(width=None if sys.stdout.isatty() else 118, soft_wrap=False)
    with np.errstate(all="ignore"):
        for part in _parts(given.data, given.seed):
            console.print(part)
    console.print(f"[dim]{time.perf_counter() - start:.0f} s in all[/dim]")
    return 0


def _parts(data: Path | None, seed: int) -> Iterator[object]:
    work = workloads.digits() if data is None else workloads.squeezenet(data)
    step = work.featured
    yield Rule(f"[bold]zeroskip[/bold]  {work.title}")
    yield from sections.facts(work)
    yield Rule("what the zeros would save: multiplications", align="left")
    charges = sections.charge_all(work)
    yield sections.multiplications(work, charges)
    yield Rule("what they cost to describe: bits, 16-bit values", align="left")
    yield sections.storage(step)
    yield Rule("measured on this machine, one thread, every answer checked first", align="left")
    synthetic = workloads.imagenet_sized(0.1, seed)
    measured = [sections.measure(step, seed), sections.measure(synthetic, seed)]
    yield sections.times(measured)
    yield Rule("modelled: the same zeros on three accelerators of 16 PEs", align="left")
    yield sections.modelled(work, charges)
    yield Rule("break-even", align="left")
    yield from sections.break_even(step, synthetic, charges, seed)
    yield Rule("what loses, and why", align="left")
    yield from sections.losses(work, measured, charges)
    yield Rule("checks passed", align="left")
    yield from sections.checks(work, charges)
    yield Rule("next", align="left")
    yield from sections.next_steps(data)


if __name__ == "__main__":
    sys.exit(main())
