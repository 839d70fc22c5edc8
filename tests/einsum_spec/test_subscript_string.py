"""NumPy's subscript strings mean what they mean in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.einsum_spec.subscript_string import translate
from zeroskip.errors import EinsumError


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("ij,jk->ik", "Z[i,k] = A[i,j]*B[j,k]"),
        ("ij, jk -> ki", "Z[k,i] = A[i,j]*B[j,k]"),
        ("ij,jk", "Z[i,k] = A[i,j]*B[j,k]"),
        ("ba", "Z[a,b] = A[b,a]"),
        ("ii", "Z = A[i,i]"),
        ("ii->i", "Z[i] = A[i,i]"),
        ("ij->", "Z = A[i,j]"),
        (",i->i", "Z[i] = A*B[i]"),
        ("aA,Ab->ab", "Z[a,b] = A[a,A]*B[A,b]"),
    ],
)
def test_translated(text, statement):
    assert translate(text) == statement
    assert make_spec(text).text == statement


@pytest.mark.parametrize(
    "text", ["ij,jk->ik", "ij,jk", "ba", "ii", "ij->", "ij,jk,kl->il", "ij,ij"]
)
def test_shape_is_numpys(text):
    spec = make_spec(text)
    arrays = [np.ones((3,) * len(part)) for part in _parts(text)]
    shapes = {name: array.shape for name, array in zip(spec.operands, arrays, strict=True)}
    assert spec.extents(shapes).shapes["Z"] == np.einsum(text, *arrays).shape


def _parts(text):
    return text.split("->")[0].split(",")


@pytest.mark.parametrize("text", ["O[i] = A[i]", "a = b", "", "ij,jk->ik+1", "a1,a2", "i;j"])
def test_other_text_is_left_alone(text):
    assert translate(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "...ij,jk->...ik",
            "an ellipsis stands for axes that have no names\n"
            "  ...ij,jk->...ik\n"
            "  ^^^\n"
            "Give every axis a letter: ij,jk->ik.",
        ),
        (
            "ij->iij",
            "the result has i twice\n"
            "  ij->iij\n"
            "       ^\n"
            "A result takes each letter of the operands once or not at all.",
        ),
        ("ij->ik", "the result has k but no operand does\n  ij->ik\n       ^"),
        (",".join("a" * 26), "26 operands; a subscript string takes at most 25"),
    ],
)
def test_refused(text, expected):
    with pytest.raises(EinsumError) as caught:
        make_spec(text)
    assert str(caught.value).startswith(expected)
