"""Kernels with everything filled in but what a call brings, and the shortest way to run one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

import numpy as np

from zeroskip.native import settings
from zeroskip.native.arguments import Array, Operand, values
from zeroskip.native.load import Invocation, KernelFailure, Through
from zeroskip.native.prepared import Prepared, Slots, array_of, explained
from zeroskip.native.scheme import Key
from zeroskip.native.scratch import empty, is_short
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Anew:
    """A fresh operand whose entries are packed at every call.

    slots : where the arrays go that ``packs`` makes of it, and which of them.
    """

    tensor: str
    packs: Callable[[Operand], Mapping[Key, Array]]
    slots: tuple[tuple[int, Key], ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """A kernel with everything filled in but the fresh operands and the result; for one call at a
    time.

    fresh : (slot, what of which fresh operand it points at); result : slot of the result.
    counts : (slot, fresh operand) of numbers of stored entries.
    again : runs the kernel on the fresh operands, in their order, and the result, where these are
        arrays as they come and the work is too short for anybody to interrupt it; else None.
    through : what runs the kernel on several threads; None where it is one.
    prepared, slots : what the struct points at, kept alive; they tell what a failure means.
    kept : the operands, kept alive too.
    like : the operand whose coordinates the result shares, with ``fill`` elsewhere; "" where it is
        dense.
    turned : fresh operands that are stored in another order of axes first.
    anew : the one that is packed first; None where all that is packed stays.
    """

    call: Invocation
    fresh: tuple[tuple[int, Key], ...]
    counts: tuple[tuple[int, str], ...]
    result: int
    again: Callable[..., bool] | None
    through: Through | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    prepared: Prepared
    slots: Slots
    kept: object
    like: str = ""
    fill: Any = 0
    turned: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)
    anew: Anew | None = None

    def release(self) -> None:
        """Keep no array of a call alive after it."""
        packed = () if self.anew is None else self.anew.slots
        self.call.forget((*(slot for slot, _ in (*self.fresh, *packed)), self.result))

    def point(self, fresh: Mapping[str, Operand], target: Array) -> None:
        """Point the kernel at the fresh operands, which are of those kinds and shapes that it was
        filled for, and at where the result goes."""
        call = self.call
        for slot, key in self.fresh:
            name = str(key[1])
            if name in self.turned:
                given = fresh[name]
                assert isinstance(given, np.ndarray)
                call.set_buffers((self.turned[name](given),), slot)
            else:
                call.set_buffers((array_of(key, fresh),), slot)
        if self.anew is not None:
            made = self.anew.packs(fresh[self.anew.tensor])
            for slot, key in self.anew.slots:
                call.set_buffers((made[key],), slot)
        for slot, name in self.counts:
            call.set_dims((values(fresh[name]).size,), slot)
        call.set_buffers((target,), self.result)

    def run(self) -> None:
        """Call the kernel; KernelError where data names a place that is not there, or one twice.

        Not to be run again after any other exception: the kernel may not have ended.
        """
        try:
            self.call.call(long=self.slots.long, through=self.through)
        except KernelFailure as cause:
            raise self.explained(cause) from cause

    def explained(self, cause: KernelFailure) -> Exception:
        """What a failure of the kernel means for the line that was run."""
        return explained(self.prepared.lowered, cause, self.slots.shapes)


class Short(Protocol):
    """Given fresh operands, and where the result goes: the result, or None where another way is to
    be taken."""

    def __call__(self, arrays: tuple[object, ...], out: object = None, /) -> Array | None: ...


def short(
    now: settings.Settings,
    result: tuple[tuple[int, ...], np.dtype[Any]],
    kinds: Sequence[tuple[tuple[int, ...], np.dtype[Any]]],
    idle: list[Ready],
) -> Short:
    """What serves calls under these settings, of arrays of these shapes and types, in as few steps
    as there are: it is all that a call of little work takes.

    result : shape and type of what they give.
    idle : filled kernels, from which each call takes one and gives it back.  An array whose type
        only equals the one it was filled for is not taken.
    """
    ndarray, current, taken = np.ndarray, settings.current, idle.pop
    given_back, (shape, dtype) = idle.append, result
    fresh = np.empty if is_short(shape, dtype) else empty

    def one(arrays: tuple[object, ...], out: object = None) -> Array | None:
        (x,) = arrays
        if type(x) is not ndarray or x.dtype is not its_dtype or x.shape != its_shape:
            return None
        if current() is not now:
            return None
        target: Any = fresh(shape, dtype) if out is None else out
        if out is not None and not fits(out, shape, dtype, arrays):
            return None
        try:
            ready = taken()
        except IndexError:  # other threads have them all
            return None
        try:
            again = ready.again
            done = again is not None and again(x, target)
        except KernelFailure as cause:
            given_back(ready)
            raise ready.explained(cause) from cause
        given_back(ready)
        return target if done else None

    def several(arrays: tuple[object, ...], out: object = None) -> Array | None:
        for x, (its_shape, its_dtype) in zip(arrays, kinds, strict=True):
            if type(x) is not ndarray or x.dtype is not its_dtype or x.shape != its_shape:
                return None
        if current() is not now:
            return None
        target: Any = fresh(shape, dtype) if out is None else out
        if out is not None and not fits(out, shape, dtype, arrays):
            return None
        try:
            ready = taken()
        except IndexError:
            return None
        try:
            again = ready.again
            done = again is not None and again(*arrays, target)
        except KernelFailure as cause:
            given_back(ready)
            raise ready.explained(cause) from cause
        given_back(ready)
        return target if done else None

    if len(kinds) != 1:
        return several
    ((its_shape, its_dtype),) = kinds  # a loop over one takes as long as all the rest
    return one


def plain_slots(
    rest: tuple[str, ...], operands: Mapping[str, Operand], at: Mapping[Key, int], result: int
) -> tuple[int, ...] | None:
    """Slots of the fresh operands and of the result, where these are arrays that need no look."""
    for name in rest:
        x = operands[name]
        if ("vals", name) not in at or not isinstance(x, np.ndarray):
            return None
        if x.dtype == np.bool_:  # its bytes need a look: see formats.values.native
            return None
    return *(at["vals", name] for name in rest), result


def fits(
    out: object, shape: tuple[int, ...], dtype: np.dtype[Any], operands: Iterable[object]
) -> bool:
    """Whether a result may go there straight away; else the long way says why not."""
    return (
        type(out) is np.ndarray
        and out.shape == shape
        and out.dtype == dtype
        and out.flags.c_contiguous
        and out.flags.writeable
        and not any(np.may_share_memory(out, x) for x in operands if isinstance(x, np.ndarray))
    )
