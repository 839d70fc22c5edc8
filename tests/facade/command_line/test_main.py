"""The command line: what it prints, what it writes, its exit codes."""

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp

import zeroskip as zs
from zeroskip.command_line.main import main
from zeroskip.table import Table

MATVEC = "y[i] = A[i,j]*x[j]"
CONV = "O[n,m,p,q] = relu(I[n,c,U*p+r,U*q+s]*F[m,c,r,s])"


def told(capsys):
    out = capsys.readouterr()
    return out.out, out.err


# ---- run --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operand",
    [
        "a.npy",
        "one.npz",
        "many.npz:a",
        "csr.npz",
        "a.mtx",
        "many.npz:a[0:6,:]",
        "saved.npz",
        "saved.npz[:,0:8]",
        "a.tns",
    ],
)
def test_run_reads_every_kind_of_file(files, capsys, operand):
    assert main(["run", MATVEC, f"A={operand}", "x=x.npy", "-o", "y.npy"]) == 0
    np.testing.assert_allclose(np.load("y.npy"), np.load("a.npy") @ np.load("x.npy"), rtol=1e-5)
    out, err = told(capsys)
    assert out.startswith("y: 6 float32, dense, ") or out.startswith("y: 6 float64, dense, ")
    assert "written to y.npy" in out
    assert err == ""


def test_bench_keeps_the_format_of_a_saved_tensor(files, capsys):
    words = ["A=saved.npz", "x=random(8;1)", "--budget", "0.05", "--csv", "--peer", "numpy"]
    assert main(["bench", MATVEC, *words]) == 0
    rows = list(csv.DictReader(io.StringIO(told(capsys)[0])))
    assert any(row["formats"] == "A CSC" for row in rows)


def test_run_prints_small_results_and_facts(files, capsys):
    assert main(["run", "@layer.txt", "A=a.npy", "x=x.npy", "--format", "A=bitmask"]) == 0
    assert "[" in told(capsys)[0].splitlines()[1]
    assert main(["run", MATVEC, "A=a.npy", "--json", "x=x.npy"]) == 0
    facts = json.loads(told(capsys)[0])
    assert (facts["result"], facts["shape"], facts["format"]) == ("y", [6], "dense")


def test_run_with_constants_sizes_padding_and_a_sparse_result(files, capsys):
    words = ["I=random(1,2,8,8;0.5)", "F=random(3,2,3,3;0.5)", "--const", "U=2", "--pad", "I.h=1"]
    assert main(["run", CONV, *words, "--pad", "I.w=1,1", "--format", "O=CSR", "-o", "o.npz"]) == 0
    rng_i, rng_f = np.random.default_rng([0, 0]), np.random.default_rng([0, 1])
    image = zs.Density((1, 2, 8, 8), 0.5).sample(rng_i)
    weights = zs.Density((3, 2, 3, 3), 0.5).sample(rng_f)
    layer = zs.layer(CONV, consts={"U": 2}, pad=1)
    np.testing.assert_allclose(np.load("o.npz")["O"], layer(image, weights), rtol=1e-5, atol=1e-6)
    assert "O: 1×3×4×4 float32, CSR" in told(capsys)[0]
    pool = "O[p] max= I[2*p+r]"
    assert main(["run", pool, "I=random(8;1)", "--size", "r=2", "--backend", "numpy"]) == 0


def test_a_sparse_matrix_is_written_as_scipy_s(files):
    words = ["A=a.npy", "B=a.npy", "--format", "A=CSR", "--format", "C=CSR", "-o", "c.npz"]
    assert main(["run", "C[i,j] = A[i,k]*B[j,k]", *words]) == 0
    a = np.load("a.npy")
    np.testing.assert_allclose(sp.load_npz("c.npz").toarray(), a @ a.T, rtol=1e-5, atol=1e-6)


def test_a_file_is_not_replaced_unasked(files, capsys):
    words = ["run", MATVEC, "A=a.npy", "x=x.npy", "-o", "x.npy"]
    before = np.load("x.npy")
    assert main(words) == 1
    assert told(capsys)[1] == (
        "ZeroskipError: -o x.npy: it exists already\nGive --force to replace it.\n"
    )
    assert np.array_equal(np.load("x.npy"), before)
    assert main([*words, "--force"]) == 0
    assert np.load("x.npy").shape == (6,)


# ---- exit codes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", MATVEC, "A=a.npy", "x=x.npy[0:3]"], "EinsumError: rank j has two sizes"),
        (["run", "y[i] = A[i,j", "A=a.npy"], "EinsumError: expected ]"),
        (["run", MATVEC, "A=a.npy"], "EinsumError: operands x are missing"),
        (["run", MATVEC, "A=no.npy", "x=x.npy"], "ZeroskipError: A: there is no file no.npy"),
        (["run", MATVEC, "A=many.npz", "x=x.npy"], "many.npz has several arrays: a, b"),
        (["run", MATVEC, "A=many.npz:c", "x=x.npy"], "many.npz has no array 'c': a, b"),
        (["run", MATVEC, "A=a.npy:k", "x=x.npy"], "a.npy is one array; a key (k) goes with .npz"),
        (["run", MATVEC, "A=sly.npz:a", "x=x.npy"], "A: sly.npz cannot be read"),
        (["run", MATVEC, "A=layer.npy", "x=x.npy"], "there is no file layer.npy"),
        (["run", MATVEC, "A=a.npy", "x=x.npy", "-o", "y.txt"], "a name that ends in .npy or .npz"),
        (["run", MATVEC, "A=a.npy", "x=x.npy", "-o", "no/y.npy"], "there is no folder no"),
        (["run", "@no.txt", "A=a.npy"], "ZeroskipError: no.txt cannot be read"),
        (["run", MATVEC, "A=a.npy", "x=x.npy", "--format", "A=CRS"], "FormatError: "),
        (["charge", MATVEC, "A=a.npy", "x=x.npy", "--arch", "scn"], "ArchError: no architecture"),
        (["charge", MATVEC, "A=a.npy", "x=x.npy", "--order", "j k"], "ArchError: order"),
        (["storage", "random(4,4;1.5)"], "TensorError: the density is 1.5"),
        (["bench", MATVEC, "A=a.npy", "x=x.npy", "--peer", "mkl"], "peers: expected any of"),
    ],
)
def test_errors_are_told_in_a_few_lines_and_exit_with_1(files, capsys, words, message):
    assert main(words) == 1
    out, err = told(capsys)
    assert message in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 6
    assert out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["run"], "the following arguments are required: LAYER"),
        (["run", MATVEC, "--bogus"], "run: unknown argument --bogus"),
        (["doctor", "A=1"], "unknown argument A=1"),
        (["run", MATVEC, "a.npy"], "expected an operand as NAME=VALUE, found 'a.npy'"),
        (["run", MATVEC, "A=a.npy", "A=a.npy"], "A is given twice: an operand"),
        (["run", MATVEC, "A=thing"], "A=thing: expected a file (x.npy, w.npz, w.npz:KEY"),
        (["run", MATVEC, "A=nan"], "A=nan: expected a finite number"),
        (["run", MATVEC, "A=random(4,4)"], "expected a shape and a density"),
        (["run", MATVEC, "A=random(4,x;1)"], "shape of A: expected a whole number, found 'x'"),
        (["run", MATVEC, "A=random(4,4;0.1,1)"], "several densities are for zeroskip bench"),
        (["run", MATVEC, "A=shape(4,4)"], "A=shape(...) has no values"),
        (["run", MATVEC, "A=a.npy[0:x]"], "expected slices such as [0:1]"),
        (["run", MATVEC, "A=a.npy", "--format", "CSR"], "say whose, as in --format F=CSR"),
        (["run", MATVEC, "A=a.npy", "--format", "B=CSR"], "--format names B, which is no operand"),
        (["run", MATVEC, "--const", "U"], "expected a constant as NAME=VALUE, found 'U'"),
        (["run", MATVEC, "--const", "U=x"], "U: expected a number, found 'x'"),
        (["run", MATVEC, "--size", "r=1.5"], "r: expected a whole number, found '1.5'"),
        (["run", MATVEC, "--pad", "1,2,3"], "--pad: expected places, or before,behind"),
        (["explain", MATVEC, "--only", "Nothing"], "--only Nothing: expected one of Einsum"),
        (["storage", "shape(4,4)"], "shape(...) has no values"),
        (["storage", "random(4;0.1)", "--csv", "--json"], "not allowed with argument"),
        (["bench", MATVEC, "--format", "CSR", "--format", "A=CSR"], "either formats for all"),
    ],
)
def test_a_command_line_that_cannot_be_understood_exits_with_2(files, capsys, words, message):
    assert main(words) == 2
    out, err = told(capsys)
    assert message in err
    assert "--help" in err
    assert out == ""


def test_help_and_version(capsys):
    assert main(["--version"]) == 0
    assert told(capsys)[0] == f"zeroskip {zs.__version__}\n"
    for command in ("run", "bench", "explain", "charge", "sweep", "compare", "storage", "doctor"):
        assert main([command, "--help"]) == 0
        out = told(capsys)[0]
        assert out.startswith(f"usage: zeroskip {command}")
        assert max(map(len, out.splitlines())) <= 100
    assert "random(64,64,3,3;0.1)" in (main(["run", "--help"]), told(capsys)[0])[1]


def test_the_installed_command_and_its_exit_codes(files):
    def run(*words):
        command = [sys.executable, "-m", "zeroskip", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    good = run("run", MATVEC, "A=a.npy", "x=x.npy")
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("y: 6 float32")
    bad = run("run", MATVEC, "A=a.npy", "x=a.npy")
    assert bad.returncode == 1
    assert bad.stderr.startswith("EinsumError: ")
    assert run("run").returncode == 2


def test_an_interrupt_and_a_closed_pipe(files, monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("zeroskip.command_line.commands.doctor", interrupt)
    assert main(["doctor"]) == 130
    assert told(capsys)[1] == "interrupted\n"
    script = (
        "import sys; sys.argv = ['zeroskip', 'explain', %r]; "
        "import zeroskip.command_line.main as c;"
    )
    done = subprocess.run(
        f'{sys.executable} -c "{script % MATVEC} sys.exit(c.main())" | head -1; '
        "echo ${PIPESTATUS[0]}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[0] == "Einsum"
    assert "Traceback" not in done.stderr


# ---- the other commands -----------------------------------------------------------------


def test_explain_with_formats_shapes_and_sections(files, capsys):
    assert main(["explain", MATVEC, "--format", "A=CSR", "--only", "loop"]) == 0
    assert "  for j, pA_j in A.j[i]:  # compressed, lanes share the entries\n" in told(capsys)[0]
    assert main(["explain", MATVEC, "A=shape(3,4)", "--format", "A=bitmask", "--json"]) == 0
    sections = json.loads(told(capsys)[0])
    assert sections["Operands"].startswith("A  3×4 float32, bitmask (U B)")
    words = ["explain", MATVEC, "A=random(4,4;0.5)", "x=x.npy[0:4]", "--format", "A=COO"]
    assert main([*words, "--arch", "scnn"]) == 0
    out = told(capsys)[0]
    assert "A  4×4 float32, COO (C S), 8 stored, density 0.5" in out
    assert "busy[" in out.partition("Accounting on scnn")[2]


def test_storage(files, capsys):
    assert main(["storage", "a.npy", "--format", "CSR", "--format", "RLE(2)", "--json"]) == 0
    rows = json.loads(told(capsys)[0])["rows"]
    assert [row["format"] for row in rows] == ["dense", "CSR", "RLE(2)"]
    expected = zs.storage(np.load("a.npy"), ["CSR", "RLE(2)"])
    assert [row["total_bits"] for row in rows] == list(expected["total_bits"])
    assert main(["storage", "F=random(8,8;0.25)", "--value-bits", "8"]) == 0
    assert "8×8, density 0.25, 8-bit values" in told(capsys)[0]


def test_bench_and_its_options(files, capsys):
    pytest.importorskip("matplotlib")
    words = ["bench", MATVEC, "A=random(16,16;0.1,0.9)", "x=random(16;1)", "--budget", "0.05"]
    options = ["--format", "A=CSR", "--peer", "numpy", "--bound", "none", "--plot", "t.png"]
    assert main([*words, *options, "--csv"]) == 0
    out, err = told(capsys)
    rows = list(csv.DictReader(io.StringIO(out.partition("drawn to")[0])))
    assert [r["kernel"] for r in rows] == ["NumPy BLAS", "zeroskip dense", "zeroskip A CSR"] * 2
    assert (files / "t.png").stat().st_size > 1000
    assert "checked against the dense reference" in err
    assert main([*words, "--break-even", "A"]) == 0
    assert told(capsys)[0].startswith("A CSR ")
    assert main(["bench", MATVEC, "--budget", "0.05", "--break-even", *words[2:4]]) == 0
    assert told(capsys)[0].startswith("A CSR ")


def test_doctor(files, capsys, monkeypatch):
    assert main(["doctor"]) == 0
    out = told(capsys)[0]
    assert "Everything that is needed works." in out
    broken = Table("", ["check", "state", "found", "remedy"], [("numpy", "broken", "?", "pip")])
    monkeypatch.setattr("zeroskip.command_line.doctor.examine", lambda: broken)
    assert main(["doctor"]) == 1
    assert told(capsys)[0] == "broken  numpy  ?\n               → pip\n\n"
    assert main(["doctor", "--json"]) == 1
    assert json.loads(told(capsys)[0])["rows"][0]["state"] == "broken"


# ---- refused before anything is measured ------------------------------------------------


@pytest.mark.parametrize("command", [["run", MATVEC, "A=a.npy", "x=x.npy"], ["storage", "a.npy"]])
def test_a_seed_below_zero_is_a_word_that_is_not_understood(files, capsys, command):
    assert main([*command, "--seed", "-1"]) == 2
    assert "expected a whole number of 0 or more, found '-1'" in told(capsys)[1]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.xyz", "--plot a.xyz: expected a name that ends in .png, .svg or .pdf, found .xyz"),
        ("a", "found no ending"),
        ("nowhere/a.png", "--plot nowhere/a.png: there is no folder nowhere"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused_first(files, capsys, name, line):
    pytest.importorskip("matplotlib")
    assert main(["bench", MATVEC, "A=a.npy", "x=x.npy", "--plot", name]) == 1
    out, err = told(capsys)
    assert not out
    assert line in err
