"""Which type a layer computes in, and which type its result has.

    bool                      counted in int64, as np.sum does
    int8 int16 uint8 uint16   int32: products of two do not fit their own type
    int32                     int32
    uint32 int64              int64
    uint64                    uint64
    float16 bfloat16          float32, and the result is rounded once to the operands' type
    float32 float64           themselves
    several                   as NumPy promotes them, then by the lines above; bfloat16 as
                              float16, the two of them to float32
    a float literal           float64 with integers; it does not widen float32
    exp, sqrt, ... of whole numbers    float64
    ``|=`` and ``&=``         computed as above, compared with 0, and a bool result

Integers wrap around, as NumPy's do; a number written in the line that does not fit is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import (
    Access,
    Affine,
    Call,
    Compare,
    Div,
    Expr,
    Literal,
    Place,
    Scalar,
)
from zeroskip.einsum_spec.walk import children
from zeroskip.errors import TensorError
from zeroskip.formats.values import HALVES

DType = np.dtype[Any]

# Functions that give fractions of whole numbers.
FRACTIONAL = frozenset({"exp", "log", "sqrt", "tanh", "sigmoid", "gelu", "swish", "pow"})
LOGICAL = frozenset({"|", "&"})

_COMPUTED_IN = {
    "bool": "int64",
    "int8": "int32",
    "int16": "int32",
    "int32": "int32",
    "int64": "int64",
    "uint8": "int32",
    "uint16": "int32",
    "uint32": "int64",
    "uint64": "uint64",
    "float16": "float32",
    "bfloat16": "float32",
    "float32": "float32",
    "float64": "float64",
}


def arithmetic(dtypes: Iterable[np.typing.DTypeLike], *, fractions: bool = False) -> DType:
    """Type that products and sums of operands of these dtypes are computed in.

    fractions : whether a float literal, or a function such as exp, takes part.
    Raises TensorError for a dtype that is no real number.
    """
    given = [np.dtype(dtype) for dtype in dtypes]
    for dtype in given:
        if dtype.name not in _COMPUTED_IN:
            raise TensorError(
                f"dtype {dtype} cannot be computed with; expected one of"
                f" {', '.join(_COMPUTED_IN)}\nConvert it with .astype first."
            )
    computed = np.dtype(_COMPUTED_IN[promoted(given).name])
    return np.dtype(np.float64) if fractions and computed.kind != "f" else computed


def promoted(dtypes: Sequence[DType]) -> DType:
    """The one type that NumPy takes several for; int64 for none.

    NumPy knows no rule for bfloat16 beside most others: it goes as float16 does, which is beside
    integers of up to 8 bits itself and beside wider ones a float of twice the width; with float16
    it makes float32.
    """
    half = next((dtype for dtype in dtypes if dtype.name == "bfloat16"), None)
    if half is None:
        return np.result_type(*dtypes) if dtypes else np.dtype(np.int64)
    rest = [dtype for dtype in dtypes if dtype != half]
    joint = np.result_type(np.float16, *rest)
    if joint != np.float16:
        return joint
    return np.dtype(np.float32) if joint in rest else half


def form_types(
    form: Form,
    dtypes: Mapping[str, np.typing.DTypeLike],
    constants: Mapping[str, int | float] | None = None,
) -> tuple[DType, DType]:
    """Types that the right side of ``form`` is computed in, and that its result has.

    dtypes : of every operand, by name, those of no axes included; others are passed over.
    constants : values of the named constants that the form holds.
    """
    made = _taken(form, dtypes, constants)
    found = made.arithmetic()
    if found.kind in "iu":
        ends = np.iinfo(found)
        least = ends.min if found.kind == "i" else -ends.max  # a difference wraps around
        for number in made.numbers:
            if not least <= number <= ends.max:
                raise TensorError(
                    f"the number {number} has no value in {found}, which this line is"
                    f" computed in ({ends.min} .. {ends.max})\n"
                    "Convert an operand with .astype('int64') or .astype('float64')."
                )
    if form.reduction in LOGICAL:
        return found, np.dtype(np.bool_)
    joint = made.joint()
    return found, joint if joint.name in HALVES and found == np.float32 else found


def form_arithmetic(
    form: Form,
    dtypes: Mapping[str, np.typing.DTypeLike],
    constants: Mapping[str, int | float] | None = None,
) -> DType:
    """Type that the right side is computed in; see `form_types`."""
    return form_types(form, dtypes, constants)[0]


def _taken(
    form: Form,
    dtypes: Mapping[str, np.typing.DTypeLike],
    constants: Mapping[str, int | float] | None,
) -> _Taking:
    made = _Taking(dtypes, constants or {})
    made.fractions = form.post in FRACTIONAL
    for term in form.terms:
        made.numbers.append(term.number)
        for name in term.scalars:
            made.scalar(name)
        for node in (*term.accesses, *term.factors):
            made.take(node)
    return made


class _Taking:
    """What takes part in a value: dtypes of operands, and whether there are fractions.

    Places and comparisons are whole numbers that widen nothing; what is only compared, chosen
    by, or read as a place does not take part.
    """

    def __init__(
        self, dtypes: Mapping[str, np.typing.DTypeLike], values: Mapping[str, int | float]
    ) -> None:
        self.dtypes, self.values = dtypes, values
        self.found: list[np.typing.DTypeLike] = []
        self.numbers: list[int | float] = []
        self.fractions = False

    def scalar(self, name: str) -> None:
        if name in self.values:
            self.numbers.append(self.values[name])
        elif name in self.dtypes:
            self.found.append(self.dtypes[name])

    def take(self, node: Expr) -> None:
        match node:
            case Literal(value=value):
                self.numbers.append(value)
            case Scalar(name=name):
                self.scalar(name)
            case Access(tensor=tensor):
                if tensor in self.dtypes:
                    self.found.append(self.dtypes[tensor])
            case Place() | Compare():
                return
            case Call(function="where", args=(_, yes, no)):
                self.take(yes)
                self.take(no)
            case _:
                if isinstance(node, Div) or (
                    isinstance(node, Call) and node.function in FRACTIONAL
                ):
                    self.fractions = True
                for child in children(node):
                    self.take(child)

    def joint(self) -> DType:
        return promoted([np.dtype(dtype) for dtype in self.found])

    def arithmetic(self) -> DType:
        fractions = self.fractions or any(isinstance(number, float) for number in self.numbers)
        return arithmetic(self.found, fractions=fractions)


def compared_in(
    node: Compare,
    dtypes: Mapping[str, np.typing.DTypeLike],
    constants: Mapping[str, int | float] | None = None,
) -> DType:
    """Type that the two sides of a comparison are computed in."""
    made = _Taking(dtypes, constants or {})
    for side in (node.left, node.right):
        if not isinstance(side, Affine):
            made.take(side)
    return made.arithmetic()


def compared_apart(
    node: Compare,
    dtypes: Mapping[str, np.typing.DTypeLike],
    constants: Mapping[str, int | float] | None = None,
) -> tuple[str, ...]:
    """Types of the two sides where one is uint64 and the other a signed integer; else nothing.

    NumPy has no integer type for both, and compares their values exactly.
    """
    found = []
    for side in (node.left, node.right):
        made = _Taking(dtypes, constants or {})
        if isinstance(side, Literal) and side.value >= 0:
            return ()
        if not isinstance(side, Affine):
            made.take(side)
        found.append(made.arithmetic())
    kinds = {dtype.kind for dtype in found}
    return tuple(dtype.name for dtype in found) if kinds == {"i", "u"} else ()


def form_result(
    form: Form,
    dtypes: Mapping[str, np.typing.DTypeLike],
    constants: Mapping[str, int | float] | None = None,
) -> DType:
    """Type of the result of ``form``; see `form_types`."""
    return form_types(form, dtypes, constants)[1]


def identity(reduction: str, dtype: np.typing.DTypeLike) -> int | float:
    """Value of an empty reduction, one of ``+ * max min | &``, in ``dtype``.

    The largest and smallest of nothing are the ends of the type: infinities for floats, the
    least and greatest integer for integers.
    """
    if reduction in ("+", "|"):
        return 0
    if reduction in ("*", "&"):
        return 1
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return -np.inf if reduction == "max" else np.inf
    if kind.kind == "b":
        return 0 if reduction == "max" else 1
    ends = np.iinfo(kind)
    return int(ends.min) if reduction == "max" else int(ends.max)
