"""`evaluate`: a spec and its operands → results.  The one way into this room.

spec, operands ──► extents ──► for each line: signatures ──► kernel ──► arrays
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form

if TYPE_CHECKING:
    from zeroskip.einsum_spec.spec import Spec
from zeroskip.errors import CompilerError, KernelError
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.native import arguments, load
from zeroskip.native.dtypes import LOGICAL, form_arithmetic
from zeroskip.native.emit import SYMBOL, emit
from zeroskip.native.interpret import interpret
from zeroskip.native.lower import Lowered, fill_of, lower
from zeroskip.native.operand import Signature
from zeroskip.native.reference import evaluate_form

Array = NDArray[Any]
Backend = Literal["c", "interpreter", "numpy"]
BACKENDS = ("c", "interpreter", "numpy")


def evaluate(
    spec: Spec,
    operands: Mapping[str, object],
    *,
    backend: Backend = "c",
    out: Array | None = None,
    format: Format | str | None = None,
) -> dict[str, Any]:
    """Every result of a spec, in the order of its lines.

    Parameters
    ----------
    spec : Spec
        One line or a cascade.
    operands : mapping of name to array, Tensor, SciPy matrix or torch tensor
        Shapes as the spec's extents require.
    backend : ``"c"``, ``"interpreter"`` (the loop nest in Python) or ``"numpy"`` (dense)
    out : ndarray, optional
        Where the last result goes; under ``+=`` what it holds is added to.
    format : Format or str, optional
        Format of the last result; None gives an ndarray.

    Returns
    -------
    dict of name to ndarray or Tensor

    Raises
    ------
    EinsumError, TensorError, KernelError
    """
    if backend not in BACKENDS:
        raise KernelError(f"expected a backend of {', '.join(BACKENDS)}, found {backend!r}")
    known = {name: arguments.resolve(name, given) for name, given in operands.items()}
    extents = spec.extents(arguments.shapes(known))
    results: dict[str, Any] = {}
    for line, form in enumerate(spec.forms):
        last = line == len(spec.forms) - 1
        result = run_form(
            form,
            known,
            extents,
            backend=backend,
            out=out if last else None,
            format=format if last else None,
        )
        results[form.target.tensor] = known[form.target.tensor] = result
    return results


def run_form(
    form: Form,
    operands: Mapping[str, arguments.Operand],
    extents: Extents,
    *,
    backend: Backend = "c",
    out: Array | None = None,
    format: Format | str | None = None,
) -> Array | Tensor:
    """The result of one line."""
    used = {name: operands[name] for name in names(form) if name in operands}
    dtype = form_arithmetic(form, {n: x.dtype for n, x in used.items()}, extents.constants)
    shape = extents.shapes[form.target.tensor]
    if form.reduction in LOGICAL:
        used = {name: arguments.densify(x) for name, x in used.items()}
        return _logical(form, used, extents, dtype, backend)
    if format is not None:
        return _sparse_result(form, used, extents, dtype, Format(format), backend, out)
    target = _target(form, shape, dtype, out)
    if backend == "numpy":
        dense = {name: arguments.densify(x) for name, x in used.items()}
        value = evaluate_form(form, dense, extents)
        if out is not None and form.reduction == "+":
            target += value
        else:
            target[...] = value
        return target
    if is_joint(form):
        used = {name: arguments.densify(x) for name, x in used.items()}
    accumulate = out is not None and form.reduction == "+"
    call = prepare(form, used, extents, dtype, accumulate=accumulate)
    run(call, used, extents, {("vals", form.target.tensor): target}, backend)
    return target


def names(form: Form) -> tuple[str, ...]:
    """What the right side names: tensors, and bare names, which may be constants."""
    found: dict[str, None] = {}
    for term in form.terms:
        found.update(dict.fromkeys(a.tensor for a in term.accesses))
        found.update(dict.fromkeys(term.scalars))
    return tuple(found)


def is_joint(form: Form) -> bool:
    """Whether the right side must be evaluated whole at every point, densely."""
    return form.reduction not in (None, "+") or (form.reduction == "+" and form.post is not None)


def _logical(
    form: Form,
    used: Mapping[str, arguments.Operand],
    extents: Extents,
    dtype: np.dtype[Any],
    backend: Backend,
) -> Array:
    """``|=`` and ``&=``: the right side compared with 0, then its maximum or minimum."""
    name = form.target.tensor
    target = np.empty(extents.shapes[name], dtype)
    call = prepare(form, used, extents, dtype)
    run(call, used, extents, {("vals", name): target}, backend)
    return target.astype(np.bool_)


# ---- kernels ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prepared:
    """A kernel for one form over given signatures, in C where a compiler is at hand."""

    lowered: Lowered
    c_text: str
    dtype: np.dtype[Any]


_prepared: dict[tuple[object, ...], Prepared] = {}


def prepare(
    form: Form,
    operands: Mapping[str, arguments.Operand],
    extents: Extents,
    dtype: np.dtype[Any],
    *,
    hits: bool = False,
    accumulate: bool = False,
) -> Prepared:
    """Lower a form once for each set of signatures."""
    signatures = signatures_of(operands, extents)
    key = (form, tuple(signatures.items()), dtype.name, hits, accumulate)
    found = _prepared.get(key)
    if found is None:
        lowered = lower(form, signatures, dtype.name, hits=hits, accumulate=accumulate)
        found = _prepared[key] = Prepared(lowered, emit(lowered.kernel), dtype)
    return found


def signatures_of(
    operands: Mapping[str, arguments.Operand], extents: Extents
) -> dict[str, Signature]:
    found = {}
    for name, operand in operands.items():
        pads = extents.pads.get(name, ())
        padded = tuple(tuple(p) != (0, 0) for p in pads) or (False,) * operand.ndim
        found[name] = arguments.signature(operand, padded)
    return found


def run(
    prepared: Prepared,
    operands: Mapping[str, arguments.Operand],
    extents: Extents,
    extra: Mapping[tuple[object, ...], Array],
    backend: Backend = "c",
) -> None:
    """Fill the slots and run, in C or in the interpreter.

    extra : arrays that are no operand's: the result, its hits, scratch.
    """
    lowered = prepared.lowered
    buffers = [_array(key, operands, extra) for key in lowered.buffers]
    dims = [dim(key, extents) for key in lowered.dims]
    scalars = [operands[name] for name in lowered.scalars]
    numbers = [np.asarray(arguments.densify(x)).item() for x in scalars]
    kernel = _compiled(prepared) if backend == "c" else None
    if kernel is None:
        interpret(lowered.kernel, buffers, dims, numbers)
        return
    kinds = [kind for _, kind in lowered.kernel.parameters]
    reals = [x for x, kind in zip(numbers, kinds, strict=True) if kind == "real"]
    wholes = [int(x) for x, kind in zip(numbers, kinds, strict=True) if kind == "whole"]
    kernel.prepare(buffers, dims, reals, wholes).call()


def _array(
    key: tuple[object, ...],
    operands: Mapping[str, arguments.Operand],
    extra: Mapping[tuple[object, ...], Array],
) -> Array:
    if key in extra:
        return extra[key].reshape(-1)
    operand = operands[str(key[1])]
    if key[0] == "vals":
        return arguments.values(operand)
    assert isinstance(operand, Tensor)
    _, _, k, array = key
    assert isinstance(k, int)
    return operand.levels[k].arrays[str(array)]


def dim(key: tuple[object, ...], extents: Extents) -> int:
    """The integer that a slot of ``zs_args.dim`` stands for."""
    match key:
        case ("extent", str(rank)):
            return extents.ranks[rank]
        case ("axis", str(tensor), int(axis)):
            return extents.shapes[tensor][axis]
        case ("pad", str(tensor), int(axis)):
            return extents.pads[tensor][axis][0]
        case ("constant", str(name)):
            return int(extents.constants[name])
    raise KernelError(f"no integer is called {key}")


def _compiled(prepared: Prepared) -> load.Kernel | None:
    """The kernel in C, or None, said once, where there is no compiler."""
    global _warned
    try:
        return load.load(prepared.c_text, SYMBOL)
    except CompilerError as cause:
        if "pip install zeroskip[cc]" not in str(cause):
            raise
        if not _warned:
            _warned = True
            warnings.warn(
                f"{cause}\nUntil then the interpreter answers, slowly.",
                RuntimeWarning,
                stacklevel=5,
            )
        return None


_warned = False


# ---- results ----------------------------------------------------------------------------


def _target(form: Form, shape: tuple[int, ...], dtype: np.dtype[Any], out: Array | None) -> Array:
    if out is None:
        return np.empty(shape, dtype)
    name = form.target.tensor
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype:
        found = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else type(out)
        raise KernelError(
            f"out= for {name}: expected a {dtype} array of shape {shape}, found {found}\n"
            f"Pass np.empty({shape}, {dtype.name!r})."
        )
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise KernelError(f"out= for {name}: expected a writable C-contiguous array")
    return out


def _sparse_result(
    form: Form,
    operands: Mapping[str, arguments.Operand],
    extents: Extents,
    dtype: np.dtype[Any],
    format: Format,
    backend: Backend,
    out: Array | None,
) -> Tensor:
    """A result in a format: what stored products reach, or after relu what is not zero."""
    name = form.target.tensor
    shape = extents.shapes[name]
    if out is not None:
        raise KernelError(f"{name}: out= and format= cannot both be given")
    if fill_of(form) != 0:
        raise KernelError(
            f"{name} = {form.post}(…) is {fill_of(form):g} where nothing is stored, so a sparse "
            "result would drop values that are not 0\nAsk for a dense result: leave format= out."
        )
    drops = form.post == "relu" or backend == "numpy" or is_joint(form)
    if drops:
        value = run_form(form, operands, extents, backend=backend)
        assert isinstance(value, np.ndarray)
        return Tensor.from_dense(value, format)
    value = np.empty(shape, dtype)
    hit = np.empty(shape, np.uint8)
    call = prepare(form, operands, extents, dtype, hits=True)
    run(call, operands, extents, {("vals", name): value, ("hit", name): hit}, backend)
    coords = np.nonzero(hit)
    return Tensor.from_coords(coords, value[coords], shape, format)
