"""Padding: its spellings, what it does to extents, and what is refused."""

from __future__ import annotations

import pytest

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.padding import normalise
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import EinsumError

CONV = "O[n,m,p,q] = B[m] + I[n,c,U*p+D*r,U*q+D*s] * F[m,c,r,s]"


def solved(text: str, shapes: dict[str, tuple[int, ...]], **options: object) -> Extents:
    return make_spec(text, **options).extents(shapes)


@pytest.mark.parametrize(
    "pad",
    [
        1,
        (1, 1),
        {"I": 1},
        {"I": (1, 1)},
        {"I": {"h": 1, "w": 1}},
        {"I": {"p": 1, "s": (1, 1)}},
        {"I": {2: 1, -1: [1, 1]}},
    ],
)
def test_spellings_of_padding(pad):
    forms = make_spec(CONV).forms
    assert normalise(pad, forms)["I"] == ((0, 0), (0, 0), (1, 1), (1, 1))
    assert normalise(pad, forms)["F"] == ((0, 0),) * 4


def test_padding_of_a_plain_axis_has_to_be_named():
    found = solved("O[c,p] = I[c,p]", {"I": (2, 3)}, pad={"I": {"p": (1, 2)}})
    assert found.ranks == {"c": 2, "p": 6}


def test_an_index_variable_h_comes_before_the_books_h():
    forms = make_spec("O[p,h] = I[h,p+r] * F[r]").forms
    assert normalise({"I": {"h": 2}}, forms)["I"] == ((2, 2), (0, 0))


def test_results_that_are_read_can_be_padded():
    text = "T[c,h] = I[c,h]\nO[c,p] = T[c,p+r] * F[r]"
    found = solved(text, {"I": (2, 5), "F": (3,)}, pad={"T": 1})
    assert found.ranks["p"] == 5


@pytest.mark.parametrize(
    ("pad", "expected"),
    [
        (-1, "pad: expected 0 or more places, found -1\nTo leave places out, slice the operand."),
        (1.5, "pad: expected a whole number, found 1.5"),
        ("1", "pad: expected a whole number, found '1'"),
        ((1, 2, 3), "pad: expected places before and behind, found (1, 2, 3)"),
        ({"O": 1}, "pad names O, which no line reads; operands: B, F, I"),
        ({"B": 1}, "pad of B pads nothing: no subscript of B has two index variables"),
        ({"I": {"z": 1}}, "pad of I: z names no axis of I\nGive the number of the axis, 0 to 3."),
        ({"I": {4: 1}}, "pad of I: axis 4, but I has 4"),
        ({"I": {2: 1, "h": 1}}, "pad of I gives axis 2 twice"),
        ({"I": {2: -1}}, "pad of I, axis 2: expected 0 or more places, found -1"),
        ({"I": {2.5: 1}}, "pad of I: an axis: expected a whole number, found 2.5"),
    ],
)
def test_padding_that_is_refused(pad, expected):
    with pytest.raises(EinsumError) as caught:
        make_spec(CONV, pad=pad)
    assert str(caught.value).startswith(expected)


def test_padding_that_pads_nothing_is_refused():
    with pytest.raises(EinsumError) as caught:
        make_spec("O[i] = A[i]", pad=1)
    assert str(caught.value) == (
        "pad=1 pads nothing: no subscript has two index variables, such as p+r\n"
        'Name the tensor and the axis: pad={"I": {"h": 1}}.'
    )
    assert make_spec("O[i] = A[i]", pad=0) == make_spec("O[i] = A[i]")


def test_an_ambiguous_key_of_padding_is_refused():
    with pytest.raises(EinsumError) as caught:
        make_spec("O[i] = A[i,i]", pad={"A": {"i": 1}})
    assert str(caught.value).startswith("pad of A: i names axes 0 and 1 of A")
