"""FC, CONV and their relatives: against windows visited one by one, and torch."""

from fractions import Fraction

import numpy as np
import pytest
from oracles import agree, convolved, drawn, padded, windows

import zeroskip as zs
from zeroskip import layers

CONVS = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (1, 3), "padding": (2, 0)},
    {"dilation": (2, 1), "padding": 2},
    {"stride": 2, "dilation": 2, "padding": (1, 3)},
]
ASYMMETRIC = [{"padding": ((1, 2), (0, 1))}, {"padding": ((0, 3), 1), "stride": 2, "dilation": 2}]


@pytest.mark.parametrize("options", CONVS)
def test_conv2d_is_torchs(options):
    x, F, B = drawn(1, 2, 3, 7, 6), drawn(2, 4, 3, 3, 2), drawn(3, 4)
    want = convolved(x, F, **options) + B[:, None, None]
    agree(
        layers.conv2d(bias=True, **options),
        want,
        lambda torch, t: torch.nn.functional.conv2d(t["I"], t["F"], t["B"], **options),
        I=x,
        F=F,
        B=B,
    )


@pytest.mark.parametrize("options", ASYMMETRIC)
def test_padding_may_differ_on_each_side(options):
    x, F = drawn(4, 1, 2, 6, 5), drawn(5, 3, 2, 2, 3)
    agree(layers.conv2d(**options), convolved(x, F, **options), I=x, F=F)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "dilation"), [(4, 1), (3, 2), (2, 3), (1, 1)])
def test_same_padding_is_torchs(kernel, dilation, ndim):
    x, F = drawn(30, 2, 2, *(5, 4, 6)[:ndim]), drawn(31, 3, 2, *(kernel,) * ndim)
    around = dilation * (kernel - 1)
    pads = [(around // 2, around - around // 2)] * ndim
    named = {1: layers.conv1d, 2: layers.conv2d, 3: layers.conv3d}[ndim]
    want = convolved(x, F, padding=pads, dilation=dilation)
    assert want.shape[2:] == x.shape[2:]
    agree(
        named(padding="same", dilation=dilation, kernel_size=kernel),
        want,
        lambda torch, t: getattr(torch.nn.functional, f"conv{ndim}d")(
            t["I"], t["F"], padding="same", dilation=dilation
        ),
        I=x,
        F=F,
    )


def test_same_and_valid_padding_of_the_relatives():
    x, F = drawn(32, 2, 3, 6, 5), drawn(33, 3, 1, 4, 3)
    same = convolved(x, F, padding=[(1, 2), (1, 1)], groups=3)
    agree(layers.depthwise_conv2d(padding="same", kernel_size=(4, 3)), same, I=x, F=F)
    agree(layers.depthwise_conv2d(padding="valid"), convolved(x, F, groups=3), I=x, F=F)
    assert layers.conv2d(padding="valid", stride=2) == layers.conv2d(stride=2)
    seen = windows(padded(x, [(1, 2), (1, 1)]), (4, 3), 1)
    unfolded = np.stack([window.reshape(2, -1) for _, window in seen], -1)
    agree(layers.im2col((4, 3), padding="same"), unfolded, I=x)


def test_a_filter_of_another_size_than_said_is_refused():
    with pytest.raises(zs.EinsumError, match="rank r has two sizes: 3 in sizes, 2 in F"):
        layers.conv2d(padding="same", kernel_size=3)(
            I=np.ones((1, 1, 5, 5)), F=np.ones((1, 1, 2, 3))
        )


@pytest.mark.parametrize(("ndim", "kernel"), [(1, (4,)), (3, (2, 1, 3))])
def test_other_numbers_of_axes(ndim, kernel):
    x, F = drawn(6, 2, 2, *(5, 4, 6)[:ndim]), drawn(7, 3, 2, *kernel)
    options = {"stride": 2, "padding": 1}
    named = {1: layers.conv1d, 3: layers.conv3d}[ndim]
    agree(
        named(**options),
        convolved(x, F, **options),
        lambda torch, t: getattr(torch.nn.functional, f"conv{ndim}d")(t["I"], t["F"], **options),
        I=x,
        F=F,
    )


@pytest.mark.parametrize("groups", [2, 3, 6])
def test_groups_read_their_own_channels(groups):
    x, F = drawn(8, 2, 6, 5, 4), drawn(9, 12, 6 // groups, 2, 3)
    agree(
        layers.conv2d(groups=groups, padding=1),
        convolved(x, F, padding=1, groups=groups),
        lambda torch, t: torch.nn.functional.conv2d(t["I"], t["F"], padding=1, groups=groups),
        I=x,
        F=F,
    )


def test_groups_on_other_numbers_of_axes_with_bias():
    x, F, B = drawn(34, 2, 4, 5), drawn(35, 6, 2, 3), drawn(36, 6)
    want = np.maximum(convolved(x, F, groups=2) + B[:, None], 0)
    agree(layers.conv1d(groups=2, bias=True, activation="relu"), want, I=x, F=F, B=B)


REFUSED = "which must fill the axis: {}."


@pytest.mark.parametrize(
    ("layer", "channels", "filters", "said"),
    [
        (layers.conv2d(groups=2), 6, (5, 3), REFUSED.format(4)),
        (layers.conv2d(groups=2), 7, (4, 3), REFUSED.format(6)),
        (layers.conv2d(groups=2), 5, (4, 3), REFUSED.format(6)),
        (layers.conv2d(groups=2), 6, (1, 3), "or take a smaller window."),
        (layers.depthwise_conv2d(multiplier=2), 3, (7, 1), REFUSED.format(6)),
        (layers.depthwise_conv2d(multiplier=2), 3, (5, 1), REFUSED.format(6)),
        (layers.depthwise_conv2d(), 3, (4, 1), "or rename its rank: F[k,z,r,s]."),
        (layers.conv_transpose2d(groups=2), 5, (5, 3), REFUSED.format(4)),
    ],
)
def test_channels_and_filters_that_groups_do_not_divide_are_refused(layer, channels, filters, said):
    with pytest.raises(zs.EinsumError) as caught:
        layer(I=np.ones((1, channels, 4, 4)), F=np.ones((*filters, 2, 2)))
    assert str(caught.value).endswith(said)


def test_a_bias_of_another_length_than_filters_is_refused():
    given = {"I": np.ones((1, 4, 3, 3)), "F": np.ones((4, 2, 2, 2)), "B": np.ones(6)}
    with pytest.raises(zs.EinsumError, match="of axis 0 of B, which has 6"):
        layers.conv2d(groups=2, bias=True)(**given)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_is_one_group_a_channel(multiplier):
    x, F, B = drawn(10, 2, 3, 6, 5), drawn(11, 3 * multiplier, 1, 3, 3), drawn(12, 3 * multiplier)
    layer = layers.depthwise_conv2d(multiplier=multiplier, stride=2, padding=1, bias=True)
    want = convolved(x, F, stride=2, padding=1, groups=3) + B[:, None, None]
    agree(
        layer,
        want,
        lambda torch, t: torch.nn.functional.conv2d(
            t["I"], t["F"], t["B"], stride=2, padding=1, groups=3
        ),
        I=x,
        F=F,
        B=B,
    )


def test_depthwise_refuses_filters_of_several_channels():
    with pytest.raises(zs.EinsumError, match="rank z has two sizes"):
        layers.depthwise_conv2d()(I=np.ones((1, 3, 4, 4)), F=np.ones((3, 3, 2, 2)))


def test_pointwise_and_linear():
    x, F, B = drawn(13, 2, 5, 3, 4), drawn(14, 4, 5, 1, 1), drawn(15, 4)
    want = np.einsum("nchw,mc->nmhw", x, F[:, :, 0, 0]) + B[:, None, None]
    agree(layers.pointwise_conv2d(bias=True), want, I=x, F=F, B=B)
    agree(
        layers.linear(bias=True, activation="relu"),
        np.maximum(x[:, :, 0, 0] @ F[:, :, 0, 0].T + B, 0),
        I=np.ascontiguousarray(x[:, :, 0, 0]),
        F=np.ascontiguousarray(F[:, :, 0, 0]),
        B=B,
    )


def test_an_activation_is_taken_in_the_same_line():
    x, F = drawn(16, 1, 2, 5, 5), drawn(17, 3, 2, 3, 3)
    agree(layers.conv2d(activation="relu"), np.maximum(convolved(x, F), 0), I=x, F=F)


def test_a_layer_by_name_is_a_layer():
    conv = layers.conv2d(padding=1)
    assert conv == zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", pad=1)
    x, F = drawn(18, 1, 2, 5, 5), drawn(19, 3, 2, 3, 3)
    want = convolved(x, F, padding=1)
    np.testing.assert_allclose(conv.bind(F=zs.tensor(F, "CSR"))(I=x), want)
    charge = zs.charge(conv, "scnn", I=x, F=F)
    assert 0 < charge.ops["effectual"] < charge.ops["dense"]


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2}])
def test_im2col_is_torchs_unfold(options):
    x = drawn(20, 2, 3, 7, 6)
    kernel = (3, 2)
    image = padded(x, options.get("padding", 0))
    seen = windows(image, kernel, options.get("stride", 1), options.get("dilation", 1))
    want = np.stack([window.reshape(2, -1) for _, window in seen], -1)
    agree(
        layers.im2col(kernel, **options),
        want,
        lambda torch, t: torch.nn.functional.unfold(t["I"], kernel, **options),
        I=x,
    )


def test_im2col_times_filters_is_the_convolution():
    x, F = drawn(21, 2, 3, 6, 5), drawn(22, 4, 3, 3, 3)
    toeplitz = layers.im2col(3, stride=2, padding=1)(I=x)
    product = np.einsum("nkp,mk->nmp", toeplitz, F.reshape(4, -1))
    want = convolved(x, F, stride=2, padding=1)
    np.testing.assert_allclose(product.reshape(want.shape), want)


@pytest.mark.parametrize(("size", "stride", "padding"), [(8, 1, 1), (9, 2, 0), (7, 3, 2)])
def test_duplication_is_windows_times_taps(size, stride, padding):
    layer = layers.im2col(3, stride=stride, padding=padding)
    windows_on_an_axis = (size + 2 * padding - 3) // stride + 1
    want = Fraction(9 * windows_on_an_axis**2, size**2)
    assert layers.duplication(layer, I=(2, 5, size, size)) == float(want)


def test_the_book_says_that_inputs_are_duplicated():
    row = np.arange(1.0, 6.0).reshape(1, 1, 1, 5)
    toeplitz = layers.im2col((1, 3))(I=row)
    assert toeplitz[0].tolist() == [[1, 2, 3], [2, 3, 4], [3, 4, 5]]


COUNT = "expected a whole number from 1 on"
EACH = "or for each of 2 axes a number or (before, behind)"
PADDING = f"padding: expected a whole number from 0 on, {EACH}, "


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"stride": 0}, f"stride: {COUNT} or 2 of them, found 0"),
        ({"dilation": (1, 2, 3)}, f"dilation: {COUNT} or 2 of them, found (1, 2, 3)"),
        ({"groups": 1.5}, f"groups: {COUNT}, found 1.5"),
        (
            {"padding": "same"},
            "padding='same' needs kernel_size, the extents of F behind its channels\n"
            "Give it, or the numbers: (before, behind) = (D*(R-1)//2, D*(R-1) - D*(R-1)//2).",
        ),
        (
            {"padding": "same", "kernel_size": 3, "stride": (1, 2)},
            "padding='same': expected a stride of 1, found (1, 2)\n"
            "With strides, give numbers of places: (before, behind) for each axis.",
        ),
        (
            {"padding": "full"},
            "padding: expected numbers of places, 'same' or 'valid', found 'full'",
        ),
        ({"kernel_size": 0}, f"kernel_size: {COUNT} or 2 of them, found 0"),
        ({"padding": (1, -1)}, PADDING + "found (1, -1)"),
        ({"activation": "softmax"}, "activation: expected one of abs,"),
    ],
)
def test_what_is_refused(options, text):
    with pytest.raises(zs.EinsumError) as caught:
        layers.conv2d(**options)
    assert str(caught.value).startswith(text)
