"""Mappings: the default for any layer, what may be stated, and errors that name the loop."""

from __future__ import annotations

import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Mapping, arch
from zeroskip.hwmodel.layer import layer_of
from zeroskip.hwmodel.mapping import Schedule, complete


def scheduled(
    text: str, shapes: dict[str, tuple[int, ...]], mapping: Mapping | None = None
) -> Schedule:
    return complete(mapping, layer_of(make_spec(text), shapes), arch("dense"))


CONV = "O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]"
CONV_SHAPES = {"I": (2, 3, 6, 7), "F": (4, 3, 3, 3)}


@pytest.mark.parametrize(
    ("text", "shapes", "expected"),
    [
        (
            CONV,
            CONV_SHAPES,
            "order c n m r s p q; sync c; space p: rows, q: cols; roles F: F, I: I",
        ),
        (
            CONV,
            {"I": (2, 3, 3, 3), "F": (4, 3, 3, 3)},
            "order c p q r s n m; sync c; space n: rows, m: cols; roles F: F, I: I",
        ),
        (
            CONV,
            {"I": (1, 3, 3, 3), "F": (4, 3, 3, 3)},
            "order c n p q r s m; sync c; space m: rows*cols; roles F: F, I: I",
        ),
        (
            "Z[m,n] = A[m,k]*B[k,n]",
            {"A": (4, 5), "B": (5, 6)},
            "order k m n; sync k; space m: rows, n: cols; roles A: I, B: F",
        ),
        (
            "y[m] = W[m,k]*x[k]",
            {"W": (4, 5), "x": (5,)},
            "order k m; sync k; space m: rows*cols; roles W: F, x: I",
        ),
        (
            "O[b,o] = relu(B[o] + W[o,i]*X[b,i])",
            {"B": (4,), "W": (4, 5), "X": (3, 5)},
            "order i b o; sync i; space b: rows, o: cols; roles B: bias, W: F, X: I",
        ),
        (
            "Z = A[k]*B[k]",
            {"A": (4,), "B": (4,)},
            "order k; sync k; space none: one PE; roles A: I, B: F",
        ),
        (
            "Z[i,j] = A[i,j]*B[i,j]",
            {"A": (4, 5), "B": (4, 5)},
            "order i j; sync none; space i: rows, j: cols; roles A: I, B: F",
        ),
    ],
)
def test_the_default_of_a_layer(
    text: str, shapes: dict[str, tuple[int, ...]], expected: str
) -> None:
    assert str(scheduled(text, shapes)) == expected


def test_what_is_stated_is_kept_and_the_rest_derived() -> None:
    mapping = Mapping(split={"m": [2]}, space={"p": "rows*cols"}, roles={"I": "F", "F": "I"})
    assert str(mapping) == (
        "order (derived); sync (derived); space p: rows*cols; split m: 2; roles F: I, I: F"
    )
    text = "order m1 c n m0 q r s p; sync c; space p: rows*cols; split m: 2; roles F: I, I: F"
    layer = layer_of(make_spec(CONV), CONV_SHAPES, mapping.roles)
    schedule = complete(mapping, layer, arch("dense"))
    assert str(schedule) == text
    assert [(s.rank, s.block, s.count) for s in schedule.steps] == [("m", 2, 2), ("c", 1, 3)]
    assert [(a.rank, a.tiles) for a in schedule.across] == [("p", 16)]


def test_all_loops_to_the_sync_are_steps() -> None:
    schedule = scheduled(CONV, CONV_SHAPES, Mapping("n m c r s p q"))
    assert [s.rank for s in schedule.steps] == ["n", "m", "c"]
    schedule = scheduled(CONV, CONV_SHAPES, Mapping("n m c r s p q", sync="none"))
    assert schedule.steps == ()


def test_an_architecture_can_wait_at_the_end_only() -> None:
    design = {
        "name": "free",
        "array": {"rows": 2, "cols": 2},
        "sync": "none",
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
    }
    layer = layer_of(make_spec(CONV), CONV_SHAPES)
    assert complete(None, layer, arch(design)).steps == ()


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (Mapping("c n m"), "order: expected each of n, m, p, q, c, r, s once, found c, n, m"),
        (Mapping(sync="x"), "sync x: expected none or one of the loops "),
        (Mapping(space={"x": "rows"}), "space names x, which is no rank; ranks: n, m, p, q, c, r"),
        (
            Mapping(space={"p": "depth"}),
            "space of p: dense has no dimension depth; it has rows, cols",
        ),
        (Mapping(space={"p": "rows", "q": "rows"}), "space: dimension rows is taken twice"),
        (Mapping(split={"x": 2}), "split names x, which is no rank; ranks: n, m, p"),
        (
            Mapping(split={"p": 2}, space={"p": "rows"}),
            "space names p, which is split: name one of its loops p1, p0",
        ),
        (
            Mapping(split={"q": 2}, space={"q0": "rows", "p": "cols", "q1": "rows"}),
            "space: dimension rows is taken twice",
        ),
        (
            Mapping("@L2 n m c p q r s"),
            "order: @L2: dense has no level L2; it has DRAM, GLB, PE",
        ),
        (
            Mapping("@DRAM n m c p q r s"),
            "order: @DRAM: DRAM is the outermost level, which has every tensor",
        ),
        (
            Mapping("@GLB(X) n m c p q r s"),
            "order: @GLB(X): X is neither a tensor of this layer (F, I, O) nor a role",
        ),
        (Mapping("@GLB( n m c p q r s"), "order: expected a mark such as @GLB or @PE(I,F)"),
        (
            Mapping("@GLB n @GLB(I) m c p q r s"),
            "order: @GLB and @GLB(I) both keep I",
        ),
        (
            Mapping("@PE n @GLB m c p q r s", sync="c"),
            "order: @PE keeps F from a loop outside GLB, which is around PE\nMove @PE inside @GLB.",
        ),
        (
            Mapping(keep={"L3": "I"}),
            "keep L3: dense has no level L3; it has DRAM, GLB, PE",
        ),
        (
            Mapping("p c n m q r s", sync="c"),
            "p runs across PEs and cannot stand outside the sync, in order p c n m q r s with "
            "sync c\nMove p inside c.",
        ),
    ],
)
def test_what_does_not_fit_is_named(mapping: Mapping, message: str) -> None:
    with pytest.raises(ArchError) as caught:
        scheduled(CONV, CONV_SHAPES, mapping)
    assert message in str(caught.value)


def test_parts_of_a_rank_have_room_across_pes() -> None:
    mapping = Mapping(split={"m": 2}, space={"m0": "rows", "m1": "cols"})
    schedule = scheduled(CONV, {"I": (2, 3, 6, 7), "F": (8, 3, 3, 3)}, mapping)
    assert [(x.name, x.block, x.spans, x.count) for x in schedule.across] == [
        ("m0", 1, (2,), 2),
        ("m1", 2, (), 4),
    ]
    with pytest.raises(ArchError) as caught:
        scheduled(CONV, {"I": (2, 3, 6, 7), "F": (9, 3, 3, 3)}, mapping)
    assert str(caught.value) == (
        "space of m1: it has 5 iterations, and cols 4 PEs\n"
        "Split m once more, so that the loop across has at most 4."
    )


def test_a_rank_of_several_places_in_one_pe_stands_inside_its_marks() -> None:
    shapes = {"I": (2, 3, 10, 7), "F": (4, 3, 3, 3)}
    with pytest.raises(ArchError) as caught:
        scheduled(CONV, shapes, Mapping("n c p @PE m q r s", space={"p": "rows"}, sync="c"))
    assert str(caught.value) == (
        "order: p has 8 iterations on 4 PEs and stands outside @PE, which keeps F in each\n"
        "Split it once more, so that the loop across PEs has at most 4."
    )


def test_marks_say_where_tensors_are_kept() -> None:
    mapping = Mapping("n @GLB c @PE(O) m @PE(I,F) p q r s", space={}, sync="c", keep={"GLB": "I,O"})
    stays = scheduled(CONV, CONV_SHAPES, mapping).stays
    assert [(s.level, s.position) for s in stays["I"]] == [("DRAM", 0), ("GLB", 1), ("PE", 3)]
    assert [(s.level, s.position) for s in stays["F"]] == [("DRAM", 0), ("PE", 3)]
    assert [(s.level, s.position) for s in stays["O"]] == [("DRAM", 0), ("GLB", 1), ("PE", 2)]
    assert "order n @GLB c @PE(O) m @PE(I,F) p q r s; " in str(mapping)
    assert "keep GLB: I,O" in str(mapping)


@pytest.mark.parametrize("blocks", [[16, 3, 3], [4, 4], [2, 4], []])
def test_blocks_are_cut_into_smaller_ones(blocks: list[int]) -> None:
    with pytest.raises(ArchError, match="split of m: expected"):
        Mapping(split={"m": blocks})


@pytest.mark.parametrize("block", [0, -1, True, "2", [2, 3], 1.5])
def test_a_block_is_one_whole_number(block: object) -> None:
    with pytest.raises(ArchError, match="split of m: expected"):
        Mapping(split={"m": block})  # type: ignore[dict-item]


def test_roles_are_checked() -> None:
    spec = make_spec(CONV)
    with pytest.raises(ArchError, match="roles name X, which is no operand; operands: F, I"):
        layer_of(spec, CONV_SHAPES, {"X": "I"})
    with pytest.raises(ArchError, match="role of I: expected I or F or bias, found 'W'"):
        layer_of(spec, CONV_SHAPES, {"I": "W"})


def test_a_window_tells_the_activation_where_names_do_not() -> None:
    spec = make_spec("Z[m,p] = U1[m,r]*V[p+r]", sizes={"r": 2})
    assert layer_of(spec, {"U1": (3, 2), "V": (5,)}).roles == {"U1": "F", "V": "I"}


def test_a_rank_that_is_split_does_not_go_across_pes_by_default() -> None:
    made = scheduled("y[i] = A[i,j]*x[j]", {"A": (4, 5), "x": (5,)}, Mapping(split={"i": 2}))
    assert str(made.mapping).startswith("order i1 j i0; sync j; space none: one PE; split i: 2")
    made = scheduled("Z[m,n] = A[m,k]*B[k,n]", {"A": (4, 5), "B": (5, 6)}, Mapping(split={"m": 2}))
    assert str(made.mapping).startswith("order m1 k m0 n; sync k; space n: rows*cols; split m: 2")


@pytest.mark.parametrize(
    ("kinds", "line"),
    [
        ({"order": 3}, 'order: expected names, such as "rows", found 3'),
        ({"order": [1, 2]}, "order: expected names"),
        ({"split": 3}, "split: expected a dict by rank or operand, found 3"),
        ({"split": {1: 2}}, "split: expected names as keys, found 1"),
        ({"roles": {1: "F"}}, "roles: expected names as keys, found 1"),
        ({"space": 3}, "space: expected a dict"),
        ({"space": {"i": 3}}, "space: expected names"),
        ({"space": {"i": []}}, "space: expected names"),
        ({"sync": 3}, 'sync: expected the name of a loop or "none", found 3'),
        ({"roles": 3}, "roles: expected a dict"),
    ],
)
def test_parts_of_the_wrong_kind_are_named(kinds, line) -> None:
    with pytest.raises(ArchError) as caught:
        Mapping(**kinds)
    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("y[i] = A[i,j]*x[j]", {"A": "F", "x": "I"}),
        ("Z[m,n] = A[m,k]*B[k,n]", {"A": "I", "B": "F"}),
        ("Z[m,n] = W[m,k]*A[k,n]", {"W": "F", "A": "I"}),
        ("Z[m,n] = A[m,k]*X[k,n]", {"A": "F", "X": "I"}),
    ],
)
def test_one_operand_of_a_matrix_product_is_the_activation(
    text: str, roles: dict[str, str]
) -> None:
    spec = make_spec(text)
    shapes = {name: (4,) * len(access) for name, access in ranks_by_operand(text).items()}
    assert layer_of(spec, shapes).roles == roles


def ranks_by_operand(text: str) -> dict[str, list[str]]:
    right = text.split(" = ")[1].split("*")
    return {access[0]: access[2:-1].split(",") for access in right}
