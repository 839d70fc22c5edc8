"""Commands that charge: architectures, mappings and densities from words."""

import csv
import io
import json

import numpy as np
import pytest
import scipy.sparse as sp

import zeroskip as zs
from zeroskip.command_line.main import main

MATVEC = "y[i] = A[i,j]*x[j]"


def told(capsys):
    out = capsys.readouterr()
    return out.out, out.err


def test_charge_one_and_several(files, capsys):
    words = ["charge", MATVEC, "A=a.npy", "x=x.npy"]
    assert main([*words, "--arch", "scnn", "--json"]) == 0
    one = json.loads(told(capsys)[0])
    figures = {row["figure"]: row for row in one["rows"]}
    wanted = zs.charge(MATVEC, "scnn", np.load("a.npy"), np.load("x.npy"))
    assert figures["cycles"]["scnn"] == wanted.cycles
    assert any(note.startswith("mapping: ") for note in one["notes"])
    assert main([*words, "--csv"]) == 0
    out, err = told(capsys)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == ["figure", "unit", "dense", "eyeriss", "scnn"]
    assert {r["figure"]: r["scnn"] for r in rows}["cycles"] == str(wanted.cycles)
    assert err.startswith("# ")
    assert main([*words, "--arch", "scnn", "--accounting"]) == 0
    assert "cycles += steps" in told(capsys)[0]


def test_charge_with_a_mapping(files, capsys):
    words = ["charge", MATVEC, "A=a.npy", "x=x.npy", "--arch", "scnn", "--order", "j i"]
    assert main([*words, "--space", "i=rows*cols", "--sync", "none"]) == 0
    assert "mapping: order j i; sync none; space i: rows*cols" in told(capsys)[0]
    assert main([*words, "--stream", "GLB=x 4, A"]) == 0
    assert "stream GLB: x 4, A" in told(capsys)[0]
    assert main(["charge", f"{MATVEC}; z[i] = y[i]", *words[2:]]) == 2
    assert "map one line, found 2: y, z; leave them out, or give each line" in told(capsys)[1]
    assert main([*words, "--fuse", "y,z=i"]) == 2
    assert "--fuse is of lines that run tile by tile, found one line" in told(capsys)[1]
    assert main(["charge", f"{MATVEC}; z[i] = y[i]", *words[2:-2]]) == 0
    assert "mapping: y: order " in told(capsys)[0]


def test_charge_with_a_mapping_in_a_file(files, capsys):
    (files / "map.yaml").write_text("order: j1 i j0\nsplit: {j: [4]}\nspace: {i: rows}\n")
    words = ["charge", MATVEC, "A=a.npy", "x=x.npy", "--arch", "scnn"]
    assert main([*words, "--mapping", "map.yaml", "--json"]) == 0
    from_file = json.loads(told(capsys)[0])["rows"]
    assert (
        main([*words, "--order", "j1 i j0", "--split", "j=4", "--space", "i=rows", "--json"]) == 0
    )
    assert json.loads(told(capsys)[0])["rows"] == from_file
    assert main([*words, "--mapping", "map.yaml", "--sync", "none"]) == 2
    assert "--mapping has all of a mapping" in told(capsys)[1]
    assert main([*words, "--mapping", "map.yaml", "--mapping", "map.yaml"]) == 2
    assert "--mapping: charge takes one, found 2" in told(capsys)[1]
    (files / "map.yaml").write_text("order: j1 i j0\nsplit:\n  j: [3, 4]\n")
    assert main([*words, "--mapping", "map.yaml"]) == 1
    assert told(capsys)[1].startswith("ArchError: map.yaml, line 2: split of j: expected each")
    (files / "map.yaml").write_text("ordre: j i\n")
    assert main([*words, "--mapping", "map.yaml"]) == 1
    assert "ordre in map.yaml, line 1: no such key\nDid you mean order?" in told(capsys)[1]


SMALL = (
    "name: small\narray: {pe: 2}\nvalue_bits: 16\naccumulator_bits: 32\n"
    "energy: eyeriss-relative\nlevels:\n  DRAM: {}\n  GLB: {}\n  PE: {}\n"
)
LINES = """\
lines:
  S: {order: i1 k i0 j, split: {i: [2]}, space: {j: pe}, sync: k}
  Z: {order: i1 j i0 c, split: {i: [2]}, space: {c: pe}, sync: j}
"""


def test_charge_lines_that_stay_on_chip_or_run_tile_by_tile(files, capsys):
    (files / "small.yaml").write_text(SMALL)
    (files / "lines.yaml").write_text(LINES)
    (files / "all.yaml").write_text(LINES + 'keep: {S: GLB}\nfuse: {"S,Z": i1}\n')
    text = "S[i,j] = Q[i,k]*K[j,k]; Z[i,c] = S[i,j]*V[j,c]"
    words = ["charge", text, "Q=random(4,3;0.5)", "K=random(5,3;0.5)", "V=random(5,2;0.5)"]
    words += ["--arch", "small.yaml", "--json"]
    found = []
    for more in (
        ["--mapping", "lines.yaml"],
        ["--mapping", "all.yaml"],
        ["--mapping", "lines.yaml", "--keep", "S=GLB", "--fuse", "S,Z=i1"],
    ):
        assert main([*words, *more]) == 0
        found.append(json.loads(told(capsys)[0]))
    assert found[1] == found[2]
    bits = [{row["figure"]: row["small"] for row in one["rows"]}["DRAM, data"] for one in found]
    assert bits[0] - bits[1] == 2 * 20 * 16
    assert "| keep S: GLB | fuse S,Z: i1" in str(found[1]["notes"])
    assert main([*words, "--keep", "S=GLB"]) == 0
    assert "| keep S: GLB" in told(capsys)[0]
    assert main([*words, "--fuse", "S,Z"]) == 2
    assert "--fuse: expected lines and their loops once, S,Z=i1, found 'S,Z'" in told(capsys)[1]
    assert main([*words, "--fuse", "S,Z=i1"]) == 1
    assert "expected i1 as the outermost loops of every line" in told(capsys)[1]
    densities = ["Q=density(4,3;0.5)", "K=density(5,3;0.5)", "V=density(5,2;0.5)"]
    words[2:5] = densities
    assert main([*words, "--mapping", "all.yaml"]) == 0
    assert "| keep S: GLB | fuse S,Z: i1" in told(capsys)[0]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("linse: {}\n", "linse in map.yaml, line 1: no such key\nDid you mean lines?"),
        ("lines: {S: {ordre: i}}\n", "lines.S.ordre in map.yaml, line 1: no such key"),
        ("keep: [S]\n", "map.yaml, line 1: keep: expected a dict, intermediate -> level"),
        ("lines: {}\nfuse: 3\n", "map.yaml, line 2: fuse: expected a dict, lines -> loops"),
        ("keep: {}\nhalo: [S]\n", "map.yaml, line 2: halo: expected a dict, intermediate -> keep"),
        ("halo: {S: keep}\n", "halo S: keep: no block keeps tiles of S on chip"),
        ("lines: {T: {order: i}}\n", "mapping names T, which no line computes: S, Z"),
    ],
)
def test_a_mapping_of_lines_that_cannot_be_read(files, capsys, text, error):
    (files / "map.yaml").write_text(text)
    lines = "S[i,j] = Q[i,k]*K[j,k]; Z[i,c] = S[i,j]*V[j,c]"
    words = ["charge", lines, "Q=random(4,3;0.5)", "K=random(5,3;0.5)", "V=random(5,2;0.5)"]
    assert main([*words, "--mapping", "map.yaml"]) == 1
    assert error in told(capsys)[1]


def test_charge_with_tiles_by_stored_entries(files, capsys):
    (files / "map.yaml").write_text('order: ij1 ij0\nsplit:\n  "i*j": occupancy(A, 3)\nspace: {}\n')
    words = ["charge", MATVEC, "A=a.npy", "x=x.npy", "--arch", "scnn"]
    assert main([*words, "--mapping", "map.yaml", "--json"]) == 0
    from_file = json.loads(told(capsys)[0])
    assert "occupancy(A, 3)" in str(from_file["notes"])
    assert main([*words, "--order", "ij1 ij0", "--split", "i*j=occupancy(A,3)", "--json"]) == 0
    assert "split i*j: occupancy(A, 3)" in str(json.loads(told(capsys)[0])["notes"])
    assert main([*words, "--split", "i*j=occupancy(A,x)"]) == 1
    assert "whole numbers of stored entries, such as 64, found 'x'" in told(capsys)[1]


def test_charge_with_tiles_that_do_not_fit(files, capsys):
    (files / "small.yaml").write_text(
        "name: small\narray: {pe: 1}\nvalue_bits: 16\naccumulator_bits: 16\n"
        "energy: eyeriss-relative\nlevels:\n  DRAM: {}\n  GLB: {capacity_bits: 8}\n  PE: {}\n"
    )
    words = ["charge", MATVEC, "A=a.npy", "x=x.npy", "--arch", "small.yaml"]
    assert main([*words, "--overflow", "GLB=report"]) == 0
    assert main([*words, "--overflow", "GLB=refuse"]) == 1
    assert told(capsys)[1].startswith("ArchError: overflow at GLB: A tile j=0:1 (")
    (files / "map.yaml").write_text("order: j i\noverflow: {GLB: drop}\n")
    assert main([*words, "--mapping", "map.yaml"]) == 1
    told_ways = "expected refuse, split, spill or report, found 'drop'"
    wanted = f"ArchError: map.yaml, line 2: overflow GLB: {told_ways}"
    assert told(capsys)[1].startswith(wanted)
    assert main([*words, "--overflow", "GLB=spill"]) == 0
    assert "spill: GLB keeps " in told(capsys)[0]


def test_charge_by_densities_sizes_and_tables(files, capsys):
    words = ["charge", MATVEC, "A=density(16,8;0.5)", "x=density(8;2:4)", "--arch", "scnn"]
    assert main([*words, "--pes", "2,2", "--energy", "horowitz-45nm", "--json"]) == 0
    rows = {row["figure"]: row["scnn"] for row in json.loads(told(capsys)[0])["rows"]}
    given = {"A": zs.Density((16, 8), 0.5), "x": zs.Density((8,), structure="2:4")}
    design = zs.arch("scnn", size=(2, 2), energy="horowitz-45nm")
    wanted = zs.charge(MATVEC, design, **given)
    assert rows["cycles"] == pytest.approx(wanted.cycles)
    assert rows["energy"] == pytest.approx(wanted.energy_pj)
    roles = ["--role", "A=I", "--role", "x=F", "--keep", "GLB=I"]
    assert main([*words, *roles]) == 0
    assert "keep GLB: I; roles A: I, x: F" in told(capsys)[0]


def test_sweep(files, capsys):
    words = ["sweep", MATVEC, "A=density(16,8;geom(0.125,1,4))", "x=x.npy", "--arch", "dense"]
    words += ["--arch", "scnn", "--resume", "points.jsonl", "--json"]
    assert main(words) == 0
    rows = json.loads(told(capsys)[0])["rows"]
    assert [row["arch"] for row in rows] == ["dense"] * 4 + ["scnn"] * 4
    assert [row["A_density"] for row in rows[:4]] == pytest.approx([0.125, 0.25, 0.5, 1])
    one = zs.charge(MATVEC, "scnn", A=zs.Density((16, 8), 1.0), x=np.load("x.npy"))
    assert rows[-1]["energy_pj"] == pytest.approx(one.energy_pj)
    assert main([*words, "--jobs", "2"]) == 0
    assert json.loads(told(capsys)[0])["rows"] == rows
    assert len((files / "points.jsonl").read_text().splitlines()) == 9


@pytest.mark.parametrize("jobs", ["0", "-1", "1025", "two", "1.5"])
def test_sweep_refuses_what_is_no_number_of_processes(files, capsys, jobs):
    words = ["sweep", MATVEC, "A=density(16,8;0.5)", "x=x.npy", f"--jobs={jobs}"]
    assert main(words) == 2
    assert f"expected a whole number from 1 to 1024, found '{jobs}'" in told(capsys)[1]


def test_sweep_draws(files, capsys):
    pytest.importorskip("matplotlib")
    words = ["sweep", MATVEC, "A=density(16,8;lin(0.25,1,3))", "x=random(8;0.5)"]
    assert main([*words, "--plot", "front.svg", "--y", "cycles"]) == 0
    assert "drawn to front.svg" in told(capsys)[0]
    assert "<svg" in (files / "front.svg").read_text()


def test_compare(files, capsys):
    words = ["compare", MATVEC, "A=a.npy", "x=x.npy", "--arch", "scnn", "--expected", "--json"]
    assert main(words) == 0
    found = json.loads(told(capsys)[0])
    rows = {row["figure"]: row for row in found["rows"]}
    a, x = np.load("a.npy"), np.load("x.npy")
    share = np.count_nonzero(a) / a.size * np.count_nonzero(x) / x.size
    assert rows["operations, effectual"]["scnn, expected"] == pytest.approx(share * a.size)
    (files / "one.yaml").write_text("order: j i\nsync: none\n")
    (files / "two.yaml").write_text("order: i j\nsync: none\n")
    assert main([*words[:-2], "--mapping", "one.yaml", "--mapping", "two.yaml"]) == 0
    out = told(capsys)[0]
    assert "mapping: order j i; sync none" in out
    assert "mapping: order i j; sync none" in out


def test_a_density_is_that_of_non_zeros_where_a_matrix_stores_zeros(files, capsys):
    held = sp.csr_array(np.load("a.npy"))
    held.data[::2] = 0
    sp.save_npz("zeros.npz", held)
    words = ["compare", MATVEC, "A=zeros.npz", "x=x.npy", "--arch", "scnn", "--expected", "--json"]
    assert main(words) == 0
    rows = {row["figure"]: row for row in json.loads(told(capsys)[0])["rows"]}
    wanted = np.count_nonzero(held.data) / 48 * np.count_nonzero(np.load("x.npy")) / 8 * 48
    assert rows["operations, effectual"]["scnn, expected"] == pytest.approx(wanted)


def test_one_architecture_twice_has_two_columns(files, capsys):
    words = ["charge", MATVEC, "A=a.npy", "x=x.npy", "--csv", *["--arch", "scnn"] * 3]
    assert main(words) == 0
    assert told(capsys)[0].splitlines()[0] == "figure,unit,scnn,scnn (2),scnn (3)"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["charge", MATVEC, "A=density(4,4;0.1,0.2)", "x=random(4;1)"], "for zeroskip sweep; give"),
        (["sweep", MATVEC, "A=random(4,4;0.1,0.2)", "x=random(4;1)"], "sweep, as A=density(...)"),
        (["run", MATVEC, "A=density(4,4;0.1)", "x=random(4;1)"], "A=density(...) has no values"),
        (["bench", MATVEC, "A=density(4,4;0.1)", "x=random(4;1)"], "has no values to time"),
        (["storage", "density(4,4;0.1)"], "density(...) has no values; take"),
        (
            ["charge", MATVEC, "A=density(4,4;0.1)", "x=random(4;1)", "--format", "A=CSR"],
            "--format gives A a format, which is known by its density",
        ),
        (
            ["sweep", MATVEC, "A=density(4,4;geom(0,1,3))", "x=random(4;1)"],
            "geom(first,last,number",
        ),
        (["sweep", MATVEC, "A=density(4,4;lin(0,1))", "x=random(4;1)"], "lin(first,last,number)"),
        (["charge", MATVEC, "A=random(4,4;1)", "x=random(4;1)", "--pes", "2,b"], "whole number"),
    ],
)
def test_what_cannot_be_modelled(files, capsys, words, said):
    assert main(words) == 2
    assert said in told(capsys)[1]
