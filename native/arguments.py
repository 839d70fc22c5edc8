"""What a user hands in → arrays and tensors that a kernel can read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import TensorError
from zeroskip.formats.convert import as_array, tensor
from zeroskip.formats.level_data import check_room
from zeroskip.formats.levels import Singleton, Structured
from zeroskip.formats.ranks import Part, axis_of
from zeroskip.formats.scipy_io import is_scipy
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.torch_io import from_torch, is_torch
from zeroskip.formats.values import check_dtype, native
from zeroskip.native.operand import LevelSignature, Signature, dense_signature

Array = NDArray[Any]
Operand = Array | Tensor


def resolve(name: str, given: object) -> Operand:
    """An operand as a C-contiguous ndarray of native byte order, or a `Tensor`.

    Anything that `zeroskip.tensor` takes is taken; SciPy matrices become tensors, every
    dense thing an ndarray.  Nothing handed in is changed.
    """
    if isinstance(given, Tensor):
        return given if _sparse(given) else given.toarray()
    if type(given) is not np.ndarray:
        from zeroskip.formats.density import Density  # and its models

        if isinstance(given, Density):
            raise TensorError(
                f"{name} is a Density, which has no values to compute with\n"
                f"Pass {name}=density.sample(np.random.default_rng(0))."
            )
    try:
        given = _read(given)
        check_dtype(given.dtype)
    except TensorError as cause:
        raise TensorError(f"{name}: {cause}") from cause
    if isinstance(given, Tensor):
        return given if _sparse(given) else given.toarray()
    if given.flags.c_contiguous and given.dtype.isnative and given.dtype != np.bool_:
        return given
    if not given.flags.c_contiguous:  # it may be a view that repeats one value
        check_room(given.size, given.itemsize, f"a contiguous copy of {name}")
    return np.asarray(native(given), order="C")


def _sparse(given: Tensor) -> bool:
    """Whether anything may be left unstored."""
    return any(not level.spec.full for level in given.levels)


def _read(given: object) -> Operand:
    if is_torch(given):
        read = from_torch(given)
        return read if isinstance(read, np.ndarray) else tensor(given)
    if is_scipy(given):
        return tensor(given)
    # np.matrix keeps its two axes come what may, and a mask must not be lost.
    return given if type(given) is np.ndarray else as_array(given)


def signature(operand: Operand, padded: tuple[bool, ...]) -> Signature:
    """What the compiler needs to know of an operand."""
    if isinstance(operand, np.ndarray):
        return dense_signature(operand.dtype.name, padded)
    levels = []
    parts = operand.format.parts
    for k, level in enumerate(operand.levels):
        below = operand.levels[k + 1].spec if k + 1 < len(operand.levels) else None
        arrays = tuple((name, level.arrays[name].dtype.name) for name in level.spec.arrays)
        unique = not isinstance(below, Singleton)
        spec = level.spec
        group = (spec.most, spec.group) if isinstance(spec, Structured) else ()
        axes = tuple(int(axis_of(parts[axis])) for axis in level.axes)
        part = next((p for axis in level.axes if isinstance(p := parts[axis], Part)), None)
        levels.append(LevelSignature(type(spec), axes, arrays, unique, group, part))
    return Signature(operand.dtype.name, tuple(levels), padded, fill=fill_of(operand))


def fill_of(operand: Operand) -> int | float:
    """What is read where nothing is stored; 0 of an ndarray, whose padding reads so."""
    if isinstance(operand, np.ndarray) or not operand.fill:
        return 0
    fill = operand.fill.item()
    return math.nan if fill != fill else fill * 1


def values(operand: Operand) -> Array:
    """The values as the kernel reads them: one-dimensional."""
    return operand.reshape(-1) if isinstance(operand, np.ndarray) else operand.values


def densify(operand: Operand) -> Array:
    """The operand as an ndarray."""
    return operand if isinstance(operand, np.ndarray) else operand.toarray()


def shapes(operands: Mapping[str, Operand]) -> dict[str, tuple[int, ...]]:
    return {name: operand.shape for name, operand in operands.items()}
