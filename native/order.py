"""``order=``: the order of loops over ranks that a user fixes, and what it asks of operands.

Every order is right, for an operand is looked up where its ranks are bound by others.  One that
stores its axes in another order would be looked up at every coordinate, also of what it does not
store: it is stored anew in the order of the loops first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.spec import Spec
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import single
from zeroskip.errors import KernelError
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Compressed, Uncompressed
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Operand
from zeroskip.native.operand import Signature
from zeroskip.native.passes import every_visit, seen

Order = tuple[str, ...]
"""Every rank of a line, outermost first; empty where the engine is to choose."""

Orders = str | Mapping[str, str] | None


def orders_by_result(spec: Spec, order: Orders) -> dict[str, Order]:
    """``order=`` as result -> ranks, outermost first: one alone is that of the last line.

    Raises KernelError for a name that is no result, and where ranks are missing, repeated or
    none of the line's.
    """
    if order is None or (isinstance(order, str) and not order):
        return {}
    given = order if isinstance(order, Mapping) else {spec.results[-1]: order}
    forms = {form.target.tensor: form for form in spec.forms}
    for name in given:
        if name not in forms:
            raise KernelError(
                f"order names {name!r}, which no line computes\nResults: {', '.join(spec.results)}."
            )
    return {name: _read(forms[name], text) for name, text in given.items()}


def _read(form: Form, text: object) -> Order:
    if not isinstance(text, str):
        raise KernelError(f'order: expected a text such as "i,j,k", found {text!r}')
    ranks = tuple(part.strip() for part in text.split(","))
    wrong = [
        *(f"{rank} is no rank of it" for rank in dict.fromkeys(ranks) if rank not in form.ranks),
        *(f"it repeats {rank}" for rank in dict.fromkeys(ranks) if ranks.count(rank) > 1),
        *(f"it misses {rank}" for rank in form.ranks if rank not in ranks),
    ]
    if wrong:
        raise KernelError(
            f'order="{text}": {", ".join(wrong)}\n  {form_text(form)}\n'
            f'Name every rank once, the outermost first: order="{",".join(form.ranks)}".'
        )
    return ranks


def discordant(
    form: Form,
    used: Mapping[str, Operand],
    signatures: Mapping[str, Signature],
    dtype: str,
    order: Order,
) -> Iterator[tuple[str, Format, str]]:
    """Operands that loops would have to search in this order, the format in which they are followed
    instead, and why.

    Left as they are: those that are not followed but looked up at any rate, those with subscripts
    that are no ranks of their own (solved wherever loops come to them), and those that are read
    twice in orders that contradict each other.
    """
    place = {rank: k for k, rank in enumerate(order)}
    wanted: dict[str, set[tuple[int, ...]]] = {}
    why: dict[str, str] = {}
    for visits in every_visit(form, seen(signatures), dtype):
        for one in visits.passes:
            for access in one.follow:
                of = signatures[access.tensor]
                if not of.skips:
                    continue
                ranks = plain_ranks(access, of)
                if ranks is None:
                    wanted.setdefault(access.tensor, set()).add(())
                    continue
                wanted.setdefault(access.tensor, set()).add(in_turn(ranks, place))
                late = passed(ranks, of, place)
                if late:
                    why[access.tensor] = f'order="{",".join(order)}" has {late[0]} before {late[1]}'
    for name, reason in why.items():
        if len(wanted[name]) == 1:
            (axes,) = wanted[name]
            yield name, followed(axes, used[name]), reason


def followed(axes: tuple[int, ...], operand: Operand) -> Format:
    """The format in which loops follow an operand in an order of its axes: the first is an address
    where it has no more places than there are entries, so that it is found without a search."""
    kept = operand.stored if isinstance(operand, Tensor) else operand.size
    first = Uncompressed() if operand.shape[axes[0]] <= kept else Compressed()
    return Format.of([((axis,), Compressed() if turn else first) for turn, axis in enumerate(axes)])


def in_turn(ranks: list[str], place: Mapping[str, int]) -> tuple[int, ...]:
    """The axes of an operand in the order in which loops come to their ranks."""
    return tuple(sorted(range(len(ranks)), key=lambda axis: place[ranks[axis]]))


def plain_ranks(access: Access, of: Signature) -> list[str] | None:
    """The rank of each axis; None where some subscript is more than a rank of its own."""
    ranks = [single(part) for part in access.subscripts]
    if None in ranks or len(set(ranks)) < len(ranks) or any(of.padded):
        return None
    return [rank for rank in ranks if rank is not None]


def passed(ranks: list[str], of: Signature, place: Mapping[str, int]) -> tuple[str, str] | None:
    """Two ranks that an operand stores in another order than the loops', the loops' outer one
    first; None where loops come to all its coordinates as they are stored.

    place : of each rank among the loops.  An uncompressed level is an address: those above one
    another may be walked in any order.
    """
    above: str | None = None
    for level in of.levels:
        held = [ranks[axis] for axis in level.axes]
        if level.kind.full:
            above = max(filter(None, (above, *held)), key=place.__getitem__)
            continue
        for rank in held:
            if above is not None and place[rank] < place[above]:
                return rank, above
            above = rank
    return None
