"""pydata/sparse's tests of einsum (sparse/numba_backend/tests of the wheel), answered by zeroskip.

Their own test functions run, with their own parameters; the place of `sparse.einsum` is taken
by a shim that hands sparse operands to zeroskip as tensors and gives the result back as theirs.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from peering import leave_out

import zeroskip as zs

sparse = pytest.importorskip("sparse", reason="sparse is not installed: make peers")
theirs = pytest.importorskip("sparse.numba_backend.tests.test_einsum")

FORMATS = {"COO": "CSF", "DOK": "COO", "GCXS": "CSR"}


def _cases() -> Iterator[Any]:
    """Every test function with every combination of its parameters."""
    for name, function in inspect.getmembers(theirs, inspect.isfunction):
        if not name.startswith("test_"):
            continue
        space: list[dict[str, Any]] = [{}]
        for mark in getattr(function, "pytestmark", []):
            names = [part.strip() for part in mark.args[0].split(",")]
            rows = [row if len(names) > 1 else (row,) for row in mark.args[1]]
            space = [known | dict(zip(names, row, strict=True)) for known in space for row in rows]
        for known in space:
            case = f"{name}[{'-'.join(map(str, known.values()))}]"
            yield pytest.param(function, known, case, id=case)


def _tensor(operand: Any) -> Any:
    """An operand of theirs as a tensor; what is stored stays stored."""
    kind = type(operand).__name__
    if kind not in FORMATS:
        return operand
    coo = operand if kind == "COO" else operand.asformat("coo")
    if not coo.ndim:
        return coo.todense()
    return zs.tensor(coo.todense(), FORMATS[kind], fill=coo.fill_value)


def _einsum(*arguments: Any, **keywords: Any) -> Any:
    """`zs.einsum`, its result as a COO, or as the format that `_format_of` says."""
    dtype = keywords.pop("dtype", None)
    assert dtype is None, "zeroskip has no dtype="
    found = zs.einsum(*map(_tensor, arguments), **keywords)
    return _theirs(found, _format_of(arguments))


def _theirs(found: Any, format: str) -> Any:
    if format == "dense":
        return found
    return sparse.COO.from_numpy(np.asarray(found)).asformat(format)


def _format_of(arguments: Any) -> str:
    """The format that sparse gives a result: that of its operands where they agree, else COO."""
    kinds = {type(x).__name__.lower() for x in arguments if type(x).__name__ in FORMATS}
    if not kinds:
        return "dense"
    return kinds.pop() if len(kinds) == 1 else "coo"


@pytest.mark.parametrize(("function", "known", "case"), list(_cases()))
def test_theirs(
    function: Any, known: dict[str, Any], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_out("sparse", case)
    monkeypatch.setattr(sparse, "einsum", _einsum)
    if "rng" in inspect.signature(function).parameters:
        known = known | {"rng": np.random.default_rng(0)}
    function(**known)
