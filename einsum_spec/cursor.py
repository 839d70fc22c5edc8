"""A place in the tokens, and what the parser asks and demands there; subscripts are read here."""

from __future__ import annotations

from zeroskip.einsum_spec import names as nm
from zeroskip.einsum_spec.tokens import MAX_AXES, MAX_DEPTH, Token
from zeroskip.einsum_spec.tree import Access, Affine, Span
from zeroskip.errors import EinsumError


class Cursor:
    """Walks the tokens of one text; without ``names`` it only gathers evidence."""

    def __init__(
        self, text: str, tokens: list[Token], evidence: nm.Evidence, names: nm.Names | None
    ) -> None:
        self.text, self.tokens, self.evidence, self.names = text, tokens, evidence, names
        self.place, self.depth = 0, 0
        self.inside: list[str] = []  # names of the subscript that is being read

    # ---- tokens -------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def at(self, *spellings: str) -> bool:
        return self.token.kind == "op" and self.token.text in spellings

    def next(self) -> Token:
        token = self.token
        self.place += token.kind != "end"
        return token

    def expect(self, spelling: str, why: str) -> Token:
        if not self.at(spelling):
            raise self.error(f"expected {spelling} {why}, found {self.found()}")
        return self.next()

    def found(self) -> str:
        kind, spelling = self.token.kind, self.token.text
        if kind == "end":
            return "the end of the text"
        return "the end of the line" if kind == "newline" else spelling[:40]

    def error(
        self, message: str, spans: list[Span] | None = None, hint: str | None = None
    ) -> EinsumError:
        return EinsumError(message, text=self.text, spans=spans or [self.token.span], hint=hint)

    def span(self, start: Token) -> Span:
        return start.start, self.tokens[self.place - 1].end

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(
                f"signs, quotients and brackets nested deeper than {MAX_DEPTH}",
                hint="Name the inner part in a line of its own.",
            )

    def close(self, opened: Token, spelling: str) -> None:
        if not self.at(spelling):
            message = f"expected {spelling} to close this {opened.text}, found {self.found()}"
            raise self.error(message, [opened.span, self.token.span], self.hint())
        self.next()

    def hint(self) -> str | None:
        """What the writer may have meant by a token that does not belong here."""
        if self.at("**"):
            return "Write a power out: x*x."
        if self.at("="):
            return "One assignment a line; equality is ==."
        if self.at("->", ","):
            return 'Name the operands: "O[i,k] = A[i,j] * B[j,k]".'
        if self.token.kind in ("name", "number") or self.at("(", "["):
            return "A product is written with a star: A[i,j] * x[j]."
        return None

    # ---- subscripts ---------------------------------------------------------------------

    def subscripts(self) -> tuple[Affine, ...]:
        opened = self.next()
        if self.at("]"):
            self.next()
            return ()
        found = [self.subscript()]
        while self.at(","):
            self.next()
            if len(found) == MAX_AXES:
                raise self.error(f"a tensor of more than {MAX_AXES} axes")
            found.append(self.subscript())
        self.close(opened, "]")
        return tuple(found)

    def subscript(self) -> Affine:
        start, outside = self.token, self.inside
        self.inside = []
        try:
            polynomial = self.index_sum()
            self.evidence.polynomials.append(polynomial)
            if self.names is None:
                return Affine(())
            found = self.names.affine(polynomial, self.span(start))
            left = nm.names_of(polynomial)
            for name in self.inside:
                if name not in self.names.constants and name not in left:
                    raise nm.cancelled(name, found, self.text)
            return found
        except nm.NotAffineError as error:
            raise self.error(
                str(error),
                [(start.start, self.tokens[max(self.place - 1, 0)].end)],
                "A subscript is a sum of index variables times integers or named constants.",
            ) from None
        finally:
            self.inside = outside

    def index_sum(self) -> nm.Polynomial:
        terms = [(1, self.index_product())]
        while self.at("+", "-"):
            sign = -1 if self.next().text == "-" else 1
            terms.append((sign, self.index_product()))
        return nm.sum_up(terms)

    def index_product(self) -> nm.Polynomial:
        depth = self.depth
        total = self.index_factor()
        while self.at("*", "//", "/"):
            if self.at("/"):
                raise self.error(
                    "a subscript is a whole number: / is no part of it",
                    hint="Divide with //, which rounds down.",
                )
            if self.next().text == "*":
                total = nm.times(total, self.index_factor())
            else:
                self.deeper()
                total = nm.floordiv(total, self.index_factor())
        self.depth = depth
        return total

    def index_factor(self) -> nm.Polynomial:
        token = self.token
        if self.at("-"):
            self.next()
            self.deeper()
            negated = nm.sum_up([(-1, self.index_factor())])
            self.depth -= 1
            return negated
        if self.at("("):
            self.next()
            self.deeper()
            inner = self.index_sum()
            self.depth -= 1
            self.close(token, ")")
            return inner
        if token.kind == "number":
            if not token.text.isdigit():
                raise self.error(f"a subscript is a whole number, found {token.text}")
            self.next()
            return nm.constant(int(token.text))
        if token.kind == "name":
            self.next()
            if self.at("("):
                raise self.error(
                    f"a subscript holds index variables and integers, found {token.text}(...",
                    [token.span],
                    f"A place computed from data is read from an index tensor: {token.text}[n].",
                )
            if self.at("["):
                return self.gather(token)
            self.evidence.saw(token.text, token.span)
            self.inside.append(token.text)
            return nm.identifier(token.text)
        raise self.error(f"expected a subscript, found {self.found()}")

    def gather(self, name: Token) -> nm.Polynomial:
        """A place read from an index tensor; its text names it in the polynomial."""
        self.deeper()
        parts = self.subscripts()
        self.depth -= 1
        if not parts and self.names is not None:
            raise self.error(
                f"{name.text}[] reads no place",
                [self.span(name)],
                f"Subscript the index tensor: {name.text}[n].",
            )
        start, end = self.span(name)
        text = "".join(self.text[start:end].split())
        self.evidence.ranks.add(text)
        self.evidence.saw(text, (start, end))
        self.inside.append(text)
        if self.names is not None:
            self.names.gathered[text] = Access(name.text, parts, (start, end))
        return nm.identifier(text)
