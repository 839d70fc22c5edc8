"""Flexibility: refused layers count, and the ones that run are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layers import conv_case, conv_spec

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError, ZeroskipError
from zeroskip.hwmodel import Charge, arch, charge, charge_cascade
from zeroskip.hwmodel.flexibility import flexibility

MATRIX = make_spec("y[m] = F[m,k]*I[k]")


def matrix(rows: int) -> Charge:
    return charge(MATRIX, "dense", {"F": np.ones((rows, 64)), "I": np.ones(64)})


def refused() -> ZeroskipError:
    factors = "*".join(f"{name}[m,k]" for name in "ABCDEFG")
    spec = make_spec(f"y[m] = {factors}")
    with pytest.raises(ZeroskipError) as caught:
        charge(spec, "dense", {name: np.ones((2, 2)) for name in "ABCDEFG"})
    return caught.value


def test_layers_side_by_side() -> None:
    conv = charge(conv_spec(), "dense", conv_case())
    table = flexibility({"conv": conv, "narrow": matrix(2), "of seven": refused()})
    rows = {row["layer"]: row for row in table}
    assert [row["runs"] for row in table] == [True, True, False]
    assert rows["of seven"]["operations"] is None
    assert rows["conv"]["throughput"] == conv.ops["dense"] / conv.cycles
    assert rows["conv"]["of the best"] == 1
    assert (
        rows["narrow"]["of the best"] == rows["narrow"]["throughput"] / (rows["conv"]["throughput"])
    )
    assert rows["narrow"]["energy"] == matrix(2).energy_pj / 128
    notes = "\n".join(table.notes)
    assert "functional: runs 2 of 3 layers" in notes
    assert "of seven is refused: a product of 7 operands (A, B, C, D, E, F, G)" in notes
    assert f"utilisation from {matrix(2).utilisation:.1%} (narrow) to" in notes


def test_a_cascade_is_one_of_the_set() -> None:
    spec = make_spec("T[m] = F[m,k]*I[k]; y[n] = G[n,m]*T[m]")
    operands = {"F": np.ones((4, 8)), "I": np.ones(8), "G": np.ones((6, 4))}
    whole = charge_cascade(spec, "dense", operands)
    assert flexibility({"both": whole, "one": matrix(4)})[0]["operations"] == 4 * 8 + 6 * 4


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ArchError, match=r"expected layers that run, found none of 1"):
        flexibility({"of seven": refused()})
    with pytest.raises(ArchError, match=r"expected charges by name of the layer, found list"):
        flexibility([])  # type: ignore[arg-type]
    other = charge(conv_spec(), arch("dense", size=(2, 2)), conv_case())
    with pytest.raises(ArchError, match=r"one design, dense of 16 PEs, found b on dense of 4"):
        flexibility({"a": matrix(2), "b": other})
    wrong: Any = {"a": 3}
    with pytest.raises(ArchError, match=r"expected a charge of a, or the error that refused it"):
        flexibility(wrong)
    with pytest.raises(ArchError, match=r"flexibility: empty takes no time"):
        flexibility({"empty": matrix(0)})
