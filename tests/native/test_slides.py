"""Lanes whose windows slide, against NumPy; the interpreter and C against each other."""

import numpy as np
import pytest
from generator import random_array
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import line_of
from numpy.lib.stride_tricks import sliding_window_view

import zeroskip as zs
from zeroskip.formats.tensor import Tensor
from zeroskip.native import lane_shape, schedules
from zeroskip.native import settings as native_settings
from zeroskip.native.emit import emit
from zeroskip.native.fixed import Schedule
from zeroskip.native.nest_tiles import Slide
from zeroskip.native.parallel import nodes
from zeroskip.native.prepared import run
from zeroskip.native.slides import MOST_SUMS_NARROW, Sliding

LANES = Schedule(kind="lanes")
seeds = st.integers(0, 2**32 - 1)


def convolved(image, filters, stride, dilation, pad):
    """In float64, along every axis behind the channels, each with a stride and dilation."""
    axes = tuple(range(2, image.ndim))
    wide = np.pad(image.astype(np.float64), [(0, 0), (0, 0), *((p, p) for p in pad)])
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, filters.shape[2:], strict=True)]
    view = sliding_window_view(wide, spans, axis=axes)
    steps = [slice(None, None, s) for s in (*stride, *dilation)]
    view = view[(slice(None), slice(None), *steps)]
    spots, taps = "xyz"[: len(axes)], "abc"[: len(axes)]
    return np.einsum(f"nk{spots}{taps},mk{taps}->nm{spots}", view, filters.astype(np.float64))


@st.composite
def cases(draw):
    """Extents, strides and dilations of one to three axes; some windows reach past small images."""
    dims = draw(st.integers(1, 3))
    taps = [draw(st.integers(1, 5 if dims < 3 else 2)) for _ in range(dims)]
    stride = [draw(st.integers(1, 3)) for _ in range(dims)]
    dilation = [draw(st.integers(1, 3)) if s == 1 else 1 for s in stride]
    pad = [draw(st.integers(0, 3)) for _ in range(dims)]
    side = [
        max(draw(st.integers(1, 9)), d * (k - 1) + 1 - 2 * p)
        for d, k, p in zip(dilation, taps, pad, strict=True)
    ]
    return taps, stride, dilation, pad, side


@pytest.mark.parametrize("level", ["C", "B"])
@settings(max_examples=40)
@given(
    cases(),
    st.integers(1, 2),
    st.sampled_from([1, 3, 9]),
    st.integers(8, 40),
    st.sampled_from([None, 2]),
    st.sampled_from(["float32", "float64", "int32"]),
    st.sampled_from([16, 32, 64]),
    seeds,
)
def test_windows_slide_along_any_axis(level, case, n, channels, m, block, dtype, width, seed):
    taps, stride, dilation, pad, side = case
    rng = np.random.default_rng(seed)
    density = float(rng.choice([0, 0.1, 0.6]))
    image = random_array(rng, (n, channels, *side), dtype, density)
    filters = random_array(rng, (m, channels, *taps), dtype, 0.8)
    spots, windows = "xyz"[: len(side)], "abc"[: len(side)]
    steps = zip(stride, spots, dilation, windows, strict=True)
    met = ",".join(f"{s}*{x}+{d}*{a}" for s, x, d, a in steps)
    layer = zs.layer(
        f"O[n,m,{','.join(spots)}] = I[n,k,{met}] * F[m,k,{','.join(windows)}]",
        pad={"I": dict(enumerate(pad, 2))},
    )
    fibers = " ".join(f"{axis}:U" for axis in (0, *range(2, image.ndim)))
    stored = Tensor.from_dense(image, f"{fibers} 1:{level}")
    want = convolved(image, filters, stride, dilation, pad)
    schedule = Schedule(kind="lanes", block=block, vector_bytes=width)
    for backend in ("c", "interpreter") if channels < 9 and m < 12 else ("c",):
        got = layer(I=stored, F=filters, schedule=schedule, backend=backend)
        assert np.array_equal(got, want), backend
    bound = layer.bind(F=filters, schedule=schedule)
    other = Tensor.from_dense(np.where(image == 0, 1, 0).astype(dtype), f"{fibers} 1:{level}")
    for one in (stored, other, stored):
        assert np.array_equal(bound(I=one), layer(I=one, F=filters, schedule=schedule))


def lowered(text, image, filters, pad=0, format="0:U 2:U 3:U 1:C", **more):
    operands = {"I": Tensor.from_dense(image, format), "F": filters, **more}
    line = line_of(zs.layer(text, pad=pad).spec, operands)
    plan = schedules.schedule_of(line)
    prepared, filled = schedules.in_lanes(line, plan, np.empty(line.shape, line.stored))
    return plan, prepared, filled


def slides(prepared):
    return [node for node in nodes(prepared.lowered.kernel.body) if isinstance(node, Slide)]


def test_one_walk_of_a_fiber_serves_every_place_of_the_window():
    rng = np.random.default_rng(3)
    image, filters = random_array(rng, (1, 5, 6, 9), "float32", 0.5), np.ones((16, 5, 3, 3))
    filters = filters.astype(np.float32)
    text = "O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]"
    plan, prepared, filled = lowered(text, image, filters, pad=1)
    (found,) = slides(prepared)
    assert (found.var, found.members) == ("q", 3)
    assert emit(prepared.lowered.kernel).count("acc[2][v] +=") == 1
    result = filled.buffers[list(prepared.layout.buffers).index(("vals", "O"))]
    want = convolved(image, filters, (1, 1), (1, 1), (1, 1)).reshape(-1)
    for backend in ("interpreter", "c"):
        result[...] = -1
        run(prepared, filled, backend)
        assert np.array_equal(result, want), backend
    assert plan.slid.sliding == Sliding("q", "s", 1, 1)


@pytest.mark.parametrize(
    ("text", "shape", "taps"),
    [
        ("O[n,m,p,q] = I[n,c,p+r,q] * F[m,c,r]", (1, 4, 6, 6), (3,)),  # no window along q
        ("O[n,m,p,q] = I[n,c,p+r,2*q+3*s] * F[m,c,r,s]", (1, 4, 6, 12), (3, 3)),
        ("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", (1, 4, 6, 12), (3, 9)),  # too many places
        ("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", (1, 4, 6, 3), (3, 3)),  # one place
        ("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s] * G[s]", (1, 4, 6, 8), (3, 3)),
        ("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s] * H[q]", (1, 4, 6, 8), (3, 3)),
        ("O[n,m,p,q] = I[n,c,p+s,q+s] * F[m,c,s]", (1, 4, 6, 8), (3,)),  # along a diagonal
    ],
)
def test_what_does_not_slide_is_walked_place_by_place(text, shape, taps):
    rng = np.random.default_rng(4)
    image = random_array(rng, shape, "float64", 0.5)
    filters = random_array(rng, (9, 4, *taps), "float64", 0.9)
    more = {}
    if "G[" in text:
        more["G"] = random_array(rng, (3,), "float64", 1.0)
    if "H[" in text:
        more["H"] = random_array(rng, (6,), "float64", 1.0)
    _, prepared, _ = lowered(text, image, filters, **more)
    assert not slides(prepared)
    layer = zs.layer(text)
    stored = Tensor.from_dense(image, "0:U 2:U 3:U 1:C")
    want = layer(I=image, F=filters, **more, backend="numpy")
    for backend in ("c", "interpreter"):
        got = layer(I=stored, F=filters, **more, schedule=LANES, backend=backend)
        assert np.allclose(got, want, rtol=1e-12, atol=1e-12), backend


def test_bias_and_function_are_those_of_whole_sums():
    rng = np.random.default_rng(5)
    image = random_array(rng, (2, 6, 5, 7), "float32", 0.4)
    filters, bias = random_array(rng, (20, 6, 3, 3), "float32", 0.9), np.arange(-10, 10)
    bias = bias.astype(np.float32)
    text = "O[n,m,p,q] = relu(B[m] + I[n,c,p+r,q+s] * F[m,c,r,s])"
    layer = zs.layer(text, pad={"I": {2: 1, 3: 1}})
    stored = Tensor.from_dense(image, "0:U 2:U 3:U 1:C")
    sums = convolved(image, filters, (1, 1), (1, 1), (1, 1))
    want = np.maximum(sums + bias[None, :, None, None], 0)
    for threads in (1, 2):
        schedule = Schedule(kind="lanes", threads=threads)
        assert np.array_equal(layer(I=stored, F=filters, B=bias, schedule=schedule), want)


def test_vectors_are_few_where_each_entry_adds_to_many_places():
    along, apart, strided = (Sliding("q", "s", *how) for how in ((1, 1), (1, 2), (2, 1)))
    assert [along.vectors(taps, True, 0) for taps in (2, 3, 5, 8)] == [3, 2, 2, 1]
    assert [along.vectors(3, True, near) for near in (1, 3, 4, 50)] == [2, 3, 4, 8]
    assert [along.vectors(3, False, near) for near in (1, 3, 4, 50)] == [2, 3, 4, 4]
    assert [along.members(taps) for taps in (1, 3, 5)] == [1, 3, 5]
    assert apart.members(3) == 5
    assert strided.members(3) == strided.members(4) == 2
    assert apart.met(0, 3) == ((0, 0), (2, 1), (4, 2))
    assert [strided.met(first, 3) for first in strided.firsts(3)] == [((0, 0), (1, 2)), ((0, 0),)]
    assert lane_shape.MOST_MEMBERS <= MOST_SUMS_NARROW


def test_tiles_have_as_many_vectors_as_leave_what_a_line_meets_near():
    """Of 64-byte vectors and windows of three, all 64 channels of four fit, and all 128 of two."""
    for channels, vectors in ((16, 8), (64, 4), (65, 3), (128, 2), (512, 2)):
        image = np.zeros((1, channels, 4, 4), np.float32)
        filters = np.zeros((256, channels, 3, 3), np.float32)
        layer = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", pad=1)
        stored = Tensor.from_dense(image, "0:U 2:U 3:U 1:C")
        with native_settings.using(vector_bytes=64):
            shown = str(zs.explain(layer, I=stored, F=filters))
        assert f"zs_vec acc[3][{vectors}];" in shown
