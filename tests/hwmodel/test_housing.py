"""What a home holds, line by line of the accounting; `test_simulated` judges the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroskip.einsum_spec import make_spec
from zeroskip.hwmodel import Mapping, charge
from zeroskip.hwmodel.homes import Home

pytestmark = pytest.mark.usefixtures("without_compiling")

DESIGN = {
    "name": "small",
    "array": {"pe": 2},
    "value_bits": 16,
    "energy": "eyeriss-relative",
    "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
}
TEXT = make_spec("Z[m,n] = A[m,k]*B[k,n]")


def product(A: Any, B: Any, home: Any, formats: Any) -> Any:
    mapping = Mapping("m1 k m0 n", {"m": 2}, {"n": "pe"}, sync="k", home=home)
    return charge(TEXT, {**DESIGN, "formats": formats}, {"A": A, "B": B}, mapping)


def test_the_lines() -> None:
    formats = {"A": {"GLB": "B", "PE": "U"}}
    found = product(np.ones((4, 3)), np.ones((3, 5)), {"A": "GLB m1", "Z": "GLB"}, formats)
    lines = str(found.accounting).splitlines()
    start = lines.index("# A at home in GLB")
    assert lines[start + 1 : start + 5] == [
        "homeA[m//2] += nzA[m,a]",
        "mosthomeA max= homeA[m1]",
        "homeA_places[m//2] += inA[m,b]",
        "mosthomeA_places max= homeA_places[m1]",
    ]
    start = lines.index("# Z at home in GLB")
    assert lines[start + 1].startswith("homeZ += inZ[")


@settings(max_examples=30)
@given(st.data())
def test_tiles_of_an_encoded_result(data: st.DataObject) -> None:
    """By tiles no pointers come; the room is that of the fullest tile."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    m, k, n = (data.draw(st.integers(1, 5)) for _ in range(3))
    A, B = ((rng.random(shape) < 0.4) * 1.0 for shape in ((m, k), (k, n)))
    text = data.draw(st.sampled_from(["U C(7)", "U B"]))
    found = product(A, B, {"Z": Home("GLB", "m1", text)}, {})
    values = A @ B
    tiles = [values[i : i + 2] for i in range(0, m, 2)]
    bits = [np.count_nonzero(t) * (7 if "C" in text else 0) + t.size * ("B" in text) for t in tiles]
    at = found.at("GLB", "Z")
    if m > 2:
        assert at.write_metadata_bits == sum(bits)
    assert (at.writes, at.reads) == (np.count_nonzero(values), 0)
    room = [16 * np.count_nonzero(t) + more for t, more in zip(tiles, bits, strict=True)]
    assert found.capacity[0].at_home("Z") == max(room)
    assert found.baseline.at("GLB", "Z").write_data_bits == values.size * 16


@pytest.mark.parametrize("text", ["0:U 1:R(1)", "0:U 1:H(2:4)", "0/2:U 1/2:C 0%2:U 1%2:U"])
def test_a_rank_in_two_axes_cuts_the_first(text: str) -> None:
    """Rows of S by two: the same room as where the other axis has a rank of its own."""
    held = np.zeros((4, 4))
    held[:2, 2] = held[:2, 3] = 1
    rooms = []
    for names in ("m,m", "m,k"):
        spec = make_spec(f"O[m] = S[{names}]*x[m]")
        order = "m1 m0" if names == "m,m" else "m1 m0 k"
        mapping = Mapping(order, {"m": 2}, space={}, sync="none", home={"S": "GLB m1"})
        design = {**DESIGN, "formats": {"S": {"GLB": text, "PE": "U"}}}
        rooms.append(charge(spec, design, {"S": held, "x": np.ones(4)}, mapping))
    one, other = (found.capacity[0].at_home("S") for found in rooms)
    assert one == other > 0
