"""Index tensors: operands that name places of others, ``O[n,d] = A[X[n],d]``, or of the result.

    effectual += nzA[indexX[n],d]                      an index tensor in the accounting: indexX
    winA_a[n//4,indexX[n]] |= 1                        rows of A that a tile of 4 words reaches
    heldA[n//4] += nzA[a,d]*winA_a[n//4,a]             one that is named twice is there once

An index tensor is read as any operand is, entry by entry, in its format at each level, but it is
no factor: its zero is a place like any other.  An entry of it is as wide as a coordinate of the
axis that it addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access, Affine, Floor, Gather
from zeroskip.einsum_spec.walk import gathers
from zeroskip.errors import EinsumError
from zeroskip.formats.level_data import coordinate_bits
from zeroskip.hwmodel.absorbing import accesses_of

INDEX = "index"
"""The role of what names places of other operands."""


def names_places(subscript: Affine) -> bool:
    """Whether a subscript reads places from an index tensor."""
    return any(True for _ in gathers(subscript))


def check_indices(form: Form) -> None:
    """Refuse what the accounting has no line for: a wrong count would be a silent one."""
    values = {access.tensor for term in form.terms for access in accesses_of(term)}
    for index in (gather for access in (*form.reads, form.target) for gather in _of(access)):
        if index.access.tensor in values:
            raise EinsumError(
                f"{index.access.tensor} is read as a value and names places of another operand; "
                "the hardware model has one width and one role for each",
                hint="Hand over the same array by two names.",
            )


def index_reads(read: Iterable[Access]) -> tuple[Access, ...]:
    """What is read to know where these are, inner ones first, each once."""
    return tuple(dict.fromkeys(gather.access for access in read for gather in _of(access)))


def index_widths(form: Form, extents: Extents) -> dict[str, int]:
    """Bits of an entry of each index tensor: a coordinate of the longest axis that it names, at
    least one."""
    found: dict[str, int] = {}
    for access in (*form.reads, form.target):
        shape = extents.shapes[access.tensor]
        for places, subscript in zip(shape, access.subscripts, strict=True):
            for gather in _outermost(subscript):
                name = gather.access.tensor
                found[name] = max(found.get(name, 1), coordinate_bits(places))
    return found


def _of(access: Access) -> Iterator[Gather]:
    for subscript in access.subscripts:
        yield from gathers(subscript)


def _outermost(subscript: Affine) -> Iterator[Gather]:
    """Those whose values are places along the axis, and not of another index tensor."""
    for _, atom in subscript.terms:
        if isinstance(atom, Floor):
            yield from _outermost(atom.inner)
        elif isinstance(atom, Gather):
            yield atom
