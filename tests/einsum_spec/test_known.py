"""Extents that contradict each other or stay unknown, constants without a value: what is said."""

from __future__ import annotations

import pytest

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import EinsumError


def failure(text: str, shapes: dict[str, tuple[int, ...]], **options: object) -> str:
    with pytest.raises(EinsumError) as caught:
        make_spec(text, **options).extents(shapes)
    return str(caught.value)


def test_a_conflict_names_both_tensors_axes_shapes_and_sizes():
    assert failure("y[i] = A[i,j] * x[j]", {"A": (3, 4), "x": (5,)}) == (
        "rank j has two sizes: 4 in A (axis 1 of shape (3, 4)), 5 in x (axis 0 of shape (5,))\n"
        "  y[i] = A[i,j] * x[j]\n"
        "             ^      ^\n"
        "Pass an x of length 4, or rename its rank: x[k]."
    )


@pytest.mark.parametrize(
    ("text", "shapes", "options", "expected"),
    [
        (
            "O[n,m] = I[n,c] * F[m,c]",
            {"I": (2, 3), "F": (4, 5)},
            {},
            "rank c has two sizes: 3 in I (axis 1 of shape (2, 3)), 5 in F (axis 1 of shape (4, 5))"
            "\n  O[n,m] = I[n,c] * F[m,c]\n"
            "               ^        ^\n"
            "Pass an F with 3 on axis 1, or rename its rank: F[m,k].",
        ),
        (
            "y[i] = A[i,i]",
            {"A": (3, 4)},
            {},
            "rank i has two sizes: 3 in A (axis 0 of shape (3, 4)), 4 in A (axis 1 of shape (3, 4))"
            "\n  y[i] = A[i,i]\n           ^ ^\n"
            "Pass an A with 3 on axis 1, or rename its rank: A[k,k].",
        ),
        (
            "y[i] = x[i]",
            {"x": (3,)},
            {"sizes": {"i": 4}},
            "rank i has two sizes: 4 in sizes, 3 in x (axis 0 of shape (3,))\n"
            "  y[i] = x[i]\n           ^\n"
            "Pass an x of length 4, or rename its rank: x[k].",
        ),
        (
            "O[p] = I[p] * J[p]",
            {"I": (3,), "J": (3,)},
            {"pad": {"I": {0: 1}}},
            "rank p has two sizes: 5 in I (axis 0 of shape (3,), padded by 1 and 1), "
            "3 in J (axis 0 of shape (3,))",
        ),
        (
            "y[i] = A[i,j] * x[j]",
            {"A": (3, 4)},
            {},
            "operand x is missing\n  y[i] = A[i,j] * x[j]\n                  ^^^^\nPass x, 1 axis.",
        ),
        (
            "y[i] = A[i,j] * x[j]",
            {"A": (3, 4), "x": (4,), "z": (4,)},
            {},
            "z is no operand of this Einsum\nOperands: A, x.",
        ),
        (
            "y[i] = A[i,j] * x[j]",
            {"A": (3, 4, 2), "x": (4,)},
            {},
            "A has 2 axes in the Einsum, but its shape is (3, 4, 2)\n"
            "  y[i] = A[i,j] * x[j]\n"
            "         ^^^^^^\n"
            "Pass an A of 2 axes, or change its subscripts.",
        ),
        (
            "y[i] = A[i] * A[i,j]",
            {"A": (3,)},
            {},
            "A has 1 axis here and 2 axes there\n"
            "  y[i] = A[i] * A[i,j]\n"
            "         ^^^^   ^^^^^^\n"
            "Give one of the two tensors another name.",
        ),
        (
            "y[i] = A[i] + A",
            {"A": (3,)},
            {},
            "A stands without subscripts, and as a tensor of 1 axis",
        ),
        (
            "y[i] = a * x[i]",
            {"x": (3,)},
            {},
            'a has no value\nGive it: consts={"a": 2}, or pass a as an operand of no axes.',
        ),
        (
            "y[i] = a * x[i]",
            {"x": (3,), "a": (3,)},
            {},
            "a has no axes in the Einsum, but its shape is (3,)\n"
            "Pass one number, or subscript it: a[i].",
        ),
        (
            "y[i] = N * x[i,n]",
            {"x": (3, 2), "N": ()},
            {},
            "N is no operand of this Einsum\n"
            "N is a constant or the extent of a rank here; rename the operand.",
        ),
        (
            "O[p] = I[U*p+r] * F[r]",
            {"I": (9,), "F": (3,)},
            {},
            "constant U has no value\n"
            "  O[p] = I[U*p+r] * F[r]\n"
            "           ^^^^^\n"
            'Give it: consts={"U": 2}.',
        ),
        (
            "O[n,m] = B[m]",
            {"B": (3,)},
            {},
            "rank n has no size: it stands on the left only\n"
            "  O[n,m] = B[m]\n"
            "    ^\n"
            'Give it: sizes={"n": 3}.',
        ),
        (
            "O[p] = I[p+r]",
            {"I": (9,)},
            {},
            "rank p has no size: it follows from no operand\n"
            "  O[p] = I[p+r]\n"
            "    ^      ^^^\n"
            'Give it: sizes={"p": 3}.',
        ),
        (
            "O[p] = I[2*p+r] * F[r]",
            {"I": (2,), "F": (3,)},
            {},
            "no p fits: 2*p+r with r of extent 3 reaches past the end of I (axis 0 of shape (2,))\n"
            "  O[p] = I[2*p+r] * F[r]\n"
            "           ^^^^^\n"
            'Pad it: pad={"I": {0: 1}}, or take a smaller window.',
        ),
        (
            "O[p] = I[p] * I[p+1]",
            {"I": (4,)},
            {},
            "p+1 reads places 1 to 4 of axis 0 of I, which has 4\n"
            "  O[p] = I[p] * I[p+1]\n"
            "                  ^^^\n"
            'Pad it: pad={"I": {0: (0, 1)}}.',
        ),
        (
            "O[p] = I[p+r-1] * F[r]",
            {"I": (4,), "F": (3,)},
            {},
            "p+r-1 reads places -1 to 3 of axis 0 of I, which has 4\n"
            "  O[p] = I[p+r-1] * F[r]\n"
            "           ^^^^^\n"
            "Subscripts start at 0, the first padded place: write p+r and pad, not p+r-1.",
        ),
        (
            "O[i] = A[5,i]",
            {"A": (3, 2)},
            {},
            "5 reads places 5 to 5 of axis 0 of A, which has 3",
        ),
        (
            "O[p-1] = A[p]",
            {"A": (3,)},
            {},
            "p-1 writes places -1 to 1 of axis 0 of O, which has 2\n"
            "  O[p-1] = A[p]\n"
            "    ^^^\n"
            "Every place that is written must lie in the result.",
        ),
        (
            "O[2*p] = A[p]",
            {"A": (3,), "O": (4,)},
            {},
            "2*p writes places 0 to 4 of axis 0 of O, which has 4",
        ),
        (
            "O[2*p+r] = A[p,r]",
            {"A": (3, 3)},
            {},
            "= writes some places of O more than once: 2*p+r is the same for several p and r",
        ),
        (
            "O[p//V] += A[p]",
            {"A": (3,), "B": (0,)},
            {"sizes": {"v": 0}},
            "B is no operand of this Einsum",
        ),
        (
            "O[p//V] += A[p]",
            {"A": (3,)},
            {"sizes": {"v": 0}},
            "V divides in a subscript and is 0\n  O[p//V] += A[p]\n    ^^^^\nGive it 1 or more.",
        ),
        (
            "O[p] = A[p//V]",
            {"A": (3,)},
            {"sizes": {"v": 0}},
            "V divides in a subscript and is 0\n  O[p] = A[p//V]\n           ^^^^",
        ),
        (
            "O[p] = A[p] * (p//V == 1)",
            {"A": (3,)},
            {"sizes": {"v": 0}},
            "V divides in a subscript and is 0\n  O[p] = A[p] * (p//V == 1)\n                 ^^^^",
        ),
        (
            "O[j] = A[k,l,h,t,u,v] * B[w,x,y,z,j1,j] * C[j]",
            {"A": (1,) * 6, "B": (1,) * 6, "C": (3,)},
            {},
            "rank j has two sizes: 1 in B (axis 5 of shape (1, 1, 1, 1, 1, 1)), "
            "3 in C (axis 0 of shape (3,))\n"
            "  O[j] = A[k,l,h,t,u,v] * B[w,x,y,z,j1,j] * C[j]\n"
            "                                       ^      ^\n"
            "Pass a C of length 1, or rename its rank: C[j2].",
        ),
        ("O[i] = A[i]", {"A": (10**30,)}, {}, f"shape of A: extent {10**30}; at most 2**40"),
        ("O[i] = A[i]", {"A": (-1,)}, {}, "shape of A: expected 0 or more, found -1"),
        ("O[i] = A[i]", {"A": (1.5,)}, {}, "shape of A: expected a whole number, found 1.5"),
        ("O[i] = A[i]", {"A": ()}, {"sizes": {"i": 10**30}}, "size of i: expected 0 to 2**40"),
        (
            "O[i,j] = A[i] * B[j]",
            {"A": (2**40,), "B": (2**40,)},
            {},
            f"an iteration space of more than 2**62 points: i={2**40}, j={2**40}\n"
            "  O[i,j] = A[i] * B[j]\n"
            "  ^^^^^^",
        ),
        (
            "O[1000000*i] = B[i]",
            {"B": (2**30,)},
            {},
            f"1000000*i writes places 0 to {1000000 * (2**30 - 1)} of axis 0 of O, "
            "which takes at most 2**40",
        ),
        (
            "O[p] = I[p//2**40]",
            {},
            {},
            "expected ] to close this [, found **",
        ),
    ],
)
def test_refused(text, shapes, options, expected):
    assert failure(text, shapes, **options).startswith(expected)


def test_a_tiny_operand_cannot_make_a_huge_rank():
    found = failure("O[p] = I[p//1000000000000]", {"I": (2**20,)})
    assert found.startswith(f"rank p has extent {10**12 * 2**20}; at most 2**40 are taken")
