"""Nonsense in place of an argument: an error of ours, naming it and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip import checks
from zeroskip.errors import ArchError, CompilerError, ZeroskipError
from zeroskip.hwmodel import Metrics
from zeroskip.hwmodel.accuracy import checked
from zeroskip.hwmodel.cost_of_scale import cost_of_scale
from zeroskip.hwmodel.energy_sources import energy_table
from zeroskip.hwmodel.roofline import intensity
from zeroskip.hwmodel.scaling import scaled
from zeroskip.hwmodel.viability import Needs, viability
from zeroskip.native import prepared

A, x = np.eye(4, dtype=np.float32), np.ones(4, np.float32)
LAYER = zs.layer("y[i] = A[i,j]*x[j]")
TENSOR = zs.tensor(A, "CSR")
CHARGE = zs.charge(LAYER, "eyeriss", A=A, x=x)
EXPECTED = zs.charge(LAYER, "eyeriss", A=zs.Density((4, 4), 0.5), x=x)
METRICS = Metrics(666e6, 34.7)

NONSENSE: list[Any] = [
    None,
    3,
    -1,
    2**70,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "zz",
    "\0",
    b"x",
    [],
    [None],
    {3: 4},
    set(),
    object(),
    np.array([]),
    np.array(3),
    np.eye(3),
    np.array(["a"]),
    lambda: 0,
    1j,
]

CALLS: dict[str, Callable[[Any], object]] = {
    "layer": zs.layer,
    "backend": lambda given: LAYER(A=A, x=x, backend=given),
    "order": lambda given: LAYER(A=A, x=x, order=given),
    "skip": lambda given: LAYER(A=A, x=x, skip=given),
    "ops": lambda given: LAYER.ops(A=given, x=(4,)),
    "dtype": lambda given: zs.tensor(A, dtype=given),
    "formats of storage": lambda given: zs.storage(A, given),
    "pointer_bits": lambda given: zs.storage(A, "CSR", pointer_bits=given),
    "shape of a density": lambda given: zs.Density(given, 0.5),
    "structure": lambda given: zs.Density((4, 4), structure=given),
    "size": lambda given: zs.arch("eyeriss", size=given),
    "energy": lambda given: zs.arch("eyeriss", energy=given),
    "executor": lambda given: zs.sweep(LAYER, "eyeriss", A=A, x=x, executor=given),
    "bound": lambda given: zs.bench(LAYER, A=A, x=x, bound=given, budget_s=1e-3),
    "peers": lambda given: zs.bench(LAYER, A=A, x=x, peers=given, budget_s=1e-3),
    "low": lambda given: zs.break_even(LAYER, A=A, x=x, low=given, budget_s=1e-3, steps=2),
    "high": lambda given: zs.break_even(LAYER, A=A, x=x, high=given, budget_s=1e-3, steps=2),
    "steps": lambda given: zs.break_even(LAYER, A=A, x=x, steps=given, budget_s=1e-3),
    "level": lambda given: CHARGE.at(given, "A"),
    "tensor": lambda given: CHARGE.at("DRAM", given),
    "level of all": CHARGE.level,
    "figure": EXPECTED.formula,
    "class of operations": lambda given: CHARGE.ops[given],
    "component of energy": lambda given: CHARGE.energy[given],
    "level of cycles": lambda given: CHARGE.bandwidth_cycles[given],
    "figure of a tag": lambda given: EXPECTED.tags[given],
    "table": lambda given: scaled(given, node_nm=28),
    "node": lambda given: scaled(energy_table("horowitz-45nm"), node_nm=given),
    "volts": lambda given: scaled(energy_table("horowitz-45nm"), volts=given),
    "multiply_bits": lambda given: scaled(energy_table("horowitz-45nm"), multiply_bits=given),
    "column": lambda given: zs.storage(A, "CSR")[given],
    "column of a plot": lambda given: zs.storage(A, "CSR").plot(x=given),
    "axes": TENSOR.transpose,
    "activation": lambda given: zs.layers.conv2d(activation=given),
    "form": lambda given: zs.layers.conv_transpose2d(form=given),
    "accuracy": checked,
    **{
        f"{flag} of {make.__name__}": lambda given, make=make, flag=flag: make(**{flag: given})
        for make, flag in (
            (zs.layers.conv2d, "bias"),
            (zs.layers.conv_transpose2d, "bias"),
            (zs.layers.lstm_cell, "bias"),
            (zs.layers.squeeze_excite, "bias"),
            (zs.layers.fold_bias, "bias"),
            (zs.layers.scaled_dot_product_attention, "causal"),
            (zs.layers.scaled_dot_product_attention, "mask"),
            (zs.layers.batch_norm, "affine"),
            (zs.layers.batch_norm, "training"),
            (zs.layers.batch_variance, "unbiased"),
            (zs.layers.layer_norm, "affine"),
        )
    },
    "ceil_mode": lambda given: zs.layers.max_pool2d(2, ceil_mode=given),
    "count_include_pad": lambda given: zs.layers.avg_pool2d(2, count_include_pad=given),
    "bias of heads": lambda given: zs.layers.multi_head_attention(8, 2, bias=given),
    "causal of heads": lambda given: zs.layers.multi_head_attention(8, 2, causal=given),
    "metrics": lambda given: viability(given, Needs(most_latency_s=1)),
    "needs": lambda given: viability(METRICS, given),
    "metrics at scale": lambda given: cost_of_scale(given, images=3),
    "charge of a roofline": intensity,
}
"""Some of these values are right for some arguments, as None where it means the default."""


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.filterwarnings("ignore")
def test_nonsense_is_taken_or_refused_by_name(call: Callable[[Any], object]) -> None:
    refused = []
    for given in NONSENSE:
        try:
            call(given)
        except ZeroskipError as error:
            refused.append(str(error))
    assert len(refused) >= len(NONSENSE) // 2
    assert all(len(text) > 15 for text in refused)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: zs.sweep(LAYER, "eyeriss", A=A, x=x, executor=3),
            "executor: expected what has submit(), found 3\n"
            "Pass a concurrent.futures.ProcessPoolExecutor(), a Dask client or the like.",
        ),
        (
            lambda: zs.sweep(LAYER, "eyeriss", A=A, x=x, resume=3),
            "resume: expected the path of a file, found 3",
        ),
        (
            lambda: viability(3, Needs(most_latency_s=1)),  # type: ignore[arg-type]
            "viability: expected a Metrics, found 3\n"
            "Write Metrics(macs=666e6, inferences_per_s=34.7), or metrics_of(charge, batch=1).",
        ),
        (
            lambda: viability(METRICS, 3),  # type: ignore[arg-type]
            "viability: expected a Needs, found 3\nWrite Needs(most_latency_s=0.033).",
        ),
        (
            lambda: cost_of_scale(3, images=1),  # type: ignore[arg-type]
            "cost of scale: expected a Metrics, found 3\n"
            "Write Metrics(macs=666e6, inferences_per_s=34.7), or metrics_of(charge, batch=1).",
        ),
        (lambda: intensity(3), "roofline: expected charges, found int"),  # type: ignore[arg-type]
        (
            lambda: zs.arch("eyeriss", energy=3),  # type: ignore[arg-type]
            "energy: expected the path of a file, found 3",
        ),
        (
            lambda: CHARGE.ops["zz"],
            "ops: expected one of effectual, gated, skipped, never_fetched, ineffectual, dense, "
            "found 'zz'",
        ),
        (
            lambda: scaled(3, node_nm=28),  # type: ignore[arg-type]
            'scaled: expected a EnergyTable, found 3\nTake energy_table("horowitz-45nm").',
        ),
        (
            lambda: scaled(energy_table("horowitz-45nm"), node_nm=float("nan")),
            "node_nm: expected a number above 0, found nan",
        ),
        (
            lambda: zs.layers.conv2d(bias=np.ones(2)),  # type: ignore[arg-type]
            "bias: expected True or False, found array([1., 1.])",
        ),
        (
            lambda: zs.bench(LAYER, A=A, x=x, bound=3),  # type: ignore[arg-type]
            "bound: expected any of A, x, found 3",
        ),
        (
            lambda: zs.storage(A, "CSR", pointer_bits="8"),  # type: ignore[arg-type]
            "pointer_bits: expected a whole number of 0 or more, found '8'",
        ),
        (
            lambda: zs.storage(A, "CSR").to_csv("\0"),
            "path: expected the path of a file, found '\\x00'",
        ),
        (
            lambda: zs.storage(A, "CSR")[1.5],  # type: ignore[call-overload]
            "expected the name of a column or the number of a row, found 1.5\n"
            "The table has format, stored, data_bits, metadata_bits, total_bits, metadata_share, "
            "over_dense, mark.",
        ),
    ],
)
def test_what_is_said(call: Callable[[], object], text: str) -> None:
    with pytest.raises(ZeroskipError) as caught:
        call()
    assert str(caught.value) == text


def test_names_are_one_or_several_of_those_known() -> None:
    assert checks.names_of("bound", "A", ("A", "x")) == ("A",)
    assert checks.names_of("bound", ["x", "A"], ("A", "x")) == ("x", "A")
    assert checks.names_of("bound", (), ("A", "x")) == ()
    with pytest.raises(ArchError, match=r"^bound: expected any of A, x, found 'Z'$"):
        checks.names_of("bound", ["A", "Z"], ("A", "x"), ArchError)
    with pytest.raises(ZeroskipError, match="found <generator"):
        checks.names_of("bound", (name for name in "A"), ("A", "x"))


def test_numbers_of_numpy_are_numbers_and_bools_are_none() -> None:
    assert checks.whole_of("n", np.int32(3), 1) == 3
    assert checks.number_of("n", np.float32(0.5)) == 0.5
    for given in (True, np.True_, 1.5, "3", None):
        with pytest.raises(ZeroskipError, match="whole number of 1 or more"):
            checks.whole_of("n", given, 1)
    for given in (True, float("nan"), float("inf"), 10**400, "3", 0):
        with pytest.raises(ZeroskipError, match="n: expected a share"):
            checks.number_of("n", given, "a share", 0)


def test_a_value_is_shown_in_one_line_however_long_or_broken() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    assert checks.brief(Broken()) == "a Broken"
    assert checks.brief("a\nb") == "'a\\nb'"
    assert "\n" not in checks.brief(np.eye(9))
    assert len(checks.brief("a" * 10**6)) == checks.SHOWN + 3


def test_a_warning_names_the_line_outside_of_zeroskip(monkeypatch):
    """There is no compiler, which is said once, of the call that found none."""
    monkeypatch.setattr(prepared, "_warned", False)

    def none_there(*_):
        raise CompilerError("no C compiler found\nRun pip install zeroskip[cc] for one.")

    monkeypatch.setattr(prepared.load, "load", none_there)
    layer = zs.layer("y[i] = 7*A[i,k]*x[k]")
    tensor, ones = zs.tensor(np.eye(3), "CSR"), np.ones(3)
    with pytest.warns(RuntimeWarning, match="the interpreter answers, slowly") as seen:
        got = [layer(A=tensor, x=ones) for _ in range(2)]
    np.testing.assert_array_equal(got, np.full((2, 3), 7.0))
    assert [warning.filename for warning in seen] == [__file__]
