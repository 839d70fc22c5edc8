"""Subscripts: normal form, bounds and injective targets, against enumeration."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise, product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.elaborate import elaborate
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.subscripts import fold, rename
from zeroskip.einsum_spec.targets import check_target_extents
from zeroskip.einsum_spec.tree import Affine, Floor, Monomial, Var
from zeroskip.einsum_spec.walk import bounds, constants, single, variables
from zeroskip.errors import EinsumError

RANKS = {"p": 5, "q": 3, "r": 2}
CONSTS = {"U": 2, "D": 3}


def subscript(text: str) -> Affine:
    (part,) = parse(f"O[{text}] = A[p,q,r]", CONSTS).statements[0].target.subscripts
    return part


def at(part: Affine, values: dict[str, int]) -> int:
    """The subscript's value at a point: the judge, which knows Python's own arithmetic only."""

    def times(monomial: Monomial) -> int:
        total = monomial.value
        for name in monomial.names:
            total *= values[name]
        return total

    total = sum(times(m) for m in part.offset)
    for monomial, atom in part.terms:
        if isinstance(atom, Floor):
            total += times(monomial) * (at(atom.inner, values) // times(atom.divisor))
        else:
            total += times(monomial) * values[atom.name]
    return total


def points():
    for place in product(*(range(extent) for extent in RANKS.values())):
        yield dict(zip(RANKS, place, strict=True)) | CONSTS


@st.composite
def texts(draw: st.DrawFn, depth: int = 2) -> str:
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        factor = draw(st.sampled_from(["", "2*", "3*", "-", "-4*", "U*", "D*U*"]))
        atom = draw(st.sampled_from(["p", "q", "r"]))
        if depth and draw(st.booleans()):
            divisor = draw(st.sampled_from(["2", "4", "U", "(2*D)"]))
            atom = f"(({draw(texts(depth - 1))})//{divisor})"
        parts.append(factor + atom)
    offset = draw(st.sampled_from(["", "+1", "-4", "+U", "-2*D+6"]))
    return "+".join(f"({part})" for part in parts) + offset


@given(texts())
def test_folding_keeps_every_value(text):
    try:
        part = subscript(text)
    except EinsumError as error:
        assume("two coefficients" not in str(error) and " cancels in " not in str(error))
        raise
    try:
        folded = fold(part, CONSTS)
        half = fold(part, {"U": 2})
    except EinsumError as error:
        assume("two coefficients" not in str(error))
        raise
    assert not list(constants(folded))
    assert "U" not in list(constants(half))
    assert fold(folded, {}) == folded
    for point in points():
        assert at(folded, point) == at(half, point) == at(part, point)


@given(texts())
def test_a_variable_that_cancels_is_one_that_changes_nothing(text):
    """What is refused for p reads the same place at every p."""
    try:
        subscript(text)
    except EinsumError as error:
        assume(" cancels in " in str(error))
        name = str(error).split()[0]
    else:
        return
    for point in points():
        assert len({eval(text, {**point, name: value}) for value in range(5)}) == 1


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("y[m] = h[m//2-(m//2)]*x[m]", "m cancels in a subscript that is 0 at every m"),
        ("y[m] = h[m-m]*x[m]", "m cancels in a subscript that is 0 at every m"),
        ("y[m] = h[k-k+1]*x[m]", "k cancels in a subscript that is 1 at every k"),
        ("y[m] = h[(m-m)//2]*x[m]", "m cancels in a subscript that is 0 at every m"),
        ("y[m] = h[m+r-m]*x[m]", "m cancels in a subscript that is r at every m"),
        ("y[m] = h[2*m//2-m]*x[m]", "m cancels in a subscript that is 0 at every m"),
        ("y[m] = h[a[m-m]]*x[m]", "m cancels in a subscript that is 0 at every m"),
        ("y[m-m] += x[m]", "m cancels in a subscript that is 0 at every m"),
        ("y[m] = h[Z*p+m]*x[m]", "p cancels in a subscript that is m at every p"),
    ],
)
def test_an_index_that_cancels_is_refused_and_named(text, rest):
    with pytest.raises(EinsumError, match=rf"^{re.escape(rest)}\n.*\n.*\^.*\nWrite "):
        elaborate(parse(text, {"Z": 0}).statements[0], {"Z": 0}, text=text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("r+U*p", "2*p+r"),
        ("q-p+1+D", "-p+q+4"),
        ("(p+4)//4", "p//4+1"),
        ("2*p//4", "p//2"),
        ("(4*p+q)//4", "p+q//4"),
        ("(p+U)//U", "p//2+1"),
        ("(p+7)//4", "(p+3)//4+1"),
        ("(p-1)//4", "(p+3)//4-1"),
        ("p//U//2", "(p//2)//2"),
        ("p+p//1", "2*p"),
        ("(U*p)//(2*D)", "p//3"),
    ],
)
def test_normal_form(text, normal):
    assert deparse(fold(subscript(text), CONSTS)) == normal


def test_names_that_divide_out():
    part = parse("O[V*p//(4*V), V*p//V] = A[p]").statements[0].target.subscripts
    assert [deparse(fold(p, {})) for p in part] == ["p//4", "p"]


def test_a_constant_that_cannot_stand_in_a_subscript_is_refused():
    with pytest.raises(EinsumError, match=r"constant U is 1\.5; a subscript takes integers"):
        fold(subscript("U*p"), {"U": 1.5})
    with pytest.raises(EinsumError, match="U divides and is 0"):
        fold(subscript("p//U"), {"U": 0})


def test_rename():
    part = rename(subscript("U*p+r//(2*U)"), lambda n: n + "1", lambda n: n.lower())
    assert deparse(part) == "u*p1+r1//(2*u)"


@given(texts())
def test_bounds_hold_every_value(text):
    try:
        part = fold(subscript(text), CONSTS)
    except EinsumError:
        assume(False)
    values = [at(part, point) for point in points()]
    low, high = bounds(part, RANKS, {})
    assert low <= min(values) <= max(values) <= high
    if max(Counter(variables(part)).values(), default=0) <= 1:
        assert (low, high) == (min(values), max(values))


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([-2, 1, 3]))
def test_bounds_of_a_remainder_are_exact(extent, divisor, factor):
    p = Var("p")
    floor = Floor(Affine(((Monomial(1), p),)), Monomial(divisor))
    part = Affine(((Monomial(factor), p), (Monomial(-factor * divisor), floor)))
    values = [factor * (place % divisor) for place in range(extent)]
    assert bounds(part, {"p": extent}, {}) == (min(values), max(values))


@given(
    st.integers(1, 60),
    st.lists(st.integers(2, 40), min_size=2, max_size=4, unique=True),
    st.sampled_from([1, 2, 3, 5]),
    st.sampled_from([-2, 1, 3]),
)
def test_bounds_of_remainders_of_remainders_are_exact(extent, sizes, block, factor):
    blocks = [size for size in sorted(sizes, reverse=True) if size > block]
    blocks = [b for b, inner in pairwise([*blocks, block]) if b % inner]  # else it changes nothing
    text, value = "p", lambda place: place
    for size in blocks:
        text, value = f"({text}-{size}*({text}//{size}))", lambda p, v=value, s=size: v(p) % s
    part = fold(subscript(f"({text})//{block}*{factor}"), {})
    values = [factor * (value(place) // block) for place in range(extent)]
    assert bounds(part, {"p": extent}, {}) == (min(values), max(values))


@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 4), st.sampled_from([-2, 1, 3]))
def test_bounds_of_a_block_in_a_larger_one_are_exact(extent, block, times, factor):
    inner, outer = (
        Floor(Affine(((Monomial(1), Var("p")),)), Monomial(n)) for n in (block, block * times)
    )
    part = Affine(((Monomial(factor), inner), (Monomial(-factor * times), outer)))
    values = [factor * (place // block % times) for place in range(extent)]
    assert bounds(part, {"p": extent}, {}) == (min(values), max(values))


def test_single():
    assert single(subscript("p")) == "p"
    assert [single(subscript(t)) for t in ("2*p", "p+1", "p+q", "3", "p//2")] == [None] * 5


# ---- targets ----------------------------------------------------------------------------


def refused(text: str, ranks: dict[str, int]) -> bool:
    (statement,) = parse(text).statements
    try:
        check_target_extents(elaborate(statement), ranks, {k.upper(): v for k, v in ranks.items()})
    except EinsumError as error:
        if "more than once" in str(error):
            return True
        raise
    return False


@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 2)
)
def test_two_variables_are_judged_exactly(a, b, p, r, offset):
    assume(a != b)
    places = [a * i + b * j + offset for i in range(p) for j in range(r)]
    expected = len(set(places)) < len(places)
    assert refused(f"O[{a}*p+{b}*r+{offset}] = A[p,r]", {"p": p, "r": r}) == expected


@given(st.lists(st.integers(1, 12), min_size=3, max_size=3, unique=True), st.data())
def test_what_is_accepted_hits_no_place_twice(factors, data):
    ranks = {name: data.draw(st.integers(1, 3)) for name in "pqr"}
    text = "+".join(f"{f}*{n}" for f, n in zip(factors, "pqr", strict=True))
    if not refused(f"O[{text}] = A[p,q,r]", ranks):
        part = fold(subscript(text), {})
        values = [
            at(part, dict(zip("pqr", place, strict=True)))
            for place in product(*(range(n) for n in ranks.values()))
        ]
        assert len(set(values)) == len(values)


@pytest.mark.parametrize(
    "text",
    [
        "O[i,i] = A[i]",
        "O[2*i+1] = A[i]",
        "O[p+r,r] = A[p,r]",
        "O[p+r,p-r] = A[p,r]",
        "O[R*p+r] = A[p,r]",
        "O[p//4,p-4*(p//4)] = A[p]",
        "O[3] = A[i]",
        "O[p+r] += A[p,r]",
        "O[4*p//P] max= A[p]",
    ],
)
def test_targets_that_are_hit_once_or_say_how(text):
    assert not refused(text, {"p": 5, "r": 3, "i": 4})


@pytest.mark.parametrize(
    ("text", "part", "names"),
    [
        ("O[p+r] = A[p] * F[r]", "p+r", "p and r"),
        ("O[n,4*p//P] = A[n,p]", "4*p//P", "p"),
        ("O[p-r,3] = A[p,r]", "", ""),
        ("O[p//2,p//3] = A[p]", "p//2", "p"),
        ("O[q+r,q+r] = A[q,r]", "q+r", "q and r"),
        ("O[2*p+r] = max[k](A[p,r,k])", "2*p+r", "p and r"),
    ],
)
def test_targets_that_are_hit_twice_are_refused(text, part, names):
    (statement,) = parse(text).statements
    if not part:  # the factors 1 and -1 differ, so that only the extents tell
        assert refused(text, {"p": 2, "r": 2})
        return
    with pytest.raises(EinsumError) as caught:
        elaborate(statement, text=text)
    where = text.index(part)
    assert str(caught.value) == (
        f"= writes some places of O more than once: {part} is the same for several {names}\n"
        f"  {text}\n  {' ' * where}{'^' * len(part)}\n"
        "Say how they combine: += adds them up, max= keeps the largest."
    )
