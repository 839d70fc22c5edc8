"""What is changed in an accounting is found out: the simulator judges every count of a charge.

A charge is made from an accounting in which one line says something else. Where that changes what
the line counts, comparing with the simulator must fail: no count goes unjudged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from cases import cases, designs, mappings, tile_features
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_simulated import check, dense_of, design_arch, drawn_formats, run, without_compiling

from zeroskip.errors import ZeroskipError
from zeroskip.hwmodel import Charge, charging
from zeroskip.hwmodel.evaluate import Operand, counts
from zeroskip.hwmodel.plan import Accounting
from zeroskip.hwmodel.traffic import Counts

__all__ = ["without_compiling"]

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
    """All that a charge says in numbers."""
    return [
        charged.ops,
        charged.work_per_pe.tolist(),
        charged.compute_cycles,
        charged.busy,
        charged.worked,
        charged.traffic,
        charged.energy,
        charged.capacity,
    ]


@settings(max_examples=60)
@given(data=st.data())
def test_a_changed_figure_is_found_out(data: st.DataObject) -> None:
    case = data.draw(cases())
    design = data.draw(designs(list(case.arrays)))
    mapped = data.draw(mappings(case, together_too=data.draw(st.booleans())))
    tiles = data.draw(tile_features(case, mapped.stays, design))
    formats = drawn_formats(data, case, design, mapped.stays, mapped.leader)
    described = design_arch(design, tiles, formats, mapped.levels, mapped.array)
    shape = mapped.loops, mapped.sync, mapped.stays, mapped.instances
    nest = case.nest(*shape, dense_of(formats), mapped.levels)
    right = run(case, described, mapped.mapping)
    lines = right.cascade.text.splitlines()
    number = data.draw(st.sampled_from([n for n, line in enumerate(lines) if line[0] != "#"]))
    line = data.draw(st.sampled_from(list(mutants(lines[number]))))

    def changed(accounting: Accounting, operands: Mapping[str, Operand]) -> Counts:
        return counts(with_line(accounting, number, line), operands)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charging, "evaluate_counts", changed)
        try:
            wrong = run(case, described, mapped.mapping)
        except AssertionError:
            return  # the charge itself found classes that do not add up
        except ZeroskipError:  # the line says nothing
            assume(False)
    assume(figures(wrong) != figures(right))
    with pytest.raises(AssertionError):
        check(wrong, design, formats, nest)
