"""NumPy's subscript strings, ``"ij,jk->ik"``, as statements with named operands.

The operands are A, B, C, ... in order, the result is Z:  ``Z[i,k] = A[i,j]*B[j,k]``.

A string alone is a statement where it names every axis (`translate`).  What an ellipsis
stands for, and which axes of extent 1 are repeated, only the shapes tell (`statement`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from string import ascii_letters, ascii_uppercase
from typing import NoReturn

from zeroskip.errors import EinsumError
from zeroskip.records import dataclass

ELLIPSIS = "..."
MOST_OPERANDS = len(ascii_uppercase) - 1

_PARTS = re.compile(r"\.\.\.|\S")
_UNNAMED = "An ellipsis stands for axes without a letter: ...ij."

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subscripts:
    """A subscript string taken apart.

    Attributes
    ----------
    text : str
        As written.
    operands : tuple of labels
        Of each operand, its letters; `ELLIPSIS` among them stands for any number of axes.
    result : labels
        Those of the result; where the text has none, as NumPy has it: the axes of the
        ellipses, then the letters that stand once, in the order of the alphabet.
    """

    text: str
    operands: tuple[Labels, ...]
    result: Labels


def is_subscripts(text: str) -> bool:
    """Whether ``text`` is meant as a subscript string and not as a statement."""
    if "->" in text:
        return True
    return bool(text.strip()) and all(c.isalpha() or c in ",. \t" for c in text)


def translate(text: str) -> str | None:
    """The statement that a subscript string means, or None where ``text`` is none.

    Raises
    ------
    EinsumError
        As `read`; and for an ellipsis.
    """
    if not is_subscripts(text):
        return None
    subscripts = read(text)
    if ELLIPSIS in text:
        place = text.index(ELLIPSIS)
        raise EinsumError(
            "an ellipsis stands for axes that only the operands tell",
            text=text,
            spans=[(place, place + 3)],
            hint="Call zeroskip.einsum with the operands, or give every axis a letter: ij,jk->ik.",
        )
    return _written(subscripts, subscripts.operands, subscripts.result)


@lru_cache(maxsize=256)
def read(text: str) -> Subscripts:
    """A subscript string taken apart; spaces mean nothing, any letter of any script is a label.

    Raises
    ------
    EinsumError
        For a character that is no label, an ellipsis that is none or stands twice, a second
        arrow, a result with a letter twice or one that no operand has, or more than 25
        operands.
    """
    left, arrow, right = text.partition("->")
    if "->" in right:
        second = text.rindex("->")
        _refuse("a second arrow", text, (second, second + 2), "One -> stands before the result.")
    operands = []
    start = 0
    for part in left.split(","):
        operands.append(_labels(text, start, start + len(part)))
        start += len(part) + 1
    if len(operands) > MOST_OPERANDS:
        raise EinsumError(
            f"{len(operands)} operands; a subscript string takes at most {MOST_OPERANDS}",
            hint="Name the operands: Z[i,k] = A[i,j]*B[j,k].",
        )
    counts = Counter(label for labels in operands for label in labels)
    if not arrow:
        once = sorted(c for c, count in counts.items() if count == 1 and c != ELLIPSIS)
        result = (ELLIPSIS,) * (ELLIPSIS in counts) + tuple(once)
    else:
        result = _labels(text, len(left) + 2, len(text))
        _check_result(result, counts, text)
    return Subscripts(text, tuple(operands), result)


def _labels(text: str, start: int, end: int) -> Labels:
    """The labels in one part of the text."""
    found: list[str] = []
    for match in _PARTS.finditer(text, start, end):
        label, span = match.group(), match.span()
        if label == ".":
            _refuse("a dot that is no part of an ellipsis", text, span, "An ellipsis is three: ...")
        if label == ELLIPSIS and ELLIPSIS in found:
            _refuse("a second ellipsis", text, span, "An operand and the result take one each.")
        if label != ELLIPSIS and not label.isalpha():
            hint = "A statement with names is written Z[i,k] = A[i,j]*B[j,k]."
            _refuse(f"expected letters between commas, found {label!r}", text, span, hint)
        found.append(label)
    return tuple(found)


def _check_result(result: Labels, counts: Counter[str], text: str) -> None:
    for place, label in enumerate(result):
        if label == ELLIPSIS:
            continue
        twice = label in result[:place]
        if twice or label not in counts:
            end = text.rindex(label)
            wrong = "twice" if twice else "but no operand does"
            hint = "A result takes each letter of the operands once or not at all."
            _refuse(f"the result has {label} {wrong}", text, (end, end + 1), hint)


@lru_cache(maxsize=256)
def statement(subscripts: Subscripts, shapes: tuple[tuple[int, ...], ...]) -> str:
    """The statement that subscripts mean for operands of these shapes.

    The axes of ellipses are aligned at their last, and become ranks d0, d1, ...  An axis of
    extent 1 whose letter has a larger extent elsewhere is read at place 0 throughout:
    ``"ij,ij->ij"`` of shapes (3, 4) and (1, 4) is ``Z[i,j] = A[i,j]*B[0,j]``.

    Raises
    ------
    EinsumError
        For a number of operands or of axes that the text does not have, a letter that
        stands twice at one operand for unlike extents, and a result that leaves the axes of
        an ellipsis out.  Other extents that contradict each other are left to the statement.
    """
    text, wanted = subscripts.text, len(subscripts.operands)
    if len(shapes) != wanted:
        raise EinsumError(f"expected {wanted} operands, found {len(shapes)}", text=text)
    spread = 0
    for name, labels, shape in zip(ascii_uppercase, subscripts.operands, shapes, strict=False):
        letters = len(labels) - (ELLIPSIS in labels)
        if len(shape) < letters or (len(shape) > letters and ELLIPSIS not in labels):
            raise EinsumError(
                f"operand {name} has {len(shape)} axes (shape {shape}); the subscripts "
                f"{''.join(labels)!r} name {letters}",
                text=text,
                hint=_UNNAMED if len(shape) > letters else None,
            )
        spread = max(spread, len(shape) - letters)
    if spread and ELLIPSIS not in subscripts.result:
        raise EinsumError(
            "the result leaves out the axes that an ellipsis stands for",
            text=text,
            hint="Put ... into the result, or give these axes letters: they are then summed.",
        )
    unnamed = [f"d{k}" for k in range(spread)]
    operands = [
        _expanded(labels, unnamed[spread - _axes(labels, shape) :])
        for labels, shape in zip(subscripts.operands, shapes, strict=True)
    ]
    extents: dict[str, int] = {}
    for labels, shape in zip(operands, shapes, strict=True):
        for label, extent in zip(labels, shape, strict=True):
            if extents.get(label, 1) == 1:
                extents[label] = extent
    read_at = []
    for name, labels, shape in zip(ascii_uppercase, operands, shapes, strict=False):
        _check_diagonals(name, labels, shape, text)
        read_at.append(
            tuple(
                "0" if extent == 1 != extents[label] else label
                for label, extent in zip(labels, shape, strict=True)
            )
        )
    return _written(subscripts, read_at, _expanded(subscripts.result, unnamed))


def _axes(labels: Labels, shape: tuple[int, ...]) -> int:
    """How many axes the ellipsis of an operand stands for."""
    return len(shape) - len(labels) + 1 if ELLIPSIS in labels else 0


def _expanded(labels: Labels, unnamed: Sequence[str]) -> Labels:
    """Labels with an ellipsis replaced by the ranks that it stands for."""
    if ELLIPSIS not in labels:
        return labels
    place = labels.index(ELLIPSIS)
    return (*labels[:place], *unnamed, *labels[place + 1 :])


def _check_diagonals(name: str, labels: Labels, shape: tuple[int, ...], text: str) -> None:
    first: dict[str, int] = {}
    for axis, label in enumerate(labels):
        other = first.setdefault(label, axis)
        if shape[other] != shape[axis]:
            raise EinsumError(
                f"{label} stands for axes {other} and {axis} of operand {name}, which have "
                f"extents {shape[other]} and {shape[axis]}",
                text=text,
                hint="A diagonal runs over axes of one extent.",
            )


def _written(subscripts: Subscripts, operands: Sequence[Labels], result: Labels) -> str:
    """The statement, with ranks that a statement can hold.

    An operand without axes whose letter names a rank too is told from that rank's extent
    and value by an underscore: ``",a->a"`` is ``Z[a] = A_*B[a]``.
    """
    letters = {c.upper() for labels in subscripts.operands for c in labels}
    factors = []
    for name, labels in zip(ascii_uppercase, operands, strict=False):
        known = name if labels or name not in letters else f"{name}_"
        factors.append(_access(known, labels))
    return f"{_access('Z', result)} = {'*'.join(factors)}"


def _access(name: str, labels: Labels) -> str:
    ranks = (c if len(c) > 1 or c in ascii_letters or c == "0" else f"u{ord(c):x}" for c in labels)
    return f"{name}[{','.join(ranks)}]" if labels else name


def _refuse(what: str, text: str, span: tuple[int, int], hint: str) -> NoReturn:
    raise EinsumError(what, text=text, spans=[span], hint=hint)
