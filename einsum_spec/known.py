"""What is known of the ranks and constants of a program while their extents are solved.

Each extent has its source, so that two that contradict each other can both be named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.names import monomial_value
from zeroskip.einsum_spec.operands import accesses_of, article, places_of, scalars_of
from zeroskip.einsum_spec.subscripts import rename
from zeroskip.einsum_spec.tree import Access, Affine, Floor, Span
from zeroskip.einsum_spec.walk import constants, variables
from zeroskip.errors import EinsumError
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Where an extent comes from: an axis of a tensor, or ``sizes``."""

    extent: int
    access: Access | None = None
    axis: int = 0
    what: str = "sizes"

    @property
    def span(self) -> Span | None:
        return self.access.subscripts[self.axis].span if self.access else None


class Known:
    """Extents by rank, each with its source, and the values of constants.

    names : the index variables, in order of appearance.
    extent_of : upper-case name of an extent -> its rank.
    """

    def __init__(
        self, forms: Sequence[Form], consts: Mapping[str, int | float], text: str | None
    ) -> None:
        self.forms, self.text, self.consts = forms, text, consts
        self.accesses = list(accesses_of(forms))
        self.targets = {id(form.target) for form in forms}
        self.ranks: dict[str, int] = {}
        self.sources: dict[str, Source] = {}
        self.names = dict.fromkeys(name for form in forms for name in form.ranks)
        self.extent_of = {name.upper(): name for name in reversed(self.names)}

    def error(
        self, message: str, spans: Iterable[Span | None] = (), hint: str | None = None
    ) -> EinsumError:
        kept = [span for span in spans if span]
        return EinsumError(message, text=self.text, spans=kept, hint=hint)

    def learn(self, rank: str, source: Source) -> None:
        old = self.sources.setdefault(rank, source)
        self.ranks[rank] = old.extent
        if old.extent == source.extent:
            return
        access = source.access or old.access
        hint = "Give one size."
        if access is not None and source.access is not None:
            tensor, wanted = access.tensor, old.extent
            if len(access.subscripts) == 1:
                fit = f"Pass {article(tensor)} {tensor} of length {wanted}"
            else:
                fit = f"Pass {article(tensor)} {tensor} with {wanted} on axis {source.axis}"
            hint = f"{fit}, or rename its rank: {self.renamed(access, rank)}."
        raise self.error(
            f"rank {rank} has two sizes: {old.extent} in {old.what}, "
            f"{source.extent} in {source.what}",
            [old.span, source.span],
            hint,
        )

    def renamed(self, access: Access, rank: str) -> str:
        """The access with ``rank`` under a name that is free, for a hint."""
        numbered = (f"{rank}{n}" for n in count(1))
        fresh = next(n for n in chain("klhtuvwxyz", numbered) if n not in self.names)
        parts = (
            rename(part, lambda n: fresh if n == rank else n, lambda n: n)
            for part in access.subscripts
        )
        return deparse(Access(access.tensor, tuple(parts)))

    def unknown_rank(self, name: str) -> EinsumError:
        places = [(a, p) for a in self.accesses for p in a.subscripts if name in variables(p)]
        left_only = bool(places) and all(id(access) in self.targets for access, _ in places)
        why = "stands on the left only" if left_only else "follows from no operand"
        return self.error(
            f"rank {name} has no size: it {why}",
            [part.span for _, part in places],
            f'Give it: sizes={{"{name}": 3}}.',
        )

    def ready(self, access: Access, ranks: Iterable[str]) -> bool:
        """Whether ``ranks``, and the extents that the access names, are known."""
        named = (self.unmeasured(part) for part in access.subscripts)
        return all(name in self.ranks for name in ranks) and not any(named)

    def unmeasured(self, part: Affine) -> set[str]:
        """The ranks of which a subscript names the extents, but these are not known yet."""
        named = (name for name in constants(part) if name not in self.consts)
        ranks = {self.extent_of[name] for name in named if name in self.extent_of}
        return ranks - self.ranks.keys()

    # ---- constants ----------------------------------------------------------------------

    def constants_in(self, access: Access) -> dict[str, int]:
        """Values of the named constants of one access."""
        return {
            name: self.constant(name, part)
            for part in access.subscripts
            for name in constants(part)
        }

    def all_constants(self) -> dict[str, int]:
        """Values of every named constant, bare extents included."""
        values: dict[str, int] = {}
        for access in self.accesses:
            values.update(self.constants_in(access))
        for part in places_of(self.forms):
            values.update({name: self.constant(name, part) for name in constants(part)})
        for name in scalars_of(self.forms):
            value = self.consts.get(name)
            if isinstance(value, int) or (value is None and name in self.extent_of):
                values[name] = self.constant(name, None)
        return values

    def constant(self, name: str, part: Affine | None) -> int:
        span = part.span if part is not None else None
        if name in self.consts:
            value = self.consts[name]
            if value != int(value):
                raise self.error(f"constant {name} is {value}; a subscript takes integers", [span])
            return int(value)
        rank = self.extent_of.get(name)
        if rank is None:
            hint = f'Give it: consts={{"{name}": 2}}.'
            raise self.error(f"constant {name} has no value", [span], hint)
        if rank not in self.ranks:
            raise self.unknown_rank(rank)
        return self.ranks[rank]

    def check_divisors(self, values: Mapping[str, int]) -> None:
        """Refuse a divisor below 1 wherever there is a point to divide at."""
        parts = (part for access in self.accesses for part in access.subscripts)
        for part in (*parts, *places_of(self.forms)):
            empty = any(self.ranks[v] == 0 for v in variables(part))
            for floor in _floors(part):
                divisor = monomial_value(floor.divisor, values)
                if divisor or not empty:
                    self.check_divisor(floor, divisor)

    def check_divisor(self, floor: Floor, divisor: int) -> None:
        if divisor < 1:
            raise self.error(
                f"{deparse(floor.divisor)} divides in a subscript and is {divisor}",
                [floor.span],
                "Give it 1 or more.",
            )


def _floors(part: Affine) -> Iterator[Floor]:
    for _, atom in part.terms:
        if isinstance(atom, Floor):
            yield atom
            yield from _floors(atom.inner)
