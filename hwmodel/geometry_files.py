"""Geometries on disk: one for each accounting, shapes and patterns, in the kernels' cache.

They are pickled, and only classes of a geometry are made from what is read.  The key has the
sources of the modules that make one in it, so that other code makes its own.
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
from zeroskip.hwmodel.geometry import Geometry
from zeroskip.native.filed import recall, remember

MOST_BYTES = 2**22
"""A geometry that takes more is made again in each process."""

SOURCES = ("evaluate", "expected", "geometry", "order_statistics", "plan", "spread")
CLASSES = {
    "zeroskip.hwmodel.geometry",
    "zeroskip.hwmodel.spread",
    "zeroskip.formats.density_models",
}
NUMPY = {"_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"}


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
    said = [f"{name} {density!r}" for name, density in drawn]
    said += [d.measured.counts.hex() for _, d in drawn if d.measured is not None]
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
    with contextlib.suppress(pickle.UnpicklingError, AttributeError, ImportError, TypeError):
        found = _Reader(io.BytesIO(held)).load()
        if isinstance(found, Geometry):
            return found
    return None


class _Reader(pickle.Unpickler):
    """Makes nothing but what a geometry is made of."""

    def find_class(self, module: str, name: str) -> Any:
        numpy = module.split(".")[0] == "numpy" and name in NUMPY
        if not numpy and module not in CLASSES and (module, name) != ("builtins", "frozenset"):
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a geometry")
        return super().find_class(module, name)


@lru_cache(maxsize=1)
def _code() -> str:
    """What the modules that make a geometry are, as a text."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in (Path(density_models.__file__), *(here / f"{name}.py" for name in SOURCES)):
        digest.update(path.read_bytes())
    return digest.hexdigest()
