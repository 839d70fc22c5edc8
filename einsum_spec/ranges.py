"""Do all reads and writes lie inside their tensors, and is the space small enough?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.padding import Pads
from zeroskip.einsum_spec.tree import Access, Affine, Monomial, Var
from zeroskip.einsum_spec.walk import bounds, free, gathers
from zeroskip.errors import EinsumError

MAX_EXTENT = 2**40
MAX_POINTS = 2**62


def check_space(form: Form, ranks: Mapping[str, int], text: str | None = None) -> None:
    """Refuse a rank above 2**40, or a term of more than 2**62 points."""
    for term in form.terms:
        names = dict.fromkeys((*free(form.target), *term.ranks, *form.reduced))
        large = [n for n in names if ranks[n] > MAX_EXTENT]
        if large:
            message = f"rank {large[0]} has extent {ranks[large[0]]}; at most 2**40 are taken"
        elif prod(ranks[n] for n in names) > MAX_POINTS:
            sizes = ", ".join(f"{n}={ranks[n]}" for n in names)
            message = f"an iteration space of more than 2**62 points: {sizes}"
        else:
            continue
        span = form.target.span
        hint = "Take smaller extents."
        raise EinsumError(message, text=text, spans=[span] if span else [], hint=hint)


def check_read(
    access: Access,
    shape: Sequence[int],
    pads: Pads,
    ranks: Mapping[str, int],
    values: Mapping[str, int],
    text: str | None = None,
) -> None:
    """Refuse a read outside the padded tensor; an empty rank reads nothing."""
    if _empty(access, ranks):
        return
    name = access.tensor
    for axis, part in enumerate(access.subscripts):
        if any(True for _ in gathers(part)):
            continue  # checked where the place is read
        low, high = bounds(part, ranks, values)
        lo, hi = pads[name][axis]
        end = shape[axis] + lo + hi
        if low >= 0 and (high == end - 1 or (high < end and not _flattens(part))):
            continue
        if low < 0:
            hint = "Subscripts start at 0, the first padded place: write p+r and pad, not p+r-1."
        elif _flattens(part):
            hint = f"It counts blocks and places in a block, which must fill the axis: {high + 1}."
        else:
            missing = high - (shape[axis] + lo + hi - 1)
            hint = f'Pad it: pad={{"{name}": {{{axis}: ({lo}, {hi + missing})}}}}.'
        padded = f", padded by {lo} and {hi}" if lo or hi else ""
        raise EinsumError(
            f"{deparse(part)} reads places {low} to {high} of axis {axis} of {name}, "
            f"which has {shape[axis]}{padded}",
            text=text,
            spans=[part.span] if part.span else [],
            hint=hint,
        )


def _flattens(part: Affine) -> bool:
    """Whether a subscript counts blocks and places in a block, as ``C*g+c`` does, where C is the
    extent of c; unlike a window's, its tail means something."""
    single = {
        atom.name.upper()
        for coefficient, atom in part.terms
        if isinstance(atom, Var) and coefficient == Monomial(1)
    }
    return any(single & set(coefficient.names) for coefficient, _ in part.terms)


def block_extent(
    part: Affine,
    limit: int,
    rank: str,
    ranks: Mapping[str, int],
    values: Mapping[str, int],
) -> int | None:
    """Extent of ``rank``, the place in a block as c is in ``C*g+c``, with which ``part`` comes
    nearest to ``limit``; None where it counts no blocks of it.

    ranks, values : of the other index variables and named constants.
    """
    if not _flattens(part) or not all(isinstance(atom, Var) for _, atom in part.terms):
        return None
    tops = [
        bounds(part, {**ranks, rank: extent}, {**values, rank.upper(): extent})[1]
        for extent in (1, 2, 3)
    ]
    step = tops[1] - tops[0]
    if step <= 0 or tops[2] - tops[1] != step:
        return None  # its square, say
    return (limit - tops[0]) // step + 1


def check_write(
    target: Access,
    shape: Sequence[int],
    ranks: Mapping[str, int],
    values: Mapping[str, int],
    text: str | None = None,
) -> None:
    """Refuse a write outside the result; an empty rank writes nothing."""
    if _empty(target, ranks):
        return
    for axis, part in enumerate(target.subscripts):
        if any(True for _ in gathers(part)):
            continue  # checked where the place is read
        low, high = bounds(part, ranks, values)
        if low < 0 or high >= shape[axis]:
            found = f"which has {shape[axis]}"
            hint = "Every place that is written must lie in the result."
        elif high >= MAX_EXTENT:
            found, hint = "which takes at most 2**40", "Take smaller extents."
        else:
            continue
        raise EinsumError(
            f"{deparse(part)} writes places {low} to {high} of axis {axis} of {target.tensor}, "
            f"{found}",
            text=text,
            spans=[part.span] if part.span else [],
            hint=hint,
        )


def _empty(access: Access, ranks: Mapping[str, int]) -> bool:
    return any(ranks[name] == 0 for name in free(access))
