"""Images that are read where they lie, but for what lies near padding."""

import numpy as np
import pytest
from generator import random_array
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import line_of

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.native import geometry, tile, unrolled
from zeroskip.native.fixed import Schedule

TEXT = "O[n,m,p,q] = I[n,c,p+{0}*r,q+{1}*s] * F[m,c,r,s]"
codes = pytest.mark.skipif(not unrolled.available(), reason="no machine code of a process is run")
seeds = st.integers(0, 2**32 - 1)


def ends(text, image, filters, pad, dtype="float32", masked=None):
    """What is copied of an image of this shape; None where all of it is."""
    image, filters = np.ones(image, dtype), np.ones(filters, dtype)
    line = line_of(make_spec(text, pad=pad), {"I": image, "F": filters})
    plan = tile.plan(line.form, line.signatures, dtype)
    if masked is None:
        masked = geometry.shifts_of(plan, line.extents) is not None
    return geometry.lying_in(plan, line.extents, masked, 64 // image.itemsize)


def test_which_vectors_reach_padding():
    found = ends(TEXT.format(1, 1), (1, 3, 56, 56), (4, 3, 3, 3), 1)
    assert (found.before, found.first, found.end) == (57, 4, 192)  # of 196 vectors of 16 lanes
    assert found.head == 192 >= 4 * 16 + 2 * 56 + 2 > 192 - 16  # whole vectors
    assert found.tail == 4 * 16 + 2 * 56 + 2
    # without padding the last vectors alone reach past the last place, and none starts before
    found = ends(TEXT.format(1, 1), (1, 3, 56, 56), (4, 3, 3, 3), 0)
    assert (found.before, found.first, found.head) == (0, 0, 0)
    assert found.end * 16 + 2 * 56 + 2 <= 56 * 56 < (found.end + 1) * 16 + 2 * 56 + 2


def test_which_images_lie_as_the_line_does():
    plain, filters = TEXT.format(1, 1), (4, 3, 3, 3)
    assert ends(plain, (1, 3, 40, 40), filters, 1)
    assert ends(plain, (1, 3, 40, 40), filters, {"I": {2: (2, 0), 3: (1, 1)}})
    assert ends(TEXT.format(2, 3), (1, 3, 60, 60), filters, {"I": {2: 2, 3: 3}})
    assert ends("O[m,q] = I[c,q+s] * F[m,c,s]", (3, 200), (4, 3, 3), 1)
    assert not ends(plain, (1, 3, 7, 7), filters, 1)  # its ends are most of it
    assert not ends(plain, (2, 3, 40, 40), filters, 1)  # channels come between two images
    assert not ends(plain, (1, 3, 40, 40), (4, 3, 3, 3), 1, masked=False)  # rows with a halo
    assert not ends("O[m,p,q] = I[c,2*p+r,2*q+s] * F[m,c,r,s]", (3, 80, 80), filters, 1)
    assert not ends("O[m,p,q] = I[c,q+s,p+r] * F[m,c,r,s]", (3, 40, 40), filters, 1)
    assert not ends("O[m,p,q] = I[p+r,q+s,c] * F[m,c,r,s]", (40, 40, 3), filters, 1)


@codes
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_images_of_every_size_with_anything_around_them(data):
    """In memory aligned to elements alone, with values around it that must not come in; code is
    made for where the first image lies, others lie elsewhere."""
    rng = np.random.default_rng(data.draw(seeds))
    steps = [data.draw(st.integers(1, 2)) for _ in range(2)]
    taps = [data.draw(st.integers(1, 3)) for _ in range(2)]
    reach = [step * (n - 1) for step, n in zip(steps, taps, strict=True)]
    before = [data.draw(st.integers(0, n)) for n in reach]
    after = [data.draw(st.sampled_from([0, n - lo])) for n, lo in zip(reach, before, strict=True)]
    height, width = (data.draw(st.integers(n + 1, 40)) for n in reach)
    channels, filters = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 30))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    room = np.full(channels * height * width + 200, np.nan, dtype)
    size, shape = room.size - 200, (1, channels, height, width)
    values = random_array(rng, shape, dtype, 0.9)

    def placed():
        room[:] = np.nan
        image = room[data.draw(st.integers(90, 110)) :][:size]
        image[:] = values.ravel()
        return image.reshape(shape)

    weights = random_array(rng, (filters, channels, *taps), dtype, 0.5)
    pad = {"I": {axis + 2: (before[axis], after[axis]) for axis in range(2)}}
    layer = zs.layer(TEXT.format(*steps), pad=pad)
    block = data.draw(st.sampled_from([None, 0, 9]))
    bound = layer.bind(F=weights, schedule=Schedule(unrolled=True, block=block))
    want = layer(I=values, F=weights, backend="numpy")
    for threads in (1, 2, 3):
        with zs.config.using(threads=threads):
            assert np.array_equal(bound(placed()), want)
            assert np.array_equal(bound(placed()), want)
