"""Runs a compiler: in a session of its own, with a time limit, and nothing left behind.

A process that finds its kernels on disk runs none, and does not import what that takes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zeroskip.errors import CompilerError

if TYPE_CHECKING:
    import subprocess


def run(
    command: Sequence[str],
    place: Path,
    timeout_s: float,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of ``command``, run in ``place``.

    meanwhile : what this process does while the other one works.

    Temporary files go to ``place``.  A command that passes ``timeout_s`` is ended with every
    process that it started, and reported as CompilerError, as is one that cannot be started.
    """
    import subprocess

    environment = {**os.environ, "LC_ALL": "C", "TMPDIR": str(place)}
    environment.setdefault("ZIG_LOCAL_CACHE_DIR", str(place / "zig"))
    try:
        process = subprocess.Popen(
            command,
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as cause:
        raise CompilerError(f"cannot run {command[0]}: {cause.strerror or cause}") from cause
    with process:
        try:
            meanwhile()
            out, told = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as cause:
            import shlex

            _end(process)
            raise CompilerError(
                f"the C compiler did not finish within {timeout_s:g} s and was ended\n"
                f"  {shlex.join(command)}\n"
                "Set ZEROSKIP_COMPILE_TIMEOUT (seconds) to give it longer."
            ) from cause
        except BaseException:  # an interrupt, say: leave no compiler behind
            _end(process)
            raise
    return process.returncode, out, told


def _end(process: subprocess.Popen[str]) -> None:
    """Kill ``process`` and the rest of its session, which has the process's number."""
    if hasattr(os, "killpg"):
        import signal

        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
