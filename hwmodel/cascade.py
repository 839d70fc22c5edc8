"""The charge of a cascade: those of its lines, and their sums.

    S[i,j] = Q[i,k]*K[j,k] ──► Charge ─┐
    Z[i,c] = S[i,j]*V[j,c] ──► Charge ─┴─► sums

Lines run one after the other, but for those that the mapping has run tile by tile (`fused`); a
result is off chip between them, unless the mapping keeps it on chip (`kept`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError
from zeroskip.hwmodel import mapping as maps
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.charge import Charge
from zeroskip.hwmodel.estimate import FIGURES, SURE
from zeroskip.hwmodel.formulas import formula_of_lines, function_of
from zeroskip.hwmodel.fused import Block, busiest_of, shared_loops, taking_turns
from zeroskip.hwmodel.kept import Kept, held_between
from zeroskip.hwmodel.later import Later
from zeroskip.hwmodel.moves import Moves, Traffic
from zeroskip.hwmodel.report import figures_of
from zeroskip.hwmodel.sections import Part, Sheet, sheet_of
from zeroskip.hwmodel.totals import Totals
from zeroskip.table import Column, Table

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CascadeCharge(Totals):
    """What a cascade costs on one architecture: its lines one after the other, or tile by tile.

    Every figure but the cycles of lines that overlap is the sum over the lines; see `Charge`.

    Attributes
    ----------
    lines : dict
        Result -> `Charge` of the line that computes it, in order.
    keep : dict
        Intermediate -> `Kept`: the level that has it until the last line that reads it has run.
    blocks : tuple of Block
        Lines that run tile by tile; others run one after the other.
    """

    lines: dict[str, Charge]
    keep: Mapping[str, Kept]
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        """The lines, with every sum written out."""
        return "; ".join(line.text for line in self.lines.values())

    @property
    def parts(self) -> tuple[Charge, ...]:
        return tuple(self.lines.values())

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every operand and every result."""
        return {name: s for line in self.lines.values() for name, s in line.shapes.items()}

    @property
    def mapping(self) -> dict[str, maps.Mapping]:
        """The complete mapping of each line."""
        return {name: line.mapping for name, line in self.lines.items()}

    @property
    def mapped(self) -> str:
        lines = " | ".join(f"{name}: {line.mapped}" for name, line in self.lines.items())
        kept = ", ".join(f"{name}: {kept.level}" for name, kept in self.keep.items())
        parts = [lines, *([f"keep {kept}"] if kept else []), *(f"fuse {b}" for b in self.blocks)]
        return " | ".join(parts)

    @property
    def accounting(self) -> str:
        """The accounting Einsums, line by line, each under a comment that names it: one text that
        parses and evaluates."""
        return self.sheet.text

    @property
    def sheet(self) -> Sheet:
        """The same, with the extents of its ranks and the masks that it reads."""
        return sheet_of(
            [
                Part(
                    f"# ---- {line.text} ----\n{line.accounting}\n",
                    made.sizes,
                    {**made.masks, **made.trees},
                )
                for line in self.lines.values()
                for made in [line.cascade]
            ]
        )

    @property
    def turns(self) -> tuple[tuple[str, ...], ...]:
        """Lines that run by themselves, and blocks of lines, one after the other."""
        block_of = {line: block.lines for block in self.blocks for line in block.lines}
        return tuple(dict.fromkeys(block_of.get(name, (name,)) for name in self.lines))

    @property
    def cycles(self) -> float:
        """Those of the lines, one after the other; of a block, those of its busiest component."""
        return sum(cycles for _, cycles in self._busiest.values())

    @property
    def bound_by(self) -> str:
        """The line or block that takes most of `cycles`, and what takes most of that one's."""
        lines, (what, _) = max(self._busiest.items(), key=lambda item: item[1][1])
        return f"{what} of {', '.join(lines)}"

    @property
    def _busiest(self) -> dict[tuple[str, ...], tuple[str, float]]:
        found: dict[tuple[str, ...], tuple[str, float]] = {}
        for names in self.turns:
            lines = [self.lines[name] for name in names]
            alone = lines[0].bound_by, lines[0].cycles
            found[names] = alone if len(lines) == 1 else busiest_of(lines)
        return found

    @property
    def overflow(self) -> tuple[str, ...]:
        """What does not fit, line by line, in bits."""
        return tuple(f"{n}: {text}" for n, line in self.lines.items() for text in line.overflow)

    @property
    def spills(self) -> tuple[str, ...]:
        """What of tiles that do not fit passes, line by line."""
        return tuple(f"{n}: {text}" for n, line in self.lines.items() for text in line.spills)

    # ---- expected -----------------------------------------------------------------------

    @property
    def tags(self) -> dict[str, str]:
        """Figure -> how sure it is: the worst of its lines."""
        said = [line.tags for line in self.lines.values()]
        return {figure: max((tags[figure] for tags in said), key=SURE.index) for figure in FIGURES}

    def formula(self, figure: str) -> Any:
        """A figure as a SymPy expression in the densities of the operands; see `Charge.formula`.

        Densities of results stand there as what they are of those of operands.
        """
        if figure == "cycles" and self.blocks:
            raise ArchError(
                "formula('cycles'): lines that run tile by tile take as long as the busiest of "
                "their sums, which has no closed formula here\nTake those of lines[...] apart."
            )
        return formula_of_lines(figure, self.lines)

    def function(self, figure: str) -> Callable[..., Any]:
        """The formula of a figure as a NumPy function of the densities; see `Charge.function`."""
        return function_of(figure, self.formula(figure))

    @cached_property
    def baseline(self) -> CascadeCharge:
        """The same cascade on the same array and memories, without gating, skipping and
        compression."""
        lines = {name: line.baseline for name, line in self.lines.items()}
        return summed(lines, self.keep, self.blocks)

    def by_line(self) -> Table:
        """A row a figure, a column a line, and their sum."""
        found = [figures_of(made) for made in (*self.lines.values(), self)]
        keys = dict.fromkeys(key for figures in found for key in figures)
        heads = [*self.lines, "all" if "all" not in self.lines else "all lines"]
        return Table(
            f"{self.text} on {self.arch.name}, line by line",
            [Column("figure"), Column("unit"), *(Column(name, format="by size") for name in heads)],
            [(*key, *(figures.get(key) for figures in found)) for key in keys],
        )


def summed(
    alone: Mapping[str, Charge],
    keep: Mapping[str, Kept],
    blocks: tuple[Block, ...],
    unneeded: Sequence[str] = (),
) -> CascadeCharge:
    """The charge of all lines.

    alone : the charge of each by itself; unneeded : results that nothing asks for.
    """
    again = [block.lines for block in blocks if shared_loops(alone[block.lines[0]], block)]
    lines = held_between(taking_turns(alone, blocks), keep, again)
    every = list(lines.values())
    traffic: Traffic = {}
    for line in every:
        for place, moves in line.traffic.items():
            traffic[place] = traffic.get(place, Moves()) + moves
    arch = every[0].arch
    return CascadeCharge(
        arch=arch,
        lines=lines,
        keep=keep,
        blocks=blocks,
        ops=_added([line.ops for line in every]),
        multiplications=_added([line.multiplications for line in every]),
        additions=sum(line.additions for line in every),
        working=Later(partial(_work_of, every)),
        compute_cycles=sum(line.compute_cycles for line in every),
        busy=sum(line.busy for line in every),
        worked=sum(line.worked for line in every),
        bandwidth_cycles=_added([line.bandwidth_cycles for line in every]),
        traffic=traffic,
        conversions=tuple(made for line in every for made in line.conversions),
        energy=_added([line.energy for line in every]),
        assuming=Later(partial(_assumed, arch, lines, keep, blocks, unneeded)),
        missing=tuple(_said({name: line.missing for name, line in lines.items()})),
    )


def _work_of(lines: Sequence[Charge]) -> NDArray[np.int64]:
    return np.asarray(np.sum([line.work_per_pe for line in lines], axis=0))


def _assumed(
    arch: Arch,
    lines: Mapping[str, Charge],
    keep: Mapping[str, Kept],
    blocks: Sequence[Block],
    unneeded: Sequence[str],
) -> tuple[str, ...]:
    """What the figures of all lines take for granted."""
    return (
        *_of_order(arch, keep, blocks),
        *_of_unneeded(unneeded),
        *_said({name: line.assumptions for name, line in lines.items()}),
    )


def _added(tables: Sequence[Mapping[str, Number]]) -> dict[str, Number]:
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: sum(table[name] for table in tables if name in table) for name in names}


def _of_order(arch: Arch, keep: Mapping[str, Kept], blocks: Sequence[Block]) -> Iterator[str]:
    """In which order lines run, and what stays on chip meanwhile."""
    fused = f"but for blocks ({'; '.join(map(str, blocks))})" if blocks else "none fused"
    yield (
        f"lines run one after the other, {fused}: each {'other ' if keep else ''}result is "
        f"written to {arch.off_chip.name} once, and read from there by every line that reads "
        "it, in the format and order that the line wants"
    )
    for name, kept in keep.items():
        what = "all of it, until the last line that reads it has run"
        if kept.tiled:
            what = f"a tile for each {kept.tiled} at a time"
        if kept.halo is not None:
            what += " and the places beside it that later ones need"
        yield f"{name} stays in {kept.level}, {what}: nothing of it moves off chip"
    time = "their transfers and work overlap" if arch.overlap is None else "one epoch at a time"
    for block in blocks:
        yield (
            f"{', '.join(block.lines)}: a tile of each {' '.join(block.loops)} at a time, line "
            "after line; each fetches its own tiles, also of what another has; what stays over the "
            f"shared loops stays while others run; {time}"
        )
        if block.late:
            first, second = block.lines
            number = f"{block.late} iteration{'s' * (block.late > 1)}"
            yield (
                f"{second} is {number} of {block.loops[-1]} behind {first}, until what its windows "
                "read is computed"
            )


def _of_unneeded(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield (
            f"every line is computed, also {', '.join(names)}, which the last does not need and a "
            "call of the layer leaves out"
        )


def _said(texts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Sentences of all lines once, those of some under their names."""
    for text in dict.fromkeys(text for said in texts.values() for text in said):
        by = [name for name, said in texts.items() if text in said]
        yield text if len(by) == len(texts) else f"{', '.join(by)}: {text}"
