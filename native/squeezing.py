"""Lines without their ranks of one place.

    Y[m,n] = W[m,k]*X[k,n]                   with one n:         Y[m] = W[m,k]*X[k]
    O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]   with one n, p, q:   O[m] = I[c,r,s]*F[m,c,r,s]

Such a rank is 0 wherever it stands.  An axis that is nothing else goes with it: an array lies as
it did, and so does the result; a tensor that is bound is stored without it, once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from zeroskip.einsum_spec.tree import Access, Var
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Compressed, LevelFormat
from zeroskip.formats.ranks import Axis
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Array
from zeroskip.native.lines import Line
from zeroskip.native.rewritten import (
    Axes,
    gone,
    gone_axes,
    left_of,
    others,
    rewritable,
    shrunk,
    without,
)


def squeeze(line: Line, bound: Collection[str]) -> Line:
    """The line without its ranks of one place; itself where it has none that can be left out.

    bound : operands that stay over many calls, of which tensors may be stored anew.
    """
    if 1 not in line.extents.ranks.values() or not rewritable(line):
        return line
    ranks = _left_out(line, bound)
    if not ranks:
        return line
    extents = shrunk(line.extents, ranks, gone_axes(line.form, ranks))
    return without(line, ranks, extents, _reshaped, without_axes)


def _reshaped(array: Array, shape: tuple[int, ...]) -> Array:
    return array.reshape(shape)


def _left_out(line: Line, bound: Collection[str]) -> frozenset[str]:
    """The ranks of one place that can go, each from every subscript that holds it."""
    ranks = {rank for rank, extent in line.extents.ranks.items() if extent == 1}
    accesses = (line.form.target, *line.form.reads)
    while ranks:
        stay: set[str] = set()
        for access in accesses:
            stay |= _staying(access, line, ranks, bound)
        if not stay:
            break
        ranks -= stay
    return frozenset(ranks)


def _staying(
    access: Access, line: Line, ranks: Collection[str], bound: Collection[str]
) -> set[str]:
    """Those of the ranks that an access cannot do without."""
    here = {rank for part in access.subscripts for rank in variables(part) if rank in ranks}
    going = gone(access, ranks)
    if access is not line.form.target and len(going) == len(access.subscripts):
        return here  # an operand of no axes is a number
    if any(gone(a, ranks) != going for a in line.form.reads if a.tensor == access.tensor):
        return here
    stay: set[str] = set()
    for axis, part in enumerate(access.subscripts):
        held = here.intersection(variables(part))
        if held and not _can_go(access, axis, held, line, bound):
            stay |= held
    return stay


def _can_go(
    access: Access, axis: int, ranks: Collection[str], line: Line, bound: Collection[str]
) -> bool:
    """Whether the subscript of an axis means the same without the ranks that it holds."""
    name, part = access.tensor, access.subscripts[axis]
    if any(not isinstance(atom, Var) for _, atom in part.terms):
        return False
    left = left_of(part, ranks)
    length, pads = line.extents.shapes[name][axis], line.extents.pads.get(name)
    padded = pads is not None and tuple(pads[axis]) != (0, 0)
    if not left.terms and not left.offset:
        operand = line.used.get(name)
        stays = isinstance(operand, Tensor) and (name not in bound or operand.format.split)
        return length == 1 and not padded and not stays
    rank = single(left)  # is taken for the length of its axis
    return rank is None or (length == line.extents.ranks[rank] and not padded)


# ---- tensors ----------------------------------------------------------------------------


def without_axes(tensor: Tensor, axes: Axes) -> Tensor:
    """A tensor without some of its axes, of one place each: its entries as they lie where every
    level of such axes alone is U; any other is flattened into a neighbour first."""
    tensor = tensor.asformat(_joined(tensor.format, axes))
    return relabelled(tensor, axes, tuple(others(tensor.shape, axes)))


def relabelled(tensor: Tensor, axes: Axes, shape: tuple[int, ...]) -> Tensor:
    """A tensor of this shape, of the same entries at the same coordinates of its levels: ``axes``
    go, each of one place or flattened behind one that stays."""
    number = {axis: k for k, axis in enumerate(others(tuple(range(tensor.ndim)), axes))}
    levels = [
        replace(level, axes=tuple(number[axis] for axis in level.axes if axis in number))
        for level in tensor.levels
    ]
    assert all(level.axes or (level.spec.full and level.extent == 1) for level in levels)
    kept = tuple(level for level in levels if level.axes)
    format = Format.of([(level.axes, level.spec) for level in kept])
    return Tensor(shape, format, kept, tensor.values, tensor.fill)


def _joined(format: Format, axes: Axes) -> Format:
    """The format with levels of such axes alone, other than U, in one with a neighbour."""
    found: list[tuple[tuple[Axis, ...], LevelFormat]] = []

    def lone(held: tuple[Axis, ...], level: LevelFormat) -> bool:
        return not level.full and set(held) <= set(axes)

    for rank in format.ranks:
        held, level = rank.axes, rank.level
        while found and (lone(held, level) or lone(*found[-1])):
            above, kind = found.pop()
            if kind.full or (lone(above, kind) and not (level.full or level.letter == "S")):
                kind = level
            held = (*above, *held)
            level = Compressed() if kind.letter in "CH" else kind  # of whatever width and groups
        found.append((held, level))
    return Format.of(found)
