"""Parts of an accounting in one text: results that an earlier part has, too, get another name.

Parts of one layer share its masks and its ranks (`together`); those of several layers may name
other masks, or ranks of other extents, alike (`sheet_of`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.tree import Access, Expr, Program, Scalar, Statement
from zeroskip.einsum_spec.walk import rebuild
from zeroskip.hwmodel.plan import Mask
from zeroskip.hwmodel.tile_trees import TileCount


def together(parts: Sequence[str]) -> str:
    """The parts one after the other, as text that parses.

    >>> print(together(["# PEs", "cycles += busy[i]", "# lanes\\ncycles += turns[j]"]))
    # PEs
    cycles += busy[i]
    # lanes
    cycles_2 += turns[j]
    """
    taken: set[str] = set()
    lines: list[str] = []
    for part in parts:
        new: dict[str, str] = {}
        for line in part.splitlines():
            if not line.strip() or line.startswith("#"):
                lines.append(line)
                continue
            made = parse(line)
            for statement in made.statements:
                name = statement.target.tensor
                new.setdefault(name, _free(name, taken))
            renamed = any(old != name for old, name in new.items())
            lines.append(deparse(_renamed(made, new)) if renamed else line)
        taken.update(new.values())
    return "\n".join(lines)


def _free(name: str, taken: set[str]) -> str:
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def _renamed(program: Program, new: dict[str, str]) -> Program:
    def one(node: Expr) -> Expr:
        match node:
            case Access(tensor=name) if name in new:
                return replace(node, tensor=new[name])
            case Scalar(name=name) if name in new:
                return replace(node, name=new[name])
            case _:
                return node

    lines = []
    for s in program.statements:
        target = replace(s.target, tensor=new[s.target.tensor])
        lines.append(Statement(target, s.reduction, rebuild(s.value, one)))
    return Program(tuple(lines))


@dataclass(frozen=True, slots=True)
class Part:
    """Lines of one layer.

    sizes : extents of its ranks; masks : what each mask that it reads is, or count of tiles.
    """

    text: str
    sizes: Mapping[str, int]
    masks: Mapping[str, Mask | TileCount]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The lines of several layers, one after the other, as text that parses and evaluates.

    sizes, masks : extents of all ranks, and all masks, by their names here.
    names : of each part, the names that it has here instead of its own.
    """

    text: str
    sizes: dict[str, int]
    masks: dict[str, Mask | TileCount]
    names: tuple[dict[str, str], ...]


def sheet_of(parts: Sequence[Part]) -> Sheet:
    """Parts that know nothing of each other.  What has a name of its own keeps it: masks that are
    the same, and ranks of one extent; results, other masks and ranks of a later part get another.

    >>> one = Part("held[k] += nzA[m,k]*K", {"m": 2, "k": 3}, {})
    >>> two = Part("held[k] += nzA[m,k]*K", {"m": 2, "k": 5}, {})
    >>> print(sheet_of([one, two]).text)
    held[k] += nzA[m,k]*K
    held_2[k2] += nzA[m,k2]*K2
    """
    used = {name.lower() for part in parts for name in _names(part.text)}
    sizes: dict[str, int] = {}
    masks: dict[str, Mask | TileCount] = {}
    given: set[str] = set()
    lines: list[str] = []
    every = []
    for part in parts:
        new: dict[str, str] = {}
        results = {_NAME.findall(line)[0] for line in part.text.splitlines() if _is_line(line)}
        for name in sorted(_names(part.text)):
            if name in results:
                if name in given:
                    new[name] = _other(name, "_", used)
            elif name in part.masks:
                if masks.get(name, part.masks[name]) != part.masks[name]:
                    new[name] = _other(name, "_", used)
                masks[new.get(name, name)] = part.masks[name]
            elif name.islower() and name in _ranks(part.text):
                extent = part.sizes.get(name)
                if name in given and (extent is None or sizes.get(name) != extent):
                    new[name] = _other(name, "", used)
                    new[name.upper()] = new[name].upper()
                if extent is not None:
                    sizes[new.get(name, name)] = extent
        given |= {new.get(name, name) for name in (*results, *_ranks(part.text))}
        lines += [_with(line, new) for line in part.text.splitlines()]
        every.append(new)
    return Sheet("\n".join(lines), sizes, masks, tuple(every))


_NAME = re.compile(r"[A-Za-z_]\w*")


def _is_line(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


def _with(line: str, new: Mapping[str, str]) -> str:
    """A line with other names; a comment as it is."""
    if not _is_line(line):
        return line
    return _NAME.sub(lambda found: new.get(found[0], found[0]), line)


def _names(text: str) -> set[str]:
    return {name for line in text.splitlines() if _is_line(line) for name in _NAME.findall(line)}


def _ranks(text: str) -> set[str]:
    """Variables of the lines: what stands in brackets, in lower case."""
    inside = (
        b for line in text.splitlines() if _is_line(line) for b in re.findall(r"\[(.*?)\]", line)
    )
    return {name for b in inside for name in _NAME.findall(b) if name.islower()}


def _other(name: str, between: str, used: set[str]) -> str:
    """A name that no part has; numbered from 2."""
    number = 2
    while f"{name}{between}{number}".lower() in used:
        number += 1
    found = f"{name}{between}{number}"
    used.add(found.lower())
    return found
