"""Products of operands of two types by the vector schedules: what NumPy gives for both as one."""

import itertools

import numpy as np
import pytest
from judges import prime
from test_dots import INSTRUCTIONS, WIDTHS, before_nothing, skip_elsewhere
from test_promotion import WIDER, promoted

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.values import DTYPES, HALVES, dtype_of
from zeroskip.native import lines, schedules, settings, settling
from zeroskip.native.arguments import shapes
from zeroskip.native.dotted import COMPUTED
from zeroskip.native.dtypes import arithmetic
from zeroskip.native.load import load

WIDENED = [
    (stored, computed)
    for stored, computed in itertools.product(DTYPES, COMPUTED)
    if stored != computed and arithmetic(map(dtype_of, (stored, computed))) == computed
]
PAIRS = list(itertools.combinations(DTYPES, 2))

LINES = {
    "tiled": ("O[m,n] = W[m,k]*X[k,n]", lambda w, x: w @ x),
    "dots": ("O[m] = W[m,k]*x[k]", lambda w, x: w @ x),
    "lanes": ("O[n,m] = W[m,k]*X[k,n]", lambda w, x: (w @ x).T),
}


def whole(rng, shape, name):
    """Small numbers that every type has, so that sums in another order are equal."""
    least = 0 if name == "bool" or name.startswith("u") else -5
    return rng.integers(least, 2 if name == "bool" else 6, shape)


def operands(kind, first, second, seed):
    """A sparse one of a type, a dense one of another, and both in whole numbers."""
    rng = np.random.default_rng(seed)
    w = whole(rng, (5, 150), first) * (rng.random((5, 150)) < 0.5)
    x = whole(rng, (150,) if kind == "dots" else (150, 37), second)
    stored = zs.tensor(w.astype(dtype_of(first)), "bitmask" if seed % 2 else "CSR")
    name = "x" if kind == "dots" else "X"
    return {"W": stored, name: x.astype(dtype_of(second))}, (w, x)


def cases(kind):
    """Every two types, this way round or that, with vectors of this width or that."""
    for seed, pair in enumerate(PAIRS):
        one, other = pair[::-1] if seed // 3 % 2 else pair
        schedule = zs.Schedule(kind=kind, vector_bytes=WIDTHS[seed % 3])
        yield one, other, schedule, *operands(kind, one, other, seed)


@pytest.mark.parametrize("kind", LINES)
def test_every_two_types_give_what_numpy_gives_for_both_as_one(kind):
    text, product = LINES[kind]
    layer, spec = zs.layer(text), make_spec(text)
    calls, texts = list(cases(kind)), []
    for _, _, schedule, given, _ in calls:
        line = lines.line_of(spec.forms[0], given, spec.extents(shapes(given)), fixed=schedule)
        texts.append(settling.scheduled(line, np.empty(line.shape, line.stored))[0].c_text)
    prime(texts)
    for one, other, schedule, given, (w, x) in calls:
        joint = promoted(one, other)
        computed = dtype_of(joint if joint in HALVES else WIDER.get(joint, joint))
        got, want = layer(**given, schedule=schedule), product(w, x)
        assert got.dtype == computed, (one, other)
        assert np.array_equal(got, want.astype(computed)), (one, other)


SOME_PAIRS = [
    ("float64", "float32"),
    ("float32", "float64"),
    ("int8", "float32"),
    ("float32", "int8"),
    ("int64", "float32"),
    ("float16", "float64"),
    ("int8", "int32"),
]


@pytest.mark.parametrize("kind", ["tiled", "dots"])
@pytest.mark.parametrize("pair", SOME_PAIRS)
def test_bound_and_on_two_threads_too(kind, pair):
    text, product = LINES[kind]
    given, (w, x) = operands(kind, *pair, 8)
    (name,) = given.keys() - {"W"}
    want = product(w, x)
    for threads in (1, 2):
        with settings.using(threads=threads):
            layer = zs.layer(text)
            for bound in ("W", name):
                held = layer.bind(**{bound: given[bound]})
                rest = {n: x for n, x in given.items() if n != bound}
                for _ in range(3):
                    assert np.array_equal(held(**rest), want)


def test_whole_numbers_that_float64_lacks_are_rounded_as_numpy_rounds_them():
    large = np.array([2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**62 + 2**8 + 1], np.int64)
    w, x = np.diag(large), np.eye(4, 24)
    want = w.astype(float) @ x
    layer = zs.layer("O[m,n] = W[m,k]*X[k,n]")
    for kind in ("tiled", "lanes", "plain"):
        got = layer(W=zs.tensor(w, "CSR"), X=x, schedule=zs.Schedule(kind=kind))
        assert np.array_equal(got, want)
    unsigned = np.tile(large.view(np.uint64), (3, 10))
    ones = np.ones(40)
    got = zs.einsum("y[m] = W[m,k]*x[k]", W=zs.tensor(unsigned, "CSR"), x=ones)
    assert np.allclose(got, unsigned.astype(float).sum(1), rtol=1e-15)


@pytest.mark.parametrize("pair", SOME_PAIRS)
def test_the_default_is_no_plain_walk(pair):
    for kind, (text, _) in LINES.items():
        given, _ = operands(kind, *pair, 1)
        spec = make_spec(text)
        line = lines.line_of(spec.forms[0], given, spec.extents(shapes(given)))
        assert schedules.schedule_of(line, {"W"}) is not None, (pair, kind)


def test_explanations_say_what_becomes_of_a_type():
    given, _ = operands("tiled", "float64", "float32", 2)
    layer = zs.layer(LINES["tiled"][0])
    for kind, where in (("tiled", "packed or copied"), ("plain", "read")):
        text = " ".join(str(zs.explain(layer, **given, schedule=zs.Schedule(kind=kind))).split())
        assert f"X (float32) becomes float64 where it is {where}." in text
    same = {name: x.astype("float64") for name, x in given.items()}
    assert "becomes" not in str(zs.explain(layer, **same))


# ---- vectors ----------------------------------------------------------------------------


def ends(name, lanes):
    """As many values of a type, its ends among them; behind the last lies nothing."""
    kind = dtype_of(name)
    if name == "bool":
        some = [0, 1]
    elif name in (*HALVES, "float32"):
        some = [0.0, -0.0, 1.5, -2.25, np.inf, -np.inf, 2.0**-20, 3.0]
    else:
        least, most = np.iinfo(kind).min, np.iinfo(kind).max
        some = [least, most, 0, 1, most - 1, most // 3, least // 5, 7]
    return before_nothing(np.resize(np.array(some, kind), lanes))


@pytest.mark.parametrize("flags", INSTRUCTIONS)
@pytest.mark.parametrize("width", WIDTHS)
def test_vectors_are_widened_as_numpy_casts_them(width, flags):
    skip_elsewhere(flags)
    cases = [
        f"case {k}: *(zs_{computed}x{width} *)args->buf[1] ="
        f" zs_widened_{stored}_{computed}_{width}(args->buf[0]); return ZS_OK;"
        for k, (stored, computed) in enumerate(WIDENED)
    ]
    lines = ["switch (args->dim[0]) {", *cases, "}", "return ZS_OK;"]
    text = ['#include "zs_widened.h"', "int32_t zs_kernel(zs_args *args)", "{", *lines, "}", ""]
    kernel = load("\n".join(text), "zs_kernel", flags)
    for k, (stored, computed) in enumerate(WIDENED):
        values = ends(stored, width // np.dtype(computed).itemsize)
        made = np.zeros(len(values), computed)
        kernel.prepare([values, made], (k,)).call()
        assert made.tobytes() == values.astype(computed).tobytes(), (stored, computed)
