"""Effectual multiplications: how many products of a layer have no zero in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.factor import factor
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.spec import Spec, by_axis, make_spec
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import free
from zeroskip.native.engine import evaluate

Array = NDArray[Any]


def effectual(spec: Spec, operands: Mapping[str, Array], extents: Extents) -> int | None:
    """Multiplications of two operands in which neither is 0; padding is 0.

    The layer's own Einsum over the masks of its operands, summed over everything: where
    I[n,c,p+r] and F[m,c,r] are not 0 together, for a convolution.

    Parameters
    ----------
    operands : dense arrays by name, of the shapes in ``extents``

    Returns
    -------
    int, or None for a cascade, whose later lines read what earlier ones compute
    """
    if len(spec.forms) != 1:
        return None
    (form,) = spec.forms
    held = {*free(form.target), *form.reduced}
    total = 0
    for term in form.terms:
        factors = len(term.accesses)
        if factors > 1:
            outer = held | set(term.ranks)
            total += (factors - 1) * _points(term, outer, operands, extents)
    return total


def _points(term: Term, ranks: set[str], operands: Mapping[str, Array], extents: Extents) -> int:
    """Points of the term's iteration space at which every access is not 0."""
    masks = {f"nz{k}": operands[a.tensor] != 0 for k, a in enumerate(term.accesses)}
    reads = tuple(Access(f"nz{k}", a.subscripts) for k, a in enumerate(term.accesses))
    inner = tuple(dict.fromkeys(v for a in reads for v in free(a)))
    whole = Form(Access("work", ()), "+", None, (Term(1, (), reads, ()),), inner)
    cascade = factor(whole, extents.ranks)
    pads = {f"nz{k}": extents.pads[a.tensor] for k, a in enumerate(term.accesses)}
    text = "\n".join(form_text(form) for form in cascade)
    counting = make_spec(text, pad=by_axis(pads))
    sizes = {rank: extents.ranks[rank] for rank in counting.ranks if rank in extents.ranks}
    counting = replace(counting, consts=extents.constants, sizes=sizes, _solved={})
    alone = prod(extents.ranks[rank] for rank in ranks - set(inner))
    return int(np.asarray(evaluate(counting, masks)["work"])) * alone
