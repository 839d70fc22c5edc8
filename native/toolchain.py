"""Finds the C compiler, names its flags, and runs it.

Looked for, in this order: $ZEROSKIP_CC (or ``config.set(compiler=...)``), which must then
work; $CC; cc, gcc and clang on the PATH; the zig compiler of the ``ziglang`` package.

A compiler is asked once for its version and its predefined macros (they tell the instruction
set of this machine); the answer is remembered beside the kernels under the compiler's path,
size and time of change and the CPU's name, so that a warm process runs no compiler at all.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from zeroskip.errors import CacheError, CompilerError
from zeroskip.native import settings
from zeroskip.native.cache import key_of, own_directory, workplace
from zeroskip.native.process import run
from zeroskip.records import dataclass

COMMON_FLAGS = (
    "-std=gnu11",
    "-O2",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fwrapv",
    "-fPIC",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-tautological-compare",  # (p >= p) is what was written
    "-Wno-type-limits",  # so is (0 > u) of an unsigned u
    "-Wno-psabi",  # vector arguments of static functions: no ABI is crossed
)

OWN_FLAGS = {
    # gcc vectorises copies of unknown length only when told to; clang does so anyway.
    # -pipe: its passes run beside each other, and write no file between them.
    "gcc": ("-ftree-vectorize", "-fvect-cost-model=dynamic", "-pipe"),
    # zig adds checks of its own to C that is not optimised for release.
    "zig": ("-fno-sanitize=undefined",),
}

LINKED = {
    # A text that needs nothing but the language finds what it calls of libc in the process that
    # loads it.  Without start files, and without the several files that libc and libgcc_s are,
    # linking takes half as long.
    "gcc": ("-nostdlib", "-lm", "-lgcc"),
}

HOSTED = re.compile(r"^[ \t]*#[ \t]*include\b(?![ \t]*<std(?:def|int)\.h>)", re.MULTILINE)

NATIVE = {"zig": ("-mcpu=native", "-march=native"), "": ("-march=native", "-mcpu=native")}

# These stand in front of a compiler that can change while they do not.
WRAPPERS = {"ccache", "sccache", "distcc", "icecc", "colorgcc", "env", "nice", "firejail"}

# Predefined macros that name vector and bit-counting instructions.
FEATURE = re.compile(
    r"__(SSE\d?(?:_\d)?|SSSE3|AVX\w*?|FMA|F16C|BMI2?|POPCNT|LZCNT|GFNI|VAES|VPCLMULQDQ|AMX\w*?"
    r"|ARM_NEON|ARM_FEATURE_(?:SVE2?|DOTPROD|BF16|FP16_VECTOR_ARITHMETIC|MATMUL_INT8)"
    r"|riscv_v|riscv_zbb|ALTIVEC|VSX)(?:__)?"
)

ERROR_LINES = 12


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A C compiler that answered.

    command : words that start it.
    kind : ``gcc``, ``clang`` or ``zig``.
    version : its own line, distribution included.
    target : machine and system that it compiles for.
    native : the flag that selects this machine's instruction set; empty if it knows none.
    features : names of the vector and bit-counting instructions it will use.
    macros : SHA-256 of all its predefined macros.
    """

    command: tuple[str, ...]
    kind: str
    version: str
    target: str
    native: tuple[str, ...]
    features: tuple[str, ...]
    macros: str

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of every kernel, in order; a kernel's own follow them."""
        return COMMON_FLAGS + OWN_FLAGS.get(self.kind, ()) + self.native

    @property
    def vector_bytes(self) -> int:
        """Width of the widest vector register that is worth using."""
        if "AVX512F" in self.features:
            return 64
        return 32 if "AVX" in self.features else 16

    def key(self, c_text: str, extra_flags: Sequence[str] = ()) -> str:
        """Names what compiling ``c_text`` gives: text, flags, compiler and target."""
        parts = (c_text, *self.command, self.version, self.target, self.macros)
        return key_of(*parts, *self.flags, *extra_flags, *self.libraries(c_text, extra_flags))

    def libraries(self, c_text: str, extra_flags: Sequence[str] = ()) -> tuple[str, ...]:
        """What ``c_text`` is linked with: all of a program's where it includes headers of the
        system, or where flags of its own may need them."""
        found = LINKED.get(self.kind) if sys.platform == "linux" else None
        return ("-lm",) if found is None or extra_flags or HOSTED.search(c_text) else found

    def compile(self, source: Path, target: Path, extra_flags: Sequence[str] = ()) -> None:
        """Compile the C file ``source`` into the shared object ``target``.

        Intermediate files go beside ``target``.  Raises CompilerError with the command, the
        first lines that the compiler wrote, and ``source``, where the text stays to be read.
        """
        # fmt: off
        command = (*self.command, *self.flags, *extra_flags,
                   "-shared", "-o", str(target), str(source),
                   *self.libraries(source.read_text(encoding="utf-8"), extra_flags))
        # fmt: on
        status, _, told = run(command, target.parent, settings.current().compile_timeout_s)
        if status != 0 or not target.exists():
            import shlex

            raise CompilerError(
                f"the C compiler refused a kernel (status {status})\n"
                f"  {shlex.join(command)}\n{_first_lines(told)}\n"
                f"The C text is kept in {source}."
            )


_found: dict[tuple[object, ...], Toolchain] = {}


def find() -> Toolchain:
    """The compiler to use; the search is done once a process and set of settings.

    Raises CompilerError, saying what was looked for and how to get a compiler.
    """
    now = settings.current()
    key = (now.compiler, now.cache_dir, os.environ.get("CC"), os.environ.get("PATH"))
    if key not in _found:
        _found[key] = _search(now)
    return _found[key]


def _search(now: settings.Settings) -> Toolchain:
    failures = []
    for name, words in _candidates(now):
        command = _resolved(words)
        if command is None:
            failures.append(f"{name}: not found")
            continue
        try:
            return _ask_remembering(command, now)
        except CompilerError as error:
            failures.append(f"{name}: {error}")
    raise CompilerError(
        "no C compiler that works; looked for\n"
        + "\n".join(f"  {line}" for line in failures)
        + (
            "\nSet ZEROSKIP_CC to a C compiler, or unset it to have one looked for."
            if now.compiler
            else "\nRun  pip install zeroskip[cc]  for a compiler from PyPI, or install gcc or"
            " clang,\nor set ZEROSKIP_CC to the C compiler to use."
        )
    )


def _candidates(now: settings.Settings) -> Iterator[tuple[str, list[str]]]:
    """(what to call it in an error, its words), best first."""
    if now.compiler is not None:
        yield f"ZEROSKIP_CC={now.compiler}", _words(now.compiler)
        return
    if from_environment := os.environ.get("CC"):
        yield f"CC={from_environment}", _words(from_environment)
    for name in ("cc", "gcc", "clang"):
        yield f"{name} on the PATH", [name]
    yield "the ziglang package", _ziglang()


def _words(text: str) -> list[str]:
    import shlex

    try:
        return shlex.split(text)
    except ValueError:  # an open quotation mark
        return []


def _ziglang() -> list[str]:
    """Words that start the zig of the ``ziglang`` package, or none.

    The same as ``python -m ziglang cc``, without the start of a Python.
    """
    spec = importlib.util.find_spec("ziglang")
    for folder in (spec and spec.submodule_search_locations) or ():
        zig = os.path.join(folder, "zig.exe" if sys.platform == "win32" else "zig")
        if os.access(zig, os.X_OK):
            return [zig, "cc"]
    return [sys.executable, "-m", "ziglang", "cc"] if spec else []


def _resolved(words: Sequence[str]) -> tuple[str, ...] | None:
    """The command with its program's full path; None where there is no such program.

    A program in a relative directory of the PATH is not taken: it would depend on where
    this process stands.
    """
    path = _which(words[0]) if words else None
    if path is None or not os.path.isabs(path):
        return None
    return (path, *words[1:])


def _which(program: str) -> str | None:
    """As `shutil.which`, which imports a dozen modules to unpack archives."""
    if sys.platform == "win32":
        from shutil import which  # knows what may follow a program's name

        return which(program)
    named = os.path.dirname(program) != ""
    folders = [""] if named else os.environ.get("PATH", os.defpath).split(os.pathsep)
    for folder in folders:
        path = os.path.join(folder, program)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


# ---- asking a compiler about itself -----------------------------------------------------


def _ask_remembering(command: tuple[str, ...], now: settings.Settings) -> Toolchain:
    identity = _identity(command)
    if identity is None:
        return _ask_elsewhere(command, now)
    try:
        memory = own_directory(now.cache_dir) / f"toolchain-{identity}.json"
    except CacheError:  # whoever needs the cache will be told; the compiler can be asked again
        return _ask_elsewhere(command, now)
    known = _recall(memory, command)
    if known is None:
        try:
            with workplace(memory.parent) as place:
                known = _ask(command, place, now.compile_timeout_s)
        except OSError:  # a full or read-only disk
            return _ask_elsewhere(command, now)
        _remember(memory, known)
    return known


def _ask_elsewhere(command: tuple[str, ...], now: settings.Settings) -> Toolchain:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="zeroskip-") as place:
        return _ask(command, Path(place), now.compile_timeout_s)


def _identity(command: tuple[str, ...]) -> str | None:
    """Names the compiler's file and this CPU; None where the file does not tell the compiler.

    Scripts and wrappers stand for a compiler that can change while they stay the same.
    """
    real = os.path.realpath(command[0])
    rest = command[2:] if command[1:2] == ("cc",) else command[1:]
    if os.path.basename(real) in WRAPPERS or any(not word.startswith("-") for word in rest):
        return None
    try:
        about = os.stat(real)
        with open(real, "rb") as file:
            if file.read(2) == b"#!":
                return None
    except OSError:
        return None
    return key_of(*command, real, str(about.st_size), str(about.st_mtime_ns), _cpu())[:32]


def _cpu() -> str:
    """What tells this CPU's instruction set from another's: a home may be shared by machines."""
    telling = {
        *("vendor_id", "cpu family", "model", "model name", "flags"),  # x86
        *("CPU implementer", "CPU architecture", "CPU part", "CPU variant", "Features"),  # ARM
        *("isa", "uarch", "cpu"),  # RISC-V, POWER
    }
    lines = [platform.machine()]
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if not line.strip():
                    break
                if line.partition(":")[0].strip() in telling:
                    lines.append(line)
    except OSError:
        lines.append(platform.node())
    return "\n".join(lines)


def _ask(command: tuple[str, ...], place: Path, timeout_s: float) -> Toolchain:
    """Run the compiler for its version and macros; CompilerError where it does not answer."""
    is_zig = command[1:2] == ("cc",) or "ziglang" in command
    told = ""
    for native in (*((flag,) for flag in NATIVE["zig" if is_zig else ""]), ()):
        status, macros, told = run(
            (*command, "-std=gnu11", "-O2", *native, "-v", "-dM", "-E", "-xc", os.devnull),
            place,
            timeout_s,
            _ready_to_emit,
        )
        if status == 0 and "__STDC_VERSION__" in macros:
            break
    else:
        import shlex

        raise CompilerError(
            f"{shlex.join(command)} did not answer (status {status})\n{_first_lines(told)}"
        )
    version = re.search(r"^.*\b(?:gcc|clang) version .*$", told, re.MULTILINE)
    target = re.search(r"^Target: *(\S+)", told, re.MULTILINE)
    defined = {line.split()[1] for line in macros.splitlines() if line.startswith("#define ")}
    features = {match[1] for name in defined if (match := FEATURE.fullmatch(name))}
    return Toolchain(
        command=command,
        kind="zig" if is_zig else "clang" if "__clang__" in defined else "gcc",
        version=version[0].strip() if version else "unknown",
        target=target[1] if target else platform.machine(),
        native=native,
        features=tuple(sorted(features)),
        macros=hashlib.sha256("\n".join(sorted(macros.splitlines())).encode()).hexdigest(),
    )


def _ready_to_emit() -> None:
    """Whoever asks a compiler that is not known has no kernels yet, and emits one next."""
    importlib.import_module("zeroskip.native.emit")


def _recall(memory: Path, command: tuple[str, ...]) -> Toolchain | None:
    """What was remembered of ``command``; None where nothing usable was."""
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
        for name in ("command", "native", "features"):
            if not all(isinstance(word, str) for word in found[name]):
                return None
            found[name] = tuple(found[name])
        known = Toolchain(**found)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    words = (known.kind, known.version, known.target, known.macros)
    return known if known.command == command and all(isinstance(w, str) for w in words) else None


def _remember(memory: Path, known: Toolchain) -> None:
    place = memory.with_name(f"toolchain-{os.urandom(8).hex()}.tmp")
    try:
        with open(place, "x", encoding="utf-8") as file:
            json.dump(asdict(known), file, indent=1)
        os.replace(place, memory)
    except OSError:
        pass  # a full or read-only disk: the compiler is asked again next time


def _first_lines(told: str) -> str:
    lines = [line for line in told.splitlines() if line.strip()]
    more = [f"({len(lines) - ERROR_LINES} more lines)"] if len(lines) > ERROR_LINES else []
    return "\n".join("  " + line[:200] for line in lines[:ERROR_LINES] + more)
