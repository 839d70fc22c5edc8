"""Products under any schedule that they can have, bound and not, call after call."""

import numpy as np
import pytest
from generator import draw_product

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import KernelError
from zeroskip.formats.values import HALVES
from zeroskip.native import engine
from zeroskip.native.bound import Bound
from zeroskip.native.fixed import Schedule

KINDS = ("tiled", "lanes", "dots", "plain")


def random_schedule(rng) -> Schedule:
    """One that a layer may or may not be able to take."""
    kind = str(rng.choice(KINDS, p=[0.6, 0.2, 0.1, 0.1]))
    fixed = {"vector_bytes": int(rng.choice([16, 32, 64]))} if kind != "plain" else {}
    if kind == "tiled" and rng.random() < 0.2:
        return Schedule(kind, block=int(rng.integers(0, 9)), bitmask=True, **fixed)
    if kind == "tiled" and rng.random() < 0.7:
        fixed |= {
            "rows": int(rng.integers(1, 5)),
            "vectors": int(rng.integers(1, 5)),
            "block": int(rng.integers(0, 9)),
        }
    return Schedule(kind, **fixed)


@pytest.mark.parametrize("seed", range(30))
def test_any_schedule(seed):
    """Whole numbers, whose sums are the same in any order, are equal to NumPy's."""
    rng = np.random.default_rng([seed, 77])
    case, ran = None, 0
    while case is None or any(x.dtype.name in HALVES for x in case.dense.values()):
        case = draw_product(rng)
    spec = make_spec(case.text, case.consts, case.sizes, case.pad)
    last = spec.results[-1]
    want = engine.evaluate(spec, case.dense, backend="numpy")[last]
    for schedule in (None, *(random_schedule(rng) for _ in range(4))):
        held = {name: x for name, x in case.stored.items() if rng.random() < 0.5}
        fresh = {name: x for name, x in case.stored.items() if name not in held}
        bound = Bound(spec, held, schedule)
        for _ in range(3):
            try:
                made = bound.run(fresh)
            except KernelError:  # it cannot be scheduled so
                break
            assert np.array_equal(made, want), (case, bound.schedule, sorted(held))
            ran += 1
    assert ran >= 3
