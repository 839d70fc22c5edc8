"""What the results of an accounting mean: names of counts, by term, operand and level."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.hwmodel.fields import Field
from zeroskip.hwmodel.layer import Operand, WorkTerm
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.policy import OperandPolicy, Policy
from zeroskip.hwmodel.stored import Stored, recoded
from zeroskip.hwmodel.tile_trees import TileCount


class Totalled(Mapping[str, NDArray[Any]]):
    """Counts that know the sum of each without the count."""

    @abstractmethod
    def total(self, name: str) -> float:
        """Of a count over everything."""


def total(counts: Mapping[str, NDArray[Any]], name: str) -> Any:
    """The sum of a count over everything: an int, or of expected counts a float or an expression;
    0 for no name."""
    if not name:
        return 0
    if isinstance(counts, Totalled):
        return counts.total(name)
    found: Any = counts[name]
    if found.ndim:
        found = found.sum()
    return found.item() if isinstance(found, np.generic | np.ndarray) else found


@dataclass(frozen=True, slots=True)
class Mask:
    """One mask that the Einsums read.

    kind : ``nz``, ``st`` or ``in``.
    lengths, pads : places of each axis from the first padded one, and the padding.
    """

    kind: str
    tensor: str
    lengths: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Turns:
    """In which epochs a tile comes or leaves: at the first, or the last, epoch of each iteration
    of the loops outside the sync that are named here.

    keys : of these, those that the tile has: the axes of its counts.
    again : of these, those at which it comes again.
    inner : loops inside the sync at which it comes again.
    read, arrive : loops across PEs that it lacks: along which it is read, and arrives, once more.
    within : whether it comes during the work of an epoch, not before it.
    ahead : whether, where loads go ahead, there are two of it at a time.
    """

    keys: tuple[Loop, ...]
    again: tuple[Loop, ...]
    inner: tuple[Loop, ...]
    read: tuple[Loop, ...]
    arrive: tuple[Loop, ...]
    within: bool
    ahead: bool


@dataclass(frozen=True, slots=True)
class Flow:
    """Names of counts of what fills a level, in one format.

    fetched : read from the level outside, over all fills; one read serves every instance that
        needs the same entry of an operand that does not depend on its place in the array.
        Empty where the operand comes whole.
    most : the largest number that one instance holds at a time, so that no entry is fetched
        again; empty where it is not asked for.
    loads : what one tile brings, by the epochs that its `Turns` name; empty where nobody asks.
    tile, keys : what each tile holds, of which ``most`` is the largest, and its axes; empty where
        it is not asked for.
    """

    fetched: str
    most: str
    loads: str = ""
    tile: str = ""
    keys: tuple[Loop, ...] = ()

    @property
    def names(self) -> set[str]:
        return {name for name in (self.fetched, self.most, self.loads, self.tile) if name}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tensor as one level holds it: its format, its entries, and what it has beside them: of
    each field of the format, what counts it.

    At a home on chip the ``fetched`` of each counts all tiles.
    """

    stored: Stored
    entries: Flow
    beside: tuple[tuple[Field, Flow], ...] = ()

    @property
    def flows(self) -> tuple[Flow, ...]:
        return (self.entries, *(flow for _, flow in self.beside))

    @property
    def names(self) -> set[str]:
        return set[str]().union(*(flow.names for flow in self.flows))

    def values(self, counted: Callable[[Flow], Any]) -> Any:
        """Values, from what counts the entries and the rest: those that hold a place, too."""
        return counted(self.entries) + sum(counted(flow) for x, flow in self.beside if x.valued)

    def metadata(self, counted: Callable[[Flow], Any]) -> Any:
        """Bits beside values, from what counts the entries and the rest."""
        bits = counted(self.entries) * self.stored.entry_bits
        for part, flow in self.beside:
            bits = bits + counted(flow) * part.bits
        return bits

    def walked(self, counted: Callable[[Flow], Any]) -> tuple[Any, Any]:
        """What no operation reads, but whoever goes over the fibers of a tile: values that stand
        for no place that is stored, and bits of these, of fibers and of tiles."""
        read = [x for x in self.beside if not (self.stored.stepped and x[0].valued)]
        values = sum(counted(flow) for part, flow in read if part.valued)
        parts = [(part, flow) for part, flow in read if part.axes is not None]
        return values, sum(counted(flow) * part.bits for part, flow in parts)


@dataclass(frozen=True, slots=True)
class Call:
    """What tiles are called for by: a count that is 1 at the iterations of these loops at which
    they are, and 0 at others."""

    name: str
    keys: tuple[Loop, ...]


@dataclass(frozen=True, slots=True)
class Fill:
    """One operand on its way from one level into the next that keeps it.

    inner, outer : as the level filled holds it, and as that outside holds it (None where it
        comes whole).
    whole : how often all of it comes at a time; 0 where it comes tile by tile.
    called : all of these have to call for a tile; none where every tile comes.
    reads, arrivals : how often each entry is read, and arrives somewhere: one read may serve
        several instances.
    points : of its term.
    turns : when it comes; None for what comes once, before the loops, and where nobody asks.
    renewed : loops in time of whose iterations the next one finds nothing of a tile there.
    parts : where tiles spill, masks of what comes this way, among `Accounting.given`.
    words : where it passes the level, and is not kept, the words that are under way; else 0.
    """

    operand: Operand
    role: str
    level: str
    parent: str
    inner: Encoded
    outer: Encoded | None
    whole: int
    reads: int
    arrivals: int
    points: int
    called: tuple[Call, ...] = ()
    turns: Turns | None = None
    renewed: tuple[Loop, ...] = ()
    parts: tuple[str, ...] = ()
    words: int = 0

    @property
    def way(self) -> tuple[str, str, str]:
        """Level outside, level, tensor."""
        return self.parent, self.level, self.operand.tensor

    @property
    def decoded(self) -> bool:
        """Whether what is read outside is decoded there."""
        held = self.outer
        return held is not None and recoded(held.stored.format, self.inner.stored.format)

    @property
    def encoded(self) -> bool:
        """Whether what arrives is encoded."""
        held = self.outer
        return held is not None and recoded(self.inner.stored.format, held.stored.format)

    @property
    def names(self) -> set[str]:
        """Every count of it."""
        outer = {call.name for call in self.called} if self.outer is None else self.outer.names
        return self.inner.names | outer


@dataclass(frozen=True, slots=True)
class TermPlan:
    """Names of the counts of one term.

    fetched : points whose operands are fetched in the PE; None for all of them.
    busy : points that take a cycle; executed : of these, not gated; effectual : no zero.
    steps : the largest ``busy`` of a PE, for each step; turns : the same in cycles, where several
        multipliers share it and round up, which expected charges count; empty elsewhere.
    reads : operand number -> the points at which it is read in the PE; -1 is the result.
    fills : of each operand, innermost level first; rules : of each operand.
    """

    term: WorkTerm
    fetched: str | None
    busy: str
    executed: str
    effectual: str
    steps: str
    cycles: str
    of_pe: str
    reads: tuple[tuple[int, str], ...]
    fills: tuple[tuple[Fill, ...], ...]
    rules: tuple[OperandPolicy, ...]
    turns: str = ""

    @property
    def names(self) -> set[str]:
        """Every count of it."""
        own = {self.busy, self.executed, self.effectual, self.steps, self.cycles, self.of_pe}
        own |= {self.turns} if self.turns else set()
        own |= {name for _, name in self.reads} | ({self.fetched} if self.fetched else set())
        return own.union(*(fill.names for fills in self.fills for fill in fills))


@dataclass(frozen=True, slots=True)
class Leaving:
    """Tiles of the result that leave a level, of one term, by the epochs that ``turns`` names.

    out : what one takes along; begun : of it, what no tile before had in the same instance; new :
        what none had in the same one of the level outside; done : what no later one has, empty
        where that one is no home.
    copies, outer_copies : instances that this term is the first to bring a part of an entry to.
    ends : whether no term comes after it.
    """

    turns: Turns
    out: str
    begun: str
    new: str
    done: str
    copies: int
    outer_copies: int
    ends: bool


@dataclass(frozen=True, slots=True)
class Drain:
    """The result on its way from one level out to the next that keeps it.

    most : entries in one instance at a time.
    resident, copies : distinct entries of every instance; instances with parts of the same ones.
    drained : entries that leave, by term; empty where each stays until the end and leaves once.
    distinct, outer_copies : what ``resident`` and ``copies`` are at the level outside.
    leaving : by term, when tiles leave and what they take along; None of a term without points
        beside others, nothing where each entry leaves once, at the end, and where nobody asks.
    tile, keys : what each tile holds, of which ``most`` is the largest, and its axes.
    renewed : as of a fill: loops at whose iterations a tile leaves.
    passes : levels between the two that it passes, and words under way, innermost first.
    """

    level: str
    parent: str
    most: str
    resident: str
    copies: int
    drained: tuple[str, ...]
    distinct: str
    outer_copies: int
    leaving: tuple[Leaving | None, ...] = ()
    tile: str = ""
    keys: tuple[Loop, ...] = ()
    renewed: tuple[Loop, ...] = ()
    passes: tuple[tuple[str, int], ...] = ()

    @property
    def hops(self) -> tuple[tuple[str, str], ...]:
        """Levels that follow each other on the way, from this one outwards."""
        return tuple(pairwise((self.level, *(name for name, _ in self.passes), self.parent)))


@dataclass(frozen=True, slots=True)
class Accounting:
    """The Einsums of one charge, and what their results mean.

    text : parses back through `zeroskip.einsum_spec`; ``#`` starts a comment.
    sizes : extents of the ranks in it.
    masks : what the Einsums read.
    drains : of the result, innermost level first.
    homes : of tensors that have theirs on chip.
    shapes : of the results whose places numbers of tiles tell.
    scans, given : the lines before, that give these numbers and what stays of tiles that spill,
        and what they gave.
    leaders : of these, whose stored entries they count.
    turns : lines that round up, for `TermPlan.turns`.
    indices : names of index tensors in the text -> operands.
    trees : counts that no line makes, of tiles that are encoded place by place.
    """

    text: str
    sizes: dict[str, int]
    masks: dict[str, Mask]
    terms: tuple[TermPlan, ...]
    additions: tuple[tuple[Fill, ...], ...]
    drains: tuple[Drain, ...]
    homes: dict[str, Encoded]
    policy: Policy
    shapes: dict[str, tuple[int, ...]]
    scans: str
    given: dict[str, NDArray[Any]]
    leaders: dict[str, str]
    turns: str = ""
    indices: dict[str, str] = field(default_factory=dict)
    trees: dict[str, TileCount] = field(default_factory=dict)

    @property
    def printed(self) -> str:
        """All lines."""
        return "\n".join(part for part in (self.scans, self.text) if part)

    @property
    def fills(self) -> tuple[Fill, ...]:
        """Every fill, of products and of additions."""
        every = [fills for plan in self.terms for fills in plan.fills]
        return tuple(fill for fills in (*every, *self.additions) for fill in fills)

    @property
    def listed(self) -> tuple[str, ...]:
        """Tensors whose tiles are encoded place by place."""
        return tuple(dict.fromkeys(count.tiles.tensor for count in self.trees.values()))

    @property
    def largest_tiles(self) -> set[str]:
        """Names of the counts of the largest tiles of operands, which no other line reads."""
        sides = [held for fill in self.fills for held in (fill.inner, fill.outer) if held]
        every: list[Encoded] = [*sides, *self.homes.values()]
        flows = [flow for held in every for flow in held.flows]
        return {flow.most for flow in flows if flow.most and flow.most != flow.tile}

    @property
    def idle(self) -> set[str]:
        """Names of the counts that belong to terms without any point."""
        terms = [plan.names for plan in self.terms if not plan.term.points]
        additions = [f.names for fills in self.additions for f in fills if not f.points]
        drained = [
            {name}
            for drain in self.drains
            for plan, name in zip(self.terms, drain.drained, strict=False)
            if not plan.term.points
        ]
        return set[str]().union(*terms, *additions, *drained)
