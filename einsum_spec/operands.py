"""Are the operands the ones that the forms read, each with its number of axes?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access, Affine, Compare, Place, Span
from zeroskip.einsum_spec.walk import constants, expressions
from zeroskip.errors import EinsumError

Shape = tuple[int, ...]


def accesses_of(forms: Sequence[Form]) -> Iterator[Access]:
    """Every access of the forms, targets first, line by line."""
    for form in forms:
        yield form.target
        yield from form.reads


def scalars_of(forms: Sequence[Form]) -> dict[str, None]:
    """Every bare name of the forms, in order of appearance."""
    return dict.fromkeys(n for form in forms for term in form.terms for n in term.bare)


def mentioned(forms: Sequence[Form]) -> set[str]:
    """Names that stand for a number: bare ones, and the constants of subscripts."""
    found = set(scalars_of(forms))
    found.update(n for a in accesses_of(forms) for part in a.subscripts for n in constants(part))
    found.update(n for part in places_of(forms) for n in constants(part))
    return found


def places_of(forms: Sequence[Form]) -> Iterator[Affine]:
    """Subscripts that stand outside tensors: coordinates as values, and in comparisons."""
    for form in forms:
        for term in form.terms:
            for factor in term.factors:
                for node in expressions(factor):
                    if isinstance(node, Place):
                        yield node.subscript
                    elif isinstance(node, Compare):
                        yield from (s for s in (node.left, node.right) if isinstance(s, Affine))


def check_sizes(forms: Sequence[Form], sizes: Mapping[str, Any], text: str | None = None) -> None:
    """Refuse a size of what is no rank, by its name or the name of its extent."""
    ranks = dict.fromkeys(name for form in forms for name in form.ranks)
    extents = {name.upper() for name in ranks} | mentioned(forms)
    results = {form.target.tensor for form in forms}
    for name, size in sizes.items():
        if isinstance(size, tuple) and name in results:
            continue
        if name not in ranks and name.upper() not in extents:
            raise _error(
                f"sizes names {name}, which is no rank",
                text,
                [],
                f"Ranks: {', '.join(ranks) or 'none'}.",
            )


def check_operands(
    forms: Sequence[Form],
    given: Mapping[str, Shape],
    values: Collection[str],
    text: str | None = None,
) -> None:
    """Refuse operands that are missing, left over, or of a wrong number of axes.

    given : shape of every operand, and of any result that the caller holds.
    values : names that are constants or extents of ranks.
    """
    results = {form.target.tensor for form in forms}
    first = _first_accesses(forms, text)
    for name, access in first.items():
        count = len(access.subscripts)
        if name not in given:
            if name not in results:
                raise _error(
                    f"operand {name} is missing",
                    text,
                    [access.span],
                    f"Pass {name}, {axes(count)}.",
                )
        elif len(given[name]) != count:
            raise _error(
                f"{name} has {axes(count)} in the Einsum, but its shape is {given[name]}",
                text,
                [access.span],
                f"Pass {article(name)} {name} of {axes(count)}, or change its subscripts.",
            )
    bare = scalars_of(forms)
    for name in bare:
        _check_scalar(name, first, given, results | set(values), text)
    for name in given:
        if name not in first and (name not in bare or name in values):
            if name in values:
                hint = f"{name} is a constant or the extent of a rank here; rename the operand."
            else:
                known = [n for n in (*first, *bare) if n not in results and n not in values]
                hint = f"Operands: {', '.join(known) or 'none'}."
            raise EinsumError(f"{name} is no operand of this Einsum", hint=hint)


def _first_accesses(forms: Sequence[Form], text: str | None) -> dict[str, Access]:
    first: dict[str, Access] = {}
    for access in sorted(accesses_of(forms), key=lambda a: a.span or (0, 0)):
        other = first.setdefault(access.tensor, access)
        if len(other.subscripts) != len(access.subscripts):
            raise _error(
                f"{access.tensor} has {axes(len(other.subscripts))} here and "
                f"{axes(len(access.subscripts))} there",
                text,
                [other.span, access.span],
                "Give one of the two tensors another name.",
            )
    return first


def _check_scalar(
    name: str,
    first: Mapping[str, Access],
    given: Mapping[str, Shape],
    known: Collection[str],
    text: str | None,
) -> None:
    if name in first and first[name].subscripts:
        raise _error(
            f"{name} stands without subscripts, and as a tensor of "
            f"{axes(len(first[name].subscripts))}",
            text,
            [first[name].span],
            "Give one of the two another name.",
        )
    if name in known:
        return
    if name not in given:
        raise EinsumError(
            f"{name} has no value",
            hint=f'Give it: consts={{"{name}": 2}}, or pass {name} as an operand of no axes.',
        )
    if given[name] != ():
        raise EinsumError(
            f"{name} has no axes in the Einsum, but its shape is {given[name]}",
            hint=f"Pass one number, or subscript it: {name}[i].",
        )


def axes(count: int) -> str:
    """``no axes``, ``1 axis``, ``2 axes``."""
    return "no axes" if count == 0 else f"{count} ax{'i' if count == 1 else 'e'}s"


def article(name: str) -> str:
    """``a`` or ``an``, as the name is read out."""
    an = name in "AEFHILMNORSXaefhilmnorsx" if len(name) == 1 else name[0] in "AEIOaeio"
    return "an" if an else "a"


def _error(message: str, text: str | None, spans: list[Span | None], hint: str) -> EinsumError:
    return EinsumError(message, text=text, spans=[s for s in spans if s], hint=hint)
