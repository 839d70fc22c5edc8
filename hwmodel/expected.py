"""Counts of an accounting that are expected, where operands are known by their density alone.

A counting line is linear in each mask: where every operand that is drawn occurs once, the mean of
its result is the count over full operands times the density of each (*exact in expectation*).  So
one run of the accounting over full operands, the *geometry*, serves every density:

    busy[c,4*p//P] += nzI[c,p+r]*nzF[m,c,r]      ->      I*F * busy of full operands

A maximum is no such mean.  Its counts get a variance (`_Spread`), and `order_statistics` the mean
of the largest (*approximate*); where no variance is known, the largest of the means is less than
that (*bound*).  A line that has neither is refused by its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import variables
from zeroskip.errors import EinsumError
from zeroskip.hwmodel.evaluate import Operand, sized, structure
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.order_statistics import mean_of_maximum
from zeroskip.hwmodel.plan import Accounting, Mask
from zeroskip.native.engine import evaluate

Reals = NDArray[np.float64]
Tag = Literal["exact in expectation", "approximate", "bound"]
Monomial = tuple[str, ...]

MOST_MOMENTS = 2**24
"""Elements of the largest array made for a variance; beyond, points count as independent."""


@dataclass(frozen=True, slots=True)
class _Spread:
    """What a variance of a count is made of, cell by cell.

    names : tensors of the count.
    sizes : tensor -> its places; squares, sums : tensor -> over its places, the squares of how many
        points a place has in the cell, and their number; pairs : squares of points of two places.
        Without squares, points are taken as independent of each other.
    common : tensors that all counts of one maximum have in the same way.
    """

    names: Monomial
    sizes: dict[str, int]
    squares: dict[str, Reals]
    sums: Reals
    pairs: Reals
    common: frozenset[str]

    def variance(self, shares: Mapping[str, float]) -> Reals:
        """Of what the counts of one maximum do not have in common."""
        if not self.squares:
            chance = prod(shares[name] for name in self.names)
            return np.asarray(chance * (1 - chance) * self.pairs)
        found = np.zeros(self.sums.shape)
        alone = {}
        for name, squares in self.squares.items():
            p, size = shares[name], self.sizes[name]
            each = p * (1 - p)
            spread = each * (size * squares - self.sums**2) / max(size - 1, 1)
            alone[name] = each
            others = prod(shares[other] for other in self.squares if other != name)
            if name not in self.common:
                found += np.maximum(spread, 0.0) * others**2
        if len(alone) == 2:
            found += prod(alone.values()) * self.pairs
        return found


@dataclass(frozen=True, slots=True)
class Closed:
    """A mean as a polynomial in the densities: monomial -> coefficients."""

    terms: dict[Monomial, NDArray[Any]]

    def value(self, shares: Mapping[str, Any]) -> NDArray[Any]:
        """Its value at these densities, numbers or symbols."""
        return sum(
            (array * prod(shares[name] for name in names) for names, array in self.terms.items()),
            np.zeros(()),
        )


@dataclass(frozen=True, slots=True)
class _Largest:
    """The mean of a maximum over the last axes of a count."""

    of: str
    order: tuple[int, ...]
    kept: int
    spread: _Spread | None

    def value(self, means: Reals, shares: Mapping[str, float]) -> Reals:
        mean = self._along(means)
        if self.spread is None:
            return np.asarray(mean.max(axis=-1, initial=0.0))
        variance = self._along(self.spread.variance(shares))
        return mean_of_maximum(mean, variance, self._along(self.spread.sums))

    def _along(self, array: Reals) -> Reals:
        turned = np.asarray(array, np.float64).transpose(self.order)
        return turned.reshape(*turned.shape[: self.kept], -1)


@dataclass(frozen=True, slots=True)
class _Sum:
    """A line over results that are no polynomial: evaluated at each density."""

    text: str
    reads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Scaled:
    """So many times a result without axes."""

    of: str
    times: float


Line = Closed | _Largest | _Sum | _Scaled


@dataclass(frozen=True, slots=True)
class Geometry:
    """Every line of an accounting, ready for any density.

    independent : tensors of which places were taken as independent of each other.
    """

    lines: dict[str, Line]
    tags: dict[str, Tag]
    sizes: tuple[tuple[str, int], ...]
    independent: tuple[str, ...]

    def counts(self, shares: Mapping[str, float]) -> dict[str, Reals]:
        """Every result at these densities."""
        found: dict[str, Reals] = {}
        for name, line in self.lines.items():
            match line:
                case Closed():
                    found[name] = np.asarray(line.value(shares), np.float64)
                case _Largest():
                    found[name] = line.value(found[line.of], shares)
                case _Scaled():
                    found[name] = np.asarray(line.times * found[line.of])
                case _Sum():
                    spec = sized(line.text, self.sizes)
                    made = evaluate(spec, {n: found[n] for n in line.reads})
                    found[name] = np.asarray(made[name], np.float64)
        return found

    def closed(self, name: str) -> Closed | None:
        """A count as a polynomial, where it is one."""
        found = self.lines[name]
        return found if isinstance(found, Closed) else None


def geometry_of(accounting: Accounting, operands: Mapping[str, Operand]) -> Geometry:
    """The geometry of an accounting; remembered where no operand is a real one.

    Raises
    ------
    EinsumError
        For a line that has no expectation here, naming it.
    """
    drawn = {name: x.density for name, x in operands.items() if isinstance(x, Expected)}
    fixed = {name: x for name, x in operands.items() if name not in drawn}
    key = (
        accounting.text,
        tuple(accounting.sizes.items()),
        tuple(accounting.masks.items()),
        tuple((name, density.shape) for name, density in drawn.items()),
    )
    used = {mask.tensor for mask in accounting.masks.values()}
    return _remembered(*key) if not used & set(fixed) else _Compiler(*key, fixed).geometry()


@lru_cache(maxsize=256)
def _remembered(
    text: str,
    sizes: tuple[tuple[str, int], ...],
    masks: tuple[tuple[str, Mask], ...],
    drawn: tuple[tuple[str, tuple[int, ...]], ...],
) -> Geometry:
    return _Compiler(text, sizes, masks, drawn, {}).geometry()


@dataclass(slots=True)
class _Compiler:
    text: str
    sizes: tuple[tuple[str, int], ...]
    masks: tuple[tuple[str, Mask], ...]
    drawn: tuple[tuple[str, tuple[int, ...]], ...]
    fixed: dict[str, Operand]
    lines: dict[str, Line] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    texts: dict[str, tuple[str, Form]] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    independent: dict[str, None] = field(default_factory=dict)

    def geometry(self) -> Geometry:
        shapes = dict(self.drawn)
        for name, mask in self.masks:
            whole = self.fixed.get(mask.tensor) or Operand(shapes[mask.tensor], None)
            held: Any = whole.mask(mask)
            self.arrays[name] = held if isinstance(held, np.ndarray) else held.toarray()
        for line in (line for line in self.text.splitlines() if not line.startswith("#")):
            (form,) = structure(line).written.forms
            self.line(line, form)
        return Geometry(self.lines, self.tags, self.sizes, tuple(self.independent))

    def line(self, text: str, form: Form) -> None:
        name = form.target.tensor
        term = form.terms[0]
        self.texts[name] = text, form
        if self.settled(form):
            arrays = {access.tensor: self.static(access.tensor) for access in form.reads}
            found = np.asarray(evaluate(sized(text, self.sizes), arrays)[name])
            self.tags[name] = "exact in expectation"
            self.lines[name] = Closed({(): np.maximum(found, 0)})
            return
        if any(one.factors for one in form.terms) or form.post is not None:
            raise _refused(text, "a function or a comparison")
        if len(form.terms) > 1:
            self.lines[name] = self.added(text, form)
        elif form.reduction == "max":
            self.lines[name] = self.largest(text, form, term)
        elif form.reduction in ("|", "+", None):
            self.lines[name] = self.counted(text, form, term)
        else:
            raise _refused(text, f"a reduction {form.reduction}=")

    def settled(self, form: Form) -> bool:
        """Whether no density matters to a line."""
        masks = dict(self.masks)
        for tensor in {access.tensor for access in form.reads}:
            mask = masks.get(tensor)
            fixed = mask is not None and (mask.kind == "in" or mask.tensor in self.fixed)
            if not fixed and not (tensor in self.lines and _is_static(self.lines[tensor])):
                return False
        return not any(scalar in self.lines for term in form.terms for scalar in term.scalars)

    # ---- counting -----------------------------------------------------------------------

    def added(self, text: str, form: Form) -> Closed:
        """A line of several terms: the mean of a sum is the sum of the means."""
        found: dict[Monomial, NDArray[Any]] = {}
        name = form.target.tensor
        worst: Tag = "exact in expectation"
        for term in form.terms:
            alone = replace(form, terms=(replace(term, number=abs(term.number)),))
            part = self.counted(form_text(alone), alone, alone.terms[0])
            if not isinstance(part, Closed) or form.reduction == "|":
                raise _refused(text, "a sum of what is no count")
            worst = self.tags[name] if self.tags[name] != "exact in expectation" else worst
            for monomial, counts in part.terms.items():
                signed = counts if term.number > 0 else -counts
                found[monomial] = found[monomial] + signed if monomial in found else signed
        self.tags[name] = worst
        return Closed(found)

    def counted(self, text: str, form: Form, term: Term) -> Closed | _Sum | _Scaled:
        name = form.target.tensor
        results = [scalar for scalar in term.scalars if scalar in self.lines]
        if results:
            return self.scaled(text, form, term, results)
        reads = tuple(dict.fromkeys(access.tensor for access in term.accesses))
        held = [self.lines.get(read) for read in reads]
        if any(isinstance(one, _Largest | _Sum | _Scaled) for one in held):
            varying = [one for one in held if not _is_static(one)]
            if len(varying) > 1 or form.reduction == "|":
                raise _refused(text, "a product of what follows a maximum")
            worst = [self.tags[read] for read in reads if read in self.tags]
            self.tags[name] = "bound" if "bound" in worst else "approximate"
            return _Sum(text, reads)
        self.tags[name] = "exact in expectation"
        found: dict[Monomial, NDArray[Any]] = {}
        for monomial, arrays in self.monomials(term, text):
            if monomial and form.reduction == "|":
                raise _refused(text, "a tile that may be empty")
            counts = np.asarray(evaluate(sized(text, self.sizes), arrays)[name])
            counts = np.maximum(counts, 0)
            found[monomial] = found[monomial] + counts if monomial in found else counts
        repeated = [m for m in found if len(set(m)) < len(m)]
        if repeated:
            self.tags[name] = "approximate"
            self.independent |= dict.fromkeys(n for m in repeated for n in m if m.count(n) > 1)
        return Closed(found)

    def scaled(self, text: str, form: Form, term: Term, results: Sequence[str]) -> Closed | _Scaled:
        """A line that reads a result without axes, and numbers."""
        if len(results) > 1 or term.accesses or form.reduction == "|":
            raise _refused(text, "a product of results without axes")
        (of,) = results
        extents = dict(self.sizes)
        times = term.number * prod(extents[s.lower()] for s in term.scalars if s != of)
        self.tags[form.target.tensor] = self.tags[of]
        line = self.lines[of]
        if isinstance(line, Closed):
            return Closed({names: array * times for names, array in line.terms.items()})
        return _Scaled(of, float(times))

    def monomials(self, term: Term, text: str) -> list[tuple[Monomial, dict[str, NDArray[Any]]]]:
        """Products of the parts of every array that is read: whose densities they have, and the
        parts."""
        once: dict[tuple[str, str], Access] = {}
        found: list[tuple[Monomial, dict[str, NDArray[Any]]]] = [((), {})]
        masks = dict(self.masks)
        for access in term.accesses:
            tensor = access.tensor
            if tensor in masks:
                mask = masks[tensor]
                random = mask.kind != "in" and mask.tensor not in self.fixed
                place = mask.tensor, deparse(access)[len(tensor) :]
                again = random and place in once  # the same place twice is one event
                once[place] = access
                named: Monomial = (mask.tensor,) if random and not again else ()
                parts = [(named, self.arrays[tensor])]
            else:
                before = self.lines[tensor]
                assert isinstance(before, Closed)
                parts = list(before.terms.items())
            found = [
                (tuple(sorted((*names, *more))), {**arrays, tensor: array})
                for names, arrays in found
                for more, array in parts
            ]
        return found

    # ---- maxima -------------------------------------------------------------------------

    def largest(self, text: str, form: Form, term: Term) -> Closed | _Largest:
        name = form.target.tensor
        if len(term.accesses) != 1 or term.scalars or term.number != 1:
            raise _refused(text, "the maximum of a product")
        (access,) = term.accesses
        source = self.lines[access.tensor]
        if _is_static(source):
            assert isinstance(source, Closed)
            arrays = {access.tensor: source.terms[()]}
            self.tags[name] = "exact in expectation"
            found = np.asarray(evaluate(sized(text, self.sizes), arrays)[name])
            return Closed({(): np.maximum(found, 0)})
        if not isinstance(source, Closed):
            raise _refused(text, "the maximum of a maximum")
        axes = [deparse(s) for s in access.subscripts]
        kept = [axes.index(deparse(s)) for s in form.target.subscripts]
        gone = [k for k in range(len(axes)) if k not in kept]
        spread = self.spread(access.tensor, gone)
        self.tags[name] = "bound" if spread is None and gone else "approximate"
        return _Largest(access.tensor, (*kept, *gone), len(kept), spread)

    def spread(self, name: str, gone: Sequence[int]) -> _Spread | None:
        """What the variance of a count is made of; None where it is not known."""
        text, form = self.texts[name]
        source, term = self.lines[name], form.terms[0]
        assert isinstance(source, Closed)
        if len(source.terms) != 1:
            return None
        ((monomial, sums),) = source.terms.items()
        times = float(term.number) * prod(dict(self.sizes)[s.lower()] for s in term.scalars)
        counts = np.asarray(sums, np.float64)
        rough = _Spread(monomial, {}, {}, counts, counts * times, frozenset())
        masks = dict(self.masks)
        reads = {}
        for access in term.accesses:
            mask = masks.get(access.tensor)
            if mask is not None and mask.kind != "in" and mask.tensor not in self.fixed:
                reads[mask.tensor] = access
        if len(reads) > 2 or sorted(reads) != list(monomial):
            return rough
        apart = {v for k in gone for v in variables(form.target.subscripts[k])}
        squares, sizes, common = {}, {}, set()
        for tensor, access in reads.items():
            found = self.squares(text, form, access, sums)
            if found is None:
                return rough
            squares[tensor], sizes[tensor] = found, prod(dict(self.drawn)[tensor])
            held = {v for s in access.subscripts for v in variables(s)}
            if not held & apart:
                common.add(tensor)
        return _Spread(monomial, sizes, squares, counts, counts * times, frozenset(common))

    def squares(self, text: str, form: Form, access: Access, sums: NDArray[Any]) -> Reals | None:
        """Over the places of an operand, the squares of how many points each has in a cell."""
        left = [deparse(s) for s in form.target.subscripts]
        more = [deparse(s) for s in access.subscripts if deparse(s) not in left]
        extents = [
            n
            for s, n in zip(access.subscripts, self.arrays[access.tensor].shape, strict=True)
            if deparse(s) in more
        ]
        if sums.size * prod(extents) > MOST_MOMENTS:
            return None
        _, _, right = text.partition("+=")
        wider = f"points_of[{','.join((*left, *more))}] +={right}"
        reads = {a.tensor for a in form.terms[0].accesses}
        arrays = {n: self.static(n) for n in reads}
        points = evaluate(sized(wider, self.sizes), arrays)["points_of"]
        counts = np.asarray(points, np.float64) ** 2
        found = counts.sum(axis=tuple(range(len(left), counts.ndim)))
        return found if found.shape == sums.shape else None

    def static(self, name: str) -> NDArray[Any]:
        """An array as it is where every operand is full."""
        if name in self.arrays:
            return self.arrays[name]
        line = self.lines[name]
        assert isinstance(line, Closed)
        return np.asarray(sum(line.terms.values()))


def _is_static(line: Line | None) -> bool:
    """Whether no density matters."""
    return line is None or (isinstance(line, Closed) and set(line.terms) <= {()})


def _refused(text: str, what: str) -> EinsumError:
    return EinsumError(
        f"{what} has no expectation here:\n  {text}\n"
        "Draw arrays from the densities, density.sample(rng), and charge these."
    )
