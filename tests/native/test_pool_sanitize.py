"""The pool, and kernels on its threads, under the sanitizers: a race is a finding."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from standalone import FLAGS, RACES, compile_c, run, sanitizes
from test_parallel import CASES, kernel_of

from zeroskip.native.texts import header

pytestmark = pytest.mark.sanitize

PROGRAM = Path(__file__).with_name("zs_pool_test.c")


@pytest.fixture(params=["races", "memory"])
def flags(request, tmp_path):
    chosen = RACES if request.param == "races" else FLAGS
    if not sanitizes(tmp_path, chosen):
        pytest.skip("this compiler has no such sanitizer")
    return chosen


def test_many_callers_failures_stops_and_forks(tmp_path, flags):
    for name in ("zs_kernel.h", "zs_pool.c"):
        (tmp_path / name).write_text(header(name))
    forks = () if flags is RACES else ("-DFORKS",)
    made = compile_c(tmp_path, str(PROGRAM), "pool", [*flags, *forks, "-I."])
    assert made.stderr == ""
    ran = subprocess.run(["./pool"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "good\n", "")


def test_kernels_on_threads(tmp_path, flags):
    kernels, alone = [], []
    for text, shapes, formats in CASES:
        pad = {"I": {2: (1, 1)}} if "2*p" in text else None
        prepared, filled = kernel_of(text, shapes, formats, pad)
        if prepared.lowered.rate:  # others run on one thread
            kernels.append((prepared, filled))
    assert len(kernels) > 10
    for parts in (1, 5):
        got = run(tmp_path, kernels, flags, parts)
        alone = alone or got
        for one, other in zip(alone, got, strict=True):
            assert all(map(np.array_equal, one, other))


def test_a_race_is_found(tmp_path):
    """The harness sees what it is there to see: two parts that write one place.

    A caller runs the parts that no worker has begun when it is done, so that one call of a busy
    machine may have no race: there are several.
    """
    if not sanitizes(tmp_path, RACES):
        pytest.skip("this compiler has no thread sanitizer")
    prepared, filled = kernel_of("s = A[i,k]", {"A": (90, 80)}, {})
    text = prepared.c_text.replace("int64_t i = 0;", "int64_t i = args->part;")
    raced = type(prepared)(prepared.lowered, text, prepared.dtype)
    with pytest.raises(AssertionError, match="data race"):
        run(tmp_path, [(raced, filled)] * 20, RACES, 3)
