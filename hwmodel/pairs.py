"""A product of two matrices as a pair of fibers: one leads, and each of its entries names one of
the other.

    Z[m,n] = A[m,k] * B[k,n]        group m, along k, into n: entry (m, k) of A names row k of B

What units and caches are charged for; other layers are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zeroskip.einsum_spec.tree import Compare
from zeroskip.einsum_spec.walk import single
from zeroskip.errors import ArchError
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.fibers import Fibers
from zeroskip.hwmodel.layer import Layer


@dataclass(frozen=True, slots=True)
class Pair:
    """Names of the two operands and of the ranks; the fibers of both by ``group`` and ``rank``.

    within : brackets outside which there is no point.
    """

    leader: str
    follower: str
    group: str
    rank: str
    into: str
    within: tuple[Compare, ...] = ()


def pair_of(layer: Layer, why: str, rank: str | None = None) -> Pair:
    """The pair that a layer is.

    why : what asks for it, in an error.
    rank : the reduction rank that it has to be along, if any.

    Raises
    ------
    ArchError
        For a layer that is no product of two matrices.
    """
    target = [single(s) for s in layer.target.subscripts]
    simple = len(layer.work) == 1 and not layer.additions and len(target) == 2
    operands = layer.work[0].operands if simple else ()
    for leader, follower in (operands, operands[::-1]) if len(operands) == 2 else ():
        one, other = ([single(s) for s in o.subscripts] for o in (leader, follower))
        plain = not any(any(pad) for o in operands for pad in o.pads)
        plain &= all(o.absorbs for o in operands)
        fits = len(one) == len(other) == 2 and None not in (*one, *other, *target)
        if fits and plain and [one[0], other[1]] == target and one[1] == other[0] not in target:
            group, along, into = map(str, (*one, other[1]))
            if rank in (None, along):
                within = layer.work[0].within
                return Pair(leader.tensor, follower.tensor, group, along, into, within)
    along = "" if rank is None else f" along {rank}"
    raise ArchError(
        f"{why}: expected a product of two matrices{along} such as Z[m,n] = A[m,k]*B[k,n], by "
        f"rows, found {layer.form_text}\nLeave {why} out of the architecture."
    )


def is_pair(layer: Layer, rank: str | None = None) -> bool:
    """Whether a layer is a product of two matrices by rows, along a rank if one is named."""
    try:
        pair_of(layer, "", rank)
    except ArchError:
        return False
    return True


def fibers_of_pair(pair: Pair, operands: Mapping[str, Operand]) -> tuple[Fibers, Fibers]:
    """What leader and follower store, by their first axes."""
    return operands[pair.leader].fibers, operands[pair.follower].fibers
