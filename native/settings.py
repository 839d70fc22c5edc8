"""What a user may set: the compiler, the cache of kernels, the number of threads.

A value comes from `configure`, else from the environment, else from the defaults below.
The environment is read once, when a setting is first asked for.

    ZEROSKIP_CC                 C compiler, with its flags if any: "gcc-13", "ccache clang"
    ZEROSKIP_CACHE_DIR          directory of compiled kernels
    ZEROSKIP_CACHE_MB           size that the directory is kept under, in MiB
    ZEROSKIP_THREADS            most threads that a kernel may use
    ZEROSKIP_COMPILE_TIMEOUT    seconds after which a compiler is taken to hang
    ZEROSKIP_VECTOR_BYTES       width of the kernels' vectors: 16, 32 or 64
    ZEROSKIP_KEPT_MB            memory that large results leave to later ones, in MiB; 0 for none
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from zeroskip.errors import ZeroskipError
from zeroskip.native.recent import Recent
from zeroskip.records import dataclass

MAX_THREADS = 1024
DEFAULT_CACHE_BYTES = 512 * 2**20
DEFAULT_KEPT_BYTES = 256 * 2**20
DEFAULT_TIMEOUT_S = 120.0


class SettingError(ZeroskipError):
    """A setting whose value cannot be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One consistent set of settings.

    compiler : command of the C compiler, or None to look for one.
    cache_dir : directory of compiled kernels; absolute, of the user's own.
    cache_bytes : size that ``cache_dir`` is kept under; at least 1 MiB.
    threads : most threads that a kernel may use, 1 to 1024.
    compile_timeout_s : seconds after which a compiler is taken to hang; positive.
    vector_bytes : width of the kernels' vectors, 16, 32 or 64; None for the widest of the machine.
    kept_bytes : most memory that is kept of large results that nobody holds any more, for later
        ones; 0 for none.

    Raises SettingError where a value is of the wrong type or out of its range.
    """

    compiler: str | None
    cache_dir: Path
    cache_bytes: int
    threads: int
    compile_timeout_s: float
    vector_bytes: int | None = None
    kept_bytes: int = DEFAULT_KEPT_BYTES

    def __post_init__(self) -> None:
        if self.compiler is not None:
            _expect(
                isinstance(self.compiler, str) and self.compiler.strip() != "",
                "compiler",
                "a command such as 'gcc', or None to look for one",
                self.compiler,
            )
        _expect(
            isinstance(self.cache_dir, Path) and self.cache_dir.is_absolute(),
            "cache_dir",
            "an absolute path",
            self.cache_dir,
        )
        _expect(
            _is_int(self.cache_bytes) and self.cache_bytes >= 2**20,
            "cache_bytes",
            f"a whole number of at least {2**20}",
            self.cache_bytes,
        )
        _expect(
            _is_int(self.threads) and 1 <= self.threads <= MAX_THREADS,
            "threads",
            f"a whole number from 1 to {MAX_THREADS}",
            self.threads,
        )
        _expect(
            isinstance(self.compile_timeout_s, int | float)
            and not isinstance(self.compile_timeout_s, bool)
            and 0 < self.compile_timeout_s < float("inf"),
            "compile_timeout_s",
            "a positive number of seconds",
            self.compile_timeout_s,
        )
        _expect(
            self.vector_bytes in (None, 16, 32, 64) and self.vector_bytes is not True,
            "vector_bytes",
            "16, 32, 64, or None for the widest of the machine",
            self.vector_bytes,
        )
        _expect(
            _is_int(self.kept_bytes) and self.kept_bytes >= 0,
            "kept_bytes",
            "a whole number of at least 0",
            self.kept_bytes,
        )


NAMES = tuple(field.name for field in fields(Settings))


@dataclass(slots=True, eq=False)
class _Block:
    """A ``with`` block of `using` that is open, and what was changed in it."""

    thread: int
    changes: dict[str, Any]


_lock = threading.RLock()
_outside: Settings | None = None
"""What is in force outside of every block; None until the environment is read."""

_blocks: list[_Block] = []
"""Those that are open, in the order in which they were entered, of all threads: what they change is
put on each other, so that any of them can end first."""

_current: Settings | None = None

_made: Recent[tuple[object, ...], Settings] = Recent(64)
"""By what was in force and what was changed of it: calls under settings that were met before find
their kernels by the very object."""


def current() -> Settings:
    """The settings in force."""
    return _taken() if _current is None else _current


def _taken(**changes: Any) -> Settings:
    """Find anew what is in force, with changes outside of every block."""
    global _outside, _current
    with _lock:
        if _outside is None:
            _outside = from_environment(os.environ)
        _outside = found = _changed(_outside, changes)
        for block in _blocks:
            found = _changed(found, block.changes)
        _current = found
        return found


def configure(**changes: Any) -> Settings:
    """Change settings for the whole process, or until the block of `using` ends in which this
    thread is; return those now in force.

    changes : fields of `Settings`; ``cache_dir`` may be a string, and ``~`` is expanded.
    Raises SettingError, changing nothing, for an unknown name or an unusable value.
    """
    given = _read(changes)
    with _lock:
        _changed(current(), given)
        mine = [block for block in _blocks if block.thread == threading.get_ident()]
        if not mine:
            return _taken(**given)
        mine[-1].changes.update(given)
        return _taken()


def _read(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes, a path as what it means now."""
    for name in changes:
        if name not in NAMES:
            raise SettingError(f"there is no setting {name!r}; there are {', '.join(NAMES)}")
    given = dict(changes)
    if isinstance(given.get("cache_dir"), str | os.PathLike):
        given["cache_dir"] = _path("cache_dir", os.fspath(given["cache_dir"]))
    return given


def _changed(before: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with these changes; without any, the very object."""
    if not changes:
        return before
    key = before, *((name, type(value), value) for name, value in changes.items())
    try:
        found = _made.get(key)
    except TypeError:  # no value of a setting, and refused here
        return replace(before, **changes)
    return _made.keep(key, replace(before, **changes)) if found is None else found


@contextmanager
def using(**changes: Any) -> Iterator[Settings]:
    """`configure` for the length of a ``with`` block; for the whole process, as there.

    Blocks of several threads may overlap: each takes back what it changed, and nothing else.
    """
    block = _Block(threading.get_ident(), _read(changes))
    with _lock:
        _changed(current(), block.changes)
        _blocks.append(block)
        inside = _taken()
    try:
        yield inside
    finally:
        with _lock:
            _blocks.remove(block)
            _taken()


def reload() -> Settings:
    """Read the environment again: as `configure` with every setting as it says."""
    fresh = from_environment(os.environ)
    return configure(**{name: getattr(fresh, name) for name in NAMES})


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Settings by ``environ`` and the defaults.  An empty variable counts as unset."""
    timeout = _number(environ, "ZEROSKIP_COMPILE_TIMEOUT", float, "a number of seconds")
    megabytes = _number(environ, "ZEROSKIP_CACHE_MB", int, "a whole number of MiB")
    threads = _number(environ, "ZEROSKIP_THREADS", int, "a whole number")
    vectors = _number(environ, "ZEROSKIP_VECTOR_BYTES", int, "16, 32 or 64")
    kept = _number(environ, "ZEROSKIP_KEPT_MB", int, "a whole number of MiB")
    directory = environ.get("ZEROSKIP_CACHE_DIR")
    return Settings(
        compiler=environ.get("ZEROSKIP_CC") or None,
        cache_dir=(
            _path("ZEROSKIP_CACHE_DIR", directory)
            if directory
            else default_cache_dir(environ, sys.platform)
        ),
        cache_bytes=DEFAULT_CACHE_BYTES if megabytes is None else megabytes * 2**20,
        threads=usable_cpus() if threads is None else threads,
        compile_timeout_s=DEFAULT_TIMEOUT_S if timeout is None else timeout,
        vector_bytes=vectors,
        kept_bytes=DEFAULT_KEPT_BYTES if kept is None else kept * 2**20,
    )


def default_cache_dir(environ: Mapping[str, str], platform: str) -> Path:
    """Where this platform keeps a user's caches, plus ``zeroskip``.

    Linux and others: $XDG_CACHE_HOME where it is absolute (the XDG specification has a
    relative one ignored), else ~/.cache.  macOS: ~/Library/Caches.  Windows: %LOCALAPPDATA%.
    """
    if platform == "win32":
        local = environ.get("LOCALAPPDATA")
        return (Path(local) if local else _home() / "AppData" / "Local") / "zeroskip" / "Cache"
    if platform == "darwin":
        return _home() / "Library" / "Caches" / "zeroskip"
    xdg = environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if os.path.isabs(xdg) else _home() / ".cache") / "zeroskip"


def usable_cpus() -> int:
    """CPUs that this process may run on; an affinity mask counts, a cgroup's quota does not."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_THREADS)
    return min(os.cpu_count() or 1, MAX_THREADS)


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as cause:
        raise SettingError(
            "this user has no home directory to keep compiled kernels in\n"
            "Set ZEROSKIP_CACHE_DIR to a directory that only this user may write to."
        ) from cause


def _path(name: str, value: str) -> Path:
    try:
        path = Path(value).expanduser()
    except RuntimeError as cause:
        raise SettingError(f"{name}={value!r} names the home of an unknown user") from cause
    return Path(os.path.abspath(path))


def _number(
    environ: Mapping[str, str], name: str, kind: Callable[[str], Any], expected: str
) -> Any:
    text = environ.get(name)
    if not text:
        return None
    try:
        return kind(text)
    except ValueError as cause:
        raise SettingError(f"{name}={text!r}: expected {expected}") from cause


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _expect(holds: bool, name: str, expected: str, found: object) -> None:
    if not holds:
        raise SettingError(f"setting {name}: expected {expected}, found {found!r}")
