"""NumPy's tests of einsum (numpy/_core/tests/test_einsum.py of the installed wheel)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy_calls import Case, operands_of, recorded
from peering import agree, leave_out, thorough

import zeroskip as zs
from zeroskip.formats.values import DTYPES

FORMATS = ("COO", "CSR", "bitmask", "RLE(3)")
CASES = recorded()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_as_numpy_answers(case: Case) -> None:
    leave_out("numpy", case.name)
    if case.error:
        for args, keywords in case.calls.values():
            with pytest.raises(case.error):
                zs.einsum(*args, **keywords)
        return
    known = [call for dtypes, call in case.calls.items() if set(dtypes) <= set(DTYPES)]
    assert known, f"only in {list(case.calls)}"
    for args, keywords in known if thorough() else known[-1:]:
        _check_call(args, dict(keywords))
    _check_sparse(known[-1][0], sum(map(ord, case.name)))


def _check_call(args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """The call gives NumPy's values; where NumPy keeps a narrow type, those of a wide one."""
    given = [np.copy(x) if isinstance(x, np.ndarray) else x for x in args]
    out = keywords.pop("out", None)
    found = zs.einsum(*given, **keywords)
    wide = _cast(args, found.dtype)
    agree(found, np.einsum(*wide), _scale(wide))
    if out is not None:
        room = given[out] if isinstance(out, int) else _room_like(out, found.dtype)
        if room.dtype == found.dtype:
            assert zs.einsum(*given, out=room, **keywords) is room
            agree(room, found)


def _room_like(out: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """A result of the same shape, with gaps where that one has them."""
    if out.flags.c_contiguous:
        return np.ones(out.shape, dtype)
    return np.ones((*out.shape, 2), dtype)[..., 0]


def _check_sparse(args: tuple[Any, ...], seed: int) -> None:
    """The same with three of four values gone and the rest in a format."""
    rng = np.random.default_rng(seed)
    plain, given = list(args), list(args)
    for place in operands_of(args):
        values = np.array(args[place], dtype=np.float64)
        if values.size > 10**6:
            return
        plain[place] = given[place] = values * (rng.random(values.shape) < 0.25)
        if values.ndim:
            given[place] = zs.tensor(plain[place], FORMATS[int(rng.integers(len(FORMATS)))])
    agree(zs.einsum(*given), np.einsum(*plain), _scale(plain))


def _cast(args: Any, dtype: np.dtype[Any]) -> list[Any]:
    cast = list(args)
    for place in operands_of(args):
        cast[place] = np.asarray(args[place]).astype(dtype)
    return cast


def _scale(args: Any) -> float:
    """The largest sum of magnitudes that an element of the result is made of."""
    if np.asarray(args[operands_of(args)[0]]).dtype.kind != "f":
        return 1.0
    sizes = [abs(x) if isinstance(x, np.ndarray) else x for x in args]
    return float(np.max(np.einsum(*sizes), initial=0.0))
