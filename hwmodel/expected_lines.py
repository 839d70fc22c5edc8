"""Each line of an accounting as a mean, where operands are known by their density alone.

Sums over masks become polynomials (`Closed`), maxima what `zeroskip.hwmodel.geometry` holds of
them; lines that have no mean here are refused by their text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import single
from zeroskip.formats.density import Density
from zeroskip.hwmodel.closed import Closed, Monomial, is_static
from zeroskip.hwmodel.evaluate import Operand, sized, structure
from zeroskip.hwmodel.events import Event, Settled
from zeroskip.hwmodel.expected_events import tile_event
from zeroskip.hwmodel.expected_maxima import largest, maximum, rounded
from zeroskip.hwmodel.expected_operand import Uneven
from zeroskip.hwmodel.expected_tiles import refused
from zeroskip.hwmodel.geometry import TAGS, Geometry, Line, Scaled, Summed, Tag, Total
from zeroskip.hwmodel.maxima import Apart, Either, Largest, Rounded
from zeroskip.hwmodel.numbers import NONE, Numbers
from zeroskip.hwmodel.plan import Mask
from zeroskip.hwmodel.regions import Regions
from zeroskip.native.engine import evaluate


@dataclass(slots=True)
class Compiler:
    """Makes the geometry of one accounting, line by line.

    text, sizes, masks : of the accounting.
    drawn, fixed : operands known by their density, and real ones.
    numbers : of places, by which tiles are told.
    trees : counts that no line makes.
    regions : places of tiles, by lines that ask whether they hold anything, of tensors whose
        non-zeros lie in groups.
    """

    text: str
    sizes: tuple[tuple[str, int], ...]
    masks: tuple[tuple[str, Mask], ...]
    drawn: tuple[tuple[str, Density], ...]
    fixed: dict[str, Operand]
    numbers: Numbers = NONE
    trees: Mapping[str, Closed] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    texts: dict[str, tuple[str, Form]] = field(default_factory=dict)
    likely: dict[str, NDArray[Any]] = field(default_factory=dict)
    possible: dict[str, NDArray[Any]] = field(default_factory=dict)
    varying: dict[str, NDArray[Any]] = field(default_factory=dict)
    independent: dict[str, None] = field(default_factory=dict)
    events: dict[str, Event | Settled] = field(default_factory=dict)
    disjoint: set[str] = field(default_factory=set)
    regions: dict[str, Regions] = field(default_factory=dict)

    def geometry(self) -> Geometry:
        drawn = dict(self.drawn)
        for name, mask in self.masks:
            density = drawn.get(mask.tensor)
            whole = Operand(density.shape, None) if density else self.fixed[mask.tensor]
            held: Any = whole.mask(mask)
            held = held if isinstance(held, np.ndarray) else held.toarray()
            self.likely[name] = self.possible[name] = self.varying[name] = held
            if density is not None and mask.kind != "in" and density.model.weights is not None:
                weights, uneven = density.model.weights, density.model.uneven
                numbers = [(self.likely, weights), (self.possible, weights > 0)]
                for found, number in (*numbers, (self.varying, uneven)):
                    found[name] = np.ascontiguousarray(Uneven(density.shape, number).mask(mask))
        for name, counts in self.trees.items():
            self.lines[name], self.tags[name] = counts, "exact in expectation"
        for line in (line for line in self.text.splitlines() if not line.startswith("#")):
            (form,) = structure(line).written.forms
            self.line(line, form)
        events = tuple(self.events.values())
        return Geometry(self.lines, self.tags, self.sizes, tuple(self.independent), events)

    def line(self, text: str, form: Form) -> None:
        name = form.target.tensor
        term = form.terms[0]
        self.texts[name] = text, form
        if form.post == "ceil":
            self.lines[name] = rounded(self, text, form)
            return
        if self.settled(form):
            reads = {access.tensor for access in form.reads} - self.numbers.names
            found = self.run(text, {tensor: self.static(tensor) for tensor in reads})
            self.tags[name] = "exact in expectation"
            self.lines[name] = Closed({(): np.maximum(found, 0)})
            return
        if any(one.factors for one in form.terms) or form.post is not None:
            raise refused(text, "a function or a comparison")
        if len(form.terms) > 1:
            self.lines[name] = self.added(text, form)
        elif form.reduction == "max":
            self.lines[name] = largest(self, text, form, term)
        elif form.reduction == "|":
            self.tags[name] = "exact in expectation"
            self.lines[name] = tile_event(self, text, form, term)
        elif form.reduction in ("+", None):
            self.lines[name] = self.counted(text, form, term)
        else:
            raise refused(text, f"a reduction {form.reduction}=")

    def settled(self, form: Form) -> bool:
        """Whether no density matters to a line."""
        masks = dict(self.masks)
        for tensor in {access.tensor for access in form.reads} - self.numbers.names:
            mask = masks.get(tensor)
            fixed = mask is not None and (mask.kind == "in" or mask.tensor in self.fixed)
            if not fixed and not (tensor in self.lines and is_static(self.lines[tensor])):
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
            if not isinstance(part, Closed):
                raise refused(text, "a sum of what is no count")
            worst = self.tags[name] if self.tags[name] != "exact in expectation" else worst
            for monomial, counts in part.terms.items():
                signed = counts if term.number > 0 else -counts
                found[monomial] = found[monomial] + signed if monomial in found else signed
        self.tags[name] = worst
        return Closed(found)

    def counted(self, text: str, form: Form, term: Term) -> Closed | Total | Summed | Scaled:
        name = form.target.tensor
        results = [scalar for scalar in term.scalars if scalar in self.lines]
        if not all(isinstance(self.lines[scalar], Closed) for scalar in results):
            return self.scaled(text, form, term, results)
        reads = tuple(dict.fromkeys(access.tensor for access in term.accesses))
        held = [self.lines.get(read) for read in reads]
        if any(
            isinstance(one, Largest | Apart | Either | Total | Summed | Scaled | Rounded)
            for one in held
        ):
            varying = [one for one in held if not is_static(one)]
            if len(varying) > 1 or results:
                raise refused(text, "a product of what follows a maximum")
            worst = [self.tags[read] for read in reads if read in self.tags]
            self.tags[name] = max(worst, key=TAGS.index)
            axes = [single(s) for access in term.accesses for s in access.subscripts]
            plain = None not in axes and len(set(axes)) == len(axes)
            if plain and len(term.accesses) == 1 and not form.target.subscripts:
                return Total(reads[0], self.times(term))
            return Summed(text, reads)
        self.tags[name] = "exact in expectation"
        found: dict[Monomial, NDArray[Any]] = {}
        for monomial, arrays in self.monomials(term, text):
            counts = self.run(text, arrays)
            found[monomial] = found[monomial] + counts if monomial in found else counts
        repeated = [m for m in found if len(set(m)) < len(m)]
        if repeated:
            self.tags[name] = "approximate"
            self.independent |= dict.fromkeys(n for m in repeated for n in m if m.count(n) > 1)
        return Closed(found)

    def run(
        self,
        text: str,
        arrays: Mapping[str, NDArray[Any]],
        extents: Mapping[str, int] = MappingProxyType({}),
    ) -> NDArray[Any]:
        """The result of a line over these arrays.  extents : of axes of it, by their subscripts,
        that no line of the accounting has."""
        name = structure(text).written.forms[-1].target.tensor
        spec = sized(text, self.sizes, self.numbers.shapes(text, extents))
        return np.asarray(evaluate(spec, {**arrays, **self.numbers.read_by(spec)})[name])

    def times(self, term: Term) -> float:
        """What a term multiplies: its number, and extents."""
        return float(term.number) * prod(dict(self.sizes)[s.lower()] for s in term.scalars)

    def scaled(self, text: str, form: Form, term: Term, results: Sequence[str]) -> Closed | Scaled:
        """A line that reads a result without axes, and numbers."""
        if len(results) > 1 or term.accesses:
            raise refused(text, "a product of results without axes")
        (of,) = results
        extents = dict(self.sizes)
        times = term.number * prod(extents[s.lower()] for s in term.scalars if s != of)
        self.tags[form.target.tensor] = self.tags[of]
        line = self.lines[of]
        if isinstance(line, Closed):
            return Closed({names: array * times for names, array in line.terms.items()})
        return Scaled(of, float(times))

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
                if again and self.likely[tensor] is not self.possible[tensor]:
                    raise refused(text, f"one place of {mask.tensor} twice, which is not uniform,")
                once[place] = access
                named: Monomial = (mask.tensor,) if random and not again else ()
                parts = [(named, self.likely[tensor])]
            else:
                before = self.lines[tensor]
                assert isinstance(before, Closed)
                parts = list(before.terms.items())
            found = _beside(found, tensor, parts)
        for scalar in (scalar for scalar in term.scalars if scalar in self.lines):
            result = self.lines[scalar]
            assert isinstance(result, Closed)
            found = _beside(found, scalar, list(result.terms.items()))
        for names, _ in found:
            of = [self.events[n].tensor if n in self.events else n for n in names]
            for event in (name for name in names if name in self.events):
                if of.count(self.events[event].tensor) > 1:
                    what = f"a tile of {self.events[event].tensor} beside another part of it"
                    raise refused(text, what)
        return found

    def maximum(
        self, name: str, kept: Sequence[int]
    ) -> tuple[Closed | Largest | Apart | Either, Tag]:
        """The largest of a count over the axes that are not kept, and how sure it is."""
        return maximum(self, name, kept)

    def static(self, name: str) -> NDArray[Any]:
        """An array as it is where every operand is full."""
        if name in self.likely:
            return self.likely[name]
        line = self.lines[name]
        assert isinstance(line, Closed)
        return np.asarray(sum(line.terms.values()))


_Products = list[tuple[Monomial, dict[str, NDArray[Any]]]]


def _beside(
    products: _Products, name: str, parts: Sequence[tuple[Monomial, NDArray[Any]]]
) -> _Products:
    """Each product with each part of one more array."""
    return [
        (tuple(sorted((*names, *more))), {**arrays, name: array})
        for names, arrays in products
        for more, array in parts
    ]
