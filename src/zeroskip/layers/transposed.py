"""Up-CONV in its forms, which are one function: zeros inserted, then CONV.

Operands: ``I`` of shape (N, C, H, W); ``F`` of (C, M, R, S), as of torch's modules; ``B`` of (M,)
where ``bias``.  Result: ``O`` of (N, M, P, Q) with
P = (H-1)·stride - before - behind + dilation·(R-1) + 1 + output_padding, and Q alike.

The inserted zeros are structure that a form can leave out (the book's chapters 2 and 8): only
``"zero-insertion"`` has them, as a line that can be kept sparse (``format={"Z": "CSR"}``).
"""

from __future__ import annotations

from collections.abc import Callable

from zeroskip.checks import is_one_of
from zeroskip.computing import Layer, layer
from zeroskip.errors import EinsumError
from zeroskip.layers.spelling import (
    Axes,
    Padding,
    Window,
    each,
    flag,
    listed,
    plus,
    times,
    window,
)

PHASES, TILES, STEPS, MORE = "zyx", "eij", "tuv", "fga"
"""Letters of places in a block of the result, of blocks, of a block's own taps, and spare ones."""


def conv_transpose1d(
    *,
    stride: Axes = 1,
    padding: Padding = 0,
    output_padding: Axes = 0,
    dilation: Axes = 1,
    groups: int = 1,
    bias: bool = False,
    form: str = "scatter",
    kernel_size: Axes | None = None,
) -> Layer:
    """`conv_transpose2d` over one axis.

    >>> print(conv_transpose1d(stride=2))
    O[n,m,2*w+s] += I[n,c,w] * F[c,m,s]
    """
    of = window(1, stride, padding, dilation)
    return _transposed(of, output_padding, groups, bias, form, kernel_size)


def conv_transpose2d(
    *,
    stride: Axes = 1,
    padding: Padding = 0,
    output_padding: Axes = 0,
    dilation: Axes = 1,
    groups: int = 1,
    bias: bool = False,
    form: str = "scatter",
    kernel_size: Axes | None = None,
) -> Layer:
    """Up-CONV, also called deconvolution or transposed convolution.

    Parameters
    ----------
    stride, dilation, output_padding : int or one for each axis
    padding : int, or for each axis an int or (before, behind)
        Places that are taken off the result.
    groups : int
        F of shape (C, M/groups, R, S); in scatter form.
    bias : bool
        Whether there is an operand B, one value for each filter.
    form : str
        ``"scatter"``: every input is multiplied with the filter and added where it falls.
        ``"zero-insertion"`` (fractionally strided): zeros between the inputs, then CONV with the
        filter turned around, which here reads the inputs backward.
        ``"sub-pixel"``: a filter for each place in a block of stride×stride outputs, and then the
        blocks side by side; without dilation.
    kernel_size : int or one for each axis
        R and S, which the last two forms need.

    Raises
    ------
    EinsumError
        For arguments that are no such numbers, or that a form does not take.

    Examples
    --------
    >>> print(conv_transpose2d(stride=2))
    O[n,m,2*h+r,2*w+s] += I[n,c,h,w] * F[c,m,r,s]
    >>> print(conv_transpose2d(stride=2, padding=1))
    T[n,m,2*h+r,2*w+s] += I[n,c,h,w] * F[c,m,r,s]
    O[n,m,p,q] = (y == 0)*(x == 0)*T[n,m,p+y+1,q+x+1]
    >>> print(conv_transpose2d(stride=2, form="zero-insertion", kernel_size=3))
    Z[n,c,2*h,2*w] = I[n,c,h,w]
    O[n,m,p,q] = Z[n,c,p+2-r,q+2-s] * F[c,m,r,s]
    >>> print(conv_transpose2d(stride=2, form="sub-pixel", kernel_size=4))
    O[n,m,2*i+y,2*j+x] = I[n,c,i+1-u,j+1-v] * F[c,m,Y*u+y,X*v+x]
    """
    of = window(2, stride, padding, dilation)
    return _transposed(of, output_padding, groups, bias, form, kernel_size)


def conv_transpose3d(
    *,
    stride: Axes = 1,
    padding: Padding = 0,
    output_padding: Axes = 0,
    dilation: Axes = 1,
    groups: int = 1,
    bias: bool = False,
    form: str = "scatter",
    kernel_size: Axes | None = None,
) -> Layer:
    """`conv_transpose2d` over three axes.

    >>> print(conv_transpose3d(stride=2))
    O[n,m,2*d+k,2*h+r,2*w+s] += I[n,c,d,h,w] * F[c,m,k,r,s]
    """
    of = window(3, stride, padding, dilation)
    return _transposed(of, output_padding, groups, bias, form, kernel_size)


def conv2d_input(
    *, stride: Axes = 1, padding: Padding = 0, output_padding: Axes = 0, dilation: Axes = 1
) -> Layer:
    """Up-CONV as `conv2d` read backward: the gradient of its input from that of its output.

    Operands: ``G`` of shape (N, M, P, Q), what the output's gradient is; ``F`` of (M, C, R, S), the
    filters of `conv2d`.  Result: ``O`` of (N, C, H, W).  ``output_padding`` counts the rows and
    columns of the input that no window reached.

    >>> print(conv2d_input(stride=2))
    O[n,c,2*h+r,2*w+s] += G[n,m,h,w] * F[m,c,r,s]
    """
    of = window(2, stride, padding, dilation)
    extra = each("output_padding", output_padding, 2, least=0)
    cut = [(low, high - more) for (low, high), more in zip(of.pads, extra, strict=True)]
    made = f"[n,c,{of.written()}] += G[n,m,h,w] * F[m,c,r,s]"
    return _cut(of, made, cut, "c")


def pixel_shuffle(upscale_factor: int) -> Layer:
    """Channels put side by side as blocks of places: ``I`` (N, C·r², H, W), ``O`` (N, C, r·H, r·W).

    With a `conv2d` before it, up-CONV in sub-pixel form.

    >>> print(pixel_shuffle(2))
    O[n,c,2*h+y,2*w+x] = I[n,Y*X*c+X*y+x,h,w]
    """
    (up,) = each("upscale_factor", upscale_factor, 1)
    if up == 1:
        return layer("O[n,c,h,w] = I[n,c,h,w]")
    text = f"O[n,c,{up}*h+y,{up}*w+x] = I[n,Y*X*c+X*y+x,h,w]"
    return layer(text, sizes={"y": up, "x": up})


def _transposed(
    of: Window,
    output_padding: Axes,
    groups: int,
    bias: bool,
    form: str,
    kernel_size: Axes | None,
) -> Layer:
    extra = each("output_padding", output_padding, of.ndim, least=0)
    (parts,) = each("groups", groups, 1)
    bias = flag("bias", bias)
    cut = [(low, high - more) for (low, high), more in zip(of.pads, extra, strict=True)]
    if is_one_of(form, ("scatter",)):
        inputs, filters = ("C*g+c", "M*g+m") if parts > 1 else ("c", "m")
        products = f"I[n,{inputs},{listed(of.inputs)}] * F[{inputs},m,{listed(of.taps)}]"
        made = f"[n,{filters},{of.written()}] += {products}"
        sizes = {"g": parts} if parts > 1 else {}
        return _cut(of, made, cut, "m" if parts == 1 else "b", bias, sizes)
    if not is_one_of(form, FORMS):
        forms = ", ".join(("scatter", *FORMS))
        raise EinsumError(f"form: expected one of {forms}, found {form!r}")
    if parts > 1:
        raise EinsumError(
            f"form={form!r} takes no groups, found groups={groups}", hint="Take form='scatter'."
        )
    if kernel_size is None:
        raise EinsumError(
            f"form={form!r} needs kernel_size, the extents of F behind its channels",
            hint="Give it, or take form='scatter'.",
        )
    return FORMS[form](of, cut, each("kernel_size", kernel_size, of.ndim), bias)


def _zero_insertion(
    of: Window, cut: list[tuple[int, int]], taps: tuple[int, ...], bias: bool
) -> Layer:
    reach = [step * (size - 1) for step, size in zip(of.dilation, taps, strict=True)]
    sides = [(r - low, r - high) for r, (low, high) in zip(reach, cut, strict=True)]
    if min(map(min, sides)) < 0:
        raise EinsumError(
            f"padding: zero insertion expects at most {min(reach)} places, those that a filter of "
            f"{min(taps)} reaches beyond its own, found {max(map(max, cut))}",
            hint="Take form='scatter'.",
        )
    inserted = any(u > 1 for u in of.stride)
    name = "Z" if inserted else "I"
    dense = Window((1,) * of.ndim, tuple(sides), of.dilation)
    backward = ",".join(
        f"{plus(place, far)}-{times(step, rank)}"
        for place, far, step, rank in zip(of.places, reach, of.dilation, of.taps, strict=True)
    )
    text = (
        f"O[n,m,{listed(of.places)}] = {name}[n,c,{backward}] * F[c,m,{listed(of.taps)}]"
        f"{' + B[m]' if bias else ''}"
    )
    if inserted:
        places = ",".join(times(u, h) for u, h in zip(of.stride, of.inputs, strict=True))
        text = f"Z[n,c,{places}] = I[n,c,{listed(of.inputs)}]\n{text}"
    return layer(text, sizes=dict(zip(of.taps, taps, strict=True)), pad=dense.pad(name))


def _sub_pixel(of: Window, cut: list[tuple[int, int]], taps: tuple[int, ...], bias: bool) -> Layer:
    if any(step > 1 for step in of.dilation):
        raise EinsumError(
            f"form='sub-pixel' takes no dilation, found {of.dilation}",
            hint="Take form='scatter' or form='zero-insertion'.",
        )
    written, read, filters = [], [], []
    sizes: dict[str, int] = {}
    pad: dict[str, dict[int, tuple[int, int]]] = {"I": {}, "F": {}}
    longer = []
    letters = zip(TILES[-of.ndim :], PHASES[-of.ndim :], STEPS[-of.ndim :], strict=True)
    for axis, (tile, phase, step) in enumerate(letters, 2):
        up, size = of.stride[axis - 2], taps[axis - 2]
        blocks = -(-size // up)  # taps of each place in a block, the last ones of padding
        read.append(f"{plus(tile, blocks - 1)}-{step}")
        written.append(f"{times(up, tile)}+{phase}" if up > 1 else tile)
        filters.append(f"{phase.upper()}*{step}+{phase}" if up > 1 else step)
        sizes |= {step: blocks} | ({phase: up} if up > 1 else {})
        beyond = up * blocks - size
        longer.append(beyond)
        pad["I"] |= {axis: (blocks - 1, blocks - 1)} if blocks > 1 else {}
        pad["F"] |= {axis: (0, beyond)} if beyond else {}
    made = f"[n,m,{','.join(written)}] = I[n,c,{','.join(read)}] * F[c,m,{','.join(filters)}]"
    cut = [(low, high + more) for (low, high), more in zip(cut, longer, strict=True)]
    return _cut(of, made, cut, "m", bias, sizes, {name: axes for name, axes in pad.items() if axes})


FORMS: dict[str, Callable[[Window, list[tuple[int, int]], tuple[int, ...], bool], Layer]] = {
    "zero-insertion": _zero_insertion,
    "sub-pixel": _sub_pixel,
}
"""Beside ``"scatter"``."""


def _cut(
    of: Window,
    made: str,
    cut: list[tuple[int, int]],
    channel: str,
    bias: bool = False,
    sizes: dict[str, int] | None = None,
    pad: dict[str, dict[int, tuple[int, int]]] | None = None,
) -> Layer:
    """The layer of the line ``made``, places taken off (or, below 0, added) on each side after it.

    Taken off behind: of the places p+y with y to their number, the one with y = 0 is kept, which
    leaves p so many fewer.
    """
    sizes, pad = dict(sizes or {}), dict(pad or {})
    if not bias and not any(map(any, cut)):
        return layer(f"O{made}", sizes=sizes, pad=pad or None)
    kept, read, grown = [], [], {}
    letters = zip(of.places, PHASES[-of.ndim :], cut, strict=True)
    for axis, (place, shift, (low, high)) in enumerate(letters):
        shift = shift if shift not in sizes else MORE[PHASES.index(shift)]
        if high > 0:
            kept.append(f"({shift} == 0)*")
            sizes[shift] = high + 1
        elif high < 0:
            grown[2 + axis] = (0, -high)
        read.append(plus(f"{place}+{shift}" if high > 0 else place, low))
    if grown:
        pad["T"] = grown
    line = f"O[n,{channel},{listed(of.places)}] = {''.join(kept)}T[n,{channel},{','.join(read)}]"
    return layer(
        f"T{made}\n{line}{f' + B[{channel}]' if bias else ''}", sizes=sizes, pad=pad or None
    )
