import importlib.util
import json
import math
import os
import shutil
import stat
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from zeroskip.errors import CompilerError
from zeroskip.native import settings, toolchain

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no cc on the PATH")
needs_sh = pytest.mark.skipif(not os.path.exists("/bin/sh"), reason="no /bin/sh")


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "_found", {})
    monkeypatch.delenv("CC", raising=False)
    with settings.using(cache_dir=tmp_path / "cache", compiler=None):
        yield tmp_path / "cache"


def script(place: Path, text: str) -> Path:
    place.write_text("#!/bin/sh\n" + text)
    place.chmod(place.stat().st_mode | stat.S_IXUSR)
    return place


def no_run(*_):
    raise AssertionError("a compiler was run")


def hide_ziglang(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ziglang" else real(name)
    )


def test_without_a_compiler_the_error_says_what_was_looked_for(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CC", "icc -fast")
    hide_ziglang(monkeypatch)
    with pytest.raises(CompilerError) as caught:
        toolchain.find()
    assert str(caught.value) == (
        "no C compiler that works; looked for\n"
        "  CC=icc -fast: not found\n"
        "  cc on the PATH: not found\n"
        "  gcc on the PATH: not found\n"
        "  clang on the PATH: not found\n"
        "  the ziglang package: not found\n"
        "Run  pip install zeroskip[cc]  for a compiler from PyPI, or install gcc or clang,\n"
        "or set ZEROSKIP_CC to the C compiler to use."
    )


def test_a_compiler_that_was_asked_for_is_not_replaced_by_another():
    with settings.using(compiler="no-such-cc -O1"), pytest.raises(CompilerError) as caught:
        toolchain.find()
    assert str(caught.value) == (
        "no C compiler that works; looked for\n"
        "  ZEROSKIP_CC=no-such-cc -O1: not found\n"
        "Set ZEROSKIP_CC to a C compiler, or unset it to have one looked for."
    )


@pytest.mark.parametrize("compiler", ['"gcc', "   gcc'"])
def test_an_open_quotation_mark_is_no_crash(compiler):
    with settings.using(compiler=compiler), pytest.raises(CompilerError, match="not found"):
        toolchain.find()


@needs_sh
def test_a_program_of_a_relative_directory_is_not_taken(tmp_path, monkeypatch):
    script(tmp_path / "cc", "exit 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".")
    hide_ziglang(monkeypatch)
    with pytest.raises(CompilerError, match="cc on the PATH: not found"):
        toolchain.find()


@needs_cc
@needs_sh
def test_a_broken_compiler_gives_way_to_the_next(tmp_path, monkeypatch):
    bad = script(tmp_path / "bad", "echo 'no licence' >&2; exit 3")
    monkeypatch.setenv("CC", str(bad))
    assert toolchain.find().command == (shutil.which("cc"),)
    monkeypatch.setenv("PATH", "")
    hide_ziglang(monkeypatch)
    with pytest.raises(CompilerError) as caught:
        toolchain.find()
    assert f"CC={bad}: {bad} did not answer (status 3)\n  no licence\n" in str(caught.value)


@needs_cc
def test_the_compiler_says_what_it_is(monkeypatch):
    found = toolchain.find()
    assert found.kind in ("gcc", "clang")
    assert "version" in found.version
    assert found.target
    assert found.vector_bytes in (16, 32, 64)
    assert {"-std=gnu11", "-ffp-contract=fast", "-Werror"} <= set(found.flags)
    assert "-O2" in found.flags
    assert not any(name.endswith("_") for name in found.features)
    monkeypatch.setattr(toolchain, "run", no_run)
    assert toolchain.find() is found


@needs_cc
def test_a_second_process_need_not_run_the_compiler(monkeypatch):
    first = toolchain.find()
    monkeypatch.setattr(toolchain, "_found", {})
    monkeypatch.setattr(toolchain, "run", no_run)
    assert toolchain.find() == first


@needs_cc
def test_another_cpu_or_a_damaged_memory_is_asked_again(cache_dir, monkeypatch):
    first = toolchain.find()
    (memory,) = cache_dir.glob("toolchain-*.json")
    whole = json.loads(memory.read_text())
    damaged = ["", "[]", '{"command": ["cc"]}', json.dumps({**whole, "macros": 5})]
    for text in (*damaged, json.dumps({**whole, "command": ["/bin/other"]})):
        memory.write_text(text)
        monkeypatch.setattr(toolchain, "_found", {})
        assert toolchain.find() == first
        assert json.loads(memory.read_text()) == whole
    monkeypatch.setattr(toolchain, "_found", {})
    monkeypatch.setattr(toolchain, "_cpu", lambda: "another one")
    monkeypatch.setattr(toolchain, "run", no_run)
    with pytest.raises(AssertionError, match="a compiler was run"):
        toolchain.find()


@needs_cc
@needs_sh
def test_a_script_may_stand_for_any_compiler_and_is_not_remembered(tmp_path, cache_dir):
    wrapper = script(tmp_path / "wrapper", 'exec cc "$@"')
    with settings.using(compiler=str(wrapper)):
        assert toolchain.find().command == (str(wrapper),)
    assert not list(cache_dir.glob("toolchain-*"))


@needs_cc
@needs_sh
def test_a_compiler_that_knows_no_native_does_without(tmp_path):
    refusing = 'for a in "$@"; do case "$a" in -m*=native) exit 1;; esac; done; exec cc "$@"'
    with settings.using(compiler=str(script(tmp_path / "old", refusing))):
        found = toolchain.find()
    assert found.native == ()
    assert not any("native" in flag for flag in found.flags)


@needs_sh
def test_a_compiler_that_hangs_is_ended_with_its_children(tmp_path):
    pid = tmp_path / "pid"
    hanging = script(
        tmp_path / "hang", f"sleep 600 & echo $! > {pid}.new; mv {pid}.new {pid}; wait"
    )
    with (
        settings.using(compiler=str(hanging), compile_timeout_s=1.0),
        pytest.raises(CompilerError) as caught,
    ):
        toolchain.find()
    assert "the C compiler did not finish within 1 s and was ended" in str(caught.value)
    assert "Set ZEROSKIP_COMPILE_TIMEOUT (seconds) to give it longer." in str(caught.value)
    child = int(pid.read_text())
    for _ in range(200):
        if not _runs(child):
            break
        time.sleep(0.01)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


@needs_cc
def test_a_refused_text_is_shown_with_the_command_and_the_place(tmp_path):
    source = tmp_path / "k.c"
    source.write_text("int f(void) { return nowhere; }\n" + "int g(void) { return x; }\n" * 40)
    with pytest.raises(CompilerError) as caught:
        toolchain.find().compile(source, tmp_path / "k.so", ["-DEXTRA"])
    text = str(caught.value)
    assert text.startswith("the C compiler refused a kernel (status 1)\n")
    assert "-std=gnu11" in text
    assert "-DEXTRA -shared -o" in text
    assert "nowhere" in text
    assert "more lines)" in text
    assert text.endswith(f"The C text is kept in {source}.")
    assert len(text.splitlines()) == 2 + toolchain.ERROR_LINES + 2


@needs_cc
def test_the_key_holds_everything_that_changes_the_object():
    tools = toolchain.find()
    keys = [tools.key("int x;"), tools.key("int y;"), tools.key("int x;", ["-g"])]
    keys += [tools.key("int x;-g"), tools.key("int x;", ["-", "g"])]
    for change in ("version", "target", "macros"):
        keys.append(replace(tools, **{change: "other"}).key("int x;"))
    keys.append(replace(tools, native=("-march=other",)).key("int x;"))
    assert len(set(keys)) == len(keys)
    assert tools.key("int x;") == keys[0]


@needs_cc
@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("int x;\n", False),
        ("#include <stdint.h>\n  # include <stddef.h>\n", False),
        ("/* #include */ int x;\n", False),
        ("#include <stdlib.h>\n", True),
        ("#include  <stdint.hpp>\n", True),
        ('#include <stddef.h>\n#include "other.h"\n', True),
    ],
)
def test_a_text_with_headers_of_the_system_is_linked_with_all_of_it(text, whole):
    tools = replace(toolchain.find(), kind="gcc")
    expected = ("-lm",) if whole or sys.platform != "linux" else toolchain.LINKED["gcc"]
    assert tools.libraries(text) == expected
    assert tools.libraries(text, ["-fsanitize=address"]) == ("-lm",)
    assert replace(tools, kind="clang").libraries(text) == ("-lm",)


@needs_cc
def test_what_a_text_calls_of_libc_and_libgcc_is_found(tmp_path):
    source = tmp_path / "k.c"
    source.write_text(
        "#include <stdint.h>\n"
        "double grow(double x) { return __builtin_exp(x); }\n"
        "void copy(char *to, const char *from, int64_t n) { __builtin_memcpy(to, from, n); }\n"
        "void fill(char *to, int64_t n) { __builtin_memset(to, 7, n); }\n"
        "int64_t wide(int64_t a, int64_t b) { return (int64_t)((__int128)a * a / b); }\n"
    )
    toolchain.find().compile(source, tmp_path / "k.so")
    import cffi

    ffi = cffi.FFI()
    ffi.cdef(
        "double grow(double); void copy(char *, const char *, int64_t); void fill(char *, int64_t);"
        "int64_t wide(int64_t, int64_t);"
    )
    found = ffi.dlopen(str(tmp_path / "k.so"))
    place = ffi.new("char[8]")
    found.copy(place, b"abcdefg", 7)
    found.fill(place + 5, 2)
    assert ffi.string(place) == b"abcde\7\7"
    assert found.grow(1.5) == pytest.approx(math.exp(1.5), rel=1e-15)
    assert found.wide(2**40, 2**41) == 2**39


def test_ziglang_is_found_and_compiles(tmp_path, monkeypatch):
    pytest.importorskip("ziglang", reason="pip install zeroskip[cc] brings it")
    monkeypatch.setenv("PATH", "")
    tools = toolchain.find()
    assert tools.kind == "zig"
    assert tools.command[-1] == "cc"
    source = tmp_path / "k.c"
    source.write_text("int f(int x) { return x + 1; }\n")
    tools.compile(source, tmp_path / "k.so")
    import cffi

    ffi = cffi.FFI()
    ffi.cdef("int f(int x);")
    assert ffi.dlopen(str(tmp_path / "k.so")).f(41) == 42


def test_ziglang_without_its_program_is_started_as_a_module(tmp_path, monkeypatch):
    (tmp_path / "ziglang").mkdir()
    (tmp_path / "ziglang" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ziglang", raising=False)
    assert toolchain._ziglang() == [sys.executable, "-m", "ziglang", "cc"]
