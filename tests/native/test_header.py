import re
import shutil
import subprocess
from pathlib import Path

import pytest

from zeroskip.native import texts
from zeroskip.native.texts import header

PROGRAM = Path(__file__).with_name("zs_header_test.c")
COMPILER = shutil.which("cc")
HELPERS = set(re.findall(r"^ZS_INLINE [\w *]+?\b(zs_\w+)\(", header(), re.MULTILINE))
HELPERS |= {"zs_locate_", "zs_lower_bound_"}
WARNINGS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror"]

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no cc on the PATH")


def compile_c(arguments, cwd):
    return subprocess.run(
        [COMPILER, *WARNINGS, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def test_every_helper_at_its_edges_under_sanitizers(tmp_path):
    for name in ("zs_kernel.h", "zs_places.h"):
        (tmp_path / name).write_text(header(name))
    flags = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }\n")
    if compile_c([*flags, "empty.c", "-o", "empty"], tmp_path).returncode != 0:
        pytest.skip("this compiler has no sanitizers")
    made = compile_c([*flags, "-I.", str(PROGRAM), "-o", "edges"], tmp_path)
    assert made.stderr == ""
    ran = subprocess.run(["./edges"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "good\n", "")


def test_no_helper_is_left_out():
    assert len(HELPERS) > 15
    assert {name for name in HELPERS if name not in PROGRAM.read_text()} == set()


def test_every_helper_is_called():
    """By the emitter, or by another helper: it stands somewhere beside its definition."""
    room = Path(texts.__file__).parent
    text = "".join(path.read_text() for path in room.glob("*.py"))
    text += re.sub(r"/\*.*?\*/", "", header(), flags=re.DOTALL)
    assert {name for name in HELPERS if len(re.findall(rf"\b{name}", text)) < 2} == set()


def test_what_a_kernel_does_not_use_does_not_warn(tmp_path):
    (tmp_path / "unused.c").write_text(header() + "\nint unused;\n")
    for optimised in ("-O0", "-O2"):
        made = compile_c([optimised, "-c", "unused.c", "-o", "unused.o"], tmp_path)
        assert (made.returncode, made.stderr) == (0, "")
