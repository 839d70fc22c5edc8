"""Tree ↔ SymPy.  Imports SymPy: to be imported inside functions only.

Out: ``Eq(O[m,p], Sum(W[m,c]*I[c,p], (c, 0, C - 1)))``, built unevaluated over `Indexed`, with
every sum written out.  Index variables, extents and named constants are integer symbols.
Nodes of our own stand where SymPy would change the meaning: functions (``exp(log(x))``),
reductions, Iverson brackets, and a difference that would cancel (``A[i] - A[i]`` is not 0 where
A holds NaN).  ``doit()`` turns them into SymPy's.

In: such an `Eq`, or one built by hand, is printed as Einsum text and parsed, so that text and
`Eq` cannot differ in meaning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import singledispatch
from typing import Any

import sympy

from zeroskip.checks import is_listed
from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.explicit import make_explicit
from zeroskip.einsum_spec.functions import FUNCTIONS, REDUCTION_OF_ASSIGNMENT, REDUCTIONS
from zeroskip.einsum_spec.nodes import Assigned, Iverson, Minus, Pointwise, Reduction
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Affine,
    Atom,
    Call,
    Compare,
    Div,
    Expr,
    Gather,
    Literal,
    Monomial,
    Mul,
    Neg,
    Place,
    Program,
    Reduce,
    Scalar,
    Statement,
    Var,
)
from zeroskip.einsum_spec.walk import children, free
from zeroskip.errors import EinsumError

#: SymPy's own functions that a hand-built `Eq` may hold.
_KNOWN: dict[Any, str] = {
    sympy.exp: "exp",
    sympy.log: "log",
    sympy.tanh: "tanh",
    sympy.Abs: "abs",
    sympy.sign: "sign",
    sympy.floor: "floor",
    sympy.ceiling: "ceil",
    sympy.Min: "min",
}


# ---- tree to SymPy ----------------------------------------------------------------------


def to_sympy(program: Program) -> Any:
    """The `Eq` of a program of one line; of several, a `Tuple` of them.

    Named constants stay symbols, whether or not they have a value.
    """
    lines = [_equation(statement) for statement in make_explicit(program).statements]
    return lines[0] if len(lines) == 1 else sympy.Tuple(*lines)


def _equation(statement: Statement) -> Any:
    target = statement.target
    ranks = free(target)
    every = {*ranks, *_ranks(statement.value)}
    left = _access(target) if target.subscripts else sympy.Symbol(target.tensor)
    right = _build(statement.value, frozenset(name.upper() for name in every))
    if statement.reduction is not None:
        reduced = [name for name in free(statement.value) if name not in ranks]
        op = REDUCTION_OF_ASSIGNMENT[statement.reduction]
        right = Assigned(op, right, *map(_limit, reduced))
    return sympy.Eq(left, right, evaluate=False)


def _ranks(node: Expr) -> set[str]:
    found = set(free(node))
    if isinstance(node, Reduce):
        found |= set(node.ranks) | _ranks(node.body)
    else:
        for child in children(node):
            found |= _ranks(child)
    return found


def _integer(name: str) -> Any:
    return sympy.Symbol(name, integer=True)


def _limit(rank: str) -> tuple[Any, int, Any]:
    return _integer(rank), 0, _integer(rank.upper()) - 1


def _access(access: Access) -> Any:
    return sympy.IndexedBase(access.tensor)[tuple(map(_affine, access.subscripts))]


def _affine(part: Affine) -> Any:
    terms = [_monomial(monomial) * _atom(atom) for monomial, atom in part.terms]
    return sympy.Add(*terms, *map(_monomial, part.offset))


def _atom(atom: Atom) -> Any:
    if isinstance(atom, Var):
        return _integer(atom.name)
    if isinstance(atom, Gather):
        return _access(atom.access)
    return sympy.floor(_affine(atom.inner) / _monomial(atom.divisor))


def _monomial(monomial: Monomial) -> Any:
    return sympy.Mul(monomial.value, *map(_integer, monomial.names))


def _build(node: Expr, extents: frozenset[str]) -> Any:
    def go(child: Expr) -> Any:
        return _build(child, extents)

    match node:
        case Literal(value=value):
            return sympy.sympify(value)
        case Scalar(name=name):
            return _integer(name) if name in extents else sympy.Symbol(name)
        case Access():
            return _access(node)
        case Place(subscript=part):
            return _affine(part)
        case Neg(arg=arg):
            return sympy.Mul(-1, go(arg), evaluate=False)
        case Add(terms=terms):
            return _sum(terms, go)
        case Mul(factors=factors):
            return sympy.Mul(*map(go, factors), evaluate=False)
        case Div(numerator=top, denominator=bottom):
            inverse = sympy.Pow(go(bottom), -1, evaluate=False)
            return sympy.Mul(go(top), inverse, evaluate=False)
        case Call(function=name, args=args):
            return Pointwise(name, *map(go, args))
        case Reduce(op="sum", ranks=ranks, body=body):
            return sympy.Sum(go(body), *map(_limit, ranks))
        case Reduce(op=op, ranks=ranks, body=body):
            return Reduction(op, go(body), *map(_limit, ranks))
        case Compare(op=op, left=left, right=right):
            sides = (_affine(s) if isinstance(s, Affine) else go(s) for s in (left, right))
            return Iverson(op, *sides)


def _sum(terms: Sequence[Expr], go: Any) -> Any:
    """An `Add` that stays as it is when SymPy rebuilds it."""
    built = [go(term) for term in terms]
    if len(sympy.Add.make_args(sympy.Add(*built))) < len(built):
        built = [
            Minus(go(term.arg)) if isinstance(term, Neg) else done
            for term, done in zip(terms, built, strict=True)
        ]
    return sympy.Add(*built, evaluate=False)


# ---- SymPy to tree ----------------------------------------------------------------------


def from_sympy(equations: Any, consts: Collection[str] = ()) -> tuple[Program, dict[str, int]]:
    """The program of an `Eq` or a sequence of them, and the sizes that their sums state.

    Raises
    ------
    EinsumError
        For what is no `Eq`, a left side that is no tensor, a sum with other bounds than
        ``(c, 0, C - 1)`` or ``(c, 0, integer)``, and what is no part of the language.
    """
    lines = [equations] if isinstance(equations, sympy.Basic) else equations
    if isinstance(equations, sympy.Tuple) or not isinstance(lines, list):
        lines = list(equations) if is_listed(equations) else [equations]
    if not lines:
        raise EinsumError("expected a SymPy Eq, found an empty sequence")
    printer = _Printer()
    text = "\n".join(printer.statement(line) for line in lines)
    tidy = deparse(parse(text, consts))
    return parse(tidy, consts), printer.sizes


class _Printer:
    """Prints an `Eq` as Einsum text; gathers the sizes that its sums and indices state."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}

    def statement(self, line: Any) -> str:
        if not isinstance(line, sympy.Eq):
            raise EinsumError(
                f"expected the text of an Einsum or a SymPy Eq, found {type(line).__name__}",
                hint='Pass text such as "y[i] = A[i,j] * x[j]", or Eq(y[i], Sum(...)).',
            )
        left, right = line.args
        if not isinstance(left, sympy.Indexed | sympy.Symbol):
            raise EinsumError(
                f"the left side of an Eq is the result, such as O[i]; found {_shown(left)}"
            )
        op = "="
        if isinstance(right, Assigned):
            name = str(right.args[0])
            op = REDUCTIONS.get(name, name) + "="
            for limit in right.args[2:]:
                self.rank(limit)
            right = right.args[1]
        return f"{self.value(left)} {op} {self.value(right)}"

    def value(self, node: Any) -> str:
        """An expression, in brackets wherever they might matter."""
        match node:
            case sympy.Indexed():
                parts = ",".join(self.subscript(index) for index in node.indices)
                return f"{_name(node.base.label)}[{parts}]"
            case sympy.Symbol():
                return _name(node)
            case sympy.Number():
                return _number(node)
            case sympy.Add():
                return f"({' + '.join(map(self.value, node.args))})"
            case sympy.Mul():
                return self.product(node)
            case Minus():
                return f"(-{self.value(node.args[0])})"
            case sympy.Pow():
                return self.power(*node.args)
            case sympy.Sum():
                ranks = ",".join(map(self.rank, node.limits))
                return f"sum[{ranks}]({self.value(node.function)})"
            case Reduction():
                ranks = ",".join(map(self.rank, node.args[2:]))
                return f"{node.args[0]}[{ranks}]({self.value(node.args[1])})"
            case Iverson():
                op, *sides = node.args
                left, right = map(self.side, sides)
                return f"({left} {op} {right})"
            case Pointwise():
                return self.call(str(node.args[0]), node.args[1:])
            case sympy.Max():
                rest = [arg for arg in node.args if arg != 0]
                if len(rest) == 1 and len(node.args) == 2:
                    return self.call("relu", rest)
                return self.call("max", node.args)
        name = _KNOWN.get(type(node)) or type(node).__name__
        if isinstance(node, sympy.Function | sympy.Min) and name in FUNCTIONS:
            return self.call(name, node.args)
        raise EinsumError(
            f"{type(node).__name__} is no part of an Einsum: {_shown(node)}",
            hint="Known: Indexed, Symbol, numbers, + - *, Sum, Max(0, x), exp, log, tanh.",
        )

    def call(self, name: str, args: Iterable[Any]) -> str:
        return f"{name}({', '.join(map(self.value, args))})"

    def product(self, node: Any) -> str:
        above: list[str] = []
        below: list[str] = []
        factors, sign = list(node.args), ""
        while factors and factors[0].is_Number and factors[0] < 0:
            sign, first = sign + "-", -factors.pop(0)
            factors = factors if first == 1 and factors else [first, *factors]
        for factor in factors:
            if isinstance(factor, sympy.Pow) and factor.args[1] == -1:
                below.append(self.value(factor.args[0]))
            else:
                above.append(self.value(factor))
        text = "*".join(above or ["1"])
        return f"({sign}{'/'.join([text, *below])})"

    def power(self, base: Any, exponent: Any) -> str:
        if exponent == sympy.Rational(1, 2):
            return self.call("sqrt", [base])
        if exponent == -1:
            return f"(1/{self.value(base)})"
        if isinstance(exponent, sympy.Integer) and 1 < int(exponent) <= 16:
            return f"({'*'.join([self.value(base)] * int(exponent))})"
        raise EinsumError(
            f"a power is no part of an Einsum: {_shown(base)}**{_shown(exponent)}",
            hint="Whole powers from 2 to 16 are products; write others as exp and log.",
        )

    def side(self, node: Any) -> str:
        """A side of an Iverson bracket: places where it holds symbols and numbers only."""
        if node.has(sympy.Indexed, Pointwise, Reduction, sympy.Sum, Minus):
            return self.value(node)
        return self.subscript(node)

    def subscript(self, node: Any) -> str:
        match node:
            case sympy.Idx():
                self.bounds_of(node)
                return _name(node.label)
            case sympy.Symbol():
                return _name(node)
            case sympy.Indexed():
                return self.value(node)
            case sympy.Integer():
                return f"({node})" if node < 0 else str(node)
            case sympy.Add():
                return f"({'+'.join(map(self.subscript, node.args))})"
            case sympy.Mul():
                return f"({'*'.join(map(self.subscript, node.args))})"
            case sympy.floor():
                top, bottom = sympy.together(node.args[0]).as_numer_denom()
                return f"(({self.subscript(top)})//({self.subscript(bottom)}))"
            case sympy.Mod():
                top, bottom = map(self.subscript, node.args)
                return f"({top} - {bottom}*({top}//{bottom}))"
        raise EinsumError(
            f"a subscript is a sum of indices times integers or constants; found {_shown(node)}",
            hint="Use Symbol or Idx for indices, and floor(p/2) for p//2.",
        )

    def bounds_of(self, index: Any) -> None:
        if index.lower is not None and index.upper is not None:
            self.rank((index.label, index.lower, index.upper))

    def rank(self, limit: Any) -> str:
        """The name of a rank in a limit ``(c, 0, C - 1)``; an integer end is its size."""
        variable, low, high = tuple(limit) if len(limit) == 3 else (limit[0], None, None)
        name = _name(variable.label if isinstance(variable, sympy.Idx) else variable)
        if isinstance(variable, sympy.Idx) and low is None:
            low, high = variable.lower, variable.upper
        if low is None or high is None:
            return name
        end = sympy.sympify(high) + 1
        if sympy.sympify(low) != 0:
            raise EinsumError(
                f"a sum over {name} starts at {_shown(low)}; ranks start at 0",
                hint=f"Write the sum over ({name}, 0, {name.upper()} - 1).",
            )
        if end.is_Integer:
            size = max(int(end), 0)
            if self.sizes.setdefault(name, size) != size:
                raise EinsumError(f"rank {name} has two sizes: {self.sizes[name]} and {size}")
        elif not (isinstance(end, sympy.Symbol) and end.name == name.upper()):
            raise EinsumError(
                f"a sum over {name} ends at {_shown(high)}",
                hint=f"Write ({name}, 0, {name.upper()} - 1), or a number for its end.",
            )
        return name


@singledispatch
def _number(node: Any) -> str:
    raise EinsumError(f"{_shown(node)} is no number of an Einsum", hint="Use finite real numbers.")


@_number.register
def _(node: sympy.Integer) -> str:
    return f"({node})" if node < 0 else str(node)


@_number.register
def _(node: sympy.Rational) -> str:
    return f"({node.p}/{node.q})"


@_number.register
def _(node: sympy.Float) -> str:
    value = float(node)
    return f"({value!r})" if value < 0 else repr(value)


def _name(node: Any) -> str:
    name = str(getattr(node, "name", node))
    if not (name.isidentifier() and name.isascii()):
        raise EinsumError(
            f"{name[:40]!r} cannot be a name in an Einsum",
            hint="Names are made of the letters A-Z a-z, digits and _.",
        )
    return name


def _shown(node: Any) -> str:
    text = str(node)
    return text if len(text) <= 60 else text[:57] + "..."
