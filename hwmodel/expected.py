"""Counts of an accounting that are expected, where operands are known by their density alone.

A counting line is linear in each mask: where every operand that is drawn occurs once, the mean of
its result is the count over full operands times the density of each (*exact in expectation*).  So
one run of the accounting over full operands, the *geometry*, serves every density:

    busy[c,4*p//P] += nzI[c,p+r]*nzF[m,c,r]      ->      I*F * busy of full operands

A maximum is no such mean.  Its counts get a variance (`spread`), and `order_statistics` the mean
of the largest (*approximate*); where no variance is known, the largest of the means is less than
that (*bound*).  A line that has neither is refused by its text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from zeroskip.formats.density import Density
from zeroskip.hwmodel.closed import Closed
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.events import Event
from zeroskip.hwmodel.expected_lines import Compiler
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.expected_trees import trees_of
from zeroskip.hwmodel.geometry import Geometry
from zeroskip.hwmodel.geometry_files import filed
from zeroskip.hwmodel.numbers import NONE, Numbers, numbers_of
from zeroskip.hwmodel.plan import Accounting, Mask
from zeroskip.native.recent import Recent


def geometry_of(
    accounting: Accounting, operands: Mapping[str, Operand], *, room: bool = True
) -> Geometry:
    """The geometry of an accounting; remembered where no operand is a real one.

    room : whether with the largest tiles, which nothing but capacities asks for; without them it
        is of densities that are met once, and not worth a file.

    Raises
    ------
    EinsumError
        For a line that has no expectation here, naming it.
    """
    numbers = numbers_of(accounting, operands)
    text = "\n".join(part for part in (accounting.text, accounting.turns) if part)
    if not room:
        text = without(text, accounting.largest_tiles)
    given = text, accounting.sizes, accounting.masks
    drawn = [x.density.pattern for x in operands.values() if isinstance(x, Expected)]
    if accounting.given or len(drawn) < len(operands):
        return geometry_of_lines(*given, operands, numbers, *trees_of(accounting.trees, operands))
    key = (id(accounting), room, *operands, *drawn)
    found = _of_plans.get(key)  # it holds the accounting, so that its id stays its own
    if found is None:
        trees = trees_of(accounting.trees, operands)
        made = geometry_of_lines(*given, operands, numbers, *trees, filing=room)
        found = _of_plans.keep(key, (accounting, made))
    return found[1]


_of_plans: Recent[Any, tuple[Accounting, Geometry]] = Recent(256)


def geometry_of_lines(
    text: str,
    sizes: Mapping[str, int],
    masks: Mapping[str, Mask],
    operands: Mapping[str, Operand],
    numbers: Numbers = NONE,
    trees: Mapping[str, Closed] = MappingProxyType({}),
    events: Mapping[str, Event] = MappingProxyType({}),
    *,
    filing: bool = True,
) -> Geometry:
    """The same of lines that read these masks, with these extents of their ranks.

    trees : counts that no line makes; events : that these name; filing : whether it is kept on
        disk, too.
    """
    drawn = {name: x.density for name, x in operands.items() if isinstance(x, Expected)}
    fixed = {name: x for name, x in operands.items() if name not in drawn}
    patterns = tuple((name, density.pattern) for name, density in drawn.items())
    key = (text, tuple(sizes.items()), tuple(masks.items()), patterns)
    used = {mask.tensor for mask in masks.values()}
    if trees or used & set(fixed):
        return Compiler(*key, fixed, numbers, trees, events={**events}).geometry()
    return _remembered(*key, numbers, filing)


@lru_cache(maxsize=256)
def _remembered(
    text: str,
    sizes: tuple[tuple[str, int], ...],
    masks: tuple[tuple[str, Mask], ...],
    drawn: tuple[tuple[str, Density], ...],
    numbers: Numbers,
    filing: bool,
) -> Geometry:
    made = Compiler(text, sizes, masks, drawn, {}, numbers)
    if numbers.held or not filing:  # of one mapping and density: not worth a file
        return made.geometry()
    return filed(text, (sizes, masks), drawn, made.geometry)


def without(text: str, names: Collection[str]) -> str:
    """The lines that have other results."""
    kept = [line for line in text.splitlines() if re.split(r"\W", line, maxsplit=1)[0] not in names]
    return "\n".join(kept)


def forget() -> None:
    """Forget every geometry but those on disk, as a new process has."""
    _of_plans.clear()
    _remembered.cache_clear()
