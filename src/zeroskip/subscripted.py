"""Calls in NumPy's manner: what `numpy.einsum` takes, as a statement and its operands."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index

from zeroskip.einsum_spec.subscript_lists import interleaved
from zeroskip.einsum_spec.subscript_string import is_subscripts, read, statement
from zeroskip.errors import EinsumError
from zeroskip.formats.convert import as_array

PATHS = ("greedy", "optimal")


def as_statement(text: object, operands: tuple[object, ...]) -> tuple[object, tuple[object, ...]]:
    """The statement of a call, and its operands.

    A subscript string or the interleaved form becomes the statement that it means for
    operands of these shapes.  Everything else is returned as it is.

    Raises
    ------
    EinsumError
        As `read`, `statement` and `interleaved`.
    """
    if operands and not isinstance(text, str) and not _is_sympy(text):
        text, operands = interleaved((text, *operands))
    if not isinstance(text, str) or not (is_subscripts(text) or (operands and not text.strip())):
        return text, operands
    operands = tuple(x if hasattr(x, "shape") else as_array(x) for x in operands)
    return statement(read(text), tuple(_shape(x) for x in operands)), operands


def check_optimize(optimize: object) -> None:
    """Whether ``optimize=`` is one of NumPy's; the order of loops is the engine's either way.

    Raises
    ------
    EinsumError
        For anything but a truth value, None, ``"greedy"``, ``"optimal"``, a pair of one of
        these and a limit of memory, or a path ``["einsum_path", (0, 1), ...]``.
    """
    if optimize is None or isinstance(optimize, bool):
        return
    if isinstance(optimize, str):
        if optimize in PATHS:
            return
    elif isinstance(optimize, Sequence) and optimize:
        first, *rest = optimize
        if first == "einsum_path" and all(isinstance(step, tuple) for step in rest):
            return
        if first in PATHS and len(rest) == 1 and isinstance(rest[0], int | float):
            return
    raise EinsumError(
        f"optimize: expected True, False, 'greedy', 'optimal' or a path of numpy.einsum_path, "
        f"found {optimize!r}"
    )


def _is_sympy(given: object) -> bool:
    """Whether it is a SymPy `Eq` or a sequence of them, which are layers too."""
    if isinstance(given, list | tuple) and given:
        given = given[0]
    return type(given).__module__.startswith("sympy")


def _shape(operand: object) -> tuple[int, ...]:
    return tuple(index(extent) for extent in operand.shape)  # type: ignore[attr-defined]
