"""Which places of a result stored products reach, where nobody computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.subscripts import rename
from zeroskip.einsum_spec.tree import Affine
from zeroskip.errors import ArchError
from zeroskip.hwmodel.absorbing import FULL
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.evaluate import MOST_SCATTERED, Bits, Counted, Operand, sized
from zeroskip.hwmodel.fibers import reached_by_row
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.lines import check_lined
from zeroskip.hwmodel.pairs import fibers_of_pair, is_pair, pair_of
from zeroskip.hwmodel.plan import Mask
from zeroskip.hwmodel.stored import result_format
from zeroskip.native.engine import evaluate


def structural_result(layer: Layer, arch: Arch, operands: Mapping[str, Operand]) -> Operand:
    """The entries of the result: what stored products reach.

    Raises
    ------
    ArchError
        For a result of more than `MOST_SCATTERED` places, but of two matrices by rows.
    """
    target = layer.target.tensor
    bound = result_format(arch.format(target, "O", arch.off_chip.name), layer)
    check_lined(bound, target)
    shape = layer.extents.shapes[target]
    if is_pair(layer) and bound.order == ((0,), (1,)):
        return Counted(shape, reached_by_row(*fibers_of_pair(pair_of(layer, "lines"), operands)))
    if layer.form.post in FULL or not layer.additive:
        return Operand(shape, None)
    if prod(shape) > MOST_SCATTERED:
        raise ArchError(
            f"lines: {target} has {prod(shape):,} places, and which of them stored products reach "
            f"is found of at most {MOST_SCATTERED:,}\nCharge a part of the layer, or give "
            f"{target} (role O) the format U at {arch.off_chip.name}."
        )
    return Operand(shape, _reached(layer, operands))


def _reached(layer: Layer, operands: Mapping[str, Operand]) -> Bits:
    """Places of the result that a product of stored entries goes to."""
    (term,) = layer.work
    names = {rank: f"v{i}" for i, rank in enumerate(layer.ranks)}

    def subscripts(axes: Sequence[Affine]) -> str:
        return ",".join(deparse(rename(s, names.__getitem__, str)) for s in axes)

    masks, factors = {}, []
    for i, operand in enumerate(term.operands):
        if operand.absorbs:
            stored = Mask("st", operand.tensor, operand.lengths, operand.pads)
            masks[f"st{i}"] = operands[operand.tensor].mask(stored)
            factors.append(f"st{i}[{subscripts(operand.subscripts)}]")
    text = f"reached[{subscripts(layer.target.subscripts)}] |= {'*'.join(factors) or '1'}"
    sizes = tuple((names[rank], layer.extent(rank)) for rank in layer.ranks)
    shape = layer.extents.shapes[layer.target.tensor]
    spec = sized(text, sizes, (("reached", shape),))
    return np.asarray(evaluate(spec, masks)["reached"], np.bool_)
