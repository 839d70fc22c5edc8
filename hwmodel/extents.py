"""Counts over full operands as products of extents, so that formulas have extents in them.

    busy[k,4*m//M,4*n//N] += nzA[m,k]*nzB[k,n]         K*M*N
    busy[c,4*p//P] += nzF[m,c,r]*nzI[c,p+r], padded    C*M*taps_pr
    heldI[c,i] += nzI[c,h]*winI[i,h]                   heldI

Taps of a padded axis are those inside it; what is no product (a window's places, say) stands by the
name of its line.  Each is held against the number that was counted; one that differs stands by
its name, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.hwmodel.closed import Closed
from zeroskip.hwmodel.evaluate import sized, structure
from zeroskip.hwmodel.layer import Layer, Operand
from zeroskip.hwmodel.plan import Accounting
from zeroskip.native.engine import evaluate


@dataclass(slots=True)
class Counted:
    """Totals of an accounting's lines in symbols.

    values : symbol -> number, of every one that is used.
    totals : line -> its sum over full operands.
    """

    layer: Layer
    cascade: Accounting
    lines: Mapping[str, Any]
    values: dict[Any, int] = field(default_factory=dict)
    totals: dict[str, Any] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for form in _forms(self.cascade.text):
            for access in form.reads:
                mask = self.cascade.masks.get(access.tensor)
                if mask is not None:
                    shape = self.layer.extents.shapes[mask.tensor]
                    walked = zip(access.subscripts, shape, strict=True)
                    self.known |= {str(single(s)): n for s, n in walked if single(s) is not None}
        self.known |= {**self.cascade.sizes, **self.layer.extents.ranks}
        for form in _forms(self.cascade.text):
            line = self.lines.get(form.target.tensor)
            if isinstance(line, Closed):
                self.totals[form.target.tensor] = self._total(form, line)

    # ---- extents ------------------------------------------------------------------------

    def symbol(self, name: str, value: int) -> Any:
        """A symbol with its number; of a name that has another number already, one more."""
        import sympy

        found = sympy.Symbol(name, positive=True)
        if found in self.values and self.values[found] != value:
            return self.symbol(f"{name}_", value)
        self.values[found] = value
        return found

    def extent(self, rank: str) -> Any:
        """Of a rank of the layer, or a variable of the accounting."""
        return self.symbol(rank.upper(), self.known[rank])

    def points(self, ranks: Iterable[str]) -> Any:
        return prod((self.extent(rank) for rank in ranks), start=1)

    def shape(self, tensor: str) -> tuple[Any, ...]:
        """Of an operand or the result."""
        operand = self.layer.first(tensor)
        extents = self.layer.extents.shapes[tensor]
        return tuple(self._axis(operand, axis, size) for axis, size in enumerate(extents))

    def _axis(self, operand: Operand, axis: int, size: int) -> Any:
        rank = single(operand.subscripts[axis])
        if rank is not None and self.layer.extents.ranks.get(rank) == size:
            return self.extent(rank)
        return self.symbol(self._named(operand.tensor, axis), size)

    def _named(self, tensor: str, axis: int) -> str:
        """By the variable that walks it in the accounting, such as h."""
        masks = {name for name, mask in self.cascade.masks.items() if mask.tensor == tensor}
        for form in _forms(self.cascade.text):
            for access in form.reads:
                walked = single(access.subscripts[axis]) if access.tensor in masks else None
                if walked is not None and walked not in self.layer.extents.ranks:
                    return walked.upper()
        return f"{tensor}_{axis}"

    # ---- totals -------------------------------------------------------------------------

    def _total(self, form: Form, line: Closed) -> Any:
        """Monomial by monomial."""
        name, numbers = form.target.tensor, {k: a.sum().item() for k, a in line.terms.items()}
        if len(numbers) == 1 and len(form.terms) == 1 and form.reduction in ("+", None):
            ((names, number),) = numbers.items()
            product = self._product(form, form.terms[0])
            if product is not None and _at(product, self.values) == number:
                return {names: product}
        whole = len(numbers) == 1
        return {
            names: self.symbol(name if whole else f"{name}_{k}", number)
            if isinstance(number, int) and number
            else number
            for k, (names, number) in enumerate(numbers.items())
        }

    def _product(self, form: Form, term: Term) -> Any:
        """A term over ones as a product; None for another."""
        masks = self.cascade.masks
        lines = [a for a in term.accesses if a.tensor not in masks]
        own: set[str] = set()
        found: Any = term.number
        for scalar in term.scalars:
            if scalar in self.lines:
                if len(self.totals.get(scalar, ())) != 1:
                    return None
                found = found * next(iter(self.totals[scalar].values()))
            else:
                found = found * self.extent(scalar.lower())
        for access in lines:
            axes = [single(s) for s in access.subscripts]
            before = self.totals.get(access.tensor)
            apart = None not in axes and len(set(axes)) == len(axes) and not own & set(axes)
            if not apart or before is None or len(before) != 1 or term.factors:
                return None
            own |= {str(axis) for axis in axes}
            found = found * next(iter(before.values()))
        others = [a for a in term.accesses if a.tensor in masks]
        if own & {v for a in others for s in a.subscripts for v in variables(s)}:
            return None
        ranks = [rank for rank in form.ranks if rank not in own]
        if not set(ranks) <= set(self.known):
            return None
        for group, inside in self._padded(others):
            ranks = [rank for rank in ranks if rank not in group]
            found = found * self._taps(group, inside)
        return found * self.points(ranks)

    def _padded(self, accesses: Sequence[Access]) -> list[tuple[tuple[str, ...], list[Any]]]:
        """Variables that padded axes tie together, and what is inside of each axis."""
        groups: list[tuple[tuple[str, ...], list[Any]]] = []
        for access in accesses:
            mask = self.cascade.masks[access.tensor]
            shape = self.layer.extents.shapes[mask.tensor]
            for axis, subscript in enumerate(access.subscripts):
                (lo, _), length, size = mask.pads[axis], mask.lengths[axis], shape[axis]
                own = single(subscript) not in (None, *self.layer.extents.ranks)
                if own or (lo == 0 and length <= size):  # a variable of its own has the axis alone
                    continue
                place = np.arange(length)
                held = ((place >= lo) & (place < lo + size)).astype(np.int64)
                tied, inside = tuple(variables(subscript)), [(deparse(subscript), held)]
                for group in [g for g in groups if set(g[0]) & set(tied)]:
                    groups.remove(group)
                    tied = (*group[0], *(v for v in tied if v not in group[0]))
                    inside = [*group[1], *inside]
                groups.append((tied, inside))
        return groups

    def _taps(self, group: tuple[str, ...], inside: list[Any]) -> Any:
        arrays = {f"inside{k}": held for k, (_, held) in enumerate(inside)}
        reads = [f"inside{k}[{subscript}]" for k, (subscript, _) in enumerate(inside)]
        sizes = tuple((rank, self.known[rank]) for rank in group)
        found = evaluate(sized(f"taps += {'*'.join(reads)}", sizes), arrays)["taps"]
        return self.symbol(f"taps_{''.join(group)}", int(found))


def _forms(text: str) -> list[Form]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [form for line in lines for form in structure(line).written.forms]


def _at(expression: Any, values: Mapping[Any, int]) -> Any:
    import sympy

    return sympy.sympify(expression).subs(values)
