"""Geometries on disk: a file for each accounting, shapes and patterns, in the kernels' cache.

A file holds the digest of its key and of what follows, then the pickled geometry.  Only classes of
a geometry are made from it.  The key has the sources of the modules that make one in it, so that
other code makes its own.  A file that is damaged is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from zeroskip.errors import CacheError, TensorError
from zeroskip.formats import density_models
from zeroskip.formats.density import Density
from zeroskip.formats.files import write_whole
from zeroskip.hwmodel.geometry import Geometry
from zeroskip.native import settings
from zeroskip.native.cache import key_of, own_directory

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
    key = key_of(_code(), text, *map(repr, rest), *said)
    found = _read(key)
    if found is None:
        found = make()
        _write(key, found)
    return found


def _path(key: str) -> Path:
    return own_directory(settings.current().cache_dir) / f"expected-{key[:32]}.bin"


def _digest(key: str, held: bytes) -> bytes:
    return hashlib.sha256(key.encode() + held).digest()


def _read(key: str) -> Geometry | None:
    try:
        whole = _path(key).read_bytes()
    except (CacheError, OSError):
        return None
    digest, held = whole[:32], whole[32:]
    if digest != _digest(key, held):
        return None
    with contextlib.suppress(pickle.UnpicklingError, AttributeError, ImportError, TypeError):
        found = _Reader(io.BytesIO(held)).load()
        if isinstance(found, Geometry):
            return found
    return None


def _write(key: str, made: Geometry) -> None:
    """On a full or read-only disk it is made again."""
    held = pickle.dumps(made, protocol=5)
    if len(held) > MOST_BYTES:
        return

    def write(file: IO[bytes]) -> None:
        file.write(_digest(key, held) + held)

    with contextlib.suppress(CacheError, OSError, TensorError):
        write_whole(_path(key), write)


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
