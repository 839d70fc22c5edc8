"""Walks over the tree: what a subscript or an expression holds."""

from __future__ import annotations

from collections.abc import Iterator

from zeroskip.einsum_spec.tree import Affine, Floor


def variables(subscript: Affine) -> Iterator[str]:
    """Index variables of a subscript, in order, floors included; may repeat."""
    for _, atom in subscript.terms:
        if isinstance(atom, Floor):
            yield from variables(atom.inner)
        else:
            yield atom.name
