"""Kernels in several processes at once, which share a cache."""

import os
import subprocess
import sys

import pytest
from scaling import SCALE, compiled_not_loaded, needs_cc

from zeroskip.native import settings


@pytest.fixture(autouse=True)
def cache_dir(tmp_path):
    with settings.using(cache_dir=tmp_path / "cache", compiler=None):
        yield tmp_path / "cache"


PROCESS = """
import sys
import numpy as np
from zeroskip.native import load, toolchain

if "warm" in sys.argv:
    def run(*_):
        raise AssertionError("a compiler was run")
    toolchain.run = run
text = open(sys.argv[1]).read()
sys.stdin.readline()
y = np.zeros(3)
load.load(text, "scale").prepare([np.arange(3.0), y], [3], [2.0], [10]).call()
print(y.tolist())
"""


def start(cache_dir, text_file, *words):
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(text_file), *words],
        env={**os.environ, "ZEROSKIP_CACHE_DIR": str(cache_dir)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@needs_cc
def test_ten_processes_at_once_on_an_empty_cache_then_one_that_compiles_nothing(
    cache_dir, tmp_path
):
    text = tmp_path / "scale.c"
    text.write_text(SCALE)
    started = [start(cache_dir, text) for _ in range(10)]
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=120) for process in started]
    assert told == [("[10.0, 12.0, 14.0]\n", "")] * 10
    assert start(cache_dir, text, "warm").communicate("go\n", timeout=120) == told[0]
    names = sorted(os.path.splitext(name)[1] for name in os.listdir(cache_dir))
    assert names == [".c", ".json", ".so"]


@needs_cc
def test_a_process_with_a_truncated_object_does_not_crash(cache_dir, tmp_path):
    text = tmp_path / "scale.c"
    text.write_text(SCALE)
    found, kernels = compiled_not_loaded(SCALE)
    found.path.chmod(0o700)
    with open(found.path, "r+b") as file:
        file.truncate(5000)
    process = start(cache_dir, text)
    assert process.communicate("go\n", timeout=120) == ("[10.0, 12.0, 14.0]\n", "")
    assert process.returncode == 0
    assert kernels.find(found.key) is not None
