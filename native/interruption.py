"""Long kernels, so that Ctrl-C ends them.

Python handles a signal in the main thread, between two of its own steps, and a call into C is one
step.  So a long kernel runs in a thread of its own while the main thread waits, which signals may
interrupt; the exception that their handler raises sets ``stop`` in the kernel's arguments, which
its outer loops read.  A call from any other thread is none that a signal could reach.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

GLANCE_S = 0.05
"""Between two looks: a signal that another thread was handed does not wake the main one."""

PATIENCE_S = 0.5
"""How long a stopped kernel is waited for, before it is left to end by itself."""


class StillRunning(Exception):
    """The wait was interrupted by ``cause`` and the kernel has not ended yet: it keeps its
    arguments and arrays, which are not to be written to."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


def can_be_interrupted() -> bool:
    """Whether signals are handled in this thread."""
    return threading.current_thread() is threading.main_thread()


def interruptible(
    entry: Callable[[Any], int], args: Any, kept: Sequence[object], library: object
) -> int:
    """What ``entry(args)`` returns.

    kept : what the arguments point at, held until the kernel has ended; and ``library``, what
        keeps its code loaded.

    Raises what a signal handler raises, KeyboardInterrupt above all, when the kernel has ended;
    `StillRunning` where it has not.
    """
    ended = threading.Event()
    found: list[int] = []

    def work(_held: object) -> None:
        try:
            found.append(entry(args))
        finally:
            ended.set()

    worker = threading.Thread(target=work, args=((*kept, library),), name="zeroskip", daemon=True)
    try:
        try:
            worker.start()
        except RuntimeError:  # no thread is to be had, as when Python ends
            ended.set()
        while not ended.wait(GLANCE_S):
            pass
    except BaseException as cause:
        args.stop = 1
        try:
            ended.wait(PATIENCE_S)
        finally:
            if not ended.is_set():
                raise StillRunning(cause) from None
            args.stop = 0
        raise
    return found[0] if found else entry(args)
