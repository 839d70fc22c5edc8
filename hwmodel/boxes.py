"""The places of a tile; accesses as text; axes that move together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zeroskip.einsum_spec.tree import Affine
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.hwmodel.nest import Loop


@dataclass(frozen=True, slots=True)
class Box:
    """The places of a tile.

    places : the variable of each axis; factors : masks of which of them a tile reaches; named :
    variables of the loops that these masks have as axes; plain : ranks that are axes by themselves.
    """

    places: tuple[str, ...]
    factors: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)
    plain: tuple[str, ...] = ()


def access(name: str, subscripts: Sequence[str]) -> str:
    return f"{name}[{','.join(subscripts)}]" if subscripts else name


def groups(subscripts: Sequence[Affine], loops: Sequence[Loop]) -> list[list[int]]:
    """Axes that share a variable or a loop, together; the others alone."""
    found: list[tuple[set[str], list[int]]] = []
    for axis, subscript in enumerate(subscripts):
        names, axes = set(variables(subscript)), [axis]
        names |= {rank for loop in loops if loop.of(names) for rank in loop.ranks}
        for group in [g for g in found if g[0] & names]:
            found.remove(group)
            names |= group[0]
            axes += group[1]
        found.append((names, sorted(axes)))
    return sorted(axes for _, axes in found)


def telling(subscripts: Sequence[Affine], axes: Sequence[int], loops: Sequence[Loop]) -> list[Loop]:
    """Of these loops those that tell the places of a tile along some axes."""
    ranks = {v for axis in axes for v in variables(subscripts[axis])}
    return [loop for loop in loops if loop.of(ranks)]


def alone(subscripts: Sequence[Affine], pads: Sequence[tuple[int, int]], rank: str) -> bool:
    """Whether a rank is an axis by itself, without padding, and in no other."""
    axes = [a for a, s in enumerate(subscripts) if rank in variables(s)]
    return len(axes) == 1 and single(subscripts[axes[0]]) == rank and not any(pads[axes[0]])


def plain_ranks(
    subscripts: Sequence[Affine], axes: Sequence[int], loops: Sequence[Loop]
) -> list[str]:
    """The rank of each of some axes, where these are ranks by themselves, and loops go over nothing
    else, so that their tiles have no place in common; else nothing."""
    names = [single(subscripts[axis]) for axis in axes]
    ranks = [rank for rank in names if rank is not None]
    told = {v for axis in axes for v in variables(subscripts[axis])}
    apart = len(set(ranks)) == len(axes) and all(loop.within(told) for loop in loops)
    return ranks if apart else []
