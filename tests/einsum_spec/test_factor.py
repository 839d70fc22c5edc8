"""Factored cascades give the same integers, cost less, and print as text."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.factor import factor, factor_all
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.einsum_spec.tree import Access, Affine, Floor, Monomial, Var
from zeroskip.einsum_spec.walk import variables

# ---- a writer and a judge that share nothing with factor --------------------------------


def affine(text: str) -> Affine:
    """``p``, ``2*p+r`` or ``4*p//P`` as a subscript."""
    if "//" in text:
        inner, divisor = text.split("//")
        return Affine(((Monomial(1), Floor(affine(inner), Monomial(1, (divisor,)))),))
    terms = []
    for part in text.split("+"):
        *number, name = part.split("*")
        terms.append((Monomial(int(number[0]) if number else 1), Var(name)))
    return Affine(tuple(terms))


def access(text: str) -> Access:
    name, _, rest = text.partition("[")
    subscripts = rest.rstrip("]")
    return Access(name, tuple(affine(s) for s in subscripts.split(",")) if subscripts else ())


def line(target: str, *operands: str, reduction: str | None = "+", number: int = 1) -> Form:
    accesses = tuple(access(o) for o in operands)
    left = {v for s in access(target).subscripts for v in variables(s)}
    right = tuple(
        dict.fromkeys(
            v for a in accesses for s in a.subscripts for v in variables(s) if v not in left
        )
    )
    implicit = () if reduction else right
    term = Term(number, (), accesses, implicit)
    return Form(access(target), reduction, None, (term,), right if reduction else ())


def value_of(subscript: Affine, at: dict[str, int], sizes: dict[str, int]) -> int:
    total = 0
    for coefficient, atom in subscript.terms:
        if isinstance(atom, Floor):
            divisor = atom.divisor.value * prod(sizes[n.lower()] for n in atom.divisor.names)
            inner = value_of(atom.inner, at, sizes) // divisor
        else:
            inner = at[atom.name]
        total += coefficient.value * inner
    return total


def run(
    forms: tuple[Form, ...], operands: dict[str, np.ndarray], sizes: dict[str, int]
) -> tuple[dict[tuple[int, ...], int], int]:
    """The last line by visiting every point, as a dict of coordinates without zeros; and
    the cost: operands read, over all points of all lines."""
    values: dict[str, dict[tuple[int, ...], int]] = {
        name: {c: int(v) for c, v in np.ndenumerate(x)} for name, x in operands.items()
    }
    shapes = {name: x.shape for name, x in operands.items()}
    sizes, cost = dict(sizes), 0
    for form in forms:
        result: dict[tuple[int, ...], int] = {}
        for term in form.terms:
            held = [(a, s) for a in (form.target, *term.accesses) for s in a.subscripts]
            for a in term.accesses:
                for s, size in zip(a.subscripts, shapes[a.tensor], strict=True):
                    if len(s.terms) == 1 and isinstance(s.terms[0][1], Var):
                        sizes.setdefault(s.terms[0][1].name, size)
            spanned = list(dict.fromkeys(v for _, s in held for v in variables(s)))
            for point in product(*(range(sizes[v]) for v in spanned)):
                at = dict(zip(spanned, point, strict=True))
                cost += max(1, len(term.accesses))
                total = term.number * prod(values[s].get((), 0) for s in term.scalars)
                for a in term.accesses:
                    where = tuple(value_of(s, at, sizes) for s in a.subscripts)
                    total *= values[a.tensor].get(where, 0)
                place = tuple(value_of(s, at, sizes) for s in form.target.subscripts)
                result[place] = result.get(place, 0) + total
        name = form.target.tensor
        values[name] = result
        axes = range(len(form.target.subscripts))
        shapes[name] = tuple(1 + max((c[i] for c in result), default=-1) for i in axes)
    return {c: v for c, v in values[forms[-1].target.tensor].items() if v}, cost


# ---- by value ---------------------------------------------------------------------------

CONV = line("W[c,4*p//P,4*q//Q]", "A[n,c,2*p+r,2*q+s]", "F[m,c,r,s]")
CONV_SIZES = {"n": 2, "m": 3, "c": 3, "p": 5, "q": 4, "r": 2, "s": 3}


def names(form: Form) -> tuple[str, list[str], list[str]]:
    term = form.terms[0]
    of = [v for s in form.target.subscripts for v in variables(s)]
    return form.target.tensor, of, [a.tensor for a in term.accesses]


def test_work_of_each_pe_sums_each_operand_first() -> None:
    first, second, last = factor(CONV, CONV_SIZES)
    assert names(first) == ("T0", ["c", "r", "s"], ["F"])
    assert first.reduced == ("m",)
    assert names(second) == ("T1", ["c", "r", "s", "p", "q"], ["A"])
    assert second.target.subscripts[3:] == CONV.target.subscripts[1:]
    assert second.reduced == ("n",)
    assert names(last) == ("W", ["c", "i", "j"], ["T1", "T0"])
    assert last.reduced == ("r", "s")


def test_work_of_each_pe_is_cheaper_and_equal() -> None:
    rng = np.random.default_rng(0)
    operands = {
        "A": rng.integers(0, 2, (2, 3, 10, 9)),
        "F": rng.integers(0, 2, (3, 3, 2, 3)),
    }
    value, cost = run(factor(CONV, CONV_SIZES), operands, CONV_SIZES)
    plain, plain_cost = run((CONV,), operands, CONV_SIZES)
    assert value == plain
    assert cost < plain_cost / 2


def test_without_extents_the_number_of_variables_decides() -> None:
    first, second, last = factor(CONV)
    assert names(first) == ("T0", ["c", "r", "s", "p", "q"], ["A"])
    assert names(second) == ("T1", ["c", "r", "s"], ["F"])
    assert names(last) == ("W", ["c", "i", "j"], ["T0", "T1"])


def test_a_variable_the_target_holds_plainly_is_kept() -> None:
    form = line("Z[m,n]", "A[m,k]", "B[k,n]")
    assert factor(form) == (form,)


def test_a_floor_over_a_variable_of_both_operands_is_kept() -> None:
    form = line("W[4*k//K]", "A[m,k]", "B[k,n]")
    *_, last = factor(form)
    assert last.target == form.target


def test_a_floor_variable_that_also_stands_plainly_is_kept() -> None:
    form = line("W[p,4*p//P]", "A[p,r]", "B[r,m]")
    *_, last = factor(form)
    assert last.target == form.target


def test_a_temporary_without_axes_is_a_scalar() -> None:
    form = line("Z[c]", "A[i,j]", "B[c,k]")
    first, *_, last = factor(form)
    assert first.target == Access("T0", ())
    assert "T0" in last.terms[0].scalars
    operands = {"A": np.array([[1, 2], [3, 4]]), "B": np.array([[1, 5], [0, 2]])}
    sizes = {"i": 2, "j": 2, "c": 2, "k": 2}
    assert run(factor(form), operands, sizes)[0] == {(0,): 60, (1,): 20}


def test_three_operands_are_multiplied_in_pairs() -> None:
    form = line("Z[i,j]", "A[i,k]", "B[k,l]", "C[l,j]")
    first, last = factor(form)
    assert len(first.terms[0].accesses) == 2
    assert len(last.terms[0].accesses) == 2


def test_the_cheaper_pair_goes_first() -> None:
    form = line("Z[i,j]", "A[i,k]", "B[k,l]", "C[l,j]")
    thin_end = factor(form, {"i": 50, "k": 50, "l": 50, "j": 1})
    thin_start = factor(form, {"i": 1, "k": 50, "l": 50, "j": 50})
    assert {a.tensor for a in thin_end[0].terms[0].accesses} == {"B", "C"}
    assert {a.tensor for a in thin_start[0].terms[0].accesses} == {"A", "B"}


def test_names_in_use_are_not_taken() -> None:
    form = line("W[i,4*p//P]", "T0[i,p,r]", "J[r,m,n]")
    forms = factor(form, taken=("T1",))
    made = [f.target.tensor for f in forms[:-1]]
    assert made
    assert not {"T0", "T1"} & set(made)
    assert not {"i", "j"} & {v for s in forms[-1].target.subscripts[1:] for v in variables(s)}


@pytest.mark.parametrize("reduction", ["max", "min", "*", "|", "&"])
def test_other_reductions_come_back_unchanged(reduction: str) -> None:
    form = line("Z[c]", "A[i,c]", "B[c,k]", reduction=reduction)
    assert factor(form) == (form,)


def test_terms_of_an_assignment_are_factored_apart() -> None:
    a = line("Z[c]", "A[i,c]", "B[c,k]", reduction=None).terms[0]
    bias = Term(1, (), (access("D[c]"),), ())
    form = Form(access("Z[c]"), None, "relu", (bias, a), ())
    *made, last = factor(form)
    assert len(made) >= 1
    assert last.post == "relu"
    assert last.terms[0] == bias
    assert last.reduction is None


def test_a_shared_temporary_is_made_once() -> None:
    second = line("V[c,4*p//P,4*q//Q]", "A[n,c,2*p+r,2*q+s]", "G[m,c,r,s]")
    forms = factor_all((CONV, second), CONV_SIZES)
    assert [f.target.tensor for f in forms] == ["T0", "T1", "W", "T2", "V"]
    assert [a.tensor for a in forms[-1].terms[0].accesses] == ["T1", "T2"]


def test_nothing_is_shared_where_an_operand_changes() -> None:
    changed = line("A[n,c,h,w]", "E[n,c,h,w]")
    second = line("V[c,4*p//P,4*q//Q]", "A[n,c,2*p+r,2*q+s]", "G[m,c,r,s]")
    forms = factor_all((CONV, changed, second), CONV_SIZES)
    reads_a = [f for f in forms if any(a.tensor == "A" for a in f.terms[0].accesses)]
    assert len(reads_a) == 2


def test_a_tile_takes_the_name_by_which_the_cascade_reads_it() -> None:
    reader = line("S[c]", "W[c,x,y]")
    forms = factor_all((CONV, reader), CONV_SIZES)
    work = next(form for form in forms if form.target.tensor == "W")
    assert work.target == access("W[c,x,y]")


def test_a_factored_cascade_prints_as_text_that_parses_back() -> None:
    spec = make_spec("W[c,4*p//P] += A[n,c,2*p+r]*F[m,c,r]; total += W[c,i]")
    forms = factor_all(spec.forms)
    text = "\n".join(map(form_text, forms))
    assert text.splitlines() == [
        "T0[c,r,4*p//P] += A[n,c,2*p+r]",
        "T1[c,r] += F[m,c,r]",
        "W[c,i] += T0[c,r,i]*T1[c,r]",
        "total += W[c,i]",
    ]
    assert make_spec(text).forms == forms


# ---- by property ------------------------------------------------------------------------

VARIABLES = "abcdef"


@st.composite
def products(draw: st.DrawFn) -> tuple[Form, dict[str, int], dict[str, np.ndarray]]:
    sizes = {v: draw(st.integers(0, 3)) for v in VARIABLES}
    count = draw(st.integers(1, 3))
    operands, arrays = [], {}
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    for i in range(count):
        axes = draw(st.lists(st.sampled_from(VARIABLES), max_size=3, unique=True))
        shape = [sizes[v] for v in axes]
        written = list(axes)
        if axes and draw(st.booleans()):  # an affine axis, long enough for every point
            other = draw(st.sampled_from(VARIABLES))
            if other != axes[0]:
                written[0] = f"2*{axes[0]}+{other}"
                shape[0] = 2 * sizes[axes[0]] + sizes[other]
        operands.append(f"X{i}[{','.join(written)}]")
        arrays[f"X{i}"] = rng.integers(-2, 3, shape)
    held = sorted({v for o in operands for v in o if v in VARIABLES})
    left = draw(st.lists(st.sampled_from(held), max_size=3, unique=True)) if held else []
    target = [f"4*{v}//{v.upper()}" if draw(st.booleans()) else v for v in left]
    return line(f"Z[{','.join(target)}]", *operands), sizes, arrays


@given(products(), st.booleans())
def test_factored_equals_unfactored(
    case: tuple[Form, dict[str, int], dict[str, np.ndarray]], told: bool
) -> None:
    form, sizes, arrays = case
    forms = factor(form, sizes if told else None)
    assert forms[-1].target.tensor == "Z"
    value, cost = run(forms, arrays, sizes)
    plain, plain_cost = run((form,), arrays, sizes)
    assert value == plain
    if told and 0 not in sizes.values():
        assert cost <= plain_cost
