"""The dense NumPy value of any `Form`: a judge, written for plainness.

It shares nothing with the loop nest: every point of the iteration space is visited, every
operand is read by its subscripts, and the products are reduced and put where the target's
subscripts say.  It knows no formats and skips no zeros, so 0 * inf is NaN here.

float32 is computed in float64 and rounded once, at the end; integers wrap around as they do
in their own type (`zeroskip.native.dtypes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial, reduce
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Affine,
    Atom,
    Call,
    Compare,
    Div,
    Expr,
    Gather,
    Literal,
    Monomial,
    Mul,
    Neg,
    Place,
    Scalar,
    Var,
)
from zeroskip.einsum_spec.walk import variables
from zeroskip.errors import EinsumError
from zeroskip.native.dtypes import (
    compared_apart,
    compared_in,
    form_arithmetic,
    form_result,
    identity,
)
from zeroskip.native.halves import widened_lines
from zeroskip.native.numpy_functions import COMPARE, POST, REDUCE, SEVERAL

if TYPE_CHECKING:
    from zeroskip.einsum_spec.spec import Spec

Array = npt.NDArray[Any]
Grid = dict[str, npt.NDArray[np.int64]]

# Points that are held at once, and the fewest of the result among them.
POINTS = 2**22
RESULT_POINTS = 2**11


class ExtentsLike(Protocol):
    """What is read of `zeroskip.einsum_spec.extents.Extents`."""

    @property
    def ranks(self) -> Mapping[str, int]: ...
    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]: ...
    @property
    def pads(self) -> Mapping[str, tuple[tuple[int, int], ...]]: ...
    @property
    def constants(self) -> Mapping[str, int | float]: ...
    @property
    def skipped(self) -> frozenset[str]: ...


def evaluate_form(
    form: Form,
    operands: Mapping[str, npt.ArrayLike],
    extents: ExtentsLike,
    out: npt.ArrayLike | None = None,
) -> Array:
    """The result of ``form`` as a dense array of ``extents.shapes[form.target.tensor]``.

    operands : arrays by name, of the shapes in ``extents``.
    out : what a reduction at the assignment starts from, in place of its identity.

    Places that a target with affine subscripts never reaches hold 0, or what the reduction
    starts from.  Raises EinsumError for a read or write outside an axis and its padding,
    and for a plain ``=`` that reaches a place twice.
    """
    arrays = {name: np.asarray(value) for name, value in operands.items()}
    dtypes = {name: array.dtype for name, array in arrays.items()}
    result_dtype = form_result(form, dtypes, extents.constants)
    computed = form_arithmetic(form, dtypes, extents.constants)
    work = np.dtype(np.float64) if computed.kind == "f" else computed
    judge = _Judge(form, arrays, extents, work)
    with np.errstate(all="ignore"):
        result = judge.evaluate(None if out is None else np.asarray(out))
        return result.astype(result_dtype)


def evaluate_forms(
    forms: Sequence[Form], operands: Mapping[str, npt.ArrayLike], extents: ExtentsLike
) -> dict[str, Array]:
    """The result of every statement of a cascade, by name; later ones read earlier ones."""
    results: dict[str, Array] = {}
    for form in forms:
        name = form.target.tensor
        start = results.get(name) if form.reduction is not None else None
        results[name] = evaluate_form(form, {**operands, **results}, extents, start)
    return results


def evaluate(
    spec: Spec, operands: Mapping[str, npt.ArrayLike], out: npt.ArrayLike | None = None
) -> dict[str, Array]:
    """Every result of a spec at dense operands, by name, in the order of its lines.

    out : what a reduction at the last assignment starts from.
    Raises EinsumError where the operands do not fit the spec.
    """
    known = {name: np.asarray(value) for name, value in operands.items()}
    extents = spec.extents({name: value.shape for name, value in known.items()})
    results: dict[str, Array] = {}
    widened = widened_lines(spec, known, extents.constants)
    for line, (form, wide) in enumerate(zip(spec.forms, widened, strict=True)):
        name = form.target.tensor
        start = np.asarray(out) if out is not None and line == len(spec.forms) - 1 else None
        run = partial(_with_operands, form, extents)
        found = wide.run(known, run, start) if wide else run(known, start)
        results[name] = known[name] = np.asarray(found)
    return results


def _with_operands(
    form: Form, extents: ExtentsLike, operands: Mapping[str, Array], out: Array | None
) -> Array:
    return evaluate_form(form, operands, extents, out)


class _Judge:
    """One form with its operands, all in the type that it is computed in."""

    def __init__(
        self, form: Form, arrays: Mapping[str, Array], extents: ExtentsLike, work: np.dtype[Any]
    ) -> None:
        self.form, self.extents, self.work = form, extents, work
        self.arrays = dict(arrays)
        self.numbers = {rank.upper(): n for rank, n in extents.ranks.items()} | dict(
            extents.constants
        )
        targets = dict.fromkeys(v for s in form.target.subscripts for v in variables(s))
        self.outer = (*targets, *form.reduced)
        self.reduced_axes = tuple(range(len(targets), len(self.outer)))

    def evaluate(self, out: Array | None) -> Array:
        reduction = self.form.reduction
        shape = self.extents.shapes[self.form.target.tensor]
        stored = np.dtype(np.bool_) if reduction in ("|", "&") else self.work
        start = identity(reduction, stored) if reduction else 0
        result = np.full(shape, start, stored) if out is None else out.astype(stored)
        reached = np.zeros(shape, np.int64)
        inner = max((self._space(term.ranks) for term in self.form.terms), default=1)
        for box in self._boxes(self.outer, max(RESULT_POINTS, POINTS // max(inner, 1))):
            self.kept: Array = np.asarray(True)
            value = POST[self.form.post](self._terms(box))
            grid = _grid(self.outer, box)
            places = tuple(
                np.broadcast_to(index, value.shape)[self._first_of_reduced()]
                for index in self._target_places(grid, shape)
            )
            if reduction is None:
                np.add.at(reached, places, 1)
                if (reached > 1).any():
                    raise self._collision(reached)
                result[places] = value
            else:
                combine = REDUCE[reduction]
                if stored.kind == "b":
                    value = value != 0
                if not self.kept.all():
                    value = np.where(self.kept, value, np.asarray(start, stored))
                part = combine.reduce(value, axis=self.reduced_axes, dtype=stored)
                combine.at(result, places, part)
        return result

    def _terms(self, box: tuple[range, ...]) -> Array:
        """Sum of the terms at the points of ``box``, each summed over its own ranks."""
        shape = tuple(len(r) for r in box)
        total = np.zeros(shape, self.work)
        for term in self.form.terms:
            names = (*self.outer, *term.ranks)
            summed = tuple(range(len(self.outer), len(names)))
            for inner in self._boxes(term.ranks, max(1, POINTS // max(prod(shape), 1))):
                self.left: Array = np.asarray(True)
                product = self._product(term, _grid(names, (*box, *inner)))
                if self.form.reduction is None and not self.left.all():
                    product = np.where(self.left, product, np.zeros((), self.work))
                full = np.broadcast_to(product, (*shape, *(len(r) for r in inner)))
                total += np.add.reduce(full, axis=summed, dtype=self.work)
        return total

    def _product(self, term: Term, grid: Grid) -> Array:
        value: Array = np.asarray(term.number).astype(self.work)
        for name in term.scalars:
            value = value * self._scalar(name)
        for access in term.accesses:
            value = value * self._read(access, grid)
        for factor in term.factors:
            value = value * self._value(factor, grid, self.work)
        return value

    def _scalar(self, name: str, dtype: np.dtype[Any] | None = None) -> Array:
        if name in self.extents.constants or name not in self.arrays:
            return np.asarray(self.numbers[name]).astype(dtype or self.work)
        return self.arrays[name].reshape(()).astype(dtype or self.work)

    # ---- pointwise expressions ----------------------------------------------------------

    def _value(self, node: Expr, grid: Grid, dtype: np.dtype[Any]) -> Array:
        """A pointwise expression at every point of the grid, computed in ``dtype``."""

        def go(child: Expr) -> Array:
            return self._value(child, grid, dtype)

        match node:
            case Literal(value=value):
                return np.asarray(value).astype(dtype)
            case Scalar(name=name):
                return self._scalar(name, dtype)
            case Place(subscript=part):
                return self._affine(part, grid).astype(dtype)
            case Access():
                return self._read(node, grid, dtype)
            case Neg(arg=arg):
                return np.asarray(-go(arg))
            case Add(terms=terms):
                return reduce(np.add, map(go, terms))
            case Mul(factors=factors):
                return reduce(np.multiply, map(go, factors))
            case Div(numerator=top, denominator=bottom):
                return np.asarray(np.true_divide(go(top), go(bottom))).astype(dtype)
            case Compare(op=op, left=left, right=right):
                sides = [
                    self._affine(s, grid) if isinstance(s, Affine) else self._value(s, grid, kind)
                    for s, kind in zip((left, right), self._compared_in(node), strict=True)
                ]
                return np.asarray(COMPARE[op](*sides)).astype(dtype)
            case Call(function="where", args=(test, yes, no)):
                if isinstance(test, Compare):
                    held = self._value(test, grid, np.dtype(np.int64))
                else:
                    held = go(test)
                return np.where(held != 0, go(yes), go(no))
            case Call(function=name, args=args) if len(args) > 1:
                return np.asarray(reduce(SEVERAL[name], map(go, args))).astype(dtype)
            case Call(function=name, args=args):
                return np.asarray(POST[name](go(args[0]))).astype(dtype)
            case _:
                raise TypeError(f"{type(node).__name__} is hoisted before anything is evaluated")

    def _compared_in(self, node: Compare) -> tuple[np.dtype[Any], np.dtype[Any]]:
        names = {name: array.dtype for name, array in self.arrays.items()}
        apart = compared_apart(node, names, self.extents.constants)
        if apart:  # NumPy compares uint64 with int64 exactly
            return np.dtype(apart[0]), np.dtype(apart[1])
        found = compared_in(node, names, self.extents.constants)
        kind = np.dtype(np.float64) if found.kind == "f" else found
        return kind, kind

    def _read(self, access: Access, grid: Grid, dtype: np.dtype[Any] | None = None) -> Array:
        """The operand at every point of the grid, 0 in the padding.

        A subscript counts from the start of the low padding.
        """
        array = self.arrays[access.tensor]
        pads = self.extents.pads.get(access.tensor, ((0, 0),) * array.ndim)
        inside: Array = np.asarray(True)
        places = []
        for axis, (subscript, (lo, hi)) in enumerate(zip(access.subscripts, pads, strict=True)):
            size = array.shape[axis]
            index = self._affine(subscript, grid)
            self._check(access, axis, index, lo + size + hi, "read")
            place = index - lo
            inside = inside & (place >= 0) & (place < size)
            places.append(np.clip(place, 0, max(size - 1, 0)).astype(np.int64, copy=False))
        dtype = dtype or self.work
        if access.tensor in self.extents.skipped:
            self.kept, self.left = self.kept & inside, self.left & inside
        if array.size == 0:
            return np.zeros(np.broadcast_shapes(*(p.shape for p in places)), dtype)
        return np.where(inside, array[tuple(places)].astype(dtype), np.zeros((), dtype))

    def _target_places(self, grid: Grid, shape: tuple[int, ...]) -> Iterator[Array]:
        for axis, subscript in enumerate(self.form.target.subscripts):
            index = self._affine(subscript, grid)
            self._check(self.form.target, axis, index, shape[axis], "written")
            yield index.astype(np.int64, copy=False)

    def _first_of_reduced(self) -> tuple[Any, ...]:
        """Index that drops the reduced axes: no place of the target depends on them."""
        return (..., *(0 for _ in self.reduced_axes))

    def _affine(self, subscript: Affine, grid: Grid) -> Array:
        """What a subscript says: in 64 bits, or as Python's integers where it may pass them."""
        start = sum(self._monomial(m) for m in subscript.offset)
        parts = [(self._monomial(c), self._atom(atom, grid)) for c, atom in subscript.terms]
        farthest = abs(start) + sum(abs(c) * _farthest(x) for c, x in parts)
        kind: Any = np.int64 if farthest < 2**63 else object
        total: Array = np.asarray(start, kind)
        for coefficient, x in parts:
            total = total + coefficient * x.astype(kind, copy=False)
        return np.asarray(total)

    def _atom(self, atom: Atom, grid: Grid) -> Array:
        if isinstance(atom, Var):
            return grid[atom.name]
        if isinstance(atom, Gather):
            return self._read(atom.access, grid, np.dtype(np.int64))
        return np.asarray(
            np.floor_divide(self._affine(atom.inner, grid), self._monomial(atom.divisor))
        )

    def _monomial(self, monomial: Monomial) -> int:
        return monomial.value * prod(int(self.numbers[name]) for name in monomial.names)

    def _space(self, names: Sequence[str]) -> int:
        return prod(self.extents.ranks[name] for name in names)

    def _boxes(self, names: Sequence[str], points: int) -> Iterator[tuple[range, ...]]:
        return boxes(tuple(self.extents.ranks[name] for name in names), points)

    def _check(self, access: Access, axis: int, index: Array, limit: int, deed: str) -> None:
        if index.size and (index.min() < 0 or index.max() >= limit):
            wrong = int(index.min() if index.min() < 0 else index.max())
            raise EinsumError(
                f"{access.tensor} is {deed} at {wrong} on axis {axis}, which ends at {limit - 1}"
                " with its padding"
            )

    def _collision(self, reached: Array) -> EinsumError:
        place = tuple(int(i) for i in np.argwhere(reached > 1)[0])
        return EinsumError(
            f"'=' writes {self.form.target.tensor}{list(place)} more than once",
            hint="Write += to add what arrives at a place.",
        )


def boxes(extents: tuple[int, ...], points: int) -> Iterator[tuple[range, ...]]:
    """Boxes of at most ``points`` points that cover the space once, in row-major order.

    The outermost rank is split; inner ones only where the space inside one of its
    coordinates is still too large.
    """
    if 0 in extents:
        return
    if prod(extents) <= points:
        yield tuple(range(n) for n in extents)
        return
    first, *rest = extents
    step = max(1, points // prod(rest))
    for begin in range(0, first, step):
        outermost = range(begin, min(begin + step, first))
        for inner in boxes(tuple(rest), points):
            yield (outermost, *inner)


def _grid(names: Sequence[str], box: Sequence[range]) -> Grid:
    """Coordinates of each variable, along an axis of its own."""
    grid = {}
    for axis, (name, values) in enumerate(zip(names, box, strict=True)):
        shape = [1] * len(names)
        shape[axis] = len(values)
        grid[name] = np.arange(values.start, values.stop, dtype=np.int64).reshape(shape)
    return grid


def _farthest(x: Array) -> int:
    return max(abs(int(x.min())), abs(int(x.max()))) if x.size else 0
