"""Extents: from operands, sizes, constants and padding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import EinsumError

CONV = "O[n,m,p,q] = B[m] + I[n,c,U*p+D*r,U*q+D*s] * F[m,c,r,s]"


def solved(text: str, shapes: dict[str, tuple[int, ...]], **options: object) -> Extents:
    return make_spec(text, **options).extents(shapes)


def failure(text: str, shapes: dict[str, tuple[int, ...]], **options: object) -> str:
    with pytest.raises(EinsumError) as caught:
        make_spec(text, **options).extents(shapes)
    return str(caught.value)


def test_everything_of_a_convolution():
    found = solved(
        CONV,
        {"I": (2, 3, 8, 9), "F": (4, 3, 3, 3), "B": (4,)},
        consts={"U": 2, "D": 1},
        pad={"I": {"h": (1, 0), 3: 1}},
    )
    assert found.ranks == {"n": 2, "m": 4, "p": 4, "q": 5, "c": 3, "r": 3, "s": 3}
    assert found.shapes["O"] == (2, 4, 4, 5)
    assert found.pads == {
        "B": ((0, 0),),
        "F": ((0, 0),) * 4,
        "I": ((0, 0), (0, 0), (1, 0), (1, 1)),
    }
    assert found.constants == {}


@given(
    st.integers(0, 12),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(0, 2),
)
def test_a_window_takes_every_place_at_which_it_fits(length, window, stride, dilation, lo, hi):
    last = [d * dilation for d in range(window)][-1]
    fits = [p for p in range(40) if stride * p + last < length + lo + hi]
    options = {"consts": {"U": stride, "D": dilation}, "pad": {"I": {0: (lo, hi)}}}
    text, shapes = "O[p] = I[U*p+D*r] * F[r]", {"I": (length,), "F": (window,)}
    if fits or length + lo + hi == 0:
        assert solved(text, shapes, **options).ranks["p"] == len(fits)
    else:
        assert failure(text, shapes, **options).startswith("no p fits: ")


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 5))
def test_a_floor_takes_every_place_that_it_can_read(length, factor, divisor):
    fits = [p for p in range(80) if factor * p // divisor < length]
    found = solved("O[p] = I[k*p//d]", {"I": (length,)}, consts={"k": factor, "d": divisor})
    assert found.ranks["p"] == len(fits)


BLOCKS = "O[M*g+m,q] = F[M*g+m,c]*I[C*g+c,q]"


@given(st.integers(1, 5), st.integers(0, 14), st.integers(1, 4), st.integers(0, 1))
def test_blocks_fill_their_axis_or_are_refused(groups, filters, channels, more):
    shapes = {"F": (filters, channels), "I": (groups * channels + more, 3)}
    if more or filters % groups:
        failure(BLOCKS, shapes, sizes={"g": groups})
        return
    found = solved(BLOCKS, shapes, sizes={"g": groups})
    assert found.ranks == {"g": groups, "m": filters // groups, "q": 3, "c": channels}
    assert found.shapes["O"] == (filters, 3)
    assert found.constants == {"M": filters // groups, "C": channels}


def test_blocks_of_two_axes_and_of_blocks():
    text = "O[n,p] = T[M*g+m,Y*X*c+X*y+x]*A[g,x,y]*B[n,p]"
    found = solved(text, {"T": (6, 24), "A": (3, 2, 4), "B": (1, 1)})
    assert found.ranks == {"n": 1, "p": 1, "m": 2, "g": 3, "c": 3, "x": 2, "y": 4}


def test_filters_that_are_no_blocks_are_named():
    shapes = {"F": (5, 3), "I": (6, 3)}
    assert failure(BLOCKS, shapes, sizes={"g": 2}) == (
        "M*g+m reads places 0 to 3 of axis 0 of F, which has 5\n"
        "  O[M*g+m,q] = F[M*g+m,c]*I[C*g+c,q]\n"
        "                 ^^^^^\n"
        "It counts blocks and places in a block, which must fill the axis: 4."
    )
    assert failure(BLOCKS, {"F": (4, 3), "I": (5, 3)}, sizes={"g": 2}).endswith(
        "It counts blocks and places in a block, which must fill the axis: 6."
    )


@pytest.mark.parametrize(
    "text", ["O = A[m+M]", "O = A[M*g+2*m]", "O = A[M*M*g+m]", "O = A[M*(g//2)+m]", "O = A[M*g]"]
)
def test_an_extent_does_not_follow_from_its_own_name_elsewhere(text):
    sizes = {"g": 2} if "g" in text else None
    with pytest.raises(EinsumError, match=r"rank m has no size|constant M has no value"):
        make_spec(text, sizes=sizes).extents({"A": (8,)})


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9))
def test_a_result_holds_every_place_that_is_written(p, r, tiles):
    found = solved("O[3*p+r,t*p//P] += A[p,r]", {"A": (p, r)}, consts={"t": tiles})
    first = [3 * i + j for i in range(p) for j in range(r)]
    second = [tiles * i // p for i in range(p)]
    expected = (max(first, default=-1) + 1, max(second, default=-1) + 1)
    assert found.shapes["O"] == expected
    assert found.constants == {"P": p}


def test_a_cascade_hands_its_results_on():
    found = solved(
        "W[c,4*p//P,4*q//Q] += nz[c,p,q,r]\nC[c] max= W[c,i,j]\nE += C[c]", {"nz": (2, 13, 3, 5)}
    )
    assert found.shapes == {"nz": (2, 13, 3, 5), "W": (2, 4, 3), "C": (2,), "E": ()}
    assert found.ranks == {"c": 2, "p": 13, "q": 3, "r": 5, "i": 4, "j": 3}
    assert found.constants == {"P": 13, "Q": 3}


def test_a_later_line_may_fix_a_rank_of_an_earlier_one():
    found = solved("A[p] = I[p+r]\nB[p,r] = J[p,r]", {"I": (9,), "J": (4, 2)})
    assert found.ranks == {"p": 4, "r": 2}


def test_the_smallest_of_two_windows_counts():
    assert solved("O[p] = I[p+1] * J[p+3]", {"I": (9,), "J": (9,)}).ranks == {"p": 6}


@pytest.mark.parametrize("extent", [0, 1])
def test_extents_0_and_1(extent):
    shapes = {"A": (extent, 3), "x": (3,)}
    assert solved("y[i] = A[i,j] * x[j]", shapes).shapes["y"] == (extent,)
    assert solved("y[j] = A[i,j]", {"A": (extent, 3)}).shapes["y"] == (3,)


def test_sizes_by_rank_or_by_extent():
    shapes = {"B": (2,)}
    for sizes in ({"n": 3}, {"N": 3}):
        assert solved("O[n,m] = B[m]", shapes, sizes=sizes).shapes["O"] == (3, 2)
    assert solved("O[p] = I[P-1-p]", {"I": (4,)}, sizes={"p": 4}).constants == {"P": 4}
    # An unread tail is legal.
    assert solved("O[p] = I[p+r] * F[r]", {"I": (9,), "F": (2,)}, sizes={"p": 3}).ranks["p"] == 3


def test_sizes_of_bare_extents():
    found = solved("D[c,4*p//P] += N*M*X[c,p]", {"X": (2, 5)}, sizes={"n": 2, "M": 3})
    assert found.constants == {"P": 5, "N": 2, "M": 3}
    assert found.shapes["D"] == (2, 4)


def test_a_scalar_operand_has_no_axes():
    spec = make_spec("O[i] = alpha*A[i]")
    assert spec.operands == ("alpha", "A")
    assert spec.extents({"alpha": (), "A": (3,)}).shapes == {"alpha": (), "A": (3,), "O": (3,)}


def test_the_shape_of_a_result_may_be_given():
    assert solved("O[n,m] = B[m]", {"B": (2,), "O": (5, 2)}).ranks == {"n": 5, "m": 2}
    found = solved("O[2*p] = I[p]", {"I": (3,), "O": (6,)})
    assert found.shapes["O"] == (6,)
