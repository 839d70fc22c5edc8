"""`Line`: one form of a spec with its operands, in formats that its loops can follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Gather
from zeroskip.einsum_spec.walk import gathers, subscripts
from zeroskip.errors import KernelError
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Compressed
from zeroskip.formats.ranks import axis_of
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Operand, densify, signature
from zeroskip.native.blocks import walkable
from zeroskip.native.dtypes import LOGICAL, form_types
from zeroskip.native.operand import Signature
from zeroskip.native.passes import every_pass


@dataclass(frozen=True, slots=True)
class Line:
    """One form with its operands: what every way of running it needs.

    used : the operands that it names.  dtype : of its arithmetic; result : of its result.
    converted : the operands that had to be stored in another way.
    """

    form: Form
    used: Mapping[str, Operand]
    extents: Extents
    signatures: Mapping[str, Signature]
    dtype: np.dtype[Any]
    result: np.dtype[Any]
    converted: tuple[str, ...] = ()

    @property
    def fills(self) -> dict[str, int | float]:
        """What is read of each operand where nothing is stored."""
        return {name: of.fill for name, of in self.signatures.items()}

    @property
    def name(self) -> str:
        return self.form.target.tensor

    @property
    def stored(self) -> np.dtype[Any]:
        """The type that the kernel writes: truth values are told from numbers afterwards."""
        return self.dtype if self.form.reduction in LOGICAL else self.result

    @property
    def shape(self) -> tuple[int, ...]:
        return self.extents.shapes[self.name]


def line_of(
    form: Form, operands: Mapping[str, Operand], extents: Extents, *, blocks: bool = True
) -> Line:
    """The operands that a form names, in formats in which it can follow and look them up.

    blocks : whether loops may walk the blocks of a split format; else it is compressed by axes.
    """
    names = [access.tensor for access in form.reads]
    names += [name for term in form.terms for name in term.bare]
    used = {name: operands[name] for name in dict.fromkeys(names) if name in operands}
    dtypes = {name: x.dtype for name, x in used.items()}
    dtype, result = form_types(form, dtypes, extents.constants)
    wanted: dict[str, Operand] = {
        name: x.asformat(_by_coordinates(x.format))
        for name, x in used.items()
        if isinstance(x, Tensor)
        and x.format.split
        and not (blocks and _walkable(name, x, form, extents))
    }
    used |= wanted
    wanted |= _looked_up(form, used, dtype.name, extents)
    used |= wanted
    signatures = {}
    for name, operand in used.items():
        pads = extents.pads.get(name, ())
        padded = tuple(tuple(p) != (0, 0) for p in pads) or (False,) * operand.ndim
        seen = signature(operand, padded)
        signatures[name] = replace(seen, skips_padding=name in extents.skipped)
    return Line(form, used, extents, signatures, dtype, result, tuple(wanted))


def _looked_up(
    form: Form, used: Mapping[str, Operand], dtype: str, extents: Extents
) -> Iterator[tuple[str, Operand]]:
    """Operands that must be stored in another way to be looked up, and that way."""
    places = {gather.access.tensor for gather in _gathers(form)}
    for name in places:
        index = used[name]
        if index.dtype.kind not in "iu":
            raise KernelError(
                f"{name} names places, and holds {index.dtype}\n"
                f"Pass integers: {name}.astype('int64')."
            )
        if isinstance(index, Tensor):
            yield name, densify(index)
    tensors = {name: signature(x, ()) for name, x in used.items() if isinstance(x, Tensor)}
    for name in [name for name, of in tensors.items() if of.fill and name not in places]:
        if name not in extents.skipped and any(map(any, extents.pads.get(name, ()))):
            yield name, densify(used[name])  # which tells padding, 0, from what is absent
            del tensors[name]
    fills = {name: of.fill for name, of in tensors.items()}
    cut = any(name in extents.skipped for name in used)
    found = every_pass(
        form, lambda name: name in tensors and tensors[name].skips, fills, dtype, cut=cut
    )
    optional = dict.fromkeys(access.tensor for one in found for access in one.optional)
    for name in optional:
        operand = used[name]
        if name not in tensors or name in places:
            continue
        if isinstance(operand, Tensor) and not tensors[name].locatable:
            yield name, operand.asformat(_by_coordinates(operand.format))


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
    """A format in which every axis is compressed, in the order in which they are stored."""
    axes = dict.fromkeys(axis_of(axis) for rank in held.ranks for axis in rank.axes)
    return Format.of([((axis,), Compressed()) for axis in axes])
