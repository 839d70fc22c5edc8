"""The examples in docstrings of the harness, which is no part of the package."""

from __future__ import annotations

import doctest

from benchmarks import report, running


def test_examples():
    found = [doctest.testmod(module) for module in (report, running)]
    assert all(result.attempted for result in found)
    assert sum(result.failed for result in found) == 0
