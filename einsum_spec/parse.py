"""Tokens into the tree: a recursive-descent parser for the grammar of `tree`.

    program   := [statement] (("\\n" | ";") [statement])*
    statement := target ("=" | "+=" | "*=" | "max=" | "min=" | "|=" | "&=") expr
    target    := name ["[" [subscript ("," subscript)*] "]"]
    expr      := sum [("<" | "<=" | "==" | "!=" | ">=" | ">") sum]
    sum       := term (("+" | "-") term)*
    term      := "-" term | product
    product   := factor (("*" | "/" | "//") factor)*
    factor    := "-" factor | number | name | name "[" subscripts "]"
               | function "(" expr ("," expr)* ")" | reduction "[" names "]" "(" expr ")"
               | "(" expr ")"
    subscript := the same sums and products over names and integers, without "/"

The text is gone through twice: once to see what its identifiers do, and once, with index
variables and named constants told apart, to build the tree.
"""

from __future__ import annotations

from collections.abc import Collection

from zeroskip.einsum_spec import names as nm
from zeroskip.einsum_spec.brackets import comparison
from zeroskip.einsum_spec.cursor import Cursor
from zeroskip.einsum_spec.functions import FUNCTIONS, PLACES, REDUCTIONS, nearest
from zeroskip.einsum_spec.tokens import (
    MAX_FACTORS,
    MAX_STATEMENTS,
    MAX_TERMS,
    Token,
    tokenize,
)
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Affine,
    Call,
    Div,
    Expr,
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
from zeroskip.errors import EinsumError

_ASSIGN = {"=": None, "+=": "+", "*=": "*", "|=": "|", "&=": "&"}
_COMPARE = ("<", "<=", "==", "!=", ">=", ">")
_SPLIT = "Compute part of it in a line of its own."
_OPERATORS = "expected + - * / ( ) or the end of the line"


def parse(text: str, consts: Collection[str] = ()) -> Program:
    """The program that ``text`` is.

    Parameters
    ----------
    text : str
        One statement a line, or separated by ``;``; ``#`` starts a comment.
    consts : collection of str
        Names that are constants wherever a subscript has them.

    Raises
    ------
    EinsumError
        For text that is no Einsum, with a caret under the place; never evaluates it.
    """
    if not isinstance(text, str):
        raise EinsumError(
            f"expected the text of an Einsum, found {type(text).__name__}",
            hint='Pass text such as "y[i] = A[i,j] * x[j]".',
        )
    tokens = tokenize(text)
    evidence = nm.Evidence()
    _Parser(text, tokens, evidence, None).program()
    names = nm.classify(evidence, consts, text)
    statements = _Parser(text, tokens, nm.Evidence(), names).program()
    return Program(tuple(statements), text)


class _Parser(Cursor):
    """Statements and expressions, from the outside in."""

    # ---- statements ---------------------------------------------------------------------

    def program(self) -> list[Statement]:
        statements: list[Statement] = []
        while self.token.kind != "end":
            if self.token.kind == "newline":
                self.next()
                continue
            if len(statements) == MAX_STATEMENTS:
                raise self.error(
                    f"more than {MAX_STATEMENTS} statements", hint="Split it into several layers."
                )
            statements.append(self.statement())
            if self.token.kind not in ("newline", "end"):
                raise self.error(f"{_OPERATORS}, found {self.found()}", hint=self.hint())
        if not statements:
            raise EinsumError(
                "an Einsum without a statement", hint='Write one such as "y[i] = A[i,j] * x[j]".'
            )
        return statements

    def statement(self) -> Statement:
        start = self.token
        if start.kind != "name":
            raise self.error(
                f"expected the name of a result, found {self.found()}",
                hint="A statement starts with its result: O[i] = ...",
            )
        self.next()
        if start.text in (*REDUCTIONS, *PLACES):
            raise self.error(f"{start.text} is a reduction and cannot name a result", [start.span])
        subscripts: tuple[Affine, ...] = ()
        if self.at("["):
            subscripts = self.subscripts()
        target = Access(start.text, subscripts, self.span(start))
        reduction = self.assignment()
        value = self.expr()
        return Statement(target, reduction, value, self.span(start))

    def assignment(self) -> str | None:
        token = self.token
        if token.kind == "name" and token.text in ("max", "min"):
            self.next()
            self.expect("=", f"after {token.text}")
            return token.text
        if not self.at(*_ASSIGN):
            raise self.error(
                f"expected = or += *= max= min= |= &=, found {self.found()}", hint=self.hint()
            )
        return _ASSIGN[self.next().text]

    # ---- expressions --------------------------------------------------------------------

    def expr(self) -> Expr:
        start = self.token
        left = self.sum()
        if not self.at(*_COMPARE):
            return left
        op = self.next().text
        right = self.sum()
        if self.at(*_COMPARE):
            raise self.error(
                "a comparison has two sides", hint="Multiply two comparisons: (a < b)*(b < c)."
            )
        return comparison(op, left, right, self.names, self.text, self.span(start))

    def sum(self) -> Expr:
        start = self.token
        terms = [self.term()]
        while self.at("+", "-"):
            sign = self.next()
            if len(terms) == MAX_TERMS:
                raise self.error(f"a sum of more than {MAX_TERMS} terms", [sign.span], _SPLIT)
            term = self.term()
            terms.append(Neg(term, self.span(sign)) if sign.text == "-" else term)
        return terms[0] if len(terms) == 1 else Add(tuple(terms), self.span(start))

    def term(self) -> Expr:
        if not self.at("-"):
            return self.product()
        sign = self.next()
        self.deeper()
        term = self.term()
        self.depth -= 1
        return Neg(term, self.span(sign))

    def product(self) -> Expr:
        start, depth = self.token, self.depth
        factors = [self.factor()]
        while self.at("*", "/", "//"):
            op = self.next().text
            if len(factors) == MAX_FACTORS:
                raise self.error(f"a product of more than {MAX_FACTORS} factors", hint=_SPLIT)
            factor = self.factor()
            if op == "*":
                factors.append(factor)
                continue
            self.deeper()
            left = factors[0] if len(factors) == 1 else Mul(tuple(factors), self.span(start))
            quotient: Expr = Div(left, factor, self.span(start))
            if op == "//":
                quotient = Call("floor", (quotient,), self.span(start))
            factors = [quotient]
        self.depth = depth
        return factors[0] if len(factors) == 1 else Mul(tuple(factors), self.span(start))

    def factor(self) -> Expr:
        token = self.token
        if self.at("-"):
            self.next()
            self.deeper()
            arg = self.factor()
            self.depth -= 1
            return Neg(arg, self.span(token))
        if self.at("("):
            self.next()
            self.deeper()
            inner = self.expr()
            self.depth -= 1
            self.close(token, ")")
            return inner
        if token.kind == "number":
            self.next()
            value = int(token.text) if token.text.isdigit() else float(token.text)
            return Literal(value, token.span)
        if token.kind == "name":
            self.next()
            if self.at("("):
                return self.call(token)
            if token.text in (*REDUCTIONS, *PLACES):
                return self.reduce(token)
            if self.at("["):
                subscripts = self.subscripts()
                span = self.span(token)
                if subscripts:
                    return Access(token.text, subscripts, span)
            return self.bare(token)
        raise self.error(f"expected a tensor, a number or (, found {self.found()}")

    def bare(self, token: Token) -> Expr:
        """A name without subscripts: the place of an index variable, else a number by name."""
        name, span = token.text, self.span(token)
        if self.names is not None and name in self.names.variables and name != name.upper():
            return Place(Affine(((Monomial(1), Var(name, span)),), (), span), span)
        return Scalar(name, span)

    def call(self, name: Token) -> Expr:
        if name.text in (*REDUCTIONS, *PLACES) and name.text not in FUNCTIONS:
            raise self.error(
                f"{name.text} needs the ranks that it goes over",
                [name.span],
                f"Write {name.text}[k](...).",
            )
        if name.text not in FUNCTIONS:
            raise self.error(
                f"{name.text} is no function of an Einsum",
                [name.span],
                nearest(name.text, [*FUNCTIONS, *REDUCTIONS, *PLACES]).capitalize(),
            )
        opened = self.next()
        self.deeper()
        args = [self.expr()]
        while self.at(","):
            self.next()
            args.append(self.expr())
        self.depth -= 1
        self.close(opened, ")")
        fewest, most = FUNCTIONS[name.text]
        if len(args) < fewest or (most is not None and len(args) > most):
            wanted = str(fewest) if most == fewest else f"at least {fewest}"
            more = ""
            if name.text in REDUCTIONS:
                more = f" A reduction names its ranks: {name.text}[k](...)."
            raise self.error(
                f"{name.text} takes {wanted} argument{'s' * (wanted != '1')}, found {len(args)}",
                [self.span(name)],
                f"Separate arguments by commas.{more}",
            )
        return Call(name.text, tuple(args), self.span(name))

    def reduce(self, name: Token) -> Expr:
        if not self.at("["):
            raise self.error(
                f"{name.text} is a reduction; it cannot name a tensor",
                [name.span],
                f"Write {name.text}[k](...).",
            )
        opened = self.next()
        ranks: list[str] = []
        while True:
            token = self.token
            if token.kind != "name":
                raise self.error(
                    f"expected the name of a rank to reduce, found {self.found()}",
                    hint=f"Write {name.text}[k](...).",
                )
            if token.text in ranks:
                raise self.error(f"rank {token.text} is reduced twice")
            self.next()
            ranks.append(token.text)
            self.evidence.ranks.add(token.text)
            self.evidence.saw(token.text, token.span)
            if not self.at(","):
                break
            self.next()
        self.close(opened, "]")
        bracket = self.expect("(", f"after {name.text}[{','.join(ranks)}]")
        self.deeper()
        body = self.expr()
        self.depth -= 1
        self.close(bracket, ")")
        return Reduce(name.text, tuple(ranks), body, self.span(name))
