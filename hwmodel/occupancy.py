"""Numbers of places by the stored entries of a leader: a prefix scan, as accounting Einsums.

    entriesA[m] += stA[m,k]                        of each m
    aboveA[m] += entriesA[x]*(x < m)               of all m before
    entriesA_2[m,k] += stA[m,k]
    besideA[m,k] += entriesA_2[m,x1]*(x1 < k)      of this m before k
    storedA += entriesA[m]
    numberA[m,k] = min(aboveA[m] + besideA[m,k], max(storedA - 1, 0))

What is behind the last entry is in the tile of that one: it would be a tile without any.  The
lines are what is printed; the numbers come of one running total over all places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.walk import single
from zeroskip.errors import ArchError, TensorError
from zeroskip.formats.density_models import Blocks
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.boxes import access
from zeroskip.hwmodel.evaluate import MOST_SCATTERED, Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.layer import Operand as Access
from zeroskip.hwmodel.nest import Loop, Numbering
from zeroskip.hwmodel.plan import Mask
from zeroskip.hwmodel.splits import Split, check_splits, contexts, flattened, items_of, places_of
from zeroskip.hwmodel.writer import Writer


def numberings_of(
    splits: Mapping[str, Split], layer: Layer, arch: Arch, operands: Mapping[str, Operand]
) -> dict[str, Numbering]:
    """By key: of the splits that go by entries, or flatten several ranks.

    Raises
    ------
    ArchError
        For a leader that is no operand, is stored without metadata in every level, or lacks a
        rank as an axis of its own; for an architecture that does not go by such tiles; and for
        what `check_splits` refuses.
    TensorError
        For a leader that is drawn and not uniform, and for more places than are numbered.
    """
    check_splits(splits, layer)
    found = {}
    for key, (split, items) in items_of(layer.ranks, splits).items():
        if not split.numbers_places:
            continue
        _check_counted(split, items, layer, arch)
        if split.leader is None:
            found[key] = flattened(items, layer)
            continue
        leader = _leader(split, items, layer)
        _check_stored(split, layer, arch, leader)
        operand = operands[split.leader]
        axes = _axes(items, leader)
        if isinstance(operand, Expected):
            numbers = _even(split, items, operand, _mask(leader), *axes)
        else:
            numbers = numbers_of(operand.mask(_mask(leader)), *axes, items)
        found[key] = Numbering(split.leader, numbers)
    return found


def numbers_of(
    held: NDArray[np.bool_] | Tensor,
    axes: Sequence[int],
    beside: Sequence[int],
    items: Sequence[Loop] = (),
) -> NDArray[np.int64]:
    """Entries before each place of ``axes``, in this order, whatever is held along ``beside``.

    items : of each axis the part that is counted by, anew in each block around it; none: all.
    """
    if isinstance(held, Tensor):
        coordinates, _ = held.coords()
        shape = [held.shape[axis] for axis in axes]
        flat = np.ravel_multi_index([coordinates[axis] for axis in axes], shape)
        entries = np.bincount(flat, minlength=prod(shape)).reshape(shape)
    else:
        entries = _entries(held, axes, beside)
    before, total = _before(entries, items)
    return np.minimum(before, np.maximum(total - 1, 0))


def _entries(
    held: NDArray[np.bool_], axes: Sequence[int], beside: Sequence[int]
) -> NDArray[np.int64]:
    """How many entries each place of ``axes`` has along the axes ``beside``; refuses chances, of
    which a whole number would leave nothing."""
    if held.dtype != np.bool_:
        raise TypeError(f"entries: expected a mask of what is stored, bool, found {held.dtype}")
    turned = held.transpose([*axes, *beside])
    return np.asarray(turned.sum(axis=tuple(range(len(axes), held.ndim)), dtype=np.int64))


def _before(
    entries: NDArray[np.int64], items: Sequence[Loop]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At each place: entries before it in the block around it, and all that this block has."""
    if not any(item.spans or item.block > 1 for item in items):
        through = np.cumsum(entries.reshape(-1), dtype=np.int64).reshape(entries.shape)
        return through - entries, np.full_like(entries, entries.sum())
    if not entries.size:
        return entries, entries
    places = [np.arange(extent) for extent in entries.shape]
    blocks = [place - _remainder(x, place) for x, place in zip(items, places, strict=True)]
    around = _cells([np.unique(block, return_inverse=True)[1] for block in blocks])
    inside = _cells([item.index(place) for item, place in zip(items, places, strict=True)])
    count = int(inside.max()) + 1
    table = np.bincount((around * count + inside).ravel(), entries.ravel().astype(np.float64))
    table = np.pad(table, (0, -len(table) % count)).astype(np.int64).reshape(-1, count)
    through = np.cumsum(table, axis=1)
    return (through - table)[around, inside], through[:, -1][around]


def _remainder(item: Loop, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places counted from where the block around them begins."""
    return places if not item.spans else replace(item, block=1).index(places)


def _cells(axes: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """A number for each combination of what stands along the axes, the last innermost."""
    found: NDArray[np.int64] = np.zeros((), np.int64)
    for axis in axes:
        found = np.add.outer(found * (int(axis.max()) + 1), axis)
    return found


def _even(
    split: Split,
    items: Sequence[Loop],
    operand: Expected,
    mask: Mask,
    axes: Sequence[int],
    beside: Sequence[int],
) -> NDArray[np.int64]:
    """The same of a drawn leader whose entries lie evenly: as many before each place as on average.

    Raises
    ------
    TensorError
        For a leader whose places are not as likely as each other, or are drawn in groups.
    """
    model = operand.density.model
    if not (isinstance(model, Blocks) and model.counts.size == 1 and model.weights is None):
        raise TensorError(
            f"split of {split.key}: {split} goes by entries of {split.leader}, which is "
            f"{operand.density!r}: of a leader that is drawn, only a uniform one has tiles that "
            "are known on average\nDraw an array, density.sample(rng), and charge that."
        )
    held = operand.mask(mask)
    assert isinstance(held, np.ndarray)
    earlier, total = _before(_entries(held, axes, beside), items)
    before = np.floor(earlier * operand.share + 1e-9).astype(np.int64)
    last = np.maximum(np.rint(operand.share * total).astype(np.int64) - 1, 0)
    return np.asarray(np.minimum(before, last))


def numbered(w: Writer) -> tuple[str, dict[str, NDArray[np.int64]], dict[str, str]]:
    """The lines that number places, of every split that goes by numbers, what they give, and whose
    entries they count."""
    given = {}
    leaders = {}
    cut = items_of(w.layer.ranks, w.schedule.mapping.split)
    for loop in w.schedule.loops:
        if loop.numbering is None or loop.numbered in w.numbers:
            continue
        split, items = cut[loop.numbered]
        if split.leader is None:
            w.comment(f"{split.key} flattened")
            w.numbers[split.key] = _row(w, split, items)
        else:
            w.comment(f"{split.key} by the stored entries of {split.leader}: those before it")
            w.numbers[split.key] = _scan(w, split, items)
            leaders[w.numbers[split.key]] = split.leader
        given[w.numbers[split.key]] = loop.numbering.numbers
    text = "\n".join(w.lines)
    w.lines.clear()
    return text, given, leaders


def _row(w: Writer, split: Split, items: Sequence[Loop]) -> str:
    """Write the line of a split that flattens: places in a row, the last rank innermost."""
    counts = [places_of(item, w.layer.extent(item.told_by[0])) for item in items]
    parts = [f"{prod(counts[n + 1 :])}*({w.at(item)})" for n, item in enumerate(items)]
    if not any(item.spans or item.block > 1 for item in items):
        parts = [f"{prod(counts[n + 1 :])}*{w.at(item)}" for n, item in enumerate(items)]
    every = [w.ranks[item.told_by[0]] for item in items]
    return w.line(f"place{''.join(every).upper()}", every, "=", [" + ".join(parts)])


def _scan(w: Writer, split: Split, items: Sequence[Loop]) -> str:
    """Write the lines of one split; return the name of their result."""
    leader = _leader(split, items, w.layer)
    name = leader.tensor
    mask = access(w.mask("st", leader), w.places(leader))
    places = [w.ranks[item.told_by[0]] for item in items]
    around = [w.at(part) for item in items for part in contexts(item)]
    every = [w.at(item) for item in items]
    blocks = [w.fresh(["b"]) for _ in around]
    named = [
        place if part == place else w.fresh([place + "0"])
        for place, part in zip(places, every, strict=True)
    ]
    for item, name_of in zip(items, named, strict=True):
        w.fixed[name_of] = places_of(item, w.layer.extent(item.told_by[0]))
    total, parts = "", []
    for depth, rank in enumerate(named):
        own, at = [*blocks, *named[: depth + 1]], [*around, *every[: depth + 1]]
        entries = w.line(f"entries{name}", at, "+=", [mask])
        if not total:
            total = w.line(f"stored{name}", blocks, "+=", [access(entries, own)])
        other = w.fresh(["x"])
        earlier = access(entries, [*blocks, *named[:depth], other])
        before = w.line(
            f"{'beside' if depth else 'above'}{name}", own, "+=", [earlier, f"({other} < {rank})"]
        )
        parts.append(access(before, at))
    last = f"max({access(total, around)} - 1, 0)"
    return w.line(f"number{name}", places, "=", [f"min({' + '.join(parts)}, {last})"])


def _leader(split: Split, items: Sequence[Loop], layer: Layer) -> Access:
    """The first access of the leader that has every rank of the split as an axis of its own."""
    ranks = [item.told_by[0] for item in items]
    if split.leader not in layer.tensors:
        names = ", ".join(layer.tensors)
        raise ArchError(
            f"split of {split.key}: {split} counts the entries of {split.leader}, which is no "
            f"operand; operands: {names}"
        )
    terms = (*layer.work, *layer.additions)
    accesses = [o for term in terms for o in term.operands if o.tensor == split.leader]
    for one in accesses:
        axes = [single(subscript) for subscript in one.subscripts]
        if all(axes.count(rank) == 1 for rank in ranks):
            return one
    axes = [single(subscript) for subscript in accesses[0].subscripts]
    lacking = next((r for r in ranks if axes.count(r) != 1), ranks[0])
    raise ArchError(
        f"split of {split.key}: {split} needs {lacking} as an axis of {split.leader}, which has "
        f"axes that go by {', '.join(axis or 'several ranks' for axis in axes) or 'nothing'}\n"
        f"Split ranks that {split.leader} has, or by coordinates."
    )


def _check_counted(split: Split, items: Sequence[Loop], layer: Layer, arch: Arch) -> None:
    """Refuse what does not go by numbers of places, and more places than are numbered."""
    where = f"split of {split.key}: {split}"
    parts = {
        "lanes": arch.lanes is not None,
        "lines": arch.off_chip.lines is not None,
        "a cache": any(level.cache is not None for level in arch.levels),
    }
    for name, there in parts.items():
        if there:
            raise ArchError(
                f"{where}: {arch.name} has {name}, which go by coordinates of single ranks\n"
                f"Split single ranks by coordinates, or leave {name} out."
            )
    places = prod(layer.extent(item.told_by[0]) for item in items)
    if places > MOST_SCATTERED:
        raise TensorError(
            f"{where}: at most {MOST_SCATTERED:,} places are numbered, and {split.key} has "
            f"{places:,}\nSplit fewer ranks together, or single ones by coordinates."
        )


def _check_stored(split: Split, layer: Layer, arch: Arch, leader: Access) -> None:
    """Tiles by entries are found in metadata: some level must hold them."""
    role = layer.roles[leader.tensor]
    levels = [level.name for level in arch.levels]
    formats = {arch.format(leader.tensor, role, level) for level in levels}
    if formats <= {"U", "dense"}:
        raise ArchError(
            f"split of {split.key}: {split} goes by the stored entries of {leader.tensor}, which "
            f"is uncompressed in {', '.join(levels)}: every place is stored\nGive "
            f"{leader.tensor} (role {role}) the format C or B, or split {split.key} by coordinates."
        )


def _mask(leader: Access) -> Mask:
    return Mask("st", leader.tensor, leader.lengths, leader.pads)


def _axes(items: Sequence[Loop], leader: Access) -> tuple[list[int], list[int]]:
    """Axes of the leader that the ranks of the split are, in their order; its others."""
    named = [single(subscript) for subscript in leader.subscripts]
    axes = [named.index(item.told_by[0]) for item in items]
    return axes, [axis for axis in range(len(named)) if axis not in axes]
