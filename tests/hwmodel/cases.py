"""Generated layers, each told twice: to zeroskip as text, to the judges in their own words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, permutations, product
from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st
from mapped_nest import Nest
from nest_parts import Access, Loop

from zeroskip.formats.tensor import Tensor

NETS = {
    "conv": "O[n,m,p,q] = I[n,c,{u}*p+{d}*r,{u}*q+s]*F[m,c,r,s]",
    "conv with bias": "O[n,m,p,q] = B[m] + I[n,c,{u}*p+r,q+s]*F[m,c,r,s]",
    "conv 1-D": "O[n,m,q] = I[n,c,{u}*q+{d}*s]*F[m,c,s]",
    "depthwise": "O[n,c,p,q] = I[n,c,p+r,{u}*q+s]*F[c,r,s]",
    "pointwise": "O[n,m,p,q] = I[n,c,p,q]*F[m,c]",
    "transposed": "O[n,m,{u}*p+r] += I[n,c,p]*F[m,c,r]",
    "fully connected": "O[n,m] = I[n,c,h,w]*F[m,c,h,w]",
    "matrix product": "O[m,n] = I[m,k]*F[k,n]",
    "matrix vector": "O[m] = F[m,k]*I[k]",
    "dot product": "O = I[k]*F[k]",
    "elementwise": "O[m,n] = I[m,n]*F[m,n]",
    "three operands": "O[i,j] = I[i,k,l]*F[k,j]*G[l,j]",
    "masked window": "O[m,p] = I[c,p+{d}*r]*F[m,c,r]*G[m,p]",
    "chain": "O[i,j] = I[i,k]*F[k,l]*G[l,j]",
    "two products": "O[m,n] = I[m,k]*F[k,n] + G[m,l]*H[l,n]",
    "gram": "O[i,j] = I[i,k]*I[j,k]",
    "upsampling": "O[m,p] = I[c,p//2]*F[m,c]",
    "sum pooling": "O[c,p] += I[c,{u}*p+r]",
    "diagonal": "O[m] = I[k,k]*F[m,k]",
    "one channel": "O[m,p] = I[0,p+r]*F[m,1,r]",
    "four operands": "O[i,j] = I[i,k]*F[k,j]*G[i]*H[j]",
    "quotient": "O[m,n] = I[m,n]/F[m]",
    "relu inside": "O[m,n] = sum[k](relu(I[m,k] - G[m])*F[k,n])",
    "tanh inside": "O[m,n] = sum[k](F[k,n]*tanh(I[m,k]))",
    "chosen": "O[m,n] = sum[k](F[k,n]*where(I[m,k] > 0, I[m,k], G[m]))",
    "causal scores": "O[m,n] = F[n,k]*I[m,k]*(n <= m)",
    "causal values": "O[m,k] = I[m,n]*F[n,k]*(n <= m)",
    "causal sums": "O[m] = sum[k](exp(I[m,k])*(k <= m))",
    "band": "O[m] = F[m,k]*I[k]*(k <= m + {u})*(m < k + {d})",
    "window within": "O[m,p] = I[c,p+{d}*r]*F[m,c,r]*(r <= p)",
    "nothing of the diagonal": "O[m,n] = I[m,k]*F[k,n]*(m != n)",
    "bias within": "O[m,n] = B[m,n]*(n <= m) + I[m,k]*F[k,n]",
    "one product within": "O[m,n] = I[m,k]*F[k,n]*(k < n) + G[m,l]*H[l,n]",
    "by place": "O[m,n] = I[m,k]*F[k,n]*k",
    "place inside": "O[m] = sum[k](F[m,k]*where(k < m, I[k], 0))",
}
FIBERS = {
    "three along one": "O[m,n] = I[m,k]*F[n,k]*G[k]",
    "three, two windows": "O[m,q] = I[c,{u}*q+s]*F[m,c,s]*G[c,q+{d}*s]",
    "band of three": "O[m] = F[m,k]*I[k]*G[k]*(k <= m + {u})*(m < k + {d})",
}
"""Layers of which three fibers meet."""
GATHERED = {
    "embedding": "O[n,d] = F[X[n],d]",
    "embedding, scaled": "O[n,d] = F[X[n],d]*I[n]",
    "rows by name": "O[m,n] = I[X[m],k]*F[k,n]",
    "bag": "O[m,d] = F[X[m,k],d]*I[m,k]",
    "window of a name": "O[n,d] = I[{u}*X[n]+r,d]*F[r]",
    "name of a name": "O[n] = I[X[Y[n]],k]*F[k]",
    "two names": "O[n,d] = I[X[n],d]*F[Y[n],d]",
    "half a name": "O[n,d] = I[n]*F[X[n]//2,d]",
    "bias by name": "O[m,n] = B[X[m]] + I[m,k]*F[k,n]",
    "names within": "O[m,n] = F[X[n],k]*I[m,k]*(n <= m)",
    "one name, two tensors": "O[n,d] = I[X[n],d]*F[d,X[n]]",
}
"""Layers that read places from index tensors, X and Y; these stand first, inner ones before others.
They are not among those that any test draws: of what goes by a part of the features they are
refused."""
SCATTERED = {
    "sums by name": "O[X[n],d] += I[n,d]*F[d]",
    "added by name": "O[X[n],d] += I[n,d]",
    "product by name": "O[X[m],n] += I[m,k]*F[k,n]",
    "window by name": "O[{u}*X[n]+r,d] += I[n,d]*F[r]",
    "both by name": "O[X[n],d] += F[Y[n],d]*I[n]",
    "to and from": "O[X[n],d] += F[X[n],d]*I[n]",
    "part by name": "O[m,X[k]] += I[m,k]*F[k]",
}
"""Results at places that an index tensor names."""
"""The operands of a product stand in the order in which the text has those that are multiplied,
then those in functions and quotients."""
PLAIN = {
    "G": {"relu inside", "chosen"},
    "F": {"quotient"},
    "I": {"relu inside", "chosen", "causal sums"},
}
"""Operands of which a zero leaves the product as it is, and where."""
WITHIN = {
    "causal scores",
    "causal values",
    "causal sums",
    "band",
    "window within",
    "nothing of the diagonal",
    "one product within",
    "names within",
}
"""Layers whose products go over a part of their points."""
PADDED = {"conv", "conv with bias", "conv 1-D", "depthwise", "three, two windows"}
MAX_POINTS = 2000


@dataclass
class Case:
    """A layer, its operands, and the same for the simulator."""

    name: str
    text: str
    sizes: dict[str, int]
    pads: dict[str, dict[int, tuple[int, int]]]
    arrays: dict[str, Any]
    terms: list[list[tuple[str, list[str]]]]
    target: list[str]
    stored: dict[str, set[tuple[int, ...]]]
    within: list[list[str]]
    counters: list[int]
    tables: dict[str, dict[int | tuple[int, ...], int]]
    shape: tuple[int, ...] = ()

    @property
    def indices(self) -> set[str]:
        """Operands that name places of others."""
        return set(self.tables)

    @property
    def factors(self) -> list[str]:
        """Operands that are multiplied."""
        return [name for name in self.arrays if name not in self.tables]

    @property
    def gathered(self) -> set[str]:
        """Operands that are read where another says."""
        every = (one for term in self.terms for one in term)
        return {name for name, subscripts in every if any("[" in text for text in subscripts)}

    def nest(
        self,
        loops: list[Loop],
        sync: int,
        stays: dict[str, list[tuple[str, int]]],
        instances: dict[str, tuple[str, ...]],
        dense: dict[str, set[str]],
        levels: dict[str, dict[str, Any]],
    ) -> Nest:
        """The same for the simulator.  dense : tensor -> levels where it is uncompressed."""
        terms = [[self.access(*one, dense.get(one[0], set())) for one in t] for t in self.terms]
        refilled = {name for name, level in levels.items() if level.get("halo") == "whole"}
        singly = {name for name, level in levels.items() if not level.get("multicast", True)}
        return Nest(
            self.sizes,
            self.target,
            terms,
            loops,
            sync,
            stays,
            instances,
            refilled=refilled,
            singly=singly,
            within=self.within,
            counters=self.counters,
            tables=self.tables,
        )

    @property
    def known(self) -> dict[str, Any]:
        """Extents of ranks, and the shape of a result that data tells the places of."""
        return self.sizes | ({"O": self.shape} if self.shape else {})

    def access(self, tensor: str, subscripts: list[str], dense: set[str]) -> Access:
        shape = self.arrays[tensor].shape
        low = tuple(self.pads.get(tensor, {}).get(axis, (0, 0))[0] for axis in range(len(shape)))
        array = np.asarray(self.arrays[tensor])
        values = {c: float(v) for c, v in np.ndenumerate(array) if v}
        absorbs = self.name not in PLAIN.get(tensor, ()) and tensor not in self.tables
        about = tensor, subscripts, shape, low, values, self.stored[tensor], dense, absorbs
        return Access(*about, self.tables, tensor in self.tables, self.width(tensor))

    def width(self, tensor: str) -> int:
        """Bits of a value; of a place, to tell those of the longest axis that it names apart."""
        if tensor not in self.tables:
            return 16
        every = [one for term in self.terms for one in term] + [("O", self.target)]
        named = [
            self.shape[axis] if name == "O" else self.arrays[name].shape[axis]
            for name, subscripts in every
            for axis, text in enumerate(subscripts)
            if re.match(rf"[^A-Z]*{tensor}\[", text)
        ]
        return max([1, *((n - 1).bit_length() for n in named if n)])

    def subscripts(self, tensor: str) -> list[list[str]]:
        """Those of every access of an operand, or of the result."""
        accesses = [("O", self.target), *(one for term in self.terms for one in term)]
        return [subscripts for name, subscripts in accesses if name == tensor]

    def together(self) -> list[tuple[str, ...]]:
        """Ranks that may be split together: every term goes over all of them, or none."""
        names = [set(re.findall(r"[a-z]\b", str([term, self.target]))) for term in self.terms]
        found = [p for n in (1, 2, 3) for p in permutations(self.sizes, n)]
        return [p for p in found if all(set(p) <= own or not set(p) & own for own in names)]

    def leaders(self, ranks: tuple[str, ...]) -> dict[str, Access]:
        """Operands with each of the ranks as an axis of its own; of each the first such access."""
        found: dict[str, Access] = {}
        for tensor, subscripts in (one for term in self.terms for one in term):
            if all(subscripts.count(rank) == 1 for rank in ranks):
                found.setdefault(tensor, self.access(tensor, subscripts, set()))
        return found


def subscripts_of(access: str) -> tuple[str, list[str]]:
    name, _, rest = access.partition("[")
    return name, _apart(rest[:-1], ",") if rest else []


def accesses_of(term: str) -> list[str]:
    """Every access of a term once, after those that name its places."""
    inner, outer = [], []
    for start in re.finditer(r"[A-Z]\[", term):
        depth = 0
        for end in range(start.end() - 1, len(term)):
            depth += (term[end] == "[") - (term[end] == "]")
            if not depth:
                break
        around = term[: start.start()].count("[") - term[: start.start()].count("]")
        (inner if around else outer).append((-around, term[start.start() : end + 1]))
    return list(dict.fromkeys(text for _, text in [*sorted(inner, key=lambda x: x[0]), *outer]))


@st.composite
def cases(
    draw: st.DrawFn, names: tuple[str, ...] = tuple(NETS), empty: tuple[str, ...] = ()
) -> Case:
    """empty : ranks of which one has no places, if any are named; else one layer in ten has some
    such rank."""
    name = draw(st.sampled_from(names))
    text = (NETS | FIBERS | GATHERED | SCATTERED)[name].format(
        u=draw(st.integers(1, 3)), d=draw(st.integers(1, 2))
    )
    left, right = re.split(r" \+?= ", text)
    target = subscripts_of(left)[1]
    named = accesses_of(left)[:-1]
    read = [_indices_first(named, accesses_of(term)) for term in _apart(right, "+")]
    terms = [[subscripts_of(access) for access in term] for term in read]
    ranks = list(dict.fromkeys(re.findall(r"[a-z]\b", " ".join([left, *chain(*read)]))))
    sizes = {rank: draw(st.integers(1, 3 if rank in "nrsl" else 8)) for rank in ranks}
    if empty or draw(st.integers(0, 9)) == 9:
        sizes[draw(st.sampled_from(empty or ranks))] = 0
    while prod(sizes.values()) > MAX_POINTS:
        rank = max(sizes, key=lambda r: sizes[r])
        sizes[rank] -= 1
    if name == "gram":
        sizes["j"] = sizes["i"]
    pads: dict[str, dict[int, tuple[int, int]]] = {}
    arrays: dict[str, Any] = {}
    stored: dict[str, set[tuple[int, ...]]] = {}
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    tables: dict[str, dict[int | tuple[int, ...], int]] = {}
    for tensor, subscripts in {t: s for term in terms for t, s in term}.items():
        shape = []
        for axis, subscript in enumerate(subscripts):
            if "[" in subscript:  # some places beyond those that are named
                shape.append(_reach(subscript, sizes, tables) + draw(st.integers(0, 2)))
                continue
            reach = max(eval(subscript, {}, {r: n - 1 for r, n in sizes.items()}) + 1, 0)
            low = high = 0
            if name in PADDED and "+" in subscript:
                low = draw(st.integers(0, max(min(2, reach - 1), 0)))
                high = draw(st.integers(0, max(min(2, reach - 1 - low), 0)))
                pads.setdefault(tensor, {})[axis] = (low, high)
            shape.append(reach - low - high)
        if tensor in "XY" and name in GATHERED | SCATTERED:
            array = rng.integers(0, draw(st.integers(1, 6)), shape)
            tables[tensor] = {c if len(c) > 1 else c[0]: int(v) for c, v in np.ndenumerate(array)}
            arrays[tensor] = array
            stored[tensor] = {tuple(map(int, c)) for c in np.argwhere(array)}
            continue
        density = draw(st.sampled_from([0.0, 0.05, 0.2, 0.5, 1.0]))
        array = (rng.random(shape) < density) * rng.integers(1, 9, shape)
        if array.size and array.ndim and draw(st.booleans()):
            array[rng.integers(0, array.shape[0])] = 0  # a dead row
        arrays[tensor] = array.astype(np.float32)
        stored[tensor] = {tuple(map(int, c)) for c in np.argwhere(array)}
        if array.size and array.ndim and draw(st.booleans()):  # some zeros are stored by name
            extra = {tuple(map(int, rng.integers(0, array.shape))) for _ in range(3)}
            stored[tensor] |= extra
            coords = np.array(sorted(stored[tensor])).T
            arrays[tensor] = Tensor.from_coords(
                list(coords), arrays[tensor][tuple(coords)], array.shape, "COO"
            )
    every = _apart(right, "+")
    within = [re.findall(r"\*\((\w [^()]*[<>!=]=? [^()]*)\)", term) for term in every]
    counters = [int(term.endswith("*k")) for term in every]
    shape = ()
    if name in SCATTERED:
        more = [draw(st.integers(0, 2)) if "[" in one else 0 for one in target]
        shape = tuple(_reach(one, sizes, tables) + n for one, n in zip(target, more, strict=True))
    told = name, text, sizes, pads, arrays, terms, target, stored, within, counters, tables
    return Case(*told, shape)


def _indices_first(named: list[str], accesses: list[str]) -> list[str]:
    """Accesses of a term, those behind the places of the result among what names places."""
    inner = [one for one in accesses if one[0] in "XY"]
    return list(dict.fromkeys([*inner, *named, *accesses]))


def _reach(
    subscript: str, sizes: dict[str, int], tables: dict[str, dict[int | tuple[int, ...], int]]
) -> int:
    """Places that a subscript needs whose index tensors hold this."""
    code = compile(subscript, "", "eval")
    ranks = [name for name in code.co_names if name in sizes]
    points = product(*(range(sizes[rank]) for rank in ranks))
    return 1 + max(
        (eval(code, dict(tables), dict(zip(ranks, at, strict=True))) for at in points), default=-1
    )


def _apart(text: str, mark: str) -> list[str]:
    """Additive terms, or subscripts; a mark inside brackets is that of a subscript or function."""
    terms, depth = [""], 0
    for character in text:
        depth += (character in "[(") - (character in "])")
        if character == mark and depth == 0:
            terms.append("")
        else:
            terms[-1] += character
    return terms
