"""What is not charged beside what: one table of pairs, and one sentence that refuses them.

    fuse S,Z: mine has a cache, and what each line asks for is listed alone, ...
    Leave out a cache, or run them one after the other, without fuse.

What is refused in a narrower case stands where that case is read.  The page on the hardware model
has the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from zeroskip.errors import ArchError

if TYPE_CHECKING:
    from zeroskip.hwmodel.arch import Arch

PARTS: dict[str, Callable[[Arch], object]] = {
    "overlap": lambda arch: arch.overlap is not None,
    "double overlap": lambda arch: arch.overlap == "double",
    "a queue": lambda arch: arch.queue is not None,
    "lanes": lambda arch: arch.lanes is not None,
    "units": lambda arch: bool(arch.units),
    "lines": lambda arch: arch.off_chip.lines is not None,
    "a cache": lambda arch: any(level.cache is not None for level in arch.levels),
}
"""Parts of a design, as sentences call them, and whether one has it."""

_ALONE = "what each line asks for is listed alone, and others push out what it brought"
_AHEAD = "what the next line reads is not done when it would come ahead"

REFUSED: dict[str, dict[str, str]] = {
    "overlap": {
        "a queue": "an epoch is one step, and queues that drain at its end hold no other",
    },
    "fused lines": {"double overlap": _AHEAD, "a cache": _ALONE},
}
"""What a charge may have, and parts of a design that it is refused beside, with the reason."""


def refusals(what: str, arch: Arch) -> Iterator[tuple[str, str]]:
    """Parts of a design beside which something is not charged, and why.

    what : of `REFUSED`.
    """
    for part, why in REFUSED[what].items():
        if PARTS[part](arch):
            yield part, why


def check_beside(what: str, where: str, arch: Arch, instead: str) -> None:
    """Refuse a design that has such a part.

    where : what asks for it, in the error; instead : what helps as well as leaving out the part.
    """
    for part, why in refusals(what, arch):
        raise ArchError(
            f"{where}: {arch.name} has {part}, and {why}\nLeave out {part}, or {instead}."
        )


def pairs_table() -> str:
    """The table as Markdown: a row for each reason."""
    rows: dict[tuple[str, str], list[str]] = {}
    for what, parts in REFUSED.items():
        for part, why in parts.items():
            rows.setdefault((what, why), []).append(part)
    lines = [f"| {what} | {', '.join(parts)} | {why} |" for (what, why), parts in rows.items()]
    return "\n".join(["| of a charge | not beside | because |", "|---|---|---|", *lines])
