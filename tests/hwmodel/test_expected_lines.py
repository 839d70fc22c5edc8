"""Lines of an accounting as means, against the mean over every placement of small tensors."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import EinsumError
from zeroskip.hwmodel.expected_lines import Compiler
from zeroskip.hwmodel.geometry import Geometry
from zeroskip.hwmodel.plan import Mask
from zeroskip.native.engine import evaluate

SIZES = {"m": 2, "k": 3, "n": 2}
SHAPES = {"A": (2, 3), "B": (3, 2)}


def geometry(text: str, held: dict[str, zs.Density]) -> Geometry:
    """Of lines over nzA[m,k] and nzB[k,n]."""
    none = ((0, 0), (0, 0))
    masks = tuple((f"nz{name}", Mask("nz", name, SHAPES[name], none)) for name in SHAPES)
    drawn = tuple(held.items())
    return Compiler(text, tuple(SIZES.items()), masks, drawn, {}).geometry()


def everywhere(text: str, held: dict[str, zs.Density]) -> dict[str, np.ndarray]:
    """The mean of every result over all placements."""
    ways = []
    for name, density in held.items():
        places = combinations(range(6), density.nnz)
        ways.append([np.isin(np.arange(6), some).reshape(SHAPES[name]) for some in places])
    named = {*make_spec(text).ranks} | {x.lower() for x in "MKN" if x in text.replace("nz", "")}
    spec = make_spec(text, sizes={rank: n for rank, n in SIZES.items() if rank in named})
    sums: dict[str, Any] = {}
    for masks in product(*ways):
        read = {f"nz{name}": mask for name, mask in zip(held, masks, strict=True)}
        found = evaluate(spec, {name: x for name, x in read.items() if name in spec.operands})
        for name, value in found.items():
            sums[name] = sums.get(name, 0) + np.maximum(value, 0)
    number = len(ways[0]) * len(ways[1])
    return {name: value / number for name, value in sums.items()}


LINEAR = [
    "a += nzA[m,k]\nb += nzB[k,n]\nc = a*b",
    "some |= nzA[m,k]\nheld[k] += nzB[k,n]\nevery[n//2] += M*some\npart += 2*some*held[k]",
    "busy[k,m//2] += nzA[m,k]*nzB[k,n]",
    "busy[2*k//K] += nzA[m,k]*nzB[k,n]\nevery += 3*busy[i]",
    "held[m] += N*nzA[m,k]",
    "reached[m] += 1\nopen[m] += nzA[m,k]*nzB[k,n]\nleft[m] += 6*reached[m] + 2*open[m] - open[m]",
    "some[m] |= nzA[m,k]\ncalled[m,n] += some[m]*nzB[k,n]\nboth[m] += 2*called[m,n]",
    "some[m,k//2] |= nzA[m,k]\nrow[m] |= some[m,k1]\nwhole |= row[m]\nthere += K*row[m]",
    "full[m] += 1\nmost max= full[m]\ntwice += 2*most",
]


@settings(max_examples=30)
@given(
    text=st.sampled_from(LINEAR), held=st.tuples(st.integers(0, 6), st.integers(0, 6))
)  # fmt: skip
def test_linear_lines_and_events_are_exact(text: str, held: tuple[int, int]) -> None:
    given_ = {n: zs.Density(SHAPES[n], z / 6) for n, z in zip("AB", held, strict=True)}
    made = geometry(text, given_)
    found = made.counts({name: density.model.share for name, density in given_.items()})
    for name, mean in everywhere(text, given_).items():
        assert np.allclose(found[name], mean), name
        assert made.tags[name] == "exact in expectation"


@pytest.mark.parametrize("held", [(1, 4), (3, 3), (6, 5)])
def test_maxima_of_cells_that_share_no_place_are_exact(held: tuple[int, int]) -> None:
    text = (
        "busy[k,m] += nzA[m,k]*nzB[k,n]\nsteps[k] max= busy[k,m]\ncycles += steps[k]\n"
        "turns[k] = ceil(2*steps[k]/3)\nevery += turns[k]"
    )
    given_ = {n: zs.Density(SHAPES[n], z / 6) for n, z in zip("AB", held, strict=True)}
    made = geometry(text, given_)
    found = made.counts({name: density.model.share for name, density in given_.items()})
    for name, mean in everywhere(text, given_).items():
        assert np.allclose(found[name], mean), name
        assert made.tags[name] == "exact in expectation"


@pytest.mark.parametrize("held", [(1, 4), (3, 3), (6, 5)])
def test_maxima_are_approximate_and_near(held: tuple[int, int]) -> None:
    text = "busy[m] += nzA[m,k]*nzB[k,n]\nsteps max= busy[m]\ncycles += steps"
    given_ = {n: zs.Density(SHAPES[n], z / 6) for n, z in zip("AB", held, strict=True)}
    made = geometry(text, given_)
    found = made.counts({name: density.model.share for name, density in given_.items()})
    want = everywhere(text, given_)
    assert made.tags["cycles"] == made.tags["steps"] == "approximate"
    assert float(found["cycles"]) == pytest.approx(
        float(want["cycles"]), rel=0.2
    )  # of counts of one or two
    assert np.allclose(found["busy"], want["busy"])


def test_one_place_twice_is_one_event_and_two_places_are_independent() -> None:
    given_ = {"A": zs.Density((2, 3), 0.5), "B": zs.Density((3, 2), 0.5)}
    same = geometry("both[m] += nzA[m,k]*nzA[m,k]", given_)
    assert np.allclose(same.counts({"A": 0.5, "B": 0.5})["both"], 1.5)
    assert same.tags["both"] == "exact in expectation"
    pairs = geometry("both[k] += nzA[m,k]*nzA[m,x]", given_)
    assert pairs.tags["both"] == "approximate"
    assert pairs.independent == ("A",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("low[m,k] = min(nzA[m,k], 1)", "a function or a comparison"),
        ("low min= nzA[m,k]", "a reduction min="),
        ("most max= nzA[m,k]*nzB[k,n]", "the maximum of a product"),
        ("some[m] |= nzA[m,k]*nzB[k,n]", "a tile of several tensors"),
        (
            "a[k] += nzA[m,k]\nmost max= a[k]\nb += nzB[k,n]\nc = most*b",
            "a product of results without axes",
        ),
        (
            "a[m,k] += nzA[m,k]\nmost[k] max= a[m,k]\nb += nzB[k,n]\nc[k] = most[k]*b",
            "a product of what follows a maximum",
        ),
        ("some[m] |= nzA[m,k]\nboth += some[m]*nzA[m,k]", "a tile of A beside another part of it"),
    ],
)
def test_lines_without_a_mean_are_refused_by_their_text(line: str, said: str) -> None:
    given_ = {"A": zs.Density((2, 3), 0.5), "B": zs.Density((3, 2), 0.5)}
    with pytest.raises(EinsumError) as refused:
        geometry(line, given_)
    assert str(refused.value).startswith(f"{said} has no expectation here:\n  ")
    assert line.splitlines()[-1] in str(refused.value)
