"""A spec with some operands fixed: packed once, called many times with the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from zeroskip.einsum_spec.spec import Spec
from zeroskip.errors import EinsumError, KernelError
from zeroskip.formats.auto import is_auto
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.native import settings
from zeroskip.native.alike import all_finite, with_values
from zeroskip.native.appending import Appending, Appendings, appending
from zeroskip.native.arguments import Array, Operand, resolve, shapes
from zeroskip.native.arguments import values as values_of
from zeroskip.native.chained import Chains
from zeroskip.native.dtypes import LOGICAL
from zeroskip.native.engine import Formats, evaluate
from zeroskip.native.fixed import OPEN, Schedules, fixed_by_result
from zeroskip.native.kept import Kept
from zeroskip.native.lines import Line, kind_of, line_of
from zeroskip.native.order import Order, Orders
from zeroskip.native.ready import Anew, Ready, Short, fits, kinds_at_once, ready_of, short
from zeroskip.native.recent import Recent
from zeroskip.native.result_fill import result_fill
from zeroskip.native.results import (
    alike_in,
    alike_kernel,
    assembly_of,
    bound_format,
    rearranged,
    target_for,
)
from zeroskip.native.reused import empty
from zeroskip.native.sampled import axes_in, turning
from zeroskip.native.schedules import PACKED, kernel_of, packer_at
from zeroskip.native.settling import settled
from zeroskip.native.spread import Spreads
from zeroskip.native.tile import TilePlan

MOST_SHAPES = 32
"""Combinations of fresh shapes whose kernels are kept filled, scratch included; oldest go first."""


class Bound:
    """`spec` with the operands ``held``, which may be none; `run` takes the rest.

    A held ndarray is copied, so that a later change behind the binding is not seen: bind
    again to use it.  Kernels, packed entries and scratch are kept filled for each combination of
    fresh kinds and shapes: as many of one as calls have been under way at once, in threads or
    in a signal's handler, since each takes one and gives it back.  Where nothing is held, nothing
    of a call is kept alive after it but scratch, and kernels are kept of short calls alone.

    schedule : what is fixed of the schedule of the last line, or a mapping by result.
    tune : whether the first call for each set of shapes measures which schedule is fastest.
    owned : whether nobody else can change what is held, which is not copied then.
    """

    def __init__(
        self,
        spec: Spec,
        held: Mapping[str, object],
        schedule: Schedules = None,
        tune: bool = False,
        *,
        owned: bool = False,
    ) -> None:
        self.spec = spec
        self.schedule = schedule
        self.tune = tune
        if not isinstance(tune, bool):
            raise KernelError(f"tune: expected True or False, found {tune!r}")
        if tune and schedule is not None:
            raise KernelError("schedule= fixes what tune=True is to find\nLeave one of them out.")
        if tune and len(spec.forms) != 1:
            raise KernelError(
                f"tune=True measures layers of one line, and this one has {len(spec.forms)}\n"
                "Bind each line on its own, or leave tune= out."
            )
        orders, fixed = fixed_by_result(spec, None, schedule)
        self._order: Order = orders.get(spec.results[-1], ())
        self._fixed = fixed.get(spec.results[-1], OPEN)
        self.held: dict[str, Operand] = {}
        for name, given in held.items():
            if name not in spec.operands:
                raise EinsumError(
                    f"{name} is no operand of {spec.text!r}; bind any of {', '.join(spec.operands)}"
                )
            operand = resolve(name, given)
            shared = isinstance(operand, np.ndarray) and not owned
            self.held[name] = operand.copy() if shared else operand
        self._kept = Kept(self.held)
        self.rest = tuple(name for name in spec.operands if name not in self.held)
        self._reduces = spec.forms[-1].reduction is not None  # and then starts from ``out``
        self._idle: Recent[tuple[object, ...], list[Ready] | None] = Recent(MOST_SHAPES)
        self._short: Short | None = None
        self._chains = Chains(spec, self.held, MOST_SHAPES, partial(Bound, owned=True))
        self._appendings = Appendings(self.held, MOST_SHAPES)
        self._spreads = Spreads(spec, self.held, MOST_SHAPES)

    def __reduce__(self) -> tuple[Any, ...]:
        return Bound, (self.spec, self.held, self.schedule, self.tune)

    def run(
        self,
        fresh: Mapping[str, object],
        *,
        backend: str = "c",
        out: Array | None = None,
        format: Formats = None,
        skip: str | Collection[str] = (),
        convert: bool = True,
        order: Orders = None,
    ) -> Array | Tensor:
        """The last result for these fresh operands; arguments as `engine.evaluate`."""
        known = {name: resolve(name, given) for name, given in fresh.items()}
        usual = out is None and format is None and backend == "c" and not skip and order is None
        if usual and convert and len(self.spec.forms) > 1 and self.schedule is None:
            made = self._chains.run(known) if known.keys() == {*self.rest} else None
            if made is not None:
                return made
        if isinstance(format, str | Format) and out is None and backend == "c" and not skip:
            made = self._stored(known, format, order, convert)
            if made is not None:
                return made
        if format is None and backend == "c" and not skip and known.keys() == {*self.rest}:
            taken_order = self._order_of(order)
            if convert and not taken_order:
                known = self._spread(known)
            key = self._key(known, taken_order, convert)
            ready = self._taken(key, known, taken_order, convert)
            if ready is not None:
                if out is None:
                    return self._run(ready, key, known, empty(ready.shape, ready.dtype))
                if not self._reduces and fits(out, ready.shape, ready.dtype, known.values()):
                    return self._run(ready, key, known, out)
                self._give_back(key, ready)
        results = evaluate(
            self.spec,
            {**self.held, **known},
            backend=backend,
            out=out,
            format=format,
            wanted=self.spec.results[-1:],
            skip=skip,
            convert=convert,
            order=order,
            schedule=self.schedule,
            kept=self._kept,
        )
        return results[self.spec.results[-1]]

    def _spread(self, known: dict[str, Operand]) -> dict[str, Operand]:
        """The fresh operands, one made dense where that is better than to skip its zeros."""
        dense = all(isinstance(x, np.ndarray) for x in known.values())
        if dense or self._fixed != OPEN or len(self.spec.forms) != 1:
            return known
        return self._spreads.of(self._key(known, (), True), known)

    def _stored(
        self, known: Mapping[str, Operand], format: str | Format, order: Orders, convert: bool
    ) -> Tensor | None:
        """A result that stores what an operand stores, or is gathered by rows; None where no kernel
        is kept filled for that."""
        if known.keys() != {*self.rest} or not convert or len(self.spec.forms) != 1 or self.tune:
            return None
        taken_order = self._order_of(order)
        alike = (format, *self._key(known, taken_order, convert))
        by_rows = partial(self._filled_rows, known, taken_order, format)
        if self._idle.get(alike, ()) is None:  # as was found: whatever is finite, they are not
            return self._appendings.tensor(alike, known, by_rows)
        key = (*alike, *(all_finite(x) for x in known.values() if isinstance(x, Tensor)))
        ready = self._taken(key, known, taken_order, convert, format)
        if ready is None:
            self._idle.keep(alike, None)
            return self._appendings.tensor(alike, known, by_rows)
        held = known[ready.like] if ready.like in known else self.held[ready.like]
        values = np.empty(values_of(held).shape, ready.dtype)
        values = self._run(ready, key, known, values)
        if all_finite(held) and not all_finite(values):
            return None  # a sum may have grown too large before it was multiplied
        return with_values(held, values, ready.fill)

    def _order_of(self, order: Orders) -> Order:
        """The order of the loops of the last line, where one is given."""
        if order is None:
            return self._order
        orders, _ = fixed_by_result(self.spec, order, self.schedule)
        return orders.get(self.spec.results[-1], ())

    def at_once(self, arrays: tuple[object, ...], out: object = None) -> Array | None:
        """The result for the fresh operands in the order of ``rest``, by the shortest way: for
        arrays of shapes and types that were met before.  None where `run` is to see to it.
        """
        if out is not None and self._reduces:
            return None
        found = None if self._short is None else self._short(arrays, out)
        if found is not None:
            return found
        met = self._meet(arrays)
        if met is None:
            return None
        self._short = met
        return met(arrays, out)

    def _meet(self, arrays: tuple[object, ...]) -> Short | None:
        """What serves calls of arrays like these, where one was served before."""
        now, fresh = settings.current(), {}
        for name, array in zip(self.rest, arrays, strict=True):
            if type(array) is not np.ndarray and type(array) is not Tensor:
                return None
            fresh[name] = array
        idle = self._idle.get(self._key(fresh, self._order, True))
        if not idle:
            return None
        with contextlib.suppress(IndexError):  # another thread has just taken the last
            one = idle[0]
            kinds = kinds_at_once(arrays, one, exact=not self.held)
            return None if kinds is None else short(now, (one.shape, one.dtype), kinds, idle)
        return None

    def _run(
        self,
        ready: Ready,
        key: tuple[object, ...],
        fresh: Mapping[str, Operand],
        target: Array,
    ) -> Array:
        try:
            ready.point(fresh, target)
            ready.run()
        except KernelError:
            self._give_back(key, ready)
            raise  # after anything else the kernel may go on writing to its scratch
        self._give_back(key, ready)
        return target

    def _key(self, fresh: Mapping[str, Operand], order: Order, convert: bool) -> tuple[object, ...]:
        """Calls of equal keys are served by the same filled kernel."""
        key: list[object] = [settings.current(), order, convert]
        for name in self.rest:
            given = fresh[name]
            key.append(given.shape)
            if isinstance(given, np.ndarray):
                key.append(given.dtype)
            elif self.held:  # how many entries there are tells what pays, by powers of 2
                key += (kind_of(given), given.stored.bit_length())
            else:  # what is computed goes by this call alone, to the last bit
                key += (kind_of(given), *(level.entries for level in given.levels))
        return tuple(key)

    def _taken(
        self,
        key: tuple[object, ...],
        fresh: Mapping[str, Operand],
        order: Order,
        convert: bool,
        format: str | Format | None = None,
    ) -> Ready | None:
        """A filled kernel for one call; None where a call must go the long way."""
        if key in self._idle:
            idle = self._idle.get(key)
            if idle is None:
                return None
            with contextlib.suppress(IndexError):  # all are taken
                return idle.pop()
        made = self._fill(fresh, order, convert, format)
        self._idle.keep(key, None if made is None else [])
        return made

    def _give_back(self, key: tuple[object, ...], ready: Ready) -> None:
        idle = self._idle.get(key)
        if idle is not None:
            self._done(idle, ready)

    def _done(self, idle: list[Ready], ready: Ready) -> None:
        """Have a filled kernel serve the next call."""
        if not self.held:
            ready.release()
        idle.append(ready)

    def _fill(
        self,
        fresh: Mapping[str, Operand],
        order: Order,
        convert: bool,
        format: str | Format | None = None,
    ) -> Ready | None:
        if len(self.spec.forms) != 1:
            return None
        operands = {**self.held, **fresh}
        line = self._line(operands, order, convert, format)
        if format is not None:
            return self._filled_alike(line, operands, format)
        if line.form.reduction in LOGICAL or not self.held.keys() >= set(line.converted):
            return None  # truths are computed as numbers; what is stored anew is each call's
        if self.tune and not order:
            from zeroskip.native.tuning import tuned

            fixed = tuned(line, self.held, lambda one: _run(self._filled(one, operands)))
            line = replace(line, fixed=fixed)
        return self._filled(line, operands)

    def _line(
        self,
        operands: Mapping[str, Operand],
        order: Order,
        convert: bool,
        format: str | Format | None,
    ) -> Line:
        extents = self.spec.extents(shapes(operands))
        line = line_of(
            self.spec.forms[0],
            operands,
            extents,
            blocks=format is None,
            convert=convert,
            order=order,
            fixed=self._fixed,
        )
        return replace(line, kept=self._kept)

    def _filled(self, line: Line, operands: Mapping[str, Operand]) -> Ready | None:
        """The kernel of a line as it is fixed, filled."""
        target, shape = target_for(line), line.shape
        line, schedule = settled(line, self.held)
        prepared, filled = kernel_of(line, schedule, target, self.held)
        ready = ready_of(line, prepared, filled, operands, self.rest, shape)
        if ready is None or not isinstance(schedule, TilePlan):
            return ready
        if schedule.entries.tensor in self.held:
            return ready
        packs = packer_at(line, schedule, self.held)
        slots = tuple(
            (slot, key) for slot, key in enumerate(prepared.layout.buffers) if key in PACKED
        )
        return replace(ready, anew=Anew(schedule.entries.tensor, packs, slots))

    def _filled_alike(
        self, line: Line, operands: Mapping[str, Operand], format: str | Format
    ) -> Ready | None:
        """The kernel of a line whose result stores what an operand stores, filled."""
        if line.converted or line.fixed != OPEN:
            return None
        found = alike_in(line, format)
        if found is None:
            return None
        chosen, like, fill = found
        values = np.empty(values_of(line.used[like]).size, line.stored)
        line = rearranged(line, chosen)
        once = all_finite(line.used[like])
        prepared, filled = alike_kernel(line, chosen, like, values, once=once)
        ready = ready_of(line, prepared, filled, operands, self.rest, line.shape)
        if ready is None:
            return None
        turned = {}
        for name, layout in chosen.turned.items():
            if name in self.rest:
                given = operands[name]
                assert isinstance(given, np.ndarray)
                turned[name] = turning(given, axes_in(layout), keep=bool(self.held))
        return replace(ready, like=like, fill=fill, turned=turned)

    def _filled_rows(
        self, fresh: Mapping[str, Operand], order: Order, format: str | Format
    ) -> Appending | None:
        """The kernel of a line whose result is gathered by rows, filled."""
        line = self._line({**self.held, **fresh}, order, True, format)
        if line.fixed != OPEN or is_auto(format):
            return None
        fill = result_fill(line)
        chosen = assembly_of(line, fill)
        if chosen is None:
            return None
        wanted = bound_format(line, format)
        return appending(rearranged(line, chosen), chosen, wanted, fill, self.held)


def _run(ready: Ready | None) -> Callable[[], None] | None:
    return None if ready is None else ready.run
