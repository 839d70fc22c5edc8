"""Masks of whole boxes as products of their sides."""

from __future__ import annotations

import numpy as np
import pytest

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.hwmodel.sides import by_sides
from zeroskip.native.engine import evaluate


def test_a_mask_of_a_whole_box_is_the_product_of_its_sides() -> None:
    text = "heldI[c,i,j] += inI[n,c,h,w]*winI_h[i,h]\ncount += inI0*inI[a,b+1,c,d//2]"
    made, sides = by_sides(text, ("inI",))
    assert made == (
        "heldI[c,i,j] += inI0_[n]*inI1_[c]*inI2_[h]*inI3_[w]*winI_h[i,h]\n"
        "count += inI0*inI0_[a]*inI1_[b+1]*inI2_[c]*inI3_[d//2]"
    )
    assert sides == {f"inI{axis}_": ("inI", axis) for axis in range(4)}


def test_what_reads_no_box_stays_as_it_is():
    text = "# a comment\ncount += inI0*nzI[a,b]"
    assert by_sides(text, ("inI",)) == (text, {})


@pytest.mark.parametrize(
    "text",
    [
        "count += inA[m,k]*nzB[k,n]",
        "held[m//2] += 3*inA[m,k]*inA[m,j]",
        "most[m] max= inA[m,k]*(nzB[k,n] - inA[m,k])",
        "some[k] += M*inA[m,k] + (m <= k)*inA[m,k]",
        "inA0[m] += nzB[m,n]\ncount += inA[m,k]*inA0[m]",
    ],
)
def test_an_accounting_of_sides_counts_the_same(text):
    rng = np.random.default_rng(3)
    rows, columns = rng.random(6) < 0.7, rng.random(6) < 0.7
    whole = {"inA": np.multiply.outer(rows, columns), "nzB": rng.random((6, 6)) < 0.5}
    made, sides = by_sides(text, ("inA", "inB"))
    assert "inA[" not in made
    assert len(sides) == 2
    handed = {name: (rows, columns)[axis] for name, (_, axis) in sides.items()}
    apart, asked = make_spec(made), make_spec(text)
    got = evaluate(apart, handed | {n: whole[n] for n in apart.operands if n in whole})
    want = evaluate(asked, {n: whole[n] for n in asked.operands})
    for name in asked.results:
        assert np.array_equal(got[name], want[name])
