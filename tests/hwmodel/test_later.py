"""Figures that are made when they are asked for."""

from __future__ import annotations

import pickle
from functools import partial

import pytest

import zeroskip as zs
from zeroskip.hwmodel.later import Later


def test_what_is_asked_for_twice_is_made_once():
    calls: list[int] = []

    def make() -> int:
        calls.append(1)
        return 7

    later = Later(make)
    assert not calls
    assert (later.value, later.value, calls) == (7, 7, [1])


def test_what_is_known_is_not_made_and_travels():
    assert Later.known((1, 2)).value == (1, 2)
    for one in (Later.known(3), Later(partial(max, 3, 2))):
        assert pickle.loads(pickle.dumps(one)).value == 3


def test_an_expected_charge_makes_room_and_work_of_pes_when_asked():
    """Of 8 x 8 places half hold something, on 4 x 4 PEs, which rows go across."""
    product = "y[i] = A[i,j]*x[j]"
    made = zs.charge(product, "scnn", A=zs.Density((8, 8), 0.5), x=zs.Density((8,), 0.5))
    waiting = made.working, made.rooms, made.assuming
    assert all(one._make is not None for one in waiting)
    assert made.work_per_pe.sum() == made.ops["effectual"] == 16
    assert made.capacity
    assert made.assumptions
    assert all(one._make is None for one in waiting)


def test_a_mapping_that_refuses_what_does_not_fit_does_so_at_once():
    levels = {"DRAM": {}, "GLB": {"capacity_bits": 256}, "PE": {}}
    design = {"array": {"pe": 2}, "energy": "eyeriss-relative", "levels": levels}
    given = {"A": zs.Density((64, 64), 0.9), "x": zs.Density((64,), 0.5)}
    assert zs.charge("y[i] = A[i,j]*x[j]", design, **given).overflow
    refusing = zs.Mapping(overflow={"GLB": "refuse"})
    with pytest.raises(zs.ZeroskipError, match="bits too few"):
        zs.charge("y[i] = A[i,j]*x[j]", design, **given, mapping=refusing)
