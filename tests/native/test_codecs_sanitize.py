"""The codecs under the sanitizers, with each set of instructions that they know."""

import subprocess
from pathlib import Path

import pytest
from standalone import FLAGS, compile_c, sanitizes

from zeroskip.native.texts import header, whole_text

pytestmark = pytest.mark.sanitize

PROGRAM = Path(__file__).with_name("zs_codecs_test.c")


@pytest.mark.parametrize("without", [(), ("-mno-avx512f",), ("-mno-avx512f", "-mno-avx2")])
def test_rows_of_every_length(tmp_path, without):
    flags = (*FLAGS, *without)
    if not sanitizes(tmp_path, flags):
        pytest.skip("this compiler has no sanitizer, or no such instructions to do without")
    (tmp_path / "zs_codecs.c").write_text(whole_text(header("zs_codecs.c")))
    made = compile_c(tmp_path, str(PROGRAM), "codecs", [*flags, "-I."])
    assert made.stderr == ""
    ran = subprocess.run(["./codecs"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "good\n", "")
