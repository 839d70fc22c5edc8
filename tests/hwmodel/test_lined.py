"""Charges of products in whole lines, through a cache and by units, against plain counting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fiber_judges import cached, intersected, merged_by_list, merged_in_passes
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.convert import tensor
from zeroskip.hwmodel import Charge, Mapping, arch, charge, evaluate

PRODUCT = "Z[m,n] = A[m,k]*B[k,n]"
ROWS = Mapping("m k n", space={"m": "pe"})
LINES: dict[str, Any] = {"read_bits": 64, "write_bits": 16, "pointer_bits": 24}


def design(**changes: Any) -> dict[str, Any]:
    formats = {
        "A": {"DRAM": "a:U b:C(20)", "GLB": "CSR"},
        "B": {"DRAM": "a:C(12) b:C(20)", "GLB": "CSR"},
        "O": {"DRAM": "a:C(12) b:C(20)", "GLB": "U"},
    }
    return {
        "name": "lined",
        "array": {"pe": 2},
        "value_bits": 40,
        "sync": "none",
        "energy": "eyeriss-relative",
        "levels": {
            "DRAM": {"lines": LINES},
            "GLB": {"cache": "bypass", "capacity_bits": 700},
            "PE": {},
        },
        "units": {
            "intersect": {"how": "skip-ahead", "rate": 3},
            "merge": {"how": "tree", "radix": 3, "rate": 0.5},
        },
        "sparse": ["skip A,B"],
        "formats": formats,
        **changes,
    }


def run(source: Any, a: np.ndarray, b: np.ndarray, text: str = PRODUCT) -> Charge:
    return charge(make_spec(text), arch(source), {"A": tensor(a, "CSR"), "B": b}, ROWS)


def up(fields: int, bits: int, line: int) -> int:
    return -(-fields * bits // line) * line


def pointers(places: list[int], line: int) -> int:
    """Bits of the lines that hold a bit of these pointers."""
    return line * len({bit // line for p in places for bit in range(24 * p, 24 * p + 24)})


def drawn(seed: int, density: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    m, k, n = rng.integers(1, 9, 3)
    a, b = (rng.random((m, k)) < density) * 2.0, (rng.random((k, n)) < density) * 3.0
    b[rng.integers(0, k)] = 0
    return a, b


@settings(max_examples=20)
@given(st.integers(0, 2**16), st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.sampled_from([16, 64]))
def test_lines_cache_and_units(seed: int, density: float, read: int) -> None:
    a, b = drawn(seed, density)
    lists = "unread" if seed % 2 else "read"
    lines = {**LINES, "read_bits": read, "lists": lists}
    levels = {**design()["levels"], "DRAM": {"lines": lines}}
    found = run(design(levels=levels), a, b)
    rows = [np.flatnonzero(row).tolist() for row in b]
    held = [k for k in range(len(rows)) if rows[k]]
    trace = [int(k) for row in a for k in np.flatnonzero(row)]
    sizes = [up(len(r), 20, read) + up(len(r), 40, read) for r in rows]
    fetched = [k for k, m in zip(trace, cached(trace, sizes, 700, "bypass"), strict=True) if m]

    moved = found.at("DRAM", "A")
    entries = [int(np.count_nonzero(row)) for row in a]
    assert moved.reads == sum(entries)
    assert moved.read_data_bits == sum(up(e, 40, read) for e in entries)
    assert moved.read_metadata_bits == pointers(list(range(len(a))), read) + sum(
        up(e, 20, read) for e in entries
    )
    moved = found.at("DRAM", "B")
    top = up(len(held), 12, read) if lists == "read" else 0
    looked = [sum(h < k for h in held) for k in set(trace)]
    assert moved.reads == sum(len(rows[k]) for k in fetched)
    assert moved.bits == sum(sizes[k] for k in fetched) + top + pointers(looked, read)
    assert found.at("GLB", "B").write_bits == moved.bits
    assert found.at("GLB", "B").writes == moved.reads
    moved = found.at("DRAM", "Z")
    z = [int(n) for n in np.count_nonzero(a @ b, axis=1)]
    full = [n for n in z if n]
    assert moved.writes == sum(full)
    assert moved.write_data_bits == sum(up(n, 40, 16) for n in full)
    top = up(len(full), 12, 16) if lists == "read" else 0
    assert moved.write_metadata_bits == top + pointers(list(range(len(full))), 16) + sum(
        up(n, 20, 16) for n in full
    )

    fibers = [[rows[k] for k in np.flatnonzero(row)] for row in a]
    merged = sum(merged_in_passes(group, 3) for group in fibers)
    assert (found.units["merge"].steps, found.units["merge"].cycles) == (merged, 2 * merged)
    columns = [np.flatnonzero(column).tolist() for column in b.T]
    steps = sum(
        intersected("skip-ahead", np.flatnonzero(row).tolist(), column, len(b))
        for row in a
        for column in columns
    )
    assert (found.units["intersect"].steps, found.units["intersect"].cycles) == (
        steps,
        -(-steps // 3),
    )
    assert found.cycles >= max(2 * merged, -(-steps // 3))
    listed = run(design(units={"merge": {"how": "list"}}), a, b).units["merge"].steps
    assert listed == sum(map(merged_by_list, fibers))


def test_large_masks_are_not_scattered(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = drawn(7, 0.4)
    b = tensor(b, "CSR")
    wanted = run(design(), a, b)
    monkeypatch.setattr(evaluate, "MOST_SCATTERED", 0)
    monkeypatch.setattr(evaluate.Operand, "_scatter", None)
    found = run(design(units={"merge": {"how": "tree", "radix": 3}}), a, b)
    assert found.ops == wanted.ops
    assert found.traffic == wanted.traffic
    assert found.units["merge"].steps == wanted.units["merge"].steps


def test_scans_of_large_masks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from zeroskip.hwmodel import unit_charges

    a, b = np.ones((4, 3)), np.ones((3, 5))
    monkeypatch.setattr(unit_charges, "MOST_SCATTERED", 14)
    with pytest.raises(ArchError) as error:
        run(design(), a, b)
    assert str(error.value) == (
        "units.intersect: scans at most 14 places of an operand, found A of shape (4, 3) and B of "
        "shape (3, 5)\n"
        "Use leader-follower or bitmask, or leave intersect out of the architecture."
    )


def test_units_stand_in_what_is_printed_and_in_the_accounting() -> None:
    a, b = drawn(3, 0.5)
    found = run(design(), a, b)
    assert "merge tree, radix 3, 0.5 steps a cycle" in str(found.arch)
    assert "lines: of 64 bits read, 16 written; pointers of 24" in str(found.arch)
    assert "cache: whole fibers, bypass" in str(found.arch)
    assert "stepsLiveL" not in found.accounting
    assert "# steps of merge tree, radix 3, 0.5 steps a cycle" in found.accounting
    figures = {row["figure"]: row[found.arch.name] for row in found.table()}
    assert figures["steps, merge"] == found.units["merge"].steps
    assert figures["cycles, intersect"] == found.units["intersect"].cycles
    assert "energy of finding pairs of stored entries (intersection)" in found.missing
    assert "energy of merging" in found.missing
    plain = found.arch.without_sparsity()
    assert (plain.units, plain.off_chip.lines, plain.buffer.cache) == ((), None, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"units": {"sort": {"how": "tree"}}},
            "units.sort in the dict given: expected intersect or merge, found 'sort'",
        ),
        (
            {"units": {"merge": {"how": "heap"}}},
            "units.merge.how in the dict given: expected tree, list, found 'heap'",
        ),
        (
            {"units": {"merge": {"how": "tree", "radix": 1}}},
            "units.merge.radix in the dict given: expected 2 or more, found 1",
        ),
        (
            {"levels": {"DRAM": {}, "GLB": {"cache": "fifo"}, "PE": {}}},
            "levels.GLB.cache in the dict given: expected lru, optimal, bypass, found 'fifo'",
        ),
        (
            {"levels": {"DRAM": {"cache": "lru"}, "GLB": {}, "PE": {}}},
            "levels.DRAM.cache in the dict given: expected no cache: only a level that all PEs "
            "share is one as yet",
        ),
        (
            {"levels": {"DRAM": {}, "GLB": {"lines": LINES}, "PE": {}}},
            "levels.GLB.lines in the dict given: expected no lines: only the level off chip has "
            "them as yet",
        ),
    ],
)
def test_errors_name_the_key(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ArchError) as error:
        arch(design(**changes))
    assert str(error.value).splitlines()[0] == said


def test_designs_without_a_shared_level() -> None:
    plain = arch(design(levels={"DRAM": {}, "PE": {}}, formats={}, units={}))
    assert [level.name for level in plain.without_sparsity().levels] == ["DRAM", "PE"]


def test_formats_that_lines_and_caches_do_not_have() -> None:
    a, b = drawn(4, 0.5)
    formats = {**design()["formats"], "B": {"DRAM": "B", "GLB": "CSR"}}
    with pytest.raises(ArchError, match="is not modelled in whole lines as yet"):
        run(design(formats=formats), a, b)


def test_pointers_of_nothing_go_through_coders_too() -> None:
    """No entry comes or leaves; of either tensor 3 pointers of 24 bits do, in two lines of 64 or
    five of 16."""
    levels = {"DRAM": {"lines": LINES}, "GLB": {}, "PE": {}}
    packed = {"DRAM": "a:U b:C(20)", "GLB": "U"}
    formats = {"A": packed, "B": {"DRAM": "U"}, "O": packed}
    source = design(levels=levels, formats=formats, units={}, sparse=[])
    found = run(source, np.zeros((3, 4)), np.ones((4, 2)))
    for name, bits in (("A", 128), ("Z", 80)):
        at = found.at("DRAM", name)
        assert (at.reads + at.writes, at.bits) == (0, bits)
        assert at.decoded_bits + at.encoded_bits == bits
