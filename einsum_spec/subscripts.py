"""Subscripts in one normal form: constants folded, atoms in order of their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from math import gcd

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.tokens import MAX_INTEGER
from zeroskip.einsum_spec.tree import Access, Affine, Atom, Floor, Gather, Monomial, Span, Var
from zeroskip.errors import EinsumError


def fold(subscript: Affine, consts: Mapping[str, int | float], text: str | None = None) -> Affine:
    """The subscript with the constants of known value multiplied out.

    Raises
    ------
    EinsumError
        Where a value is no integer or above 2**62, or a divisor is not positive.
    """
    terms: dict[Atom, Monomial] = {}
    offset: dict[tuple[str, ...], int] = {}

    def add(monomial: Monomial, atom: Atom | None) -> None:
        if monomial.value == 0:
            return
        if atom is None:
            offset[monomial.names] = offset.get(monomial.names, 0) + monomial.value
            return
        if atom in terms:
            if terms[atom].names != monomial.names:
                raise _error(f"{deparse(atom)} has two coefficients in one subscript", subscript)
            monomial = Monomial(monomial.value + terms[atom].value, monomial.names)
        terms[atom] = monomial

    def _error(message: str, at: Affine | Floor) -> EinsumError:
        return EinsumError(message, text=text, spans=_spans(at.span or subscript.span))

    def known(monomial: Monomial) -> Monomial:
        value, names = monomial.value, []
        for name in monomial.names:
            if name not in consts:
                names.append(name)
                continue
            factor = consts[name]
            if factor != int(factor):
                raise _error(f"constant {name} is {factor}; a subscript takes integers", subscript)
            value *= int(factor)
        return small(Monomial(value, tuple(names)))

    def small(monomial: Monomial) -> Monomial:
        if abs(monomial.value) > MAX_INTEGER:
            raise _error(f"a subscript takes numbers to 2**62, found {monomial.value}", subscript)
        return monomial

    def spread(inner: Affine, by: Monomial) -> None:
        for monomial, atom in inner.terms:
            add(_times(by, monomial), atom)
        for monomial in inner.offset:
            add(_times(by, monomial), None)

    for monomial, atom in subscript.terms:
        factor = known(monomial)
        if isinstance(atom, Var):
            add(factor, atom)
            continue
        if isinstance(atom, Gather):
            parts = tuple(fold(part, consts, text) for part in atom.access.subscripts)
            read = Access(atom.access.tensor, parts, atom.access.span)
            add(factor, Gather(read, atom.span))
            continue
        inner, divisor = fold(atom.inner, consts, text), known(atom.divisor)
        if divisor.value <= 0:
            raise _error(f"{deparse(atom.divisor)} divides and is {divisor.value}", atom)
        whole, inner, divisor = _divided(inner, divisor)
        spread(whole, factor)
        if inner.terms or inner.offset:
            add(factor, Floor(inner, divisor, atom.span))
    for monomial in subscript.offset:
        add(known(monomial), None)
    return Affine(
        tuple((small(m), a) for a, m in sorted(terms.items(), key=_order) if m.value),
        tuple(
            small(Monomial(value, names))
            for names, value in sorted(offset.items(), key=lambda item: (not item[0], item[0]))
            if value
        ),
        subscript.span,
    )


def _divided(inner: Affine, divisor: Monomial) -> tuple[Affine, Affine, Monomial]:
    """``inner // divisor`` as ``whole + rest // reduced divisor``, with ``whole`` the multiples.

    So ``(p+4)//4`` is ``p//4 + 1`` and ``2*p//4`` is ``p//2``, as in SymPy.
    """
    rest = [*inner.terms, *((m, None) for m in inner.offset)]
    common = gcd(divisor.value, *(m.value for m, _ in rest))
    shared = Counter(divisor.names)
    for monomial, _ in rest:
        shared &= Counter(monomial.names)
    out = Monomial(common, tuple(shared.elements()))
    divisor = _over(divisor, out)
    whole: list[tuple[Monomial, Atom | None]] = []
    kept: list[tuple[Monomial, Atom | None]] = []
    for monomial, atom in rest:
        monomial = _over(monomial, out)
        left = Counter(divisor.names) - Counter(monomial.names)
        if monomial.value % divisor.value == 0 and not left:
            whole.append((_over(monomial, divisor), atom))
        elif atom is None and not divisor.names and not monomial.names:
            quotient, remainder = divmod(monomial.value, divisor.value)
            whole.append((Monomial(quotient), None))
            kept.append((Monomial(remainder), None))
        else:
            kept.append((monomial, atom))
    return _gathered(whole, inner.span), _gathered(kept, inner.span), divisor


def _over(monomial: Monomial, by: Monomial) -> Monomial:
    names = Counter(monomial.names) - Counter(by.names)
    return Monomial(monomial.value // by.value, tuple(sorted(names.elements())))


def _gathered(parts: list[tuple[Monomial, Atom | None]], span: Span | None) -> Affine:
    return Affine(
        tuple((m, atom) for m, atom in parts if atom is not None),
        tuple(m for m, atom in parts if atom is None and m.value),
        span,
    )


def rename(
    subscript: Affine,
    new: Callable[[str], str],
    constant: Callable[[str], str],
    tensor: Callable[[str], str] = str,
) -> Affine:
    """The subscript with index variables renamed by ``new``, constants by ``constant``, and index
    tensors by ``tensor``."""

    def factor(monomial: Monomial) -> Monomial:
        return Monomial(monomial.value, tuple(sorted(map(constant, monomial.names))))

    terms: list[tuple[Monomial, Atom]] = []
    for monomial, atom in subscript.terms:
        if isinstance(atom, Var):
            terms.append((factor(monomial), Var(new(atom.name), atom.span)))
        elif isinstance(atom, Gather):
            parts = tuple(rename(part, new, constant, tensor) for part in atom.access.subscripts)
            read = Access(tensor(atom.access.tensor), parts, atom.access.span)
            terms.append((factor(monomial), Gather(read, atom.span)))
        else:
            inner = rename(atom.inner, new, constant, tensor)
            terms.append((factor(monomial), Floor(inner, factor(atom.divisor), atom.span)))
    return Affine(tuple(terms), tuple(map(factor, subscript.offset)), subscript.span)


def _order(item: tuple[Atom, Monomial]) -> tuple[bool, str]:
    return not isinstance(item[0], Var), deparse(item[0])


def _times(a: Monomial, b: Monomial) -> Monomial:
    return Monomial(a.value * b.value, tuple(sorted(a.names + b.names)))


def _spans(span: Span | None) -> list[Span]:
    return [span] if span else []
