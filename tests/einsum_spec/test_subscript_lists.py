"""NumPy's interleaved form is a subscript string in other clothes."""

from __future__ import annotations

import numpy as np
import pytest

from zeroskip.einsum_spec.subscript_lists import interleaved
from zeroskip.errors import EinsumError, EinsumTypeError


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["x", [0, 1], "y", [1, 2], [0, 2]], "AB,BC->AC"),
        (["x", [0, 1]], "AB"),
        (["x", [1, 0], []], "BA->"),
        (["x", [Ellipsis, 0], [0, Ellipsis]], "...A->A..."),
        (["x", []], ""),
        (["x", (25, 26, 51)], "Zaz"),
        (["x", np.array([0, 0])], "AA"),
    ],
)
def test_written_as_a_string(arguments, text):
    found, operands = interleaved(arguments)
    assert found == text
    assert operands == ("x", "y")[: len(operands)]
    assert len(operands) == len(arguments) // 2


def test_the_order_of_the_alphabet_is_that_of_the_numbers():
    x = np.arange(6.0).reshape(2, 3)
    text, operands = interleaved([x, [30, 3]])
    assert np.array_equal(np.einsum(text, *operands), np.einsum(x, [30, 3]))


@pytest.mark.parametrize(
    ("arguments", "kind", "expected"),
    [
        (
            [0, 0],
            EinsumTypeError,
            "the subscripts of operand 1: expected numbers such as [0, 1], found 0\n"
            "Write einsum('ij,jk->ik', a, b) or einsum(a, [0, 1], b, [1, 2], [0, 2]).",
        ),
        (
            [0, [0], None],
            EinsumTypeError,
            "the subscripts of the result: expected numbers such as [0, 1], found None",
        ),
        (
            [0, [0], 0, ["a"]],
            EinsumTypeError,
            "the subscripts of operand 2: expected whole numbers and ..., found 'a'",
        ),
        (
            [0, [52]],
            EinsumError,
            "the subscripts of operand 1: expected numbers from 0 to 51, found 52",
        ),
        ([0, [-1]], EinsumError, "the subscripts of operand 1: expected numbers from 0 to 51"),
    ],
)
def test_refused(arguments, kind, expected):
    with pytest.raises(kind) as caught:
        interleaved(arguments)
    assert str(caught.value).startswith(expected)
    assert isinstance(caught.value, TypeError) == (kind is EinsumTypeError)
