"""A bound operand of dots is stored once in the layout that its density makes fastest."""

import numpy as np
import pytest
from generator import random_array
from judges import line_of

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.native import relaid as relaying
from zeroskip.native import settings
from zeroskip.native.bound import Bound
from zeroskip.native.fixed import Schedule
from zeroskip.native.relaid import relaid
from zeroskip.native.settling import settled

VECTOR = "y[m] = W[m,k]*x[k]"


def drawn(shape, density, seed=1):
    return random_array(np.random.default_rng(seed), shape, "float32", density)


@pytest.mark.parametrize(
    ("width", "density", "gathers", "letter"),
    [
        (16, 0.9, False, "C"),
        (32, 0.9, False, "B"),
        (32, 0.2, False, "C"),
        (64, 0.2, False, "B"),
        (64, 0.1, False, "C"),
        (64, 0.2, True, "C"),
        (64, 0.4, True, "B"),
    ],
)
def test_one_rule_by_density_and_width(width, density, gathers, letter, monkeypatch):
    monkeypatch.setattr(relaying, "gathers", lambda: gathers)
    array = drawn((20, 500), density)
    for format in ("CSR", "CSC", "bitmask", "COO", "RLE(3)"):
        operands = {"W": Tensor.from_dense(array, format), "x": np.ones(500, np.float32)}
        line = line_of(make_spec(VECTOR), operands)
        made = relaid(line, ("W",), width)
        assert made.used["W"].format == Format(f"0:U 1:{letter}").bind(2), format
        assert relaid(line, (), width) is line
        assert relaid(line, ("x",), width) is line


@pytest.mark.parametrize("text", [VECTOR, "y[m] = relu(b[m] + sum[k](W[k,m]*x[k]))"])
@pytest.mark.parametrize("density", [0.1, 0.6])
@pytest.mark.parametrize("format", ["CSR", "CSC", "bitmask", "COO", "RLE(3)"])
def test_what_a_bound_layer_gives_does_not_depend_on_the_format(format, density, text):
    array = drawn((300, 260), density)
    x, b = drawn((300 if "W[k" in text else 260,), 1, 2), drawn((260,), 1, 3)
    held = {"W": Tensor.from_dense(array, format)} | ({"b": b} if "b[m]" in text else {})
    spec = make_spec(text)
    with settings.using(vector_bytes=32):
        got = Bound(spec, held).run({"x": x})
        plain = Bound(spec, held, Schedule(kind="plain")).run({"x": x})
    wide = array.astype("float64")
    want = np.maximum(b + x @ wide, 0) if "b[m]" in text else wide @ x
    scale = 1e-5 * abs(wide).sum() / 260
    assert np.allclose(got, want, rtol=0, atol=scale)
    assert np.allclose(plain, want, rtol=0, atol=scale)


@pytest.mark.parametrize(
    "text",
    [
        "y[m] = W[m,k]*x[k+1]*W[m,k]",
        "y[m] = W[m,m]*x[m]",
        "y[m] = W[m,k]*x[k] + W[m,j]*z[j]",
        "s[] = W[m,k]*v[m]*x[k]",
        "y[m] max= W[m,k]*x[k]",
        "y[m,n] = W[m,k]*X[k,n]",
    ],
)
def test_what_has_no_choice_stays_as_it_is(text):
    spec = make_spec(text)
    given = {
        "W": Tensor.from_dense(drawn((40, 40), 0.6), "CSC"),
        "x": drawn((41 if "k+1" in text else 40,), 1), "z": drawn((40,), 1),
        "v": drawn((40,), 1), "X": drawn((40, 40), 1),
    }  # fmt: skip
    line = line_of(spec, {name: given[name] for name in spec.operands})
    assert settled(line, ("W",))[0] is line


def test_a_layer_lays_its_operand_out_once_for_all_that_it_is_called_with(monkeypatch):
    array = drawn((600, 4000), 0.1)
    bound = Bound(make_spec("y[m] = W[m,k]*x[k+1]"), {"W": Tensor.from_dense(array, "CSR")})
    copied = []
    monkeypatch.setattr(relaying, "on_large_pages", lambda x: copied.append(x) or x.copy())
    for longer in (1, 3, 1, 8):
        x = drawn((4000 + longer,), 1, longer)
        want = array.astype("float64") @ x[1:4001]
        np.testing.assert_allclose(bound.run({"x": x}), want, rtol=1e-4, atol=1e-3)
    assert len(copied) == 3  # pos, crd and values


@pytest.mark.parametrize("columns", [16, 40, 200])
def test_large_operands_give_the_same_where_they_are_kept(columns):
    array, x = drawn((600, 4000), 0.3), drawn((4000, columns), 1, 2)
    spec = make_spec("O[m,n] = W[m,k]*x[k,n]")
    got = Bound(spec, {"W": Tensor.from_dense(array, "CSR")}).run({"x": x})
    np.testing.assert_allclose(got, array.astype("float64") @ x, rtol=1e-4, atol=1e-2)
