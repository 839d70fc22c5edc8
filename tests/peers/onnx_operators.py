"""ONNX's operators as lines of Einsum: attributes become text, sizes and padding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from onnx_windows import IMAGE, KERNEL, OUT, Window, window

import zeroskip as zs

RANKS = tuple("ijklmn")

Array = np.ndarray
Operator = Callable[[Mapping[str, Any], list[Array]], tuple[Array, ...]]


def _join(*parts: Any) -> str:
    return ",".join(x for part in parts for x in ([part] if isinstance(part, str) else part))


# ---- convolutions -----------------------------------------------------------------------


def conv(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    """``group`` splits the channels: a rank g of both operands, by affine subscripts."""
    image, weights, *bias = operands
    groups = attributes.get("group", 1)
    seen = window(attributes, image.shape[2:], weights.shape[2:])
    n, m, c = seen.axes, weights.shape[0] // groups, weights.shape[1]
    read = _join("n", f"{c}*g+c", seen.places)
    line = (
        f"T[{_join('n', f'{m}*g+m', OUT[:n])}] += I[{read}]*F[{_join(f'{m}*g+m', 'c', KERNEL[:n])}]"
    )
    if bias:
        at = _join("n", "k", OUT[:n])
        line += f"\nO[{at}] = B[k] + T[{at}]"
    named = dict(zip(("I", "F", "B"), operands, strict=False))
    sizes = {**seen.sizes, "g": groups, "m": m, "c": c}
    return (zs.einsum(line, sizes=sizes, pad={"I": seen.pad()}, **named),)


def conv_transpose(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    """Scatter form: every product is added where it falls; a second line cuts the padding off."""
    image, weights, *bias = operands
    n, groups = image.ndim - 2, attributes.get("group", 1)
    c, m = image.shape[1] // groups, weights.shape[1]
    strides = attributes.get("strides", [1] * n)
    dilations = attributes.get("dilations", [1] * n)
    auto = attributes.get("auto_pad", b"NOTSET").decode()
    more = attributes.get("output_padding", [0] * n)
    full = [
        s * (size - 1) + d * (k - 1) + 1
        for s, d, size, k in zip(
            strides, dilations, image.shape[2:], weights.shape[2:], strict=True
        )
    ]
    out = attributes.get("output_shape")
    if auto.startswith("SAME"):
        out = [s * size for s, size in zip(strides, image.shape[2:], strict=True)]
    if out is None:
        pads = attributes.get("pads", [0] * 2 * n)
        begin = list(pads[:n])
        out = [full[k] + more[k] - pads[k] - pads[n + k] for k in range(n)]
    else:
        total = [max(full[k] + more[k] - out[k], 0) for k in range(n)]
        begin = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in total]
    places = [
        f"{s}*{p}+{d}*{r}" for s, d, p, r in zip(strides, dilations, OUT, KERNEL, strict=False)
    ]
    cut = [f"{h}+{b}+u" for h, b in zip(IMAGE, begin, strict=False)]  # a window may leave a tail
    lines = [
        f"T[{_join('n', f'{m}*g+m', places)}] += "
        f"I[{_join('n', f'{c}*g+c', OUT[:n])}]*F[{_join(f'{c}*g+c', 'm', KERNEL[:n])}]",
        f"O[{_join('n', 'k', IMAGE[:n])}] = "
        + "B[k] + " * bool(bias)
        + f"T[{_join('n', 'k', cut)}]",
    ]
    room = [max(f, b + size) for f, b, size in zip(full, begin, out, strict=True)]
    sizes: dict[str, Any] = dict(zip(IMAGE, out, strict=False))
    sizes |= {"u": 1, "g": groups, "c": c, "T": (image.shape[0], groups * m, *room)}
    named = dict(zip(("I", "F", "B"), operands, strict=False))
    return (zs.einsum("\n".join(lines), sizes=sizes, **named),)


# ---- poolings ---------------------------------------------------------------------------


def _window(attributes: Mapping[str, Any], image: Array) -> Window:
    return window(attributes, image.shape[2:], attributes["kernel_shape"])


def max_pool(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    """Padding is skipped; the place of a maximum is the least at which it stands."""
    (image,) = operands
    seen = _window(attributes, image)
    n = seen.axes
    over, read = _join(KERNEL[:n]), f"I[{_join('n', 'c', seen.places)}]"
    at = _join("n", "c", OUT[:n])
    given = {"sizes": seen.sizes, "pad": {"I": seen.pad(skip=True)}, "I": image}
    largest = f"M[{at}] = max[{over}]({read})"
    found = zs.einsum(largest, **given)
    order = range(n) if attributes.get("storage_order") else reversed(range(n))
    flat, step = "", 1
    for k in order:
        flat += f" + {step}*({seen.places[k]}-{seen.begin[k]})"
        step *= image.shape[2 + k]
    flat = f"{step}*({image.shape[1]}*n+c){flat}"
    where = f"Z[{at}] = min[{over}](where({read} == M[{at}], {flat}, {image.size}))"
    return found, zs.einsum(f"{largest}\n{where}", **given)


def max_unpool(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    """Scatter through the places, then the shape that is asked for."""
    values, places, *wanted = operands
    seen_by = zip(values.shape[2:], attributes["strides"], attributes["kernel_shape"], strict=True)
    shape = [(size - 1) * s + k for size, s, k in seen_by]
    channels, n = values.shape[1], len(shape)
    steps = [prod(shape[k + 1 :]) for k in range(n)]
    flat = "+".join(f"{step}*{h}" for step, h in zip(steps, IMAGE, strict=False))
    each = prod(shape)
    at = _join("n", "c", OUT[:n])
    lines = [
        f"T[X[{at}]] += V[{at}]",
        f"S[{_join('n', 'c', IMAGE[:n])}] = T[{each * channels}*n+{each}*c+{flat}]",
        f"O[{_join('n', 'c', KERNEL[:n])}] = S[{_join('n', 'c', KERNEL[:n])}]",
    ]
    sizes = {"T": (values.shape[0] * channels * each,), "n": values.shape[0], "c": channels}
    sizes |= dict(zip(IMAGE, shape, strict=False))
    pad = None
    if wanted:
        extra = [int(size) - known for size, known in zip(wanted[0][2:], shape, strict=True)]
        pad = {"S": {2 + k: (0, more) for k, more in enumerate(extra)}}
    return (zs.einsum("\n".join(lines), X=places, V=values, sizes=sizes, pad=pad),)


def average_pool(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    """A sum over the window by a count of the places that it covers: the sum of ones."""
    (image,) = operands
    seen = _window(attributes, image)
    n = seen.axes
    over = _join(KERNEL[:n])
    ones, beyond = np.ones(seen.image, image.dtype), seen.pad(first=0)
    if attributes.get("count_include_pad"):
        padded = zip(seen.begin, seen.image, seen.asked_end, strict=True)
        ones = np.ones([sum(parts) for parts in padded], image.dtype)
        late = zip(seen.end, seen.asked_end, strict=True)
        beyond = {k: (0, end - asked) for k, (end, asked) in enumerate(late)}
    line = (
        f"O[{_join('n', 'c', OUT[:n])}] = "
        f"sum[{over}](I[{_join('n', 'c', seen.places)}])/sum[{over}](E[{_join(seen.places)}])"
    )
    return (zs.einsum(line, I=image, E=ones, sizes=seen.sizes, pad={"I": seen.pad(), "E": beyond}),)


def lp_pool(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    (image,) = operands
    seen = _window(attributes, image)
    n = seen.axes
    read = f"I[{_join('n', 'c', seen.places)}]"
    line = f"O[{_join('n', 'c', OUT[:n])}] = "
    line += f"pow(sum[{_join(KERNEL[:n])}](pow(abs({read}), l)), 1/l)"
    consts = {"l": float(attributes.get("p", 2))}
    return (zs.einsum(line, I=image, consts=consts, sizes=seen.sizes, pad={"I": seen.pad()}),)


def global_pool(operation: str) -> Operator:
    def pooled(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
        (image,) = operands
        axes = list(range(2, image.ndim))
        return (_reduced(operation, image, axes, keep=True),)

    return pooled


# ---- normalisation ----------------------------------------------------------------------


def batch_normalization(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    """In training the mean and the variance are the batch's, and running averages come out too."""
    image, scale, bias, mean, variance = operands
    n = image.ndim - 2
    at, over = _join("n", "c", IMAGE[:n]), _join("n", IMAGE[:n])
    named = {"X": image, "S": scale, "B": bias}
    consts = {"eps": float(attributes.get("epsilon", 1e-5))}
    last = f"Y[{at}] = S[c]*(X[{at}] - M[c])/sqrt(V[c] + eps) + B[c]"
    if not attributes.get("training_mode"):
        return (zs.einsum(last, M=mean, V=variance, consts=consts, **named),)
    count = "*".join(["N", *(rank.upper() for rank in IMAGE[:n])])
    first = f"M[c] = sum[{over}](X[{at}])/({count})"
    second = f"V[c] = sum[{over}]((X[{at}] - M[c])*(X[{at}] - M[c]))/({count})"
    momentum = {"f": float(attributes.get("momentum", 0.9))}
    running = "R[c] = f*old[c] + (1-f)*{}[c]"
    return (
        zs.einsum("\n".join([first, second, last]), consts=consts, **named),
        zs.einsum(f"{first}\n{running.format('M')}", X=image, old=mean, consts=momentum),
        zs.einsum(
            f"{first}\n{second}\n{running.format('V')}", X=image, old=variance, consts=momentum
        ),
    )


def lrn(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    """Neighbours in the channels are read through padding, as a second operand."""
    (image,) = operands
    size = attributes["size"]
    rest = _join(IMAGE[: image.ndim - 2])
    read = f"Q[n,c+r,{rest}]"
    line = f"Y[n,c,{rest}] = X[n,c,{rest}]/pow(k + a/z*sum[r]({read}*{read}), b)"
    consts = {
        "a": float(attributes.get("alpha", 1e-4)),
        "b": float(attributes.get("beta", 0.75)),
        "k": float(attributes.get("bias", 1.0)),
        "z": size,
    }
    pad = {"Q": {1: ((size - 1) // 2, size // 2)}}
    return (zs.einsum(line, X=image, Q=image, consts=consts, sizes={"r": size}, pad=pad),)


def softmax(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    (x,) = operands
    ranks = RANKS[: x.ndim]
    rank = ranks[attributes.get("axis", -1)]
    at, rest = _join(ranks), _join([other for other in ranks if other != rank])
    lines = [
        f"M[{rest}] = max[{rank}](X[{at}])",
        f"E[{at}] = exp(X[{at}] - M[{rest}])",
        f"S[{rest}] = sum[{rank}](E[{at}])",
        f"Y[{at}] = E[{at}]/S[{rest}]",
    ]
    return (zs.einsum("\n".join(lines), X=x),)


def relu(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    (x,) = operands
    at = _join(RANKS[: x.ndim])
    return (zs.einsum(f"Y[{at}] = relu(X[{at}])", x),)


# ---- products ---------------------------------------------------------------------------


def gemm(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    bias = operands[2:]
    left = "A[k,i]" if attributes.get("transA") else "A[i,k]"
    right = "B[j,k]" if attributes.get("transB") else "B[k,j]"
    line, consts = f"Y[i,j] = al*{left}*{right}", {"al": float(attributes.get("alpha", 1.0))}
    if bias:
        ranks = "ij"[2 - bias[0].ndim :]
        at = ["0" if size == 1 else rank for rank, size in zip(ranks, bias[0].shape, strict=True)]
        line += f" + be*C[{_join(at)}]" if at else " + be*C"
        consts["be"] = float(attributes.get("beta", 1.0))
    return (zs.einsum(line, *operands, consts=consts),)


def matmul(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    left, right = (
        "k" if x.ndim == 1 else wide for x, wide in zip(operands, ("...ik", "...kj"), strict=True)
    )
    out = "..." + "i" * ("i" in left) + "j" * ("j" in right)
    return (zs.einsum(f"{left},{right}->{out}", *operands),)


def einsum(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
    return (zs.einsum(attributes["equation"].decode(), *operands),)


# ---- reductions -------------------------------------------------------------------------


def reduce(operation: str) -> Operator:
    def reduced(attributes: Mapping[str, Any], operands: list[Array]) -> tuple[Array, ...]:
        x, *given = operands
        axes = [int(k) % x.ndim for k in given[0]] if given else attributes.get("axes", [])
        if not axes and not attributes.get("noop_with_empty_axes"):
            axes = list(range(x.ndim))
        return (_reduced(operation, x, axes, keep=bool(attributes.get("keepdims", 1))),)

    return reduced


def _reduced(operation: str, x: Array, axes: list[int], *, keep: bool) -> Array:
    """``operation``: sum, max, min, prod or mean; of truth values, max is | and min is &."""
    ranks = RANKS[: x.ndim]
    kept = ["0" if k in axes else rank for k, rank in enumerate(ranks) if keep or k not in axes]
    target, read = (f"Y[{_join(kept)}]" if kept else "Y"), f"X[{_join(ranks)}]"
    over = _join([ranks[k] for k in axes])
    if x.dtype == bool and axes:
        sign = {"max": "|=", "min": "&="}[operation]
        return zs.einsum(f"{target} {sign} {read}", x)
    value = f"{'sum' if operation == 'mean' else operation}[{over}]({read})" if axes else read
    if operation == "mean" and axes:
        value += f"/({'*'.join(ranks[k].upper() for k in axes)})"
    return zs.einsum(f"{target} = {value}", x)


OPERATORS: dict[str, Operator] = {
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Einsum": einsum,
    "Gemm": gemm,
    "GlobalAveragePool": global_pool("mean"),
    "GlobalMaxPool": global_pool("max"),
    "LRN": lrn,
    "LpPool": lp_pool,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "MaxUnpool": max_unpool,
    "ReduceMax": reduce("max"),
    "ReduceMean": reduce("mean"),
    "ReduceMin": reduce("min"),
    "ReduceProd": reduce("prod"),
    "ReduceSum": reduce("sum"),
    "Relu": relu,
    "Softmax": softmax,
}
