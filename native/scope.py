"""Which names a part of a nest uses without defining them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from zeroskip.native.domains import Between, Level, Stored, Together
from zeroskip.native.integers import Name
from zeroskip.native.nest import Acc, Bind, Fetch, Fill, Find, Locate, Loop
from zeroskip.native.nest_tiles import (
    Bring,
    Columns,
    Cut,
    Lying,
    Share,
    Slide,
    Stage,
    Tiles,
    Unrolled,
)
from zeroskip.native.values import Elem


def free_names(body: tuple[object, ...], bound: set[str]) -> tuple[set[str], list[str]]:
    """Buffers that the statements touch, and integer names that they read but do not define."""
    arrays: set[str] = set()
    names: dict[str, None] = {}
    defined: set[str] = set(bound)

    def visit(node: object) -> None:
        if isinstance(node, Name):
            names.setdefault(node.name)
            return
        if isinstance(node, Loop | Bind | Fetch | Slide):
            defined.add(node.var)
        if isinstance(node, Stored | Locate | Find | Together):
            defined.add(node.pos)
        if isinstance(node, Together):
            defined.add(node.row)
            arrays.update((node.columns, node.coordinates, node.first))
        if isinstance(node, Tiles):
            defined.update((node.var, node.width, node.part))
        if isinstance(node, Share):
            defined.update((node.lo, node.hi, node.first, node.end, node.part))
        if isinstance(node, Acc):
            defined.add(node.member)
        if isinstance(node, Elem | Fill | Fetch | Between | Cut | Bring):
            arrays.add(node.array)
        if isinstance(node, Stage):
            arrays.update((node.target, node.source))
        if isinstance(node, Unrolled):
            arrays.update((node.code, node.starts, node.first, node.member, node.offset))
            arrays.update((node.packed, node.source, node.result))
            arrays.update({node.shift, node.masks} - {""})
        if isinstance(node, Lying):
            arrays.add(node.source)
        if isinstance(node, Columns):
            arrays.update((node.masks, node.first, node.packed))
            arrays.update((node.source, node.result))
        if isinstance(node, Level):
            arrays.update(node.arrays)
        if isinstance(node, tuple):
            for item in node:
                visit(item)
        elif is_dataclass(node):
            for f in fields(node):
                visit(getattr(node, f.name))

    visit(body)
    return arrays, [n for n in names if n not in defined]
