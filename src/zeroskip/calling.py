"""Operands of a call, by place and by name; and results as they came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zeroskip.errors import EinsumError
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.torch_io import from_torch, is_torch, shared, to_torch

OPTIONS = (
    "out",
    "format",
    "backend",
    "skip",
    "convert",
    "order",
    "schedule",
    "consts",
    "sizes",
    "pad",
    "optimize",
    "formats",
    "arch",
    "mapping",
    "seed",
)
"""Keywords of calls, which an operand of the same name cannot be passed by."""


def name_operands(
    wanted: tuple[str, ...],
    given: tuple[object, ...],
    named: Mapping[str, object],
    text: str,
    *,
    all_of_them: bool = True,
) -> dict[str, object]:
    """Operands by name, each once; the error says which are missing or too many."""
    if len(given) > len(wanted):
        raise EinsumError(
            f"expected {'' if all_of_them else 'at most '}{len(wanted)} operands "
            f"({', '.join(wanted)}), found {len(given)}",
            text=text,
        )
    found = dict(zip(wanted, given, strict=False))
    for name, operand in named.items():
        if name in found:
            raise EinsumError(f"operand {name} is given twice, by place and by name", text=text)
        if name not in wanted:
            raise EinsumError(
                f"{name} is no operand here; expected {', '.join(wanted) or 'none'}", text=text
            )
        found[name] = operand
    missing = [name for name in wanted if name not in found]
    if missing and all_of_them:
        options = [name for name in missing if name in OPTIONS]
        hint = (
            f"{options[0]}= is an option of the call: pass that operand by place."
            if options
            else None
        )
        raise EinsumError(
            f"operands {', '.join(missing)} are missing; expected {', '.join(wanted)}",
            text=text,
            hint=hint,
        )
    return found


def in_turn(
    wanted: tuple[str, ...], given: tuple[object, ...], named: Mapping[str, object]
) -> tuple[object, ...] | None:
    """Operands in the order in which they are wanted; None where `name_operands` is to say what is
    wrong with them: a missing one among as many names is None in its place."""
    placed = given
    if named:
        placed += tuple(map(named.get, wanted[len(given) :]))
    whole = len(placed) == len(wanted) == len(given) + len(named)
    return placed if whole else None


def by_memory(
    at_once: Callable[[tuple[object, ...], Any], Any], placed: tuple[object, ...], out: Any = None
) -> Any:
    """The result of a call by the shortest way; of operands of which some are dense torch tensors
    by the memory that they are in, and then a torch tensor.  None where another way is to be taken.
    """
    found = at_once(placed, out)
    if found is not None:
        return found
    arrays, some = list(placed), False
    for k, x in enumerate(placed):
        if is_torch(x):
            arrays[k], some = shared(x), True
            if arrays[k] is None:
                return None
    found = at_once(tuple(arrays), memory_of(out)) if some else None
    if found is None or is_torch(out):
        return None if found is None else out
    return to_torch(found)


def memory_of(out: Any) -> Any:
    """What ``out=`` names as an array: a dense torch tensor's memory, else as it came."""
    if is_torch(out) and str(out.layout) == "torch.strided" and not out.is_neg():
        return from_torch(out)
    return out


def like_operands(result: Any, given: Mapping[str, object], out: object = None) -> Any:
    """A dense result as a torch tensor where torch came in: ``out`` itself where it is one."""
    if is_torch(out):
        return out
    if not isinstance(result, Tensor) and any(is_torch(x) for x in given.values()):
        return to_torch(result)
    return result
