"""Means that are polynomials in the densities."""

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
        parts = [array * prod([shares[n] for n in names]) for names, array in self.terms.items()]
        return np.asarray(sum(parts[1:], start=parts[0])) if parts else np.zeros(())


def is_static(line: object) -> bool:
    """Whether no density matters to a line; of none, too."""
    return line is None or (isinstance(line, Closed) and set(line.terms) <= {()})
