"""Lanes whose fibers are followed in blocks, against NumPy and against fibers that are whole."""

import mmap
from dataclasses import replace

import numpy as np
import pytest
from generator import random_array
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import line_of
from numpy.lib.stride_tricks import sliding_window_view

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.native import cuts, schedules
from zeroskip.native.bound import Bound
from zeroskip.native.fixed import Schedule
from zeroskip.native.prepared import run

FORMATS = ["0:U 2:U 3:U 1:C", "0:U 2:U 3:U 1:B", "2:U 0*3:U 1:C"]
TEXT = "O[n,m,p,q] = I[n,c,{u}*p+{d}*r,{u}*q+s] * F[m,c,r,s]"
seeds = st.integers(0, 2**32 - 1)


def convolved(image, filters, stride, dilation, pad):
    """In float64 by windows, one product."""
    wide = np.pad(image.astype(np.float64), [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    r, s = filters.shape[2:]
    view = sliding_window_view(wide, (dilation * (r - 1) + 1, s), axis=(2, 3))
    view = view[:, :, ::stride, ::stride, ::dilation]
    return np.einsum("ncpqrs,mcrs->nmpq", view, filters.astype(np.float64))


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=20)
@given(
    st.integers(1, 2),
    st.sampled_from([1, 2, 5, 7, 64, 70]),
    st.integers(8, 40),
    st.integers(3, 6),
    st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(0, 2)),
    st.sampled_from([1, 2, 3, 64, 1000]),
    st.sampled_from(["float32", "float64", "int32"]),
    seeds,
)
def test_blocks_of_fibers_give_what_whole_ones_give(
    format, n, channels, m, side, window, block, dtype, seed
):
    stride, dilation, pad = window
    rng = np.random.default_rng(seed)
    image = random_array(
        rng, (n, channels, side, side + 1), dtype, float(rng.choice([0, 0.1, 0.6]))
    )
    image[:, :, 1] = 0  # fibers that are empty
    filters = random_array(rng, (m, channels, 2, 3), dtype, 0.8)
    layer = zs.layer(TEXT.format(u=stride, d=dilation), pad={"I": {2: pad, 3: pad}})
    want = convolved(image, filters, stride, dilation, pad)
    stored = Tensor.from_dense(image, format)
    schedule = Schedule(kind="lanes", block=block)
    backends = ("c", "interpreter") if channels < 10 and m < 12 else ("c",)
    for backend in backends:
        got = layer(I=stored, F=filters, schedule=schedule, backend=backend)
        assert np.array_equal(got, want), backend
    bound = layer.bind(F=filters, schedule=schedule)
    other = Tensor.from_dense(np.where(image == 0, 1, 0).astype(dtype), format)
    for one in (stored, other, stored):
        assert np.array_equal(bound(I=one), layer(I=one, F=filters, schedule=schedule))
    assert np.array_equal(bound(I=stored), want)


@settings(max_examples=6)
@given(st.integers(1, 2), st.integers(3, 5), st.integers(1, 4), seeds)
def test_groups_of_channels_have_blocks_of_their_own(groups, channels, block, seed):
    rng = np.random.default_rng(seed)
    image = random_array(rng, (1, groups, channels, 4, 3), "float64", 0.4)
    filters = random_array(rng, (groups, 9, channels, 2, 2), "float64", 0.9)
    layer = zs.layer("O[n,g,m,p,q] = I[n,g,c,p+r,q+s] * F[g,m,c,r,s]")
    stored = Tensor.from_dense(image, "0:U 1:U 3:U 4:U 2:C")
    view = sliding_window_view(image, (2, 2), axis=(3, 4))
    want = np.einsum("ngcpqrs,gmcrs->ngmpq", view, filters)
    for backend in ("c", "interpreter"):
        schedule = Schedule(kind="lanes", block=block)
        got = layer(I=stored, F=filters, schedule=schedule, backend=backend)
        assert np.allclose(got, want, rtol=1e-12, atol=1e-12), backend


@pytest.mark.parametrize("format", FORMATS[:2])
@pytest.mark.parametrize("density", [0.3, 0.6])
def test_many_channels_are_cut_unasked_on_any_number_of_threads(format, density):
    rng = np.random.default_rng(7)
    image = random_array(rng, (2, 300, 5, 6), "float32", density)
    filters = random_array(rng, (130, 300, 3, 3), "float32", 0.9)
    layer = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", pad=1)
    stored = Tensor.from_dense(image, format)
    wide = Schedule(kind="lanes", vector_bytes=64)
    taken = zs.explain(layer, I=stored, F=filters, schedule=wide).lines[0].taken
    assert taken.kind == "lanes"
    assert 0 < taken.block < 300
    want = convolved(image, filters, 1, 1, 1)
    for threads in (1, 2, 3):
        got = layer(I=stored, F=filters, schedule=replace(wide, threads=threads))
        scale = convolved(abs(image), abs(filters), 1, 1, 1)
        assert (abs(got - want) <= 1e-5 * scale).all()
        again = layer(I=stored, F=filters, schedule=replace(taken, threads=threads))
        assert np.array_equal(got, again)  # what was taken is the same kernel when it is given


def test_weights_that_stay_lie_in_memory_that_no_call_writes():
    rng = np.random.default_rng(10)
    image = random_array(rng, (1, 200, 4, 4), "float32", 0.5)
    filters = random_array(rng, (100, 200, 3, 3), "float32", 0.9)  # more than half a megabyte
    bound = Bound(make_spec("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]"), {"F": filters})
    want = convolved(image, filters, 1, 1, 0)
    scale = convolved(abs(image), abs(filters), 1, 1, 0)
    for _ in range(3):
        got = bound.run({"I": Tensor.from_dense(image, FORMATS[0])})
        assert (abs(got - want) <= 1e-5 * scale).all()
    (kept,) = bound._kept._layouts.values()
    assert kept.nbytes > 2**19
    assert kept.flags.writeable == (not hasattr(mmap, "MADV_HUGEPAGE"))


def test_where_blocks_begin_is_where_their_first_entries_are():
    rng = np.random.default_rng(8)
    image = random_array(rng, (2, 11, 4, 3), "float32", 0.4)
    image[0, :, 1, 1] = 0
    operands = {
        "I": Tensor.from_dense(image, FORMATS[0]),
        "F": random_array(rng, (9, 11, 2, 2), "float32", 1.0),
    }
    layer = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]")
    line = replace(line_of(layer.spec, operands), fixed=Schedule(kind="lanes", block=4))
    plan = schedules.schedule_of(line)
    before = (np.transpose(image, (0, 2, 3, 1)) != 0).reshape(24, 11)
    starts = np.concatenate([[0], np.cumsum(before.sum(1))])
    want = [[starts[f] + before[f, : 4 * b].sum() for f in range(24)] for b in range(4)]
    assert want[3] == list(starts[1:])
    for backend in ("c", "interpreter"):
        prepared, filled = schedules.in_lanes(line, plan, np.empty(line.shape, line.stored))
        run(prepared, filled, backend)
        found = filled.buffers[list(prepared.layout.buffers).index(("cuts", "I"))]
        assert found.reshape(4, 24).tolist() == want, backend


def test_blocks_are_as_large_as_stays_near_and_as_pays():
    def block(extent, density, places=196, weights=2**20, letter="C"):
        return cuts.block_of(extent, 512, density, places, weights, letter)

    assert block(64, 0.5) == block(80, 0.5) == 0  # all of it is near
    assert block(128, 0.5) == block(256, 0.5) == block(512, 0.5) == 64
    assert block(150, 0.5) == 75
    assert block(150, 0.5, letter="B") == 128
    assert block(256, 0.1) == block(256, 0.0) == 0  # too few entries to take sums up again for
    assert block(512, 0.1) == 171
    assert block(512, 0.1, weights=2**24) == 64
    assert block(512, 0.05, weights=2**24) == 128
    assert block(512, 0.05, 49, weights=2**24) == 128
    assert block(512, 0.05, 16, weights=2**24) == block(512, 0.5, 4) == 0  # too seldom met


def test_what_cannot_be_cut_says_so():
    rng = np.random.default_rng(9)
    image = random_array(rng, (1, 5, 4, 4), "float32", 0.5)
    filters = random_array(rng, (8, 5, 2, 2), "float32", 1.0)
    layer = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]")
    cut, whole = (Schedule(kind="lanes", block=block) for block in (2, 0))
    for format in ("CSF", "bitmask", "0:U 2:U 3:U 1:R(2)"):
        stored = Tensor.from_dense(image, format)
        with pytest.raises(
            KernelError,
            match="block=2: expected 0: only fibers of one rank",
        ):
            layer(I=stored, F=filters, schedule=cut)
        got = layer(I=stored, F=filters, schedule=whole)
        assert np.array_equal(got, convolved(image, filters, 1, 1, 0))
