"""The most of several tensors at one time, against every iteration."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.together import most_together

LOOPS = {
    "m": Loop("m", "m", 1, 3),
    "k1": Loop("k1", "k", 2, 3),
    "k0": Loop("k0", "k", 1, 2, spans=(2,)),
    "n": Loop("n", "n", 1, 2),
}
EXTENTS = {"m": 3, "k": 5, "n": 2}
"""Of k = 5 in blocks of 2 the last has one place: (k1, k0) = (2, 1) does not occur."""


@given(data=st.data())
def test_against_every_iteration(data: st.DataObject) -> None:
    tiles: list[tuple[Any, list[Loop]]] = []
    for _ in range(data.draw(st.integers(1, 4))):
        names = data.draw(st.lists(st.sampled_from(sorted(LOOPS)), unique=True))
        shape = [LOOPS[name].count for name in names]
        values = data.draw(st.lists(st.integers(0, 9), min_size=72, max_size=72))
        bits = np.array(values[: int(np.prod(shape))], np.int64).reshape(shape)
        tiles.append((bits, [LOOPS[name] for name in names]))
    at = most_together(tiles, EXTENTS, ["m", "k", "n"])
    assert at is not None
    sums = {}
    for m, k, n in product(range(3), range(5), range(2)):
        here = {"m": m, "k1": k // 2, "k0": k % 2, "n": n}
        sums[m, k, n] = sum(int(bits[tuple(here[x.name] for x in keys)]) for bits, keys in tiles)
    found = sum(int(bits[tuple(at[x.name] for x in keys)]) for bits, keys in tiles)
    assert found == max(sums.values())
