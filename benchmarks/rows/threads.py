"""Two threads against one, with torch in the process and without."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import zeroskip as zs
from benchmarks.contest import OURS, Absent, Array, Contest, Entrant
from benchmarks.rows.convolution import conv, drawn_layer, reference
from benchmarks.rows.row import Bar, Row
from benchmarks.rows.spmm import PRODUCT, drawn
from zeroskip.native.settings import usable_cpus

ALONE = "one thread"
SHAPES = ("1024,1024,512", "768,3072,512", "conv 256,14²")
POINTS = ("0.5", "0.2")


def with_threads(threads: int, call: Any) -> Any:
    def run() -> Any:
        with zs.config.using(threads=threads):
            return call()

    return run


def work(shape: str, at: str, rng: np.random.Generator) -> tuple[Any, Array, float]:
    """A bound call, its answer, and the largest sum of magnitudes."""
    if shape.startswith("conv "):
        image, weights = drawn_layer(shape.removeprefix("conv "), rng, 1.0, float(at))
        layer = conv(1, 1).bind(F=zs.tensor(weights, "CSR"))
        scale = reference(np.abs(image), np.abs(weights), 1, 1).max(initial=0)
        return partial(layer, I=image), reference(image, weights, 1, 1), float(scale)
    m, k, n = map(int, shape.split(","))
    weights, dense = drawn(rng, (m, k), float(at)), rng.standard_normal((k, n), dtype=np.float32)
    bound = PRODUCT.bind(W=zs.tensor(weights, "CSR"))
    wide, other = weights.astype(np.float64), dense.astype(np.float64)
    scale = (np.abs(wide) @ np.abs(other)).max(initial=0)
    return partial(bound, dense), wide @ other, float(scale)


def contest(shape: str, at: str, rng: np.random.Generator, *, torch: bool) -> Contest:
    if usable_cpus() < 2:
        raise Absent("one processor only")
    if torch:
        _load_torch()
    call, expected, scale = work(shape, at, rng)
    two, one = with_threads(2, call), with_threads(1, call)
    return Contest(
        expected,
        (
            Entrant("zeroskip, 2 threads", OURS, two),
            Entrant("zeroskip, 1 thread", ALONE, one),
        ),
        scale=scale,
    )


def _load_torch() -> None:
    """With its threads awake."""
    try:
        import torch
    except ImportError:
        raise Absent("torch is not installed") from None
    torch.set_num_threads(2)
    ones = torch.ones(512, 512)
    for _ in range(3):
        ones @ ones


def _row(name: str, title: str, torch: bool) -> Row:
    return Row(
        name,
        title,
        lambda: SHAPES,
        POINTS,
        partial(contest, torch=torch),
        tuple(Bar(ALONE, at, 1.8) for at in POINTS),
        threads=2,
        notes=("Layers of which one thread takes 700 µs or more.",),
    )


ROWS = (
    _row("threads", "two threads against one", False),
    _row("threads-torch", "two threads against one, torch loaded", True),
)
