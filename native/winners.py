"""The schedule that was fastest, remembered on disk: one small file for each class of calls."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection
from dataclasses import asdict
from math import log2, prod
from pathlib import Path
from typing import IO

from zeroskip.checks import warn
from zeroskip.einsum_spec.explicit import form_text
from zeroskip.errors import CacheError, KernelError, TensorError
from zeroskip.formats.files import write_whole
from zeroskip.formats.tensor import Tensor
from zeroskip.native import settings, toolchain
from zeroskip.native.cache import TOUCH_SECONDS, key_of, own_directory, touch
from zeroskip.native.fixed import Schedule
from zeroskip.native.lines import Line
from zeroskip.native.vectors import vector_bytes


def class_of(line: Line, bound: Collection[str]) -> str:
    """What calls that have one fastest schedule share, as a text: the line, types and levels of its
    operands and which of them are bound, padding and constants, extents and densities by powers
    of 2, vectors, threads and compiler.

    Raises CompilerError where there is no compiler.
    """
    said = [form_text(line.form), f"{line.dtype.name} {','.join(line.order)}"]
    for name, of in line.signatures.items():
        levels = " ".join(map(str, of.levels))
        held = "bound" if name in bound else "fresh"
        pads = line.extents.pads.get(name, ())
        said.append(f"{name}: {levels or 'scalar'}, {of.dtype}, fill {of.fill}, {held}, {pads}")
        operand = line.used[name]
        if isinstance(operand, Tensor):
            density = operand.stored / max(prod(operand.shape), 1)
            said[-1] += f", density {round(2 * log2(density)) / 2 if density else 'none'}"
    ranks = (f"{rank} {extent.bit_length()}" for rank, extent in line.extents.ranks.items())
    said.append(f"bits: {', '.join(ranks)}; constants {dict(line.extents.constants)}")
    said.append(f"{vector_bytes()} bytes, {settings.current().threads} threads")
    said.append(toolchain.find().key(""))
    return "\n".join(said)


def recall(key: str) -> Schedule | None:
    """The schedule remembered for a class; None where there is none.  A file that is damaged, or
    some other's, is warned of and left out."""
    try:
        path = _path(key)
        text = path.read_text(encoding="utf-8")
        if time.time() - path.stat().st_mtime > TOUCH_SECONDS:
            touch(path)
    except (CacheError, OSError):
        return None
    except UnicodeDecodeError:
        text = ""
    try:
        found = json.loads(text)
        if found["class"] != key:
            raise ValueError("it is of another class of calls")
        return Schedule(**found["schedule"])
    except (ValueError, TypeError, KeyError, KernelError) as cause:
        warn(f"{path} holds no tuned schedule, and is written anew: {cause}")
        return None


def remember(key: str, winner: Schedule) -> None:
    """Keep the fastest schedule of a class; on a full or read-only disk it is measured again."""
    fields = {name: value for name, value in asdict(winner).items() if value is not None}
    text = json.dumps({"class": key, "schedule": fields}, indent=1)

    def write(file: IO[bytes]) -> None:
        file.write(text.encode())

    with contextlib.suppress(CacheError, OSError, TensorError):
        write_whole(_path(key), write)


def _path(key: str) -> Path:
    return own_directory(settings.current().cache_dir) / f"tuned-{key_of(key)[:32]}.json"
