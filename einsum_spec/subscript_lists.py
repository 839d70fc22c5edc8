"""NumPy's interleaved form, ``einsum(a, [0, 1], b, [1, 2], [0, 2])``, as a subscript string."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from string import ascii_lowercase, ascii_uppercase

from zeroskip.einsum_spec.subscript_string import ELLIPSIS
from zeroskip.errors import EinsumError, EinsumTypeError

LABELS = ascii_uppercase + ascii_lowercase
"""The letter of every number: in the order of the alphabet, which has upper case first."""


def interleaved(arguments: Sequence[object]) -> tuple[str, tuple[object, ...]]:
    """The subscript string and the operands of an interleaved call.

    Parameters
    ----------
    arguments : operand, list, operand, list, ..., and the list of the result or nothing
        A list holds whole numbers from 0 to 51 and at most one ``Ellipsis``.

    Raises
    ------
    EinsumTypeError
        For a list that is none, or that holds anything else.
    EinsumError
        For a number outside 0 to 51.

    Examples
    --------
    >>> interleaved(["a", [0, 1], "b", [1, ...], [0, ...]])
    ('AB,B...->A...', ('a', 'b'))
    """
    operands = arguments[: len(arguments) // 2 * 2 : 2]
    parts = [
        _letters(given, f"operand {place}") for place, given in enumerate(arguments[1::2], start=1)
    ]
    text = ",".join(parts)
    if len(arguments) % 2:
        text += f"->{_letters(arguments[-1], 'the result')}"
    return text, tuple(operands)


def _letters(given: object, whose: str) -> str:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise EinsumTypeError(
            f"the subscripts of {whose}: expected numbers such as [0, 1], found {given!r}",
            hint="Write einsum('ij,jk->ik', a, b) or einsum(a, [0, 1], b, [1, 2], [0, 2]).",
        )
    return "".join(_letter(label, whose) for label in given)


def _letter(label: object, whose: str) -> str:
    if label is Ellipsis:
        return ELLIPSIS
    try:
        number = index(label)  # type: ignore[arg-type]
    except TypeError:
        raise EinsumTypeError(
            f"the subscripts of {whose}: expected whole numbers and ..., found {label!r}"
        ) from None
    if not 0 <= number < len(LABELS):
        raise EinsumError(
            f"the subscripts of {whose}: expected numbers from 0 to {len(LABELS) - 1}, "
            f"found {number}"
        )
    return LABELS[number]
