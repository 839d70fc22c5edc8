"""A line as one matrix product: what BLAS, SciPy and torch can compute.

O[n,m,p,q] = relu(B[m] + I[n,c,p+r,q+s]*F[m,c,r,s])

F as a matrix m × (c,r,s), times I as one (c,r,s) × (n,p,q): its im2col matrix.  The sums
are then put in the order of the result; bias and function follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.names import monomial_value
from zeroskip.einsum_spec.tree import Access, Affine, Floor, Var
from zeroskip.einsum_spec.walk import free, single
from zeroskip.native.numpy_functions import POST

Array = NDArray[Any]
Reader = Callable[[], Array]


@dataclass(frozen=True, slots=True)
class MatrixProduct:
    """``batch × rows × summed`` times ``batch × summed × columns``.

    left, right : the accesses; ``right`` holds the last rank of the result, so that the sums
        come out close to its order.
    late : terms added to the sums; each an array over ranks of the result.
    """

    form: Form
    extents: Extents
    left: Access
    right: Access
    batch: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    summed: tuple[str, ...]
    late: tuple[Term, ...]

    @property
    def gathers(self) -> bool:
        """Whether an operand's matrix holds elements more than once, or padding."""
        return any(
            any(map(any, self._pads(a))) or any(single(s) is None for s in a.subscripts)
            for a in (self.left, self.right)
        )

    @property
    def multiplications(self) -> int:
        return self.size((*self.batch, *self.rows, *self.columns, *self.summed))

    def size(self, ranks: tuple[str, ...]) -> int:
        return prod(self.extents.ranks[rank] for rank in ranks)

    def dtype(self, operands: Mapping[str, Array]) -> np.dtype[Any]:
        """Type of the product."""
        return np.result_type(*(operands[a.tensor].dtype for a in (self.left, self.right)))

    # ---- operands -----------------------------------------------------------------------

    def matrices(self, operands: Mapping[str, Array]) -> tuple[Array, Array]:
        """Both factors; of two axes, or of three where there are batch ranks."""
        left, right = self._readers(operands)
        return left(), right()

    def whole(self, operands: Mapping[str, Array]) -> Callable[[], Array]:
        """A function that computes the layer by NumPy's matrix product.

        Everything that can be made once is: views, scratch for padding and im2col, biases in
        the shape of the result.
        """
        left, right = self._readers(operands)
        finish = self.finisher(operands)
        return lambda: finish(np.matmul(left(), right()))

    def _readers(self, operands: Mapping[str, Array]) -> tuple[Reader, Reader]:
        return (
            self._reader(self.left, operands, self.rows, self.summed),
            self._reader(self.right, operands, self.summed, self.columns),
        )

    def _reader(
        self,
        access: Access,
        operands: Mapping[str, Array],
        outer: tuple[str, ...],
        inner: tuple[str, ...],
    ) -> Reader:
        """What makes the matrix of one operand: nothing to do where it lies as one."""
        array, pads = operands[access.tensor], self._pads(access)
        source, inside = array, array
        if any(map(any, pads)):
            lengths = [n + lo + hi for n, (lo, hi) in zip(array.shape, pads, strict=True)]
            source = np.zeros(lengths, array.dtype)
            inside = source[
                tuple(slice(lo, lo + n) for n, (lo, _) in zip(array.shape, pads, strict=True))
            ]
        view = self._view(access, source, (*self.batch, *outer, *inner))
        batch = (self.size(self.batch),) if self.batch else ()
        shape = (*batch, self.size(outer), self.size(inner))
        matrix = view.reshape(shape)
        copied = not np.shares_memory(matrix, source)
        scratch = np.empty(view.shape, view.dtype) if copied else view
        matrix = scratch.reshape(shape) if copied else matrix

        def read() -> Array:
            if inside is not array:
                inside[...] = array
            if copied:
                scratch[...] = view
            return matrix

        return read

    def _view(self, access: Access, array: Array, ranks: tuple[str, ...]) -> Array:
        """The operand with an axis for each rank, elements repeated where subscripts do."""
        values = self.extents.constants
        strides = dict.fromkeys(ranks, 0)
        start = 0
        for axis, subscript in enumerate(access.subscripts):
            step = array.strides[axis]
            start += step * sum(monomial_value(m, values) for m in subscript.offset)
            for coefficient, atom in subscript.terms:
                assert isinstance(atom, Var)
                strides[atom.name] += step * monomial_value(coefficient, values)
        shape = [self.extents.ranks[rank] for rank in ranks]
        if 0 in shape:
            return np.zeros(shape, array.dtype)
        at = np.ndarray((), array.dtype, array, start)
        return as_strided(at, shape, list(strides.values()), writeable=False)

    def _pads(self, access: Access) -> tuple[tuple[int, int], ...]:
        return self.extents.pads[access.tensor]

    # ---- result -------------------------------------------------------------------------

    def finish(self, sums: Array, operands: Mapping[str, Array]) -> Array:
        """Sums (batch,) rows × columns into the result: order, late terms, function."""
        return self.finisher(operands)(np.array(sums))

    def finisher(self, operands: Mapping[str, Array]) -> Callable[[Array], Array]:
        """`finish`, with all that does not depend on the sums done before; it may overwrite
        them."""
        found = (*self.batch, *self.rows, *self.columns)
        target = [name for s in self.form.target.subscripts if (name := single(s))]
        shape = [self.extents.ranks[rank] for rank in found]
        order = [found.index(rank) for rank in target]
        late = [self._late_value(term, operands, target) for term in self.late]
        post = POST[self.form.post]

        def finish(sums: Array) -> Array:
            turned = sums.reshape(shape).transpose(order)
            result: Array = np.ascontiguousarray(turned).reshape(turned.shape)  # () stays ()
            for value in late:
                result += value
            if self.form.post == "relu":
                np.maximum(result, 0, out=result)
                return result
            return result if self.form.post is None else np.asarray(post(result))

        return finish

    def _late_value(
        self, term: Term, operands: Mapping[str, Array], target: list[str]
    ) -> Array | float:
        value: Any = term.number
        for name in term.scalars:
            value = value * (operands[name] if name in operands else self.extents.constants[name])
        for access in term.accesses:
            ranks = [single(s) for s in access.subscripts]
            kept = [rank for rank in target if rank in ranks]
            turned = operands[access.tensor].transpose([ranks.index(rank) for rank in kept])
            shape = [self.extents.ranks[rank] if rank in kept else 1 for rank in target]
            value = value * turned.reshape(shape)
        return value  # type: ignore[no-any-return]


def matrix_product(form: Form, extents: Extents) -> MatrixProduct | None:
    """The matrix product that a line is, or None.

    It is one where one term is a product of two operands with affine subscripts, every summed
    rank stands in both, every other term is an addition over ranks of the result, and the
    subscripts of the result are plain.
    """
    target = [single(s) for s in form.target.subscripts]
    if None in target or len(set(target)) != len(target) or form.post not in POST:
        return None
    if form.reduction not in (None, "+") or (form.reduction and form.post):
        return None
    ranks = tuple(rank for rank in target if rank)
    late = tuple(t for t in form.terms if _is_late(t, form, extents, ranks))
    products = [t for t in form.terms if t not in late]
    if len(products) != 1:
        return None
    (term,) = products
    if len(term.accesses) != 2 or term.scalars or term.number != 1:
        return None
    if not all(_is_affine(s) for access in term.accesses for s in access.subscripts):
        return None
    left, right = term.accesses
    held = [set(free(a)) for a in (left, right)]
    summed = tuple(r for r in form.ranks if r not in ranks)
    if set(summed) - (held[0] & held[1]) or set(ranks) - (held[0] | held[1]):
        return None
    if ranks and ranks[-1] not in held[1]:
        left, right, held = right, left, held[::-1]
    batch = tuple(r for r in ranks if r in held[0] and r in held[1])
    rows = tuple(r for r in ranks if r in held[0] and r not in batch)
    columns = tuple(r for r in ranks if r in held[1] and r not in batch)
    return MatrixProduct(form, extents, left, right, batch, rows, columns, summed, late)


def _is_late(term: Term, form: Form, extents: Extents, target: tuple[str, ...]) -> bool:
    if term.ranks or form.reduced or len(term.accesses) > 1:
        return False
    for access in term.accesses:
        ranks = [single(s) for s in access.subscripts]
        if None in ranks or len(set(ranks)) != len(ranks) or not set(ranks) <= set(target):
            return False
        if any(map(any, extents.pads[access.tensor])):
            return False
    return True


def _is_affine(subscript: Affine) -> bool:
    return not any(isinstance(atom, Floor) for _, atom in subscript.terms)
