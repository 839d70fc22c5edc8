"""opt_einsum's contraction strings (opt_einsum/tests of the wheel), against its contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from peering import agree, leave_out

import zeroskip as zs

opt_einsum = pytest.importorskip("opt_einsum", reason="opt_einsum is not installed: make peers")
contractions = pytest.importorskip("opt_einsum.tests.test_contract")
build_views = contractions.build_views

FORMATS = ("COO", "CSR", "bitmask", "RLE(3)")


def _greek(text: str) -> str:
    """The string in letters that NumPy does not have, as opt_einsum's tests write them."""
    return "".join(chr(ord(c) + 848) if c.isalpha() else c for c in text)


def _sparse(views: list[Any], seed: int) -> tuple[list[Any], list[Any]]:
    """Views with two of three values gone, and the same in formats."""
    rng = np.random.default_rng(seed)
    plain = [np.asarray(view) * (rng.random(np.shape(view)) < 1 / 3) for view in views]
    return plain, [
        zs.tensor(x, FORMATS[int(rng.integers(len(FORMATS)))]) if x.ndim else x for x in plain
    ]


@pytest.mark.parametrize("string", contractions.tests)
@pytest.mark.parametrize("letters", ["latin", "greek"])
@pytest.mark.parametrize("operands", ["dense", "sparse"])
def test_contracts(string: str, letters: str, operands: str) -> None:
    leave_out("opt_einsum", string)
    text = string if letters == "latin" else _greek(string)
    plain = given = build_views(string)
    if operands == "sparse":
        plain, given = _sparse(plain, len(string))
    expected = opt_einsum.contract(text, *plain)
    agree(zs.einsum(text, *given, optimize="optimal"), expected, np.max(np.abs(expected)))


@pytest.mark.parametrize("n", [4, 5])
@pytest.mark.parametrize("reg", [2, 3])
@pytest.mark.parametrize("n_out", [0, 2, 4])
def test_random_equations(n: int, reg: int, n_out: int) -> None:
    made = contractions.rand_equation(
        n, reg, n_out, d_min=2, d_max=5, seed=42, return_size_dict=True
    )
    views = build_views(made[0], made[2])
    expected = opt_einsum.contract(made[0], *views)
    agree(zs.einsum(made[0], *views), expected, np.max(np.abs(expected)))
    plain, given = _sparse(views, n)
    agree(zs.einsum(made[0], *given), opt_einsum.contract(made[0], *plain), 10.0)


@pytest.mark.parametrize("constants", [True, False])
@pytest.mark.parametrize(
    ("string", "places"),
    next(mark.args[1] for mark in contractions.test_contract_expression_with_constants.pytestmark),
)
def test_constants_are_bound(string: str, places: list[int], constants: bool) -> None:
    """Operands that stay are those of `Layer.bind`."""
    views = build_views(string)
    expected = opt_einsum.contract(string, *views)
    layer = zs.layer(string)
    held = {layer.operands[k]: views[k] for k in (places if constants else ())}
    rest = {
        name: view for name, view in zip(layer.operands, views, strict=True) if name not in held
    }
    agree(layer.bind(**held)(**rest), expected, np.max(np.abs(expected)))


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("ijk,kl,jl", [(1, 5, 4), (4, 6), (5, 6)]),
        ("ijk,kl,jl,i->i", [(1, 5, 4), (4, 6), (5, 6), (10,)]),
        ("abjk,kl,jl,ab->ab", [(1, 1, 5, 4), (4, 6), (5, 6), (7, 7)]),
        ("ajk,kbl,jl,ab->ab", [(1, 5, 4), (4, 1, 6), (5, 6), (7, 7)]),
    ],
)
def test_broadcasting(text: str, shapes: list[tuple[int, ...]]) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.random(shape) for shape in shapes]
    expected = opt_einsum.contract(text, *arrays)
    agree(zs.einsum(text, *arrays), expected, np.max(np.abs(expected)))
