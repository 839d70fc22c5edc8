"""The ladder from densities to data: errors, and the rank that they are from."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError

LINE = "Z[m,n] = A[m,k]*B[k,n]"


def effectual(table):
    (row,) = (row for row in table if row["figure"] == "effectual")
    return row


def test_a_column_times_a_row_is_explained_by_the_rank_that_both_have():
    a, b = np.zeros((8, 8)), np.zeros((8, 8))
    a[:, 0] = b[0] = 1
    row = effectual(zs.compare(zs.charge(LINE, "scnn", A=a, B=b), ladder=True))
    assert (row["uniform"], row["profile"], row["exact"]) == (pytest.approx(8), 64, 64)
    assert (row["rank"], row["its error"]) == ("k", 0)
    assert row["error"] == pytest.approx(8 / 64 - 1)


def test_what_has_no_error_has_no_reason():
    row = effectual(zs.compare(zs.charge(LINE, "scnn", A=np.eye(8), B=np.eye(8)), ladder=True))
    assert (row["uniform"], row["exact"], row["rank"]) == (pytest.approx(8), 8, "")


def test_what_no_single_rank_explains():
    a = np.kron(np.eye(2), np.ones((4, 4)))[np.random.default_rng(0).permutation(8)]
    shifted = np.eye(8)[:, [1, 2, 3, 4, 5, 6, 7, 0]]
    charge = zs.charge("z = A[m,k]*B[m,k]", "dense", A=shifted, B=a)
    row = effectual(zs.compare(charge, ladder=True))
    met = (shifted * a).sum()
    assert (row["exact"], row["uniform"]) == (met, pytest.approx(a.sum() / 8))
    assert met != a.sum() / 8
    assert (row["rank"], row["its error"]) == ("none", pytest.approx(row["error"]))


def test_a_rank_that_names_both_axes_of_a_tensor_is_no_profile_of_it():
    a = (np.random.default_rng(0).random((12, 12)) < np.linspace(0.05, 0.7, 12)[:, None]) * 1.0
    row = effectual(zs.compare(zs.charge("Z[m,n] = A[m,k]*A[k,n]", "dense", A=a), ladder=True))
    assert row["uniform"] == pytest.approx(a.sum() ** 2 / 12)
    assert row["exact"] == a.sum(axis=0) @ a.sum(axis=1) != row["uniform"]
    assert (row["rank"], row["its error"]) == ("none", pytest.approx(row["error"]))


def test_every_line_of_a_cascade_has_its_rows():
    a, b = (np.random.default_rng(s).random((6, 6)) < 0.4 for s in (0, 1))
    cascade = "T[m,n] = A[m,k]*B[k,n]; y[m] = T[m,n]*x[n]"
    charge = zs.charge(cascade, "scnn", A=a * 1.0, B=b * 1.0, x=np.ones(6))
    table = zs.compare(charge, ladder=True)
    assert [row["line"][0] for row in table] == ["T"] * 3 + ["y"] * 3


def test_an_expected_charge_has_no_data():
    drawn = zs.charge(LINE, "scnn", A=zs.Density((4, 4), 0.5), B=zs.Density((4, 4), 0.5))
    with pytest.raises(
        ArchError, match="this charge is expected, and has no data\nCharge the real"
    ):
        zs.compare(drawn, ladder=True)


def test_an_expected_charge_beside_an_exact_one_is_explained_by_the_exact_one():
    a, b = np.zeros((8, 8)), np.zeros((8, 8))
    a[:, 0] = b[0] = 1
    exact = zs.charge(LINE, "scnn", A=a, B=b)
    drawn = zs.charge(LINE, "scnn", A=zs.Density((8, 8), 0.125), B=zs.Density((8, 8), 0.125))
    table = zs.compare(exact, drawn, ladder=True)
    assert table.rows == zs.compare(exact, ladder=True).rows
    assert effectual(table)["uniform"] == drawn.ops["effectual"]
