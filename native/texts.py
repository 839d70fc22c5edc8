"""The C that kernels share: headers as they stand, pasted into a kernel, and their numbers."""

from __future__ import annotations

import os
import re
from functools import cache
from importlib import import_module
from typing import Any

INCLUDE = re.compile(r'^#include "(zs_\w+\.h)"$', re.MULTILINE)


@cache
def text_of(package: str, name: str) -> str:
    """The file ``c/name`` of a package, in a folder or in an archive."""
    module: Any = import_module(package)  # importlib.resources takes longer to import than to read
    path = os.path.join(os.path.dirname(module.__file__), "c", name)
    data: bytes = module.__loader__.get_data(path)
    return data.decode().replace("\r\n", "\n")


def header(name: str = "zs_kernel.h") -> str:
    """Text of one of the files in c/, as it stands."""
    return text_of("zeroskip.native", name)


def shared_part() -> str:
    """What callers know of the header: its numbers and the struct."""
    begin, end = "/* cdef: begin */", "/* cdef: end */"
    return header().partition(begin)[2].partition(end)[0]


@cache
def constants() -> dict[str, int]:
    """The header's version, sizes and error codes, by name."""
    lines = (line.split() for line in shared_part().splitlines() if line.startswith("#define ZS_"))
    return {line[1]: int(line[2]) for line in lines if len(line) == 3 and line[2].isdecimal()}


def whole_text(c_text: str) -> str:
    """``c_text`` with each ``#include "zs_….h"`` replaced by the header's text, once each."""
    pasted: set[str] = set()

    def paste(found: re.Match[str]) -> str:
        name = found[1]
        if name in pasted:
            return ""
        pasted.add(name)
        return INCLUDE.sub(paste, header(name) + "\n")

    return INCLUDE.sub(paste, c_text)
