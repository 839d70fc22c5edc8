"""Routines of other rooms: compiled as kernels are, absent without a compiler, and sanitized."""

from __future__ import annotations

import struct
import subprocess
from math import prod
from pathlib import Path

import numpy as np
import pytest
from standalone import FLAGS, MAIN, compile_c, sanitizes

from zeroskip.errors import CompilerError, KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.native import routines
from zeroskip.native.texts import header, whole_text

ROOM = "zeroskip.hwmodel"


def test_a_routine_fails_with_its_reason() -> None:
    trace, sizes = np.array([0, 5]), np.array([1, 1])
    buffers = [trace, sizes, np.zeros(2, np.uint8), np.zeros(9, np.int64)]
    with pytest.raises(KernelError, match=r"zs_cache_lru failed: ZS_ERANGE.*\(at 1\)"):
        routines.run(ROOM, "zs_caches.c", "zs_cache_lru", buffers, [2, 2, 1])


def test_without_a_compiler_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise CompilerError("no compiler")

    monkeypatch.setattr(routines, "load", refuse)
    assert not routines.run(ROOM, "zs_caches.c", "zs_cache_lru", [])


def rows(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.append(0, np.cumsum(mask.sum(1))), np.nonzero(mask)[1]


def calls() -> list[tuple[str, str, list[np.ndarray], list[int]]]:
    rng = np.random.default_rng(11)
    made = []
    for n, fibers, capacity in [(0, 0, 0), (1, 1, 0), (200, 9, 8), (300, 40, 25)]:
        trace, sizes = rng.integers(0, max(fibers, 1), n), rng.integers(0, 5, fibers)
        missed = np.zeros(n, np.uint8)
        for symbol, room, bypass in [
            ("zs_cache_lru", 3 * (fibers + 1), 0),
            ("zs_cache_optimal", 4 * n + fibers + 3, 0),
            ("zs_cache_optimal", 4 * n + fibers + 3, 1),
        ]:
            buffers = [trace, sizes, missed, np.zeros(room, np.int64)]
            made.append(("zs_caches.c", symbol, buffers, [n, fibers, capacity, bypass]))
    for m, k, n in [(0, 0, 0), (1, 1, 1), (7, 9, 5)]:
        a, b = rows(rng.random((m, k)) < 0.5), rows(rng.random((k, n)) < 0.5)
        most = int(np.diff(a[0]).max(initial=0))
        counts = np.zeros(m, np.int64)
        merged = [*a, *b, counts, np.zeros(3 * most + 1, np.int64)]
        made.append(("zs_mergers.c", "zs_merge_steps", merged, [m, most]))
        reached = [*a, *b, counts, np.zeros(n, np.int64)]
        made.append(("zs_structure.c", "zs_product_rows", reached, [m, n]))
    for steps, depth in [(0, 1), (30, 1), (30, 4)]:
        work, scratch = rng.integers(0, 5, (steps, 3)), np.zeros(depth, np.int64)
        buffers = [work, np.zeros(3, np.int64), scratch]
        made.append(("zs_queues.c", "zs_queue_cycles", buffers, [steps, 3, depth]))
    for n in (0, 40):
        fields = [rng.integers(0, 7, n) for _ in range(3)]
        pos = np.array([0, n // 3, n])
        cells, pairs = np.array([0, 1, 1]), np.zeros(3, np.int64)
        for banks, masked in ((4, 0), (5, 0), (5, 1)):
            scratch, inside = np.zeros(banks + 6, np.int64), rng.integers(0, 2, 32)
            cartesian = [pos, *fields, pos, *fields, cells, cells[::-1], pairs, pairs, scratch]
            cartesian.append(inside[: 32 if masked else 1])
            dims = [3, 2, 3, banks, 1, 2, 5, 4, 4, 1, masked]
            made.append(("zs_banks.c", "zs_bank_cycles", cartesian, dims))
    return made


def codec_calls() -> list[tuple[str, str, list[np.ndarray], list[int]]]:
    """Every codec on what the one before it made, in arrays without a byte to spare."""
    rng = np.random.default_rng(12)
    made = []
    for dtype in ("uint8", "uint16", "uint32", "uint64"):
        for rows_, n, density in [(1, 1, 1), (3, 64, 1), (5, 65, 0.6), (4, 200, 0.05), (2, 0, 1)]:
            array = (rng.random((rows_, n)) < density).astype(dtype)
            stored, width = Tensor.from_dense(array, "bitmask"), array.itemsize
            listed = Tensor.from_dense(array, "CSR").levels[-1].arrays
            words, total = stored.levels[-1].arrays["words"], stored.stored
            room, wide = total + 64, 2 ** (8 * width - 1) - 1
            values, state = np.zeros(room, array.dtype), np.zeros(3, np.int64)
            masked = [array, state, values, np.zeros_like(words), np.zeros(len(words), np.int64)]
            calls = [
                ("zs_encode_words", masked, [width, room, wide, 0]),
                ("zs_encode_words", masked, [width, total // 2, wide, 0]),
                ("zs_spread", [words, stored.values, array], [width, total, 0]),
            ]
            for crd in (np.uint16, np.int32, np.int64):
                pointers, crd_width = np.zeros(rows_ + 1, np.int64), np.dtype(crd).itemsize
                lists = [array, state, values, np.zeros(room, crd), pointers]
                calls.append(("zs_encode_lists", lists, [width, room, wide, 0, crd_width]))
                held = [listed["pos"], listed["crd"].astype(crd), stored.values, array]
                calls.append(("zs_scatter", held, [width, crd_width, total, 0]))
            for symbol, buffers, dims in calls:
                octets = [np.ascontiguousarray(b).reshape(-1).view(np.uint8) for b in buffers]
                made.append(("zs_codecs.c", symbol, octets, [rows_, n, *dims]))
    return made


def turned_calls() -> list[tuple[str, str, list[np.ndarray], list[int]]]:
    """Columns that are turned as they are encoded, also from the middle of them on."""
    made = []
    for dtype in ("uint8", "uint32", "uint64"):
        for count, extent, columns in [(1, 64, 16), (2, 65, 17), (3, 3, 5), (1, 130, 33)]:
            rows_, array = count * columns, np.ones(count * extent * columns, dtype)
            width, near = array.itemsize, np.zeros(min(16, columns) * extent, dtype)
            for first in (0, min(3, columns - 1)):
                room, state = array.size + 64, np.array([first, 0, 0])
                values, words = np.zeros(room, dtype), np.zeros(rows_ * -(-extent // 64), np.int64)
                masked = [array, state, values, words, words.copy(), near]
                pointers = np.zeros(rows_ + 1, np.int64)
                lists = [array, state, values, np.zeros(room, np.uint16), pointers, near]
                for symbol, buffers in (("zs_encode_words", masked), ("zs_encode_lists", lists)):
                    octets = [np.ascontiguousarray(b).view(np.uint8) for b in buffers]
                    dims = [rows_, extent, width, room, 2 ** (8 * width - 1) - 1, 0, 2, columns]
                    made.append(("zs_codecs.c", symbol, octets, dims))
    return made


def turn_calls() -> list[tuple[str, str, list[np.ndarray], list[int]]]:
    """Matrices of blocks, and of a row or a column more or less, without a byte to spare."""
    made = []
    for width in (1, 2, 4, 8):
        for shape in [(1, 1, 1), (2, 8, 16), (1, 9, 33), (3, 7, 15), (1, 24, 17), (0, 3, 4)]:
            octets = [np.zeros(prod(shape) * width, np.uint8) for _ in range(2)]
            made.append(("zs_turn.c", "zs_turn", octets, [*shape, width]))
    return made


def order_calls() -> list[tuple[str, str, list[np.ndarray], list[int]]]:
    """Every place of a group met, none, and one met twice by a row, without a byte to spare."""
    made = []
    for together, span, density in [(1, 3, 0.5), (4, 9, 0.4), (4, 5, 1), (8, 4, 0.7), (2, 1, 0)]:
        groups = 3
        full = np.random.default_rng(span).random((groups * together, span)) < density
        rows, offset = np.nonzero(full)
        for twice in (False, True):
            rows_, offset_ = (np.repeat(x, 1 + twice) for x in (rows, offset))
            n = len(rows_)
            sizes = [(n, 4), (n, 4), (groups * (2**together - 1) + 1, 8), (n, 4), (groups, 8)]
            sizes += [(n, 4), (span, 1), (span + 1, 4), (span, 4)]
            buffers = [np.zeros(count * width, np.uint8) for count, width in sizes]
            for buffer, given in zip(buffers, (rows_, offset_), strict=False):
                buffer[:] = given.astype(np.int32).view(np.uint8)
            made.append(("zs_order.c", "zs_order", buffers, [n, groups, together, span]))
    return made


def product_calls() -> list[tuple[str, str, list[np.ndarray], list[int]]]:
    """Entries in the first and the last row, and none, without a byte to spare."""
    made = []
    for kind in ("uint16", "int32"):
        for columns in ([], [0], [3, 0, 3, 2, 1]):
            given = np.arange(5) * 7, np.array(columns, kind), np.zeros(1, np.int64)
            octets = [x.view(np.uint8) for x in given]
            made.append(("zs_products.c", f"zs_products_{kind}", octets, [len(columns)]))
    return made


NATIVE = ("zs_codecs.c", "zs_turn.c", "zs_order.c", "zs_products.c")


def room_of(file: str) -> str:
    return "zeroskip.native" if file in NATIVE else ROOM


@pytest.mark.sanitize
def test_routines_under_the_sanitizers(tmp_path: Path) -> None:
    if not sanitizes(tmp_path):
        pytest.skip("this compiler has no sanitizers")
    given = calls() + codec_calls() + turned_calls() + turn_calls() + order_calls()
    given += product_calls()
    files = dict.fromkeys(file for file, *_ in given)
    text = header("zs_pool.c") + "".join(routines.text_of(room_of(file), file) for file in files)
    names = ", ".join(symbol for _, symbol, *_ in given)
    main = MAIN.replace("KERNELS", names).replace("PARTS", "1")
    (tmp_path / "routines.c").write_text(whole_text(text) + main)
    parts = []
    for _, _, buffers, dims in given:
        parts.append(struct.pack("q", len(buffers)))
        for buffer in buffers:
            held = buffer if buffer.dtype == np.uint8 else buffer.astype(np.int64)
            parts += [struct.pack("q", held.nbytes), held.tobytes()]
        parts += [np.array(dims + [0] * (64 - len(dims))).tobytes(), bytes(2 * 16 * 8)]
    (tmp_path / "in").write_bytes(b"".join(parts))
    made = compile_c(tmp_path, "routines.c", "routines", FLAGS)
    assert made.returncode == 0, made.stderr
    ran = subprocess.run(
        [tmp_path / "routines", tmp_path / "in", tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
