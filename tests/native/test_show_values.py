"""Addresses in a printed loop nest, against arithmetic."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.native.integers import Const, Name, Op, add, mul
from zeroskip.native.show_values import axes_of

NAMES = {"n": 3, "m": 4, "p": 5, "N": 7, "M": 11, "P": 13}


def number(expr):
    match expr:
        case Const(value):
            return value
        case Name(name):
            return NAMES[name]
        case Op("+", args):
            return sum(map(number, args))
        case Op("*", args):
            return int(np.prod([number(a) for a in args]))


indices = st.builds(
    lambda a, v, w, b: add(mul(Const(a), Name(v)), *([Name(w)] if w else []), Const(b)),
    st.integers(1, 3),
    st.sampled_from("nmp"),
    st.sampled_from(["", "n", "p"]),
    st.integers(-2, 2),
)


@given(st.lists(indices, min_size=1, max_size=4), st.permutations(["N", "M", "P"]))
def test_an_address_is_the_row_major_sum_of_its_axes(parts, extents):
    address = parts[0]
    for part, extent in zip(parts[1:], extents, strict=False):
        address = add(mul(address, Name(extent)), part)
    found = axes_of(address, {"N", "M", "P"})
    assert len(found) == len(parts)
    total = 0
    for part, extent in zip(found, ["", *extents], strict=False):
        total = total * (NAMES[extent] if extent else 1) + number(part)
    assert total == number(address)


def test_an_address_with_two_scaled_parts_stays_one_index():
    address = add(mul(Name("n"), Name("N")), mul(Name("m"), Name("M")))
    assert axes_of(address, {"N", "M"}) == (address,)
