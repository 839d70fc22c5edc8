"""One name for every rank, whatever letters the writer chose.

``O[m,p] = W[m,k]*I[k,p]`` and ``O[k,e] = W[k,c]*I[c,e]`` are one layer: the book's letters and
those of the rest of the literature (K for M, E and F for P and Q, X and Y for W and H) differ
in spelling only.  Ranks are told apart by where they stand, refined by what stands beside
them; ranks that this cannot tell apart are taken in order of appearance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.operands import places_of
from zeroskip.einsum_spec.ordering import canonical_order
from zeroskip.einsum_spec.subscripts import fold, rename
from zeroskip.einsum_spec.tree import Access, Affine, Expr, Floor, Gather, Reduce, Scalar
from zeroskip.einsum_spec.walk import map_subscripts, rebuild, variables

_ROUNDS = 3


def canonical_ranks(forms: Sequence[Form]) -> dict[str, str]:
    """Rank -> its canonical name, ``i0``, ``i1``, ...; equal for equal layers."""
    names = dict.fromkeys(name for form in forms for name in form.ranks)
    extents = {name.upper() for name in names}
    occurrences = list(_occurrences(forms, extents))
    colours: dict[str, str] = dict.fromkeys(names, "")
    for _ in range(_ROUNDS):
        seen: dict[str, list[str]] = {name: [] for name in names}
        for name, where, beside in occurrences:
            around = sorted(f"{place}{colours[other]}" for other, place in beside)
            seen[name].append(f"{where}({','.join(around)})")
        found = {name: "|".join(sorted(places)) for name, places in seen.items()}
        order = {text: f"<{i}>" for i, text in enumerate(sorted(set(found.values())))}
        colours = {name: order[found[name]] for name in names}
    ordered = sorted(names, key=lambda name: int(colours[name][1:-1]))
    return {name: f"i{i}" for i, name in enumerate(ordered)}


def canonical_forms(forms: Sequence[Form]) -> tuple[Form, ...]:
    """The forms with canonical ranks; equal for layers equal up to renaming of ranks."""
    ranks = canonical_ranks(forms)
    extents = {name.upper(): new.upper() for name, new in ranks.items()}

    def part(old: Affine) -> Affine:
        return fold(rename(old, lambda n: ranks[n], lambda n: extents.get(n, f"_{n}")), {})

    def access(old: Access) -> Access:
        return Access(old.tensor, tuple(map(part, old.subscripts)))

    def bare(node: Expr) -> Expr:
        match node:
            case Scalar(name=name):
                return Scalar(extents.get(name, f"_{name}"))
            case Reduce(op=op, ranks=summed, body=body):
                return Reduce(op, tuple(ranks[name] for name in summed), body)
            case _:
                return node

    def term(old: Term) -> Term:
        return replace(
            old,
            factors=tuple(rebuild(map_subscripts(f, part), bare) for f in old.factors),
            scalars=tuple(extents.get(name, f"_{name}") for name in old.scalars),
            accesses=tuple(map(access, old.accesses)),
            ranks=tuple(ranks[name] for name in old.ranks),
        )

    return tuple(
        canonical_order(
            replace(
                form,
                target=access(form.target),
                terms=tuple(map(term, form.terms)),
                reduced=tuple(ranks[name] for name in form.reduced),
            )
        )
        for form in forms
    )


def canonical_text(forms: Sequence[Form]) -> str:
    """Text that is equal for layers equal up to renaming of ranks."""
    return "\n".join(map(form_text, canonical_forms(forms)))


_Beside = list[tuple[str, str]]


def _occurrences(forms: Sequence[Form], extents: set[str]) -> Iterator[tuple[str, str, _Beside]]:
    """(rank, where it stands, the ranks beside it) for every place of every rank."""
    for line, form in enumerate(forms):
        yield from _in_access(f"{line}=", form.target, extents)
        for name in form.reduced:
            yield name, f"{line}:reduced", []
        for place in places_of((form,)):
            yield from ((name, f"{line}:place:{role}", []) for name, role in _roles(place, extents))
        for term in form.terms:
            reads = list(term.reads)
            company = " ".join(sorted(access.tensor for access in reads))
            where = f"{line}:{company}:{term.number}:{len(term.ranks)}"
            for name in term.ranks:
                yield name, f"{where}:sum", []
            for access in reads:
                yield from _in_access(where, access, extents)


def _in_access(where: str, access: Access, extents: set[str]) -> Iterator[tuple[str, str, _Beside]]:
    beside = [
        (name, f"{axis}.{role}")
        for axis, part in enumerate(access.subscripts)
        for name, role in _roles(part, extents)
    ]
    for i, (name, role) in enumerate(beside):
        yield name, f"{where}:{access.tensor}:{role}", beside[:i] + beside[i + 1 :]


def _roles(part: Affine, extents: set[str]) -> Iterator[tuple[str, str]]:
    for monomial, atom in part.terms:
        factor = f"{monomial.value}{['#' if n in extents else n for n in monomial.names]}"
        if isinstance(atom, Floor):
            divisor = ["#" if n in extents else n for n in atom.divisor.names]
            for name, role in _roles(atom.inner, extents):
                yield name, f"{factor}({role})//{atom.divisor.value}{divisor}"
        elif isinstance(atom, Gather):
            for name in variables(Affine(((monomial, atom),))):
                yield name, f"{factor}{atom.access.tensor}"
        else:
            yield atom.name, factor
    if part.offset:
        yield from ((name, "offset") for name in variables(part))
