"""C identifiers for ranks, tensors and constants."""

from __future__ import annotations

import re

SYMBOL = "zs_kernel"
"""The function of every kernel."""

_WORDS = """
auto break case char const continue default do double else enum extern float for goto if inline
int long register restrict return short signed sizeof static struct switch typedef union unsigned
void volatile while asm typeof NULL offsetof linux unix i386 mips sparc sun PPC main args work
tile vectors tiles LANES v
"""
_TAKEN = frozenset(_WORDS.split())

_LIKE_TAKEN = re.compile(r"zs_|ZS_|_|U?INT|SIZE_|PTRDIFF_|WCHAR_|WINT_|SIG_|\w*_t\Z|tile_")
"""How names begin (or end) that belong to the headers, to C or to the emitter."""


class Names:
    """Identifiers for one kernel: each is handed out once.

    A rank keeps its letter (``p``) and its extent has the capital one (``P``), as in the
    book; anything that C or the emitter has taken gets an underscore.
    """

    def __init__(self) -> None:
        self._used: set[str] = set(_TAKEN)
        self._given: dict[tuple[str, str], str] = {}

    def get(self, kind: str, name: str) -> str:
        """The identifier of ``name`` as a ``kind`` (rank, extent, constant, tensor)."""
        key = (kind, name)
        if key not in self._given:
            wanted = name.upper() if kind == "extent" else name
            if kind == "extent" and wanted == name:
                wanted = f"n_{name}"
            self._given[key] = self.fresh(wanted)
        return self._given[key]

    def fresh(self, wanted: str) -> str:
        """``wanted``, or the first of ``wanted_``, ``wanted_2`` … that is free."""
        if _LIKE_TAKEN.match(wanted):
            wanted = "u_" + wanted
        name, n = wanted, 1
        while name in self._used:
            name = f"{wanted}_" if n == 1 else f"{wanted}_{n}"
            n += 1
        self._used.add(name)
        return name

    def copy(self) -> Names:
        """Names as they are now, to return to."""
        other = Names()
        other._used, other._given = set(self._used), dict(self._given)
        return other
