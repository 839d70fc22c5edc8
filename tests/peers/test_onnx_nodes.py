"""ONNX's node cases (onnx.backend.test of the wheel): each operator as lines of Einsum."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from onnx_operators import OPERATORS
from peering import leave_out

onnx = pytest.importorskip("onnx", reason="onnx is not installed: make peers")


def _cases() -> list[Any]:
    """The cases of one node whose operator is one of ours."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    return [
        case
        for case in cases
        if [node.op_type in OPERATORS for node in case.model.graph.node] == [True]
    ]


CASES = _cases()


assert {case.model.graph.node[0].op_type for case in CASES} == set(OPERATORS)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_node(case: Any) -> None:
    leave_out("onnx", case.name)
    (node,) = case.model.graph.node
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    for given, expected in case.data_sets:
        results = OPERATORS[node.op_type](attributes, [np.asarray(x) for x in given])
        for found, wanted in zip(results, expected, strict=False):
            wanted = np.asarray(wanted)
            assert found.shape == wanted.shape
            close = case.rtol, max(case.atol, 1e-6)
            assert np.allclose(
                np.asarray(found, np.float64), wanted.astype(np.float64), *close, equal_nan=True
            )
