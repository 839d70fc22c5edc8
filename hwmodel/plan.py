"""What the results of an accounting mean: names of counts, by term and operand."""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.hwmodel.layer import Operand, WorkTerm
from zeroskip.hwmodel.policy import Stored


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
class Flow:
    """Names of the counts of one operand on its way from the buffer to the PEs.

    fetched : read from the buffer, over all steps; one read serves every PE that needs the
        same entry of an operand that does not depend on its place in the array.
    most : the largest number that one PE holds in one step.
    tile : the largest number that the buffer must hold at a time, so that no entry is
        fetched from outside twice.
    """

    fetched: str
    most: str
    tile: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """One operand on its way: its entries, its positions where each has a bit, the number of
    PEs that one read serves, and the points of its term."""

    operand: Operand
    role: str
    stored: Stored
    entries: Flow
    places: Flow | None
    copies: int
    points: int

    @property
    def names(self) -> set[str]:
        """Every count of it."""
        flows = [self.entries, *([self.places] if self.places is not None else [])]
        return {name for flow in flows for name in (flow.fetched, flow.most, flow.tile)}


@dataclass(frozen=True, slots=True)
class TermPlan:
    """Names of the counts of one term.

    fetched : points whose operands are fetched in the PE; None for all of them.
    busy : points that take a cycle; executed : of these, not gated; effectual : no zero.
    steps : the largest ``busy`` of a PE, for each step.
    reads : operand number -> the points at which it is read in the PE; -1 is the result.
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
    fetches: tuple[Fetch, ...]

    @property
    def names(self) -> set[str]:
        """Every count of it."""
        own = {self.busy, self.executed, self.effectual, self.steps, self.cycles, self.of_pe}
        own |= {name for _, name in self.reads} | ({self.fetched} if self.fetched else set())
        return own.union(*(fetch.names for fetch in self.fetches))


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """Names of the counts of the result: entries in a PE, written to the buffer, distinct."""

    most: str
    written: str
    distinct: str
    copies: int


@dataclass(frozen=True, slots=True)
class Accounting:
    """The Einsums of one charge, and what their results mean.

    text : parses back through `zeroskip.einsum_spec`; ``#`` starts a comment.
    sizes : extents of the ranks in it.
    masks : what the Einsums read.
    """

    text: str
    sizes: dict[str, int]
    masks: dict[str, Mask]
    terms: tuple[TermPlan, ...]
    additions: tuple[Fetch, ...]
    output: OutputPlan

    @property
    def idle(self) -> set[str]:
        """Names of the counts that belong to terms without any point."""
        terms = [plan.names for plan in self.terms if not plan.term.points]
        additions = [fetch.names for fetch in self.additions if not fetch.points]
        return set[str]().union(*terms, *additions)
