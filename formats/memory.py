"""How much memory this process may still take, as the system tells it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

MEMINFO = Path("/proc/meminfo")
OWN_GROUPS = Path("/proc/self/cgroup")
CGROUP = Path("/sys/fs/cgroup")

LATELY_S = 0.1

_UNIFIED = "memory.max", "memory.current", "inactive_file"
_BY_CONTROLLER = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
"""Of version 2 and 1 of control groups: the limit, what is used of it, and the part of that which
holds files that can be read again."""


def available_bytes() -> int:
    """Memory that can be taken without swapping: of the machine, and of every control group
    (container, job) that the process is in; the machine's whole memory where the system does not
    tell."""
    found = [_whole_memory()]
    for line in _lines(MEMINFO):
        if line.startswith("MemAvailable:"):
            found.append(int(line.split()[1]) * 1024)
    found += [left for folder, names in _groups() for left in _left(folder, *names)]
    return min(found)


def lately_available() -> int:
    """`available_bytes`, as they were `LATELY_S` ago at most: the system takes some 0.1 ms to tell,
    and what is only asked for is not counted by it anyway, before it is written to."""
    global _lately
    now = monotonic()
    if not 0 <= now - _lately[0] < LATELY_S:
        _lately = now, available_bytes()
    return _lately[1]


_lately = float("-inf"), 0


def _groups() -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Folders of the groups that the process is in, and of those around them.

    Inside a container the path of its own group may not be there; its limit is that of the root.
    """
    for line in _lines(OWN_GROUPS) or ["0::/"]:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, names = (CGROUP / "memory", _BY_CONTROLLER) if controllers else (CGROUP, _UNIFIED)
        folder = root / path.strip("/")
        yield folder, names
        while folder != root:
            folder = folder.parent
            yield folder, names


def _left(folder: Path, limit: str, used: str, files: str) -> Iterator[int]:
    """What a group has left; nothing where it has no limit."""
    try:
        most = int((folder / limit).read_text(encoding="ascii"))
        taken = int((folder / used).read_text(encoding="ascii"))
    except (OSError, ValueError):  # another system; or "max", which is no limit
        return
    for line in _lines(folder / "memory.stat"):
        if line.startswith(f"{files} "):
            taken -= int(line.split()[1])
    yield max(most - taken, 0)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _whole_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**40
