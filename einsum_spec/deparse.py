"""The tree as text that parses back into an equal tree."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch

from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Affine,
    Atom,
    Call,
    Compare,
    Div,
    Expr,
    Floor,
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


@singledispatch
def deparse(node: object) -> str:
    """Text of a program, a statement, an expression or a subscript."""
    raise TypeError(f"expected a node of the tree, found {type(node).__name__}")


@deparse.register
def _(node: Program) -> str:
    return "\n".join(map(deparse, node.statements))


@deparse.register
def _(node: Statement) -> str:
    return f"{deparse(node.target)} {node.reduction or ''}= {deparse(node.value)}"


# ---- subscripts -------------------------------------------------------------------------


@deparse.register
def _(node: Affine) -> str:
    parts = [_scaled(monomial, atom) for monomial, atom in node.terms]
    parts += [_factors(monomial) for monomial in node.offset]
    return _joined(parts) or "0"


@deparse.register
def _(node: Monomial) -> str:
    return _factors(node)


@deparse.register
def _(node: Var) -> str:
    return node.name


@deparse.register
def _(node: Gather) -> str:
    return deparse(node.access)


@deparse.register
def _(node: Place) -> str:
    text = deparse(node.subscript)
    return text if text.isidentifier() else f"({text})"


@deparse.register
def _(node: Floor) -> str:
    match node.inner:
        case Affine(terms=((Monomial(value=value), Var()),), offset=()) if value > 0:
            inner = deparse(node.inner)
        case _:
            inner = f"({deparse(node.inner)})"
    divisor = _factors(node.divisor)
    return f"{inner}//{f'({divisor})' if '*' in divisor else divisor}"


def _factors(monomial: Monomial) -> str:
    if not monomial.names:
        return str(monomial.value)
    names = "*".join(monomial.names)
    if abs(monomial.value) == 1:
        return "-" + names if monomial.value < 0 else names
    return f"{monomial.value}*{names}"


def _scaled(monomial: Monomial, atom: Atom) -> str:
    text = deparse(atom)
    if monomial == Monomial(1):
        return text
    if isinstance(atom, Floor):
        text = f"({text})"
    if monomial == Monomial(-1):
        return "-" + text
    return f"{_factors(monomial)}*{text}"


def _joined(parts: Iterable[str]) -> str:
    text = ""
    for part in parts:
        text += part if not text or part.startswith("-") else "+" + part
    return text


# ---- expressions ------------------------------------------------------------------------


@deparse.register
def _(node: Literal) -> str:
    return repr(node.value)


@deparse.register
def _(node: Scalar) -> str:
    return node.name


@deparse.register
def _(node: Access) -> str:
    if not node.subscripts:
        return node.tensor
    return f"{node.tensor}[{','.join(map(deparse, node.subscripts))}]"


@deparse.register
def _(node: Neg) -> str:
    if isinstance(node.arg, Add):
        return f"-({deparse(node.arg)})"
    return "-" + deparse(node.arg)


@deparse.register
def _(node: Add) -> str:
    text = ""
    for term in node.terms:
        if text and isinstance(term, Neg):
            inner = deparse(term.arg)
            text += f" - ({inner})" if isinstance(term.arg, Add) else f" - {inner}"
        else:
            part = f"({deparse(term)})" if isinstance(term, Add) else deparse(term)
            text += f" + {part}" if text else part
    return text


@deparse.register
def _(node: Mul) -> str:
    first, *others = node.factors
    return "*".join([_factor(first, first=True), *map(_factor, others)])


@deparse.register
def _(node: Div) -> str:
    top = node.numerator
    text = deparse(top) if isinstance(top, Mul) else _factor(top, first=True)
    return f"{text}/{_factor(node.denominator)}"


def _factor(node: Expr, *, first: bool = False) -> str:
    text = deparse(node)
    wrapped = isinstance(node, Add | Mul | Neg) or (isinstance(node, Div) and not first)
    return f"({text})" if wrapped or text.startswith("-") else text


@deparse.register
def _(node: Call) -> str:
    return f"{node.function}({', '.join(map(deparse, node.args))})"


@deparse.register
def _(node: Reduce) -> str:
    return f"{node.op}[{','.join(node.ranks)}]({deparse(node.body)})"


@deparse.register
def _(node: Compare) -> str:
    return f"({_side(node.left)} {node.op} {_side(node.right)})"


def _side(node: Expr | Affine) -> str:
    return deparse(node)
