"""The places of a tile; accesses as text; axes that move together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zeroskip.einsum_spec.tree import Affine
from zeroskip.einsum_spec.walk import variables
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
