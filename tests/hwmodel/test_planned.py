"""Plans that are remembered are those of the same line, architecture, mapping, shapes and zeros."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import RoomError
from zeroskip.hwmodel import planned
from zeroskip.native.recent import Recent

TEXT = "Z[m,n] = A[m,k]*B[k,n]"
RNG = np.random.default_rng(0)
A, B = (RNG.random((6, 6)) < 0.5 for _ in range(2))


def test_other_operands_of_these_shapes_have_the_same_plan():
    layer, design = zs.layer(TEXT), zs.arch("scnn")
    one, other = (zs.charge(layer, design, A=x, B=B) for x in (A, ~A))
    assert one.cascade is other.cascade
    assert one.ops["effectual"] + other.ops["effectual"] == 6 * B.sum()


def test_what_a_plan_depends_on_has_another():
    layer, design = zs.layer(TEXT), zs.arch("scnn")
    first = zs.charge(layer, design, A=A, B=B)
    stored = zs.tensor(np.where(A, 1.0, 0.0), "dense").asformat("COO")
    others = [
        zs.charge(layer, "eyeriss", A=A, B=B),
        zs.charge(layer, zs.arch("scnn", size=(2, 2)), A=A, B=B),
        zs.charge(layer, design, A=A[:4], B=B),
        zs.charge(layer, design, A=A, B=B, mapping=zs.Mapping(sync="none")),
        zs.charge(zs.layer("Z[m,n] = B[k,n]*A[m,k]"), design, A=A, B=B),
    ]
    assert all(other.cascade is not first.cascade for other in others)
    assert zs.charge(layer, design, A=stored, B=B).ops == first.ops


def test_no_more_plans_are_kept_than_that(monkeypatch):
    monkeypatch.setattr(planned, "_kept", Recent(2))
    for n in range(1, 5):
        zs.charge(TEXT, "dense", A=A[:n], B=B)
    assert len(planned._kept) == 2


def test_more_places_than_memory_holds_are_refused():
    shape = (99_999_999_999, 8)
    with pytest.raises(RoomError, match=r"the list of the places of i .*\nCharge a part of the"):
        zs.charge("y[i] = A[i,j]*x[j]", "scnn", A=zs.Density(shape, 0.5), x=zs.Density((8,), 0.5))
