"""C text -> verified shared object on disk.

The cache is one directory of the user's own.  For each key it holds

    KEY.so    the object as the compiler left it, then a trailer: MAGIC and the SHA-256 of
              the key and of every byte before the trailer
    KEY.c     the text that it was made from, for people
    KIND-KEY.bin    what is kept here beside objects (`zeroskip.native.filed`)
    tuned-KEY.json    the fastest schedule of a class of calls (`zeroskip.native.winners`)

The trailer is part of the file, so object and digest become visible in one rename, and ten
processes that build the same kernel at once need no lock: each publishes a whole file, the
last one stays.  An object without a right trailer (truncated, altered, copied under another
name) is built again and never loaded: a truncated object would crash the process.
Loaders ignore what follows the sections of an object, so the trailer needs no removing.

The digest guards against accidents, not against somebody who can write to the directory;
against that stand its owner and mode, which are checked before anything in it is used.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from zeroskip.errors import CacheError, CompilerError
from zeroskip.records import dataclass

# Part of every key: raise it when the meaning of a cached object changes.
RUNTIME_VERSION = "1"

MAGIC = b"ZSKERNEL"
TRAILER_BYTES = len(MAGIC) + hashlib.sha256().digest_size

# The time of last use is refreshed at most this often; trimming needs no finer clock.
TOUCH_SECONDS = 3600
# A build directory, or a temporary file, older than this was left by a process that died.
STALE_SECONDS = 3600
# What the cap counts.
SUFFIXES = (".so", ".c", ".bin", ".json")
# Trimming goes down to this share of the cap, so that it does not run at every build.
TRIM_TO = 0.8


@dataclass(frozen=True, slots=True)
class CachedObject:
    """A shared object whose digest was checked.

    device, inode : of the file that was checked; `is_same_file` tells whether ``path``
        still leads there.
    """

    key: str
    path: Path
    device: int
    inode: int

    def is_same_file(self) -> bool:
        try:
            now = os.stat(self.path)
        except OSError:
            return False
        return (now.st_dev, now.st_ino) == (self.device, self.inode)


def key_of(*parts: str) -> str:
    """SHA-256, in hexadecimal, of the parts and of where each ends."""
    digest = hashlib.sha256()
    for part in (RUNTIME_VERSION, *parts):
        data = part.encode()
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


def own_directory(path: Path) -> Path:
    """Create ``path`` for this user alone (0700) where it is absent, and check it.

    Raises CacheError where it is no directory, belongs to another user, or may be written
    to by others: whoever can write there can run code in this process.
    """
    try:
        try:
            found = os.stat(path)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):  # by another process; or it is a link
                os.makedirs(path.parent, mode=0o700, exist_ok=True)
                os.mkdir(path, 0o700)
            found = os.stat(path)
    except OSError as cause:
        raise _explained(cause, path, "create") from cause
    if not stat.S_ISDIR(found.st_mode):
        raise CacheError(f"the kernel cache {path} is not a directory{_ELSEWHERE}")
    if hasattr(os, "geteuid"):
        if found.st_uid != os.geteuid():
            raise CacheError(
                f"the kernel cache {path} belongs to user {found.st_uid}, and this process runs"
                f" as user {os.geteuid()}: its kernels are not loaded{_ELSEWHERE}"
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CacheError(
                f"the kernel cache {path} may be written to by other users"
                f" (mode {stat.S_IMODE(found.st_mode):04o}): its kernels are not loaded\n"
                f"Run  chmod 700 {path}  if nobody else has used it,"
                " or set ZEROSKIP_CACHE_DIR to a directory of your own."
            )
    return path


@contextlib.contextmanager
def workplace(directory: Path) -> Iterator[Path]:
    """A directory of its own in ``directory``, removed with all that it then holds.

    As `tempfile.TemporaryDirectory`, which takes longer to import than to make one.
    """
    place = directory / f"build-{os.urandom(8).hex()}"
    os.mkdir(place, 0o700)
    try:
        yield place
    finally:
        _clear(place)


class Cache:
    """The kernels in one directory.

    directory : created, and checked, when the object is made.
    cap_bytes : what `trim` keeps the directory under.

    Safe to use from several threads and processes at once.
    """

    def __init__(self, directory: Path, cap_bytes: int) -> None:
        self.directory = own_directory(directory)
        self.cap_bytes = cap_bytes

    def object_path(self, key: str) -> Path:
        return self.directory / f"{key}.so"

    def source_path(self, key: str) -> Path:
        return self.directory / f"{key}.c"

    def get(self, key: str, c_text: str, compiler: Callable[[Path, Path], None]) -> CachedObject:
        """The object of ``key``: the cached one if it is whole, else built now.

        compiler : called with the path of the C text and the path to leave the object at.
        Raises CacheError where the directory cannot be used, and CompilerError.
        """
        return self.find(key) or self.build(key, c_text, compiler)

    def find(self, key: str) -> CachedObject | None:
        """The cached object of ``key``, its digest checked; None if absent or damaged."""
        path = self.object_path(key)
        try:
            with open(path, "rb", opener=_open_itself) as file:
                about = os.fstat(file.fileno())
                data = file.read()
        except OSError:
            return None
        if not is_whole(key, data):
            return None
        if time.time() - about.st_mtime > TOUCH_SECONDS:
            touch(path)
        return CachedObject(key, path, about.st_dev, about.st_ino)

    def build(self, key: str, c_text: str, compiler: Callable[[Path, Path], None]) -> CachedObject:
        """Compile ``c_text`` and publish it under ``key``, whatever was there before."""
        source = self.source_path(key)
        try:
            with workplace(self.directory) as place:
                built = place / source.name
                built.write_text(c_text, encoding="utf-8")
                os.replace(built, source)
                built = place / f"{key}.so"
                compiler(source, built)
                about = _seal(key, built)
                os.replace(built, self.object_path(key))
        except OSError as cause:
            raise _explained(cause, self.directory, "write to") from cause
        except CompilerError as cause:
            if _is_full(self.directory) or os.strerror(errno.ENOSPC) in str(cause):
                full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                raise _explained(full, self.directory, "write to") from cause
            raise
        if key[0] == "0":  # one build in sixteen, without a counter to share
            self.trim(keep=key)
        return CachedObject(key, self.object_path(key), about.st_dev, about.st_ino)

    def entries(self) -> dict[str, tuple[float, int]]:
        """Key -> (time of last use in seconds since the epoch, bytes of its files)."""
        found: dict[str, tuple[float, int]] = {}
        with os.scandir(self.directory) as places:
            for place in places:
                key, suffix = os.path.splitext(place.name)
                if suffix in SUFFIXES and not key.startswith("toolchain-"):
                    try:
                        about = place.stat(follow_symlinks=False)
                    except OSError:
                        continue  # removed by another process since it was listed
                    used, size = found.get(key, (0.0, 0))
                    found[key] = max(used, about.st_mtime), size + about.st_size
        return found

    def trim(self, keep: str = "") -> int:
        """Remove what was used least recently if the cap is passed; return how many keys.

        A kernel that a process has loaded goes on working there.  ``keep`` stays.
        """
        self._remove_stale_builds()
        entries = self.entries()
        total = sum(size for _, size in entries.values())
        if total <= self.cap_bytes:
            return 0
        removed = 0
        for key, (_, size) in sorted(entries.items(), key=lambda entry: entry[1]):
            if total <= TRIM_TO * self.cap_bytes:
                break
            if key != keep:
                self.remove(key)
                total -= size
                removed += 1
        return removed

    def remove(self, key: str) -> None:
        """Forget ``key``; nothing happens where it is absent or cannot be removed."""
        for suffix in SUFFIXES:
            with contextlib.suppress(OSError):
                os.unlink(self.directory / f"{key}{suffix}")

    def _remove_stale_builds(self) -> None:
        for place in (*self.directory.glob("build-*"), *self.directory.glob("*.tmp")):
            try:
                about = place.lstat()
            except OSError:
                continue
            if time.time() - about.st_mtime <= STALE_SECONDS:
                continue
            if stat.S_ISDIR(about.st_mode):
                _clear(place)
            else:
                with contextlib.suppress(OSError):
                    place.unlink()


def is_whole(key: str, data: bytes) -> bool:
    """Whether ``data`` is an object of ``key`` with its trailer, every byte as it was built."""
    view = memoryview(data)
    body, trailer = view[:-TRAILER_BYTES], view[-TRAILER_BYTES:]
    return len(trailer) == TRAILER_BYTES and trailer == MAGIC + _digest(key, body)


def refuses_to_execute(directory: Path) -> bool:
    """Whether the file system of ``directory`` is mounted noexec; False where unknown."""
    try:
        return bool(os.statvfs(directory).f_flag & os.ST_NOEXEC)
    except (OSError, AttributeError):
        return False


_ELSEWHERE = "\nSet ZEROSKIP_CACHE_DIR to a directory that only this user may write to."


def _clear(place: Path) -> None:
    """Remove a directory and what is in it; what cannot be removed stays until it is stale."""
    try:
        with os.scandir(place) as left:
            for one in left:
                os.unlink(one.path)
        os.rmdir(place)
    except OSError:  # a compiler that keeps a directory there, say
        import shutil

        shutil.rmtree(place, ignore_errors=True)


def _digest(key: str, body: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(key.encode())
    digest.update(body)
    return digest.digest()


def _seal(key: str, path: Path) -> os.stat_result:
    """Append the trailer, bring the file to the disk, and take every right but reading away."""
    with open(path, "r+b") as file:
        body = file.read()
        file.write(MAGIC + _digest(key, body))
        file.flush()
        os.fsync(file.fileno())
        if hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), 0o500)
        return os.fstat(file.fileno())


def _open_itself(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def touch(path: Path) -> None:
    """Note that it was used now."""
    with contextlib.suppress(OSError):  # a read-only cache still serves
        os.utime(path)


def _is_full(directory: Path) -> bool:
    import shutil

    try:
        return shutil.disk_usage(directory).free < 2**16
    except OSError:
        return False


def _explained(cause: OSError, directory: Path, deed: str) -> CacheError:
    match cause.errno:
        case errno.ENOSPC | errno.EDQUOT:
            why = "its disk is full, or its quota is used up\nFree some space, or set"
        case errno.EROFS:
            why = "its file system is read-only\nSet"
        case errno.EACCES | errno.EPERM:
            why = "permission denied: it is read-only for this user\nSet"
        case _:
            why = f"{cause.strerror or cause}\nSet"
    return CacheError(
        f"cannot {deed} the kernel cache {directory}: {why} ZEROSKIP_CACHE_DIR to a directory"
        " that only this user may write to."
    )
