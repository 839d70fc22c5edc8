"""The state of one run of a loop nest in Python, and what its integers and values are there.

It reads the same struct of buffers, dims and parameters as the C.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.native.functions import FUNCTIONS, SEVERAL
from zeroskip.native.integers import Cond, Const, Expr, Name, Pick
from zeroskip.native.nest import Kernel
from zeroskip.native.values import (
    Absent,
    Choose,
    Elem,
    Func,
    Held,
    Number,
    Parameter,
    Prod,
    Ratio,
    Select,
    Test,
    Value,
    Whole,
)

Array = NDArray[Any]


class Machine:
    """The state of one run: buffers, integers, accumulators, and the work done."""

    def __init__(
        self,
        kernel: Kernel,
        buffers: list[Array],
        dims: list[int],
        parameters: list[float],
    ) -> None:
        self.arrays: dict[str, Array] = {
            b.name: a for b, a in zip(kernel.buffers, buffers, strict=True)
        }
        self.ints: dict[str, int] = dict(zip(kernel.dims, dims, strict=True))
        names = [name for name, _ in kernel.parameters]
        self.parameters = dict(zip(names, parameters, strict=True))
        self.scalar: type[Any] = np.dtype(kernel.dtype).type
        self.lanes = kernel.vector_bytes // np.dtype(kernel.dtype).itemsize
        self.lane = 0
        self.held: dict[tuple[str, int], Any] = {}
        self.work = 0
        self.touched: list[int] = []
        self.kept = 0
        self.part, self.parts = 0, 1

    def share(self, lo: int, hi: int, around: bool) -> tuple[range, int, int]:
        """The indices of [lo, hi) that this part visits, and which part of how many it is inside:
        as ``zs_cut`` and, where a shared loop is inside, ``zs_divide``."""
        part, parts, n = self.part, self.parts, max(hi - lo, 0)
        if n >= parts or not n or not around:
            cut = range(lo + n * part // parts, lo + n * (part + 1) // parts)
            return cut, *((0, 1) if around else (part, parts))
        at = part * n // parts
        together = [k for k in range(parts) if k * n // parts == at]
        return range(lo + at, lo + at + 1), together.index(part), len(together)

    def share_by(self, positions: str, lo: int, hi: int, part: int, parts: int) -> range:
        """The indices of [lo, hi) that a part visits, cut by entries: as ``zs_cut_by``."""
        if hi <= lo:
            return range(lo, lo)
        before = np.asarray(self.arrays[positions][lo : hi + 1], np.int64) + np.arange(lo, hi + 1)
        total = int(before[-1] - before[0])
        ends = [int(before[0]) + total * k // parts for k in (part, part + 1)]
        first, end = np.searchsorted(before, ends)
        return range(lo + int(first), lo + int(end))

    # ---- integers and values --------------------------------------------------------------

    def integer(self, expr: Expr) -> int:
        if isinstance(expr, Const):
            return expr.value
        if isinstance(expr, Name):
            return self.ints[expr.name]
        if isinstance(expr, Pick):
            return self.integer(expr.then if all(map(self.true, expr.conditions)) else expr.other)
        values = [self.integer(a) for a in expr.args]
        return _INTEGER[expr.op](values)

    def true(self, cond: Cond) -> bool:
        return _COMPARE[cond.op](self.integer(cond.left), self.integer(cond.right))

    def value(self, node: Value) -> Any:
        if isinstance(node, Elem):
            if self.beyond(node):
                return self.scalar(0)
            return self.scalar(self.arrays[node.array][self.address(node)])
        if isinstance(node, Held):
            return self.held[self.accumulator(node)]
        if isinstance(node, Number):
            return self.number(node.value)
        if isinstance(node, Parameter):
            return self.number(self.parameters[node.name])
        if isinstance(node, Whole):
            return self.number(self.integer(node.expr))
        if isinstance(node, Ratio):
            return self.scalar(np.true_divide(self.value(node.top), self.value(node.bottom)))
        if isinstance(node, Func):
            return self.function(node)
        if isinstance(node, Test):
            return self.scalar(self.compare(node))
        if isinstance(node, Choose):
            return self.value(node.yes if self.value(node.test) != 0 else node.no)
        if isinstance(node, Absent):
            here = self.integer(node.position) >= 0
            return self.value(node.value if here else node.otherwise)
        if isinstance(node, Select):
            stored = self.value(node.test) != self.scalar(node.fill)
            return self.value(node.value) if stored else self.scalar(node.otherwise)
        values = [self.value(a) for a in node.args]
        total = values[0]
        for v in values[1:]:
            total = total * v if isinstance(node, Prod) else total + v
        return total

    def beyond(self, elem: Elem) -> bool:
        """Whether the lane that is run is none of those that are there."""
        return elem.lanes is not None and self.lane >= self.integer(elem.lanes)

    def accumulator(self, node: Held) -> tuple[str, int]:
        """Name and number of an accumulator."""
        return node.name, 0 if node.member is None else self.integer(node.member)

    def number(self, x: float) -> Any:
        """A number in the arithmetic: integers wrap around, as in C."""
        try:
            return self.scalar(x)
        except OverflowError:
            return np.array(int(x) % 2**64, np.uint64).astype(self.scalar)[()]

    def function(self, node: Func) -> Any:
        args = [self.value(arg) for arg in node.args]
        if node.name in SEVERAL:
            total = args[0]
            for arg in args[1:]:
                total = self.scalar(SEVERAL[node.name].python(total, arg))
            return total
        return self.scalar(FUNCTIONS[node.name].python(args[0]))

    def compare(self, node: Test) -> bool:
        """Both sides in their own type."""
        before, values = self.scalar, []
        own = node.sides or (node.dtype, node.dtype)
        for side, dtype in zip((node.left, node.right), own, strict=True):
            self.scalar = np.dtype(dtype).type
            values.append(int(self.value(side)) if node.sides else self.value(side))
        self.scalar = before
        return bool(_COMPARE[node.op](*values))

    def address(self, elem: Elem) -> int:
        """An address inside its buffer; anything else is a fault of the compiler."""
        at = self.integer(elem.index)
        if not 0 <= at < len(self.arrays[elem.array]):
            raise IndexError(f"{elem.array}[{at}] of {len(self.arrays[elem.array])}")
        return at


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


_INTEGER: dict[str, Callable[[list[int]], int]] = {
    "+": sum,
    "*": lambda v: int(np.prod([1, *v], dtype=object)),
    "//": lambda v: v[0] // v[1],
    "%": lambda v: v[0] % v[1],
    "ceil": lambda v: -(-v[0] // v[1]),
    "min": min,
    "max": max,
}
