"""What is changed in an accounting is found out: the simulator judges every count of a charge.

A charge is made from an accounting in which one line says something else. Where that changes what
the line counts, comparing with the simulator must fail: no count goes unjudged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from cases import GATHERED, NETS, SCATTERED, cases
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from judged import drawn, with_time
from mapped_cases import mappings
from test_spilling import spilling

from zeroskip.errors import ArchError, ZeroskipError
from zeroskip.hwmodel import Charge, charging, epochs
from zeroskip.hwmodel.evaluate import Operand, counts
from zeroskip.hwmodel.plan import Accounting
from zeroskip.hwmodel.traffic import Counts

pytestmark = pytest.mark.usefixtures("without_compiling")

LINE = re.compile(r"(?P<left>\S+) (?P<how>\S*=) (?P<right>.*)")
REDUCTIONS = ("+=", "max=", "|=")


def factors_of(right: str) -> list[str]:
    """Factors of a product; a ``*`` inside brackets belongs to a subscript."""
    parts, depth = [""], 0
    for character in right:
        depth += (character in "[(") - (character in "])")
        if character == "*" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def mutants(line: str) -> Iterator[str]:
    """What one line might have said instead: another reduction, a factor fewer, another mask, one
    too many."""
    found = LINE.fullmatch(line)
    if found is None:
        return
    left, how, right = found["left"], found["how"], found["right"]
    for other in REDUCTIONS:
        if other != how:
            yield f"{left} {other} {right}"
    factors = factors_of(right)
    for number, factor in enumerate(factors):
        before, after = factors[:number], factors[number + 1 :]
        yield f"{left} {how} {'*'.join([*before, *after]) or '1'}"
        for one, other in (("fit", "pass"), ("pass", "fit")):
            if factor.startswith(one):
                yield f"{left} {how} {'*'.join([*before, other + factor[len(one) :], *after])}"
        for kind in ("nz", "st", "in"):
            if factor[:2] in ("nz", "st", "in") and factor[:2] != kind:
                yield f"{left} {how} {'*'.join([*before, kind + factor[2:], *after])}"
    yield f"{left} {how} 2*{right}"


def with_line(accounting: Accounting, number: int, line: str) -> Accounting:
    """An accounting with another line, and the masks that it may read."""
    lines = accounting.text.splitlines()
    lines[number] = line
    masks = {
        kind + name[2:]: replace(mask, kind=kind)
        for name, mask in accounting.masks.items()
        for kind in ("nz", "st", "in")
    }
    return replace(accounting, text="\n".join(lines), masks=masks | accounting.masks)


def figures(charged: Charge) -> list[object]:
    """All that a charge says in numbers; of a room its need, not the parts that bound it."""
    return [
        charged.ops,
        charged.work_per_pe.tolist(),
        charged.compute_cycles,
        charged.busy,
        charged.worked,
        charged.traffic,
        charged.energy,
        [(room.level, room.needed_bits) for room in charged.capacity],
        None if charged.epochs is None else charged.epochs.cycles.tolist(),
    ]


@settings(max_examples=8)
@given(data=st.data())
def test_a_changed_figure_of_what_spills_is_found_out(data: st.DataObject) -> None:
    """Lines that read what fits, or what passes."""
    case = data.draw(cases())
    made = drawn(data, case, data.draw(mappings(case)), tiles=True)
    made = spilling(data, with_time(data, made) if data.draw(st.booleans()) else made)
    right = made.charge()
    lines = right.cascade.text.splitlines()
    spilt = [n for n, line in enumerate(lines) if re.search(r"\b(fit|pass)\w+\[", line)]
    assume(spilt)
    number = data.draw(st.sampled_from(spilt))
    line = data.draw(st.sampled_from(list(mutants(lines[number]))))

    def changed(accounting: Accounting, operands: Mapping[str, Operand]) -> Counts:
        if accounting.text != right.cascade.text:
            return counts(accounting, operands)  # that in which nothing spills yet
        return counts(with_line(accounting, number, line), operands)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charging, "evaluate_counts", changed)
        patch.setattr(epochs, "_check", lambda *_: None)
        try:
            wrong = made.charge()
        except ZeroskipError:  # the line says nothing
            assume(False)
    assume(figures(wrong) != figures(right))
    with pytest.raises(AssertionError):
        made.check(wrong)


@pytest.mark.parametrize("names", [NETS, GATHERED | SCATTERED], ids=["by rank", "by name"])
@settings(max_examples=60)
@given(data=st.data())
def test_a_changed_figure_is_found_out(names: dict[str, str], data: st.DataObject) -> None:
    case = data.draw(cases(tuple(names)))
    timed = data.draw(st.booleans())
    together, homes, streams = (data.draw(st.booleans()) for _ in range(3))
    more = {"together_too": together, "homes_too": homes, "streams_too": streams}
    mapped = data.draw(mappings(case, **more))
    made = drawn(data, case, mapped, tiles=True)
    try:
        right = with_time(data, made).charge() if timed else made.charge()
    except ArchError as error:
        transposed = homes and "nothing transposes it on chip" in str(error)
        if not transposed:
            raise
        assume(False)
    lines = right.cascade.text.splitlines()
    number = data.draw(st.sampled_from([n for n, line in enumerate(lines) if line[0] != "#"]))
    # The room of two tiles at a time is an upper bound, which test_together judges.
    assume(not (timed and lines[number].startswith("most")))
    line = data.draw(st.sampled_from(list(mutants(lines[number]))))

    def changed(accounting: Accounting, operands: Mapping[str, Operand]) -> Counts:
        return counts(with_line(accounting, number, line), operands)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charging, "evaluate_counts", changed)
        patch.setattr(epochs, "_check", lambda *_: None)  # the judge is asked, not the charge
        try:
            wrong = made.charge()
        except AssertionError:
            return  # the charge itself found classes that do not add up
        except ZeroskipError:  # the line says nothing
            assume(False)
    assume(figures(wrong) != figures(right))
    with pytest.raises(AssertionError):
        made.check(wrong)
