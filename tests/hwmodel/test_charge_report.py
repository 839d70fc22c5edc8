"""Charges in print, and what cannot be charged."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from layers import conv_case, conv_spec, one_pe

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError, EinsumError, TensorError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import Charge, Mapping, arch, charge

# ---- printing ---------------------------------------------------------------------------


def summary(c: Charge) -> dict[str, Any]:
    return {row["figure"]: row for row in c.table()}


def test_the_table_has_every_figure_beside_the_baseline() -> None:
    c = charge(conv_spec(), arch("scnn"), conv_case())
    rows = summary(c)
    assert rows["operations, effectual"]["scnn"] == c.ops["effectual"]
    assert rows["operations, skipped"]["dense baseline"] == 0
    assert rows["cycles, compute"]["ratio"] == (
        pytest.approx(c.compute_cycles / c.baseline.compute_cycles)
    )
    assert rows["energy"]["scnn"] == pytest.approx(c.energy_pj)
    assert rows["GLB, metadata"]["scnn"] == c.level("GLB").metadata_bits
    assert c.to_pandas().shape == (len(rows), 5)
    text = repr(c)
    assert "mapping: order c n m r s p q; sync c; space p: rows, q: cols" in text
    assert "leaves out" in text
    assert "assumes" in text


def test_moves_add_up_to_the_levels() -> None:
    c = charge(conv_spec(), arch("scnn"), conv_case())
    table = c.moves()
    glb = [row for row in table if row["level"] == "GLB"]
    assert {row["tensor"] for row in glb} == {"I", "F", "O"}
    assert sum(row["metadata"] for row in glb) == c.level("GLB").metadata_bits
    assert sum(row["energy"] for row in table) == (
        pytest.approx(c.energy_pj - c.energy["multiply"] - c.energy["add"])
    )


def test_assumptions_and_omissions_are_listed() -> None:
    c = charge(conv_spec(), arch("scnn", energy="horowitz-45nm"), conv_case())
    assert "energy of the network: horowitz-45nm has none" in c.missing
    assert any("intersection" in text for text in c.missing)
    assert any(text.startswith("DRAM: each operand is read once") for text in c.assumptions)


def test_what_changes_nothing_is_said() -> None:
    vector = {"A": np.ones((2, 3)), "B": np.ones(3)}
    c = charge(make_spec("Z[m] = A[m,k]*B[k]"), arch(one_pe("gate B on bias")), vector)
    assert '"gate B on bias @MAC" changes nothing: no product has bias' in c.assumptions
    assert "GLB costs a bit" not in str(c.assumptions)
    c = charge(conv_spec(), arch("eyeriss"), conv_case())
    assert (
        "PE of 131,072 bits costs a bit what RF of 4,096 bits does: the energy is a lower bound"
    ) in c.assumptions
    assert "energy of looking at a value to gate by it, and of an idle cycle" in c.missing
    assert "time and energy of compressing results" in c.missing
    assert any("padding tap" in text for text in c.assumptions)
    without = charge(conv_spec(pad=0), arch("eyeriss"), conv_case())
    assert not any("padding" in text for text in without.assumptions)


def test_a_tensor_that_is_read_in_two_orders_is_named() -> None:
    c = charge(make_spec("Z[i,j] = A[i,k]*A[k,j]"), arch("scnn"), {"A": np.eye(4)})
    assert any(text.startswith("A is read in two orders, as ") for text in c.assumptions)


def test_an_order_that_steps_cannot_follow_on_chip_is_left_out_and_said() -> None:
    """Rows of A, and columns of B, one after the other: where PEs wait after each k, no."""
    case = {"A": np.eye(4), "B": np.eye(4)}
    design = arch(one_pe(formats={"A": {"GLB": "CSR"}, "B": {"GLB": "CSR"}}))
    said = {}
    for order in ("m k n", "k m n", "n k m"):
        mapping = Mapping(order, space={}, sync=order[0])
        missing = charge(make_spec("Z[m,n] = A[m,k]*B[k,n]"), design, case, mapping).missing
        said[order[0]] = [text for text in missing if text.startswith("finding the entries")]
    end = "which GLB holds as CSR (order"
    assert said == {
        "m": [],
        "k": [f"finding the entries of a step (k) of A, {end} m,k)"],
        "n": [f"finding the entries of a step (n) of B, {end} k,n)"],
    }
    masks = arch(one_pe(formats={"A": {"GLB": "bitmask"}}))
    mapping = Mapping("k m n", space={}, sync="k")
    missing = charge(make_spec("Z[m,n] = A[m,k]*B[k,n]"), masks, case, mapping).missing
    assert not any(text.startswith("finding the entries") for text in missing)


# ---- errors -----------------------------------------------------------------------------


def refused(
    kind: type[Exception],
    text: str,
    design: Any,
    operands: dict[str, Any],
    mapping: Mapping | None = None,
) -> str:
    with pytest.raises(kind) as caught:
        charge(make_spec(text), arch(design), operands, mapping)
    return str(caught.value)


MATMUL = "Z[m,n] = A[m,k]*B[k,n]"
MATRICES = {"A": np.ones((2, 3)), "B": np.ones((3, 4))}


def test_a_cascade_is_refused() -> None:
    text = "T[i] = A[i]*A[i]; Z = T[i]"
    assert "expected a layer of one line, found 2 lines" in (
        refused(EinsumError, text, "dense", {"A": np.ones(3)})
    )


def test_seven_operands_are_refused() -> None:
    operands = {name: np.ones(3) for name in "ABCDEFG"}
    assert "a product of 7 operands (A, B, C, D, E, F, G); at most 6 can be charged" in (
        refused(EinsumError, f"Z = {'*'.join(f'{n}[j]' for n in operands)}", "dense", operands)
    )


def test_a_sweep_is_refused() -> None:
    operands = {**MATRICES, "A": Density((2, 3), [0.25, 0.5])}
    assert refused(TensorError, MATMUL, "dense", operands).startswith(
        "A is a sweep over 2 densities, and a charge has one"
    )


def test_skipping_without_metadata_is_refused() -> None:
    design = one_pe("skip A,B", formats={"A": {"GLB": "C"}})
    assert refused(ArchError, MATMUL, design, MATRICES) == (
        "one PE skips by B, which GLB holds in format dense: without metadata nobody knows what "
        "to skip\nGive B (role F) the format C or B at GLB."
    )


def test_results_that_are_compressed_on_their_way_are_refused() -> None:
    design = one_pe(formats={"O": {"GLB": "C"}})
    assert "Z (role O) has format C in GLB; results are compressed on their" in (
        refused(ArchError, MATMUL, design, MATRICES)
    )


def test_a_feature_must_name_a_tensor_or_a_role() -> None:
    assert refused(ArchError, MATMUL, one_pe("gate B on X"), MATRICES) == (
        'one PE: "gate B on X @MAC" names X, which is neither a tensor of this layer (A, B, Z) nor '
        "a role (I, F, O, bias, index)"
    )
    assert "goes by the result: it is not there yet" in (
        refused(ArchError, MATMUL, one_pe("gate B on O"), MATRICES)
    )


def test_a_format_must_name_a_tensor_or_a_role() -> None:
    assert refused(ArchError, MATMUL, one_pe(formats={"W": {"DRAM": "C"}}), MATRICES) == (
        "one PE: formats names W, which is neither a tensor of this layer (A, B, Z) nor a role "
        "(I, F, O, bias, index)"
    )


def test_unknown_levels_and_tensors_are_named() -> None:
    c = charge(make_spec(MATMUL), arch("dense"), MATRICES)
    with pytest.raises(ArchError, match="dense has no level 'L2'; its levels are DRAM, GLB, PE"):
        c.at("L2", "A")
    with pytest.raises(TensorError, match="no tensor 'X' in this layer: it has A, B, Z"):
        c.at("GLB", "X")


def test_a_missing_operand_is_named() -> None:
    assert "operand B is missing" in refused(EinsumError, MATMUL, "dense", {"A": np.ones((2, 3))})


def test_the_engine_is_asked_once_for_the_accounting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dense preset needs no result: only the accounting is evaluated."""
    module = sys.modules["zeroskip.hwmodel.given"]
    monkeypatch.setattr(module, "evaluate", lambda *_: pytest.fail("the layer was run"))
    charge(make_spec(MATMUL), arch("dense"), MATRICES)


def test_a_format_that_does_not_fit_the_tensor_is_an_error_of_the_architecture() -> None:
    design = one_pe(formats={"A": {"DRAM": "m:U c:C"}})
    with pytest.raises(ArchError, match=r"formats: 'm:U c:C' does not fit A: .* stores 2 axes"):
        charge(make_spec("y = A[k]*B[k]"), arch(design), {"A": np.ones(3), "B": np.ones(3)})


def test_a_path_with_a_nul_is_refused() -> None:
    with pytest.raises(ArchError, match="found a NUL in it"):
        arch("a\0b.yaml")
