"""Parts of an accounting in one text that parses."""

from __future__ import annotations

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.hwmodel.evaluate import Operand, counts, sized
from zeroskip.hwmodel.plan import Mask
from zeroskip.hwmodel.sections import Part, sheet_of, together
from zeroskip.native.engine import evaluate

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


def test_ranks_of_other_extents_and_other_masks_get_other_names():
    padded, bare = (Mask("nz", "A", (2, 3), ((0, pad), (0, 0))) for pad in (1, 0))
    held = "# one\nheld[m,i] += nzA[m,2*k//K]"
    sheet = sheet_of(
        [
            Part(held, {"m": 2, "k": 3}, {"nzA": padded}),
            Part(held, {"m": 2, "k": 5}, {"nzA": padded}),
            Part("held_2[m] += nzA[m,k2]*M", {"m": 4, "k2": 5}, {"nzA": bare}),
        ]
    )
    assert sheet.text.splitlines() == [
        "# one",
        "held[m,i] += nzA[m,2*k//K]",
        "# one",
        "held_3[m,i2] += nzA[m,2*k3//K3]",
        "held_2[m2] += nzA_2[m2,k2]*M2",
    ]
    assert sheet.sizes == {"m": 2, "k": 3, "k3": 5, "m2": 4, "k2": 5}
    assert sheet.masks == {"nzA": padded, "nzA_2": bare}
    assert sheet.names[1] == {"held": "held_3", "i": "i2", "I": "I2", "k": "k3", "K": "K3"}


SHAPES = {"A": (6, 3), "B": (3, 5), "D": (5, 4)}
WINDOWS = {"I": (1, 2, 5, 5), "F": (3, 2, 3, 3), "A": (5, 3)}
CASCADES = {
    "products": ("S[m,n] = A[m,k]*B[k,n]; Z[m,p] = S[m,n]*D[n,p]", {}),
    "a window": (
        "O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]; T[m,q] = O[n,m,p,q]*A[p,m]; Y[m] = T[m,q]*T[m,q]",
        {"pad": {"I": 1}},
    ),
}


@pytest.mark.parametrize("design", ["dense", "eyeriss", "scnn", "eyeriss-v2"])
@pytest.mark.parametrize("case", CASCADES)
def test_the_accounting_of_a_cascade_evaluates_as_one_text(design, case):
    """Every count of every line, from one text and all masks."""
    text, options = CASCADES[case]
    layer, rng = zs.layer(text, **options), np.random.default_rng(7)
    shapes = SHAPES if case == "products" else WINDOWS
    given = {name: rng.integers(-1, 2, shape).astype(float) for name, shape in shapes.items()}
    charged = zs.charge(layer, design, **given)
    whole, sheet = {**given, **computed(case, given)}, charged.sheet
    assert sheet.text == charged.accounting
    operands = {name: Operand(value.shape, value) for name, value in whole.items()}
    masks = {
        name: operands[m.tensor].mask(m) for name, m in sheet.masks.items() if isinstance(m, Mask)
    }
    spec = sized(sheet.text, tuple(sheet.sizes.items()))
    found = evaluate(spec, {name: masks[name] for name in spec.operands})
    compared = 0
    for line, new in zip(charged.lines.values(), sheet.names, strict=True):
        values = counts(line.cascade, operands)
        for name in make_spec(line.cascade.text).results:
            value = values[name]
            assert np.array_equal(found[new.get(name, name)], value), (line.text, name)
            compared += 1
    assert compared > 10 * len(charged.lines)
    assert set(sheet.names[1]) & {"busy", "steps", "cycles"} == {"busy", "steps", "cycles"}


def computed(case, given):
    """Results of the lines before the last."""
    if case == "products":
        return {"S": given["A"] @ given["B"]}
    padded = np.pad(given["I"], ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    outcome = np.einsum("ncpqrs,mcrs->nmpq", windows, given["F"])
    return {"O": outcome, "T": np.einsum("nmpq,pm->mq", outcome, given["A"])}
