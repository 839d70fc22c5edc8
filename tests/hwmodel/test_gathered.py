"""Index tensors: rows that are named come, once a tile; what names them is no factor."""

from __future__ import annotations

import re
from math import comb
from typing import Any

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError, EinsumError, TensorError, ZeroskipError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import Charge, Mapping, arch, charge, compare
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.expected_results import structural
from zeroskip.hwmodel.layer import layer_of

pytestmark = pytest.mark.usefixtures("without_compiling")

EMBEDDING = "O[n,d] = W[X[n],d]"
SCALED = "O[n,d] = W[X[n],d]*g[n]"
TABLE = np.array([[1, 0, 2], [0, 0, 3], [4, 5, 6], [7, 8, 9]])
WORDS = np.array([0, 2, 0, 0, 2, 1])
PAIRS = Mapping("n1 @GLB n0 d", {"n": [2]}, {}, sync="none")
"""Two words at a time; below, rows 0 2 | 0 0 | 2 1."""


def small(more: Any = None) -> dict[str, Any]:
    return {
        "name": "small",
        "array": {"pe": 1},
        "value_bits": 8,
        "accumulator_bits": 16,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        **(more or {}),
    }


def made(text: str, mapping: Mapping | None = None, more: Any = None, **given: Any) -> Charge:
    return charge(make_spec(text), arch(small(more)), given, mapping)


def test_rows_that_nobody_names_never_come() -> None:
    """All six words at a time: of four rows those of 0, 1 and 2, of 3 places each, once; of each
    word 2 bits, as there are 4 rows.  Whatever is copied is read with its place: 18 times."""
    charged = made(EMBEDDING, W=TABLE, X=WORDS)
    assert charged.at("DRAM", "W").reads == charged.at("GLB", "W").writes == 3 * 3
    assert charged.at("DRAM", "X").reads == 6
    assert charged.at("DRAM", "X").data_bits == 6 * 2
    assert charged.at("PE", "X").reads == charged.at("PE", "W").reads == 18
    assert charged.ops["effectual"] == np.count_nonzero(TABLE[WORDS])
    assert charged.multiplications["effectual"] == 0
    assert charged.baseline.at("DRAM", "W").reads == 9
    assert charged.layer.roles == {"W": "F", "X": "index"}


def test_a_row_that_stays_does_not_come_again() -> None:
    """Tiles 0 2 | 0 0 | 2 1 bring 2 rows, none, as 0 is there, and 2: 2 left with the first.

    ``halo: whole``: 2 + 1 + 2 rows of 3.  The largest tile is 2 rows of 3 values of 8 bits, and
    2 words of 2 bits, 2 factors of 8, and 6 sums of 16 come back to the PE alone.
    """
    given = {"W": TABLE, "X": WORDS, "g": np.ones(6)}
    charged = made(SCALED, PAIRS, **given)
    assert charged.at("DRAM", "W").reads == charged.at("GLB", "W").writes == 4 * 3
    whole = {"levels": {"DRAM": {}, "GLB": {"halo": "whole"}, "PE": {}}}
    refilled = made(SCALED, PAIRS, whole, **given)
    assert refilled.at("DRAM", "W").reads == 5 * 3
    assert charged.capacity[0].needed_bits == 2 * 3 * 8 + 2 * 2 + 2 * 8
    assert charged.multiplications["effectual"] == np.count_nonzero(TABLE[WORDS])


def test_entries_of_the_rows_that_are_named() -> None:
    """Tiles of non-zeros: rows 0 and 2 have 2 and 3 of them, row 1 has 1: (2 + 3) + 0 + (3 + 1), a
    coordinate of 5 bits with each; 18 words are looked at, and 13 times there is something."""
    formats = {"W": {"DRAM": "C(5)"}}
    more = {"formats": formats, "sparse": ["skip g on W"]}
    charged = made(SCALED, PAIRS, more, W=TABLE, X=WORDS, g=np.ones(6))
    assert charged.at("DRAM", "W").reads == 9
    assert charged.at("DRAM", "W").metadata_bits == 9 * 5
    assert (charged.ops["effectual"], charged.ops["skipped"]) == (13, 5)
    assert charged.at("PE", "X").reads == 18  # one has to know where nothing is
    assert charged.at("PE", "W").reads == charged.at("PE", "g").reads == 13


def test_what_names_is_not_read_where_another_operand_is_skipped() -> None:
    """g has 4 of 6: 12 points, at each of which the word is read."""
    g = np.array([1, 0, 1, 1, 0, 1])
    more = {"formats": {"g": {"DRAM": "B"}}, "sparse": ["skip W on g"]}
    charged = made(SCALED, None, more, W=TABLE, X=WORDS, g=g)
    assert charged.at("PE", "X").reads == charged.at("PE", "W").reads == 12


def test_an_index_tensor_may_be_compressed() -> None:
    """Word 0 is what a bitmask leaves out: 3 of 6 are stored, of 2 bits, beside 6 bits."""
    more = {"formats": {"index": {"DRAM": "B"}}}
    charged = made(EMBEDDING, None, more, W=TABLE, X=WORDS)
    assert charged.at("DRAM", "X").reads == 3
    assert (charged.at("DRAM", "X").data_bits, charged.at("DRAM", "X").metadata_bits) == (6, 6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"X": np.array([0, 4])}, "X[n] names place 4 of axis 0 of W, which has places 0 to 3"),
        ({"X": np.array([0, -1])}, "X[n] names place -1 of axis 0 of W"),
        ({"X": np.array([0.0, 1.0])}, "X names places, which are integers, and holds float64"),
        ({"X": Density((2,), 0.5)}, "X names places of another operand and is a Density"),
    ],
)
def test_what_names_no_place_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ZeroskipError, match=re.escape(said)) as refused:
        made(EMBEDDING, **{"W": TABLE, **given})
    assert isinstance(refused.value, EinsumError | TensorError)


def test_tiles_go_by_rows_that_are_named() -> None:
    """Of 0 2 | 0 0 | 2 1 the last pair alone has a row that holds something: g comes for it."""
    more = {"formats": {"W": {"DRAM": "B"}}, "sparse": ["skip g on W @GLB"]}
    table = TABLE * np.array([[0], [1], [0], [1]])
    charged = made(SCALED, PAIRS, more, W=table, X=WORDS, g=np.ones(6))
    assert charged.at("GLB", "g").writes == 2
    assert charged.ops["never_fetched"] == 4 * 3
    drawn = made(SCALED, PAIRS, more, W=Density((4, 3), 0.25), X=WORDS, g=np.ones(6))
    none = [comb(12 - 3 * rows, 3) / comb(12, 3) for rows in (2, 1, 2)]
    assert drawn.at("GLB", "g").writes == pytest.approx(sum(2 * (1 - x) for x in none))


def test_results_at_places_that_are_named() -> None:
    """Words 0 2 | 0 0 | 2 1 as places of the result: all 4 rows of 3 leave once, the last without
    a sum.  By tiles 2 + 1 + 2 rows leave GLB, 3 of them for the first time, so that 2 come back."""
    text = "O[X[n],d] += I[n,d]*g[n]"
    given: dict[str, Any] = {"I": np.ones((6, 3)), "X": WORDS, "g": np.ones(6)}
    spec = make_spec(text, sizes={"O": (4, 3)})
    design = arch(small())
    whole = charge(spec, design, given, None)
    assert whole.at("DRAM", "O").writes == 12
    tiled = charge(spec, design, given, PAIRS)
    assert (tiled.at("DRAM", "O").writes, tiled.at("DRAM", "O").reads) == (12 + 6, 6)
    assert tiled.at("PE", "X").reads == tiled.ops["effectual"] == 18
    assert tiled.at("DRAM", "X").data_bits == 6 * 2
    drawn = charge(spec, design, {**given, "I": Density((6, 3), 0.5)}, PAIRS)
    assert drawn.ops["effectual"] == 9
    assert drawn.at("DRAM", "O").writes == 18
    layer = layer_of(spec, {name: np.shape(x) for name, x in given.items()})
    full = {name: Operand(np.shape(x), x) for name, x in given.items()}
    half = {**full, "I": Expected(Density((6, 3), 0.5))}
    assert structural(layer, full).share == 3 / 4  # of rows 0 to 3 words name 3, 1, 2 and 0 times
    assert structural(layer, half).share == (1 - 1 / 8 + 1 / 2 + 1 - 1 / 4) / 4
    with pytest.raises(EinsumError, match="names place 4 of axis 0 of O, which has places 0 to 3"):
        charge(spec, design, {**given, "X": WORDS + 2}, None)


@pytest.mark.parametrize("design", ["gamma", "scnn-lanes"])
def test_units_and_vectors_take_rows_as_they_are_named(design: str) -> None:
    """As if the rows had been gathered before: each as often as it is named."""
    factors = (np.arange(6).reshape(3, 2) % 3).astype(float)
    named = charge(
        make_spec("O[n,d] = W[X[n],k]*F[k,d]"),
        arch(design),
        {"W": TABLE, "X": WORDS, "F": factors},
        Mapping(roles={"W": "I", "F": "F"}),
    )
    plain = charge(
        make_spec("O[n,d] = W[n,k]*F[k,d]"),
        arch(design),
        {"W": TABLE[WORDS], "F": factors},
        Mapping(roles={"W": "I", "F": "F"}),
    )
    for name, unit in plain.units.items():
        assert unit.steps == named.units[name].steps > 0
    if plain.cartesian is not None:
        assert named.cartesian is not None
        assert named.cartesian.turns.tolist() == plain.cartesian.turns.tolist()
        assert named.cartesian.products == plain.cartesian.products > 0
    assert named.ops == plain.ops


@pytest.mark.parametrize(("window", "pads"), [("p+r", {1: (1, 1)}), ("2*p+r", {})], ids=str)
@pytest.mark.parametrize("how", ["two-finger", "skip-ahead", "bitmask(2)", "leader-follower"])
def test_windows_beside_what_is_named(how: str, window: str, pads: dict[int, Any]) -> None:
    """Padded, or with a place behind the last that is reached: as if rows had been gathered."""
    rng = np.random.default_rng(0)
    table, factors = ((rng.random(shape) < 0.6) * 1.0 for shape in ((4, 9, 3), (2, 3)))
    words = np.array([1, 0, 1])
    design = small({"units": {"intersect": {"how": how, "rank": "k"}}})
    steps = []
    for row, given in (("X[n]", {"W": table, "X": words}), ("n", {"W": table[words]})):
        spec = make_spec(f"O[n,p] = W[{row},{window},k]*g[r,k]", pad={"W": pads} if pads else {})
        charged = charge(
            spec, arch(design), {**given, "g": factors}, Mapping("n p r k", space={}, sync="none")
        )
        steps.append(charged.units["intersect"].steps)
    assert steps[0] == steps[1] > 0


def test_vectors_of_windows_beside_what_is_named() -> None:
    """The same of lanes."""
    words = np.array([1, 0, 1])
    design = small(
        {
            "multipliers": 16,
            "lanes": {"I": 4, "F": 4},
            "sparse": ["skip I,F @MAC"],
            "formats": {x: {"DRAM": "C"} for x in "IF"},
        }
    )
    for window, pads in (("p+r", {1: (1, 1)}), ("2*p+r", {})):
        found = []
        for row, given in (
            ("X[n]", {"W": np.ones((4, 9)), "X": words}),
            ("n", {"W": np.ones((3, 9))}),
        ):
            spec = make_spec(f"O[n,p] = W[{row},{window}]*g[r,n]", pad={"W": pads} if pads else {})
            roles = {"W": "I", "g": "F"}
            by = Mapping("n p r", space={}, sync="n", roles=roles)
            vectors = charge(spec, arch(design), {**given, "g": np.ones((2, 3))}, by).cartesian
            assert vectors is not None
            found.append((vectors.products, vectors.turns.tolist()))
        assert found[0] == found[1]


def test_one_that_is_read_twice_is_no_two_fibers() -> None:
    spec = make_spec("O[n,m] = W[X[n],k]*W[m,k]")
    design = {**small(), "units": {"intersect": {"how": "two-finger"}}}
    with pytest.raises(ArchError) as refused:
        charge(spec, arch(design), {"W": TABLE, "X": WORDS}, Mapping("n m k", space={}))
    assert str(refused.value) == (
        "W is read twice, once where an index tensor says, and units and lanes are charged for it "
        "as it is read\nHand over the same array by two names."
    )


def test_vectors_of_densities_that_are_named_are_refused() -> None:
    given = {"W": Density((4, 3), 0.5), "X": WORDS, "F": np.ones((3, 2))}
    with pytest.raises(ArchError, match=r"lanes: of densities, vectors of .* are not counted"):
        charge(make_spec("O[n,d] = W[X[n],k]*F[k,d]"), arch("scnn-lanes"), given)


SKIPPING: dict[str, Any] = {
    "sparse": ["skip W,g"],
    "formats": {"W": {"DRAM": "C(5)"}, "g": {"DRAM": "B"}},
}


@pytest.mark.parametrize(
    ("mapping", "more"), [(None, {}), (PAIRS, {}), (None, SKIPPING), (PAIRS, SKIPPING)]
)
def test_means_of_densities_are_those_of_draws(mapping: Mapping | None, more: Any) -> None:
    """Figures that are linear in what is drawn; a name is a place, whatever lies there."""
    table, factors, draws = Density((4, 3), 0.5), Density((6,), 0.5), 200
    expected = made(SCALED, mapping, more, W=table, X=WORDS, g=factors)
    rng = np.random.default_rng(3)
    found = [
        made(SCALED, mapping, more, W=table.sample(rng), X=WORDS, g=factors.sample(rng))
        for _ in range(draws)
    ]
    tags = expected.tags
    assert tags["ops"] == tags["traffic"] == tags["energy_pj"] == "exact in expectation"
    assert str(expected.formula("effectual")) == "18*d_W*d_g"

    def figures(one: Charge) -> list[float]:
        moves = [m.bits for _, m in sorted(one.traffic.items())]
        return [*one.ops.values(), *moves, one.energy_pj, one.multiplications["effectual"]]

    every = np.array([figures(one) for one in found])
    error = every.std(axis=0) / draws**0.5
    assert (np.abs(every.mean(axis=0) - figures(expected)) <= 4.5 * error + 1e-6).all()
    assert expected.at("DRAM", "X").reads == 6


def test_rows_of_densities_that_nobody_names_never_come() -> None:
    """Of 4 rows 3 are named, each of 3 places of which half hold something; tiles bring 4 rows."""
    more = {"formats": {"W": {"DRAM": "C(5)"}}}
    given: dict[str, Any] = {"W": Density((4, 3), 0.5), "X": WORDS, "g": np.ones(6)}
    assert made(SCALED, None, more, **given).at("DRAM", "W").reads == 4.5
    assert made(SCALED, PAIRS, more, **given).at("DRAM", "W").reads == 6


def test_data_measured_as_densities_are_named_by_the_same() -> None:
    real = made(SCALED, W=TABLE, X=WORDS, g=np.array([1, 0, 1, 1, 0, 1]))
    rows = compare(real, ladder=True)
    uniform = 18 * (9 / 12) * (4 / 6)
    assert next(row for row in rows if row["figure"] == "effectual")["uniform"] == uniform


def test_names_in_the_text_do_not_meet() -> None:
    """A rank x beside an index tensor X, whose extent would have its name."""
    charged = made("O[x,d] = W[X[x],d]*indexX[x]", W=TABLE, X=WORDS, indexX=np.ones(6))
    assert charged.at("DRAM", "W").reads == 9
