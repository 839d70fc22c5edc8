"""Stand-ins for operands of which only a shape, a format or nothing is known.

A kernel depends on levels and types, hardly on extents; so a layer can be explained before
there is data for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from zeroskip.computing import Layer
from zeroskip.einsum_spec.padding import read_accesses
from zeroskip.einsum_spec.spec import Spec
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import bounds, single
from zeroskip.errors import EinsumError
from zeroskip.formats.convert import tensor
from zeroskip.formats.density import Density
from zeroskip.formats.format import Format
from zeroskip.given import sample, sample_dtype
from zeroskip.native.arguments import Operand, resolve, shapes

EXTENTS = (1024, 256, 64, 32, 16, 8, 4, 2, 1)
MAX_ELEMENTS = 2**20
"""An unknown extent is the first of these with which no operand passes the limit."""


def complete(
    of: Layer, given: Mapping[str, object]
) -> tuple[Spec, dict[str, Operand], tuple[str, ...]]:
    """Every operand as something that a kernel can be chosen for.

    given : by name; a tuple of integers is a shape, a `Density` is drawn (the first point of
        a sweep), a `Format` and an operand left out have unknown extents.

    Returns
    -------
    spec, operands, names of the operands whose extents were guessed
        The spec has sizes for the ranks that no operand fixes, where some were guessed.
    """
    known: dict[str, Operand] = {}
    drawn: dict[str, Density] = {}
    formats: dict[str, Format] = {}
    for name in of.operands:
        match given.get(name):
            case None:
                formats[name] = Format("dense")
            case Format() as wanted:
                formats[name] = wanted
            case Density() as density:
                drawn[name] = next(iter(density))
            case tuple() as shape if all(isinstance(n, int) for n in shape):
                known[name] = np.zeros(shape, np.float32)
            case other:
                known[name] = resolve(name, other)
    dtype = sample_dtype(known)
    for name, density in drawn.items():
        known[name] = tensor(sample(name, density, of, 0, dtype))
    if not formats:
        return of.spec, known, ()
    spec, found = _guess(of.spec, shapes(known))
    for name, wanted in formats.items():
        ones = np.ones(found[name], dtype)
        known[name] = ones if str(wanted) == "dense" else tensor(ones, wanted)
    return spec, known, tuple(formats)


def _guess(
    spec: Spec, given: Mapping[str, tuple[int, ...]]
) -> tuple[Spec, dict[str, tuple[int, ...]]]:
    """A shape for every operand; the spec has sizes for ranks that they leave open.

    Raises
    ------
    EinsumError
        Where no extent will do, as the given shapes contradict each other.
    """
    reads = read_accesses(spec.forms)
    fixed = {rank: spec.sizes[key] for rank in spec.ranks for key in spec.sizes if _is(rank, key)}
    for name, shape in given.items():
        for access in reads.get(name, []):
            for axis, part in enumerate(access.subscripts[: len(shape)]):
                rank = single(part)
                if rank is not None:
                    fixed.setdefault(rank, shape[axis] + sum(spec.pads[name][axis]))
    refused = None
    for extent in EXTENTS:
        ranks = {rank: fixed.get(rank, extent) for rank in spec.ranks}
        found = dict.fromkeys(spec.operands, ()) | dict(given)
        for name in spec.operands:
            if name in reads and name not in given:
                found[name] = _shape(spec, name, reads[name], ranks)
        if any(prod(shape) > MAX_ELEMENTS for shape in found.values()):
            continue
        for sizes in (spec.sizes, ranks):
            sized = replace(spec, sizes=sizes, _solved={})
            try:
                sized.extents(found)
                return sized, found
            except EinsumError as error:
                refused = refused or error
    assert refused is not None
    raise refused


def _is(rank: str, key: str) -> bool:
    """Whether a key of ``sizes=`` names the rank, by itself or by its extent."""
    return key in (rank, rank.upper())


def _shape(
    spec: Spec, name: str, accesses: list[Access], ranks: Mapping[str, int]
) -> tuple[int, ...]:
    """Places that the accesses reach on each axis, padding taken off."""
    values = {rank.upper(): n for rank, n in ranks.items()}
    values.update({key: int(n) for key, n in spec.consts.items()})
    shape = []
    for axis, (lo, hi) in enumerate(spec.pads[name]):
        try:
            last = max(bounds(a.subscripts[axis], ranks, values)[1] for a in accesses)
        except KeyError as missing:
            raise EinsumError(
                f"constant {missing.args[0]} has no value",
                text=spec.text,
                hint=f'Give it: consts={{"{missing.args[0]}": 2}}.',
            ) from None
        shape.append(max(last + 1 - lo - hi, 1))
    return tuple(shape)
