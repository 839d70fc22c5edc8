"""The types that values can have, and values of one type as values of another.

NumPy lacks bfloat16; the package ml_dtypes adds it, and is imported only where one is met.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.checks import is_one_of
from zeroskip.errors import TensorError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from zeroskip.formats.level_data import Array

DTYPES = (
    *("float64", "float32", "float16", "bfloat16"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"),
)
"""Types of the values that a tensor can hold."""

_PLAIN = frozenset(np.dtype(name) for name in DTYPES if name != "bfloat16")
"""Those of NumPy's own, in this machine's byte order."""

HALVES = ("float16", "bfloat16")
"""Types that are stored only: what is computed with them is computed in float32."""


def dtype_of(name: str) -> np.dtype[Any]:
    """The type of that name, bfloat16 among them.

    Raises TensorError for bfloat16 where ml_dtypes is not installed.
    """
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError:
        raise TensorError(
            "bfloat16 values need the package ml_dtypes, which is not installed\n"
            "pip install zeroskip[bfloat16], or convert to float32 first."
        ) from None
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether values are floating-point numbers; NumPy calls bfloat16 a kind of void."""
    return dtype.kind == "f" or dtype.name == "bfloat16"


def is_masked(x: object) -> bool:
    """Whether it is an array of numpy.ma, which NumPy imports when it is first asked for."""
    masked = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(x, masked.MaskedArray)


def as_bits(array: Array) -> Array:
    """The array, bfloat16 as uint16: NumPy hands no buffer of bfloat16 to others."""
    held = array.dtype
    return array.view(np.uint16) if held.kind == "V" and held.name == "bfloat16" else array


def native(array: Array) -> Array:
    """Values as kernels read them: of native byte order, each bool a byte of 0 or 1.

    NumPy takes any byte but 0 for True (a mask of 0 and 255 viewed as bool), C adds bytes up.
    """
    if array.dtype == np.bool_ and array.size:
        numbers = array.view(np.uint8)
        return array if numbers.max() <= 1 else numbers != 0
    if array.dtype.isnative:
        return array
    return array.astype(array.dtype.newbyteorder("="))


def cast(values: Array, dtype: np.dtype[Any]) -> Array:
    """Values of another type, as NumPy's ``astype``; but an integer type is refused where it
    would have to wrap a value round, or hold a NaN or an infinity."""
    if is_float(values.dtype) and values.dtype.name in HALVES:
        values = values.astype(np.float32)  # exact; and NumPy alone converts what follows
    if dtype.kind in "iu" and values.dtype.kind in "iuf":
        info = np.iinfo(dtype)
        whole = np.trunc(values)
        # float(info.max) may round up to 2**63, which int64 cannot hold: hence "<" on max + 1.
        fits = (whole >= info.min) & (
            whole < float(info.max) + 1 if values.dtype.kind == "f" else whole <= info.max
        )
        bad = np.flatnonzero(~fits)
        if len(bad):
            found = values.reshape(-1)[bad[0]]
            raise TensorError(
                f"{found} at position {bad[0]} has no value in {dtype} ({info.min} .. {info.max})"
            )
    with np.errstate(over="ignore"):  # beyond float16 lies infinity
        return values.astype(dtype)


def added(values: Array, starts: Array) -> Array:
    """Sums of the values from each start to the next, of the values' type; bools are or-ed,
    halves added in float32."""
    if values.dtype == np.bool_:
        return np.logical_or.reduceat(values, starts)
    computed = np.dtype(np.float32) if values.dtype.name in HALVES else values.dtype
    with np.errstate(over="ignore"):
        return np.add.reduceat(values, starts, dtype=computed).astype(values.dtype, copy=False)


def read_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """A type that values can have, from whatever NumPy takes for one, or ``"bfloat16"``."""
    try:
        wanted = dtype_of("bfloat16") if is_one_of(dtype, ("bfloat16",)) else np.dtype(dtype)
    except TypeError:
        raise TensorError(f"dtype: expected one of {', '.join(DTYPES)}; found {dtype!r}") from None
    check_dtype(wanted)
    return wanted


def check_dtype(dtype: np.dtype[Any]) -> None:
    """Refuse a type that values cannot have, naming the way out."""
    if dtype in _PLAIN or dtype.name in DTYPES:
        return
    way_out = {
        "f": "Convert with .astype('float64').",
        "c": "Store the real and the imaginary part as two tensors.",
        "O": "Pass numbers of one type; a ragged or mixed list is no array.",
    }.get(dtype.kind, "Convert it with .astype(...).")
    raise TensorError(f"expected values of type {', '.join(DTYPES)}; found {dtype}\n{way_out}")
