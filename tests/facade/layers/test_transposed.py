"""Up-CONV: every form equals zero insertion and then CONV, and its zeros can be skipped."""

import numpy as np
import pytest
from oracles import agree, convolved, drawn, every, pairs

import zeroskip as zs
from zeroskip import layers

OPTIONS = [
    {"stride": 2},
    {"stride": 2, "padding": 1},
    {"stride": 3, "padding": 1, "output_padding": 1},
    {"stride": (2, 3), "padding": (0, 1), "output_padding": (1, 2)},
    {"stride": 1, "padding": 2},
    {"stride": (1, 2)},
]
FORMS = ("scatter", "zero-insertion", "sub-pixel")


def by_zero_insertion(x, f, stride=1, padding=0, output_padding=0, dilation=1):
    """What up-CONV is: zeros between the inputs, zeros around them, the filter turned around."""
    ndim = x.ndim - 2
    up, more = every(stride, ndim), every(output_padding, ndim)
    step = every(dilation, ndim)
    shape = [(x.shape[2 + a] - 1) * up[a] + 1 for a in range(ndim)]
    z = np.zeros((*x.shape[:2], *shape))
    z[(..., *(slice(None, None, u) for u in up))] = x
    sides = []
    for axis, (low, high) in enumerate(pairs(padding, ndim)):
        reach = step[axis] * (f.shape[2 + axis] - 1)
        before, behind = reach - low, reach - high + more[axis]
        if behind < 0 or before < 0:
            z = z.take(range(max(-before, 0), z.shape[2 + axis] - max(-behind, 0)), 2 + axis)
        sides.append((max(before, 0), max(behind, 0)))
    turned = np.flip(f, tuple(range(2, f.ndim))).swapaxes(0, 1)
    return convolved(z, turned, padding=sides, dilation=dilation)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", OPTIONS)
def test_every_form_is_zero_insertion_then_conv(options, form):
    x, F, B = drawn(1, 1, 2, 3, 4), drawn(2, 2, 2, 4, 3), drawn(3, 2)
    layer = layers.conv_transpose2d(**options, bias=True, form=form, kernel_size=(4, 3))
    agree(
        layer,
        by_zero_insertion(x, F, **options) + B[:, None, None],
        lambda torch, t: torch.nn.functional.conv_transpose2d(t["I"], t["F"], t["B"], **options),
        I=x,
        F=F,
        B=B,
    )
    plain = layers.conv_transpose2d(**options, form=form, kernel_size=(4, 3))
    agree(plain, by_zero_insertion(x, F, **options), I=x, F=F)


@pytest.mark.parametrize("form", FORMS[:2])
def test_dilation(form):
    x, F = drawn(4, 1, 2, 4, 3), drawn(5, 2, 3, 2, 3)
    options = {"stride": 2, "padding": 1, "dilation": (2, 1)}
    agree(
        layers.conv_transpose2d(**options, form=form, kernel_size=(2, 3)),
        by_zero_insertion(x, F, **options),
        lambda torch, t: torch.nn.functional.conv_transpose2d(t["I"], t["F"], **options),
        I=x,
        F=F,
    )


@pytest.mark.parametrize("form", FORMS)
def test_padding_may_differ_on_each_side(form):
    x, F = drawn(6, 1, 2, 4, 3), drawn(7, 2, 3, 3, 3)
    options = {"stride": 2, "padding": ((0, 2), (1, 0))}
    agree(
        layers.conv_transpose2d(**options, form=form, kernel_size=3),
        by_zero_insertion(x, F, **options),
        I=x,
        F=F,
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ndim", [1, 3])
def test_other_numbers_of_axes(ndim, form):
    x, F = drawn(8, 1, 2, *(3, 2, 4)[:ndim]), drawn(9, 2, 2, *(2, 3, 3)[:ndim])
    options = {"stride": 2, "padding": 1}
    named = {1: layers.conv_transpose1d, 3: layers.conv_transpose3d}[ndim]
    agree(
        named(**options, form=form, kernel_size=F.shape[2:]),
        by_zero_insertion(x, F, **options),
        lambda torch, t: getattr(torch.nn.functional, f"conv_transpose{ndim}d")(
            t["I"], t["F"], **options
        ),
        I=x,
        F=F,
    )


def test_groups_write_their_own_channels():
    x, F = drawn(10, 2, 6, 3, 4), drawn(11, 6, 2, 3, 2)
    shares = zip(np.split(x, 3, 1), np.split(F, 3, 0), strict=True)
    options = {"stride": 2, "padding": 1}
    agree(
        layers.conv_transpose2d(groups=3, **options),
        np.concatenate([by_zero_insertion(a, b, **options) for a, b in shares], 1),
        lambda torch, t: torch.nn.functional.conv_transpose2d(t["I"], t["F"], groups=3, **options),
        I=x,
        F=F,
    )


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}])
def test_conv_read_backward_is_the_gradient_of_its_input(options):
    x, F = drawn(12, 2, 3, 7, 6), drawn(13, 4, 3, 3, 2)
    G = drawn(14, *convolved(x, F, **options).shape)
    unread = [
        (x.shape[a] + 2 * options.get("padding", 0) - F.shape[a]) % options.get("stride", 1)
        for a in (2, 3)
    ]
    layer = layers.conv2d_input(**options, output_padding=unread)
    got = layer(G=G, F=F)
    # CONV is linear: the product of G with its result is the product of the gradient with x
    np.testing.assert_allclose((convolved(x, F, **options) * G).sum(), (got * x).sum())
    agree(
        layer,
        by_zero_insertion(G, F, **options, output_padding=unread),
        lambda torch, t: torch.nn.grad.conv2d_input(x.shape, t["F"], t["G"], **options),
        G=G,
        F=F,
    )


def test_pixel_shuffle():
    x = drawn(15, 2, 12, 3, 4)
    want = x.reshape(2, 3, 2, 2, 3, 4).transpose(0, 1, 4, 2, 5, 3).reshape(2, 3, 6, 8)
    agree(
        layers.pixel_shuffle(2),
        want,
        lambda torch, t: torch.nn.functional.pixel_shuffle(t["I"], 2),
        I=x,
    )
    assert np.array_equal(layers.pixel_shuffle(1)(I=x), x)


def effectual(layer, **operands):
    """Multiplications of two values that are not 0, by the charge's own accounting."""
    charge = zs.charge(layer, "scnn", **operands)
    return charge.ops["effectual"], charge.ops["dense"]


def test_the_inserted_zeros_are_skipped():
    """CONV over the zeros asks for 9 times the products; those that are effectual are the same."""
    x, F = 1 + abs(drawn(16, 1, 3, 5, 4, density=1)), 1 + abs(drawn(17, 3, 2, 3, 3, density=1))
    scattered, asked = effectual(layers.conv_transpose2d(stride=3), I=x, F=F)
    assert scattered == asked == x.size * F.shape[1] * 9

    text = layers.conv_transpose2d(stride=3, form="zero-insertion", kernel_size=3).text
    insert, conv = text.splitlines()
    Z = zs.layer(insert)(I=x)
    assert np.count_nonzero(Z) == x.size
    line = zs.layer(conv, sizes={"r": 3, "s": 3}, pad={"Z": {2: (2, 2), 3: (2, 2)}})
    found, dense = effectual(line, Z=Z, F=F)
    assert found == scattered
    assert dense == F.size * (3 * 5) * (3 * 4)
    assert dense == 9 * scattered  # stride 3 in both directions


def test_the_zeros_need_no_memory():
    x, F = drawn(18, 1, 2, 4, 4), drawn(19, 2, 2, 3, 3)
    layer = layers.conv_transpose2d(stride=2, form="zero-insertion", kernel_size=3)
    want = by_zero_insertion(x, F, stride=2)
    np.testing.assert_allclose(layer(I=x, F=F, format={"Z": "CSR"}), want, atol=1e-12)
    Z = zs.layer(layer.text.splitlines()[0])(I=zs.tensor(x, "CSR"), format="CSR")
    assert Z.nnz == np.count_nonzero(x)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"form": "fast"},
            "form: expected one of scatter, zero-insertion, sub-pixel, found 'fast'",
        ),
        (
            {"form": "sub-pixel"},
            "form='sub-pixel' needs kernel_size, the extents of F behind its channels\n"
            "Give it, or take form='scatter'.",
        ),
        (
            {"form": "sub-pixel", "groups": 2},
            "form='sub-pixel' takes no groups, found groups=2\nTake form='scatter'.",
        ),
        (
            {"form": "sub-pixel", "kernel_size": 3, "dilation": 2},
            "form='sub-pixel' takes no dilation, found (2, 2)\n"
            "Take form='scatter' or form='zero-insertion'.",
        ),
        (
            {"form": "zero-insertion", "kernel_size": 2, "padding": 2},
            "padding: zero insertion expects at most 1 places, those that a filter of 2 reaches "
            "beyond its own, found 2\nTake form='scatter'.",
        ),
    ],
)
def test_what_is_refused(options, text):
    with pytest.raises(zs.EinsumError) as caught:
        layers.conv_transpose2d(**options)
    assert str(caught.value) == text
