"""The judge: walks the mapped loop nest of a layer point by point, in plain Python.

It imports nothing of zeroskip.  A layer is given in words of its own: each term a list of
accesses, each subscript a Python expression over the index variables.  Slow on purpose.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import product
from typing import Any

Point = dict[str, int]
Place = tuple[int, ...]


@dataclass
class Access:
    """``values`` and ``stored`` are dicts of coordinates; a coordinate outside ``shape`` (after
    subtracting the low padding) is padding."""

    tensor: str
    subscripts: list[str]
    shape: Place
    low: Place
    values: dict[Place, float]
    stored: set[Place]
    dense: bool

    def __post_init__(self) -> None:
        self.codes = [compile(text, "", "eval") for text in self.subscripts]

    def names(self) -> set[str]:
        return {name for code in self.codes for name in code.co_names}

    def place(self, at: Point) -> Place:
        raw = [eval(code, {}, at) for code in self.codes]
        return tuple(x - lo for x, lo in zip(raw, self.low, strict=True))

    def inside(self, place: Place) -> bool:
        return all(0 <= x < n for x, n in zip(place, self.shape, strict=True))

    def held(self, place: Place) -> bool:
        """Whether the format holds an entry there."""
        return self.inside(place) and (self.dense or place in self.stored)


@dataclass
class Design:
    skip: set[str] = field(default_factory=set)
    lead: set[str] = field(default_factory=set)  # of those in skip, the ones that others follow
    gate: list[tuple[set[str], set[str]]] = field(default_factory=list)  # targets, conditions
    multipliers: int = 1


@dataclass
class Nest:
    """A mapped layer.  steps: (rank, block); across: (rank, tiles)."""

    extents: dict[str, int]
    target: list[str]
    terms: list[list[Access]]
    steps: list[tuple[str, int]]
    across: list[tuple[str, int]]
    result: str = "O"


def simulate(nest: Nest, design: Design) -> dict[str, Any]:
    """Every count, of work terms only (products, or single operands where there are none)."""
    most = max(len(term) for term in nest.terms)
    work = [term for term in nest.terms if len(term) > 1] if most > 1 else nest.terms
    found: Counter[str] = Counter()
    of_pe: Counter[Place] = Counter()
    held_result: dict[Place, set[Place]] = defaultdict(set)
    cycles = 0
    for number, term in enumerate(work):
        each_cycles, windows, spans = _term(nest, design, term, number, found, of_pe, held_result)
        cycles += each_cycles
        for i, access in enumerate(term):
            _fetches(nest, term, access, f"{number}.{i}", windows[i], found)
            _fetches(nest, term, access, f"{number}.{i}.places", spans[i], found)
    found["cycles"] = cycles
    found["written"] = sum(map(len, held_result.values()))
    found["distinct"] = len(set().union(*held_result.values()))
    found["most_result"] = max(map(len, held_result.values()), default=0)
    return {"counts": found, "of_pe": of_pe}


def ranks_of(nest: Nest, term: list[Access]) -> list[str]:
    """Ranks of a term: those of the target and its own, in a fixed order."""
    used = {name for access in term for name in access.names()}
    used |= {name for text in nest.target for name in compile(text, "", "eval").co_names}
    return [rank for rank in nest.extents if rank in used]


def _term(
    nest: Nest,
    design: Design,
    term: list[Access],
    number: int,
    found: Counter[str],
    of_pe: Counter[Place],
    held_result: dict[Place, set[Place]],
) -> tuple[int, list[dict[Any, set[Place]]], list[dict[Any, set[Place]]]]:
    ranks = ranks_of(nest, term)
    steps = [(rank, block) for rank, block in nest.steps if rank in ranks]
    busy: dict[Place, Counter[Place]] = defaultdict(Counter)
    windows: list[dict[Any, set[Place]]] = [defaultdict(set) for _ in term]
    spans: list[dict[Any, set[Place]]] = [defaultdict(set) for _ in term]
    target = [compile(text, "", "eval") for text in nest.target]
    for values in product(*(range(nest.extents[rank]) for rank in ranks)):
        at = dict(zip(ranks, values, strict=True))
        step = tuple(at[rank] // block for rank, block in steps)
        pe = tuple(
            tiles * at[rank] // nest.extents[rank] if rank in at else 0
            for rank, tiles in nest.across
        )
        places = [access.place(at) for access in term]
        for i, (access, place) in enumerate(zip(term, places, strict=True)):
            if access.held(place):
                windows[i][step, pe].add(place)
            if access.inside(place):
                spans[i][step, pe].add(place)
        held_result[pe].add(tuple(eval(code, {}, at) for code in target))
        zero = {a.tensor for a, p in zip(term, places, strict=True) if not a.values.get(p)}
        absent = {a.tensor for a, p in zip(term, places, strict=True) if not a.held(p)}
        found["dense"] += 1
        if absent & design.skip:
            found["never_fetched" if absent & design.lead else "skipped"] += 1
            continue
        busy[step][pe] += 1
        of_pe[pe] += 1
        gated = any(zero & conditions for _, conditions in design.gate)
        for i, name in [*enumerate(a.tensor for a in term), (-1, nest.result)]:
            closed = any(
                name in targets and zero & conditions for targets, conditions in design.gate
            )
            found[f"{number}.{i}.reads"] += not closed
        if gated:
            found["gated"] += 1
        elif zero:
            found["ineffectual"] += 1
        else:
            found["effectual"] += 1
    cost = max(len(term) - 1, 1)
    cycles = sum(
        -(-max(pes.values()) * cost // design.multipliers) if pes else 0 for pes in busy.values()
    )
    return cycles, windows, spans


def _fetches(
    nest: Nest,
    term: list[Access],
    access: Access,
    key: str,
    windows: dict[Any, set[Place]],
    found: Counter[str],
) -> None:
    """Reads of the buffer (one serves all PEs alike), arrivals at PEs, and working sets."""
    names = access.names()
    ranks = ranks_of(nest, term)
    steps = [rank for rank, _ in nest.steps if rank in ranks]
    own = [i for i, (rank, _) in enumerate(nest.across) if rank in names]
    served: dict[Any, set[Place]] = defaultdict(set)
    for (step, pe), places in windows.items():
        served[step, tuple(pe[i] for i in own)] |= places
        found[f"{key}.arrived"] += len(places)
        found[f"{key}.most"] = max(found[f"{key}.most"], len(places))
    found[f"{key}.fetched"] = sum(map(len, served.values()))
    stay = 0
    while stay < len(steps) and steps[stay] in names:
        stay += 1
    kept: dict[Place, set[Place]] = defaultdict(set)
    for (step, _), places in windows.items():
        kept[step[:stay]] |= places
    found[f"{key}.tile"] = max(map(len, kept.values()), default=0)
