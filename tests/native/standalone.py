"""Kernels as a program of their own, so that sanitizers can watch them without Python in between.

The program reads, for each kernel, its arguments from a file, puts every buffer into memory of
exactly its size, calls the kernel and writes the buffers back.
"""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from judges import batch
from numpy.typing import NDArray

from zeroskip.native import toolchain
from zeroskip.native.prepared import Prepared, Slots
from zeroskip.native.texts import header, whole_text

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FLAGS = (*SANITIZERS, "-fno-wrapv", "-g", "-O1", "-fno-omit-frame-pointer")
"""Values may wrap around, but not those of the tests: without -fwrapv an address that overflows
is found."""

RACES = ("-fsanitize=thread", "-g", "-O1", "-fno-omit-frame-pointer")
"""For kernels on several threads: any two that touch one place without having met are found."""

MAIN = r"""
#include <stdio.h>
#include <stdlib.h>

typedef int32_t (*zs_function)(zs_args *);
static const zs_function kernels[] = { KERNELS };

static void must(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "standalone: %s\n", what);
        exit(3);
    }
}

static int64_t number(FILE *in)
{
    int64_t n;
    must(fread(&n, 8, 1, in) == 1, "the input ends early");
    return n;
}

int main(int argc, char **argv)
{
    must(argc == 3, "expected an input and an output");
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
    must(in && out, "a file cannot be opened");
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
        zs_args args = { .version = ZS_ARGS_VERSION, .where = -1 };
        int64_t n_bytes[ZS_MAX_BUFS];
        const int64_t n_bufs = number(in);
        for (int64_t b = 0; b < n_bufs; b++) {
            n_bytes[b] = number(in);
            args.buf[b] = malloc((size_t)n_bytes[b]);
            must((int64_t)fread(args.buf[b], 1, (size_t)n_bytes[b], in) == n_bytes[b], "a buffer");
        }
        must(fread(args.dim, sizeof args.dim, 1, in) == 1, "dims");
        must(fread(args.real, sizeof args.real, 1, in) == 1, "reals");
        must(fread(args.whole, sizeof args.whole, 1, in) == 1, "wholes");
        fprintf(stderr, "kernel %zu\n", k);
        must(zs_pool_run(PARTS, kernels[k], &args) == ZS_OK, "a kernel failed");
        for (int64_t b = 0; b < n_bufs; b++) {
            must((int64_t)fwrite(args.buf[b], 1, (size_t)n_bytes[b], out) == n_bytes[b], "writing");
            free(args.buf[b]);
        }
    }
    must(fclose(out) == 0, "the output cannot be closed");
    return 0;
}
"""


def sanitizes(place: Path, flags: Sequence[str] = FLAGS) -> bool:
    """Whether the compiler has sanitizers, and their run-time library is there."""
    (place / "empty.c").write_text("int main(void) { return 0; }\n")
    made = compile_c(place, "empty.c", "empty", flags)
    return made.returncode == 0 and subprocess.run([place / "empty"], check=False).returncode == 0


def run(
    place: Path,
    kernels: Sequence[tuple[Prepared, Slots]],
    flags: Sequence[str] = FLAGS,
    parts: int = 1,
) -> list[list[NDArray[Any]]]:
    """Call every kernel once, on ``parts`` threads; return what its buffers hold afterwards.

    Raises AssertionError with what the compiler or a sanitizer said, naming the kernel's text.
    """
    texts = {_bare(prepared): prepared.c_text for prepared, _ in kernels}
    at = {bare: f"zs_kernel_{k}" for k, bare in enumerate(texts)}
    names = ", ".join(at[_bare(prepared)] for prepared, _ in kernels)
    # What the pool asks of Linux is asked before anything is included.
    text = whole_text(header("zs_pool.c") + batch(list(texts.values())))
    main = MAIN.replace("KERNELS", names).replace("PARTS", str(parts))
    (place / "kernels.c").write_text(text + main)
    (place / "in").write_bytes(b"".join(_arguments(*kernel) for kernel in kernels))
    made = compile_c(place, "kernels.c", "kernels", flags)
    assert made.returncode == 0, made.stderr[:4000]
    ran = subprocess.run(
        [place / "kernels", place / "in", place / "out"],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    if ran.returncode != 0:
        last = [int(line.split()[1]) for line in ran.stderr.splitlines() if line[:7] == "kernel "]
        prepared = kernels[last[-1]][0] if last else None
        found = "\n".join(line for line in ran.stderr.splitlines() if line[:7] != "kernel ")
        raise AssertionError(f"{found[:4000]}\n{prepared.c_text if prepared else ''}")
    return _results(place / "out", kernels)


def _bare(prepared: Prepared) -> str:
    """The text without its comments: kernels that differ in no more are compiled once."""
    return re.sub(r"/\*.*?\*/", "", prepared.c_text, flags=re.DOTALL)


def compile_c(
    place: Path, source: str, target: str, flags: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    tools = toolchain.find()
    command = [*tools.command, *tools.flags, *flags, source, "-o", target, "-lm", "-pthread"]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


def _arguments(prepared: Prepared, filled: Slots) -> bytes:
    parts = [struct.pack("q", len(filled.buffers))]
    for key, buffer in zip(prepared.layout.buffers, filled.buffers, strict=True):
        if key == ("starts",):  # machine code is run where it lies: entries are walked instead
            buffer = np.zeros_like(buffer)
        parts += [struct.pack("q", buffer.nbytes), buffer.tobytes()]
    kinds = [kind for _, kind in prepared.lowered.kernel.parameters]
    given = list(zip(filled.parameters, kinds, strict=True))
    dims, reals, wholes = np.zeros(64, np.int64), np.zeros(16), np.zeros(16, np.int64)
    dims[: len(filled.dims)] = filled.dims
    real = [x for x, kind in given if kind == "real"]
    whole = [(int(x) + 2**63) % 2**64 - 2**63 for x, kind in given if kind != "real"]
    reals[: len(real)], wholes[: len(whole)] = real, whole
    return b"".join([*parts, dims.tobytes(), reals.tobytes(), wholes.tobytes()])


def _results(out: Path, kernels: Sequence[tuple[Prepared, Slots]]) -> list[list[NDArray[Any]]]:
    data, at, found = out.read_bytes(), 0, []
    for _, filled in kernels:
        found.append([])
        for buffer in filled.buffers:
            found[-1].append(np.frombuffer(data, buffer.dtype, buffer.size, at))
            at += buffer.nbytes
    assert at == len(data)
    return found
