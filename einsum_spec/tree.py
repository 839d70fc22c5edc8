"""The tree that Einsum text parses into, and that prints back as text.

    program   := statement+                              one a line, or separated by ";"
    statement := access ("=" | "+=" | "*=" | "max=" | "min=" | "|=" | "&=") expr
    expr      := Add | Mul | Neg | Div | Access | Scalar | Literal | Place | Call | Reduce | Compare
    access    := name "[" subscript, ... "]"             a bare name on the left is a scalar result
    subscript := Affine: sum of coefficient * atom, plus an offset
    atom      := Var | Floor | Gather                    p, (4*p)//P, or X[n]

Nodes are frozen, compare by content and not by place: ``span`` is where in the
text a node stood, for errors only.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from zeroskip.records import dataclass

Span = tuple[int, int]


def _span() -> Any:
    return field(default=None, compare=False, repr=False)


# ---- subscripts -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Monomial:
    """An integer times named constants: ``2``, ``U``, ``-4*U*D``.

    ``names`` is sorted, so that equal monomials compare equal.
    """

    value: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Var:
    """An index variable, which names a rank of the iteration space."""

    name: str
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Floor:
    """``inner // divisor``, rounded towards minus infinity; ``divisor`` is positive."""

    inner: Affine
    divisor: Monomial
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Gather:
    """An integer read from a tensor: in ``W[X[n],e]`` the rows of W are named by X.

    What is read is checked at run time against the axis that it addresses.
    """

    access: Access
    span: Span | None = _span()


Atom = Var | Floor | Gather


@dataclass(frozen=True, slots=True)
class Affine:
    """``sum(coefficient * atom) + sum(offset)``; coefficients and offsets are integers.

    No two terms share an atom, no coefficient is zero, and integers are folded in.  The
    parser keeps named constants; a `Form` holds those of known value as integers.
    """

    terms: tuple[tuple[Monomial, Var | Floor | Gather], ...]
    offset: tuple[Monomial, ...] = ()
    span: Span | None = _span()


# ---- expressions ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Literal:
    value: int | float
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Scalar:
    """A bare name: a named constant, the extent of a rank (``P`` for ``p``), or an operand
    of no axes."""

    name: str
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Place:
    """A coordinate as a value: ``k`` in ``where(A[k] > 0, k, K)``."""

    subscript: Affine
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Access:
    tensor: str
    subscripts: tuple[Affine, ...]
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Neg:
    arg: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Add:
    """Terms added up; a subtracted term stands in a `Neg`.  Never reordered or cancelled:
    ``A[i] - A[i]`` is not 0 where A holds NaN."""

    terms: tuple[Expr, ...]
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Mul:
    factors: tuple[Expr, ...]
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Div:
    numerator: Expr
    denominator: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Call:
    """A pointwise function of its arguments."""

    function: str
    args: tuple[Expr, ...]
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Reduce:
    """``op[ranks](body)``; op is one of ``sum prod max min any all argmax argmin``."""

    op: str
    ranks: tuple[str, ...]
    body: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Compare:
    """An Iverson bracket: 1 where the comparison holds, else 0."""

    op: str
    left: Expr | Affine
    right: Expr | Affine
    span: Span | None = _span()


Expr = Literal | Scalar | Place | Access | Neg | Add | Mul | Div | Call | Reduce | Compare


@dataclass(frozen=True, slots=True)
class Statement:
    """``target reduction= value``; ``reduction`` is None for a plain ``=``."""

    target: Access
    reduction: str | None
    value: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Program:
    """The statements of one layer or cascade, in the order in which they run."""

    statements: tuple[Statement, ...]
    text: str = field(default="", compare=False)
