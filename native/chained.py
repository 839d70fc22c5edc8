"""Cascades whose lines are specs of their own, so that each keeps its kernels filled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import fields
from typing import Protocol

from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.spec import Spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Array, Operand, shapes
from zeroskip.native.engine import needed_results
from zeroskip.native.halves import widened_lines
from zeroskip.native.lines import named
from zeroskip.native.recent import Recent
from zeroskip.records import dataclass


@dataclass(frozen=True, eq=False, repr=False)
class LineSpec(Spec):
    """A line, of which extents were found with all others.

    operands : what it reads of the cascade's operands and of earlier results.
    """

    operands: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    whole: Extents | None = None

    def extents(self, shapes: Mapping[str, Sequence[int]] | None = None) -> Extents:
        """Those of the cascade; operands of other shapes have a line of their own."""
        assert self.whole is not None
        return self.whole


class Runner(Protocol):
    """A line with some operands held."""

    spec: Spec
    rest: tuple[str, ...]

    def at_once(self, arrays: tuple[object, ...], /) -> Array | None: ...

    def run(self, fresh: Mapping[str, object], /) -> Array | Tensor: ...


class Chains:
    """The lines of a cascade, by shapes and types of its fresh operands, of which ``most`` are
    kept.

    held : operands that stay, by name.
    bind : holds some operands of a line.
    """

    def __init__(
        self,
        spec: Spec,
        held: Mapping[str, Operand],
        most: int,
        bind: Callable[[LineSpec, Mapping[str, Operand]], Runner],
    ) -> None:
        self.spec, self.held, self._bind = spec, held, bind
        self._found: Recent[Hashable, tuple[Runner, ...] | None] = Recent(most)

    def run(self, fresh: Mapping[str, Operand]) -> Array | Tensor | None:
        """The last result; None where a line is computed in a type that it would not have alone."""
        values = {**self.held, **fresh}
        key = tuple((name, x.shape, x.dtype) for name, x in fresh.items())
        if key not in self._found:
            self._found.keep(key, self._made(values))
        lines = self._found.get(key)
        if lines is None:
            return None
        for line in lines:
            given = {name: values[name] for name in line.rest}
            made = line.at_once(tuple(given.values()))
            values[line.spec.results[0]] = line.run(given) if made is None else made
        return values[self.spec.results[-1]]

    def _made(self, operands: Mapping[str, Operand]) -> tuple[Runner, ...] | None:
        extents = self.spec.extents(shapes(operands))
        if any(widened_lines(self.spec, operands, extents.constants)):
            return None
        alive = needed_results(self.spec, self.spec.results[-1:])
        lines = line_specs(self.spec, extents, operands, alive)
        own = [{n: self.held[n] for n in line.operands if n in self.held} for line in lines]
        return tuple(map(self._bind, lines, own))


def line_specs(
    spec: Spec, extents: Extents, operands: Collection[str], alive: Collection[str]
) -> tuple[LineSpec, ...]:
    """The lines whose results are ``alive``, in their order.

    operands : of the cascade, by name.
    """
    of_spec = {f.name: getattr(spec, f.name) for f in fields(spec)}
    known, found = {*operands}, []
    for form in spec.forms:
        name = form.target.tensor
        if name in alive:
            own = {"text": form_text(form), "forms": (form,), "results": (name,), "whole": extents}
            read = tuple(x for x in named(form) if x in known)
            found.append(LineSpec(**{**of_spec, **own, "operands": read}))
        known.add(name)
    return tuple(found)
