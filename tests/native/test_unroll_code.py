"""Bytes of machine code: as many as were counted, and those of an assembler."""

import subprocess

import numpy as np
import pytest

from zeroskip.native import routines


def emitted(room, code, dtype=np.float32):
    """What zs_unroll writes for two programs of a group of three rows, five entries, of which the
    third meets the lanes that the second of two masks leaves."""
    first = np.array([0, 3, 5])
    member = np.array([0, 2, 1, 1, 0], np.uint8)
    offset = np.array([0, 0, 4096, 16, 2**28], np.int32)
    shift = np.array([0, 0, 2, 1, 0], np.uint8)
    begin = np.zeros(3, np.int64)
    dims = [room, 2, 2, 1, 3, 6, np.dtype(dtype).itemsize, 2]
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
    rows = "".join(
        f"{{disp8}} vmovups (%rax), %zmm{r}{{%k2}}{{z}}\nadd %rcx, %rax\n" for r in range(3)
    )
    kept = "".join(f"{{disp8}} vmovups %zmm{r}, (%rax){{%k1}}\nadd %rcx, %rax\n" for r in range(3))
    text = f"""endbr64
kmovw %r8d, %k1
kmovw %r9d, %k2
mov 8(%rsp), %rax
{{disp8}} kmovw (%rax), %k3
kmovw 2(%rax), %k4
.byte 0x48, 0x81, 0xc6, 0, 2, 0, 0
.byte 0x48, 0x81, 0xc7, 0, 0x20, 0, 0
mov %rdx, %rax
{rows}vmovups -8192(%rdi), %zmm29
vfmadd231ps -512(%rsi){{1to16}}, %zmm29, %zmm0
vfmadd231ps -508(%rsi){{1to16}}, %zmm29, %zmm2
vmovups 8192(%rdi), %zmm30{{%k4}}{{z}}
vfmadd231ps -504(%rsi){{1to16}}, %zmm30, %zmm1
mov %rdx, %rax
{kept}mov %rax, %rdx
vzeroupper
ret
"""
    (tmp_path / "a.s").write_text(text)
    command = ["gcc", "-c", "a.s", "-o", "a.o"], ["objcopy", "-O", "binary", "-j", ".text", "a.o"]
    try:
        for one in command:
            subprocess.run(one, cwd=tmp_path, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no assembler for x86-64")
    want = (tmp_path / "a.o").read_bytes()
    assert bytes(code[: len(want)]) == want
    assert bytes(code[len(want) : begin[1]]) == b"\xcc" * (begin[1] - len(want))
