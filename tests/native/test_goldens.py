"""The C of representative kernels, word for word: a change of the emitter shows in the diff."""

import difflib
from pathlib import Path

import pytest
from golden_kernels import kernels

GOLDENS = Path(__file__).with_name("goldens")
KERNELS = kernels()


@pytest.mark.parametrize("name", KERNELS)
def test_the_emitted_c_is_the_golden_one(name):
    golden = (GOLDENS / f"{name}.c").read_text(encoding="utf-8")
    change = difflib.unified_diff(
        golden.splitlines(), KERNELS[name].splitlines(), "golden", "emitted", lineterm=""
    )
    assert KERNELS[name] == golden, (
        "\n".join(change) + "\nRead the change; then: python tools/goldens.py"
    )


def test_there_is_no_golden_without_a_kernel():
    assert {path.stem for path in GOLDENS.glob("*")} == set(KERNELS)
