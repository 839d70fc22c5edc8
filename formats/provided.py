"""Where a `Tensor` gets its arithmetic from.

Arithmetic is Einsums, which this room knows nothing of: the package hands it in with `provide`
when it is imported, and it is loaded when it is first used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_load: Callable[[], Any] | None = None


def provide(load: Callable[[], Any]) -> None:
    """Say where arithmetic comes from.

    load : gives an object with ``apply(ufunc, method, operands, options)``,
        ``call(function, operands, options)`` and ``reduce(name, tensor, axis, …)``; called at
        each use.
    """
    global _load
    _load = load


def arithmetic() -> Any:
    assert _load is not None, "zeroskip/__init__.py provides it"
    return _load()
