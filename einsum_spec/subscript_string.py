"""NumPy's subscript strings, ``"ij,jk->ik"``, as statements with named operands.

The operands are A, B, C, ... in order, the result is Z:  ``Z[i,k] = A[i,j]*B[j,k]``.
"""

from __future__ import annotations

import re
from collections import Counter
from string import ascii_uppercase

from zeroskip.errors import EinsumError

_FORM = re.compile(r"[A-Za-z,. \t]*(?:->[A-Za-z. \t]*)?")


def translate(text: str) -> str | None:
    """The statement that a subscript string means, or None where ``text`` is none.

    As in NumPy, a result that is not given has the letters that stand once, in the order
    of the alphabet.

    Raises
    ------
    EinsumError
        For an ellipsis, a result with a letter twice or one that no operand has, or more
        than 25 operands.
    """
    if not text.strip() or not _FORM.fullmatch(text):
        return None
    if "." in text:
        place = text.index(".")
        raise EinsumError(
            "an ellipsis stands for axes that have no names",
            text=text,
            spans=[(place, place + len(text[place:]) - len(text[place:].lstrip(".")))],
            hint="Give every axis a letter: ij,jk->ik.",
        )
    left, arrow, right = (part.replace(" ", "").replace("\t", "") for part in text.partition("->"))
    operands = left.split(",")
    if len(operands) >= len(ascii_uppercase):
        raise EinsumError(
            f"{len(operands)} operands; a subscript string takes at most 25",
            hint="Name the operands: Z[i,k] = A[i,j]*B[j,k].",
        )
    counts = Counter("".join(operands))
    if not arrow:
        right = "".join(sorted(letter for letter, count in counts.items() if count == 1))
    for place, letter in enumerate(right):
        wrong = "twice" if letter in right[:place] else "but no operand does"
        if letter in right[:place] or letter not in counts:
            end = text.rindex(letter)
            raise EinsumError(
                f"the result has {letter} {wrong}",
                text=text,
                spans=[(end, end + 1)],
                hint="A result takes each letter of the operands once or not at all.",
            )
    names = ascii_uppercase[: len(operands)]
    factors = [_access(name, letters) for name, letters in zip(names, operands, strict=True)]
    return f"{_access('Z', right)} = {'*'.join(factors)}"


def _access(name: str, letters: str) -> str:
    return f"{name}[{','.join(letters)}]" if letters else name
