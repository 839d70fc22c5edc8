"""Lines without those ranks of the result that have one place.

    O[m,n] = W[m,k]*X[k,n], n = 1    ->    O[m] = W[m,k]*X[k]

An axis of one place moves nothing, so that arrays and result lie as they are, and the line without
it may run in dots: a product with one column is one of a matrix and a vector.  That is why only
lines count whose result then has no rank but those of bound operands.
"""

from __future__ import annotations

from collections.abc import Collection, Container
from dataclasses import replace

import numpy as np

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import free, single, variables
from zeroskip.native.arguments import Operand
from zeroskip.native.lines import Line, line_of


def squeezed(line: Line, bound: Collection[str]) -> Line | None:
    """The line without ranks of one place that the result and arrays of single calls have alone;
    None where there are none, or where it has no dots of a bound operand then.
    """
    form = line.form
    if line.order or form.reduction is not None or any(term.factors for term in form.terms):
        return None
    target = [single(subscript) for subscript in form.target.subscripts]
    ranks = {rank for rank in target if rank is not None and line.extents.ranks[rank] == 1}
    for access in (form.target, *form.reads):
        of_call = access is form.target or _is_of_call(line, access.tensor, bound)
        for subscript, pad in zip(access.subscripts, _pads(line, access), strict=True):
            if not of_call or single(subscript) is None or pad != (0, 0):
                ranks -= set(variables(subscript))
    left = set(target) - ranks
    products = [term.accesses for term in form.terms if len(term.accesses) > 1]
    others = [one for product in products for one in product]
    others = [one for one in others if _is_of_call(line, one.tensor, bound)]
    if not ranks or not products or any(left & set(free(one)) for one in others):
        return None
    if any(ranks.issuperset(map(single, one.subscripts)) for one in (form.target, *form.reads)):
        return None  # a number is no array of fewer axes
    made = line_of(_without(form, ranks), *_sizes(line, ranks), fixed=line.fixed)
    return None if made.converted else replace(made, kept=line.kept)


def _is_of_call(line: Line, tensor: str, bound: Collection[str]) -> bool:
    return tensor not in bound and isinstance(line.used[tensor], np.ndarray)


def _pads(line: Line, access: Access) -> tuple[tuple[int, int], ...]:
    return line.extents.pads.get(access.tensor) or ((0, 0),) * len(access.subscripts)


def _without(form: Form, ranks: Container[str | None]) -> Form:
    def less(access: Access) -> Access:
        kept = tuple(one for one in access.subscripts if single(one) not in ranks)
        return replace(access, subscripts=kept)

    terms = (replace(term, accesses=tuple(map(less, term.accesses))) for term in form.terms)
    return replace(form, target=less(form.target), terms=tuple(terms))


def _sizes(line: Line, ranks: Container[str | None]) -> tuple[dict[str, Operand], Extents]:
    """Operands, arrays among them as views of fewer axes, and extents."""
    extents = line.extents
    shapes, pads, used = dict(extents.shapes), dict(extents.pads), dict(line.used)
    for access in (line.form.target, *line.form.reads):
        kept = [k for k, one in enumerate(access.subscripts) if single(one) not in ranks]
        name, array = access.tensor, line.used.get(access.tensor)
        shapes[name] = tuple(extents.shapes[name][k] for k in kept)
        if name in pads:
            pads[name] = tuple(extents.pads[name][k] for k in kept)
        if isinstance(array, np.ndarray) and len(kept) < array.ndim:
            used[name] = array.reshape(shapes[name])
    left = {rank: n for rank, n in extents.ranks.items() if rank not in ranks}
    return used, replace(extents, ranks=left, shapes=shapes, pads=pads)
