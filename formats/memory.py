"""How much memory this process may still take, as the system tells it."""

from __future__ import annotations

import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def available_bytes() -> int:
    """Memory that can be taken without swapping: of the machine, and of the container that the
    process is in; the machine's whole memory where the system does not tell."""
    found = [_whole_memory()]
    try:
        for line in MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
        limit, used = (
            int((CGROUP / name).read_text(encoding="ascii"))
            for name in ("memory.max", "memory.current")
        )
        found.append(max(limit - used, 0))
    except (OSError, ValueError):  # another system; or "max", which is no limit
        pass
    return min(found)


def _whole_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**40
