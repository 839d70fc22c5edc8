"""Random pointwise expressions under reductions, in random formats; see `generator`.

    O[i] max= where((k < i), A[i,k], relu(B[k] - A[i,k]*2))

Functions are those that are exact on small multiples of 1/4, so that the judges agree to the bit.
"""

from __future__ import annotations

import numpy as np
from generator import FLOATS, INTEGERS, Case, random_array, random_format, store_filled, words

RANKS = ("i", "j", "k")
NODES = ("+", "-", "*", "*", "max", "min", "relu", "abs", "where", "bracket", "test")
OPERATORS = ("<", "<=", "==", "!=", ">=", ">")


class Writer:
    """Text of an expression, and the operands that it has named."""

    def __init__(
        self,
        rng: np.random.Generator,
        extents: dict[str, int],
        names: tuple[str, ...] = ("A", "B", "D"),
    ) -> None:
        self.rng, self.extents, self.names = rng, extents, names
        self.ranks: dict[str, tuple[str, ...]] = {}

    def pick(self, *kinds: str) -> str:
        return str(self.rng.choice(kinds))

    def access(self) -> str:
        rng = self.rng
        name = self.pick(*self.names)
        if name not in self.ranks:
            count = int(rng.integers(1, len(self.extents) + 1))
            self.ranks[name] = tuple(map(str, rng.permutation(list(self.extents))[:count]))
        return f"{name}[{','.join(self.ranks[name])}]"

    def place(self) -> str:
        rank = self.pick(*self.extents)
        return self.pick(rank, f"2*{rank}", f"{rank} + 1", f"{rank}//2", f"{rank} - 1")

    def bracket(self) -> str:
        left = self.pick(*self.extents)
        other = self.place() if self.rng.random() < 0.7 else str(self.rng.integers(0, 4))
        return f"({left} {self.pick(*OPERATORS)} {other})"

    def expression(self, depth: int) -> str:
        if depth == 0 or self.rng.random() < 0.2:
            leaf = self.pick("access", "access", "access", "number", "place", "bracket")
            if leaf == "access":
                return self.access()
            if leaf == "number":
                return str(self.rng.integers(0, 4))
            return self.pick(*self.extents) if leaf == "place" else self.bracket()
        a, b = self.expression(depth - 1), self.expression(depth - 1)
        match self.pick(
            "+", "-", "*", "*", "max", "min", "relu", "abs", "where", "bracket", "test"
        ):
            case "+" | "-" | "*" as op:
                return f"({a}) {op} ({b})"
            case "max" | "min" as name:
                return f"{name}({a}, {b})"
            case "relu" | "abs" as name:
                return f"{name}({a})"
            case "where":
                test = f"({a} {self.pick(*OPERATORS)} {self.access()})"
                return f"where({test}, {b}, {self.access()})"
            case "test":
                return f"({a} {self.pick(*OPERATORS)} {b})*({self.access()})"
            case _:
                return f"{self.bracket()}*({a})"

    def line(self, name: str, target: list[str], body: str) -> str:
        """An assignment of the body, its other ranks reduced."""
        left = f"{name}[{','.join(target)}]" if target else name
        kind = self.pick("sum", "max=", "min=", "+=", "|=", "&=")
        used = [rank for rank in RANKS if rank not in target and rank in words(body)]
        if kind != "sum":
            return f"{left} {kind} {body}"
        return f"{left} = sum[{','.join(used)}]({body})" if used else f"{left} = {body}"


def random_expression(rng: np.random.Generator, longest: int = 4) -> Case:
    """One line of pointwise expressions, with its operands."""
    extents = {
        rank: int(rng.integers(0 if rng.random() < 0.1 else 1, longest + 1)) for rank in RANKS
    }
    writer = Writer(rng, extents)
    body = writer.expression(int(rng.integers(1, 4)))
    target = [str(rank) for rank in rng.permutation(RANKS)[: int(rng.integers(0, 3))]]
    text = writer.line("O", target, body)
    dtype = str(rng.choice(("float32", "float64", "int32", "int64", *FLOATS, *INTEGERS)))
    dense, stored = {}, {}
    names = words(text)
    for name, ranks in writer.ranks.items():
        if name in names:
            shape = tuple(extents[rank] for rank in ranks)
            array = random_array(rng, shape, dtype, float(rng.choice([0.2, 0.5, 1.0])))
            format = random_format(rng, len(shape)) if rng.random() < 0.7 else ""
            dense[name] = stored[name] = array
            if format:
                dense[name], stored[name] = store_filled(rng, array, format)
    sizes = {rank: extent for rank, extent in extents.items() if rank in names}
    return Case(text, sizes, {}, {}, dense, stored)
