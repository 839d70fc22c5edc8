"""Tensors as files: round trips, what others wrote, what is broken, what is interrupted."""

import json
import os
import zipfile

import numpy as np
import pytest

from zeroskip.errors import FormatError, TensorError, ZeroskipError
from zeroskip.formats import files, npz
from zeroskip.formats.convert import tensor
from zeroskip.formats.files import load, save
from zeroskip.formats.values import DTYPES, dtype_of

FORMATS = ["CSR", "COO", "bitmask", "RLE(3)", "dense", "[a,b] b:C(8) a:C", "4:4"]
KINDS = ["npz", "mtx", "tns", "h5"]
HALVES = ("float16", "bfloat16")


def draw(dtype="f8", seed=40):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((5, 8)) * 30 * (rng.random((5, 8)) < 0.4)
    return x.astype(dtype_of(dtype))


# ---- round trips ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_values_come_back_equal(tmp_path, kind, dtype):
    x, path = draw(dtype), tmp_path / f"x.{kind}"
    if kind == "h5" and dtype in HALVES:
        with pytest.raises(TensorError, match=f"Binsparse has no type for {dtype}"):
            save(path, tensor(x, "CSR"))
        return
    if kind == "mtx" and dtype == "uint64":
        with pytest.raises(TensorError, match="read as int64, which ends at 9223372036854775807"):
            save(path, tensor(x, "CSR"))
        assert not path.exists()
        x = x % 100
    save(path, tensor(x, "CSR"))
    found = load(path)
    assert np.array_equal(found.toarray(), x)
    if kind != "mtx":
        assert found.dtype == x.dtype


@pytest.mark.parametrize("format", FORMATS)
def test_npz_keeps_format_arrays_and_fill(tmp_path, format):
    t = tensor(draw("f4"), format) + 2
    save(tmp_path / "x.npz", t)
    found = load(tmp_path / "x.npz").validate()
    assert (found.format, found.shape, found.dtype) == (t.format, t.shape, t.dtype)
    assert (found.fill, found.stored) == (2, t.stored)
    assert found.values.tolist() == t.values.tolist()
    assert load(tmp_path / "x.npz", "COO").format.label == "COO"


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_values(tmp_path, kind):
    whole = np.array([[2**62 + 1, 0], [0, -(2**63)]])
    odd = np.array([[np.nan, np.inf], [-np.inf, 5e-324]])
    for x in (whole, odd, np.zeros((2, 3))):
        save(tmp_path / f"x.{kind}", x)
        assert np.array_equal(load(tmp_path / f"x.{kind}").toarray(), x, equal_nan=True)


@pytest.mark.parametrize("kind", ["npz", "tns", "h5"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0, 3), (2, 1, 0, 2)], ids=str)
def test_any_number_of_axes(tmp_path, kind, shape):
    x = np.arange(np.prod(shape, dtype=int), dtype="f4").reshape(shape) % 3
    save(tmp_path / f"x.{kind}", x)
    assert np.array_equal(load(tmp_path / f"x.{kind}").toarray(), x)


# ---- of others ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_what_scipy_saved(tmp_path, kind):
    import scipy.sparse

    m = scipy.sparse.random(6, 5, 0.4, format=kind, rng=np.random.default_rng(41))
    scipy.sparse.save_npz(tmp_path / "m.npz", m)
    found = load(tmp_path / "m.npz")
    assert np.array_equal(found.toarray(), m.toarray())
    assert found.format.label == kind.upper()


def test_columns_that_scipy_left_unsorted(tmp_path):
    import scipy.sparse

    m = scipy.sparse.csr_array(([1.0, 2.0, 4.0], [2, 0, 2], [0, 3]), shape=(1, 3))
    scipy.sparse.save_npz(tmp_path / "m.npz", m)
    assert load(tmp_path / "m.npz").toarray().tolist() == [[2.0, 0.0, 5.0]]


def test_matrix_market_as_scipy_writes_and_reads_it(tmp_path):
    import scipy.io
    import scipy.sparse

    path = tmp_path / "m.mtx"
    m = scipy.sparse.random(6, 6, 0.4, rng=np.random.default_rng(42))
    for q in (m, m + m.T, m - m.T, (m * 9).astype(int), m.astype(bool)):
        for written in (q, q.toarray()) if q.dtype != bool else (q,):
            scipy.io.mmwrite(path, written)
            assert np.array_equal(load(path).toarray(), q.toarray())
        save(path, q)
        assert np.array_equal(scipy.io.mmread(path).toarray(), q.toarray())


def test_tns_of_another_program(tmp_path):
    path = tmp_path / "x.tns"
    path.write_text("# a comment\n1 1 2 0.5\n\n2 1 1 3\n")
    assert load(path).shape == (2, 1, 2)
    assert load(path, shape=(2, 3, 4)).toarray()[0, 0, 1] == 0.5
    assert load(path, "CSR").format.label == "CSR"
    with pytest.raises(TensorError, match=r"coordinate 1 of axis 0 is 1; expected 0 \.\. 0"):
        load(path, shape=(1, 3, 4))


# ---- broken ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_short_is_refused(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    save(path, tensor(draw("f4"), "CSR"))
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(TensorError, match=rf"x\.{kind}: "):
            load(path)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_refused_or_read_as_a_tensor(tmp_path, kind):
    rng = np.random.default_rng(43)
    path = tmp_path / f"x.{kind}"
    save(path, tensor(draw("i4"), "CSR"))
    whole = path.read_bytes()
    refused = 0
    for _ in range(400):
        noisy = bytearray(whole)
        for _ in range(rng.integers(1, 5)):
            noisy[rng.integers(len(noisy))] = rng.integers(256)
        path.write_bytes(noisy)
        try:
            load(path).validate()
        except ZeroskipError:
            refused += 1
    assert refused > 100


def altered(path, **changes):
    """Write a tensor's archive anew with members changed; None leaves one out."""
    save(path, tensor([[0, 2.5, 1], [1, 0, 0]], "CSR"))
    with np.load(path) as archive:
        members = dict(archive)
    header = json.loads(members["zeroskip"].tobytes())
    for name, change in changes.items():
        if name in header:
            header[name] = change
        elif change is None:
            del members[name.replace("_", ".")]
        else:
            members[name.replace("_", ".")] = change
    members["zeroskip"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **members)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": 2}, "version 2, and this zeroskip reads up to 1\nRead it with a later"),
        ({"version": "x"}, "gives no version of the layout"),
        ({"version": 0}, "gives no version of the layout"),
        ({"shape": "x"}, "header's shape is x; expected a list"),
        ({"shape": [2, -3]}, "axis 1 has extent -3"),
        ({"shape": [2, 2.0]}, "axis 1 has extent 2.0; expected an integer"),
        ({"shape": [2, 2]}, r"crd\[1\] = 2; expected a coordinate in 0 .. 1"),
        ({"shape": [2**62, 3]}, "pos has 3 items; expected"),
        ({"format": "U Q"}, "Q"),
        ({"format": "U C C"}, "stores 3 axes, the tensor has 2 axes"),
        ({"dtype": "object"}, "expected values of type"),
        ({"dtype": "float32"}, "the values are float64; the header says float32"),
        ({"fill": "00"}, "the fill 00 is no value of float64"),
        ({"fill": "zz" * 8}, "the file is broken"),
        ({"values": None}, "the file lacks the array values"),
        ({"1_pos": None}, "the file lacks the array 1.pos"),
        ({"1_pos": np.array([0, 9, 3])}, r"pos\[2\] = 3 is less than pos\[1\] = 9"),
        ({"1_crd": np.array([1.5, 2, 0])}, "crd holds integers, found dtype float64"),
        ({"values": np.ones(2)}, r"value array has shape \(2,\); expected \(3,\)"),
        ({"values": np.ones((3, 1))}, r"value array has shape \(3, 1\); expected \(3,\)"),
    ],
    ids=str,
)
def test_archives_that_contradict_themselves(tmp_path, changes, text):
    altered(tmp_path / "x.npz", **changes)
    with pytest.raises((TensorError, FormatError), match=text):
        load(tmp_path / "x.npz")


def member(path, text):
    """An archive whose header says ``text`` about an array of no data."""
    head = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("zeroskip.npy", head)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999,)}\n", "found 0"),
        (b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n", "expected numbers"),
        (b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}\n", "the file is broken|needs"),
        (b"__import__('os').abort()\n", "the file is broken"),
        (b"(" * 900 + b"\n", "the file is broken"),
    ],
    ids=["promise", "pickle", "negative", "code", "nested"],
)
def test_hostile_headers(tmp_path, text, found):
    member(tmp_path / "x.npz", text)
    with pytest.raises(TensorError, match=found):
        load(tmp_path / "x.npz")


def test_archives_of_others(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.ones(3))
    with pytest.raises(TensorError, match=r"found the arrays a\nRead them with np.load"):
        load(tmp_path / "x.npz")
    np.savez(tmp_path / "o.npz", zeroskip=np.array([{}], object), allow_pickle=True)
    with pytest.raises(TensorError, match="expected numbers"):
        load(tmp_path / "o.npz")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "expected '%%MatrixMarket matrix …' on line 1, found ''"),
        ("%%MatrixMarket matrix coordinate complex general\n", "numbers of kind 'complex'"),
        ("%%MatrixMarket matrix coordinate real odd\n", "symmetry 'odd'"),
        ("%%MatrixMarket matrix list real general\n", "layout 'list'"),
        ("%%MatrixMarket matrix coordinate real general\n% c\n2 2\n", "a line of 3 sizes"),
        ("%%MatrixMarket matrix coordinate real general\n2 2 -1\n", "a line of 3 sizes"),
        ("%%MatrixMarket matrix coordinate real general\n2 2 2\n1 1 3\n", "2 entries, found 1"),
        ("%%MatrixMarket matrix coordinate real general\n2 2 1\n0 1 3\n", "coordinates start at 1"),
        ("%%MatrixMarket matrix coordinate real general\n2 2 1\n3 1 3\n", "expected 0 .. 1"),
        ("%%MatrixMarket matrix coordinate integer general\n2 2 1\n1 1 x\n", "cannot be read"),
        ("%%MatrixMarket matrix coordinate real symmetric\n2 3 0\n", "2 rows and 3 columns"),
        (
            "%%MatrixMarket matrix coordinate real symmetric\n2 2 2\n1 2 3\n2 1 3\n",
            "above and below the diagonal; expected those of one half",
        ),
        ("%%MatrixMarket matrix array real general\n99999999 99999999\n1\n", "promises 9"),
        ("%%MatrixMarket matrix coordinate real general\n9 9 999999999999\n1 1 1\n", "found 1"),
    ],
)
def test_broken_matrix_market(tmp_path, text, found):
    (tmp_path / "x.mtx").write_text(text)
    with pytest.raises(TensorError, match=found):
        load(tmp_path / "x.mtx")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "holds no entry, and no shape"),
        ("# zeroskip 2: shape 2 2, float64, 0 entries\n", "version 2, and this zeroskip reads"),
        ("# zeroskip 1: shape 2 2, complex64, 0 entries\n", "expected values of type"),
        ("# zeroskip 1: shape 2 2, float64, 2 entries\n1 1 3\n", "2 entries, found 1"),
        ("# zeroskip 1: shape 2 2, float64, 1 entries\n1 1 3", "the last line has no end"),
        ("# zeroskip 1: shape 2 2, float64, 1 entries\n1 1 1 3\n", "3 coordinates on a line"),
        ("1 1 2\n1 1\n", "an entry cannot be read"),
        ("1 0 2\n", "coordinate 0 of axis 1 in entry 0; coordinates start at 1"),
        ("1 " * 99 + "\n", "98 coordinates on a line"),
    ],
)
def test_broken_tns(tmp_path, text, found):
    (tmp_path / "x.tns").write_text(text)
    with pytest.raises(TensorError, match=found):
        load(tmp_path / "x.tns")


# ---- what cannot be written, and what is interrupted ----------------------------------------


def test_refusals(tmp_path):
    t = tensor(draw(), "CSR")
    for kind in ("mtx", "tns"):
        with pytest.raises(
            TensorError, match=rf"the tensor's fill is 1.0, .* a .{kind} leaves out"
        ):
            save(tmp_path / f"x.{kind}", t + 1)
    with pytest.raises(TensorError, match=r"holds a matrix, and the tensor has shape \(40,\)"):
        save(tmp_path / "x.mtx", t.reshape(-1))
    with pytest.raises(TensorError, match=r"ends in .npz, .mtx, .tns, .*; found .txt"):
        save(tmp_path / "x.txt", t)
    with pytest.raises(TensorError, match="found no ending"):
        load(tmp_path / "x")
    with pytest.raises(TensorError, match="expected the path of a file, found 3"):
        load(3)
    save(tmp_path / "x.npz", t)
    with pytest.raises(TensorError, match=r"expected a shape such as \(2, 3\), found 40"):
        load(tmp_path / "x.npz", shape=40)
    (tmp_path / "d.npz").mkdir()
    with pytest.raises(TensorError, match="is not written: there is something that is no regular"):
        save(tmp_path / "d.npz", t)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.npz")
    save(tmp_path / "x.npz", t)
    with pytest.raises(TensorError, match=r"expected shape \(5, 9\), found \(5, 8\)"):
        load(tmp_path / "x.npz", shape=(5, 9))


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, kind):
    path = tmp_path / f"x.{kind}"
    save(path, tensor(draw(), "CSR"))
    before = path.read_bytes()

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(path, tensor(np.ones((9, 9)), "CSR"))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_an_error_halfway_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    save(path, tensor(draw(), "CSR"))
    before = path.read_bytes()

    def halfway(file, held):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(npz, "write", halfway)
    with pytest.raises(KeyboardInterrupt):
        save(path, tensor(np.ones((9, 9)), "CSR"))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_links_and_modes_stay(tmp_path):
    save(tmp_path / "x.npz", draw())
    os.chmod(tmp_path / "x.npz", 0o640)
    os.symlink(tmp_path / "x.npz", tmp_path / "link.npz")
    save(tmp_path / "link.npz", np.eye(2))
    assert (tmp_path / "link.npz").is_symlink()
    assert load(tmp_path / "x.npz").shape == (2, 2)
    assert (tmp_path / "x.npz").stat().st_mode & 0o777 == 0o640
