"""Tiles that spill: what fits stays, the rest is read from further out at each use."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from cases import NETS, cases
from described import bits_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from judged import Drawn, drawn, result_room, with_time
from layers import one_pe
from mapped_cases import mappings
from mapped_nest import Nest
from nest_parts import Design, Place
from simulator import simulate
from spill_judge import dealt, staying

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError, ZeroskipError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import Charge, Mapping, arch, charge, eyexam
from zeroskip.hwmodel.charging import known_operands
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.spilling import shares
from zeroskip.native import engine

pytestmark = pytest.mark.usefixtures("without_compiling")


A = np.zeros((4, 5))
A[0, :2] = A[2, :4] = 1


def product(capacity: int = 64, **changes: Any) -> Charge:
    """Rows in pairs, three columns; the pairs of A hold 2 and 4 entries of 19 bits each."""
    levels = {"DRAM": {}, "GLB": {"capacity_bits": capacity}, "PE": {}}
    packed = {"A": {"DRAM": "CSR", "GLB": "CSR"}}
    design = one_pe(**({"levels": levels, "formats": packed} | changes.pop("design", {})))
    operands = {"A": A, "B": np.ones((5, 3))} | changes.pop("operands", {})
    given = {"keep": {"GLB": "A"}, "overflow": {"GLB": "spill"}} | changes
    order = given.pop("order", "m1 n @GLB m0 k @PE")
    mapped = Mapping(order, {"m": 2}, {}, sync="n", **given)
    return charge(make_spec("Z[m,n] = A[m,k]*B[k,n]"), arch(design), operands, mapped)


def test_by_hand() -> None:
    """Three entries of 19 bits go into 64; the fourth of the second pair is read for each n."""
    c = product()
    assert c.at("GLB", "A").writes == 2 + 3
    assert c.at("GLB", "A").reads == 3 * 5
    assert c.at("DRAM", "A").reads == 5 + 3 * 1
    assert c.at("PE", "A").writes == 3 * 6
    assert c.overflow == ()
    assert [(room.level, room.needed_bits) for room in c.capacity][:1] == [("GLB", 57)]


def test_what_fits_is_charged_as_ever() -> None:
    assert product(76).accounting == product(overflow={}).accounting
    assert product(76).spills == ()


def test_it_is_told() -> None:
    c = product()
    assert c.spills == (
        "GLB keeps 64 bits of each tile of A; 1 of 6 entries pass it, and are read from DRAM at "
        "each use",
    )
    assert f"spill: {c.spills[0]}" in str(c)
    assert f"storage: {c.spills[0]}" in str(eyexam(c))
    assert "fetchedA_from_DRAM += N*heldA_from_DRAM[m1,m0,k]" in c.accounting.splitlines()


@pytest.mark.parametrize(
    ("needs", "room", "found"),
    [
        ([5, 3, 9], 20, [5, 3, 9]),
        ([5, 3, 9], 16, [5, 3, 8]),
        ([5, 3, 9], 10, [3, 3, 3]),
        ([2, 9, 9], 11, [2, 4, 4]),
        ([4, 4], 0, [0, 0]),
        ([], 7, []),
    ],
)
def test_room_is_dealt_out(needs: list[int], room: int, found: list[int]) -> None:
    assert shares(needs, room) == found


SMALL_PE = {"levels": {"DRAM": {}, "GLB": {}, "PE": {"capacity_bits": 40}}}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"operands": {"A": Density((4, 5), 0.5)}}, "overflow GLB: spill: .* A is a Density\nDraw"),
        (
            {"keep": {"GLB": "A,Z"}, "order": "n @GLB k m1 @PE(Z) m0", "capacity": 100},
            "overflow GLB: spill: Z alone takes 128 bits, and GLB holds 100: sums that are not",
        ),
        ({"overflow": {"PE": "spill"}, "design": SMALL_PE}, "overflow PE: spill: units read PE at"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ZeroskipError, match=text):
        product(**changes)


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_the_text_gives_the_masks_that_are_used(backend: str) -> None:
    check_text(product(), {"A": A}, backend)


def check_text(charged: Charge, arrays: dict[str, Any], backend: str) -> None:
    """The lines that are printed give the masks that are used."""
    accounting = charged.cascade
    spec = make_spec(accounting.scans)
    sizes = {name: n for name, n in accounting.sizes.items() if name in spec.ranks}
    shapes = {n: s for n, s in accounting.shapes.items() if n in accounting.scans}
    known = {n: Operand(x.shape, x) for n, x in known_operands(arrays).items()}
    masks = {n: accounting.masks[n] for n in spec.operands}
    handed = {n: known[mask.tensor].mask(mask) for n, mask in masks.items()}
    sized = make_spec(accounting.scans, sizes=sizes | shapes)
    found = engine.evaluate(sized, handed, backend=backend)
    for name, mask in accounting.given.items():
        assert np.array_equal(found[name], mask), name


def stays_of(made: Drawn, capacities: dict[str, int]) -> dict[tuple[int, int, str], set[Place]]:
    """What the judge says stays."""
    return what_stays(made.nest(), made.design, made.formats, capacities)


def what_stays(
    nest: Nest, design: Design, formats: dict[str, dict[str, str]], capacities: dict[str, int]
) -> dict[tuple[int, int, str], set[Place]]:
    """The same of a nest."""
    bits = partial(bits_of, formats)
    found = simulate(nest, design)["counts"]
    result = result_room(nest, found)
    needs: dict[str, dict[int, dict[int, int]]] = {level: {} for level in capacities}
    for level, by_term in needs.items():
        for number, term in enumerate(nest.work()):
            by_term[number] = {}
            for i, access in enumerate(term):
                if level in dict(nest.stays[access.tensor]):
                    by_term[number][i] = found[f"{number}.{i}.{level}.most"]
    stays = {}
    for number, term in enumerate(nest.additions()):
        for i, access in enumerate(term):
            for level, _ in nest.keeping(access.tensor)[1:]:
                result[level] += found[f"+{number}.{i}.{level}.most"]  # it stays beside the result
    for level, capacity in capacities.items():
        most = max(sum(of_term.values()) for of_term in needs[level].values())
        if result[level] + most <= capacity:
            continue
        for number, of_term in needs[level].items():
            for i, room in dealt(of_term, capacity - result[level]).items():
                if room < of_term[i]:
                    term = nest.work()[number]
                    stay = level, dict(nest.stays[term[i].tensor])[level]
                    fresh, parts, _ = nest.parts(term, term[i], *stay)
                    each = room // nest.at_a_time(fresh, parts, nest.points(term))
                    stays[number, i, level] = staying(nest, term, term[i], stay, each, bits)
    return stays


@pytest.mark.parametrize("name", list(NETS))
@settings(max_examples=2)
@given(data=st.data())
def test_any_mapping(name: str, data: st.DataObject) -> None:
    case = data.draw(cases((name,)))
    mapped = data.draw(mappings(case, together_too=data.draw(st.booleans())))
    made = drawn(data, case, mapped, tiles=True)
    made = spilling(data, with_time(data, made) if data.draw(st.booleans()) else made)
    charged = made.charge()
    made.check(charged)
    if all(spill.fits.size < 100 for spill in charged.schedule.spills):
        check_text(charged, case.arrays, "numpy")


def spilling(data: st.DataObject, made: Drawn) -> Drawn:
    """The same with levels that are too small."""
    capacities = {}
    for room in made.charge().capacity[:-1]:
        least = max(room.result_bits + room.added_bits, 1)
        if room.needed_bits > least:
            capacities[room.level] = data.draw(st.integers(least, room.needed_bits - 1))
    assume(capacities)
    for level, bits in capacities.items():
        made.described["levels"] = {
            name: entry | ({"capacity_bits": bits} if name == level else {})
            for name, entry in made.described["levels"].items()
        }
    made.mapped = replace(
        made.mapped,
        mapping=replace(made.mapped.mapping, overflow=dict.fromkeys(capacities, "spill")),
    )
    with suppress(ArchError):  # of tiles that share places
        made.charge()
        made.stays = stays_of(made, capacities)
        return made
    with pytest.raises(ArchError, match="share places"):
        made.charge()
    assume(False)
    return made
