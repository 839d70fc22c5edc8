"""Pooling and unpooling: against windows visited one by one, and torch."""

import numpy as np
import pytest
from oracles import agree, drawn, every, gathered, padded, pairs, windows

import zeroskip as zs
from zeroskip import layers

WINDOWS = [
    (2, {}),
    (3, {"stride": 2}),
    ((3, 2), {"stride": (1, 2), "padding": 1}),
    (3, {"stride": 2, "padding": (1, 0)}),
]


def taps(kernel, ndim=2):
    return (kernel,) * ndim if isinstance(kernel, int) else kernel


def pooled(
    x, kernel, reduce, value=0.0, stride=None, padding=0, dilation=1, ceil_mode=False, beyond=0.0
):
    """Each window reduced over its places; ``beyond`` is what stands behind the padding."""
    kernel = taps(kernel, x.ndim - 2)
    image = padded(x, padding, value)
    axes = tuple(range(2, x.ndim))
    stride = every(stride or kernel, x.ndim - 2)
    if ceil_mode:
        image = padded(image, [(0, u - 1) for u in stride], beyond)
    seen = windows(image, kernel, stride, dilation)
    ends = [n + low for n, (low, _) in zip(x.shape[2:], pairs(padding, x.ndim - 2), strict=True)]
    return gathered(
        [
            (place, reduce(window, axes))
            for place, window in seen
            if all(u * p < end for u, p, end in zip(stride, place, ends, strict=True))
        ]
    )


@pytest.mark.parametrize(("kernel", "options"), [*WINDOWS, (2, {"stride": 1, "dilation": 3})])
def test_max_pool_leaves_padding_out(kernel, options):
    x = drawn(1, 2, 3, 7, 6, density=0.8) - 1.5  # most windows are negative
    agree(
        layers.max_pool2d(kernel, **options),
        pooled(x, kernel, np.max, -np.inf, **options),
        lambda torch, t: torch.nn.functional.max_pool2d(t["I"], kernel, **options),
        I=x,
    )


@pytest.mark.parametrize(("kernel", "options"), WINDOWS)
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_avg_pool_counts_padding_or_not(kernel, options, count_include_pad):
    x = drawn(2, 2, 3, 7, 6)
    counted = options | {"count_include_pad": count_include_pad}
    reduce = (np.mean, 0.0) if count_include_pad else (np.nanmean, np.nan)
    agree(
        layers.avg_pool2d(kernel, **counted),
        pooled(x, kernel, *reduce, **options),
        lambda torch, t: torch.nn.functional.avg_pool2d(t["I"], kernel, **counted),
        I=x,
    )


CEILED = [
    (2, {}),
    (2, {"stride": 3}),
    (3, {"stride": (2, 3), "padding": 1}),
    (3, {"stride": 4, "padding": (1, 0)}),
    ((1, 4), {"stride": (3, 1), "padding": (0, 2)}),
    ((4, 3), {"stride": (5, 2), "padding": (2, 1)}),
]


@pytest.mark.parametrize("shape", [(7, 6), (8, 9), (5, 10), (4, 4)])
@pytest.mark.parametrize(("kernel", "options"), CEILED)
def test_ceil_mode_is_torchs(kernel, options, shape):
    x = drawn(9, 1, 2, *shape, density=0.8) - 1.5
    options = options | {"ceil_mode": True}
    agree(
        layers.max_pool2d(kernel, **options),
        pooled(x, kernel, np.max, -np.inf, **options, beyond=-np.inf),
        lambda torch, t: torch.nn.functional.max_pool2d(t["I"], kernel, **options),
        I=x,
    )
    for counted, value in ((True, 0.0), (False, np.nan)):
        agree(
            layers.avg_pool2d(kernel, **options, count_include_pad=counted),
            pooled(x, kernel, np.nanmean, value, **options, beyond=np.nan),
            lambda torch, t, counted=counted: torch.nn.functional.avg_pool2d(
                t["I"], kernel, **options, count_include_pad=counted
            ),
            I=x,
        )


@pytest.mark.parametrize("ndim", [1, 3])
def test_ceil_mode_on_other_numbers_of_axes(ndim):
    x = drawn(10, 1, 2, *(6, 4, 7)[:ndim]) - 0.1
    options = {"stride": 3, "padding": 1, "ceil_mode": True}
    named = {1: (layers.max_pool1d, layers.avg_pool1d), 3: (layers.max_pool3d, layers.avg_pool3d)}
    largest, mean = (layer(2, **options) for layer in named[ndim])
    agree(largest, pooled(x, 2, np.max, -np.inf, **options, beyond=-np.inf), I=x)
    agree(mean, pooled(x, 2, np.nanmean, 0.0, **options, beyond=np.nan), I=x)


def test_ceil_mode_of_dilated_windows_and_their_places():
    x = drawn(11, 1, 2, 7, 6, density=1)
    options = {"stride": 3, "dilation": 2, "padding": 1, "ceil_mode": True}
    want = pooled(x, 2, np.max, -np.inf, **options, beyond=-np.inf)
    agree(layers.max_pool2d(2, **options), want, I=x)
    at = layers.max_pool2d_indices(2, **options)(I=x).astype(int)
    assert np.array_equal(np.take_along_axis(x.reshape(1, 2, -1), at.reshape(1, 2, -1), -1).ravel(),
                          want.ravel())  # fmt: skip


def test_windows_that_never_start_behind_the_image_take_no_line():
    assert layers.max_pool2d(3, stride=2, padding=1, ceil_mode=True).text.count("\n") == 0
    assert layers.max_pool2d(2, stride=1, ceil_mode=True) == layers.max_pool2d(2, stride=1)


def test_an_average_without_padding_of_infinite_values():
    x = np.full((1, 1, 2, 2), np.inf)
    found = layers.avg_pool2d(2, padding=1, stride=1, count_include_pad=False)(I=x)
    assert np.isposinf(found).all()


@pytest.mark.parametrize("ndim", [1, 3])
def test_other_numbers_of_axes(ndim):
    x = drawn(3, 2, 2, *(5, 4, 6)[:ndim]) - 0.1
    options = {"stride": 2, "padding": 1}
    named = {1: (layers.max_pool1d, layers.avg_pool1d), 3: (layers.max_pool3d, layers.avg_pool3d)}
    for layer, reduce, value, name in zip(
        named[ndim], (np.max, np.mean), (-np.inf, 0.0), ("max", "avg"), strict=True
    ):
        agree(
            layer(3, **options),
            pooled(x, 3, reduce, value, **options),
            lambda torch, t, name=name: getattr(torch.nn.functional, f"{name}_pool{ndim}d")(
                t["I"], 3, **options
            ),
            I=x,
        )


def test_padding_may_differ_on_each_side():
    x = drawn(4, 1, 2, 5, 6) - 2
    options = {"stride": 2, "padding": ((0, 2), (1, 0))}
    agree(layers.max_pool2d(3, **options), pooled(x, 3, np.max, -np.inf, **options), I=x)
    agree(layers.avg_pool2d(3, **options), pooled(x, 3, np.mean, 0.0, **options), I=x)


def test_global_pooling():
    x = drawn(5, 2, 3, 4, 5)
    agree(layers.global_avg_pool2d(), x.mean((2, 3)), I=x)
    agree(layers.global_max_pool2d(), x.max((2, 3)), I=x)


@pytest.mark.parametrize(("kernel", "options"), WINDOWS)
def test_indices_are_torchs(kernel, options):
    x = np.round(drawn(6, 2, 3, 7, 6) * 2)  # ties, and windows of zeros
    numbered = np.broadcast_to(np.arange(42.0).reshape(7, 6), x.shape)
    image = padded(x, options.get("padding", 0), -np.inf)
    places = padded(numbered, options.get("padding", 0), np.nan)
    size = taps(kernel)
    seen = zip(
        windows(image, size, options.get("stride") or size),
        windows(places, size, options.get("stride") or size),
        strict=True,
    )
    found = []
    for (place, values), (_, where) in seen:
        first = values.reshape(2, 3, -1).argmax(-1)[..., None]
        found.append((place, np.take_along_axis(where.reshape(2, 3, -1), first, -1)[..., 0]))
    agree(
        layers.max_pool2d_indices(kernel, **options),
        gathered(found),
        lambda torch, t: torch.nn.functional.max_pool2d(
            t["I"], kernel, **options, return_indices=True
        )[1],
        I=x,
    )


def test_max_unpooling_puts_values_back():
    x = drawn(7, 2, 3, 6, 5, density=1)
    X, largest = layers.max_pool2d_indices(2)(I=x), layers.max_pool2d(2)(I=x)
    want = np.where(np.isin(x, largest), x, 0.0)  # all values differ
    want[:, :, :, 4] = 0.0  # no window reaches it
    agree(
        layers.max_unpool2d(x.shape),
        want,
        lambda torch, t: torch.nn.functional.max_unpool2d(
            t["I"], t["X"], 2, output_size=tuple(x.shape)
        ),
        X=X,
        I=largest,
    )


def test_overlapping_windows_are_not_unpooled():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    found = {
        "I": layers.max_pool2d(2, stride=1)(I=-x),
        "X": np.zeros((1, 1, 2, 2), np.int64),
    }
    with pytest.raises(zs.KernelError, match="more than once"):
        layers.max_unpool2d(x.shape)(**found)


@pytest.mark.parametrize("stride", [2, (1, 3), (3, 1)])
def test_zero_unpooling_and_nearest_neighbours(stride):
    x = drawn(8, 2, 3, 4, 3)
    down, right = taps(stride)
    want = np.zeros((2, 3, 4 * down, 3 * right))
    want[:, :, ::down, ::right] = x
    agree(layers.zero_unpool2d(stride), want, I=x)
    agree(
        layers.upsample_nearest2d(stride),
        x.repeat(down, 2).repeat(right, 3),
        lambda torch, t: torch.nn.functional.interpolate(
            t["I"], scale_factor=(down, right), mode="nearest"
        ),
        I=x,
    )


def test_a_window_that_may_miss_the_image_is_refused():
    with pytest.raises(zs.EinsumError) as caught:
        layers.max_pool2d(2, padding=2)
    assert str(caught.value) == (
        "padding: expected at most 1 places, so that every window of 2 sees the image, found 2"
    )
