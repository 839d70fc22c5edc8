"""How long epochs take, from their bits: by hand, and against layers run one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import one_pe

from zeroskip.einsum_spec import make_spec
from zeroskip.hwmodel import Charge, arch, charge
from zeroskip.hwmodel.epoch_bits import PHASES, EpochBits
from zeroskip.hwmodel.moves import reads, writes
from zeroskip.hwmodel.pipeline import timed

RATE = {"read_bits_per_cycle": 8, "write_bits_per_cycle": 8}


def design(overlap: str | None) -> dict[str, Any]:
    """One PE; a value is 8 bits, as is what DRAM reads, or writes, in a cycle."""
    levels: dict[str, Any] = {"DRAM": RATE, "GLB": {}, "PE": {}}
    more = {} if overlap is None else {"overlap": overlap}
    return one_pe(levels=levels) | {"value_bits": 8, "accumulator_bits": 8} | more


def charged(overlap: str | None) -> Charge:
    operands = {"F": np.ones((4, 2)), "x": np.ones(2)}
    return charge(make_spec("y[m] = F[m,k]*x[k]"), arch(design(overlap)), operands)


def test_batches_that_follow_each_other_by_hand() -> None:
    """Of the next batch the first step is loaded beside the second's work, and the second beside
    what leaves of this one and the first's work: 5 and 5 values come, 4 results leave."""
    alone, beside = charged("none"), charged("double")
    assert (alone.cycles, alone.interval_cycles) == (22, 22)
    assert (beside.cycles, beside.interval_cycles) == (18, 5 + 5)
    assert charged(None).interval_cycles == charged(None).cycles == 10


@settings(max_examples=30)
@given(
    st.lists(st.tuples(*(st.integers(0, 90),) * 4), min_size=1, max_size=5),
    st.sampled_from(["none", "double"]),
)
def test_the_interval_is_what_one_more_batch_takes(
    epochs: list[tuple[int, int, int, int]], overlap: str
) -> None:
    """epochs : of each the cycles of its work, and bits that are loaded, moved beside it, and
    drained."""

    def made(batches: int) -> Any:
        rows = epochs * batches
        bits = EpochBits(len(rows), np.int64)
        for at, (_, load, moved, drain) in enumerate(rows):
            for phase, number in zip(PHASES, (load, moved, drain), strict=True):
                bits.add(phase, "DRAM", reads(0, number), at)
                bits.add(phase, "DRAM", writes(0, number // 2), at)
        busy = {"compute": np.array([row[0] for row in rows])}
        return timed(arch(design(overlap)), busy, bits)

    assert made(4).total - made(3).total == made(1).interval
    assert made(1).interval <= made(1).total


def test_means_have_an_interval_of_their_own() -> None:
    bits = EpochBits(2, float)
    bits.add("load", "DRAM", reads(0, 28.5), 0)
    busy = {"compute": np.array([1.0, 2.0]), "merge": np.array([0.5, 1.5])}
    found = timed(arch(design("double")), busy, bits)
    assert found.interval == pytest.approx(28.5 / 8 + 1.0)
    assert found.total == pytest.approx(28.5 / 8 + 1.0 + 2.0)
