"""Kernels that were lowered and emitted once, kept in the cache directory: a new process that asks
for the same one parses its operands' formats, and lowers and emits nothing.

    key of the kernel, sources, compiler  ──►  layout of its slots, C text      (JSON; never pickle)

Whatever decides what is emitted is in the key: what `prepared.remember` tells kernels apart by,
every source file of the rooms that lower and emit, the interpreter and NumPy, and the compiler with
its flags and instructions.  A file that says anything but a layout and a text is none, and is made
again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from zeroskip.errors import CompilerError
from zeroskip.formats.provided import IMPORTED_NS
from zeroskip.native import filed, settings, toolchain
from zeroskip.records import dataclass

if TYPE_CHECKING:
    from zeroskip.native.lower import Lowered

Key = tuple[object, ...]

KIND = "kernel"

KINDS = {"real", "whole", "unsigned"}
"""Of parameters, as in `Kernel`."""

ROOMS = ("errors", "einsum_spec", "formats", "native")
"""Where the modules of a kernel lie; the first beside the facade."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a call has to know of a kernel to fill its slots.

    buffers, dims, scalars, pace, rate : as of `Lowered`.
    kinds : of each parameter, as in `Kernel.parameters`.
    """

    buffers: tuple[Key, ...]
    dims: tuple[Key, ...]
    scalars: tuple[str, ...]
    kinds: tuple[str, ...]
    pace: int
    rate: int


def layout_of(lowered: Lowered) -> Layout:
    kinds = tuple(kind for _, kind in lowered.kernel.parameters)
    of = lowered
    return Layout(of.buffers, of.dims, of.scalars, kinds, of.pace, of.rate)


@dataclass(frozen=True, slots=True)
class Filed:
    """What is kept of a kernel."""

    layout: Layout
    c_text: str


def key_parts(key: Key) -> tuple[str, ...] | None:
    """Everything that decides the kernel of a key, as texts; None where no file may stand for it:
    where sources were changed since they were imported, or cannot be looked at, or there is no
    compiler, or the key holds something that prints alike though it differs.
    """
    shown = repr(key)
    if " at 0x" in shown:
        return None
    try:
        tools = toolchain.find().key("")
    except CompilerError:
        return None
    now = settings.current()
    changed_ns, sources = _sources()
    if changed_ns >= IMPORTED_NS:
        return None
    return shown, sources, sys.version, np.__version__, tools, str(now.vector_bytes)


def recall(parts: tuple[str, ...] | None) -> Filed | None:
    """The kernel that was kept under these parts of a key."""
    held = None if parts is None else filed.recall(KIND, *parts)
    return None if held is None else read(held)


def remember(parts: tuple[str, ...] | None, made: Filed) -> None:
    """Keep a kernel; nothing is kept of one that would not be read back as it is."""
    if parts is None:
        return
    held = written(made)
    if read(held) == made:
        filed.remember(held, KIND, *parts)


def written(made: Filed) -> bytes:
    of = made.layout
    fields = {
        "buffers": of.buffers,
        "dims": of.dims,
        "scalars": of.scalars,
        "kinds": of.kinds,
        "pace": of.pace,
        "rate": of.rate,
        "c_text": made.c_text,
    }
    return json.dumps(fields, default=str).encode()


def read(held: bytes) -> Filed | None:
    """What `written` wrote; None where it is anything else."""
    try:
        found = json.loads(held)
        layout = Layout(
            _keys(found["buffers"]),
            _keys(found["dims"]),
            _texts(found["scalars"]),
            _texts(found["kinds"]),
            found["pace"],
            found["rate"],
        )
        text = found["c_text"]
        if not KINDS.issuperset(layout.kinds):
            return None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    speeds = (layout.pace, 1), (layout.rate, 0)
    whole = all(type(speed) is int and speed >= least for speed, least in speeds)
    whole = whole and isinstance(text, str)
    return Filed(layout, text) if whole and len(layout.kinds) == len(layout.scalars) else None


def _texts(found: object) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise TypeError("expected a list of texts")
    return tuple(found)


def _keys(found: object) -> tuple[Key, ...]:
    if not isinstance(found, list):
        raise TypeError("expected a list of keys")
    for key in found:
        if not isinstance(key, list) or not key or any(type(x) not in (str, int) for x in key):
            raise TypeError("expected a key of texts and integers")
    return tuple(map(tuple, found))


@cache
def _sources() -> tuple[int, str]:
    """When a source file of the rooms was changed last, in nanoseconds since the epoch; and what
    tells the files from any others: place, size, inode, times of change and of status."""
    changed, said = [0], []
    try:
        for place in _folders():
            with os.scandir(place) as found:
                files = sorted((x.name, x.stat()) for x in found if x.name.endswith(".py"))
            said.append(place)
            for name, about in files:
                when = about.st_mtime_ns, about.st_ctime_ns
                changed += when
                said.append(f"{name} {about.st_size} {about.st_ino} {when}")
    except OSError:  # in an archive
        return sys.maxsize, ""
    return max(changed), "\n".join(said)


def _folders() -> Iterator[str]:
    for room in ROOMS:
        file = sys.modules[f"zeroskip.{room}"].__file__
        assert file is not None
        yield os.path.dirname(file)
