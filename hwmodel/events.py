"""That a tile of a drawn tensor holds something: an event, which is no mean of its places.

    someA[m//4,k//4] |= nzA[m,k]     P = 1 - C(N - t, z) / C(N, z)

for a tile of t among N places of which z are drawn, each as likely as any other (hypergeometric).
In the polynomials of a geometry an event stands by a name of its own beside the densities:
``A|16`` is that any of 16 places of A holds something.  Tiles of equally many places are as likely.
Where non-zeros lie in groups (G:H, a profile, tiles that were measured), tiles of equal chances are
one event, ``A#0`` the first of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1
from typing import Any

import numpy as np

FEW = 64
"""Places up to which a chance has a factor for each; of more, factorials are gamma functions, and
in a formula Stirling's."""


@dataclass(frozen=True, slots=True)
class Event:
    """Whether any of so many places of a tensor holds something.

    size, live : places of the tensor, and those of them that may hold something.
    places : of these, in the tile.
    """

    tensor: str
    size: int
    live: int
    places: int

    @property
    def name(self) -> str:
        return f"{self.tensor}|{self.places}"

    def chance(self, share: Any) -> Any:
        """Its probability where this share of all places is not zero: a number, an array of them,
        or a symbol.

        Examples
        --------
        Two of four places hold something; both given ones are empty in 1 of 6 cases.

        >>> round(Event("A", 4, 4, 2).chance(0.5), 6)
        0.833333
        """
        nonzeros = share * self.size
        if isinstance(share, float | int | np.ndarray):
            found = 1 - self._missed(np.asarray(nonzeros, np.float64))
            return found if isinstance(share, np.ndarray) else float(found)
        return 1 - self._formula(nonzeros)

    def _formula(self, nonzeros: Any) -> Any:
        """The same as an expression: each place after the other is empty."""
        import sympy

        if self.places <= FEW:
            return sympy.prod(1 - nonzeros / (self.live - place) for place in range(self.places))
        rest = self.live - self.places
        logs = [_stirling(sympy.Integer(n)) for n in (rest, self.live)]
        left = _stirling(sympy.Max(0, rest - nonzeros)) - _stirling(self.live - nonzeros)
        return sympy.exp(float(logs[0] - logs[1]) - left)

    def _missed(self, nonzeros: Any) -> Any:
        """That all of the tile is empty: C(N - t, z) / C(N, z), also between whole numbers; of few
        places the product, which rounds less."""
        if self.places <= FEW:
            each = [1 - nonzeros / (self.live - place) for place in range(self.places)]
            return np.prod(np.maximum(each, 0.0), axis=0)
        from scipy.special import gammaln

        left = self.live - self.places - np.minimum(nonzeros, self.live - self.places)
        found = gammaln(self.live - self.places + 1) - gammaln(left + 1)
        found -= gammaln(self.live + 1) - gammaln(self.live - nonzeros + 1)
        return np.where(nonzeros > self.live - self.places, 0.0, np.exp(np.minimum(found, 0.0)))


@dataclass(frozen=True, slots=True)
class Settled:
    """The same of a tensor whose non-zeros lie in groups, as many in each as its density says.

    missed : the logarithm of the chance that its places are empty; number : among such events.
    """

    tensor: str
    number: int
    missed: float

    @property
    def name(self) -> str:
        return f"{self.tensor}#{self.number}"

    def chance(self, share: Any) -> Any:
        """Its probability, whatever is asked of the density."""
        del share
        return -expm1(self.missed)


def _stirling(n: Any) -> Any:
    """The logarithm of n!, but for what cancels in a ratio of as many of as large a sum; within
    0.001."""
    import sympy

    x = n + 1
    return (n + sympy.Rational(1, 2)) * sympy.log(x) + 1 / (12 * x) - 1 / (360 * x**3)
