"""Where a `Tensor` gets its arithmetic from, and where large arrays are encoded in C.

Arithmetic is Einsums, which this room knows nothing of, nor does it know of compilers: the
package hands both in when it is imported, and each is loaded when it is first used.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

IMPORTED_NS = time.time_ns()
"""When the package was imported, in nanoseconds since the epoch: this module is the first of its
rooms, so that a source file that has not changed since is the one that was imported."""

_load: Callable[[], Any] | None = None
_load_codecs: Callable[[], Any] | None = None
_codecs: Any = None


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


def provide_codecs(load: Callable[[], Any]) -> None:
    """Say what encodes, decodes and turns large arrays.

    load : gives an object with ``encode(flat, spec, fibers, extent, fill, columns)``,
        ``decode(level, values, flat, fill, filled)``, ``turn(flat, count, rows, columns)`` and
        ``empty(shape, dtype)``, as in `zeroskip.native.codecs`.
    """
    global _load_codecs, _codecs
    _load_codecs, _codecs = load, None


WORTH_LOADING = 2**18
"""Elements of large arrays, all together, up to which NumPy answers for each: what is in C may
first have to be compiled."""

_met = 0


def codecs(size: int) -> Any:
    """What was handed in, for a large array of ``size`` elements; None where nothing was, or where
    such arrays have not come to `WORTH_LOADING` elements yet, this one among them."""
    global _met, _codecs
    _met += size
    if _load_codecs is None or _met < WORTH_LOADING:
        return None
    if _codecs is None:
        _codecs = _load_codecs()
    return _codecs
