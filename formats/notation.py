"""Text → the parts of a `Format`, with carets under what cannot be read."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from zeroskip.errors import FormatError
from zeroskip.formats.levels import (
    Bitmask,
    Compressed,
    LevelFormat,
    RunLength,
    Singleton,
    Structured,
    Uncompressed,
)
from zeroskip.formats.named import BLOCKS, NAMED, RUN_LENGTH, canonical
from zeroskip.formats.ranks import Axis, Part, StorageRank, check_ranks, refuse
from zeroskip.records import dataclass

MAX_TEXT = 2000
"""Characters of a format; a tensor of 64 axes needs far fewer."""

_TOKEN = re.compile(r"\s*(?:(?P<name>[A-Za-z_]\w*)|(?P<number>\d+)|(?P<mark>[\[\],:*/%()]))", re.A)
PARAMETRIC = "RLE(bits), BSR(rows,columns), G:H"
_LEVELS = "U, C, C(bits), B, R(bits), S, S(bits), H(G:H)"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Written:
    """An axis as it stands in a rank: whole, or split by ``/`` or ``%`` and a size."""

    token: _Token
    split: str
    size: int

    @property
    def axis(self) -> Axis:
        number = self.token.kind == "number"
        axis = int(self.token.text) if number else self.token.text
        return Part(axis, self.size, self.split == "%") if self.split else axis


Made = TypeVar("Made", bound=LevelFormat)

Parts = tuple[str | None, tuple[str, ...], tuple[StorageRank, ...]]


@lru_cache(maxsize=512)
def parse(text: str) -> Parts:
    """(name, axes, ranks) of a format's text; see `Format`."""
    return _Parser(text).parts()


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > MAX_TEXT:
            raise FormatError(f"a format has at most {MAX_TEXT} characters, found {len(text)}")
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0

    # ---- reading ------------------------------------------------------------------------

    def peek(self, ahead: int = 0) -> _Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def take(self) -> _Token:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, mark: str, why: str) -> _Token:
        token = self.take()
        if token.text != mark:
            raise self.error(f"expected {mark!r} {why}, found {_found(token)}", token)
        return token

    def error(self, message: str, token: _Token, hint: str | None = None) -> FormatError:
        return refuse(message, self.text, [token.span], hint or None)

    # ---- the grammar --------------------------------------------------------------------

    def parts(self) -> Parts:
        if (name := self.whole_name()) is not None:
            return name, (), ()
        declared = self.brackets() if self.peek().text == "[" else None
        ranks: list[tuple[list[_Written], LevelFormat]] = []
        spans: list[tuple[int, int]] = []
        while self.peek().kind != "end":
            start = self.peek().span[0]
            ranks.append((self.rank_axes(), self.level()))
            spans.append((start, self.tokens[self.at - 1].span[1]))
        if not ranks:
            raise self.error(
                "expected a storage rank such as 'm:U', found the end of the format",
                self.peek(),
                f"Formats by name: {', '.join(NAMED)}, {PARAMETRIC}.",
            )
        axes, stored = self.resolve(declared, ranks)
        check_ranks(stored, self.text, spans)
        return None, axes, stored

    def whole_name(self) -> str | None:
        """The canonical name, where the text is one."""
        first = self.peek()
        kinds = [token.kind for token in self.tokens]
        if kinds == ["number", "mark", "number", "end"] and self.peek(1).text == ":":
            level = self.checked(first, lambda: self.structured(first))
            return f"{level.most}:{level.group}"
        if first.kind != "name" or self.peek(1).text not in ("", "("):
            return None
        name = canonical(first.text)
        if name is None:
            return None
        self.take()
        if name == BLOCKS:
            return self.blocks(first)
        bits = self.bits(first) if self.peek().text == "(" else None
        if self.peek().kind != "end":
            raise self.error(f"{name} is a whole format; found more after it", self.peek())
        if name != RUN_LENGTH:
            if bits is not None:
                raise self.error(f"{name} takes no field width", first, "Write its ranks out.")
            return name
        if bits is None:
            raise self.error("RLE needs the bits of its run field", first, "For example: RLE(5)")
        self.checked(first, lambda: RunLength(bits))
        return f"{name}({bits})"

    def blocks(self, owner: _Token) -> str:
        """``BSR(rows,columns)``, whole."""
        sizes = []
        for mark in "(,":
            self.expect(mark, "in BSR(rows,columns)")
            sizes.append(self.size())
        self.expect(")", "in BSR(rows,columns)")
        if self.peek().kind != "end":
            raise self.error(f"{BLOCKS} is a whole format; found more after it", self.peek())
        return f"{BLOCKS}({sizes[0]},{sizes[1]})"

    def size(self) -> int:
        """The size of a block: 1 or more."""
        token = self.take()
        if token.kind != "number" or int(token.text) < 1:
            raise self.error(f"expected the size of a block, found {_found(token)}", token)
        return int(token.text)

    def brackets(self) -> list[_Token]:
        self.take()
        names: list[_Token] = []
        while True:
            token = self.take()
            if token.kind != "name":
                raise self.error(f"expected the name of an axis, found {_found(token)}", token)
            names.append(token)
            if self.peek().text == ",":
                self.take()
                continue
            self.expect("]", "after the names of the axes")
            return names

    def rank_axes(self) -> list[_Written]:
        """The axes before ``:``, or none where a level stands alone."""
        if self.peek().kind == "name" and self.peek(1).text not in (":", "*", "/", "%"):
            return []
        axes: list[_Written] = []
        while True:
            token = self.take()
            if token.kind not in ("name", "number"):
                raise self.error(
                    f"expected an axis (name or number) or a level, found {_found(token)}",
                    token,
                    "Axes are split before they are flattened: m/2*k/2." * (token.text == "("),
                )
            split, size = "", 0
            if self.peek().text in ("/", "%"):
                split, size = self.take().text, self.size()
            axes.append(_Written(token, split, size))
            mark = self.take()
            if mark.text == ":":
                return axes
            if mark.text != "*":
                raise self.error(f"expected '*' or ':' after an axis, found {_found(mark)}", mark)

    def level(self) -> LevelFormat:
        token = self.take()
        if token.kind != "name":
            raise self.error(f"expected a level ({_LEVELS}), found {_found(token)}", token)
        letter = token.text
        if letter == "H":
            if self.peek().text != "(":
                raise self.error("H needs G and H", token, "For example: H(2:4)")
            self.take()
            found = self.checked(token, lambda: self.structured(token))
            self.expect(")", "after the size of a group")
            return found
        bits = self.bits(token) if self.peek().text == "(" else None
        if letter in ("U", "B"):
            if bits is not None:
                raise self.error(f"{letter} has no field width", token)
            return Uncompressed() if letter == "U" else Bitmask()
        if letter == "R":
            if bits is None:
                raise self.error("R needs the bits of its run field", token, "For example: R(5)")
            return self.checked(token, lambda: RunLength(bits))
        if letter == "C":
            return self.checked(token, lambda: Compressed(bits))
        if letter == "S":
            return self.checked(token, lambda: Singleton(bits))
        hint = None
        if letter.upper() in ("U", "C", "B", "R", "S", "H"):
            hint = f"Levels are capital letters: {letter.upper()}."
        elif canonical(letter) is not None:
            hint = f"{canonical(letter)} is a whole format: it stands alone, without axes."
        elif len(letter) > 1:
            hint = f"Formats by name: {', '.join(NAMED)}, {PARAMETRIC}."
        raise self.error(f"{letter!r} is no level; expected one of {_LEVELS}", token, hint)

    def structured(self, owner: _Token) -> Structured:
        """``G:H``, two numbers."""
        most = self.take()
        self.expect(":", "between G and H")
        group = self.take()
        for token in (most, group):
            if token.kind != "number":
                raise self.error(
                    f"expected G:H such as 2:4 for {owner.text}, found {_found(token)}", token
                )
        return Structured(int(most.text), int(group.text))

    def checked(self, token: _Token, make: Callable[[], Made]) -> Made:
        try:
            return make()
        except FormatError as error:
            text = str(error)
            raise (error if "\n" in text else self.error(text, token)) from None

    def bits(self, owner: _Token) -> int:
        self.take()
        token = self.take()
        if token.kind != "number":
            raise self.error(
                f"expected the bits of {owner.text}'s field, found {_found(token)}", token
            )
        self.expect(")", "after the bits of a field")
        return int(token.text)

    def resolve(
        self, declared: list[_Token] | None, ranks: list[tuple[list[_Written], LevelFormat]]
    ) -> tuple[tuple[str, ...], tuple[StorageRank, ...]]:
        """Names of the axes, in the tensor's order, and the ranks."""
        parts = [part for found, _ in ranks for part in found]
        written = [part.token for part in parts]
        if not written and declared is None:
            return (), tuple(StorageRank((i,), level) for i, (_, level) in enumerate(ranks))
        for found, _ in ranks:
            if not found:
                raise refuse(
                    "either every rank names its axes or none does",
                    self.text,
                    [t.span for t in declared or written],
                )
        kinds = {token.kind for token in written}
        if len(kinds) > 1 or (declared is not None and "number" in kinds):
            raise refuse(
                "axes are all names or all numbers",
                self.text,
                [t.span for t in written if t.kind == "number"],
            )
        stored = tuple(StorageRank(tuple(p.axis for p in found), level) for found, level in ranks)
        if kinds == {"number"}:
            return (), stored
        for split in ("", "/", "%"):
            self.once([part.token for part in parts if part.split == split], "stored")
        first = {token.text: token for token in reversed(written)}
        order = [token for token in written if first[token.text] is token]
        order = order if declared is None else declared
        self.once(order, "listed")
        names = [token.text for token in order]
        for token in written:
            if token.text not in names:
                raise self.error(f"axis {token.text} is not in the brackets", token)
        known = {token.text for token in written}
        for token in order:
            if token.text not in known:
                raise self.error(
                    f"axis {token.text} is listed but stored nowhere", token, "Give it a rank."
                )
        return tuple(names), stored

    def once(self, tokens: list[_Token], verb: str) -> None:
        for i, token in enumerate(tokens):
            twice = [t.span for t in tokens[:i] if t.text == token.text]
            if twice:
                raise refuse(f"axis {token.text} is {verb} twice", self.text, [*twice, token.span])


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise refuse(f"{text[at]!r} is no part of a format", text, [(at, at + 1)])
        kind = match.lastgroup
        if kind == "number" and len(match[kind]) > 9:
            raise refuse("a number in a format has at most 9 digits", text, [match.span(kind)])
        tokens.append(_Token(kind, match[kind], match.span(kind)))
        at = match.end()
    tokens.append(_Token("end", "", (max(end - 1, 0), end)))
    return tokens


def _found(token: _Token) -> str:
    return "the end" if token.kind == "end" else repr(token.text)
