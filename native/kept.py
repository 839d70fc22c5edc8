"""`Kept`: operands that stay over many calls, laid out once for each way that kernels read them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from zeroskip.native.arguments import Operand
from zeroskip.native.recent import Recent

MOST_LAYOUTS = 8

T = TypeVar("T")


class Kept:
    """Layouts of operands that nobody changes.

    held : the operands, by name; of a call's operands, those that are these very objects.
    """

    def __init__(self, held: Mapping[str, Operand]) -> None:
        self._held = held
        self._whose: Hashable = ()
        self._layouts: Recent[tuple[Hashable, ...], Any] = Recent(MOST_LAYOUTS)

    def instead(self, held: Mapping[str, Operand], whose: Hashable) -> Kept:
        """The layouts of operands that stand for these, kept among them.

        whose : tells them from those of any others.
        """
        made = Kept(held)
        made._whose, made._layouts = (self._whose, whose), self._layouts
        return made

    def has(self, name: str, operand: Operand) -> bool:
        return self._held.get(name) is operand

    def layout(self, name: str, how: Hashable, build: Callable[[], T]) -> T:
        """The layout ``how`` of a held operand; it is read by any number of calls at once."""
        key = name, (self._whose, how) if self._whose else how
        found: T | None = self._layouts.get(key)
        return self._layouts.keep(key, build()) if found is None else found
