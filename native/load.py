"""C text -> a kernel that can be called: compile or find it, dlopen, fill the struct.

A kernel is called through cffi in ABI mode, which needs no compiler of its own and releases
the GIL for the length of the call.  The struct is that of c/zs_kernel.h, which tools/abi.py has
written down for cffi in abi.py, so that no process has to parse C.

    kernel = load(c_text, "zs_kernel")
    run = kernel.prepare(buffers=[x, w, y], dims=[64, 128])
    run.call()                              # again and again; refresh only what changed:
    run.set_buffers([x2], first=0)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import _cffi_backend
import numpy as np

from zeroskip.errors import CacheError, KernelError
from zeroskip.formats.values import as_bits
from zeroskip.native import settings, toolchain
from zeroskip.native.abi import ffi
from zeroskip.native.cache import Cache, CachedObject, refuses_to_execute
from zeroskip.native.interruption import StillRunning, can_be_interrupted, interruptible
from zeroskip.native.recent import Recent
from zeroskip.native.texts import constants, whole_text

KERNEL, BYTES = ffi.typeof("int32_t (*)(zs_args *)"), ffi.typeof("char[]")

# Loading is tried again where another process replaced or removed the object meanwhile.
ATTEMPTS = 5

# Kernels of one process, some 100 kB each with their texts; one that is in use stays loaded.
MOST_KERNELS = 1024

REASONS: Final = {
    "ZS_EVERSION": "it was compiled for another version of the argument struct",
    "ZS_ERANGE": "a coordinate lies outside its rank",
    "ZS_ECOLLISION": "two points write the same place of the result of a plain '='",
    "ZS_EINTERNAL": "it contradicts itself, which is a fault of zeroskip",
    "ZS_ESTOPPED": "it was stopped",
}


Through = Callable[[Any, Any], int]
"""Given a kernel's function and its arguments: what the function returns."""


class KernelFailure(KernelError):
    """A kernel gave up: its code (``ZS_E...``), and what it left in ``where``."""

    def __init__(self, message: str, code: str, where: int) -> None:
        super().__init__(message)
        self.code, self.where = code, where


class Kernel:
    """A compiled kernel, ready to be called; made by `load`.

    symbol : its name in the C text.
    key : what it is cached under.
    c_text : the whole text that was compiled.

    May be used from several threads at once: of what it holds for arguments, each call takes one
    that no other has.
    """

    __slots__ = ("_idle", "_library", "c_text", "entry", "key", "symbol")

    def __init__(self, symbol: str, key: str, c_text: str, library: Any) -> None:
        self.symbol = symbol
        self.key = key
        self.c_text = c_text
        self.entry: Callable[[Any], int] = library.load_function(KERNEL, symbol)
        self._library = library  # closed with the last that refers to it, structs of calls included
        self._idle: list[Invocation] = []

    def prepare(
        self,
        buffers: Sequence[np.ndarray[Any, Any] | None] = (),
        dims: Sequence[int] = (),
        reals: Sequence[float] = (),
        wholes: Sequence[int] = (),
    ) -> Invocation:
        """Arguments for this kernel, to be called many times; see `Invocation`."""
        call = Invocation(self)
        call.set_buffers(buffers)
        call.set_dims(dims)
        if reals:
            call.set_reals(reals)
        if wholes:
            call.set_wholes(wholes)
        return call

    def once(
        self, buffers: Sequence[np.ndarray[Any, Any]], dims: Sequence[int], *, long: bool = False
    ) -> None:
        """Run it on these arrays and extents alone, in a struct that is kept for the next time.

        buffers, dims : as many at every call: slots that are not set keep what they have had.
        long : as for `Invocation.call`.

        Raises KernelError as `Invocation.set_buffers` and `Invocation.call`.
        """
        if not long:
            try:
                call = self._idle.pop()
            except IndexError:  # the first one, or others are in calls of other threads
                call = Invocation(self)
            if call.refilled(buffers, dims):
                self._idle.append(call)
                return
        self.prepare(buffers, dims).call(long=long)

    def __repr__(self) -> str:
        return f"<Kernel {self.symbol} {self.key[:12]}>"


class Invocation:
    """One argument struct of one kernel, kept from call to call.

    Only what changed needs setting again.  The arrays last set are kept alive.  Slots that
    were never set hold NULL or 0.

    Not to be shared between threads without a lock: the struct is one.  `Kernel.prepare`
    gives each thread its own.
    """

    __slots__ = ("_args", "_buf", "_entry", "_from_buffer", "_kept", "_null", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._entry = kernel.entry
        self._from_buffer = ffi.from_buffer
        self._null = ffi.NULL
        self._args = ffi.new("zs_args *")
        self._args.version = constants()["ZS_ARGS_VERSION"]
        self._buf = self._args.buf
        self._kept: list[Any] = [None] * constants()["ZS_MAX_BUFS"]

    def set_buffers(
        self,
        arrays: Sequence[np.ndarray[Any, Any] | None],
        first: int = 0,
        *,
        writable: bool = False,
    ) -> None:
        """Point the slots ``first``, ``first + 1``, ... at the arrays; None gives NULL.

        arrays : C-contiguous, of any dtype, of any size, 0 included; the kernel sees
            their first element and knows nothing of their shapes.
        writable : refuse read-only arrays; for those that the kernel writes.

        Raises KernelError, naming the slot, for an array that the kernel could not read.
        """
        slot = first
        kept, buf, point = self._kept, self._buf, self._from_buffer
        try:
            for array in arrays:
                if array is None:
                    buf[slot] = kept[slot] = self._null
                else:
                    if array.dtype.kind == "V":
                        array = as_bits(array)
                    buf[slot] = kept[slot] = point(BYTES, array, writable)
                slot += 1
        except (AttributeError, TypeError, ValueError, BufferError, IndexError) as cause:
            raise self._refused(slot, arrays[slot - first], writable, cause) from cause

    def again(self, slots: Sequence[int], through: Through | None = None) -> Callable[..., bool]:
        """What points these slots at the arrays that it is given, one each, and runs the kernel:
        all there is to do where `call` has run before and nothing but arrays has changed.

        through : as for `call`; what is made here does not end on Ctrl-C.

        It returns False, before it runs, where an array cannot be pointed at as it is: one that is
        not C-contiguous, or of bfloat16; and raises as `call`.  The arrays are the caller's to keep
        alive until then, and are not kept after it.
        """
        buf, point, failed, args = self._buf, self._from_buffer, self._failed, self._args
        run = partial(self._entry, args) if through is None else partial(through, self._entry, args)

        def pair(x: object, y: object) -> bool:
            try:
                buf[first] = point(x)
                buf[second] = point(y)
            except (ValueError, BufferError):
                return False
            if run():
                raise failed()
            return True

        def several(*arrays: object) -> bool:
            try:
                for slot, array in zip(slots, arrays, strict=True):
                    buf[slot] = point(array)
            except (ValueError, BufferError):
                return False
            if run():
                raise failed()
            return True

        if len(slots) != 2:
            return several
        first, second = slots  # a loop over two takes as long as all the rest
        return pair

    def refilled(self, buffers: Sequence[np.ndarray[Any, Any]], dims: Sequence[int]) -> bool:
        """Point the first slots at these arrays, set the first extents, and run the kernel.

        It returns False, before it runs, where `set_buffers` or `set_dims` would refuse what it is
        given, or as they take care of bfloat16; and raises as `call`.  No array is kept.
        """
        args, buf, point = self._args, self._buf, self._from_buffer
        try:
            for slot, array in enumerate(buffers):
                buf[slot] = point(array)
            args.dim[0 : len(dims)] = dims
        except (TypeError, ValueError, BufferError, OverflowError, IndexError):
            return False
        args.error = 0
        args.where = -1
        if self._entry(args) or args.error:
            raise self._failed()
        return True

    def forget(self, slots: Sequence[int]) -> None:
        """Let go of the arrays of these slots, which are pointed at anew before the next call."""
        kept, null = self._kept, self._null
        for slot in slots:
            kept[slot] = null

    def set_dims(self, values: Sequence[int], first: int = 0) -> None:
        """Extents, padding and constants, from slot ``first`` on."""
        self._set("dim", values, first, "ZS_MAX_DIMS")

    def set_reals(self, values: Sequence[float], first: int = 0) -> None:
        """Floating-point scalars, from slot ``first`` on."""
        self._set("real", values, first, "ZS_MAX_SCALARS")

    def set_wholes(self, values: Sequence[int], first: int = 0) -> None:
        """Whole scalars, from slot ``first`` on."""
        self._set("whole", values, first, "ZS_MAX_SCALARS")

    def call(self, *, long: bool = False, through: Through | None = None) -> int:
        """Run the kernel, the GIL released; return the multiplications it counted, if any.

        long : whether Ctrl-C should end it, which costs about 0.1 ms.
        through : what calls the kernel's function with its arguments, such as several threads;
            None for a plain call.

        Raises KernelError with the kernel's reason.
        """
        args = self._args
        entry = self._entry if through is None else partial(through, self._entry)
        args.error = 0
        args.where = -1
        args.work = 0
        if long and can_be_interrupted():
            try:
                status = interruptible(entry, args, self._kept, self.kernel)
            except StillRunning as left:
                self._args = ffi.new("zs_args *", args[0])  # the other is the kernel's
                self._args.stop = 0
                self._buf = self._args.buf
                raise left.cause from None
        else:
            status = entry(args)
        if status or args.error:
            raise self._failed()
        return int(args.work)

    def _set(self, name: str, values: Sequence[float], first: int, limit: str) -> None:
        size = constants()[limit]
        if first < 0 or first + len(values) > size:
            raise KernelError(
                f"kernel {self.kernel.symbol}: {name}[{first}:{first + len(values)}] passes the"
                f" argument struct, which has {size} ({limit})"
            )
        slots = getattr(self._args, name)
        try:
            slots[first : first + len(values)] = values
            return
        except (TypeError, OverflowError, ValueError):
            pass  # to find out which of them it is
        for slot, number in enumerate(values, first):
            try:
                slots[slot] = number
            except (TypeError, OverflowError) as cause:
                raise KernelError(
                    f"kernel {self.kernel.symbol}: {name}[{slot}] = {number!r}: {cause}"
                ) from cause

    def _refused(
        self, slot: int, array: object, writable: bool, cause: BaseException
    ) -> KernelError:
        where = f"kernel {self.kernel.symbol}, buffer {slot}"
        if not 0 <= slot < len(self._kept):
            return KernelError(f"{where}: the argument struct has {len(self._kept)} (ZS_MAX_BUFS)")
        if not isinstance(array, np.ndarray):
            return KernelError(f"{where}: expected an ndarray, found {type(array).__name__}")
        if not array.flags.c_contiguous:
            return KernelError(
                f"{where}: expected a C-contiguous array, found shape {array.shape} with strides"
                f" {array.strides}\nPass np.ascontiguousarray of it."
            )
        if writable and not array.flags.writeable:
            return KernelError(
                f"{where}: the kernel writes it, and this array is read-only\nPass a copy."
            )
        return KernelError(f"{where}: dtype {array.dtype} has no memory to point at: {cause}")

    def _failed(self) -> KernelFailure:
        code = int(self._args.error)
        names = {number: name for name, number in constants().items() if name.startswith("ZS_E")}
        name = names.get(code, f"error {code}")
        why = REASONS.get(name, "it gave no known reason")
        where = f" (at {self._args.where})" if self._args.where >= 0 else ""
        message = (
            f"kernel {self.kernel.symbol} failed: {name}: {why}{where}\n"
            f"Its C text is {self.kernel.key}.c in the kernel cache."
        )
        return KernelFailure(message, name, int(self._args.where))


_loaded: Recent[tuple[object, ...], Kernel] = Recent(MOST_KERNELS)


def load(c_text: str, symbol: str, flags: Sequence[str] = ()) -> Kernel:
    """The kernel ``symbol`` of ``c_text``: from this process, from the cache, or compiled now.

    c_text : C, with the header pasted in or included.
    symbol : a function ``int32_t symbol(zs_args *args)`` of the text.
    flags : added to the compiler's own, such as sanitizers; part of the key.

    Raises CompilerError where there is no compiler or it refuses the text, and CacheError
    where the cache cannot be used.
    """
    now = settings.current()
    known = (c_text, symbol, tuple(flags), now.compiler, now.cache_dir)
    found = _loaded.get(known)
    if found is None:
        # Two threads may both come here; both then load the same object, and one stays.
        found = _loaded.keep(known, _load(whole_text(c_text), symbol, tuple(flags)))
    return found


def _load(text: str, symbol: str, flags: tuple[str, ...]) -> Kernel:
    if not (symbol.isascii() and symbol.isidentifier()):
        raise KernelError(f"{symbol!r} is not the name of a C function")
    key, path, opened = library(text, flags)
    try:
        return Kernel(symbol, key, text, opened)
    except AttributeError as cause:
        raise KernelError(
            f"the C text defines no function {symbol}; it is kept in {path.with_suffix('.c')}"
        ) from cause


def library(text: str, flags: tuple[str, ...], mode: int = 0) -> tuple[str, Path, Any]:
    """A whole text as a loaded library: the key and the file that it is cached under, and cffi's
    handle, whose ``load_function`` finds what it exports.

    mode : flags of dlopen beside cffi's own.
    """
    now = settings.current()
    tools = toolchain.find()
    key = tools.key(text, flags)
    kernels = Cache(now.cache_dir, now.cache_bytes)
    for _ in range(ATTEMPTS):
        found = kernels.get(key, text, lambda c, so: tools.compile(c, so, flags))
        opened = _open(found, mode)
        if opened is not None:
            return key, found.path, opened
    raise CacheError(
        f"the kernel {found.path} was replaced or removed {ATTEMPTS} times while it was"
        " loaded\nIs something else clearing the kernel cache?"
    )


def _open(found: CachedObject, mode: int) -> Any:
    """The library, or None where the path no longer leads to the file whose digest was
    checked."""
    try:
        library = _cffi_backend.load_library(str(found.path), mode)
    except OSError as cause:
        if not found.is_same_file():
            return None
        if refuses_to_execute(found.path.parent):
            raise CacheError(
                f"the kernel cache {found.path.parent} is on a file system mounted noexec, from"
                " which no code may be loaded\nSet ZEROSKIP_CACHE_DIR to a directory elsewhere"
                " that only this user may write to."
            ) from cause
        raise CacheError(f"the kernel {found.path} cannot be loaded: {cause}") from cause
    return library if found.is_same_file() else None
