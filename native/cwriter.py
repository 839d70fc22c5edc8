"""Lines of C on their way to a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field, replace
from functools import cached_property
from typing import Any, Protocol

from zeroskip.native.cexpr import ValueContext
from zeroskip.native.nest import Kernel, Poll, Row
from zeroskip.records import dataclass


class Listing(Protocol):
    """A list of products, each with its place."""

    @property
    def count(self) -> str: ...

    def put(self, at: str, place: str, value: str, out: CWriter) -> None: ...

    def add(self, place: str, value: str, out: CWriter) -> None: ...


@dataclass
class CWriter:
    """Lines of C, indented, with the functions that were split off.

    write : C of one statement, `emit_stmts.write`.
    part : C of the part of the call that this is, and of how many there are; inside a shared loop
        of those that are at the same index.
    first : lines before all others, by what they declare or set.
    unlisted : a row whose places are marked and not listed.
    listed : where the products of a row are listed that are not gathered at their places.
    """

    kernel: Kernel
    values: ValueContext
    write: Callable[[Any, CWriter], None]
    count_work: bool = False
    lines: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    first: dict[str, str] = field(default_factory=dict)
    depth: int = 1
    tiles: int = 0
    alone: bool = False
    unlisted: Row | None = None
    listed: Listing | None = None
    part: tuple[str, str] = ("args->part", "args->parts")

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(re.findall(r"\w+", repr(replace(self.kernel, title=()))))

    def local(self, wanted: str) -> str:
        """A name for something of the emitter's own that nothing in the nest is called."""
        while wanted in self._names:
            wanted += "_"
        return wanted

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(f"{head} {{" if head else "{")
        self.depth += 1
        yield
        self.depth -= 1
        self.line("}")

    @contextmanager
    def constant(self, name: str, text: str) -> Iterator[None]:
        """A name for an integer, left out where nothing in the block uses it."""
        at = len(self.lines)
        self.line(f"const int64_t {name} = {text};")
        yield
        if not any(re.search(rf"\b{name}\b", line) for line in self.lines[at + 1 :]):
            del self.lines[at]

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Braces around declarations, unless they are alone in their block already."""
        if self.alone:
            yield
        else:
            with self.block(""):
                yield

    def body(self, stmts: tuple[object, ...]) -> None:
        alone = sum(not isinstance(stmt, Poll) for stmt in stmts) == 1
        for stmt in stmts:
            self.alone = alone
            self.write(stmt, self)
