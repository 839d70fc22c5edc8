"""Spellings of ``pad=`` into one: tensor -> (lo, hi) of every axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any

from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import variables
from zeroskip.errors import EinsumError

#: (places before the first, places behind the last) of one axis; they read as 0.
Pair = tuple[int, int]
Pads = dict[str, tuple[Pair, ...]]

#: What ``pad=`` takes: places on each side, a pair, or these by tensor and by axis.
PadLike = int | Sequence[int] | Mapping[str, Any] | None

_BOOK = {"h": ("p", "r"), "w": ("q", "s")}
_HINT = 'Write pad=1, pad={"I": 1} or pad={"I": {"h": (1, 1), 3: 1}}.'


def normalise(pad: PadLike, forms: Sequence[Form]) -> Pads:
    """Padding of each tensor that the forms read and that has axes.

    An int or a pair pads every axis whose subscript holds two or more index variables.
    ``"value": "skip"`` beside the axes of a tensor leaves its padding out of reductions, as in
    max pooling; else, or with ``"value": 0``, it is 0.

    In ``pad={tensor: {axis: ...}}`` an axis is its number, an index variable of its
    subscript, or the book's h (the axis of p or r) or w (of q or s).

    Raises
    ------
    EinsumError
        For a tensor or axis that is not there, a negative or fractional number of
        places, or padding that pads nothing.
    """
    reads = read_accesses(forms)
    pads: dict[str, dict[int, Pair]] = {name: {} for name in reads}
    if isinstance(pad, Mapping):
        for name, spec in pad.items():
            if name not in reads:
                raise EinsumError(
                    f"pad names {name}, which no line reads; operands: {', '.join(reads)}",
                    hint=_HINT,
                )
            pads[name] = _of_tensor(name, spec, reads[name])
    elif pad is not None:
        pair = _pair(pad, "pad")
        for name, found in reads.items():
            pads[name] = dict.fromkeys(_windows(found), pair)
        if pair != (0, 0) and not any(pads.values()):
            raise EinsumError(
                f"pad={pad!r} pads nothing: no subscript has two index variables, such as p+r",
                hint='Name the tensor and the axis: pad={"I": {"h": 1}}.',
            )
    return {
        name: tuple(pads[name].get(axis, (0, 0)) for axis in range(len(found[0].subscripts)))
        for name, found in reads.items()
    }


def skipped_tensors(pad: PadLike) -> frozenset[str]:
    """Tensors whose padding is left out: ``pad={"I": {"h": 1, "value": "skip"}}``."""
    if not isinstance(pad, Mapping):
        return frozenset()
    found = []
    for name, spec in pad.items():
        value = spec.get("value", 0) if isinstance(spec, Mapping) else 0
        if value == "skip":
            found.append(name)
        elif value != 0 or isinstance(value, str | bool):
            raise EinsumError(
                f'pad of {name}: expected the value 0 or "skip", found {value!r}',
                hint="Pad the operand yourself with any other value.",
            )
    return frozenset(found)


def read_accesses(forms: Sequence[Form]) -> dict[str, list[Access]]:
    """Tensor -> its accesses on right sides, in order of appearance."""
    reads: dict[str, list[Access]] = {}
    for form in forms:
        for access in form.reads:
            reads.setdefault(access.tensor, []).append(access)
    return reads


def _of_tensor(name: str, spec: Any, found: list[Access]) -> dict[int, Pair]:
    if not isinstance(spec, Mapping):
        pair = _pair(spec, f"pad of {name}")
        axes = _windows(found)
        if not axes and pair != (0, 0):
            raise EinsumError(
                f"pad of {name} pads nothing: no subscript of {name} has two index variables",
                hint=f'Name the axis: pad={{"{name}": {{0: {spec!r}}}}}.',
            )
        return dict.fromkeys(axes, pair)
    pads: dict[int, Pair] = {}
    for key, value in spec.items():
        if key == "value":
            continue
        axis = _axis(name, key, found)
        if axis in pads:
            raise EinsumError(f"pad of {name} gives axis {axis} twice", hint=_HINT)
        pads[axis] = _pair(value, f"pad of {name}, axis {key}")
    return pads


def _windows(found: list[Access]) -> list[int]:
    """Axes with a subscript of two or more index variables."""
    return [
        axis
        for axis in range(len(found[0].subscripts))
        if any(len(set(variables(access.subscripts[axis]))) > 1 for access in found)
    ]


def _axis(name: str, key: Any, found: list[Access]) -> int:
    count = len(found[0].subscripts)
    if isinstance(key, str):
        axes = _axes_of(found, (key,)) or _axes_of(found, _BOOK.get(key, ()))
        if len(axes) == 1:
            return axes[0]
        what = f"axes {' and '.join(map(str, axes))} of {name}" if axes else f"no axis of {name}"
        raise EinsumError(
            f"pad of {name}: {key} names {what}",
            hint=f"Give the number of the axis, 0 to {count - 1}.",
        )
    axis = _integer(key, f"pad of {name}: an axis")
    if not -count <= axis < count:
        raise EinsumError(
            f"pad of {name}: axis {axis}, but {name} has {count}",
            hint=f"Give the number of the axis, 0 to {count - 1}.",
        )
    return axis % count


def _axes_of(found: list[Access], names: Sequence[str]) -> list[int]:
    return sorted(
        {
            axis
            for access in found
            for axis, part in enumerate(access.subscripts)
            if not set(names).isdisjoint(variables(part))
        }
    )


def _pair(value: Any, what: str) -> Pair:
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise EinsumError(
                f"{what}: expected places before and behind, found {value!r}", hint=_HINT
            )
        low, high = (_integer(v, what) for v in value)
    else:
        low = high = _integer(value, what)
    if max(low, high) > 2**40:
        raise EinsumError(f"{what}: expected at most 2**40 places, found {value!r}")
    if low < 0 or high < 0:
        raise EinsumError(
            f"{what}: expected 0 or more places, found {value!r}",
            hint="To leave places out, slice the operand.",
        )
    return low, high


def _integer(value: Any, what: str) -> int:
    try:
        return index(value)
    except TypeError:
        raise EinsumError(f"{what}: expected a whole number, found {value!r}", hint=_HINT) from None
