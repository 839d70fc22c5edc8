"""Products scattered into banks of accumulators: the cycles in which they wait for each other.

A product of an entry of the input and one of the weights goes to one place of the result, kept in
bank (place mod banks) in the order of the result's axes; see c/zs_banks.c.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.tree import Var
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.errors import ArchError
from zeroskip.hwmodel.brackets import inside_of, ranks_of
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.layer import Operand as Access
from zeroskip.native import routines

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Entries:
    """Stored entries of an operand, in the order of storage.

    ranks : the place of each along every rank that an axis is.
    windows : of each axis that is a window, the padded places.
    keys : what names the cell that each belongs to: place of a rank, or PE along one.
    """

    access: Access
    ranks: Mapping[str, Whole]
    windows: tuple[tuple[int, Whole], ...]
    keys: Mapping[str, Whole]


def cells_of(
    access: Access,
    operand: Operand,
    layer: Layer,
    blocks: Mapping[str, int],
    tiles: Mapping[str, int],
) -> Entries:
    """Entries with their cells.

    blocks : rank -> places that share a cell; tiles : rank -> PEs along it.
    """
    coords = [np.asarray(at, np.int64) for at in np.nonzero(operand.stored)]
    ranks: dict[str, Whole] = {}
    windows, keys = [], {}
    for axis, subscript in enumerate(access.subscripts):
        rank, places = single(subscript), coords[axis]
        if rank is None:
            windows.append((axis, places + access.pads[axis][0]))
        else:
            ranks[rank] = places
            keys[rank] = places // blocks.get(rank, 1)
        for name in variables(subscript):
            if name in tiles and (rank is not None or name in layer.target.variables):
                keys[f"{name} across"] = tiles[name] * places // operand.shape[axis]
    return Entries(access, ranks, tuple(windows), keys)


def bank_cycles(
    layer: Layer,
    entries: Sequence[Entries],
    keys: Sequence[str],
    sizes: Sequence[int],
    widths: Sequence[int],
    banks: int,
) -> Whole:
    """Cycles of every pair of cells, an axis for each key.

    entries, widths : of the two operands.

    Raises
    ------
    ArchError
        For a result that has a window, for brackets that compare other ranks than its own, for
        windows in both operands or in more than two axes, and for one that is no ``U*p + r`` of a
        rank of the result and one of the other operand.
    """
    if len(entries[0].windows) < len(entries[1].windows):
        return bank_cycles(layer, entries[::-1], keys, sizes, widths[::-1], banks)
    one, other = entries
    strides = _strides(layer)
    windows = [_window(layer, one, other, axis, places) for axis, places in one.windows]
    if other.windows or len(windows) > 2:
        raise _refused(layer)
    while len(windows) < 2:
        none = np.zeros(len(_any(one)), np.int64)
        windows.append(("", 1, none, np.zeros(len(_any(other)), np.int64)))
    base = [np.zeros(len(_any(e)), np.int64) for e in entries]
    for rank, stride in strides.items():
        holder = next((i for i, e in enumerate(entries) if rank in e.ranks), None)
        if holder is not None:
            base[holder] = base[holder] + entries[holder].ranks[rank] * stride
        elif rank not in [w[0] for w in windows]:
            raise _refused(layer)
    inside = _inside(layer)
    places = [[w[2] for w in windows], [w[3] for w in windows]]
    buffers: list[Whole] = []
    number = np.indices(sizes).reshape(len(sizes), -1) if sizes else np.zeros((0, 1), np.int64)
    cells = []
    for held, at, start in zip(entries, places, base, strict=True):
        own = [i for i, key in enumerate(keys) if key in held.keys]
        shape = [sizes[i] for i in own]
        cell = np.zeros(len(start), np.int64)
        if own:
            cell = np.ravel_multi_index([held.keys[keys[i]] for i in own], shape)
        order = np.argsort(cell, kind="stable")
        positions = np.zeros(prod(shape) + 1, np.int64)
        np.cumsum(np.bincount(cell, minlength=prod(shape)), out=positions[1:])
        buffers += [positions, at[0][order], at[1][order], start[order]]
        of_pair = np.zeros(number.shape[1], np.int64)
        if own:
            of_pair = np.ravel_multi_index(list(number[own]), shape).astype(np.int64)
        cells.append(of_pair)
    pairs = number.shape[1]
    cycles, landed = np.zeros(pairs, np.int64), np.zeros(pairs, np.int64)
    buffers += [*cells, cycles, landed, np.zeros(banks + prod(widths), np.int64), inside]
    given = [np.ascontiguousarray(b, np.int64) for b in buffers]
    dims = [pairs, *widths, banks, windows[0][1], windows[1][1]]
    for name, *_ in windows:
        dims.append(layer.extents.ranks[name] if name else 1)
    dims += [strides.get(name, 0) for name, *_ in windows]
    dims.append(int(bool(layer.work[0].within)))
    if not routines.run("zeroskip.hwmodel", "zs_banks.c", "zs_bank_cycles", given, dims):
        _twin(given, dims)
    return given[10].reshape(sizes)


def _any(entries: Entries) -> Whole:
    """Something that has a place for each entry."""
    found = [*entries.ranks.values(), *(places for _, places in entries.windows)]
    return found[0] if found else np.zeros(1, np.int64)


def _strides(layer: Layer) -> dict[str, int]:
    """Places from one of a rank to the next, in the order of the result's axes."""
    names = [single(s) for s in layer.target.subscripts]
    if None in names or len(set(names)) < len(names):
        raise _refused(layer)
    found, stride = {}, 1
    for name in reversed(names):
        assert name is not None
        found[name] = stride
        stride *= layer.extents.ranks[name]
    return found


def _inside(layer: Layer) -> Whole:
    """Whether each place of the result is within the brackets; nothing where there are none."""
    within, names = layer.work[0].within, list(map(single, layer.target.subscripts))
    compared = ranks_of(within)
    if not within:
        return np.zeros(1, np.int64)
    if not set(compared) <= set(names):
        raise ArchError(
            "lanes.banks: which products are outside "
            f"{'*'.join(map(deparse, within))} goes by more than their place in the result\n"
            "Leave banks out of lanes, or charge the line without the bracket."
        )
    box = inside_of(within, layer.extents.ranks)
    extents = {str(name): layer.extents.ranks[str(name)] for name in names}
    order = [compared.index(str(name)) for name in names if name in compared]
    shape = [n if name in compared else 1 for name, n in extents.items()]
    places = box.transpose(order).reshape(shape)
    return np.broadcast_to(places, tuple(extents.values())).astype(np.int64).ravel()


def _window(
    layer: Layer, one: Entries, other: Entries, axis: int, places: Whole
) -> tuple[str, int, Whole, Whole]:
    """Rank of the result, its step, places of the input, and what a weight takes off them."""
    subscript = one.access.subscripts[axis]
    factors = {
        atom.name: monomial.value for monomial, atom in subscript.terms if isinstance(atom, Var)
    }
    rows = [name for name in factors if name in layer.target.variables]
    taps = [name for name in factors if name in other.ranks]
    whole = len(factors) == len(subscript.terms) == len(rows) + len(taps)
    if not whole or len(rows) != 1 or factors[rows[0]] < 1:
        raise _refused(layer)
    offset = sum(monomial.value for monomial in subscript.offset)
    taken = sum((factors[name] * other.ranks[name] for name in taps), np.zeros(1, np.int64))
    size = len(_any(other))
    return rows[0], factors[rows[0]], places - offset, np.broadcast_to(taken, (size,)).copy()


def _refused(layer: Layer) -> ArchError:
    return ArchError(
        "lanes.banks: expected a convolution of at most two windows such as "
        f"O[n,m,p,q] = I[n,c,2*p+r,2*q+s]*F[m,c,r,s], found {layer.form_text}\n"
        "Leave banks out of lanes."
    )


def _twin(buffers: Sequence[Whole], dims: Sequence[int]) -> None:
    """zs_bank_cycles in Python."""
    pos_a, y, x, base_a, pos_b, r, s, base_b, cell_a, cell_b, cycles, landed, _, inside = buffers
    _, width_a, width_b, banks, step_p, step_q, rows, columns, row, column, masked = dims
    for pair, (i, j) in enumerate(zip(cell_a, cell_b, strict=True)):
        for a0 in range(pos_a[i], pos_a[i + 1], width_a):
            for b0 in range(pos_b[j], pos_b[j + 1], width_b):
                a = np.arange(a0, min(a0 + width_a, pos_a[i + 1]))[:, None]
                b = np.arange(b0, min(b0 + width_b, pos_b[j + 1]))[None]
                p, q = y[a] - r[b], x[a] - s[b]
                on = (p >= 0) & (q >= 0) & (p % step_p == 0) & (q % step_q == 0)
                on &= (p < step_p * rows) & (q < step_q * columns)
                place = base_a[a] + base_b[b] + p // step_p * row + q // step_q * column
                if masked:
                    on[on] &= inside[place[on]] > 0
                cycles[pair] += max(1, np.bincount(place[on] % banks).max(initial=0))
                landed[pair] += on.sum()
