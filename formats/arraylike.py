"""What a `Tensor` shares with ``ndarray``: operators, reductions, conversions to a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.provided import arithmetic

if TYPE_CHECKING:
    from zeroskip.formats.tensor import Tensor

Axes = int | Sequence[int] | None


class ArrayLike:
    """Operators and reductions of a `Tensor`, as NumPy spells them.

    Operators take tensors, ndarrays, SciPy matrices, torch tensors and numbers, broadcast, and
    promote types as NumPy does.  The result is a `Tensor`, but an ndarray where a dense operand
    makes every place of it different (``t + x``); ``t * x`` keeps the places of ``t``.
    """

    __slots__ = ()
    __array_priority__ = 1000.0
    __hash__ = None  # type: ignore[assignment]  # as an ndarray: == compares elements

    shape: tuple[int, ...]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Any:
        return arithmetic().apply(ufunc, method, operands, options)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, operands: Any, options: Any
    ) -> Any:
        return arithmetic().call(function, operands, options)

    def _with(self, ufunc: np.ufunc, *operands: Any) -> Any:
        return arithmetic().apply(ufunc, "__call__", operands, {})

    def __add__(self, other: Any) -> Any:
        return self._with(np.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return self._with(np.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return self._with(np.subtract, self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._with(np.subtract, other, self)

    def __mul__(self, other: Any) -> Any:
        return self._with(np.multiply, self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._with(np.multiply, other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._with(np.divide, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(np.divide, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self._with(np.floor_divide, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._with(np.floor_divide, other, self)

    def __mod__(self, other: Any) -> Any:
        return self._with(np.remainder, self, other)

    def __rmod__(self, other: Any) -> Any:
        return self._with(np.remainder, other, self)

    def __pow__(self, other: Any) -> Any:
        return self._with(np.power, self, other)

    def __rpow__(self, other: Any) -> Any:
        return self._with(np.power, other, self)

    def __matmul__(self, other: Any) -> Any:
        return self._with(np.matmul, self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self._with(np.matmul, other, self)

    def __and__(self, other: Any) -> Any:
        return self._with(np.bitwise_and, self, other)

    def __rand__(self, other: Any) -> Any:
        return self._with(np.bitwise_and, other, self)

    def __or__(self, other: Any) -> Any:
        return self._with(np.bitwise_or, self, other)

    def __ror__(self, other: Any) -> Any:
        return self._with(np.bitwise_or, other, self)

    def __xor__(self, other: Any) -> Any:
        return self._with(np.bitwise_xor, self, other)

    def __rxor__(self, other: Any) -> Any:
        return self._with(np.bitwise_xor, other, self)

    def __neg__(self) -> Any:
        return self._with(np.negative, self)

    def __pos__(self) -> Any:
        return self._with(np.positive, self)

    def __abs__(self) -> Any:
        return self._with(np.absolute, self)

    def __invert__(self) -> Any:
        return self._with(np.invert, self)

    def __eq__(self, other: Any) -> Any:
        return self._with(np.equal, self, other)

    def __ne__(self, other: Any) -> Any:
        return self._with(np.not_equal, self, other)

    def __lt__(self, other: Any) -> Any:
        return self._with(np.less, self, other)

    def __le__(self, other: Any) -> Any:
        return self._with(np.less_equal, self, other)

    def __gt__(self, other: Any) -> Any:
        return self._with(np.greater, self, other)

    def __ge__(self, other: Any) -> Any:
        return self._with(np.greater_equal, self, other)

    # ---- reductions ---------------------------------------------------------------------

    def sum(
        self,
        axis: Axes = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        *,
        format: Any = None,
    ) -> Any:
        """The sum over all axes, or some.

        axis : an axis, several, or None for all.
        dtype : type to add up in; by default NumPy's (int64 for smaller integers and bool).
        out : ndarray that takes the result.
        keepdims : whether reduced axes stay, of extent 1.
        format : a format for the result, which is then a `Tensor`; by default it is an
            ndarray, or a scalar where all axes are reduced.
        """
        return arithmetic().reduce("sum", self, axis, dtype, out, keepdims, format)

    def prod(
        self,
        axis: Axes = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        *,
        format: Any = None,
    ) -> Any:
        """The product over all axes, or some; see `sum`."""
        return arithmetic().reduce("prod", self, axis, dtype, out, keepdims, format)

    def mean(
        self,
        axis: Axes = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        *,
        format: Any = None,
    ) -> Any:
        """The mean over all axes, or some, of what is stored and what is not; see `sum`."""
        return arithmetic().reduce("mean", self, axis, dtype, out, keepdims, format)

    def max(
        self, axis: Axes = None, out: Any = None, keepdims: bool = False, *, format: Any = None
    ) -> Any:
        """The greatest value along axes; NaN where there is one.  See `sum`."""
        return arithmetic().reduce("max", self, axis, None, out, keepdims, format)

    def min(
        self, axis: Axes = None, out: Any = None, keepdims: bool = False, *, format: Any = None
    ) -> Any:
        """The least value along axes; NaN where there is one.  See `sum`."""
        return arithmetic().reduce("min", self, axis, None, out, keepdims, format)

    def any(
        self, axis: Axes = None, out: Any = None, keepdims: bool = False, *, format: Any = None
    ) -> Any:
        """Whether any value along axes is not 0; see `sum`."""
        return arithmetic().reduce("any", self, axis, None, out, keepdims, format)

    def all(
        self, axis: Axes = None, out: Any = None, keepdims: bool = False, *, format: Any = None
    ) -> Any:
        """Whether no value along axes is 0; see `sum`."""
        return arithmetic().reduce("all", self, axis, None, out, keepdims, format)

    def argmax(self, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
        """Coordinate of the first greatest value along an axis; of the flattened tensor where
        none is given."""
        return arithmetic().reduce("argmax", self, axis, None, out, keepdims, None)

    def argmin(self, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
        """Coordinate of the first least value along an axis; see `argmax`."""
        return arithmetic().reduce("argmin", self, axis, None, out, keepdims, None)

    # ---- parts and shapes ---------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        from zeroskip.formats.indexing import get

        return get(self._tensor, key)

    def __iter__(self) -> Iterator[Any]:
        from zeroskip.formats.indexing import rows

        len(self)  # refuses a tensor of no axes
        return rows(self._tensor)

    @property
    def T(self) -> Tensor:
        """The tensor with its axes in reverse; nothing stored is moved."""
        return self.transpose()

    def transpose(self, *axes: Any) -> Tensor:
        """Axes in another order, reversed where none is given; nothing stored is moved.

        The rows of a CSR matrix become the columns of a CSC one.
        """
        from zeroskip.formats.reshaping import transpose

        given = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return transpose(self._tensor, given if axes else None)

    def reshape(self, *shape: Any, order: str = "C") -> Tensor:
        """The same elements, in row-major order, in another shape; one extent may be -1.

        The format stays where it is a named one or has as many axes; else it is COO.
        """
        from zeroskip.formats.reshaping import reshape

        if order != "C":
            raise TensorError(f"elements are taken in order 'C' alone, found {order!r}")
        given = shape[0] if len(shape) == 1 else shape
        return reshape(self._tensor, given)

    def ravel(self) -> Tensor:
        """The elements in row-major order, along one axis."""
        return self.reshape(-1)

    def squeeze(self, axis: Axes = None) -> Tensor:
        """The tensor without its axes of extent 1, or without these of them."""
        from zeroskip.formats.reshaping import squeezed

        return self.reshape(squeezed(self.shape, axis))

    def copy(self) -> Tensor:
        """The tensor itself: nothing about it ever changes."""
        return self._tensor

    @property
    def _tensor(self) -> Tensor:
        return cast("Tensor", self)

    # ---- numbers and sequences ----------------------------------------------------------

    def item(self) -> Any:
        """The value of a tensor of one element, as a Python number."""
        if any(extent != 1 for extent in self.shape):
            raise TensorError(
                f"only a tensor of one element is a number; the shape is {self.shape}"
            )
        return self._tensor.toarray().item()

    def __bool__(self) -> bool:
        if any(extent != 1 for extent in self.shape):
            raise TensorError(
                f"the truth of a tensor of shape {self.shape} is ambiguous\n"
                "Ask for .any() or .all()."
            )
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        number = self.item() if not self.shape else None
        if type(number) is not int:
            raise TypeError("only a tensor of no axes that holds an integer is an index")
        return number

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a tensor of no axes has no len()")
        return self.shape[0]

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self == value))  # a bool where nothing can be equal
