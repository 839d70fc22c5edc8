"""Kernels that were lowered, and how they are called: slots filled from operands and extents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zeroskip.checks import warn
from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.errors import CompilerError, KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.native import filed_kernels, load, texts
from zeroskip.native.arguments import Array, Operand, densify, values
from zeroskip.native.effort import effort
from zeroskip.native.filed_kernels import Layout, layout_of
from zeroskip.native.lower import Lowered
from zeroskip.native.names import SYMBOL
from zeroskip.native.pool import team
from zeroskip.native.recent import Recent
from zeroskip.native.scheme import Key
from zeroskip.records import dataclass

MOST_RANKS = 32
"""Ranks of one kernel: gcc takes a second for 30 loops in each other, a minute for 60."""

BACKENDS = ("c", "interpreter", "numpy")


class Prepared:
    """A kernel's C text, and what a call has to know of it.

    lowered : the kernel, or how to lower it; that is done when it is first asked for.
    c_text : emitted from it.
    dtype : of its arithmetic.
    layout : of its slots; that of ``lowered`` where it is not given.
    """

    __slots__ = ("_lower", "_lowered", "c_text", "dtype", "layout")

    def __init__(
        self,
        lowered: Lowered | Callable[[], Lowered],
        c_text: str,
        dtype: np.dtype[Any],
        layout: Layout | None = None,
    ) -> None:
        known = lowered if isinstance(lowered, Lowered) else None
        self._lowered = known
        self._lower = lowered
        self.c_text = c_text
        self.dtype = dtype
        self.layout = layout_of(self.lowered) if layout is None else layout

    @property
    def lowered(self) -> Lowered:
        """The loop nest, and what its slots stand for."""
        if self._lowered is None:
            assert not isinstance(self._lower, Lowered)
            self._lowered = self._lower()
        return self._lowered


_remembered: Recent[Key, Prepared] = Recent(load.MOST_KERNELS)


def remember(key: Key, dtype: np.dtype[Any], build: Callable[[], Lowered]) -> Prepared:
    """The kernel of ``key``: lowered once, as long as a process remembers it, and emitted once, as
    long as the cache directory does.

    build : lowers it; must hold no operands, for it is kept.
    """
    found = _remembered.get(key)
    if found is None:
        parts = filed_kernels.key_parts(key)
        filed = filed_kernels.recall(parts)
        if filed is not None:
            made = Prepared(build, filed.c_text, dtype, filed.layout)
        else:
            from zeroskip.native.emit import emit  # of no use where kernels are on disk

            made = Prepared(build(), "", dtype)
            check_limits(made.lowered)
            made.c_text = emit(made.lowered.kernel)
            filed_kernels.remember(parts, filed_kernels.Filed(made.layout, made.c_text))
        found = _remembered.keep(key, made)
    return found


def check_limits(lowered: Lowered) -> None:
    """Refuse a kernel that the argument struct, or the compiler's patience, has no room for."""
    kernel, most = lowered.kernel, texts.constants()
    kinds = [kind for _, kind in kernel.parameters]
    for count, limit, what in (
        (sum(key[0] == "extent" for key in lowered.dims), MOST_RANKS, "ranks"),
        (len(kernel.buffers), most["ZS_MAX_BUFS"], "arrays"),
        (len(kernel.dims), most["ZS_MAX_DIMS"], "extents and constants"),
        (kinds.count("real"), most["ZS_MAX_SCALARS"], "operands of no axes"),
        (len(kinds) - kinds.count("real"), most["ZS_MAX_SCALARS"], "whole operands of no axes"),
    ):
        if count > limit:
            line = kernel.title[0]
            shown = line if len(line) <= 72 else line[:69] + "..."
            raise KernelError(
                f"a kernel takes at most {limit} {what}, and this line has {count}\n  {shown}\n"
                "Compute part of it in a line of its own."
            )


@dataclass(frozen=True, slots=True)
class Slots:
    """Everything that a kernel is handed, by slot; and the shapes of tensors, for errors.

    long, parts : whether it has so much to do that it may be interrupted, and on how many
        threads it is worth running; see `effort`.
    """

    buffers: list[Array]
    dims: list[int]
    parameters: list[float]
    shapes: Mapping[str, tuple[int, ...]]
    long: bool = False
    parts: int = 1


def slots(
    form: Form,
    prepared: Prepared,
    operands: Mapping[str, Operand],
    extents: Extents,
    arrays: Mapping[Key, Array],
    numbers: Mapping[str, int],
) -> Slots:
    """Resolve each slot of the kernel of a form.

    arrays : those that are no operand's (result, scratch, packed entries), by `Scheme` key.
    numbers : integers of the tiled schedule.
    """
    layout = prepared.layout
    buffers = [
        arrays[key].reshape(-1) if key in arrays else array_of(key, operands)
        for key in layout.buffers
    ]
    dims = [_number(key, operands, extents, numbers) for key in layout.dims]
    scalars = [np.asarray(densify(operands[name])).item() for name in layout.scalars]
    long, parts = effort(form, operands, extents, layout.pace, layout.rate)
    return Slots(buffers, dims, scalars, extents.shapes, long, parts)


def invocation(prepared: Prepared, filled: Slots) -> load.Invocation | None:
    """The compiled kernel with its slots filled; None where there is no compiler."""
    kernel = compiled(prepared)
    if kernel is None:
        return None
    pairs = list(zip(filled.parameters, prepared.layout.kinds, strict=True))
    reals = [x for x, kind in pairs if kind == "real"]
    wholes = [(int(x) + 2**63) % 2**64 - 2**63 for x, kind in pairs if kind != "real"]
    return kernel.prepare(filled.buffers, filled.dims, reals, wholes)


def run(prepared: Prepared, filled: Slots, backend: str) -> None:
    """Run once, in C or in the interpreter.

    Raises KernelError where data names a place that is not there, or one twice.
    """
    call = invocation(prepared, filled) if backend == "c" else None
    try:
        if call is None:
            from zeroskip.native.interpret import interpret  # of no use to kernels

            interpret(prepared.lowered.kernel, filled.buffers, filled.dims, filled.parameters)
        else:
            call.call(long=filled.long, through=team(filled.parts))
    except load.KernelFailure as cause:
        raise explained(prepared.lowered, cause, filled.shapes) from cause


def explained(
    lowered: Lowered, cause: load.KernelFailure, shapes: Mapping[str, tuple[int, ...]]
) -> KernelError:
    """What a failure means for the line that was run."""
    if cause.code == "ZS_ERANGE" and cause.where < len(lowered.checks):
        tensor, axis, subscript = lowered.checks[cause.where]
        extent = shapes[tensor][axis]
        return KernelError(
            f"{subscript} names a place that axis {axis} of {tensor}, of extent {extent}, does "
            f"not have\n  {lowered.kernel.title[0]}\nPlaces are 0 to {extent - 1}."
        )
    if cause.code == "ZS_ECOLLISION":
        tensor = next(str(key[1]) for key in lowered.buffers if key[0] == "mark")
        place = np.unravel_index(cause.where, shapes[tensor])
        return KernelError(
            f"= writes {tensor}{[int(i) for i in place]} more than once\n"
            f"  {lowered.kernel.title[0]}\n"
            "Say how what arrives at one place combines: += adds it up, max= keeps the largest."
        )
    return cause


def array_of(key: Key, operands: Mapping[str, Operand]) -> Array:
    """What the slot of an operand points at: its values, or an array of one of its levels."""
    operand = operands[str(key[1])]
    if key[0] == "vals":
        return values(operand)
    assert isinstance(operand, Tensor)
    assert isinstance(key[2], int)
    return operand.levels[key[2]].arrays[str(key[3])]


def _number(
    key: Key, operands: Mapping[str, Operand], extents: Extents, numbers: Mapping[str, int]
) -> int:
    match key:
        case ("extent", str(rank)):
            return extents.ranks[rank]
        case ("axis", str(tensor), int(axis)):
            return extents.shapes[tensor][axis]
        case ("pad", str(tensor), int(axis)):
            return extents.pads[tensor][axis][0]
        case ("constant", str(name)):
            return int(extents.constants[name])
        case ("stored", str(tensor)):
            return values(operands[tensor]).size
        case ("tile", str(name)):
            return numbers[name]
    raise KernelError(f"no integer is called {key}")


def compiled(prepared: Prepared) -> load.Kernel | None:
    """The kernel in C, or None, said once, where there is no compiler."""
    global _warned
    try:
        return load.load(prepared.c_text, SYMBOL)
    except CompilerError as cause:
        if "pip install zeroskip[cc]" not in str(cause):
            raise
        if not _warned:
            _warned = True
            note = f"{cause}\nUntil then NumPy on dense copies or the interpreter answers, slowly."
            warn(note)
        return None


_warned = False
