"""Windows that slide: a fiber is followed once for all the neighbouring places that it adds to.

for r, p:                           the sums of the last places stay in registers, while the
  for q:                              window goes along them: a fiber that is met by three
    take up the sums of place q       places of a window is walked once, not three times, and
    for c in I.c[n,p+r,q]:            each of its entries serves all three
      for s: sums of q-s += I * F[m,c,r,s]
    put back the sums of q-2
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from zeroskip.einsum_spec.form import Term
from zeroskip.einsum_spec.tree import Access, Var
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.native.cursor import Hook, Leaf, State
from zeroskip.native.descend import Descent
from zeroskip.native.integers import Cond, Const, Name, add, factor, mul, without
from zeroskip.native.nest import Bind, Guard, Reduce, Stmt
from zeroskip.native.nest_tiles import Slide
from zeroskip.native.scheme import Scheme
from zeroskip.native.values import Elem, Held, Value
from zeroskip.records import dataclass

PRODUCTS = 6
"""Vectors of products that an entry is worth, at least: it takes some instructions to come to it.
More vectors of lanes make blocks shorter, for whatever stays near: they pay where all of it does.
Of 1, 2, 4 and 8 vectors 2 were the fastest for 3x3 windows of 128 to 512 channels on one machine
(Granite Rapids), and 4 for 64; no command of the repository finds it again."""

MOST_MEMBERS = 8
"""Places whose sums are held at once, at most."""

MOST_SUMS, MOST_SUMS_NARROW = 24, 12
"""Vectors of sums, where there are 32 registers for them, and where there are 16."""


@dataclass(frozen=True, slots=True)
class Sliding:
    """rank : of places of the result that lie along a line; window : the rank of places in their
    windows.  A place p of the window at place x meets ``stride * x + dilation * p``, one of these
    two being 1."""

    rank: str
    window: str
    stride: int
    dilation: int

    def members(self, taps: int) -> int:
        """Neighbouring places that one fiber adds to, those between them too, for windows of so
        many places."""
        return self.dilation * (taps - 1) // self.stride + 1

    def firsts(self, taps: int) -> range:
        """The places of a window at which another fiber is met."""
        return range(min(self.stride, taps))

    def met(self, first: int, taps: int) -> tuple[tuple[int, int], ...]:
        """What a fiber adds to that the window's place ``first`` meets at place x: for each place
        x - i, as (i, s), at s places behind ``first``."""
        steps = range(0, taps - first, self.stride)
        return tuple((self.dilation * (s // self.stride), s) for s in steps)

    def vectors(self, taps: int, wide: bool, near: int) -> int:
        """Vectors of lanes whose sums are held at once.

        near : of how many all that the fibers of a line meet stays in the nearest cache.
        """
        sums = MOST_SUMS if wide else MOST_SUMS_NARROW
        each = -(-taps // self.stride)
        return max(min(max(-(-PRODUCTS // each), near), sums // self.members(taps)), 1)


def sliding(
    access: Access, term: Term, staged: tuple[Access, ...], rows: tuple[str, ...]
) -> Sliding | None:
    """How windows slide along the innermost rank of a result's places, which a sparse operand's
    access has with one summed rank; None where they cannot."""
    rank = rows[-1] if rows else ""
    others = [one for one in term.accesses if one != access]
    found = [s for s in access.subscripts if rank in variables(s)]
    if len(found) != 1 or any(rank in variables(s) for one in others for s in one.subscripts):
        return None
    steps = {
        atom.name: one.value
        for one, atom in found[0].terms
        if isinstance(atom, Var) and not one.names
    }
    windows = [name for name in steps if name not in rows]
    if set(variables(found[0])) != {rank, *windows} or len(windows) != 1:
        return None
    (window,) = windows
    held = [s for s in access.subscripts if window in variables(s)]
    far = [(one, s) for one in others for s in one.subscripts if window in variables(s)]
    plain = all(one in staged and single(s) == window for one, s in far)
    if len(held) != 1 or not plain or set(steps) != {rank, window}:
        return None
    if min(steps.values()) != 1:
        return None
    return Sliding(rank, window, steps[rank], steps[window])


class Along(Descent):
    """The descent of a term whose windows slide, up to where only what they slide along is left."""

    def __init__(
        self,
        scheme: Scheme,
        ranks: tuple[str, ...],
        leaf: Leaf,
        hook: Hook,
        instead: Callable[[State], tuple[Stmt, ...] | None],
    ) -> None:
        super().__init__(scheme, ranks, leaf, hook, None)
        self._instead = instead

    def go(self, state: State) -> tuple[Stmt, ...]:
        found = self._instead(state)
        return super().go(state) if found is None else found


class Slides:
    """The statements of one kernel whose windows slide; ``taps`` places long they are."""

    def __init__(self, scheme: Scheme, of: Sliding, taps: int, acc: str) -> None:
        self.scheme, self.of, self.taps, self.acc = scheme, of, taps, acc
        self.at, self.window = Name(scheme.rank(of.rank)), scheme.rank(of.window)
        self.places = scheme.extent(of.rank)
        self._met: tuple[tuple[int, int], ...] = ()

    def added(
        self, values: list[Value], product: Callable[[list[Value]], Value], work: int
    ) -> tuple[Stmt, ...]:
        """What one entry adds to each of the sums."""
        return tuple(
            Reduce(
                Held(self.acc, Const(member)),
                "+",
                product([self._behind(value, behind) for value in values]),
                work,
            )
            for member, behind in self._met
        )

    def _behind(self, value: Value, places: int) -> Value:
        """A value so many places of the window further on."""
        if not isinstance(value, Elem):
            return value
        extent = self.scheme.extent(self.of.window)
        assert isinstance(extent, Name)
        index = without(value.index, extent.name, Const(self.taps))
        at = add(index, mul(Const(places), factor(index, self.window)))
        return replace(value, index=at)

    def around(
        self,
        place: Elem,
        dtype: str,
        before: tuple[Stmt, ...],
        walk: Callable[[], tuple[Stmt, ...]],
    ) -> Slide:
        """The windows along one line of places.

        place : the sum of a place; before : what each step does first; walk : what follows the
        fiber that is met at the places bound, with `added` for each of its entries.
        """
        members = self.of.members(self.taps)
        body = list(before)
        for first in self.of.firsts(self.taps):
            self._met = self.of.met(first, self.taps)
            last, _ = self._met[-1]
            met = Cond("<", self.at, add(self.places, Const(last)))
            body.append(Guard((met,), (Bind(self.window, Const(first), walk()),)))
        return Slide(self.at.name, self.places, self.acc, dtype, members, place, tuple(body))
