"""`Spec`: what a layer is, when two are the same, and how many operations they take."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.einsum_spec import Ops, make_spec, parse
from zeroskip.einsum_spec.elaborate import elaborate
from zeroskip.errors import EinsumError

CONV = "O[n,m,p,q] = relu(B[m] + I[n,c,U*p+r,U*q+s] * F[m,c,r,s])"


def test_what_a_spec_holds():
    spec = make_spec(CONV, consts={"U": 2}, pad=1)
    assert spec.operands == ("B", "I", "F")
    assert spec.results == ("O",)
    assert spec.ranks == ("n", "m", "p", "q", "c", "r", "s")
    assert spec.text == str(spec) == CONV
    assert spec.program == parse(CONV)
    assert spec.forms == (elaborate(parse(CONV).statements[0], {"U": 2}),)
    assert spec.explicit == ("O[n,m,p,q] = relu(B[m] + sum[c,r,s](I[n,c,U*p+r,U*q+s]*F[m,c,r,s]))")
    assert repr(spec) == (
        f"Spec({CONV!r}, consts={{'U': 2}}, pad={{'I': {{2: (1, 1), 3: (1, 1)}}}})"
    )


def test_its_repr_makes_an_equal_spec():
    spec = make_spec(CONV, consts={"U": 2}, sizes={"p": 3}, pad={"I": {"h": (0, 1)}})
    assert eval(repr(spec), {"Spec": make_spec}) == spec


def test_operands_of_a_cascade_are_what_no_line_writes():
    spec = make_spec("W[c,4*p//P] += A[c,p]*B*N\nC[c] max= W[c,i]*alpha", sizes={"n": 2})
    assert spec.operands == ("A", "B", "alpha")
    assert spec.results == ("W", "C")


def test_specs_are_values():
    spec = make_spec(CONV, consts={"U": 2})
    shapes = {"I": (1, 2, 9, 9), "F": (3, 2, 3, 3), "B": (3,)}
    found = spec.extents(shapes)
    assert spec.extents(shapes) is found
    for twin in (pickle.loads(pickle.dumps(spec)), copy.deepcopy(spec)):
        assert twin == spec
        assert hash(twin) == hash(spec)
        assert twin.extents(shapes) == found
    with pytest.raises(AttributeError):
        spec.text = "y[i] = x[i]"  # type: ignore[misc]


def test_the_way_from_text_to_extents_imports_no_sympy():
    code = (
        "import sys\n"
        "from zeroskip.einsum_spec import make_spec\n"
        "spec = make_spec('O[p] = I[U*p+r] * F[r]', {'U': 2}, pad=1)\n"
        "spec.extents({'I': (9,), 'F': (3,)}); spec.ops({'I': (9,), 'F': (3,)}); hash(spec)\n"
        "print(sorted({'sympy', 'scipy', 'numpy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# ---- equality ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # the book's letters and those of the rest of the literature
        (
            "O[n,m,p,q] = I[n,c,2*p+r,2*q+s] * F[m,c,r,s]",
            "O[n,k,e,f] = sum[c,r,s](F[k,c,r,s] * I[n,c,r+2*e,2*f+s])",
        ),
        ("O[n,c,p,q] = I[n,c,p+r,q+s]", "O[n,k,x,y] = I[n,k,x+h,y+w]"),
        ("W[c,4*p//P] += X[c,p]", "W[k,4*e//E] += X[k,e]"),
        ("C[i,j] = A[i,k]*A[k,j]", "C[a,b] = A[z,b]*A[a,z]"),
        ("O = A[i,j]*A[j,k]*A[k,i]", "O = A[x,y]*A[z,x]*A[y,z]"),
        ("T[i] = A[i,k]\nO = T[i]*N*B[n]", "T[u] = A[u,v]\nO = T[u]*W*B[w]"),
        ("O[p] = A[P-1-p]", "O[e] = A[E-1-e]"),
        ("O[m] = max[k](A[m,k])", "O[i] max= A[i,j]"),
        ("O[p] = I[p+r]*F[r]", "O[r] = F[p]*I[r+p]"),
    ],
)
def test_equal_up_to_names_of_ranks(one, other):
    a, b = make_spec(one), make_spec(other)
    assert a == b
    assert hash(a) == hash(b)
    assert a.canonical() == b.canonical()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C[i,j] = A[i,k]*A[k,j]", "C[i,j] = A[k,i]*A[k,j]"),
        ("C[i,j] = A[i,k]*A[k,j]", "C[j,i] = A[i,k]*A[k,j]"),
        ("O[p] = I[2*p+r]*F[r]", "O[p] = I[p+2*r]*F[r]"),
        ("O[i] = A[i]", "O[i] = B[i]"),
        ("O[i] = A[i]*N", "O[i] = A[i]*a"),
        ("O[i] = A[i,k]", "O[i] += A[i,k] "),
        ("O[i] = relu(A[i])", "O[i] = A[i]"),
        ("W[c,4*p//P] += X[c,p]", "W[c,4*p//C] += X[c,p]"),
        ("T[i] = A[i,k]\nO = T[i]*B[i]", "T[i] = A[i,k]\nO = T[i]*B[k]"),
    ],
)
def test_different_layers_differ(one, other):
    assert make_spec(one) != make_spec(other)


def test_constants_sizes_and_padding_count():
    text = "O[p] = I[U*p+r]*F[r]"
    one = make_spec(text, {"U": 2}, pad=1)
    assert one == make_spec("O[e] = F[k]*I[2*e+k]", pad={"I": (1, 1)})
    assert one != make_spec(text, {"U": 3}, pad=1)
    assert one != make_spec(text, {"U": 2})
    assert one != make_spec(text, {"U": 2}, sizes={"p": 3}, pad=1)
    sized = make_spec(text, {"U": 2}, sizes={"P": 3}, pad=1)
    assert sized == make_spec("O[e] = I[2*e+k]*F[k]", sizes={"e": 3}, pad=1)
    assert one != "O[p] = I[U*p+r]*F[r]"


@given(st.permutations("nmcpqrs"), st.randoms(use_true_random=False))
def test_any_renaming_and_order_is_the_same_layer(letters, random):
    text = "O[n,m,p,q] = {}"
    factors = ["I[n,c,2*p+r,3*q+s]", "F[m,c,r,s]", "F[m,c,r,r]", "G[q,p]"]
    plain = make_spec(text.format("*".join(factors)) + " + B[m]")
    random.shuffle(factors)
    table = str.maketrans("nmcpqrs", "".join(letters))
    renamed = (text.format("B[m] + " + "*".join(factors))).translate(table)
    assert make_spec(renamed) == plain


# ---- counts -----------------------------------------------------------------------------


def test_operations_of_a_convolution():
    spec = make_spec("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", pad=1)
    shapes = {"I": (2, 3, 8, 8), "F": (4, 3, 3, 3)}
    macs = 2 * 4 * 8 * 8 * 3 * 3 * 3
    assert spec.ops(shapes) == Ops(macs, macs - 2 * 4 * 8 * 8)


@pytest.mark.parametrize(
    ("text", "ops"),
    [
        ("y[i] = A[i,j]*x[j]", Ops(12, 9)),
        ("y[i] += A[i,j]*x[j]", Ops(12, 9)),
        ("y[i] = A[i,j]*x[j] + b[i]", Ops(12, 12)),
        ("y[i] = 2*A[i,j]*x[j]*a", Ops(12 + 6, 9)),
        ("y[i] = -A[i,j]", Ops(0, 9)),
        ("y[i] max= A[i,j]", Ops(0, 0, 9)),
        ("y[i] *= A[i,j]", Ops(9, 0)),
        ("y = x[j]*x[j]*x[j]", Ops(8, 3)),
        ("y[i] = A[i,j]\nz max= y[i]", Ops(0, 9, 2)),
    ],
)
def test_operations(text, ops):
    spec = make_spec(text)
    every = {"A": (3, 4), "x": (4,), "b": (3,), "a": ()}
    assert spec.ops({name: every[name] for name in spec.operands}) == ops


def test_operations_of_a_scatter():
    spec = make_spec("O[2*p+r] += I[p]*F[r]")
    written = {2 * p + r for p, r in product(range(4), range(3))}
    assert spec.ops({"I": (4,), "F": (3,)}) == Ops(12, 12 - len(written))


# ---- what is refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        (
            "O[n] = A[n]",
            {"consts": {"U": 2}},
            "consts names U, which is no constant of this Einsum; constants: none\n"
            "  O[n] = A[n]\n"
            "The extent of a rank is given in sizes.",
        ),
        (
            "O[n] = A[n]",
            {"sizes": {"z": 2}},
            "sizes names z, which is no rank\n  O[n] = A[n]\nRanks: n.",
        ),
        ("O[n] = a*A[n]", {"consts": {"a": "2"}}, "constant a: expected a number, found '2'"),
        ("O[n] = a*A[n]", {"consts": {"a": True}}, "constant a: expected a number, found True"),
        (
            "O[n] = a*A[n]",
            {"consts": {"a": float("nan")}},
            "constant a: expected a number, found nan",
        ),
        ("O[n] = a*A[n]", {"consts": {"a b": 2}}, "consts: expected a name, found 'a b'"),
        ("O[n] = A[n]", {"sizes": {"n": 2.0}}, "size of n: expected a whole number, found 2.0"),
        ("O[n] = A[n]", {"sizes": {"n": -1}}, "size of n: expected 0 to 2**40, found -1"),
        (
            "O[n] = A[n]\nO[m] = B[m]",
            {},
            "O is written by two lines\n  O[n] = A[n]\n  ^^^^\nGive each result a name of its own.",
        ),
        (
            "O[n] = A[n]*O[n]",
            {},
            "O is read before its line has written it\n"
            "  O[n] = A[n]*O[n]\n"
            "              ^^^^\n"
            "Put the line that writes it first; no line reads its own result.",
        ),
        ("A[n] = B[n]\nB[n] = C[n]", {}, "B is read before its line has written it"),
        ("A = E*B[n]\nE = C[n]", {}, "E is read before its line has written it"),
        (
            "O[n,N] = A[n,N]*N",
            {},
            "ranks n and N differ in case only; N names the extent of both",
        ),
    ],
)
def test_refused(text, options, expected):
    with pytest.raises(EinsumError) as caught:
        make_spec(text, **options)
    assert str(caught.value).startswith(expected)


def test_what_is_neither_text_nor_eq_is_refused():
    with pytest.raises(
        EinsumError, match="expected the text of an Einsum or a SymPy Eq, found int"
    ):
        make_spec(3)


def test_numbers_of_numpy_are_numbers():
    np = pytest.importorskip("numpy")
    spec = make_spec("O[p] = a*I[U*p]", {"U": np.int32(2), "a": np.float32(0.5)})
    assert spec == make_spec("O[p] = 0.5*I[2*p]")


def test_a_size_may_be_that_of_a_reduction_inside_a_function():
    spec = make_spec("O[p] = sqrt(sum[r](I[p+r]*I[p+r]))", sizes={"r": 3})
    assert spec.extents({"I": (10,)}).shapes["O"] == (8,)
