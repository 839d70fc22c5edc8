"""Lines that ask whether a tile of a drawn tensor holds anything, and what is called for by them.

    someA[m//4,k//4] |= nzA[m,k]            a tile of so many places: the chance of an event
    calledA[m1] |= someA[m1,k1]             tiles of disjoint places: one of all their places
    fetched[m1,k1,i] += someA[m1,k1]*...    the largest over i is that of the rest, if called for

An event times counts of other tensors is a product of means, as these are drawn apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import single
from zeroskip.formats.density import Density
from zeroskip.formats.density_models import Blocks
from zeroskip.hwmodel.closed import Closed
from zeroskip.hwmodel.events import Event, Settled
from zeroskip.hwmodel.expected_tiles import (
    is_partition,
    places_of_tiles,
    refused,
    regions_of_tiles,
)
from zeroskip.hwmodel.geometry import Tag
from zeroskip.hwmodel.maxima import Apart, Either, Largest
from zeroskip.hwmodel.regions import log_missed_of

if TYPE_CHECKING:
    from zeroskip.hwmodel.expected_lines import Compiler


DIGITS = 12
"""Behind the point, of the logarithm of a chance."""


def tile_event(known: Compiler, text: str, form: Form, term: Term) -> Closed:
    """A line ``|=`` over one drawn mask, or over tiles of one, as chances of events.

    Raises
    ------
    EinsumError
        For several tensors, and tiles of tiles that overlap.
    """
    random = [access for access in term.accesses if not _is_settled(known, access)]
    if len(random) != 1 or any(scalar in known.lines for scalar in term.scalars):
        raise refused(text, "a tile of several tensors")
    (access,) = random
    masks, name = dict(known.masks), form.target.tensor
    own = masks[access.tensor].tensor if access.tensor in masks else _tensor_of(known, access)
    tensor: str = own or ""
    if access.tensor in masks and is_partition(form, access):
        known.disjoint.add(name)
    elif access.tensor not in masks and not _lie_apart(known, form, access):
        raise refused(text, "a tile of tiles that may overlap")
    elif access.tensor not in masks:
        known.disjoint.add(name)
    density: Density = dict(known.drawn)[tensor]
    model = density.model
    if not (isinstance(model, Blocks) and model.counts.size == 1):
        return _of_groups(known, text, form, access, tensor)
    if access.tensor in masks:
        places = places_of_tiles(known, text, form, access)
    else:
        places = _united(known, text, access)
    found: dict[tuple[str, ...], NDArray[Any]] = {}
    for number in np.unique(places[places > 0]).tolist():
        event = Event(tensor, density.size, model.live, number)
        known.events[event.name] = event
        found[event.name,] = (places == number).astype(np.int64)
    return Closed(found or {(): np.zeros_like(places)})


def _of_groups(known: Compiler, text: str, form: Form, access: Access, tensor: str) -> Closed:
    """Tiles of a tensor whose non-zeros lie in groups that are drawn apart."""
    density, name = dict(known.drawn)[tensor], form.target.tensor
    if access.tensor in dict(known.masks):
        regions = regions_of_tiles(known, text, form, access)
    else:
        axes = [deparse(s) for s in access.subscripts]
        kept = tuple(axes.index(deparse(s)) for s in form.target.subscripts)
        regions = known.regions[access.tensor].joined(kept)
    known.regions[name] = regions
    missed = np.round(log_missed_of(density, regions), DIGITS)  # sums in any order are one event
    found: dict[tuple[str, ...], NDArray[Any]] = {}
    for log in np.unique(missed[missed < 0]).tolist():
        same = (e for e in known.events.values() if isinstance(e, Settled) and e.tensor == tensor)
        alike = next((e for e in same if e.missed == log), None)
        event = alike or Settled(tensor, len(known.events), log)
        known.events[event.name] = event
        found[event.name,] = (missed == log).astype(np.int64)
    return Closed(found or {(): np.zeros(regions.shape, np.int64)})


def _tensor_of(known: Compiler, access: Access) -> str | None:
    """Whose tiles a result asks of."""
    source = known.lines[access.tensor]
    if not isinstance(source, Closed):
        return None
    named = {known.events[n].tensor for names in source.terms for n in names if n in known.events}
    return next(iter(named), None)


def _lie_apart(known: Compiler, form: Form, access: Access) -> bool:
    """Whether a line asks of unions of tiles that lie apart."""
    axes = [deparse(s) for s in access.subscripts]
    plain = len(form.terms[0].accesses) == 1 and len(set(axes)) == len(axes)
    plain &= {deparse(s) for s in form.target.subscripts} <= set(axes)
    plain &= all(single(s) is not None for s in access.subscripts)
    return plain and access.tensor in known.disjoint


def _united(known: Compiler, text: str, access: Access) -> NDArray[np.int64]:
    """How many places each union of tiles has."""
    source = known.lines[access.tensor]
    assert isinstance(source, Closed)
    held: Any = 0
    for names, array in source.terms.items():
        for name in names:
            event = known.events[name]
            assert isinstance(event, Event)
            held = held + event.places * array
    name, _, right = text.partition("|=")
    return np.asarray(known.run(f"{name}+={right}", {access.tensor: np.asarray(held)}), np.int64)


def called_for(
    known: Compiler, name: str, kept: Sequence[int]
) -> tuple[Closed | Largest | Apart | Either, Tag] | None:
    """The maximum of a count over axes that are not kept, where events that the kept axes tell call
    for all of it; None for another.  What is left of the count is as it is without them."""
    _, form = known.texts[name]
    if len(form.terms) > 1:
        return _gated(known, form, kept)
    left = [deparse(s) for s in form.target.subscripts]
    stays = [left[k] for k in kept]
    calls = _calls(known, form, kept)
    if not calls:
        return None
    rest = _without(known, form, calls)
    try:
        largest, tag = known.maximum(rest, kept)
    finally:
        _forget(known, rest)
    assert not isinstance(largest, Either)
    chance = _together(known, calls, stays)
    if isinstance(largest, Closed):
        return _times(chance, largest), tag
    shape = _shape(known, name)
    views = tuple(shape[k] for k in kept), next(iter(chance.terms.values())).shape
    return Apart(((largest, views[0]), (chance, views[1])), 1.0), tag


def _gated(known: Compiler, form: Form, kept: Sequence[int]) -> tuple[Either, Tag] | None:
    """The maximum of a count that is all points of a tile where no event calls for it, and else
    those of what is inside:

        busy[m1,k1,i] += open[m1,k1,i] + reached[m1,k1,i] - passed[m1,k1,i]
        open[m//2,k//2,i] += someA[m//2,k//2]*...     passed[m//2,k//2,i] += someA[m//2,k//2]

    None for another sum, and where several events call."""
    parts: list[tuple[int, str, list[Access]]] = []
    for term in form.terms:
        same = len(term.accesses) == 1 and not term.scalars and not term.factors
        if not same or term.accesses[0].subscripts != form.target.subscripts:
            return None
        name = term.accesses[0].tensor
        if name not in known.texts or len(known.texts[name][1].terms) > 1:
            return None
        parts.append((int(term.number), name, _calls(known, known.texts[name][1], kept)))
    events = {tuple(sorted(map(deparse, calls))) for _, _, calls in parts if calls}
    if len(events) != 1:
        return None
    inside: list[str] = []
    without: Any = 0
    balance: Any = 0
    made: list[str] = []
    try:
        for number, name, calls in parts:
            rest = _without(known, known.texts[name][1], calls) if calls else name
            made += [rest] if calls else []
            line = known.lines[rest]
            if isinstance(line, Closed) and set(line.terms) <= {()}:
                balance = balance + number * line.terms[()]
                without = without + (0 if calls else number * line.terms[()])
            elif calls and number == 1:
                inside.append(rest)
            else:
                return None
        if len(inside) != 1 or np.any(balance):
            return None
        largest, tag = known.maximum(inside[0], kept)
    finally:
        for name in made:
            _forget(known, name)
    if isinstance(largest, Either):
        return None
    gone = [k for k in range(np.ndim(without)) if k not in kept]
    turned = np.asarray(without).transpose((*kept, *gone))
    behind = tuple(range(len(kept), turned.ndim))
    left = [deparse(s) for s in known.texts[parts[0][1]][1].target.subscripts]
    calls = next(calls for _, _, calls in parts if calls)
    chance = _together(known, calls, [left[k] for k in kept])
    return Either(chance, largest, Closed({(): turned.max(axis=behind, initial=0)})), tag


def _calls(known: Compiler, form: Form, kept: Sequence[int]) -> list[Access]:
    """Events that the kept axes of a count tell."""
    stays = {deparse(form.target.subscripts[k]) for k in kept}
    calls = [access for access in form.terms[0].accesses if _is_event(known, access)]
    return [access for access in calls if {deparse(s) for s in access.subscripts} <= stays]


def _without(known: Compiler, form: Form, calls: Sequence[Access]) -> str:
    """A count without what calls for it: the name of its line, to be forgotten."""
    (term,) = form.terms
    target = replace(form.target, tensor=f"{form.target.tensor}_called")
    others = tuple(access for access in term.accesses if access not in calls)
    rest = replace(form, target=target, terms=(replace(term, accesses=others),))
    known.line(form_text(rest), rest)
    return target.tensor


def _forget(known: Compiler, name: str) -> None:
    del known.lines[name], known.texts[name], known.tags[name]


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
