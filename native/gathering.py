"""Places that data names: index tensors read, and what they hold checked, before it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import gathers
from zeroskip.native.cursor import Place, State
from zeroskip.native.nest import Check, Fetch, Stmt
from zeroskip.native.scheme import Scheme


def wanted_places(state: State, access: Access, axes: Iterable[int]) -> list[Place]:
    """Reads of index tensors, each once, and checks of what they give, that axes still want."""
    found: list[Place] = []
    for axis in axes:
        wanted = list(gathers(access.subscripts[axis]))
        found += [g.access for g in wanted if g.access not in state.fetched]
        if wanted and (access, axis) not in state.verified:
            found.append((access, axis))
    return list(dict.fromkeys(found))


def fetch(
    scheme: Scheme,
    state: State,
    places: Sequence[Place],
    then: Callable[[State], tuple[Stmt, ...]],
) -> tuple[Stmt, ...]:
    """Read index tensors and check their places, in order; ``then`` comes inside."""
    if not places:
        return then(state)
    place, *rest = places
    if isinstance(place, Access):
        var = scheme.fetch(place)
        after = replace(state, fetched=state.fetched | {place})
        array, index = scheme.values(place.tensor), scheme.row_major(place)
        return (Fetch(var, array, index, fetch(scheme, after, rest, then)),)
    access, axis = place
    after = replace(state, verified=state.verified | {place})
    coordinate, extent = scheme.index(access, axis), scheme.axis_extent(access, axis)
    number = scheme.check(access, axis)
    return (Check(coordinate, extent, number, fetch(scheme, after, rest, then)),)
