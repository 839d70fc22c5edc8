"""Lines that ask whether a tile of a drawn tensor holds anything, and what is called for by them.

    someA[m//4,k//4] |= nzA[m,k]            a tile of so many places: the chance of an event
    calledA[m1] |= someA[m1,k1]             tiles of disjoint places: one of all their places
    fetched[m1,k1,i] += someA[m1,k1]*...    the largest over i is that of the rest, if called for

An event times counts of other tensors is a product of means, as these are drawn apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.errors import EinsumError
from zeroskip.formats.density import Density
from zeroskip.formats.density_models import Blocks
from zeroskip.hwmodel.evaluate import sized
from zeroskip.hwmodel.events import Event
from zeroskip.hwmodel.geometry import Apart, Closed, Largest, Tag
from zeroskip.native.engine import evaluate

if TYPE_CHECKING:
    from zeroskip.hwmodel.expected_lines import Compiler

MOST_PLACES = 2**24
"""Places of tiles, all tiles together, that are told apart at most."""


def tile_event(known: Compiler, text: str, form: Form, term: Term) -> Closed:
    """A line ``|=`` over one drawn mask, or over tiles of one, as chances of events.

    Raises
    ------
    EinsumError
        For several tensors, tiles of tiles that overlap, and tensors whose places are not as
        likely as each other.
    """
    random = [access for access in term.accesses if not _is_settled(known, access)]
    if len(random) != 1 or any(scalar in known.lines for scalar in term.scalars):
        raise refused(text, "a tile of several tensors")
    (access,) = random
    masks, name = dict(known.masks), form.target.tensor
    if access.tensor in masks:
        tensor = masks[access.tensor].tensor
        places = _places(known, text, form, access)
        if _is_partition(form, access):
            known.disjoint.add(name)
    else:
        tensor, places = _of_tiles(known, text, form, access)
    density: Density = dict(known.drawn)[tensor]
    model = density.model
    if not (isinstance(model, Blocks) and model.counts.size == 1):
        raise refused(text, f"a tile of {tensor}, which is not uniform,")
    found: dict[tuple[str, ...], NDArray[Any]] = {}
    for number in np.unique(places[places > 0]).tolist():
        event = Event(tensor, density.size, model.live, number)
        known.events[event.name] = event
        found[event.name,] = (places == number).astype(np.int64)
    return Closed(found or {(): np.zeros_like(places)})


def called_for(
    known: Compiler, name: str, kept: Sequence[int]
) -> tuple[Closed | Largest | Apart, Tag] | None:
    """The maximum of a count over axes that are not kept, where events that the kept axes tell call
    for all of it; None for another.  What is left of the count is as it is without them."""
    _, form = known.texts[name]
    if len(form.terms) > 1:
        return None
    (term,) = form.terms
    left = [deparse(s) for s in form.target.subscripts]
    stays = [left[k] for k in kept]
    calls = [a for a in term.accesses if _is_event(known, a)]
    calls = [a for a in calls if {deparse(s) for s in a.subscripts} <= set(stays)]
    if not calls:
        return None
    target = replace(form.target, tensor=f"{name}_called")
    others = tuple(access for access in term.accesses if access not in calls)
    rest = replace(form, target=target, terms=(replace(term, accesses=others),))
    known.line(form_text(rest), rest)
    try:
        largest, tag = known.maximum(target.tensor, kept)
    finally:
        del known.lines[target.tensor], known.texts[target.tensor], known.tags[target.tensor]
    chance = _together(known, calls, stays)
    if isinstance(largest, Closed):
        return _times(chance, largest), tag
    shape = _shape(known, name)
    views = tuple(shape[k] for k in kept), next(iter(chance.terms.values())).shape
    return Apart(((largest, views[0]), (chance, views[1])), 1.0), tag


def refused(text: str, what: str) -> EinsumError:
    """The error of a line without a mean."""
    return EinsumError(
        f"{what} has no expectation here:\n  {text}\n"
        "Draw arrays from the densities, density.sample(rng), and charge these."
    )


# ---- places of tiles ------------------------------------------------------------------------


def _places(known: Compiler, text: str, form: Form, access: Access) -> NDArray[np.int64]:
    """How many places of a tensor, each once, a tile has."""
    name, _, right = text.partition("|=")
    reads = {a.tensor for a in form.reads} - known.numbers.names
    arrays = {tensor: known.static(tensor) for tensor in reads}
    arrays[access.tensor] = known.possible[access.tensor]
    if len(form.terms[0].accesses) == 1 and _is_partition(form, access):
        return np.asarray(np.maximum(known.run(f"{name}+={right}", arrays), 0), np.int64)
    left = [deparse(s) for s in form.target.subscripts]
    axes = [deparse(s) for s in access.subscripts]
    more = list(dict.fromkeys(axis for axis in axes if axis not in left))

    wider = f"places_of[{','.join((*left, *more))}] |={right}"
    spec = sized(wider, known.sizes)
    cells = prod(spec.extents({n: a.shape for n, a in arrays.items()}).shapes["places_of"])
    if cells > MOST_PLACES:
        raise refused(text, f"a tile among {cells:,} places")

    touched = np.asarray(evaluate(spec, arrays)["places_of"]) > 0
    return np.asarray(touched.sum(axis=tuple(range(len(left), touched.ndim))), np.int64)


def _is_partition(form: Form, access: Access) -> bool:
    """Whether every place of a tensor is in one tile at most, and comes there once."""
    axes = [single(s) for s in access.subscripts]
    named = {v for s in form.target.subscripts for v in variables(s)}
    plain = None not in axes and len(set(axes)) == len(axes)
    return plain and named <= set(axes) and set(form.ranks) <= set(axes)


def _of_tiles(
    known: Compiler, text: str, form: Form, access: Access
) -> tuple[str, NDArray[np.int64]]:
    """The tensor of tiles that lie apart, and how many places each union of them has."""
    source = known.lines[access.tensor]
    axes = [deparse(s) for s in access.subscripts]
    plain = len(form.terms[0].accesses) == 1 and len(set(axes)) == len(axes)
    plain &= {deparse(s) for s in form.target.subscripts} <= set(axes)
    plain &= all(single(s) is not None for s in access.subscripts)
    if not (plain and isinstance(source, Closed) and access.tensor in known.disjoint):
        raise refused(text, "a tile of tiles that may overlap")
    events = [known.events[name] for (name,) in source.terms if name in known.events]
    held = [known.events[name].places * array for (name,), array in source.terms.items()]
    name, _, right = text.partition("|=")
    found = known.run(f"{name}+={right}", {access.tensor: np.asarray(sum(held))})
    known.disjoint.add(form.target.tensor)
    return events[0].tensor, np.asarray(found, np.int64)


# ---- what is called for ---------------------------------------------------------------------


def _is_settled(known: Compiler, access: Access) -> bool:
    mask = dict(known.masks).get(access.tensor)
    if mask is not None:
        return mask.kind == "in" or mask.tensor in known.fixed
    line = known.lines[access.tensor]
    return isinstance(line, Closed) and set(line.terms) <= {()}


def _is_event(known: Compiler, access: Access) -> bool:
    line = known.lines.get(access.tensor)
    if not isinstance(line, Closed) or known.texts[access.tensor][1].reduction != "|":
        return False
    return any(set(names) & known.events.keys() for names in line.terms)


def _together(known: Compiler, calls: Sequence[Access], stays: Sequence[str]) -> Closed:
    """The product of events by the axes that stay."""
    whole = Closed({(): np.ones((1,) * len(stays), np.int64)})
    for access in calls:
        line = known.lines[access.tensor]
        assert isinstance(line, Closed)
        axes = [deparse(s) for s in access.subscripts]
        order = sorted(range(len(axes)), key=lambda k: stays.index(axes[k]))
        view = [1] * len(stays)
        by_stays = {}
        for names, array in line.terms.items():
            for k in order:
                view[stays.index(axes[k])] = array.shape[k]
            by_stays[names] = array.transpose(order).reshape(view)
        whole = _times(whole, Closed(by_stays))
    return whole


def _times(one: Closed, other: Closed) -> Closed:
    found: dict[tuple[str, ...], NDArray[Any]] = {}
    for names, array in one.terms.items():
        for more, factor in other.terms.items():
            key = tuple(sorted((*names, *more)))
            part = np.asarray(array * factor)
            found[key] = found[key] + part if key in found else part
    return Closed(found)


def _shape(known: Compiler, name: str) -> tuple[int, ...]:
    line = known.lines[name]
    assert isinstance(line, Closed)
    return next(iter(line.terms.values())).shape
