"""Means that are polynomials in the densities: one, and several that are evaluated together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Monomial = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """A mean as a polynomial in the densities: monomial -> coefficients."""

    terms: dict[Monomial, NDArray[Any]]

    def value(self, shares: Mapping[str, Any]) -> NDArray[Any]:
        """Its value at these densities, numbers or symbols."""
        parts = [array * prod(shares[n] for n in names) for names, array in self.terms.items()]
        return np.asarray(sum(parts[1:], start=parts[0])) if parts else np.zeros(())


@dataclass(frozen=True, slots=True)
class Bundle:
    """Polynomials of the same monomials, one behind the other.

    all_of : their coefficients in one row; parts : name, first, end and shape of each.
    """

    all_of: Closed
    parts: tuple[tuple[str, int, int, tuple[int, ...]], ...]

    def values(self, shares: Mapping[str, float]) -> dict[str, Reals]:
        found = np.asarray(self.all_of.value(shares), np.float64)
        return {name: found[first:end].reshape(shape) for name, first, end, shape in self.parts}


def bundles_of(lines: Mapping[str, object]) -> tuple[Bundle, ...]:
    """The polynomials among these lines, in as few bundles as there are sets of monomials."""
    alike: dict[tuple[Monomial, ...], list[tuple[str, Closed]]] = {}
    for name, line in lines.items():
        if isinstance(line, Closed) and line.terms:
            alike.setdefault(tuple(line.terms), []).append((name, line))
    found = []
    for monomials, members in alike.items():
        shapes = [np.shape(line.terms[monomials[0]]) for _, line in members]
        ends = np.cumsum([0, *map(prod, shapes)]).tolist()
        rows = {
            m: np.concatenate([np.reshape(line.terms[m], -1) for _, line in members], dtype=float)
            for m in monomials
        }
        names = [name for name, _ in members]
        parts = tuple(zip(names, ends[:-1], ends[1:], shapes, strict=True))
        found.append(Bundle(Closed(rows), parts))
    return tuple(found)


def is_static(line: object) -> bool:
    """Whether no density matters to a line; of none, too."""
    return line is None or (isinstance(line, Closed) and set(line.terms) <= {()})
