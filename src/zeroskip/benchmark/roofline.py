"""What the machine allows: the least time that a layer's arithmetic and its bytes can take.

    bound = max(operations / peak, bytes / bandwidth)

Both roofs are measured here and now, by two small kernels: as many fused multiply-adds as the
registers hold, and one read of an array that is as large as the layer's operands and result
together, so that the bandwidth is that of the cache, or memory, in which they lie.  A way
that keeps its operands closer than that can pass the second roof.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from zeroskip.native import settings, toolchain
from zeroskip.native.load import Invocation, load

CHAINS = 12
"""Sums that do not wait for each other: two units of four or five cycles, with some to spare."""

LEAST_BYTES, MOST_BYTES = 2**14, 2**28
SPENT_S = 0.01
TRIES = 5
C_TYPES = {"float32": "float", "float64": "double"}
COMPUTED_IN = {"float16": "float32", "bfloat16": "float32"}

FMA = """\
#include "zs_kernel.h"

/* dim[0] rounds of {chains} independent s = s*m + c; their sum goes to buf[0]. */
typedef {scalar} vector __attribute__((vector_size({width})));
typedef vector anywhere __attribute__((aligned({lane}), may_alias));

int32_t zs_roof_fma(zs_args *args)
{{
    const vector zero = {{0}}, m = zero + ({scalar})0.5, c = zero + ({scalar})1;
    vector {declared};
    for (int64_t i = 0; i < args->dim[0]; i++) {{
{steps}
    }}
    *(anywhere *)args->buf[0] = {summed};
    return 0;
}}
"""

READ = """\
#include "zs_kernel.h"

/* Adds up dim[0] * 8 vectors at buf[0], dim[1] times; the sum goes to buf[1]. */
typedef int64_t vector __attribute__((vector_size({width})));
typedef vector anywhere __attribute__((aligned(8), may_alias));

int32_t zs_roof_read(zs_args *args)
{{
    const anywhere *const from = args->buf[0];
    vector {declared};
    for (int64_t n = 0; n < args->dim[1]; n++)
        for (int64_t i = 0; i < args->dim[0]; i++) {{
{steps}
        }}
    *(anywhere *)args->buf[1] = {summed};
    return 0;
}}
"""


@dataclass(frozen=True, slots=True)
class Roof:
    """operations_per_s : multiplications and additions; infinite where that was not measured.
    bytes_per_s : read."""

    operations_per_s: float
    bytes_per_s: float

    def bound_s(self, multiplications: int, nbytes: int) -> float:
        """Least time of so many multiplications, each with its addition, over so many bytes.

        >>> Roof(100e9, 10e9).bound_s(50_000, 1_000), Roof(100e9, 10e9).bound_s(50, 10_000)
        (1e-06, 1e-06)
        """
        return max(2 * multiplications / self.operations_per_s, nbytes / self.bytes_per_s)


def measure_roof(dtype: np.dtype[np.generic], nbytes: int, threads: int = 1) -> Roof:
    """The roofs of ``threads`` processors: those of one, times their number.

    dtype : of the arithmetic; halves are computed in float32, and whole numbers have no first
        roof.  nbytes : that the layer reads and writes.

    Raises CompilerError where there is no compiler.
    """
    name = COMPUTED_IN.get(dtype.name, dtype.name)
    operations = _fma_rate(name) if name in C_TYPES else math.inf
    return Roof(operations * threads, _read_rate(nbytes) * threads)


def _width() -> int:
    return settings.current().vector_bytes or toolchain.find().vector_bytes


def fma_kernel(name: str) -> Invocation:
    """dim[0] rounds of `CHAINS` multiply-adds of vectors; a vector of their sum in buf[0]."""
    return _kernel(
        FMA,
        "zs_roof_fma",
        CHAINS,
        "{s} = {s} * m + c;",
        8,
        scalar=C_TYPES[name],
        lane=str(np.dtype(name).itemsize),
    )


def read_kernel() -> Invocation:
    """Reads buf[0], eight vectors at a time; a vector of the sum in buf[1]."""
    return _kernel(READ, "zs_roof_read", 8, "{s} += from[8 * i + {k}];", 12)


def _kernel(text: str, symbol: str, chains: int, step: str, indent: int, **more: str) -> Invocation:
    sums = [f"s{k}" for k in range(chains)]
    filled = text.format(
        width=_width(),
        chains=chains,
        declared=", ".join(f"{s} = {{0}}" for s in sums),
        steps="\n".join(" " * indent + step.format(s=s, k=k) for k, s in enumerate(sums)),
        summed=" + ".join(sums),
        **more,
    )
    return Invocation(load(filled, symbol))


def _fma_rate(name: str) -> float:
    """Operations in a second."""
    kernel, width = fma_kernel(name), _width()
    target = np.empty(width // 8)
    kernel.set_buffers((target,))
    each = 2 * CHAINS * width // np.dtype(name).itemsize
    return each * _rate(lambda rounds: kernel.set_dims((rounds,)), kernel)


def _read_rate(nbytes: int) -> float:
    """Bytes in a second, of an array of so many."""
    kernel, width = read_kernel(), _width()
    group = 8 * width
    groups = max(min(nbytes, MOST_BYTES), LEAST_BYTES) // group
    source, target = np.ones(groups * group // 8), np.empty(width // 8)
    kernel.set_buffers((source, target))
    return groups * group * _rate(lambda rounds: kernel.set_dims((groups, rounds)), kernel)


def _rate(prepare: Callable[[int], None], kernel: Invocation) -> float:
    """Rounds in a second: the most of several tries, as a roof is what was once possible."""
    rounds, taken = 1, 0.0
    while taken < SPENT_S / TRIES:
        rounds *= 2
        taken = _seconds(prepare, kernel, rounds)
    return rounds / min(taken, *(_seconds(prepare, kernel, rounds) for _ in range(TRIES)))


def _seconds(prepare: Callable[[int], None], kernel: Invocation, rounds: int) -> float:
    prepare(rounds)
    begin = perf_counter()
    kernel.call()
    return max(perf_counter() - begin, 1e-9)
