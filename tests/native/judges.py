"""The judges of a kernel: NumPy on dense copies, the interpreter of the loop nest, the C.

A compiler takes 50 ms to start and 5 ms for a kernel, so `prime` compiles the kernels of many
calls as one file; the calls themselves then go the way that every call goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.spec import Spec
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import dtype_of, is_float
from zeroskip.native import engine, lines, load, settings, settling
from zeroskip.native.arguments import resolve, shapes
from zeroskip.native.emit import emit
from zeroskip.native.interpret import interpret
from zeroskip.native.names import SYMBOL
from zeroskip.native.prepared import Prepared, Slots, invocation
from zeroskip.native.reference import evaluate
from zeroskip.native.texts import INCLUDE

Array = NDArray[Any]

BATCH = 64
PART_NAMES = (
    "zs_load_few",
    "zs_store_few",
    "zs_load_part",
    "zs_store_part",
    "zs_relu_part",
    "zs_load_within",
    "zs_store_within",
    "zs_early",
)
UNROLLED_NAMES = ("zs_walk_unrolled", "zs_run_unrolled", "zs_met", "zs_join")
TURNED_NAMES = ("zs_turn_square", "zs_turn_rows")
EXTREME_NAMES = ("zs_max_lanes", "zs_min_lanes", "zs_lane_max", "zs_lane_min")
LANEWISE_NAMES = ("zs_relu_lanes", "zs_abs_lanes", "zs_truth_lanes")
OWN_NAMES = (
    *("zs_vec", "LANES", "zs_add_columns"),
    *(*PART_NAMES, *UNROLLED_NAMES, *TURNED_NAMES, *EXTREME_NAMES, *LANEWISE_NAMES),
)
"""What each kernel has a definition of its own of, by macros of headers."""

OWN = re.compile(
    r"^[^;]*\b(?:void|int32_t|zs_vec) ((?:tile|slide)_\w+|zs_(?:store|load)_\w+)\(", re.MULTILINE
)
FLOAT64 = 1e-12
FLOAT32 = 1e-5
FLOAT16 = 2.0**-11
BFLOAT16 = 2.0**-8
"""Errors allowed, of the sum of the magnitudes of all products."""


@dataclass(frozen=True)
class Call:
    """One evaluation, and what NumPy says of it.

    want : the dense result, computed in float64 or in integers.
    scale : the sum of magnitudes that each element of it is made of; unused for integers.
    """

    spec: Spec
    operands: Mapping[str, Any]
    want: Array
    scale: Array | float = 1.0

    def __str__(self) -> str:
        stored = [
            f"{name}: {x.dtype} {x.shape} {x.format if isinstance(x, Tensor) else 'ndarray'}"
            for name, x in self.operands.items()
        ]
        return f"{self.spec.text}  |  {', '.join(stored)}"


def check(calls: Sequence[Call], backends: Sequence[str] = ("c", "interpreter")) -> None:
    """Every call gives what NumPy says, in C and in the interpreter."""
    if "c" in backends:
        prime(prepare(call)[0].c_text for call in calls)
    for call in calls:
        for backend in backends:
            got = engine.evaluate(call.spec, call.operands, backend=backend)
            agree(call, got[call.spec.results[-1]], backend)


def wanted(spec: Spec, case: Any) -> Array:
    """What NumPy says of a random case; the interpreter, where an infinite fill absorbs what NumPy
    makes NaN of."""
    if case.infinite:
        return np.asarray(engine.evaluate(spec, case.stored, backend="interpreter")["O"])
    return evaluate(spec, case.dense)["O"]


def agree(call: Call, got: Any, who: str) -> None:
    """``got`` is the call's result, within the errors that its type allows."""
    assert isinstance(got, np.ndarray), f"{who}: {call}"
    assert got.shape == call.want.shape, f"{who}: {call}: {got.shape} for {call.want.shape}"
    assert is_float(got.dtype) == is_float(call.want.dtype), f"{who}: {call}: {got.dtype}"
    if not is_float(got.dtype):
        assert np.array_equal(got, call.want), f"{who}: {call}\n{got}\nwant\n{call.want}"
        return
    relative = {"float32": FLOAT32, "float16": FLOAT16, "bfloat16": BFLOAT16}.get(
        got.dtype.name, FLOAT64
    )
    with np.errstate(invalid="ignore"):
        wrong = np.abs(got - call.want) > relative * call.scale
    wrong &= ~(np.isnan(got) & np.isnan(call.want))
    wrong |= np.isnan(got) != np.isnan(call.want)
    assert not wrong.any(), f"{who}: {call}\n{got[wrong]}\nwant\n{call.want[wrong]}"


# ---- kernels ----------------------------------------------------------------------------


def line_of(spec: Spec, operands: Mapping[str, Any]) -> lines.Line:
    """The one line of a spec with its operands, as the engine sees it."""
    (form,) = spec.forms
    known = {name: resolve(name, given) for name, given in operands.items()}
    return lines.line_of(form, known, spec.extents(shapes(known)))


def prepare(call: Call) -> tuple[Prepared, Slots]:
    """The kernel that the engine takes for a call, its slots filled."""
    line = line_of(call.spec, call.operands)
    return settling.scheduled(line, np.empty(line.shape, line.stored))


def counted(prepared: Prepared) -> Prepared:
    """The same kernel, counting its multiplications."""
    text = emit(prepared.lowered.kernel, count_work=True)
    return Prepared(prepared.lowered, text, prepared.dtype)


def count(prepared: Prepared, filled: Slots, backend: str) -> int:
    """Multiplications of two operands that a kernel executes; its result is computed too."""
    if backend == "interpreter":
        kernel = prepared.lowered.kernel
        return interpret(kernel, filled.buffers, filled.dims, filled.parameters)
    call = invocation(counted(prepared), filled)
    assert call is not None
    return call.call()


def batch(texts: Sequence[str]) -> str:
    """Many kernels as one C file: kernel k is called ``zs_kernel_k``."""
    parts = list(dict.fromkeys(found[0] for text in texts for found in INCLUDE.finditer(text)))
    for k, text in enumerate(texts):
        text = INCLUDE.sub("", text)
        own = [SYMBOL, *OWN_NAMES, *re.findall(OWN, text)]
        renamed = re.sub(rf"\b({'|'.join(own)})\b", rf"\1_{k}", text)
        defines = r"^ZS_DEFINE_(?:PARTS|COLUMNS|EXTREMES|LANEWISE|JOINED|TURNED|UNROLLED)\(.*$"
        parts.append(re.sub(defines, partial(_parts, k), renamed, flags=re.M))
    return "\n".join(parts)


def _parts(k: int, found: re.Match[str]) -> str:
    """The functions that a macro of a header defines, by the names of kernel k."""
    renamed = [f"#define {name} {name}_{k}" for name in OWN_NAMES]
    return "\n".join([*renamed, found[0], *(f"#undef {name}" for name in OWN_NAMES)])


def prime(texts: Iterable[str]) -> None:
    """Compile kernels together, and have the loader know each of them."""
    now = settings.current()
    keys = {t: (t, SYMBOL, (), now.compiler, now.cache_dir) for t in dict.fromkeys(texts)}
    left = [t for t, key in keys.items() if key not in load._loaded]
    for start in range(0, len(left), BATCH):
        some = left[start : start + BATCH]
        together = batch(some)
        for k, text in enumerate(some):
            load._loaded[keys[text]] = load.load(together, f"{SYMBOL}_{k}")


# ---- data -------------------------------------------------------------------------------


def sparse(
    rng: np.random.Generator, shape: Sequence[int], dtype: str = "float64", density: float = 0.4
) -> Array:
    """Numbers at random places, with an empty fiber along every axis that has room for one."""
    shape = tuple(shape)
    if dtype == "bool":
        array: Array = np.ones(shape, bool)
    elif "float" in dtype:
        array = rng.standard_normal(shape) + np.sign(rng.standard_normal(shape))
        array = array.astype(dtype_of(dtype))
    else:
        array = rng.integers(1, 9, shape)
        if not dtype.startswith("u"):
            array *= rng.choice([-1, 1], shape)
        array = array.astype(dtype)
    array[rng.random(shape) >= density] = 0
    for axis, extent in enumerate(shape):
        if extent > 2 and len(shape) > 1:
            array[(slice(None),) * axis + (int(rng.integers(extent)),)] = 0
    return array


def dense_copy(x: Array | Tensor) -> Array:
    return x.toarray() if isinstance(x, Tensor) else x


def stored_mask(x: Array | Tensor) -> Array:
    """1 where an operand stores something, bridges and explicit zeros included."""
    if not isinstance(x, Tensor):
        return np.ones(x.shape, np.int64)
    from zeroskip.formats.expand import axis_coordinates, expand

    mask = np.zeros(x.shape, np.int64)
    coords = axis_coordinates(expand(x.levels), x.shape, Format(x.format))
    np.add.at(mask, tuple(coords), 1)
    return mask
