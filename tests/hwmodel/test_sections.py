"""Parts of an accounting in one text that parses."""

from __future__ import annotations

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.hwmodel.sections import together

A = np.eye(6)


def test_results_that_two_parts_have_get_two_names():
    text = together(["held[k] += A[m,k]\nall_2 += held[k]", "# more\nheld += B[k]\nfull = held*2"])
    assert text.splitlines() == [
        "held[k] += A[m,k]",
        "all_2 += held[k]",
        "# more",
        "held_2 += B[k]",
        "full = held_2*2",
    ]
    assert together(["a += B[k]", "a += C[k]", "a += D[k]"]).splitlines()[-1] == "a_3 += D[k]"


@pytest.mark.parametrize(
    "design", ["dense", "eyeriss", "scnn", "eyeriss-v2", "gamma", "scnn-lanes"]
)
def test_the_accounting_of_every_preset_parses(design):
    text = zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, A=A, B=A).accounting
    assert len(set(make_spec(text).results)) == len(make_spec(text).results)


@pytest.mark.parametrize("how", ["leader-follower", "two-finger", "skip-ahead", "bitmask(4)"])
def test_the_accounting_of_units_parses(how):
    design = zs.arch(
        {
            "array": {"pe": 2},
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
            "formats": {"A": {"DRAM": "CSR"}, "B": {"DRAM": "CSR"}},
            "units": {"intersect": {"how": how, "rate": 1, "rank": "k"}},
        }
    )
    charged = zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, A=A, B=A)
    results = make_spec(charged.accounting).results
    assert "steps" in results
    assert len(set(results)) == len(results)
