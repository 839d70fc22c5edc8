"""Shapes, sizes, constants and padding into the extent of every rank.

A plain subscript fixes its rank.  An affine one gives its last unknown rank the largest
extent at which every read stays inside the padded axis:

    P = (H + lo + hi - 1 - largest value of the other atoms) // coefficient + 1

so that the unread tail of an axis is legal.  A window that does not fit the padded axis at
all is an error, as in PyTorch; it is never an empty result.  Of ``C*g+c``, where C is the extent of
c, either extent follows from the other, and the axis must be filled.

A subscript addresses the padded axis: place ``x`` of the subscript is place ``x - lo`` of the
operand, and what lies outside the operand is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.known import Known, Source
from zeroskip.einsum_spec.names import monomial_value
from zeroskip.einsum_spec.operands import (
    Shape,
    axes,
    check_operands,
    check_sizes,
)
from zeroskip.einsum_spec.padding import PadLike, Pads, normalise, skipped_tensors
from zeroskip.einsum_spec.ranges import (
    MAX_EXTENT,
    block_extent,
    check_read,
    check_space,
    check_write,
)
from zeroskip.einsum_spec.targets import check_target_extents
from zeroskip.einsum_spec.tree import Access, Affine, Atom, Floor, Monomial, Var
from zeroskip.einsum_spec.walk import bounds, constants, free, gathers, single, variables
from zeroskip.errors import EinsumError
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Extents:
    """How large everything is.

    ranks : extent of every index variable.
    shapes : shape of every operand and every result; () for one of no axes.
    pads : for every tensor that is read and has axes, (lo, hi) of each axis.
    constants : value of every named constant that the forms still hold, extents included.
    skipped : tensors whose padding is left out of reductions; that of others is 0.
    """

    ranks: dict[str, int]
    shapes: dict[str, Shape]
    pads: dict[str, tuple[tuple[int, int], ...]]
    constants: dict[str, int]
    skipped: frozenset[str] = frozenset()


def solve(
    forms: Sequence[Form],
    shapes: Mapping[str, Sequence[int]],
    sizes: Mapping[str, int] | None = None,
    consts: Mapping[str, int | float] | None = None,
    pad: PadLike = None,
    *,
    text: str | None = None,
) -> Extents:
    """Extents of the statements of one program; results of earlier lines feed later ones.

    Parameters
    ----------
    forms : sequence of Form
    shapes : mapping of str to shape
        Of every operand; a result's may be given too, and is checked.
    sizes : mapping of str to int or shape, optional
        Extents of ranks, by the rank (``p``) or the name of its extent (``P``); or the shape of
        a result, by its name.
    consts : mapping of str to number, optional
        Named constants that the forms still hold.
    pad : see `zeroskip.einsum_spec.padding.normalise`
    text : str, optional
        The text that the spans of ``forms`` point into, for errors.

    Raises
    ------
    EinsumError
        For operands missing, left over or of a wrong number of axes; extents that
        contradict each other or stay unknown; constants without a value; reads or
        writes out of range; a rank above 2**40 or a space above 2**62 points.
    """
    return _Solver(forms, shapes, sizes or {}, consts or {}, pad, text).solve()


class _Solver:
    def __init__(
        self,
        forms: Sequence[Form],
        shapes: Mapping[str, Sequence[int]],
        sizes: Mapping[str, int],
        consts: Mapping[str, int | float],
        pad: PadLike,
        text: str | None,
    ) -> None:
        self.forms, self.text, self.known = forms, text, Known(forms, consts, text)
        self.pads: Pads = normalise(pad, forms)
        self.skipped = skipped_tensors(pad)
        self.shapes = {name: _shape(name, shape) for name, shape in shapes.items()}
        self.take_sizes(sizes)

    # ---- the way through ----------------------------------------------------------------

    def solve(self) -> Extents:
        check_operands(
            self.forms, self.shapes, {*self.known.consts, *self.known.extent_of}, self.text
        )
        for name in list(self.shapes):
            self.learn_plain(name)
        while self.one_more_result() or self.one_more_affine():
            pass
        for name in self.known.names:
            if name not in self.known.ranks:
                raise self.known.unknown_rank(name)
        values = self.known.all_constants()
        self.known.check_divisors(values)
        for form in self.forms:
            check_space(form, self.known.ranks, self.text)
            for access in form.reads:
                shape = self.shapes[access.tensor]
                check_read(access, shape, self.pads, self.known.ranks, values, self.text)
            shape = self.shapes[form.target.tensor]
            check_write(form.target, shape, self.known.ranks, values, self.text)
            check_target_extents(form, self.known.ranks, values, self.text)
        ranks = {name: self.known.ranks[name] for name in self.known.names}
        return Extents(ranks, self.shapes, self.pads, values, self.skipped)

    def take_sizes(self, sizes: Mapping[str, int]) -> None:
        check_sizes(self.forms, sizes, self.text)
        results = {form.target.tensor: len(form.target.subscripts) for form in self.forms}
        for name, value in sizes.items():
            if isinstance(value, tuple):
                if len(value) != results[name]:
                    raise self.known.error(
                        f"sizes gives {name} the shape {value}, and {name} has"
                        f" {axes(results[name])}",
                        [],
                        "Give one extent an axis.",
                    )
                self.shapes[name] = _shape(name, value)
                continue
            extent = _extent(value, f"size of {name}")
            rank = name if name in self.known.names else self.known.extent_of.get(name, name)
            self.known.names.setdefault(rank)
            self.known.extent_of.setdefault(rank.upper(), rank)
            self.known.learn(rank, Source(extent))

    # ---- learning extents ---------------------------------------------------------------

    def describe(self, access: Access, axis: int) -> str:
        lo, hi = self.pad(access, axis)
        padded = f", padded by {lo} and {hi}" if lo or hi else ""
        return f"{access.tensor} (axis {axis} of shape {self.shapes[access.tensor]}{padded})"

    def length(self, access: Access, axis: int) -> int:
        """Places of an axis, padding included."""
        return self.shapes[access.tensor][axis] + sum(self.pad(access, axis))

    def pad(self, access: Access, axis: int) -> tuple[int, int]:
        """Padding that the access sees; a target is never padded."""
        read = access.tensor in self.pads and id(access) not in self.known.targets
        return self.pads[access.tensor][axis] if read else (0, 0)

    def learn_plain(self, tensor: str) -> None:
        """Learn from every subscript of ``tensor`` that is one index variable."""
        for access in self.known.accesses:
            if access.tensor == tensor:
                for axis, part in enumerate(access.subscripts):
                    rank = single(part)
                    if rank is not None:
                        extent, what = self.length(access, axis), self.describe(access, axis)
                        self.known.learn(rank, Source(extent, access, axis, what))

    def one_more_result(self) -> bool:
        """Fix the shape of one result whose ranks are all known."""
        for form in self.forms:
            target = form.target
            if target.tensor in self.shapes or not self.known.ready(target, free(target)):
                continue
            self.refuse_gathered(target)
            values = self.known.constants_in(target)
            self.shapes[target.tensor] = tuple(
                0
                if any(self.known.ranks[name] == 0 for name in variables(part))
                else max(bounds(part, self.known.ranks, values)[1] + 1, 0)
                for part in target.subscripts
            )
            self.learn_plain(target.tensor)
            return True
        return False

    def refuse_gathered(self, target: Access) -> None:
        for axis, part in enumerate(target.subscripts):
            shape = ["..."] * len(target.subscripts)
            shape[axis] = "9" if len(shape) > 1 else "9,"
            for gather in gathers(part):
                raise self.known.error(
                    f"axis {axis} of {target.tensor} is addressed by {gather.access.tensor}, so its"
                    " extent would depend on data",
                    [part.span],
                    "Give the shape of the result: "
                    f'sizes={{"{target.tensor}": ({", ".join(shape)})}}.',
                )

    def one_more_affine(self) -> bool:
        """Fix one rank that is the only unknown of an affine subscript of known length.

        Where several accesses would give it an extent, the smallest: every read fits.
        """
        found: dict[str, Source] = {}
        for access in self.known.accesses:
            if access.tensor not in self.shapes or id(access) in self.known.targets:
                continue
            for axis, part in enumerate(access.subscripts):
                unknown = {v for v in variables(part) if v not in self.known.ranks}
                unnamed = self.known.unmeasured(part)
                if len(unknown) != 1 or unnamed - unknown:
                    continue
                (rank,) = unknown
                limit, own = self.length(access, axis) - 1, rank.upper() if unnamed else None
                values = {n: self.known.constant(n, part) for n in constants(part) if n != own}
                if own is None:
                    extent = self.largest(part, limit, rank, values)
                else:
                    extent = block_extent(part, limit, rank, self.known.ranks, values)
                if extent is None:
                    continue
                if extent <= 0 <= limit:
                    raise self.no_place(access, axis, rank)
                if rank not in found or extent < found[rank].extent:
                    what = self.describe(access, axis)
                    found[rank] = Source(max(extent, 0), access, axis, what)
        for rank, source in found.items():
            self.known.learn(rank, source)
            return True
        return False

    def largest(self, part: Affine, limit: int, rank: str, values: Mapping[str, int]) -> int | None:
        """Largest extent of ``rank`` at which ``part`` stays at or below ``limit``, or None."""
        if any(True for _ in gathers(part)):
            return None
        held = [term for term in part.terms if rank in _names(term[1])]
        others = tuple(term for term in part.terms if rank not in _names(term[1]))
        if len(held) != 1:
            return None
        ((monomial, atom),) = held
        factor = monomial_value(monomial, values)
        if factor <= 0:
            return None
        reach = bounds(Affine(others, part.offset), self.known.ranks, values)[1]
        limit = (limit - reach) // factor
        if isinstance(atom, Var):
            return limit + 1
        assert isinstance(atom, Floor)
        divisor = monomial_value(atom.divisor, values)
        if limit >= 0:
            self.known.check_divisor(atom, divisor)
        return self.largest(atom.inner, (limit + 1) * divisor - 1, rank, values)

    def no_place(self, access: Access, axis: int, rank: str) -> EinsumError:
        part, name = access.subscripts[axis], access.tensor
        others = dict.fromkeys(n for n in variables(part) if n != rank)
        sizes = " and ".join(f"{n} of extent {self.known.ranks[n]}" for n in others)
        return self.known.error(
            f"no {rank} fits: {deparse(part)}{' with ' if sizes else ''}{sizes} reaches past the "
            f"end of {self.describe(access, axis)}",
            [part.span],
            f'Pad it: pad={{"{name}": {{{axis}: 1}}}}, or take a smaller window.',
        )


def _names(atom: Atom) -> set[str]:
    return set(variables(Affine(((Monomial(1), atom),))))


def _shape(name: str, shape: Sequence[int]) -> Shape:
    return tuple(_extent(n, f"shape of {name}") for n in shape)


def _extent(value: Any, what: str) -> int:
    try:
        extent = index(value)
    except TypeError:
        raise EinsumError(f"{what}: expected a whole number, found {value!r}") from None
    if extent < 0:
        raise EinsumError(f"{what}: expected 0 or more, found {extent}")
    if extent > MAX_EXTENT:
        raise EinsumError(f"{what}: extent {extent}; at most 2**40 are taken")
    return extent
