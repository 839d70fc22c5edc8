"""Convolutions with sparse weights, sparse activations and both, against windows of NumPy."""

import itertools

import numpy as np
import pytest
from generator import every_format, random_format
from judges import Call, check, sparse
from numpy.lib.stride_tricks import sliding_window_view

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor

SEED = 2017
NAMED = ["CSR", "CSC", "COO", "CSF", "DCSR", "bitmask", "RLE(2)", "0:U 1*2*3:C", "dense"]


def formats(count, ndim=4, seed=SEED):
    """The named formats and as many random ones, of `SEED`."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    return NAMED + [random_format(rng, ndim) for _ in range(count)]


def windows(image, taps, stride, dilation, pad):
    """The image's windows: n c p q r s."""
    padded = np.pad(image, [(0, 0), (0, 0), *pad])
    reach = [d * (t - 1) + 1 for d, t in zip(dilation, taps, strict=True)]
    found = sliding_window_view(padded, reach, axis=(2, 3))
    (u, v), (d, e) = stride, dilation
    return found[:, :, ::u, ::v, ::d, ::e]


def convolution(image, filters, stride=(1, 1), dilation=(1, 1), pad=((0, 0), (0, 0))):
    view = windows(image, filters.shape[2:], stride, dilation, pad)
    return np.einsum("ncpqrs,mcrs->nmpq", view, filters)


def layer(stride=(1, 1), dilation=(1, 1), pad=((0, 0), (0, 0))):
    (u, v), (d, e) = stride, dilation
    text = f"O[n,m,p,q] = I[n,c,{u}*p+{d}*r,{v}*q+{e}*s] * F[m,c,r,s]"
    return make_spec(text, pad={"I": {2: pad[0], 3: pad[1]}})


GEOMETRY = [
    {},
    {"pad": ((1, 1), (1, 1))},
    {"stride": (2, 2), "pad": ((0, 1), (2, 0))},
    {"stride": (1, 3), "dilation": (2, 1), "pad": ((1, 2), (0, 1))},
]


def call(geometry, image, filters, image_format=None, filter_format=None):
    kinds = [
        x.astype(np.float64) if x.dtype.kind == "f" else x.astype(np.int64)
        for x in (image, filters)
    ]
    want = convolution(*kinds, **geometry)
    scale = convolution(*map(np.abs, kinds), **geometry)
    operands = {
        "I": image if image_format is None else Tensor.from_dense(image, image_format),
        "F": filters if filter_format is None else Tensor.from_dense(filters, filter_format),
    }
    return Call(layer(**geometry), operands, want, scale)


def draw(rng, dtype="float64", density=0.4):
    image = sparse(rng, (2, 2, 5, 6), dtype, density)
    return image, sparse(rng, (3, 2, 3, 2), dtype, density)


@pytest.mark.parametrize("geometry", GEOMETRY, ids=str)
@pytest.mark.parametrize("which", ["weights", "activations", "both"])
def test_convolution(which, geometry):
    rng = np.random.default_rng(5)
    calls = []
    chosen = formats(8, seed=SEED + len(str(geometry)))
    for k, format in enumerate(chosen):
        other = chosen[(5 * k + 2) % len(chosen)]
        pair = {"weights": (None, format), "activations": (format, None), "both": (format, other)}
        for density in (0.4, 0.0) if k % 3 else (0.4, 1.0):
            calls.append(call(geometry, *draw(rng, density=density), *pair[which]))
    check(calls)


@pytest.mark.parametrize("dtype", ["float32", "int8", "int16", "int32", "int64", "bool"])
def test_convolution_of_every_dtype(dtype):
    rng = np.random.default_rng(6)
    geometry = GEOMETRY[2]
    check(
        [
            call(geometry, *draw(rng, dtype), *pair)
            for pair in [(None, "CSR"), ("bitmask", None), ("COO", "RLE(1)"), ("RLE(2)", "CSF")]
        ]
    )


@pytest.mark.parametrize("formats_of_both", [(None, "CSR"), ("CSF", None), ("RLE(1)", "bitmask")])
def test_extents_of_0_and_1(formats_of_both):
    rng = np.random.default_rng(7)
    shapes = [
        ((1, 1, 1, 1), (1, 1, 1, 1)),
        ((0, 2, 4, 4), (3, 2, 3, 3)),
        ((2, 0, 4, 4), (3, 0, 3, 3)),
        ((2, 2, 4, 4), (0, 2, 3, 3)),
        ((1, 2, 3, 3), (2, 2, 3, 3)),
    ]
    check(
        [
            call({}, sparse(rng, image), sparse(rng, filters), *formats_of_both)
            for image, filters in shapes
        ]
    )


def line(image, filters, stride, dilation, lo, hi):
    padded = np.pad(image, [(0, 0), (lo, hi)])
    view = sliding_window_view(padded, dilation * (filters.shape[2] - 1) + 1, axis=1)
    return np.einsum("cpr,mcr->mp", view[:, ::stride, ::dilation], filters)


LINES = list(itertools.product([1, 2, 3], [1, 2], [(0, 0), (1, 2)]))


@pytest.mark.parametrize("seed", range(4))
def test_one_dimensional_convolution_on_formats_of_three_axes(seed):
    """96 of the 666 format sequences of F against as many of I, over every geometry."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    of_f = rng.choice(every_format(3), 24, replace=False)
    of_i = rng.choice(every_format(2), 24)
    calls = []
    for k, (f, i) in enumerate(zip(of_f, of_i, strict=True)):
        stride, dilation, (lo, hi) = LINES[k % len(LINES)]
        text = f"O[m,p] = I[c,{stride}*p+{dilation}*r] * F[m,c,r]"
        spec = make_spec(text, pad={"I": {1: (lo, hi)}})
        image, filters = sparse(rng, (3, 8)), sparse(rng, (2, 3, 3))
        stored = {"I": Tensor.from_dense(image, i), "F": Tensor.from_dense(filters, f)}
        if k % 3:
            stored["IF"[k % 2]] = (image, filters)[k % 2]
        want = line(image, filters, stride, dilation, lo, hi)
        scale = line(np.abs(image), np.abs(filters), stride, dilation, lo, hi)
        calls.append(Call(spec, stored, want, scale))
    check(calls)


@pytest.mark.parametrize("format", every_format(1, 2))
def test_the_kernel_run_backwards_and_the_image_run_backwards(format):
    """Coefficients below 0: ``I[q-s+2]`` is NumPy's convolution, ``I[6-q]`` a reversal."""
    rng = np.random.default_rng(8)
    image, taps = sparse(rng, (9,)), sparse(rng, (3,), density=0.7)
    kept = {"I": Tensor.from_dense(image, format), "F": Tensor.from_dense(taps, "C")}
    dense_taps = {**kept, "F": taps}
    flipped = Call(
        make_spec("O[q] = I[q-s+2] * F[s]"),
        kept,
        np.convolve(image, taps, "valid"),
        np.convolve(np.abs(image), np.abs(taps), "valid"),
    )
    full = Call(
        make_spec("O[q] = I[q-s+2] * F[s]", pad={"I": {0: (2, 2)}}),
        kept,
        np.convolve(image, taps),
        np.convolve(np.abs(image), np.abs(taps)),
    )
    reversed_image = Call(
        make_spec("O[q] = I[6-q]", sizes={"q": 7}), {"I": kept["I"]}, image[6::-1]
    )
    strided = Call(make_spec("O[q] = I[8-2*q]", sizes={"q": 5}), {"I": kept["I"]}, image[8::-2])
    windowed = Call(
        make_spec("O[q] = I[6-3*q+s] * F[s]", sizes={"q": 3}),
        dense_taps,
        np.array([image[6 - 3 * q : 9 - 3 * q] @ taps for q in range(3)]),
        np.array([np.abs(image[6 - 3 * q : 9 - 3 * q]) @ np.abs(taps) for q in range(3)]),
    )
    check([flipped, full, reversed_image, strided, windowed])


@pytest.mark.parametrize("format", ["CSR", "COO", "bitmask", "1:R(1) 0:C", "0*1:B"])
def test_depthwise_grouped_and_pointwise(format):
    rng = np.random.default_rng(9)
    image, depth = sparse(rng, (4, 6)), sparse(rng, (4, 3))
    grouped, point = sparse(rng, (2, 3, 2, 3)), sparse(rng, (5, 4))
    view = sliding_window_view(image, 3, axis=1)
    in_groups = view.reshape(2, 2, 4, 3)
    stored = Tensor.from_dense(image, format)
    check(
        [
            Call(
                make_spec("O[c,p] = I[c,p+r] * F[c,r]"),
                {"I": stored, "F": depth},
                np.einsum("cpr,cr->cp", view, depth),
                np.einsum("cpr,cr->cp", np.abs(view), np.abs(depth)),
            ),
            Call(
                make_spec("O[g,m,p] = I[2*g+c,p+r] * F[g,m,c,r]"),
                {"I": stored, "F": Tensor.from_dense(grouped, "CSF")},
                np.einsum("gcpr,gmcr->gmp", in_groups, grouped),
                np.einsum("gcpr,gmcr->gmp", np.abs(in_groups), np.abs(grouped)),
            ),
            Call(
                make_spec("O[m,p] = I[c,p] * F[m,c]"),
                {"I": stored, "F": Tensor.from_dense(point, format)},
                point @ image,
                np.abs(point) @ np.abs(image),
            ),
        ]
    )
