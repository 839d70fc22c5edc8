"""Bytes of machine code: as many as were counted, and those of an assembler."""

import subprocess

import numpy as np
import pytest

from zeroskip.native import routines

UNKNOWN = -1, 0, 0
"""Nothing is known of how vectors lie."""


def emitted(room, code, dtype=np.float32):
    """What zs_unroll writes for two blocks of a group of three rows: three entries, of which the
    third meets the lanes that the second of two masks leaves, and one at each of five places."""
    first = np.array([0, 3, 8])
    member = np.array([0, 2, 1, 1, 0, 2, 1, 0], np.uint8)
    offset = np.array([0, 0, 4096, 16, 32, 48, 64, 2**28], np.int32)
    shift = np.array([0, 0, 2, 1, 0, 0, 0, 0], np.uint8)
    begin = np.zeros(3, np.int64)
    dims = [room, 2, 1, 1, 3, 3, np.dtype(dtype).itemsize, 2, 1, 0, *UNKNOWN]
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
    cleared = "".join(f"vpxord %zmm{r}, %zmm{r}, %zmm{r}\n" for r in range(3))
    held = "".join(
        f"{{disp8}} vmovups (%rax), %zmm{r}{{%k1}}{{z}}\nadd %rcx, %rax\n" for r in range(3)
    )
    kept = "".join(f"{{disp8}} vmovups %zmm{r}, (%rax){{%k1}}\nadd %rcx, %rax\n" for r in range(3))
    begun = """endbr64
kmovw %r8d, %k1
{disp8} kmovw (%r9), %k2
kmovw 2(%r9), %k3
mov 8(%rsp), %r8
mov 16(%rsp), %r9
.byte 0x48, 0x81, 0xc6, 0, 2, 0, 0
.byte 0x48, 0x81, 0xc7, 0, 0x20, 0, 0
"""
    ended = f"""mov %rdx, %rax
{kept}mov %rax, %rdx
vzeroupper
ret
"""
    first_block = f"""{begun}{cleared}vmovups -8192(%rdi), %zmm28
vmovups 8192(%rdi), %zmm29{{%k3}}{{z}}
vfmadd231ps -512(%rsi){{1to16}}, %zmm28, %zmm0
vfmadd231ps -508(%rsi){{1to16}}, %zmm28, %zmm2
vfmadd231ps -504(%rsi){{1to16}}, %zmm29, %zmm1
{ended}"""
    second_block = f"""{begun}mov %rdx, %rax
{held}vmovups -8128(%rdi), %zmm28{{%k2}}{{z}}
vmovups -8064(%rdi), %zmm29
vmovups -8000(%rdi), %zmm30
vmovups -7936(%rdi), %zmm31
vfmadd231ps -512(%rsi){{1to16}}, %zmm28, %zmm1
vmovups 1073733632(%rdi), %zmm28
vfmadd231ps -508(%rsi){{1to16}}, %zmm29, %zmm0
vfmadd231ps -504(%rsi){{1to16}}, %zmm30, %zmm2
vfmadd231ps -500(%rsi){{1to16}}, %zmm31, %zmm1
vfmadd231ps -496(%rsi){{1to16}}, %zmm28, %zmm0
{ended}"""
    for lo, hi, text in zip(begin[:-1], begin[1:], (first_block, second_block), strict=True):
        want = assembled(text, tmp_path)
        assert bytes(code[lo : lo + len(want)]) == want
        assert bytes(code[lo + len(want) : hi]) == b"\xcc" * (hi - lo - len(want))


@pytest.mark.parametrize(
    ("joined", "bias", "multiply"), [(4, 128, "vpdpbusd"), (4, 0, "vpdpbusd"), (2, 0, "vpdpwssd")]
)
def test_code_of_lanes_that_join_integers(joined, bias, multiply, tmp_path):
    """An entry that meets no place is added itself; lanes that are left out hold the bias."""
    entries = [
        np.array([0, 4]),
        np.array([1, 17, 1, 0], np.uint8),
        np.array([-1, -1, 0, 16], np.int32),
        np.array([0, 0, 0, 1], np.uint8),
    ]
    code = np.zeros(4096, np.uint8)
    dims = [len(code), 1, 1, 1, 18, 18, 4, 1, joined, bias, *UNKNOWN]
    arrays = [code, np.zeros(2, np.int64), *entries]
    if not routines.run("zeroskip.native", "zs_unroll.c", "zs_unroll", arrays, dims):
        pytest.skip("no compiler")
    loaded = [29, 30] if bias else [28, 29]
    masked = f"vmovups -8128(%rdi), %zmm{loaded[1]}{{%k2}}{{z}}"
    if bias:
        assert assembled("mov $0x80808080, %eax\nvpbroadcastd %eax, %zmm28\n", tmp_path) in bytes(
            code
        )
        masked = f"vpblendmd -8128(%rdi), %zmm28, %zmm{loaded[1]}{{%k2}}"
    text = f"""vpaddd -512(%rsi){{1to16}}, %zmm1, %zmm1
vpaddd -508(%rsi){{1to16}}, %zmm17, %zmm17
vmovups -8192(%rdi), %zmm{loaded[0]}
{masked}
{multiply} -504(%rsi){{1to16}}, %zmm{loaded[0]}, %zmm1
{multiply} -500(%rsi){{1to16}}, %zmm{loaded[1]}, %zmm0
mov %rdx, %rax
"""
    assert assembled(text, tmp_path) in bytes(code)


@pytest.mark.parametrize(
    ("dtype", "kind", "which", "lanes"), [(np.float32, "s", "d", 16), (np.float64, "d", "q", 8)]
)
def test_vectors_are_put_together_from_lines_that_several_share(
    dtype, kind, which, lanes, tmp_path
):
    """Offset 0 lies 3 items behind a line's start, that of the second block 4; the second copy of
    the code knows nothing of it."""
    size = np.dtype(dtype).itemsize
    places = [lanes, lanes + 1, 2 * lanes - 3, 10 * lanes]
    entries = [
        np.array([0, 4, 8]),
        np.array([0, 1, 2, 0, 0, 1, 2, 0], np.uint8),
        np.array(places * 2, np.int32),
        np.array([0, 1, 2, 1] * 2, np.uint8),
    ]
    code, begin = np.zeros(4096, np.uint8), np.zeros(5, np.int64)
    dims = [len(code), 2, 1, 1, 3, 3, size, 2, 1, 0, 3, 1, 1]
    arrays = [code, begin, *entries]
    if not routines.run("zeroskip.native", "zs_unroll.c", "zs_unroll", arrays, dims):
        pytest.skip("no compiler")

    def at(place):
        return place * size - 8192

    def product(count, held, row, mask=""):
        value = f"{count * size - 128 * size}(%rsi){{1to{lanes}}}"
        return f"vfmadd231p{kind} {value}, %zmm{held}, %zmm{row}{mask}\n"

    load = f"vmovup{kind}"
    first = f"""{load} {at(lanes - 3)}(%rdi), %zmm29
{load} {at(2 * lanes - 3)}(%rdi), %zmm30
{load} {at(10 * lanes)}(%rdi), %zmm31{{%k2}}{{z}}
valign{which} $3, %zmm29, %zmm30, %zmm28
{product(0, 28, 0)}valign{which} $4, %zmm29, %zmm30, %zmm28{{%k2}}{{z}}
{product(1, 28, 1)}{product(2, 30, 2, "{%k3}")}{product(3, 31, 0)}"""
    second = f"""{load} {at(lanes - 4)}(%rdi), %zmm29
{load} {at(2 * lanes - 4)}(%rdi), %zmm30
{load} {at(3 * lanes - 4)}(%rdi), %zmm31
valign{which} $4, %zmm29, %zmm30, %zmm28
{product(0, 28, 0)}valign{which} $5, %zmm29, %zmm30, %zmm28{{%k2}}{{z}}
{product(1, 28, 1)}{load} {at(10 * lanes)}(%rdi), %zmm29{{%k2}}{{z}}
valign{which} $1, %zmm30, %zmm31, %zmm28{{%k3}}{{z}}
{product(2, 28, 2)}{product(3, 29, 0)}"""
    apart = f"""{load} {at(lanes)}(%rdi), %zmm28
{load} {at(lanes + 1)}(%rdi), %zmm29{{%k2}}{{z}}
{load} {at(2 * lanes - 3)}(%rdi), %zmm30{{%k3}}{{z}}
{load} {at(10 * lanes)}(%rdi), %zmm31{{%k2}}{{z}}
{product(0, 28, 0)}"""
    texts = first, second, apart, apart
    for lo, hi, text in zip(begin[:-1], begin[1:], texts, strict=True):
        assert assembled(text, tmp_path) in bytes(code[lo:hi])


def test_every_register_of_a_row_is_cleared(tmp_path):
    """Those from 16 on have a bit of their own in the instruction."""
    count = 28
    entry = [np.zeros(1, np.uint8), np.zeros(1, np.int32), np.zeros(1, np.uint8)]
    arrays = [np.zeros(2, np.int64), np.array([0, 1]), *entry]
    code = np.zeros(4096, np.uint8)
    dims = [len(code), 1, 1, 1, count, count, 4, 0, 1, 0, *UNKNOWN]
    if not routines.run("zeroskip.native", "zs_unroll.c", "zs_unroll", [code, *arrays], dims):
        pytest.skip("no compiler")
    cleared = "".join(f"vpxord %zmm{r}, %zmm{r}, %zmm{r}\n" for r in range(count))
    assert assembled(cleared, tmp_path) in bytes(code)


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
    dims = [0, 1, 1, 1, 1, 1, np.dtype(dtype).itemsize, 0, 1, 0, *UNKNOWN]
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
