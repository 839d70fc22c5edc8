"""Kernels with everything filled in but what a call brings, and the shortest way to run one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Protocol

import numpy as np

from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.native import settings
from zeroskip.native.arguments import Array, Operand, values
from zeroskip.native.lines import Line
from zeroskip.native.load import Invocation, KernelFailure, Through
from zeroskip.native.pool import team
from zeroskip.native.prepared import Prepared, Slots, array_of, explained, invocation
from zeroskip.native.reused import empty
from zeroskip.native.scheme import Key
from zeroskip.native.scratch import is_short
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
        arrays as they come or tensors, of which it takes what ``parts`` names, and the work is too
        short for anybody to interrupt it; else None.
    parts : of each fresh operand, what the kernel reads of it.
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
    parts: tuple[tuple[Key, ...], ...] = ()

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

    def run(self, long: bool | None = None) -> None:
        """Call the kernel; KernelError where data names a place that is not there, or one twice.

        Not to be run again after any other exception: the kernel may not have ended.

        long : whether it has so much to do that it may be interrupted; None where calls like this
            one are known to, or not to.
        """
        try:
            long = self.slots.long if long is None else long
            self.call.call(long=long, through=self.through)
        except KernelFailure as cause:
            raise self.explained(cause) from cause

    def explained(self, cause: KernelFailure) -> Exception:
        """What a failure of the kernel means for the line that was run."""
        return explained(self.prepared.lowered, cause, self.slots.shapes)


def ready_of(
    line: Line,
    prepared: Prepared,
    filled: Slots,
    operands: Mapping[str, Operand],
    rest: tuple[str, ...],
    shape: tuple[int, ...],
) -> Ready | None:
    """The kernel of a line for calls like this one; None where it cannot be kept filled.

    operands : those of this call.  rest : names of those that are fresh at each.
    shape : of the result, which the line may have without its axes of one place.
    """
    call = invocation(prepared, filled)
    if call is None or prepared.layout.scalars:
        return None
    alone = operands.keys() == {*rest}
    if alone and filled.long:
        return None  # what finding the kernel takes is nothing beside its work
    layout = prepared.layout
    at = {key: slot for slot, key in enumerate(layout.buffers)}
    result = at["vals", line.name]
    fresh = [
        (slot, key) for key, slot in at.items() if key[0] in ("vals", "level") and key[1] in rest
    ]
    counts = [
        (slot, str(key[1]))
        for slot, key in enumerate(layout.dims)
        if key[0] == "stored" and key[1] in rest
    ]
    through, again = team(filled.parts), None
    counted = counts and not alone  # else all calls have as many entries
    parts = None if filled.long or counted else plain_parts(rest, operands, at)
    if parts is not None:
        slots = (*(at[key] for keys in parts for key in keys), result)
        again = call.again(slots, through)
    return Ready(
        call,
        tuple(fresh),
        tuple(counts),
        result,
        again,
        through,
        shape,
        line.result,
        prepared,
        replace(filled, buffers=[]) if alone else filled,
        None if alone else operands,
        parts=() if parts is None else parts,
    )


class Short(Protocol):
    """Given fresh operands, and where the result goes: the result, or None where another way is to
    be taken."""

    def __call__(self, arrays: tuple[object, ...], out: object = None, /) -> Array | None: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fresh operand has to be for a filled kernel to take it as it is.

    format : of a tensor, else None; bits : of the number of entries that it stores, by which what
    pays is chosen; entries : of each level, where a kernel serves no other numbers.
    arrays : what the kernel reads of its levels: at which, under which name, of which type.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    format: Format | None = None
    bits: int = 0
    arrays: tuple[tuple[int, str, np.dtype[Any]], ...] = ()
    entries: tuple[int, ...] | None = None

    def parts(self, x: object) -> list[Array] | None:
        """What the kernel reads of a tensor; None of what is of another kind."""
        if type(x) is not Tensor:
            return None
        stored = x.values
        if x.shape != self.shape or stored.dtype is not self.dtype or x.fill:
            return None
        if x.format is not self.format and x.format != self.format:
            return None
        if len(stored).bit_length() != self.bits:
            return None
        if self.entries is not None and self.entries != tuple([of.entries for of in x.levels]):
            return None
        found = [stored]
        for depth, name, dtype in self.arrays:
            array = x.levels[depth].arrays[name]
            if array.dtype is not dtype:
                return None
            found.append(array)
        return found


def kinds_at_once(fresh: Sequence[object], ready: Ready, exact: bool) -> list[Kind] | None:
    """What operands like these, which the kernel was filled for, have in common; None where each of
    them needs a look.

    exact : whether the kernel serves tensors of as many entries alone.
    """
    found = []
    if ready.again is None:
        return None
    for x, parts in zip(fresh, ready.parts, strict=True):
        if type(x) is np.ndarray:
            found.append(Kind(x.shape, x.dtype))
        elif type(x) is Tensor and not x.fill:
            arrays = []
            for _, _, depth, name in parts[1:]:
                assert isinstance(depth, int)
                assert isinstance(name, str)
                arrays.append((depth, name, x.levels[depth].arrays[name].dtype))
            bits = len(x.values).bit_length()
            entries = tuple([of.entries for of in x.levels]) if exact else None
            found.append(Kind(x.shape, x.dtype, x.format, bits, tuple(arrays), entries))
        else:
            return None
    return found


def short(
    now: settings.Settings,
    result: tuple[tuple[int, ...], np.dtype[Any]],
    kinds: Sequence[Kind],
    idle: list[Ready],
) -> Short:
    """What serves calls under these settings, of operands of these kinds, in as few steps as there
    are: it is all that a call of little work takes.

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

    def several(given: tuple[object, ...], out: object = None) -> Array | None:
        arrays: list[Any] = []
        for x, kind in zip(given, kinds, strict=True):
            if kind.format is not None:
                parts = kind.parts(x)
                if parts is None:
                    return None
                arrays += parts
            elif type(x) is not ndarray or x.dtype is not kind.dtype or x.shape != kind.shape:
                return None
            else:
                arrays.append(x)
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

    if len(kinds) != 1 or kinds[0].format is not None:
        return several
    its_shape, its_dtype = kinds[0].shape, kinds[0].dtype  # a loop takes as long as all the rest
    return one


def plain_parts(
    rest: tuple[str, ...], operands: Mapping[str, Operand], at: Mapping[Key, int]
) -> tuple[tuple[Key, ...], ...] | None:
    """What the kernel reads of each fresh operand, where these need no look."""
    found = []
    for name in rest:
        x = operands[name]
        if ("vals", name) not in at:
            return None
        if isinstance(x, np.ndarray) and x.dtype == np.bool_:
            return None  # its bytes need a look: see formats.values.native
        levels = [key for key in at if key[0] == "level" and key[1] == name]
        found.append((("vals", name), *levels))
    return tuple(found)


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
