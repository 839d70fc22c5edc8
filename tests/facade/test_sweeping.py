"""`sweep`: rows, executors, records that are resumed."""

import io
import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import zeroskip as zs
from zeroskip import sweeping
from zeroskip.errors import ArchError

LINE = "Z[m,n] = A[m,k]*B[k,n]"
GIVEN = {"A": zs.Density((8, 6), [0.25, 0.5, 1.0]), "B": zs.Density((6, 8), [0.5, 1.0])}


def swept(**options):
    return zs.sweep(LINE, ["dense", "scnn"], **GIVEN, progress=False, **options)


@pytest.fixture
def counted(monkeypatch):
    """How many points were charged."""
    calls = []
    made = sweeping.charge

    def counting(*given, **named):
        calls.append(named)
        return made(*given, **named)

    monkeypatch.setattr(sweeping, "charge", counting)
    return calls


def test_every_combination_is_a_row_with_the_figures_of_its_charge():
    table = swept()
    assert len(table) == 2 * 3 * 2
    for row in table:
        given = {
            "A": zs.Density((8, 6), row["A_density"]),
            "B": zs.Density((6, 8), row["B_density"]),
        }
        one = zs.charge(LINE, row["arch"], **given)
        assert row["cycles"] == pytest.approx(one.cycles)
        assert row["energy_pj"] == pytest.approx(one.energy_pj)
        assert row["effectual"] == pytest.approx(one.ops["effectual"])
        assert row["off_chip_bits"] == pytest.approx(one.level("DRAM").bits)
        assert row["fits"]


def test_the_front_has_what_nothing_beats_at_the_same_densities():
    table = swept()
    for row in table:
        rivals = [
            r
            for r in table
            if (r["A_density"], r["B_density"]) == (row["A_density"], row["B_density"])
        ]
        beaten = any(
            r["cycles"] <= row["cycles"]
            and r["energy_pj"] <= row["energy_pj"]
            and (r["cycles"], r["energy_pj"]) != (row["cycles"], row["energy_pj"])
            for r in rivals
        )
        assert row["pareto"] == (not beaten)
    assert {row["pareto"] for row in table} == {True, False}


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_executors_give_the_same_rows(pool):
    with pool(2) as executor:
        assert swept(executor=executor).rows == swept().rows


@pytest.fixture
def client():
    """Of a Dask cluster of two processes here."""
    distributed = pytest.importorskip("dask.distributed")
    local = {"host": "127.0.0.1", "dashboard_address": None}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **local) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.filterwarnings("default")  # Dask's own
def test_a_dask_cluster_gives_the_same_rows(client):
    assert swept(executor=client).rows == swept().rows
    assert swept(executor=client.get_executor()).rows == swept().rows


def test_xarray_has_a_dimension_for_each_density():
    pytest.importorskip("xarray")
    table = swept()
    found = table.to_xarray()
    assert dict(found.sizes) == {"arch": 2, "A_density": 3, "B_density": 2}
    for row in table:
        place = {name: row[name] for name in ("arch", "A_density", "B_density")}
        for figure in ("cycles", "energy_pj", "fits", "pareto"):
            assert found[figure].sel(place).item() == row[figure]


def test_real_operands_are_charged_exactly():
    table = zs.sweep(LINE, "scnn", A=np.eye(6), B=np.eye(6), progress=False)
    assert table.names[:2] == ("arch", "cycles")
    assert table[0]["effectual"] == 6
    assert "counts are exact" in str(table)


def test_an_interrupted_sweep_goes_on_where_it_was(tmp_path, counted, monkeypatch):
    path = tmp_path / "record.jsonl"
    whole = swept().rows
    counted.clear()
    real = sweeping._Point.row
    done = []

    def stopping(point):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(point)
        return real(point)

    monkeypatch.setattr(sweeping._Point, "row", stopping)
    with pytest.raises(KeyboardInterrupt):
        swept(resume=path)
    monkeypatch.setattr(sweeping._Point, "row", real)
    with path.open("a") as file:
        file.write("[7, [1, 2")  # cut off while it was written
    counted.clear()
    assert swept(resume=path).rows == whole
    assert len(counted) == 12 - 5
    counted.clear()
    assert swept(resume=path).rows == whole
    assert not counted
    assert len(path.read_text().splitlines()) == 1 + 12


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hello\n", "is no record of a sweep"),
        (json.dumps({"sweep": "of another"}) + "\n", "is the record of another sweep"),
    ],
)
def test_other_files_are_left_alone(tmp_path, text, why):
    path = tmp_path / "record.jsonl"
    path.write_text(text)
    with pytest.raises(ArchError, match=f"resume: .* {why}.*\nName another file"):
        swept(resume=path)
    assert path.read_text() == text


ROWS = np.tri(8, 6)
EYE = np.eye(6)
ZEROS = zs.tensor(np.ones((6, 6)), "COO") * EYE  # stores what is zero, too


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (zs.Density.profile(ROWS, axes=0), zs.Density.profile(ROWS[::-1], axes=0)),
        (zs.Density.empirical(ROWS, (2, 2)), zs.Density.empirical(1 - ROWS, (2, 2))),
        (zs.Density((8, 8), structure="2:4"), zs.Density((8, 8), structure="2:4", axis=0)),
        (EYE, EYE[::-1]),
        (EYE, EYE.astype(np.float32)),
        (zs.tensor(EYE, "CSR"), zs.tensor(EYE, "CSC")),
        (zs.tensor(EYE, "COO"), ZEROS),
    ],
)
def test_a_record_of_other_operands_is_refused(tmp_path, one, other):
    def run(operand):
        given = {"A": operand, "B": zs.Density((operand.shape[1], 4), [0.5, 1.0])}
        return zs.sweep(LINE, "scnn", **given, progress=False, resume=tmp_path / "record.jsonl")

    assert run(one).rows == run(one).rows
    with pytest.raises(ArchError, match="is the record of another sweep: of other operands"):
        run(other)


def test_a_record_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ArchError, match=r"no/record.jsonl cannot be written .*\nName another file"):
        swept(resume=tmp_path / "no" / "record.jsonl")

    class Full(io.StringIO):
        def flush(self):
            raise OSError(28, "No space left on device")

        def close(self):
            self.flush()

    monkeypatch.setattr(sweeping.Path, "open", lambda *given, **named: Full())
    with pytest.raises(ArchError, match=r"record.jsonl cannot be written .*No space left"):
        swept(resume=tmp_path / "record.jsonl")


def test_a_broken_record_is_refused(tmp_path):
    path = tmp_path / "record.jsonl"
    swept(resume=path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], "[999, []]\n", *lines[2:]]))
    with pytest.raises(ArchError, match="is broken at line 2"):
        swept(resume=path)
    path.write_text("".join([*lines, "[0, [1, 2\n"]))
    with pytest.raises(ArchError, match=f"is broken at line {len(lines) + 1}"):
        swept(resume=path)


def test_one_sweep_at_a_time_writes_a_record(tmp_path, monkeypatch):
    path = tmp_path / "record.jsonl"
    real, refused = sweeping._Point.row, []

    def meanwhile(point):
        if not refused:
            refused.append("once")
            with pytest.raises(ArchError, match=r"record.jsonl is being written by another"):
                swept(resume=path)
            refused.append("refused")
        return real(point)

    monkeypatch.setattr(sweeping._Point, "row", meanwhile)
    whole = swept(resume=path).rows
    assert refused == ["once", "refused"]
    assert len(path.read_text().splitlines()) == 1 + len(whole)


def test_what_cannot_be_swept_is_refused():
    with pytest.raises(ArchError, match="expected at least one architecture, found none"):
        zs.sweep(LINE, [], **GIVEN)
    with pytest.raises(ArchError, match="no architecture 'scn'"):
        zs.sweep(LINE, ["scn"], **GIVEN)


def test_units_and_caches_are_swept_as_they_are_charged():
    found = zs.sweep(LINE, "gamma", A=zs.Density((8, 6), 0.5), B=zs.Density((6, 8), 0.5))
    charge = zs.charge(LINE, "gamma", A=zs.Density((8, 6), 0.5), B=zs.Density((6, 8), 0.5))
    (row,) = found
    assert row["cycles"] == charge.cycles > 0
    assert row["energy_pj"] == pytest.approx(charge.energy_pj)


def test_a_function_gives_many_points_at_once():
    charge = zs.charge(LINE, "scnn", A=zs.Density((8, 6), 0.5), B=zs.Density((6, 8), 0.5))
    shares = np.linspace(0, 1, 1000)
    found = charge.function("effectual")(d_A=shares, d_B=0.5)
    assert np.allclose(found, 384 * shares * 0.5)
    energy = charge.function("energy_pj")(d_A=0.5, d_B=0.5)
    assert energy == pytest.approx(charge.energy_pj, rel=1e-6)
    with pytest.raises(ArchError, match="expected the densities d_B too"):
        charge.function("effectual")(d_A=0.5)
