"""Geometries on disk: one for each accounting, shapes and patterns, in the kernels' cache.

They are pickled, and nothing but the classes of a geometry is made from what is read: nothing in a
file is executed.  The key has the sources of this room in it, so that other code makes its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from zeroskip.formats import density_models
from zeroskip.formats.density import Density
from zeroskip.formats.density_models import Blocks, Nested, Part, Tiles
from zeroskip.hwmodel.closed import Closed
from zeroskip.hwmodel.events import Event, Settled
from zeroskip.hwmodel.geometry import Geometry, Scaled, Summed, Total
from zeroskip.hwmodel.maxima import Apart, Either, Largest, Rounded
from zeroskip.hwmodel.spread import Spread
from zeroskip.native.filed import recall, remember

MOST_BYTES = 2**22
"""A geometry that takes more is made again in each process."""

PARTS = {
    (part.__module__, part.__qualname__): part
    for part in (
        *(Geometry, Event, Settled, Closed, Largest, Apart, Either, Total),
        *(Summed, Scaled, Rounded, Spread, Part, Blocks, Nested, Tiles, frozenset),
    )
}
"""What a geometry is made of, beside arrays."""

NUMPY = {("numpy", "ndarray"), ("numpy", "dtype")}
for _core in ("numpy.core", "numpy._core"):
    NUMPY |= {(f"{_core}.multiarray", name) for name in ("_reconstruct", "scalar")}
    NUMPY |= {(f"{_core}.numeric", "_frombuffer")}
"""What NumPy pickles an array or a number as, by the names of its versions."""


def filed(
    text: str,
    rest: Sequence[Any],
    drawn: Sequence[tuple[str, Density]],
    make: Callable[[], Geometry],
) -> Geometry:
    """The geometry of an accounting from its file, or made and written there.

    text, rest : the accounting and what else it depends on, by their representations.
    drawn : the patterns of the operands.
    """
    said = [f"{name} {density.fingerprint}" for name, density in drawn]
    key = _code(), text, *map(repr, rest), *said
    found = _read(recall("expected", *key))
    if found is None:
        found = make()
        held = pickle.dumps(found, protocol=5)
        if len(held) <= MOST_BYTES:
            remember(held, "expected", *key)
    return found


def _read(held: bytes | None) -> Geometry | None:
    if held is None:
        return None
    with contextlib.suppress(Exception):  # of bytes that are no pickle, whatever it comes upon
        found = _Reader(io.BytesIO(held)).load()
        if isinstance(found, Geometry):
            return found
    return None


class _Reader(pickle.Unpickler):
    """Makes nothing but what a geometry is made of."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in PARTS:
            return PARTS[module, name]
        if (module, name) in NUMPY:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a geometry")


@lru_cache(maxsize=1)
def _code() -> str:
    """What this room and the models of densities are, as a text."""
    digest = hashlib.sha256()
    for path in (Path(density_models.__file__), *sorted(Path(__file__).parent.glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()
