"""Kernels on several threads: the pool of c/zs_pool.c, one for the process.

A call that is worth it runs its kernel on as many threads as the settings allow, the caller's
among them; the kernel divides its loops among them by itself.  The pool compiles, is cached and
is loaded as kernels are, and is never unloaded, since its threads sleep in it.
"""

from __future__ import annotations

import os
from functools import cache, partial
from typing import Any

from zeroskip.errors import CompilerError
from zeroskip.native import load, settings, texts
from zeroskip.native.abi import ffi

RUN = "int32_t (*)(int64_t parts, int32_t (*function)(zs_args *), zs_args *args)"
FLAGS = ("-pthread",)


def team(parts: int) -> load.Through | None:
    """What calls a kernel on up to ``parts`` threads and no more than the settings allow; None
    where that is one, or there are no threads to be had."""
    return spread(min(parts, settings.current().threads))


def spread(threads: int) -> load.Through | None:
    """As `team`, on just so many threads."""
    if threads < 2:
        return None
    run, _ = runner()
    return None if run is None else partial(run, threads)


@cache
def runner() -> tuple[Any, str]:
    """``zs_pool_run``; or None, and what the compiler said."""
    keep = os.RTLD_NOW | os.RTLD_NODELETE if hasattr(os, "RTLD_NODELETE") else 0
    try:
        _, _, opened = load.library(texts.whole_text(texts.header("zs_pool.c")), FLAGS, keep)
    except CompilerError as cause:
        return None, str(cause)
    return opened.load_function(ffi.typeof(RUN), "zs_pool_run"), ""
