"""Lines in which ranks that are summed side by side are one.

    O[m] = I[c,r,s]*F[m,c,r,s]     C places of R of S each:     O[m] = I[c]*F[m,c]

An array lies as it did; a tensor that is bound is stored with the axes flattened, once.  Loops
then follow its coordinates, and need not take them apart.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from math import prod

from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Compressed
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Array
from zeroskip.native.lines import Line
from zeroskip.native.rewritten import Axes, gone, gone_axes, rewritable, shrunk, without
from zeroskip.native.squeezing import relabelled


def flatten(line: Line, bound: Collection[str]) -> Line:
    """The line with the ranks as one that are summed side by side in every operand that has them;
    itself where there are none.

    bound : operands that stay over many calls, of which tensors may be stored anew.
    """
    if not rewritable(line):
        return line
    groups = [group for group in _groups(line.form) if _can_join(line, group, bound)]
    if not groups:
        return line
    ranks = frozenset(rank for group in groups for rank in group[1:])
    axes = gone_axes(line.form, ranks)
    extents = shrunk(line.extents, ranks, axes)
    for first, *others in groups:
        extents.ranks[first] *= prod(line.extents.ranks[rank] for rank in others)
    for name, held in axes.items():
        extents.shapes[name] = _folded(line.extents.shapes[name], held)
    return without(line, ranks, extents, _reshaped, flattened)


def _reshaped(array: Array, shape: tuple[int, ...]) -> Array:
    return array.reshape(shape)


def _folded(shape: tuple[int, ...], axes: Axes) -> tuple[int, ...]:
    """A shape with each of the axes folded into the one before."""
    found: list[int] = []
    for axis, extent in enumerate(shape):
        if axis in axes:
            found[-1] *= extent
        else:
            found.append(extent)
    return tuple(found)


# ---- which ranks ------------------------------------------------------------------------


def _groups(form: Form) -> list[tuple[str, ...]]:
    """Ranks that follow each other in every operand that has one of them, and in every sum."""
    behind = {}
    for access in form.reads:
        names = [single(part) for part in access.subscripts]
        for a, b in pairwise(names):
            if a is not None and b is not None and _follows(a, b, form):
                behind[a] = b
    found = []
    for first in behind.keys() - behind.values():
        group = [first]
        while group[-1] in behind:
            group.append(behind[group[-1]])
        found.append(tuple(group))
    return sorted(found)


def _follows(a: str, b: str, form: Form) -> bool:
    """Whether every access that has one of two ranks has both, b behind a; in sums alike."""
    if not any(a in term.ranks for term in form.terms):
        return False
    if any((a in term.ranks) != (b in term.ranks) for term in form.terms):
        return False
    for access in (form.target, *form.reads):
        held = [rank for part in access.subscripts for rank in variables(part)]
        if a not in held and b not in held:
            continue
        names = [single(part) for part in access.subscripts]
        if held.count(a) != 1 or held.count(b) != 1 or (a, b) not in pairwise(names):
            return False
    return True


def _can_join(line: Line, group: tuple[str, ...], bound: Collection[str]) -> bool:
    """Whether a bound tensor has the ranks, no other tensor does, and their axes are whole."""
    reads = [a for a in line.form.reads if group[0] in map(single, a.subscripts)]
    tensors = {a.tensor for a in reads if isinstance(line.used[a.tensor], Tensor)}
    if not tensors or not tensors <= {*bound}:
        return False
    for access in reads:
        operand, pads = line.used[access.tensor], line.extents.pads.get(access.tensor, ())
        if any(tuple(pad) != (0, 0) for pad in pads):
            return False
        if isinstance(operand, Tensor) and operand.format.split:
            return False
        if any(gone(a, group[1:]) != gone(access, group[1:]) for a in _same(line.form, access)):
            return False
        for part, length in zip(access.subscripts, operand.shape, strict=True):
            rank = single(part)
            if rank in group and length != line.extents.ranks[rank]:
                return False
    return True


def _same(form: Form, access: Access) -> list[Access]:
    return [other for other in form.reads if other.tensor == access.tensor]


# ---- tensors ----------------------------------------------------------------------------


def flattened(tensor: Tensor, axes: Axes) -> Tensor:
    """A tensor with each of the axes flattened behind the one before: its entries as they lie
    where a level does so already."""
    groups: list[list[int]] = []
    for axis in axes:
        if groups and groups[-1][-1] == axis - 1:
            groups[-1].append(axis)
        else:
            groups.append([axis - 1, axis])
    held = [rank.axes for rank in tensor.format.ranks]
    if not all(any(_within(group, one) for one in held) for group in groups):
        tensor = tensor.asformat(_behind(tensor.format, groups))
    return relabelled(tensor, axes, _folded(tensor.shape, axes))


def _within(group: list[int], axes: tuple[object, ...]) -> bool:
    starts = range(len(axes) - len(group) + 1)
    return any(list(axes[k : k + len(group)]) == group for k in starts)


def _behind(format: Format, groups: list[list[int]]) -> Format:
    """The format with each group of axes in one level, behind all others."""
    apart = {axis for group in groups for axis in group}
    left = [(tuple(a for a in r.axes if a not in apart), r.level) for r in format.ranks]
    kept = [(axes, level if level.full else Compressed()) for axes, level in left if axes]
    return Format.of([*kept, *((tuple(group), Compressed()) for group in groups)])
