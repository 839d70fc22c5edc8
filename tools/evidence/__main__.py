"""Every figure that the project claims, measured anew: ``make evidence``.

Each claim prints what was asked, what was found, and whether it holds.  Exits with 1 where a
claim fails, and where the shared data that the claims are about is absent: nothing is skipped.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import chapter_3
import charging
import compiling
import kernels
import networks
import packing
import published_eie
import published_formats
import published_pe
import published_products
import published_scnn
import published_tiny
import refusing
import speed
from claim import Claim, data_folder

SECTIONS = (
    charging,
    chapter_3,
    published_pe,
    published_products,
    published_scnn,
    published_tiny,
    published_formats,
    published_eie,
    kernels,
    compiling,
    networks,
    packing,
    speed,
    refusing,
)


def main() -> int:
    folder = data_folder()
    if not (folder / "nets" / "squeezenet_dc.npz").exists():
        print(f"evidence: {folder / 'nets' / 'squeezenet_dc.npz'} is absent", file=sys.stderr)
        print("Set ZEROSKIP_DATA to the folder of shared data.", file=sys.stderr)
        return 1
    failed = []
    start = time.perf_counter()
    for section in SECTIONS:
        print(f"\n{(section.__doc__ or '').strip().splitlines()[0]}")
        for claim in section.claims(folder):
            print(claim, flush=True)
            if not claim.holds:
                failed.append(claim)
    seconds = time.perf_counter() - start
    print(f"\n{len(failed)} of the claims failed; {seconds:.0f} s")
    return 1 if failed else 0


__all__ = ["Claim"]

if __name__ == "__main__":
    sys.exit(main())
