"""Sampled products: dense operands laid out so that their sums are dot products of vectors.

    S[i,j] = sum[k](M[i,j]*A[i,k]*B[k,j])     M sparse: B is read by columns, once an entry of M

Where every entry of the result sums up a whole fiber of the dense operands over one rank, each of
them has that rank last: one that does not is stored anew, if it is read as often as it is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.walk import by_data, free, single
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Uncompressed
from zeroskip.formats.turned import MIN_SIZE, in_order, swapped
from zeroskip.native import codecs
from zeroskip.native.arguments import Array
from zeroskip.native.dotted import COMPUTED
from zeroskip.native.operand import Signature


def turned(
    form: Form,
    signatures: Mapping[str, Signature],
    dtype: str,
    extents: Mapping[str, int],
    stored: int,
) -> dict[str, Format]:
    """Dense operands that are to be stored anew for dot products, and how.

    extents : of the ranks of the result; stored : places of it that are computed, about.
    """
    if dtype not in COMPUTED or len(form.terms) != 1 or form.terms[0].factors:
        return {}
    reads = list(form.terms[0].accesses)
    if any(map(by_data, reads)) or len({access.tensor for access in reads}) < len(reads):
        return {}
    kept = set(free(form.target))
    for access in reads:
        if not signatures[access.tensor].dense:
            kept |= set(free(access))
    summed = {rank for access in reads for rank in free(access)} - kept
    if len(summed) != 1:
        return {}
    (rank,) = summed
    found = {}
    for access in reads:
        names = [single(part) for part in access.subscripts]
        if rank not in free(access) or names[-1] == rank:
            continue
        outer = [name for name in names if name != rank]
        padded = any(signatures[access.tensor].padded)
        if padded or len(set(names)) < len(names) or not all(name in extents for name in outer):
            return {}
        if prod(extents[str(name)] for name in outer) > stored:
            return {}
        order = [names.index(name) for name in (*outer, rank)]
        found[access.tensor] = Format.of([((axis,), Uncompressed()) for axis in order])
    return found


def axes_in(layout: Format) -> tuple[int, ...]:
    """The order of axes in which a layout of `turned` stores a dense operand."""
    return tuple(axis for axes in layout.order for axis in axes)


def turning(array: Array, order: Sequence[int], *, keep: bool) -> Callable[[Array], Array]:
    """What gives the elements of arrays of this shape and type with the axes in that order,
    row-major.

    keep : whether all go through the same memory, so that each is gone with the next.
    """
    found = swapped(array.shape, order) if keep and array.size >= MIN_SIZE else None
    into = None if found is None else codecs.turning(array.dtype, *found)

    def turned(given: Array) -> Array:
        if into is not None and given.flags.aligned:
            return into(given.reshape(-1))
        return in_order(given, order)

    return turned
