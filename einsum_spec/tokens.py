"""Text into tokens, each with its place; what is no token is refused here.

Nothing of the text is ever evaluated.  Length and nesting are capped, so that a
hostile text is refused before anything recursive sees it.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from zeroskip.errors import EinsumError

MAX_CHARACTERS = 100_000
MAX_DEPTH = 64
MAX_NAME = 64
MAX_STATEMENTS = 1024
MAX_AXES = 64
MAX_TERMS = 1024
MAX_FACTORS = 256
MAX_INTEGER = 2**62

Kind = Literal["name", "number", "op", "newline", "end"]


class Token(NamedTuple):
    """One token: what it is, how it is spelt, and its half-open range in the text."""

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def span(self) -> tuple[int, int]:
        return self.start, self.end


_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r]+|\#[^\n]*)
  | (?P<newline>[\n;])
  | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<op>\*\*|//|->|\+=|\*=|\|=|&=|==|!=|<=|>=|[-+*/=<>()\[\],|&])
    """,
    re.VERBOSE,
)

_HINTS = {
    "'": "Text in quotes means nothing here: an Einsum has names, numbers and operators only.",
    '"': "Text in quotes means nothing here: an Einsum has names, numbers and operators only.",
    "^": "Write a product out: x*x.",
    ".": "An Einsum has no attributes; `...` stands only in NumPy's notation.",
    "{": "Use ( ) to group and [ ] for subscripts.",
    "}": "Use ( ) to group and [ ] for subscripts.",
    "%": "Write the remainder as p - 2*(p//2).",
}


def tokenize(text: str) -> list[Token]:
    """The tokens of ``text``; newlines inside brackets and comments are left out.

    Raises
    ------
    EinsumError
        For a text longer than 100,000 characters, brackets nested deeper than 64, a
        name longer than 64 characters, a number out of range or a character that
        means nothing.
    """
    if len(text) > MAX_CHARACTERS:
        raise EinsumError(
            f"an Einsum of {len(text):,} characters; at most {MAX_CHARACTERS:,} are read",
            text=text,
            spans=[(0, 1)],
            hint="Split it into several layers.",
        )
    tokens: list[Token] = []
    place, depth, length = 0, 0, len(text)
    while place < length:
        match = _TOKEN.match(text, place)
        if match is None:
            char = text[place]
            raise EinsumError(
                f"{char!r} means nothing in an Einsum",
                text=text,
                spans=[(place, place + 1)],
                hint=_HINTS.get(char, "Names are made of the letters A-Z a-z, digits and _."),
            )
        kind, end = match.lastgroup, match.end()
        spelling = match.group()
        if kind == "newline":
            if depth == 0 or spelling == ";":
                tokens.append(Token("newline", spelling, place, end))
        elif kind == "name":
            _check_name(text, place, end)
            tokens.append(Token("name", spelling, place, end))
        elif kind == "number":
            _check_number(text, place, end)
            tokens.append(Token("number", spelling, place, end))
        elif kind == "op":
            depth += (spelling in "([") - (spelling in ")]")
            if depth > MAX_DEPTH:
                raise EinsumError(
                    f"brackets nested deeper than {MAX_DEPTH}",
                    text=text,
                    spans=[(place, end)],
                    hint="Name the inner part in a line of its own.",
                )
            depth = max(depth, 0)
            tokens.append(Token("op", spelling, place, end))
        place = end
    tokens.append(Token("end", "", length, length))
    return tokens


def _check_name(text: str, start: int, end: int) -> None:
    if end - start > MAX_NAME:
        raise EinsumError(
            f"a name of {end - start} characters; at most {MAX_NAME} are read",
            text=text,
            spans=[(start, end)],
            hint="Use a shorter name.",
        )


def _check_number(text: str, start: int, end: int) -> None:
    spelling = text[start:end]
    if end < len(text) and (text[end].isalpha() or text[end] == "_"):
        raise EinsumError(
            f"a number runs into a name: {text[start : end + 1]}",
            text=text,
            spans=[(start, end + 1)],
            hint=f"Write a product with a star: {spelling[:20]}*{text[end]}.",
        )
    if spelling.isdigit():
        bad = len(spelling.lstrip("0")) > 19 or int(spelling) > MAX_INTEGER
    else:
        bad = end - start > MAX_NAME or float(spelling) == float("inf")
    if bad:
        raise EinsumError(
            f"the number {spelling[:20]}{'...' if len(spelling) > 20 else ''} is too large",
            text=text,
            spans=[(start, end)],
            hint="Whole numbers reach to 2**62, others to the largest float64.",
        )
