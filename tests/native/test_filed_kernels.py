"""Kernels on disk: a new process takes the one that was emitted, and never another."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.native import emit, filed_kernels, prepared, schedules, settings, toolchain
from zeroskip.native.filed_kernels import Filed, Layout

LINES = {
    "plain": "y[m] = W[m,k]*x[k]",
    "tiled": "O[m,n] = W[m,k]*X[k,n]",
    "scalar": "y[m] = a*W[m,k]*x[k] + b",
    "max": "y[m] max= W[m,k]*x[k]",
    "gathered": "y[i] = W[m,k]*v[at[i]]",
    "conv": "O[m,p,q] = I[c,p+r,q+s]*F[m,c,r,s]",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache of its own, and a process that remembers nothing."""
    forget(monkeypatch)
    with settings.using(cache_dir=tmp_path / "cache"):
        yield tmp_path / "cache"


def forget(monkeypatch):
    monkeypatch.setattr(prepared, "_remembered", type(prepared._remembered)(64))


def operands(name):
    rng = np.random.default_rng(3)
    known = {
        "W": zs.tensor(np.where(rng.random((40, 50)) < 0.3, rng.random((40, 50)), 0), "CSR"),
        "x": rng.random(50),
        "X": rng.random((50, 32)),
        "a": 2.5,
        "b": 3.0,
        "v": rng.random(9),
        "at": np.array([1, 8, 0]),
        "I": rng.random((3, 8, 8)),
        "F": zs.tensor(np.where(rng.random((4, 3, 3, 3)) < 0.4, 1.5, 0), "CSR"),
    }
    return {key: known[key] for key in zs.layer(LINES[name]).operands}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("bound", [False, True])
def test_a_kernel_from_disk_gives_what_the_one_that_was_lowered_gives(
    folder, monkeypatch, name, bound
):
    layer, given = zs.layer(LINES[name]), operands(name)

    def result():
        if not bound or "W" not in given:
            return layer(**given)
        rest = {key: x for key, x in given.items() if key != "W"}
        return layer.bind(W=given["W"])(**rest)

    first = result()
    assert len(list(folder.glob("kernel-*.bin"))) >= 1
    forget(monkeypatch)
    monkeypatch.setattr(emit, "emit", refuse)
    for lowering in ("lower", "lanes", "tile"):
        monkeypatch.setattr(schedules, lowering, Refusing(getattr(schedules, lowering)))
    assert np.array_equal(result(), first)
    dense = {k: x.toarray() if isinstance(x, zs.Tensor) else x for k, x in given.items()}
    assert np.allclose(first, layer(**dense, backend="numpy"))


class Refusing:
    """A module or function of which nothing that lowers may be called."""

    def __init__(self, held):
        self.held = held

    def __getattr__(self, name):
        return refuse if name.startswith("lower") else getattr(self.held, name)

    def __call__(self, *given, **named):
        raise AssertionError("lowered, though it is on disk")


def refuse(*given, **named):
    raise AssertionError("emitted, though it is on disk")


def test_what_was_not_lowered_is_when_somebody_asks(folder, monkeypatch):
    """An error of a kernel from disk names the same place; the interpreter runs its loops."""
    layer, given = zs.layer(LINES["gathered"]), operands("gathered")
    right = layer(**given)
    forget(monkeypatch)
    with pytest.raises(
        zs.KernelError, match=r"at\[i\] names a place that axis 0 of v, of extent 9"
    ):
        layer(**{**given, "at": np.array([1, 9, 0])})
    assert np.allclose(layer(**given, backend="interpreter"), right)


def test_every_ingredient_is_in_the_key(folder, monkeypatch):
    key = ("tile", 4, "float32")
    parts = filed_kernels.key_parts(key)
    assert parts is not None
    seen = {parts, filed_kernels.key_parts(("tile", 4, "float64"))}
    seen.add(filed_kernels.key_parts(("tile", 4.0, "float32")))
    with settings.using(vector_bytes=16):
        seen.add(filed_kernels.key_parts(key))
    tools = toolchain.find()
    for other in (
        replace(tools, version="other"),
        replace(tools, macros="0"),
        replace(tools, native=()),
        replace(tools, kind="zig"),
        replace(tools, command=("/bin/other",)),
        replace(tools, target="other"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(toolchain, "find", lambda other=other: other)
            seen.add(filed_kernels.key_parts(key))
    with monkeypatch.context() as patch:
        patch.setattr(np, "__version__", "0.0")
        seen.add(filed_kernels.key_parts(key))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version", "0.0")
        seen.add(filed_kernels.key_parts(key))
    with monkeypatch.context() as patch:
        patch.setattr(filed_kernels, "_sources", lambda: (0, "other sources"))
        seen.add(filed_kernels.key_parts(key))
    assert None not in seen
    assert len(seen) == 13
    assert filed_kernels.key_parts(key) == parts


def test_kernels_of_other_types_formats_and_sizes_of_tiles_are_other_files(folder):
    def files():
        return {path.name for path in folder.glob("kernel-*.bin")}

    rng = np.random.default_rng(0)
    w, x = rng.integers(0, 3, (8, 8)), rng.integers(1, 9, 8)
    layer, found = zs.layer(LINES["plain"]), files()
    for dtype in (np.float32, np.float64, np.int32):
        for format in ("CSR", "CSC", "COO", "bitmask"):
            y = layer(W=zs.tensor(w.astype(dtype), format), x=x.astype(dtype))
            assert np.allclose(y, w @ x)
            now = files()
            assert len(now) > len(found), (dtype, format)
            found = now


def test_an_edited_source_is_another_key_and_one_that_was_not_imported_has_none(
    tmp_path, monkeypatch
):
    folders = []
    for room in filed_kernels.ROOMS:
        place = tmp_path / room
        place.mkdir()
        (place / "a.py").write_text("x = 1\n")
        folders.append(str(place))
    monkeypatch.setattr(filed_kernels, "_folders", lambda: iter(folders))
    look = filed_kernels._sources.__wrapped__
    newest, before = look()
    assert look() == (newest, before)
    edited = tmp_path / "native" / "a.py"
    about = edited.stat()
    edited.write_text("x = 2\n")
    os.utime(edited, ns=(about.st_atime_ns, about.st_mtime_ns))
    later, after = look()
    assert after != before
    assert later >= newest
    monkeypatch.setattr(filed_kernels, "_sources", lambda: (filed_kernels.IMPORTED_NS, after))
    assert filed_kernels.key_parts(("key",)) is None


def test_what_prints_by_its_address_has_no_file():
    assert filed_kernels.key_parts(("key", object())) is None


LAYOUT = Layout(
    (("vals", "y"), ("level", "W", 1, "crd")), (("extent", "m"),), ("a",), ("real",), 16, 1
)


def test_what_is_written_is_read():
    made = Filed(LAYOUT, "int x;\n")
    assert filed_kernels.read(filed_kernels.written(made)) == made


@pytest.mark.parametrize(
    "change",
    [
        {"buffers": "vals"},
        {"buffers": [["vals", None]]},
        {"buffers": [["vals", [1]]]},
        {"buffers": [[]]},
        {"dims": [["extent", 1.5]]},
        {"dims": [["extent", True]]},
        {"scalars": [1]},
        {"scalars": []},
        {"kinds": ["pointer"]},
        {"rate": -1},
        {"rate": "1"},
        {"rate": True},
        {"pace": 0},
        {"pace": 1.5},
        {"c_text": 3},
    ],
)
def test_what_says_anything_else_is_nothing(change):
    fields = json.loads(filed_kernels.written(Filed(LAYOUT, "int x;\n")))
    assert filed_kernels.read(json.dumps(fields | change).encode()) is None


@pytest.mark.parametrize("held", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", b"[" * 100_000])
def test_what_is_no_record_is_nothing(held):
    assert filed_kernels.read(held) is None


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b"", lambda b: b[:40] + b"x" + b[41:]]
)
def test_a_damaged_file_is_made_again(folder, monkeypatch, damage):
    layer, given = zs.layer(LINES["plain"]), operands("plain")
    first = layer(**given)
    (path,) = folder.glob("kernel-*.bin")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    forget(monkeypatch)
    assert np.array_equal(layer(**given), first)
    assert path.read_bytes() == whole


def test_a_new_process_lowers_nothing(folder):
    script = (
        "import numpy as np, zeroskip as zs; from zeroskip.native import prepared\n"
        "W, x = zs.tensor(np.eye(5), 'CSR'), np.arange(5.0)\n"
        "y = zs.layer('y[m] = W[m,k]*x[k]')(W=W, x=x)\n"
        "assert y.tolist() == [0, 1, 2, 3, 4]\n"
        "(made,) = prepared._remembered.values(); print(made._lowered is None)"
    )
    env = {**os.environ, "ZEROSKIP_CACHE_DIR": str(folder)}
    told = [
        subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, check=True)
        for _ in range(2)
    ]
    assert [one.stdout.strip() for one in told] == [b"False", b"True"]
