"""An environment in which peers pick their own kernels; imports nothing, so that it comes first."""

from __future__ import annotations

import os
import sys

UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables that make OpenBLAS run another kernel than the one it picks."""


def restart_clean() -> None:
    """Start this process anew without `UNSET`: libraries read them when they are loaded."""
    if not any(name in os.environ for name in UNSET):
        return
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], kept)
