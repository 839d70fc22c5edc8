"""Every row, in the order in which they are shown."""

from __future__ import annotations

from benchmarks.rows import (
    charges,
    codecs,
    convolution,
    dtypes,
    layers,
    networks,
    sampled,
    spgemm,
    spmm,
    starting,
    threads,
)
from benchmarks.rows.row import AnyRow

ROWS: tuple[AnyRow, ...] = (
    *spmm.ROWS,
    *layers.ROWS,
    *convolution.ROWS,
    *spgemm.ROWS,
    *sampled.ROWS,
    *codecs.ROWS,
    *dtypes.ROWS,
    *threads.ROWS,
    *starting.ROWS,
    *networks.ROWS,
    *charges.ROWS,
)
