"""Which places of a result stored products reach, where nobody computes it."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from zeroskip.errors import ArchError
from zeroskip.formats.levels import Compressed, Uncompressed
from zeroskip.hwmodel.absorbing import FULL
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.at_points import AtPoints, listed
from zeroskip.hwmodel.evaluate import MOST_SCATTERED, Bits, Counted, Operand
from zeroskip.hwmodel.fibers import reached_by_row
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.lines import check_lined
from zeroskip.hwmodel.pairs import fibers_of_pair, is_pair, pair_of
from zeroskip.hwmodel.stored import result_format


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
    (term,) = layer.work
    by_row = is_pair(layer) and bound.order == ((0,), (1,)) and not term.within
    by_row = by_row and isinstance(bound.levels[1], Compressed | Uncompressed)
    listed_too = arch.overlap is not None and prod(shape) <= MOST_SCATTERED  # an epoch has some
    if by_row and not listed_too:
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
    at = AtPoints(layer, operands)
    factors = [at.stored(i) for i, operand in enumerate(term.operands) if operand.absorbs]
    factors += [at.inside(term.within)] if term.within else []
    text = f"reached{listed(at.subscripts(layer.target.subscripts))} |= {'*'.join(factors) or '1'}"
    shape = layer.extents.shapes[layer.target.tensor]
    return np.asarray(at.evaluated(text, [("reached", shape)])["reached"], np.bool_)
