"""The ladder from densities to data: errors, and the rank that they are from."""

from dataclasses import replace

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


def correlated():
    a, b = np.zeros((8, 8)), np.zeros((8, 8))
    a[:, 0] = b[0] = 1
    density = zs.Density((8, 8), 1 / 8)
    exact = zs.charge(LINE, "scnn", A=a, B=b)
    return exact, zs.charge(LINE, "scnn", A=density, B=density)


def test_beside_its_data_an_estimate_names_the_rank():
    """8 of 64 products by densities alone; all meet at k = 0, which the profile along k knows."""
    exact, expected = correlated()
    told = [note for note in zs.compare(exact, expected).notes if "correlated along k" in note]
    (note,) = (note for note in told if ", effectual: " in note)
    assert "on scnn, effectual: by density alone 8.00, -87.5% off the data's 64; " in note
    assert note.endswith("along k: by how full its slices are it is 64.00, +0.0%")
    assert zs.compare(expected, exact).notes[0] in told


def test_nothing_is_said_where_nothing_is_to_be_said():
    exact, expected = correlated()
    for table in (
        zs.compare(exact),
        zs.compare(expected),
        zs.compare(exact, expected, ladder=False),
        zs.compare(zs.charge(LINE, "dense", A=np.eye(8), B=np.eye(8)), expected),
    ):
        assert not any("correlated" in note or "by itself" in note for note in table.notes)


def test_no_rank_by_itself():
    a = np.kron(np.eye(2), np.ones((4, 4)))[np.random.default_rng(0).permutation(8)]
    shifted, line = np.eye(8)[:, [1, 2, 3, 4, 5, 6, 7, 0]], "z = A[m,k]*B[m,k]"
    exact = zs.charge(line, "dense", A=shifted, B=a)
    drawn = [zs.Density((8, 8), share) for share in (1 / 8, 1 / 2)]
    notes = zs.compare(exact, zs.charge(line, "dense", A=drawn[0], B=drawn[1])).notes
    assert any("effectual" in note and "no rank by itself" in note for note in notes)


def test_what_would_take_long_is_not_looked_for(monkeypatch):
    from zeroskip.hwmodel import ladder

    monkeypatch.setattr(ladder, "MOST_PLACES", 100)
    notes = zs.compare(*correlated()).notes
    assert any("not looked for (192 places); compare(..., ladder=True) does" in n for n in notes)


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


@pytest.mark.parametrize("design", ["scnn", "eyeriss-v2", "dense"])
def test_what_is_measured_leaves_out_largest_tiles_until_they_are_asked_for(design: str) -> None:
    """The estimate of a profile is that of the same density, charged by itself, room and all."""
    rng = np.random.default_rng(0)
    given = {
        "I": (rng.random((1, 4, 6, 6)) < 0.5) * 1.0,
        "F": (rng.random((6, 4, 3, 3)) < 0.3) * rng.random((1, 4, 1, 1)).round(),
    }
    layer = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]")
    exact = zs.charge(layer, design, **given)
    brief = exact.measured({"I": (1,), "F": (1,)})
    whole = zs.charge(
        layer, design, **{name: zs.Density.profile(x, axes=1) for name, x in given.items()}
    )
    assert brief.ops == pytest.approx(whole.ops)
    assert (brief.cycles, brief.energy_pj) == pytest.approx((whole.cycles, whole.energy_pj))
    lines = set(brief.estimate.geometry.lines)
    assert set(whole.estimate.geometry.lines) - lines == whole.cascade.largest_tiles
    assert [c.needed_bits for c in brief.capacity] == [c.needed_bits for c in whole.capacity]
    assert brief.tags["cycles"] == whole.tags["cycles"]
    missing = whole.cascade.largest_tiles
    assert brief.tags["capacity"] == ("approximate" if missing else whole.tags["capacity"])


def test_what_has_no_estimate_says_why():
    given = {"I": np.eye(8), "X": np.array([1, 2, 0, 2]), "F": np.eye(8)}
    charge = zs.charge("O[n,d] = I[X[n],k]*F[k,d]", "scnn-lanes", **given)
    table = zs.compare(charge, ladder=True)
    assert {row["uniform"] for row in table} == {None}
    told = f"{charge.text} on scnn-lanes: no estimate from densities: lanes: of densities, vectors"
    assert sum(note.startswith(told) for note in table.notes) == 1


def test_what_an_architecture_refuses_of_densities_is_a_note():
    def refused(axes):
        raise ArchError(f"refused {len(axes)}")

    exact = replace(zs.charge(LINE, "dense", A=np.eye(4), B=np.eye(4)), measured=refused)
    notes = zs.compare(exact, ladder=True).notes
    assert f"{exact.text} on dense: no estimate from densities: refused 0" in notes
    assert f"{exact.text} on dense: no estimate from profile along k: refused 2" in notes
