"""A spec with some operands fixed: packed once, called many times with the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zeroskip.einsum_spec.spec import Spec
from zeroskip.errors import EinsumError, KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.native import settings
from zeroskip.native.arguments import Array, Operand, resolve, shapes
from zeroskip.native.engine import Formats, evaluate
from zeroskip.native.fixed import OPEN, Schedules, fixed_by_result
from zeroskip.native.kept import Kept
from zeroskip.native.lines import Line, line_of
from zeroskip.native.load import Invocation, KernelFailure
from zeroskip.native.lower import Lowered
from zeroskip.native.order import Order, Orders
from zeroskip.native.pool import team
from zeroskip.native.prepared import Slots, explained, invocation
from zeroskip.native.recent import Recent
from zeroskip.native.results import target_for
from zeroskip.native.schedules import kernel_of, settled
from zeroskip.native.tile import TilePlan
from zeroskip.native.tuning import tuned

MOST_SHAPES = 32
"""Combinations of fresh shapes whose kernels are kept filled, scratch included; oldest go first."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A kernel with everything filled in but the fresh operands and the result.

    fresh : (operand, slot) of what each call hands in; result : slot of the result.
    lowered, slots : what the struct points at, kept alive; they tell what a failure means.
    kept : the operands, kept alive too.
    """

    call: Invocation
    fresh: tuple[tuple[str, int], ...]
    result: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    lowered: Lowered
    slots: Slots
    kept: object

    def run(self) -> None:
        """Call the kernel; KernelError where data names a place that is not there, or one twice.

        Not to be run again after any other exception: the kernel may not have ended.
        """
        try:
            self.call.call(long=self.slots.long, through=team(self.slots.parts))
        except KernelFailure as cause:
            raise explained(self.lowered, cause, self.slots.shapes) from cause


class Bound:
    """`spec` with the operands ``held``; `run` takes the rest.

    A held ndarray is copied, so that a later change behind the binding is not seen: bind
    again to use it.  Kernels, packed entries and scratch are kept for each thread, one set
    for each combination of fresh shapes.

    schedule : what is fixed of the schedule of the last line, or a mapping by result.
    tune : whether the first call for each set of shapes measures which schedule is fastest.
    """

    def __init__(
        self,
        spec: Spec,
        held: Mapping[str, object],
        schedule: Schedules = None,
        tune: bool = False,
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
            copied = operand.copy() if isinstance(operand, np.ndarray) else operand
            self.held[name] = copied
        self._kept = Kept(self.held)
        self.rest = tuple(name for name in spec.operands if name not in self.held)
        self._reduces = spec.forms[-1].reduction is not None  # and then starts from ``out``
        self._local = threading.local()

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
        if format is None and backend == "c" and not skip:
            ready = self._ready(fresh, self._order_of(order), convert)
            if ready is not None:
                target = np.empty(ready.shape, ready.dtype) if out is None else out
                if out is None or (not self._reduces and _usable(out, ready, fresh)):
                    call = ready.call
                    for name, slot in ready.fresh:
                        call.set_buffers((fresh[name],), slot)  # type: ignore[arg-type]
                    call.set_buffers((target,), ready.result)
                    try:
                        ready.run()
                    except KernelError:
                        raise
                    except BaseException:
                        self._local.known.clear()  # a kernel that goes on writes to its scratch
                        raise
                    return target
        results = evaluate(
            self.spec,
            {**self.held, **fresh},
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

    def _order_of(self, order: Orders) -> Order:
        """The order of the loops of the last line, where one is given."""
        if order is None:
            return self._order
        orders, _ = fixed_by_result(self.spec, order, self.schedule)
        return orders.get(self.spec.results[-1], ())

    def _ready(
        self, fresh: Mapping[str, object], order: Order = (), convert: bool = True
    ) -> Ready | None:
        """The filled kernel for these shapes; None where a call must go the long way."""
        key: list[object] = [order, convert, settings.current().threads]
        for name in self.rest:
            given = fresh.get(name)
            if type(given) is not np.ndarray or not given.flags.c_contiguous:
                return None
            if given.dtype == np.bool_:  # its bytes need a look: see formats.tensor.native
                return None
            key += (given.shape, given.dtype)
        if len(fresh) != len(self.rest):
            return None
        known: Recent[tuple[object, ...], Ready | None] | None
        known = getattr(self._local, "known", None)
        if known is None:
            known = self._local.known = Recent(MOST_SHAPES)
        found = tuple(key)
        if found in known:
            return known[found]
        return known.keep(found, self._fill(fresh, order, convert))

    def _fill(self, fresh: Mapping[str, object], order: Order, convert: bool) -> Ready | None:
        if len(self.spec.forms) != 1:
            return None
        form = self.spec.forms[0]
        operands = {**self.held, **{name: resolve(name, x) for name, x in fresh.items()}}
        if any(operands[name] is not x for name, x in fresh.items()):
            return None  # something had to be converted, as each call's must be
        extents = self.spec.extents(shapes(operands))
        line = line_of(form, operands, extents, convert=convert, order=order, fixed=self._fixed)
        line = replace(line, kept=self._kept)
        if not self.held.keys() >= set(line.converted):
            return None  # something had to be stored anew, as each call's must be
        if form.reduction in ("|", "&", "*", "max", "min"):
            return None
        if self.tune and not order:
            fixed = tuned(line, self.held, lambda one: _run(self._filled(one, operands)))
            line = replace(line, fixed=fixed)
        return self._filled(line, operands)

    def _filled(self, line: Line, operands: Mapping[str, Operand]) -> Ready | None:
        """The kernel of a line as it is fixed, filled."""
        target = target_for(line)
        line, schedule = settled(line, self.held)
        if isinstance(schedule, TilePlan) and schedule.entries.tensor not in self.held:
            return None  # the entries are fresh, and packed anew by every call
        prepared, filled = kernel_of(line, schedule, target, self.held)
        call = invocation(prepared, filled)
        if call is None or prepared.lowered.scalars:
            return None
        at = {key: slot for slot, key in enumerate(prepared.lowered.buffers)}
        slots_of = tuple((n, at[("vals", n)]) for n in self.rest if ("vals", n) in at)
        result = at["vals", line.name]
        lowered, shape = prepared.lowered, line.shape
        return Ready(call, slots_of, result, shape, line.result, lowered, filled, operands)


def _run(ready: Ready | None) -> Callable[[], None] | None:
    return None if ready is None else ready.run


def _usable(out: object, ready: Ready, fresh: Mapping[str, object]) -> bool:
    """Whether the result may go there straight away; else the long way says why not."""
    return (
        type(out) is np.ndarray
        and out.shape == ready.shape
        and out.dtype == ready.dtype
        and out.flags.c_contiguous
        and out.flags.writeable
        and not any(np.shares_memory(out, x) for x in fresh.values() if isinstance(x, np.ndarray))
    )
