"""Bytes that were made once and are kept in the cache directory, beside the kernels.

For what another room would otherwise make in each process.  A file holds a digest of its key and of
what follows; one that is damaged, or of another key, is none.  They count among what the directory
is kept under.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from typing import IO

from zeroskip.errors import CacheError, TensorError
from zeroskip.formats.files import write_whole
from zeroskip.native import settings
from zeroskip.native.cache import TOUCH_SECONDS, Cache, key_of, own_directory, touch

DIGEST_BYTES = hashlib.sha256().digest_size


def recall(kind: str, *parts: str) -> bytes | None:
    """What was kept under these parts of a key; None where there is nothing, or it is damaged."""
    key = key_of(kind, *parts)
    try:
        path = _path(kind, key)
        whole = path.read_bytes()
        used = path.stat().st_mtime
    except (CacheError, OSError):
        return None
    if time.time() - used > TOUCH_SECONDS:
        touch(path)
    digest, held = whole[:DIGEST_BYTES], whole[DIGEST_BYTES:]
    return held if digest == _digest(key, held) else None


def remember(held: bytes, kind: str, *parts: str) -> None:
    """Keep it; on a full or read-only disk it is made again."""
    key = key_of(kind, *parts)

    def write(file: IO[bytes]) -> None:
        file.write(_digest(key, held) + held)

    with contextlib.suppress(CacheError, OSError, TensorError):
        path = _path(kind, key)
        write_whole(path, write)
        if key[0] == "0":  # as after builds: no kernel may be built for long
            Cache(path.parent, settings.current().cache_bytes).trim(keep=path.stem)


def _path(kind: str, key: str) -> Path:
    return own_directory(settings.current().cache_dir) / f"{kind}-{key[:32]}.bin"


def _digest(key: str, held: bytes) -> bytes:
    return hashlib.sha256(key.encode() + held).digest()
