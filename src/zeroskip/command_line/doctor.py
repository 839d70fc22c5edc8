"""What ``zeroskip doctor`` prints: what is here, what is missing, and how to get it.

Every check answers with a row and none of them raises: a doctor is called when things are
broken.  The trial kernel goes the whole way that a layer goes, from text to a result.
"""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

import numpy as np

from zeroskip.errors import ZeroskipError
from zeroskip.native import pool, settings, toolchain
from zeroskip.native.cache import Cache, refuses_to_execute
from zeroskip.native.load import load
from zeroskip.table import Table

State = Literal["ok", "missing", "broken", "info"]

REQUIRED = ("numpy", "scipy", "sympy", "cffi", "ruamel.yaml", "rich")
# Package -> the extra of zeroskip that brings it, or None where none does.
OPTIONAL = {
    "ziglang": "cc",
    "matplotlib": "plot",
    "pandas": "plot",
    "threadpoolctl": "bench",
    "scikit-learn": "examples",
    "torch": None,
}

TRIAL = """#include "zs_kernel.h"
/* trial of {nonce}: y[0] = 3 * x[0], and so for each part of a call on threads */
int32_t zs_trial(zs_args *args)
{{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    ((double *)args->buf[1])[args->part] = 3.0 * *(const double *)args->buf[0];
    return ZS_OK;
}}
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    state : ``ok``; ``missing``, which something else stands in for; ``broken``; or ``info``.
    remedy : what to do, where something is to be done.
    """

    check: str
    state: State
    found: str
    remedy: str = ""


def examine() -> Table:
    """Findings on this installation as a table: check, state, found, remedy."""
    found = list(findings())
    worst = [f.check for f in found if f.state == "broken"]
    verdict = f"Broken: {', '.join(worst)}." if worst else "Everything that is needed works."
    rows = [(f.check, f.state, f.found, f.remedy) for f in found]
    return Table("zeroskip doctor", ["check", "state", "found", "remedy"], rows, [verdict])


def findings() -> Iterable[Finding]:
    """Every finding, one check after the other."""
    yield Finding("zeroskip", "info", _version("zeroskip") or "not installed")
    yield Finding("python", "info", f"{platform.python_version()} on {platform.platform()}")
    for name in REQUIRED:
        version = _version(name)
        if version:
            yield Finding(name, "ok", version)
        else:
            yield Finding(name, "broken", "not installed", f"pip install {name}")
    checks = {
        "settings": _settings,
        "compiler": _compiler,
        "flags": _flags,
        "vectors": _vectors,
        "cache": _cache,
        "trial kernel": _trial,
        "threads": _threads,
    }
    for name, check in checks.items():
        yield _guarded(name, check)
    for name, extra in OPTIONAL.items():
        version = _version(name)
        if version:
            yield Finding(name, "ok", version)
        else:
            get = f"pip install zeroskip[{extra}]" if extra else f"pip install {name}"
            yield Finding(name, "missing", "not installed (optional)", get)


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except ZeroskipError as error:
        what, _, remedy = str(error).partition("\n")
        return Finding(name, "broken", what, " ".join(remedy.split()))
    except Exception as error:  # a doctor reports what it cannot understand
        return Finding(name, "broken", f"{type(error).__name__}: {error}")


def _settings() -> Finding:
    now = settings.current()
    wanted = now.compiler or "looked for"
    text = f"at most {now.threads} threads of {os.cpu_count()} CPUs; compiler: {wanted}"
    return Finding("settings", "ok", text)


def _compiler() -> Finding:
    try:
        tools = toolchain.find()
    except ZeroskipError as error:
        lines = str(error).splitlines()
        tried = "; ".join(line.strip() for line in lines if line.startswith(" "))
        remedy = " ".join(line for line in lines[1:] if not line.startswith(" "))
        return Finding(
            "compiler", "missing", f"none that works ({tried})", " ".join(remedy.split())
        )
    return Finding("compiler", "ok", f"{shlex.join(tools.command)}: {tools.version}")


def _flags() -> Finding:
    return _without_compiler("flags") or Finding("flags", "info", " ".join(toolchain.find().flags))


def _vectors() -> Finding:
    if missing := _without_compiler("vectors"):
        return missing
    tools = toolchain.find()
    text = f"{8 * tools.vector_bytes} bits on {tools.target}: {' '.join(tools.features)}"
    return Finding("vectors", "info", text)


def _cache() -> Finding:
    now = settings.current()
    kernels = Cache(now.cache_dir, now.cache_bytes)
    entries = kernels.entries()
    size = sum(bytes_ for _, bytes_ in entries.values())
    objects = [key for key in entries if kernels.object_path(key).exists()]
    damaged = sum(kernels.find(key) is None for key in objects)
    text = (
        f"{kernels.directory}: {len(objects)} kernels, {size / 2**20:.1f} of"
        f" {now.cache_bytes / 2**20:.0f} MiB"
    )
    if refuses_to_execute(kernels.directory):
        remedy = "set ZEROSKIP_CACHE_DIR to a directory from which code may be loaded"
        return Finding("cache", "broken", f"{text}; mounted noexec", remedy)
    if damaged:
        return Finding("cache", "ok", f"{text}; {damaged} damaged, built again when needed")
    return Finding("cache", "ok", text)


def _trial() -> Finding:
    if missing := _without_compiler("trial kernel"):
        return missing
    now = settings.current()
    kernel = load(TRIAL.format(nonce=os.urandom(8).hex()), "zs_trial")
    try:
        y = np.zeros(2)
        kernel.prepare([np.array([14.0]), y]).call(through=pool.spread(2))
    finally:
        Cache(now.cache_dir, now.cache_bytes).remove(kernel.key)
    if y[0] != 42.0:
        return Finding("trial kernel", "broken", f"computed 3 * 14 = {y[0]:g}")
    return Finding("trial kernel", "ok", "compiled, loaded and ran")


def _threads() -> Finding:
    if missing := _without_compiler("threads"):
        return missing
    run, refused = pool.runner()
    if run is None:
        return Finding("threads", "missing", f"kernels run on one: {' '.join(refused.split())}")
    return Finding("threads", "ok", f"kernels run on up to {settings.current().threads}")


def _without_compiler(check: str) -> Finding | None:
    """The finding where there is no compiler; None where there is one."""
    try:
        toolchain.find()
    except ZeroskipError:
        return Finding(check, "missing", "no compiler: NumPy and the interpreter answer, slowly")
    return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
