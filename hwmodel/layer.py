"""A layer as the hardware model sees it: terms, operands with roles, extents of everything.

A layer is one line of Einsum.  Its *work* is its terms with products; terms of one operand
(a bias) are additions that go into the accumulators.  A line without any product, such as
sum pooling, has additions as its work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Protocol

from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.subscripts import fold
from zeroskip.einsum_spec.tree import Access, Affine, Compare
from zeroskip.einsum_spec.walk import bounds, gathers, single, variables
from zeroskip.errors import ArchError, EinsumError
from zeroskip.hwmodel.absorbing import absorbed, accesses_of
from zeroskip.hwmodel.brackets import brackets_of, counters_of, inside_of, ranks_of
from zeroskip.hwmodel.indices import (
    INDEX,
    check_indices,
    index_reads,
    index_widths,
    names_places,
)
from zeroskip.hwmodel.rings import adds_nothing, as_product

MAX_OPERANDS = 6
ROLES = ("I", "F", "bias")
"""Roles of operands: input activations, filter weights, bias.  What names places of others has
none of these: it is an ``index``."""

_WEIGHTS = {"f", "w", "k", "filter", "filters", "kernel", "weight", "weights"}
_INPUTS = {"i", "x", "input", "inputs", "iact", "iacts", "activation", "activations"}


class LayerSpec(Protocol):
    """What is read of `zeroskip.einsum_spec.spec.Spec`."""

    @property
    def forms(self) -> tuple[Form, ...]: ...
    def extents(self, shapes: Mapping[str, tuple[int, ...]]) -> Extents: ...


@dataclass(frozen=True, slots=True)
class Operand:
    """One access of a term, its subscripts with every constant multiplied out.

    lengths : places of each axis that are in reach, from the first padded one.
    pads : (lo, hi) of each axis.
    absorbs : whether a zero of it makes the term zero; see `zeroskip.hwmodel.absorbing`.
    width : of an index tensor, bits of what it names places by; None for a factor, whose values
        are as wide as the design says.
    """

    tensor: str
    subscripts: tuple[Affine, ...]
    lengths: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    absorbs: bool = True
    width: int | None = None

    @property
    def variables(self) -> set[str]:
        return {name for subscript in self.subscripts for name in variables(subscript)}

    @property
    def is_index(self) -> bool:
        """Whether it names places of other operands, and is no factor."""
        return self.width is not None

    def bits(self, value_bits: int) -> int:
        """Bits of one entry, where a value has so many."""
        return value_bits if self.width is None else self.width

    @property
    def gathered(self) -> bool:
        """Whether index tensors name its places."""
        return any(map(names_places, self.subscripts))

    def named_by(self, other: Operand) -> bool:
        """Whether another operand is read to know where this one is."""
        return other.is_index and any(
            (gather.access.tensor, gather.access.subscripts) == (other.tensor, other.subscripts)
            for subscript in self.subscripts
            for gather in gathers(subscript)
        )


@dataclass(frozen=True, slots=True)
class WorkTerm:
    """One additive term: its operands, its ranks, and how often it multiplies at a point.

    within : brackets outside which nothing is done, constants multiplied out; empty: at all points.
    inside : points within them.
    counters : places that are values, such as that of ``A[m]*m``: counted, not read.
    """

    operands: tuple[Operand, ...]
    ranks: tuple[str, ...]
    points: int
    within: tuple[Compare, ...] = ()
    inside: int = 0
    counters: int = 0

    @property
    def multiplications(self) -> int:
        factors = sum(not operand.is_index for operand in self.operands)
        return max(factors + self.counters - 1, 0)


@dataclass(frozen=True, slots=True)
class Layer:
    """One line, bound to shapes.

    work : terms whose points are operations.
    additions : terms of one operand or none beside them.
    reductions : ranks that the target lacks, outermost first.
    roles : operand -> ``I``, ``F``, ``bias``; the result is ``O``.
    additive : whether an absent product leaves the result as it is.
    """

    form: Form
    extents: Extents
    target: Operand
    work: tuple[WorkTerm, ...]
    additions: tuple[WorkTerm, ...]
    ranks: tuple[str, ...]
    reductions: tuple[str, ...]
    roles: dict[str, str]
    additive: bool

    @property
    def form_text(self) -> str:
        """The line, with every sum written out."""
        return form_text(self.form)

    @property
    def tensors(self) -> tuple[str, ...]:
        """Operands, in order of appearance."""
        terms = (*self.work, *self.additions)
        return tuple(dict.fromkeys(o.tensor for term in terms for o in term.operands))

    def extent(self, rank: str) -> int:
        return self.extents.ranks[rank]

    def first(self, tensor: str) -> Operand:
        """The first access of an operand, or the target."""
        for term in (*self.work, *self.additions):
            for operand in term.operands:
                if operand.tensor == tensor:
                    return operand
        return self.target


def layer_of(
    spec: LayerSpec,
    shapes: Mapping[str, tuple[int, ...]],
    roles: Mapping[str, str] | None = None,
    zero: float = 0,
) -> Layer:
    """The layer that a spec is, on operands of these shapes.

    zero : the value that adds nothing to it; see `zeroskip.hwmodel.rings`.

    Raises
    ------
    EinsumError
        For several lines, more operands than `MAX_OPERANDS`, and what goes by places.
    ArchError
        For a role that names no operand.
    """
    if len(spec.forms) != 1:
        raise EinsumError(
            f"expected a layer of one line, found {len(spec.forms)} lines",
            hint="Charge each line on its own.",
        )
    form = spec.forms[0]
    check_indices(form)
    extents = spec.extents(shapes)
    values = {rank.upper(): n for rank, n in extents.ranks.items()} | extents.constants
    written = as_product(form) if zero else form.terms
    additive = adds_nothing(form)
    terms = [_term(form, term, extents, values, additive) for term in written]
    work = tuple(t for t in terms if t.operands and t.multiplications)
    if not work:
        work = tuple(t for t in terms if t.operands)
    if not work:
        raise EinsumError("a line without operands has nothing to charge for")
    target = _operand(form.target, extents, values)
    outer = {name for s in target.subscripts for name in variables(s)}
    ranks = tuple(dict.fromkeys(r for t in (*work, *terms) for r in t.ranks))
    first = [r for name in ("c", "k") for r in ranks if r == name and r not in outer]
    reductions = tuple(dict.fromkeys((*first, *(r for r in ranks if r not in outer))))
    return Layer(
        form=form,
        extents=extents,
        target=target,
        work=work,
        additions=tuple(t for t in terms if t not in work),
        ranks=ranks,
        reductions=reductions,
        roles=_roles(work, terms, roles or {}),
        additive=additive or zero != 0,
    )


def _term(
    form: Form, term: Term, extents: Extents, values: Mapping[str, int], additive: bool
) -> WorkTerm:
    """additive : whether a term that is 0 at a point leaves the result as it is."""
    read, zeros = accesses_of(term), absorbed(term)
    if len(read) > MAX_OPERANDS:
        names = ", ".join(a.tensor for a in read)
        raise EinsumError(
            f"a product of {len(read)} operands ({names}); at most {MAX_OPERANDS} can be charged",
            hint="Multiply some of them in a line of their own.",
        )
    outer = [name for s in form.target.subscripts for name in variables(s)]
    ranks = tuple(dict.fromkeys((*outer, *term.ranks, *form.reduced)))
    widths = index_widths(form, extents)
    operands = tuple(
        replace(
            _operand(access, extents, values),
            absorbs=access in zeros,
            width=widths.get(access.tensor),
        )
        for access in (*index_reads((*read, form.target)), *read)
    )
    points = prod(extents.ranks[r] for r in ranks)
    within, loose = brackets_of(term, values) if additive else ((), ())
    inside = points
    if within and points:
        box = inside_of(within, extents.ranks)
        inside = int(box.sum()) * prod(extents.ranks[r] for r in ranks if r not in ranks_of(within))
    return WorkTerm(operands, ranks, points, within, inside, counters_of(term, loose))


def _operand(access: Access, extents: Extents, values: Mapping[str, int]) -> Operand:
    subscripts = tuple(fold(s, values) for s in access.subscripts)
    lengths = []
    pads = extents.pads.get(access.tensor) or ((0, 0),) * len(subscripts)
    for axis, s in enumerate(subscripts):
        if any(extents.ranks[name] == 0 for name in variables(s)):
            lengths.append(0)
        elif names_places(s):
            lengths.append(extents.shapes[access.tensor][axis] + sum(pads[axis]))
        else:
            lengths.append(bounds(s, extents.ranks, values)[1] + 1)
    return Operand(access.tensor, subscripts, tuple(lengths), tuple(pads))


def _roles(
    work: tuple[WorkTerm, ...], terms: list[WorkTerm], given: Mapping[str, str]
) -> dict[str, str]:
    """Who is activation and who is weight: as told, else by name, else by a window (p+r) of
    the input, else the first operand is the activation; all others are weights."""
    operands = {o.tensor: o for term in work for o in term.operands if not o.is_index}
    read = [o for term in terms for o in term.operands]
    everyone = {o.tensor for o in read if not o.is_index}
    roles = {o.tensor: INDEX for o in read if o.is_index}
    for tensor, role in given.items():
        if tensor in roles and role == INDEX:
            continue
        if tensor not in everyone:
            names = ", ".join(sorted(everyone))
            raise ArchError(f"roles name {tensor}, which is no operand; operands: {names}")
        if role not in ROLES:
            raise ArchError(f"role of {tensor}: expected {' or '.join(ROLES)}, found {role!r}")
        roles[tensor] = role
    for tensor in operands:
        plain = tensor.lower().rstrip("0123456789_")
        if tensor not in roles and plain in _WEIGHTS | _INPUTS:
            roles[tensor] = "F" if plain in _WEIGHTS else "I"
    for tensor, operand in operands.items():
        affine = [s for s in operand.subscripts if not names_places(s)]
        if tensor not in roles and any(single(s) is None and s.terms for s in affine):
            roles[tensor] = "I"
    for tensor in operands:
        if tensor not in roles:
            roles[tensor] = "F" if "I" in roles.values() else "I"
    for tensor in everyone:
        roles.setdefault(tensor, "bias")
    return roles
