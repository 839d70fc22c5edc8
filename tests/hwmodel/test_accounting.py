"""The accounting as text: readable, parsed back, evaluated to the same numbers."""

from __future__ import annotations

import ast
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from zeroskip.einsum_spec import make_spec
from zeroskip.formats.convert import tensor
from zeroskip.hwmodel import Charge, Mapping, arch, charge
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.plan import Mask
from zeroskip.native.reference import evaluate_forms

GOLDEN = """\
# operations of F * I: each PE, each step
busy[c,4*p//P,4*q//Q] += nzF[m,c,r,s]*nzI[n,c,2*p+r,2*q+s]
steps[c] max= busy[c,i,j]
cycles += steps[c]
work[i,j] += busy[c,i,j]
# F from DRAM to GLB to PE
heldF[c] += nzF[m,c,r,s]
fetchedF += heldF[c]
mostF max= heldF[c]
# I from DRAM to GLB to PE
winI_h[4*p//P,2*p+r] |= 1
winI_w[4*q//Q,2*q+s] |= 1
heldI[c,i,j] += nzI[n,c,h,w]*winI_h[i,h]*winI_w[j,w]
fetchedI += heldI[c,i,j]
mostI max= heldI[c,i,j]
partI[c] += nzI[n,c,h,w]
tileI max= partI[c]
# O from PE to GLB to DRAM
heldO[4*p//P,4*q//Q] += N*M
mostO max= heldO[i,j]
writtenO += heldO[i,j]"""


def operands() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    x = (rng.random((2, 3, 9, 9)) < 0.5).astype(np.float32)
    return {"I": x, "F": (rng.random((4, 3, 3, 3)) < 0.4).astype(np.float32)}


def conv(name: str, mapping: Mapping | None = None) -> Charge:
    spec = make_spec(
        "O[n,m,p,q] = I[n,c,2*p+r,2*q+s]*F[m,c,r,s]", pad={"I": {"h": (1, 0), "w": (1, 0)}}
    )
    return charge(spec, arch(name), operands(), mapping)


def masks(case: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The masks that the text reads, made by hand."""
    padded = np.pad(case["I"], ((0, 0), (0, 0), (1, 0), (1, 0)))[:, :, :9, :9]
    inside = np.pad(np.ones((2, 3, 9, 9), bool), ((0, 0), (0, 0), (1, 0), (1, 0)))[:, :, :9, :9]
    return {
        "nzI": padded != 0,
        "nzF": case["F"] != 0,
        "inI": inside,
        "inF": np.ones((4, 3, 3, 3), bool),
    }


def test_the_accounting_of_scnn_reads_so() -> None:
    assert conv("scnn").accounting == GOLDEN


@pytest.mark.parametrize("name", ["dense", "eyeriss", "scnn"])
@pytest.mark.parametrize("attribute", ["accounting", "factored_accounting"])
def test_the_text_parses_and_evaluates_to_the_charge(name: str, attribute: str) -> None:
    charged = conv(name)
    sizes = {"n": 2, "m": 4, "p": 4, "q": 4, "c": 3, "r": 3, "s": 3}
    spec = make_spec(getattr(charged, attribute), sizes=sizes)
    read = {name: mask for name, mask in masks(operands()).items() if name in spec.operands}
    shapes = {name: mask.shape for name, mask in read.items()}
    found = evaluate_forms(spec.forms, read, spec.extents(shapes))
    assert int(found["cycles"]) == charged.compute_cycles
    assert found["work"].tolist() == charged.work_per_pe.tolist()
    assert int(found["fetchedI"]) == charged.at("GLB", "I").reads
    assert int(found["fetchedF"]) == charged.at("GLB", "F").reads
    assert int(found["writtenO"]) == charged.at("GLB", "O").writes
    effectual = found["effectual" if "effectual" in found else "busy"]
    assert int(effectual.sum()) == charged.ops["effectual"]


def test_the_factored_text_sums_before_it_multiplies() -> None:
    lines = conv("scnn").factored_accounting.splitlines()
    assert lines[:3] == [
        "T0[c,r,s,4*p//P,4*q//Q] += nzI[n,c,2*p+r,2*q+s]",
        "T1[c,r,s] += nzF[m,c,r,s]",
        "busy[c,i,j] += T1[c,r,s]*T0[c,r,s,i,j]",
    ]


def test_gating_counts_what_is_executed_beside_what_takes_a_cycle() -> None:
    lines = conv("eyeriss").accounting.splitlines()
    assert "busy[c,4*p//P,4*q//Q] += N*M*R*S" in lines
    assert "executed[c,4*p//P,4*q//Q] += M*nzI[n,c,2*p+r,2*q+s]" in lines
    assert "heldI[c,i,j] += inI[n,c,h,w]*winI_h[i,h]*winI_w[j,w]" in lines


def test_blocks_of_a_split_rank_are_steps() -> None:
    text = conv("scnn", Mapping(split={"m": 3})).accounting
    assert "busy[m//3,c,4*p//P,4*q//Q] += nzF[m,c,r,s]*nzI[n,c,2*p+r,2*q+s]" in text
    assert "steps[m1,c] max= busy[m1,c,i,j]" in text
    assert "heldF[m//3,c] += nzF[m,c,r,s]" in text
    assert "fetchedI += 2*heldI[c,i,j]" in text


@pytest.mark.parametrize("shape", [(4,), (0,), (3, 5), (2, 3, 4)])
def test_the_sides_of_a_box_multiply_to_its_mask(shape: tuple[int, ...]) -> None:
    operand = Operand(shape, None)
    for lo, more in ((0, 0), (2, 0), (1, 3), (0, -1)):
        lengths = tuple(max(n + lo + more, 0) for n in shape)
        mask = Mask("in", "A", lengths, ((lo, max(more, 0)),) * len(shape))
        sides = [operand.side(mask, axis) for axis in range(len(shape))]
        assert np.array_equal(reduce(np.multiply.outer, sides), np.asarray(operand.mask(mask)))


def test_what_a_charge_of_many_places_is_beside_takes_no_array_of_them() -> None:
    """The dense baseline of matrices of 2^36 places: 64 GiB a mask."""
    n = 2**18
    one = tensor(sp.coo_array(([1.0], ([3], [5])), shape=(n, n)), "COO")
    two = tensor(sp.coo_array(([1.0], ([5], [9])), shape=(n, n)), "COO")
    spec = make_spec("Z[m,n] = A[m,k]*B[k,n]")
    found = charge(spec, arch("gamma"), {"A": one, "B": two}, Mapping("m k n", space={"m": "pe"}))
    assert isinstance(found, Charge)
    assert found.ops["effectual"] == 1
    assert found.baseline.ops["dense"] == n**3
    assert found.baseline.at("DRAM", "A").reads == n**2


def test_names_of_ranks_never_clash_with_those_of_the_accounting() -> None:
    """Ranks called like tile variables, results and each other's extents."""
    spec = make_spec("Z[i,j] = A[i,work]*B[work,j]")
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 4)) < 0.5, rng.random((4, 5)) < 0.5
    c = charge(spec, arch("scnn"), {"A": a, "B": b, "Z": a @ b})
    assert c.ops["effectual"] == int((a.astype(int) @ b.astype(int)).sum())
    spec = make_spec("Z[P,p] = A[P,k]*B[k,p]")
    c = charge(spec, arch("scnn"), {"A": a, "B": b, "Z": a @ b})
    assert c.ops["effectual"] == int((a.astype(int) @ b.astype(int)).sum())


def test_the_model_emits_no_c_and_knows_no_kernel() -> None:
    folder = Path(__file__).parents[2] / "hwmodel"
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zeroskip.nat"):
                named = {alias.name for alias in node.names}
                known = {f"zeroskip.native.{name}" for name in ("engine", "filed", "recent")}
                assert node.module in known or named == {"routines"}, path.name
