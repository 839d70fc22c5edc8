"""Bytes of machine code: as many as were counted, and those of an assembler."""

import subprocess

import numpy as np
import pytest

from zeroskip.native import routines


def emitted(room, code, dtype=np.float32):
    """What zs_unroll writes for two blocks of a program of a group of three rows, five entries, of
    which the third meets the lanes that the second of two masks leaves."""
    first = np.array([0, 3, 5])
    member = np.array([0, 2, 1, 1, 0], np.uint8)
    offset = np.array([0, 0, 4096, 16, 2**28], np.int32)
    shift = np.array([0, 0, 2, 1, 0], np.uint8)
    begin = np.zeros(3, np.int64)
    dims = [room, 2, 1, 1, 3, 3, np.dtype(dtype).itemsize, 2]
    arrays = [code, begin, first, member, offset, shift]
    if not routines.run("zeroskip.native", "zs_unroll.c", "zs_unroll", arrays, dims):
        pytest.skip("no compiler")
    return begin


def test_code_is_as_long_as_was_counted_and_no_longer_than_its_room():
    begin = emitted(0, np.zeros(0, np.uint8))
    size = int(begin[-1])
    assert begin[0] == 0
    assert begin[1] % 64 == size % 64 == 0
    assert begin[2] == size
    code = np.full(size + 64, 7, np.uint8)
    emitted(size, code)
    assert (code[size:] == 7).all()
    assert code[0] == 0xF3  # endbr64
    assert code[size - 1] == 0xCC  # what is never reached stops whoever comes there
    less = np.full(size, 7, np.uint8)
    emitted(100, less)
    assert np.array_equal(less[:100], code[:100])
    assert (less[100:] == 7).all()


def test_instructions_are_those_that_an_assembler_writes(tmp_path):
    """Each line beside the encoding of the same text by the assembler of this machine."""
    begin = emitted(0, np.zeros(0, np.uint8))
    code = np.zeros(int(begin[-1]), np.uint8)
    emitted(len(code), code)
    held = "".join(
        f"{{disp8}} vmovups (%rax), %zmm{r}{{%k1}}{{z}}\nadd %rcx, %rax\n" for r in range(3)
    )
    fresh = "".join(f"vpxord %zmm{r}, %zmm{r}, %zmm{r}\n" for r in range(3))
    kept = "".join(f"{{disp8}} vmovups %zmm{r}, (%rax){{%k1}}\nadd %rcx, %rax\n" for r in range(3))
    before = """endbr64
kmovw %r8d, %k1
mov %r9, %rax
{disp8} kmovw (%rax), %k2
kmovw 2(%rax), %k3
mov 8(%rsp), %r8
mov 16(%rsp), %r9
.byte 0x48, 0x81, 0xc6, 0, 2, 0, 0
.byte 0x48, 0x81, 0xc7, 0, 0x20, 0, 0
mov %rdx, %rax
"""
    first = """vmovups -8192(%rdi), %zmm29
vfmadd231ps -512(%rsi){1to16}, %zmm29, %zmm0
vfmadd231ps -508(%rsi){1to16}, %zmm29, %zmm2
vmovups 8192(%rdi), %zmm30{%k3}{z}
vfmadd231ps -504(%rsi){1to16}, %zmm30, %zmm1
"""
    second = """vmovups -8128(%rdi), %zmm29{%k2}{z}
vfmadd231ps -512(%rsi){1to16}, %zmm29, %zmm1
vmovups 0x3fffe000(%rdi), %zmm30
vfmadd231ps -508(%rsi){1to16}, %zmm30, %zmm0
"""
    after = "mov %rax, %rdx\nvzeroupper\nret\n"
    want = assembled(before + fresh + first + kept + after, tmp_path)
    assert bytes(code[: len(want)]) == want
    assert bytes(code[len(want) : begin[1]]) == b"\xcc" * (begin[1] - len(want))
    again = "mov %rdx, %rax\n"
    want = assembled(before + held + second + again + kept + after, tmp_path)
    assert bytes(code[begin[1] : begin[1] + len(want)]) == want


def test_every_register_starts_from_zero(tmp_path):
    """Sums of 28 rows, whose numbers lie in three fields of the instruction."""
    rows, none = 28, np.zeros(0, np.uint8)
    arrays = [np.zeros(2, np.int64), none, np.zeros(0, np.int32), none]
    begin, dims = np.zeros(2, np.int64), [0, 1, 1, 1, rows, rows, 4, 0]
    routine = "zeroskip.native", "zs_unroll.c", "zs_unroll"
    if not routines.run(*routine, [none, begin, *arrays], dims):
        pytest.skip("no compiler")
    code = np.zeros(int(begin[-1]), np.uint8)
    routines.run(*routine, [code, begin, *arrays], [len(code), *dims[1:]])
    text = "".join(f"vpxord %zmm{r}, %zmm{r}, %zmm{r}\n" for r in range(rows))
    assert assembled(text, tmp_path) in bytes(code)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_code_fetches_a_line_of_the_next_program_for_each_four_of_its_own(dtype, tmp_path):
    """And of the values, which follow half as many lines behind each other or as many."""
    entries, wide = 200, np.dtype(dtype).itemsize == 8
    arrays = [
        np.array([0, entries]),
        np.zeros(entries, np.uint8),
        np.zeros(entries, np.int32),
        np.zeros(entries, np.uint8),
    ]
    begin = np.zeros(2, np.int64)
    dims = [0, 1, 1, 1, 1, 1, np.dtype(dtype).itemsize, 0]
    none = np.zeros(0, np.uint8)
    if not routines.run(
        "zeroskip.native", "zs_unroll.c", "zs_unroll", [none, begin, *arrays], dims
    ):
        pytest.skip("no compiler")
    code = np.zeros(int(begin[-1]), np.uint8)
    dims[0] = len(code)
    routines.run("zeroskip.native", "zs_unroll.c", "zs_unroll", [code, begin, *arrays], dims)
    text, found = bytes(code), []
    for register in (0x90, 0x91):
        before = b"\x41\x0f\x18" + bytes([register])
        at = [i for i in range(len(text)) if text[i : i + 4] == before]
        found.append([(i, int.from_bytes(text[i + 4 : i + 8], "little")) for i in at])
    of_code, of_values = found
    assert [number for _, number in of_code] == [64 * k for k in range(len(of_code))]
    assert len(text) // 256 - 1 <= len(of_code) <= len(text) // 256  # entries end before the code
    for k, (at, _) in enumerate(of_code):
        assert 0 <= at - 256 * (k + 1) < 32
    assert [number for _, number in of_values] == [64 * k for k in range(len(of_values))]
    assert len(of_values) == (len(of_code) if wide else -(-len(of_code) // 2))
    lines = "{disp32} prefetcht1 (%r8)\n{disp32} prefetcht1 (%r9)\n"
    assert assembled(lines, tmp_path) in text


def assembled(text, folder):
    """The bytes that the assembler of this machine makes of a text."""
    (folder / "a.s").write_text(text)
    command = ["gcc", "-c", "a.s", "-o", "a.o"], ["objcopy", "-O", "binary", "-j", ".text", "a.o"]
    try:
        for one in command:
            subprocess.run(one, cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no assembler for x86-64")
    return (folder / "a.o").read_bytes()
