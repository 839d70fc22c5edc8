"""What changes its format between two levels, by hand, against the simulations, and on average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import cases
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from judged import drawn, with_time
from layers import one_pe
from mapped_cases import mappings

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel import (
    Charge,
    Mapping,
    arch,
    charge,
    expected_cycles,
    plan,
    stored,
    traffic,
    transpose,
)

A = np.array([1.0, 0, 0, 1.0, 0, 0, 0, 1.0])
LINE = "Z = A[k]*B[k]"


def charged(formats: Any, a: Any = A, text: str = LINE, **more: Any) -> Charge:
    levels = {name: more.pop(name, {}) for name in ("DRAM", "GLB", "PE")}
    described = one_pe(levels=levels) | {"formats": formats} | more
    return charge(make_spec(text), arch(described), {"A": a, "B": np.ones(8)})


PACKED = {"A": {"DRAM": "C", "GLB": "B", "PE": "U"}}


def test_each_level_decodes_what_leaves_its_format_and_encodes_what_enters() -> None:
    """3 entries of 16 + 3 bits off chip; 3 of 16 and 8 bits of mask in GLB; 8 places in the PE."""
    found = charged(PACKED)
    coded = [(found.at(x, "A").decoded_bits, found.at(x, "A").encoded_bits) for x in PACKED["A"]]
    assert coded == [(3 * 19, 0), (3 * 16 + 8, 3 * 16 + 8), (0, 0)]
    plain = [found.at(x, "B") for x in PACKED["A"]]
    assert not any(at.decoded_bits or at.encoded_bits for at in plain)
    assert found.at("network", "A").encoded_bits == 0


@pytest.mark.parametrize(
    ("level", "key", "rate", "cycles"),
    [
        ("DRAM", "decode", 3, 19),
        ("DRAM", "encode", 3, 0),
        ("GLB", "encode", 5, 12),
        ("GLB", "decode", 0.5, 112),
    ],
)
def test_coders_bound_their_level(level: str, key: str, rate: float, cycles: int) -> None:
    found = charged(PACKED, **{level: {f"{key}_bits_per_cycle": rate}})
    assert found.bandwidth_cycles == {level: cycles}
    assert found.cycles == max(cycles, 8)
    said = f"{level} {key}s A: all of their bits, values and metadata, at {rate:g} a cycle"
    assert any(said in text for text in found.assumptions) == (cycles > 0)


def test_one_format_is_never_coded_and_no_rate_is_no_time() -> None:
    alike = charged({"A": {"DRAM": "C"}}, DRAM={"decode_bits_per_cycle": 1})
    assert alike.at("PE", "A").write_metadata_bits > 0
    assert alike.bandwidth_cycles == {"DRAM": 0}
    assert not any("formats change" in text for text in alike.assumptions)
    free = charged(PACKED)
    assert free.bandwidth_cycles == {}
    said = "formats change in no time: DRAM decodes A; GLB encodes A; GLB decodes A"
    assert any(text.startswith(said) for text in free.assumptions)


@pytest.mark.parametrize("said", ["C", "B", "U"])
@pytest.mark.parametrize("whole", [False, True])
def test_a_cache_has_what_lies_outside_whatever_its_format_says(said: str, whole: bool) -> None:
    """GLB decodes what it hands to units that read U, and nothing that they read as it lies."""
    described = one_pe(levels={"DRAM": {}, "GLB": {"cache": "lru"}, "PE": {}})
    text, operands = "Z[m] = A[m,k]*B[k]", {"A": A.reshape(2, 4), "B": np.ones(4)}
    order = Mapping("@PE m k" if whole else "m k", {}, {}, sync="none")
    for inside in ("U", "0:U 1:C"):
        glb = said if said == "U" else f"0:U 1:{said}"
        described["formats"] = {"A": {"DRAM": "0:U 1:C", "GLB": glb, "PE": inside}}
        found = charge(make_spec(text), arch(described), operands, order)
        at = found.at("GLB", "A")
        assert at.read_bits > 0
        assert at.decoded_bits == (at.read_bits if inside == "U" else 0)
        coded = [found.at(x, "A").encoded_bits for x in ("DRAM", "GLB", "PE")]
        assert (coded, found.at("DRAM", "A").decoded_bits) == ([0, 0, 0], 0)
        changes = any("GLB decodes A" in text for text in found.assumptions)
        assert changes == (inside == "U")


def test_a_compressed_result_is_encoded_where_it_is_written() -> None:
    """8 products of 8 places, of which 3 are left: 3 of 16 + 3 bits."""
    rates = {"encode_bits_per_cycle": 2, "decode_bits_per_cycle": 1}
    found = charged({"O": {"DRAM": "C", "GLB": "U"}}, text="Z[k] = A[k]*B[k]", DRAM=rates)
    assert found.at("DRAM", "Z").encoded_bits == 3 * 19
    assert found.bandwidth_cycles == {"DRAM": 29}
    assert "energy of compressing results" in found.missing
    free = charged({"O": {"DRAM": "C", "GLB": "U"}}, text="Z[k] = A[k]*B[k]")
    assert "time and energy of compressing results" in free.missing


def test_energy_of_coders_is_missing() -> None:
    """With a rate and without; that of a compressed result is said by itself."""
    for rates in ({}, {"decode_bits_per_cycle": 1}):
        found = charged(PACKED, DRAM=rates)
        said = "energy of changing formats: DRAM decodes A; GLB encodes A; GLB decodes A"
        assert said in found.missing
    for alike in ({"A": {"DRAM": "C"}}, {"O": {"DRAM": "C", "GLB": "U"}}):
        found = charged(alike, text="Z[k] = A[k]*B[k]")
        assert not any("changing formats" in text for text in found.missing)


def test_by_epochs_a_coder_is_one_more_port() -> None:
    """Two steps of 4 places of A: the load of each decodes its share of the bits, 2 and 1 of 3."""
    described = one_pe(levels={"DRAM": {"decode_bits_per_cycle": 1}, "GLB": {}, "PE": {}})
    described |= {"formats": PACKED, "overlap": "none"}
    mapping = Mapping("k1 k0", {"k": 4}, {}, sync="k1")
    operands = {"A": A, "B": np.ones(8)}
    found = charge(make_spec(LINE), arch(described), operands, mapping).epochs
    assert found is not None
    assert found.cycles.tolist() == [2 * 19 + 4, 1 * 19 + 4]


def test_what_a_transpose_reads_is_decoded_and_what_it_writes_encoded() -> None:
    described = arch(one_pe(levels={"DRAM": {"decode_bits_per_cycle": 2}, "GLB": {}, "PE": {}}))
    x = Tensor.from_dense(np.eye(4), Format("CSR").bind(2))
    found = transpose(x, "CSR", "CSC", described)
    bits = x.storage(16).total_bits
    assert (found.moves.decoded_bits, found.moves.encoded_bits) == (bits, found.target.total_bits)
    assert found.cycles == -(-bits // 2)


def test_means_are_those_of_what_is_drawn() -> None:
    rates = {"decode_bits_per_cycle": 0.25}
    formats = {"A": {"DRAM": "C", "GLB": "B"}}
    mean = charged(formats, Density((8,), 3 / 8), DRAM=rates)
    assert mean.at("DRAM", "A").decoded_bits == pytest.approx(3 * 19)
    assert mean.bandwidth_cycles["DRAM"] == pytest.approx(3 * 19 * 4)
    assert mean.tags["traffic"] == "exact in expectation"
    assert float(mean.formula("cycles").subs("d_A", 0.5)) == pytest.approx(4 * 19 * 4)
    assert expected_cycles(mean, rounding="sparseloop")["DRAM"] == 3 * 19 * 4


def test_keys_are_printed_and_checked() -> None:
    rates = {"decode_bits_per_cycle": 4, "encode_bits_per_cycle": 2.5}
    text = str(arch(one_pe(levels={"DRAM": rates, "PE": {}})))
    assert "what changes its format: decodes 4, encodes 2.5 bits/cycle" in text
    levels = {"DRAM": {"encode_bits_per_cycle": "fast"}, "PE": {}}
    with pytest.raises(ArchError, match="expected a number of bits of what is compressed"):
        arch(one_pe(levels=levels))


def swapped(held: Format, other: Format) -> bool:
    return stored.recoded(other, held)


def whenever_packed(held: Format, other: Format) -> bool:
    del other
    return stored.recoded(held, Format("dense"))


def whenever_another(held: Format, other: Format) -> bool:
    return held != other


@pytest.mark.usefixtures("without_compiling")
@pytest.mark.parametrize("wrong", [swapped, whenever_packed, whenever_another])
@pytest.mark.parametrize("timed", [False, True])
@settings(max_examples=6)
@given(data=st.data())
def test_another_rule_is_found_out(
    wrong: Callable[[Format, Format], bool], timed: bool, data: st.DataObject
) -> None:
    case = data.draw(cases(("matrix product", "matrix vector", "elementwise")))
    made = drawn(data, case, data.draw(mappings(case)), tiles=False)
    made = with_time(data, made) if timed else made
    right = made.charge()
    with pytest.MonkeyPatch.context() as patch:
        for module in (plan, traffic):
            patch.setattr(module, "recoded", wrong)
        found = made.charge()
    assume(found.traffic != right.traffic)
    with pytest.raises(AssertionError):
        made.check(found)


@pytest.mark.parametrize("line", [None, 1])
@pytest.mark.parametrize(
    ("inside", "decoded"),
    [
        ({"GLB": "C", "PE": "B"}, 2 * (8 + 4)),  # three of 12 bits fit 40, and the others pass
        ({"GLB": "B", "PE": "C"}, 4 * (8 + 4)),  # four of 8 bits and their mask's 7; one passes
        ({"GLB": "B", "PE": "B"}, 5 * (8 + 4)),
    ],
)
def test_of_a_tile_that_spills_each_way_changes_its_own(
    line: int | None, inside: dict[str, str], decoded: int
) -> None:
    """What passes GLB is decoded for the PE; what stays for GLB, in lines as bit by bit."""
    a = np.array([[1, 0, 2], [0, 0, 3], [4, 5, 0]])
    lines = {"lines": {"read_bits": line, "pointer_bits": 32}} if line else {}
    levels = {"DRAM": lines, "GLB": {"capacity_bits": 40}, "PE": {}}
    described = one_pe(levels=levels) | {"formats": {"A": {"DRAM": "C"} | inside}, "value_bits": 8}
    mapped = Mapping(
        "n @PE(A) m k", space={}, sync="none", keep={"GLB": "A"}, overflow={"GLB": "spill"}
    )
    spec = make_spec("Z[m,n] = A[m,k]*B[k,n]")
    found = charge(spec, arch(described), {"A": a, "B": np.ones((3, 2))}, mapped)
    assert len(found.spills) == 1
    assert (found.at("DRAM", "A").reads, found.at("DRAM", "A").decoded_bits) == (5, decoded)


@pytest.mark.parametrize("text", ["B", "C", "U"])
def test_a_cache_is_read_as_fibers_lie_in_it(text: str) -> None:
    """Whatever format is given for it: 5 entries of 8 + 4 bits, decoded for the PE's 9 bits."""
    a = np.array([[1, 0, 2], [0, 0, 3], [4, 5, 0]])
    glb = {"cache": "lru", "capacity_bits": 100}
    described = one_pe(levels={"DRAM": {}, "GLB": glb, "PE": {}}) | {"value_bits": 8}
    described |= {"formats": {"A": {"DRAM": "C", "GLB": text, "PE": "B"}}}
    mapped = Mapping("n @PE(A) m k", space={}, sync="none")
    spec = make_spec("Z[m,n] = A[m,k]*B[k,n]")
    found = charge(spec, arch(described), {"A": a, "B": np.ones((3, 2))}, mapped)
    at = found.at("GLB", "A")
    assert (at.reads, at.read_bits, at.decoded_bits) == (5, 60, 60)
    assert (found.at("PE", "A").write_bits, found.at("PE", "A").encoded_bits) == (49, 49)
