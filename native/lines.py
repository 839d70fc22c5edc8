"""`Line`: one form of a spec with its operands, in formats that its loops can follow."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from zeroskip.einsum_spec.explicit import pointed_out
from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Gather
from zeroskip.einsum_spec.walk import gathers, subscripts
from zeroskip.errors import KernelError
from zeroskip.formats.format import Format
from zeroskip.formats.ranks import axis_of
from zeroskip.formats.tensor import Tensor
from zeroskip.native import choice, load
from zeroskip.native.arguments import Operand, densify, fill_of, signature
from zeroskip.native.blocks import walkable
from zeroskip.native.conversions import compressed, refused
from zeroskip.native.dtypes import LOGICAL, form_types
from zeroskip.native.fixed import OPEN, Schedule
from zeroskip.native.forms import check_left_out
from zeroskip.native.kept import Kept
from zeroskip.native.operand import Signature
from zeroskip.native.order import Order, discordant
from zeroskip.native.passes import every_visit, scanned, seen
from zeroskip.native.recent import Recent
from zeroskip.native.scheme import Key
from zeroskip.records import dataclass

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Line:
    """One form with its operands: what every way of running it needs.

    used : the operands that it names.  dtype : of its arithmetic; result : of its result.
    converted : the operands that had to be stored in another way.
    order : of the loops over ranks, outermost first; empty where operands lead the way.
    fixed : what the user has fixed of the schedule.
    kept : operands that stay over many calls, and how they were laid out for kernels.
    """

    form: Form
    used: Mapping[str, Operand]
    extents: Extents
    signatures: Mapping[str, Signature]
    dtype: np.dtype[Any]
    result: np.dtype[Any]
    converted: tuple[str, ...] = ()
    order: Order = ()
    fixed: Schedule = OPEN
    kept: Kept | None = None

    @property
    def key(self) -> Key:
        """Lines of equal keys have the same kernels."""
        return self.form, *self.signatures.items(), self.dtype.name, self.order

    @property
    def fills(self) -> dict[str, int | float]:
        """What is read of each operand where nothing is stored."""
        return {name: of.fill for name, of in self.signatures.items()}

    @property
    def name(self) -> str:
        return self.form.target.tensor

    def keeps(self, tensor: str) -> bool:
        """Whether an operand stays over many calls, as it is."""
        return self.kept is not None and self.kept.has(tensor, self.used[tensor])

    def laid_out(self, tensor: str, how: Hashable, build: Callable[[], T]) -> T:
        """What is made of an operand for kernels that read it so: once, where it stays."""
        if self.kept is None or not self.keeps(tensor):
            return build()
        return self.kept.layout(tensor, how, build)

    @property
    def stored(self) -> np.dtype[Any]:
        """The type that the kernel writes: truth values are told from numbers afterwards."""
        return self.dtype if self.form.reduction in LOGICAL else self.result

    @property
    def shape(self) -> tuple[int, ...]:
        return self.extents.shapes[self.name]


def line_of(
    form: Form,
    operands: Mapping[str, Operand],
    extents: Extents,
    *,
    blocks: bool = True,
    convert: bool = True,
    order: Order = (),
    fixed: Schedule = OPEN,
) -> Line:
    """The operands that a form names, in formats in which it can follow and look them up.

    blocks : whether loops may walk the blocks of a split format; else it is compressed by axes.
    convert : whether operands may be stored anew for that; KernelError where one would be.
    order : of the loops over ranks; operands that store another are stored anew.
    fixed : of the schedule; its order is that of ``order``.
    """
    used = {name: operands[name] for name in named(form) if name in operands}
    key = (id(form), *map(kind_of, used.values()), *_surroundings(used, extents), blocks, order)
    if not order and choice.candidates(used):
        order = _cheapest(form, used, extents, (*key, convert), blocks, convert)
        key = (*key, order)
    fit = _fits.get(key)
    if fit is not None:
        return Line(form, used, extents, *fit[1:], order=order, fixed=fixed)
    dtypes = {name: x.dtype for name, x in used.items()}
    dtype, result = form_types(form, dtypes, extents.constants)
    check_left_out(form, extents.skipped)
    converted: dict[str, Operand] = {}

    def store(name: str, layout: Format | None, why: str) -> None:
        if not convert:
            raise refused(form, name, used[name], layout, why)
        converted[name] = used[name] = _stored_as(used[name], layout)

    for name, x in used.items():
        if not isinstance(x, Tensor) or not x.format.split:
            continue
        if order or not blocks or not _walkable(name, x, form, extents):
            store(name, _by_coordinates(x.format), "its blocks cannot be walked here")
    for name, layout in list(_looked_up(form, used, dtype.name, extents)):
        store(name, layout, "has to be looked up at single places")
    signatures = {name: signature_of(name, x, extents) for name, x in used.items()}
    if order:
        for name, layout, why in list(discordant(form, used, signatures, dtype.name, order)):
            store(name, layout, why)
            signatures[name] = signature_of(name, used[name], extents)
    if not converted:
        _fits.keep(key, (form, signatures, dtype, result))
    stored = tuple(converted)
    return Line(form, used, extents, signatures, dtype, result, stored, order, fixed)


def _cheapest(
    form: Form,
    used: Mapping[str, Operand],
    extents: Extents,
    key: tuple[Hashable, ...],
    blocks: bool,
    convert: bool,
) -> Order:
    """The order of loops that costs least; empty where operands lead the way.

    key : what lines of equal kernels have in common, but for the order.
    """
    known = (*key, choice.class_of(used, extents.ranks))
    found = choice.remembered(known)
    if found is None:
        estimates = estimates_of(form, used, extents, blocks=blocks, convert=convert)
        found = choice.remember(known, form, estimates[0].order if estimates else ())
    return found


def estimates_of(
    form: Form,
    operands: Mapping[str, Operand],
    extents: Extents,
    *,
    blocks: bool = True,
    convert: bool = True,
    order: Order | None = None,
) -> tuple[choice.Estimate, choice.Estimate | None] | None:
    """The order of loops that costs least, and the best of the others; None where nothing can be
    said of it.

    order : the one to take; empty where operands lead the way, None for the cheapest.
    """
    used = {name: operands[name] for name in named(form) if name in operands}
    dtype, _ = form_types(form, {name: x.dtype for name, x in used.items()}, extents.constants)
    return choice.cheapest(
        form,
        {name: signature_of(name, x, extents) for name, x in used.items()},
        dtype.name,
        choice.sizes_of(used, extents.ranks),
        in_rows=not blocks,
        convert=convert,
        order=order,
    )


def signature_of(name: str, operand: Operand, extents: Extents) -> Signature:
    """What kernels of these extents know of an operand."""
    pads = extents.pads.get(name, ())
    padded = tuple(tuple(p) != (0, 0) for p in pads) or (False,) * operand.ndim
    return replace(signature(operand, padded), skips_padding=name in extents.skipped)


_fits: Recent[Hashable, tuple[Form, dict[str, Signature], np.dtype[Any], np.dtype[Any]]]
_fits = Recent(load.MOST_KERNELS)
"""Of forms over operands that need no conversion: signatures, and types of `Line`.  A form goes by
its identity, for 2*x and 2.0*x are equal and not of one type; it is kept, so that no other has it.
"""


def named(form: Form) -> dict[str, None]:
    """The operands and constants that a form names, in order."""
    names = [access.tensor for access in form.reads]
    return dict.fromkeys([*names, *(name for term in form.terms for name in term.bare)])


def kind_of(operand: Operand) -> Hashable:
    """Operands of equal keys are read by the same loops."""
    if isinstance(operand, np.ndarray):
        return operand.dtype, operand.ndim
    widths = tuple(x.dtype for level in operand.levels for x in level.arrays.values())
    return operand.dtype, operand.format, fill_of(operand), widths


def _surroundings(used: Mapping[str, Operand], extents: Extents) -> Iterator[Hashable]:
    """What a line depends on beside form and operands: padding, and values of constants."""
    for name in used:
        yield extents.pads.get(name), name in extents.skipped
    yield tuple(extents.constants.items())


def _looked_up(
    form: Form, used: Mapping[str, Operand], dtype: str, extents: Extents
) -> Iterator[tuple[str, Format | None]]:
    """Operands that must be stored in another way to be looked up, and that format: None for an
    ndarray."""
    places = {gather.access.tensor: gather.access for gather in _gathers(form)}
    for name, access in places.items():
        index = used[name]
        if index.dtype.kind not in "iu":
            lines = (
                f"{name} names places, and holds {index.dtype}",
                *pointed_out(form, access),
                f"Pass integers: {name}.astype('int64').",
            )
            raise KernelError("\n".join(lines))
        if isinstance(index, Tensor):
            yield name, None
    tensors = {name: signature(x, ()) for name, x in used.items() if isinstance(x, Tensor)}
    for name in [name for name, of in tensors.items() if of.fill and name not in places]:
        if name not in extents.skipped and any(map(any, extents.pads.get(name, ()))):
            yield name, None  # which tells padding, 0, from what is absent
            del tensors[name]
    known = replace(seen(tensors), skips_padding=any(name in extents.skipped for name in used))
    passes = [one for visits in every_visit(form, known, dtype) for one in visits.passes]
    wanted = [access for one in passes for access in one.optional]
    wanted += [access for one in passes for access in scanned(one, tensors)]
    for name in dict.fromkeys(access.tensor for access in wanted):
        operand = used[name]
        if name not in tensors or name in places:
            continue
        if isinstance(operand, Tensor) and not tensors[name].locatable:
            yield name, _by_coordinates(operand.format)


def _stored_as(operand: Operand, layout: Format | None) -> Operand:
    if layout is None or isinstance(operand, np.ndarray):
        return densify(operand)
    return operand.asformat(layout)


def _walkable(name: str, operand: Tensor, form: Form, extents: Extents) -> bool:
    reads = [access for access in form.reads if access.tensor == name]
    return walkable(operand.format, reads, any(map(any, extents.pads.get(name, ()))))


def _gathers(form: Form) -> Iterator[Gather]:
    for access in (form.target, *form.reads):
        for part in access.subscripts:
            yield from gathers(part)
    for term in form.terms:
        for factor in term.factors:
            for part in subscripts(factor):
                yield from gathers(part)


def _by_coordinates(held: Format) -> Format:
    """Every axis compressed, in the order in which they are stored."""
    return compressed(dict.fromkeys(axis_of(axis) for rank in held.ranks for axis in rank.axes))
