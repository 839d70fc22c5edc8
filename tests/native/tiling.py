"""Shapes of the tiled schedule, and what runs a line under one."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from judges import Call, agree, line_of

from zeroskip.formats.tensor import Tensor
from zeroskip.native import schedules, tile
from zeroskip.native.geometry import shifts_of
from zeroskip.native.prepared import run
from zeroskip.native.tile_shape import TileShape

FEW, EACH = (1, 2, 3), tuple(range(1, 9))
SHAPES = [
    TileShape(64, 1, EACH, 0),
    TileShape(32, 1, EACH, 3),
    TileShape(16, 1, EACH, 1),
    TileShape(64, 4, FEW, 5),
    TileShape(32, 2, FEW, 0),
    TileShape(16, 3, FEW, 2),
    TileShape(64, 4, (1, 2), 5),
    TileShape(32, 4, (1,), 0, panel=False),
    TileShape(64, 1, EACH, 0, panel=False),
    TileShape(32, 4, FEW, 5, panel=False),
    TileShape(64, 2, (1,), 5, unrolled=True, members=2),
    TileShape(64, 28, (1,), 0, unrolled=True, members=14),
    TileShape(64, 9, (1,), 2, unrolled=True, members=3),
    TileShape(64, 9, (1,), 2, unrolled=True, members=3, masked=True),
]

DTYPES = ["float32", "float64", "int32", "int64"]
sizes = st.integers(1, 9)
shapes = st.sampled_from(SHAPES)
seeds = st.integers(0, 2**32 - 1)


def tiled(spec, operands, shape, backend="c"):
    """The result by the tiled schedule, whatever the engine would take."""
    line = line_of(spec, operands)
    plan = tile.plan(line.form, line.signatures, line.dtype.name)
    assert plan is not None, spec.text
    if shape.masked and shifts_of(plan, line.extents) is None:
        shape = replace(shape, masked=False)
    target = np.full(line.shape, 99, line.stored)
    run(*schedules.tiled(line, plan, target, shape), backend)
    return target


def check(spec, operands, want, shape, interpret=True):
    """Exact numbers, so that every order of the sums gives the same."""
    call = Call(spec, operands, want, 0.0)
    for backend in ("c", "interpreter") if interpret else ("c",):
        agree(call, tiled(spec, operands, shape, backend), backend)


def entries(rng, array):
    """The operand as an array, or in a format whose rows come out of order."""
    return Tensor.from_dense(array, "CSC") if rng.random() < 0.7 else array
