"""Parts of an accounting in one text: results that an earlier part has, too, get another name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.tree import Access, Expr, Program, Scalar, Statement
from zeroskip.einsum_spec.walk import rebuild


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
