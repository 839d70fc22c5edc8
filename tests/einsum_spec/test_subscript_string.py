"""NumPy's subscript strings mean what they mean in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.einsum_spec.subscript_string import read, statement, translate
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
        (",a->a", "Z[a] = A_*B[a]"),
        ("ab,->ab", "Z[a,b] = A[a,b]*B_"),
        ("αb,bα->α", "Z[u3b1] = A[u3b1,b]*B[b,u3b1]"),
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


@pytest.mark.parametrize(
    ("text", "shapes", "expected"),
    [
        ("...ij,jk", [(5, 2, 3), (3, 4)], "Z[d0,i,k] = A[d0,i,j]*B[j,k]"),
        ("...", [(2, 3)], "Z[d0,d1] = A[d0,d1]"),
        ("...", [()], "Z = A"),
        ("..., ...", [(3, 4), (2, 3, 4)], "Z[d0,d1,d2] = A[d1,d2]*B[d0,d1,d2]"),
        ("i...j->...", [(2, 5, 6, 3)], "Z[d0,d1] = A[i,d0,d1,j]"),
        ("i...->...i", [(2, 5)], "Z[d0,i] = A[i,d0]"),
        ("ij...,j...->ij...", [(2, 3, 4), (3,)], "Z[i,j,d0] = A[i,j,d0]*B[j]"),
        ("ij->...", [(2, 3)], "Z = A[i,j]"),
        ("ij,ij->ij", [(3, 4), (1, 4)], "Z[i,j] = A[i,j]*B[0,j]"),
        ("ii,i", [(1, 1), (4,)], "Z = A[0,0]*B[i]"),
        ("i,i", [(1,), (1,)], "Z = A[i]*B[i]"),
        ("i,i", [(0,), (1,)], "Z = A[i]*B[0]"),
        ("...,...", [(4, 1), (3,)], "Z[d0,d1] = A[d0,0]*B[d1]"),
    ],
)
def test_shapes_complete_it(text, shapes, expected):
    assert statement(read(text), tuple(shapes)) == expected
    shape = np.einsum(text, *map(np.ones, shapes)).shape
    spec = make_spec(expected)
    assert spec.extents(dict(zip(spec.operands, shapes, strict=True))).shapes["Z"] == shape


@pytest.mark.parametrize(
    ("text", "shapes", "expected"),
    [
        ("i,j", [(2,)], "expected 2 operands, found 1\n  i,j"),
        (
            "i",
            [(2, 3)],
            "operand A has 2 axes (shape (2, 3)); the subscripts 'i' name 1\n"
            "  i\n"
            "An ellipsis stands for axes without a letter: ...ij.",
        ),
        (
            "k,ij...",
            [(2,), (2,)],
            "operand B has 1 axes (shape (2,)); the subscripts 'ij...' name 2\n  k,ij...",
        ),
        (
            "ii->i",
            [(1, 3)],
            "i stands for axes 0 and 1 of operand A, which have extents 1 and 3\n"
            "  ii->i\n"
            "A diagonal runs over axes of one extent.",
        ),
        (
            "i...->i",
            [(2, 3)],
            "the result leaves out the axes that an ellipsis stands for\n"
            "  i...->i\n"
            "Put ... into the result, or give these axes letters: they are then summed.",
        ),
    ],
)
def test_shapes_that_do_not_fit(text, shapes, expected):
    with pytest.raises(EinsumError) as caught:
        statement(read(text), tuple(shapes))
    assert str(caught.value) == expected
    with pytest.raises(ValueError, match=r"ein|dim|operand"):
        np.einsum(text, *map(np.ones, shapes))


@pytest.mark.parametrize("text", ["O[i] = A[i]", "a = b", "", "a1,a2", "i;j"])
def test_other_text_is_left_alone(text):
    assert translate(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "...ij,jk->...ik",
            "an ellipsis stands for axes that only the operands tell\n"
            "  ...ij,jk->...ik\n"
            "  ^^^\n"
            "Call zeroskip.einsum with the operands, or give every axis a letter: ij,jk->ik.",
        ),
        (
            "ij,jk->ik+1",
            "expected letters between commas, found '+'\n"
            "  ij,jk->ik+1\n"
            "           ^\n"
            "A statement with names is written Z[i,k] = A[i,j]*B[j,k].",
        ),
        ("i..", "a dot that is no part of an ellipsis\n  i..\n   ^\nAn ellipsis is three: ..."),
        (
            "...i...",
            "a second ellipsis\n  ...i...\n      ^^^\nAn operand and the result take one each.",
        ),
        ("a->a->", "a second arrow\n  a->a->\n      ^^\nOne -> stands before the result."),
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
