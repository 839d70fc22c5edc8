"""A cascade, charged line by line: each line a charge, one after the other.

    S[i,j] = Q[i,k]*K[j,k] ──► Charge ─┐
    Z[i,c] = S[i,j]*V[j,c] ──► Charge ─┴─► sums

A result is written off chip by its line, and read from there by every line that reads it, with the
zeros that it has; unless the mapping keeps it on chip (`kept`).  Lines run one after the other, but
for those that the mapping has run tile by tile (`fused`).  Where an
operand is known by its density, results that depend on it are drawn by a mean of theirs
(`expected_results`), and others are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.checks import kind_of
from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.spec import Spec
from zeroskip.errors import ArchError, ZeroskipError
from zeroskip.formats.density import Density
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel import mapping as maps
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.arch import arch as make_arch
from zeroskip.hwmodel.charge import Charge
from zeroskip.hwmodel.charging import charge
from zeroskip.hwmodel.estimate import FIGURES, SURE
from zeroskip.hwmodel.expected_operand import Derived
from zeroskip.hwmodel.expected_results import structural
from zeroskip.hwmodel.formulas import formula_of_lines, function_of
from zeroskip.hwmodel.fused import (
    Block,
    Plan,
    blocks_of,
    busiest_of,
    check_block,
    check_tiles,
    shared_loops,
    taking_turns,
)
from zeroskip.hwmodel.given import check_mapping, known_operands, single
from zeroskip.hwmodel.kept import (
    CascadeMapping,
    Kept,
    check_room,
    held_between,
    kept_of,
    with_formats,
    with_homes,
)
from zeroskip.hwmodel.layer import layer_of
from zeroskip.hwmodel.policy import policy_of
from zeroskip.hwmodel.report import figures_of
from zeroskip.hwmodel.rings import end_of, zero_of
from zeroskip.hwmodel.totals import Totals
from zeroskip.hwmodel.traffic import Moves, Traffic
from zeroskip.native.engine import evaluate, needed_results
from zeroskip.table import Column, Table

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a cascade, as a layer of its own."""

    forms: tuple[Form, ...]
    whole: Extents

    @property
    def form(self) -> Form:
        return self.forms[0]

    @property
    def tensors(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(access.tensor for access in self.form.reads))

    def extents(self, shapes: Mapping[str, tuple[int, ...]]) -> Extents:
        """What of the cascade's extents belongs to this line."""
        names = {*self.tensors, self.form.target.tensor}
        return replace(
            self.whole,
            ranks={rank: n for rank, n in self.whole.ranks.items() if rank in self.form.ranks},
            shapes={name: s for name, s in self.whole.shapes.items() if name in names},
            pads={name: pads for name, pads in self.whole.pads.items() if name in names},
            skipped=self.whole.skipped & names,
        )


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
        """The accounting Einsums line by line, each under a comment that names it; each parses
        and evaluates on its own."""
        return "\n\n".join(
            f"# ---- {line.text} ----\n{line.accounting}" for line in self.lines.values()
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
        return formula_of_lines(figure, self.lines)

    def function(self, figure: str) -> Callable[..., Any]:
        """The formula of a figure as a NumPy function of the densities; see `Charge.function`."""
        return function_of(figure, self.formula(figure))

    @cached_property
    def baseline(self) -> CascadeCharge:
        """The same cascade on the same array and memories, without gating, skipping and
        compression."""
        lines = {name: line.baseline for name, line in self.lines.items()}
        return _summed(lines, self.keep, self.blocks)

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


def charge_cascade(
    spec: Spec,
    arch: Arch | str | Path | Mapping[str, Any],
    operands: Mapping[str, Any],
    mapping: maps.Mapping | Mapping[str, maps.Mapping] | CascadeMapping | None = None,
) -> CascadeCharge:
    """What a cascade costs on an architecture, line by line; expected, where an operand is drawn.

    Parameters
    ----------
    spec : Spec
        Lines each of which `charge` takes.  All are computed: the zeros of a result are what
        the lines that read it are charged by.  All are charged; those that the last does not
        need, which a call of the layer leaves out, are named among the assumptions.
    arch, operands
        As `zeroskip.hwmodel.charge`; the last result may be given.
    mapping : result -> Mapping, or CascadeMapping, optional
        Of the lines that are not to have the default; which intermediates stay on chip, and which
        lines run tile by tile.

    Raises
    ------
    EinsumError, ArchError, TensorError
        Naming the line, before anything is computed, where one cannot be charged, or cannot run
        tile by tile with the others of its block.
    """
    kind_of("spec", spec, Spec, "Pass layer.spec of zs.layer(text).", ArchError)
    design, given = make_arch(arch), dict(operands)
    names = [form.target.tensor for form in spec.forms]
    last = {names[-1]: given.pop(names[-1])} if names[-1] in given else {}
    drawn = {name: single(name, x) for name, x in given.items() if isinstance(x, Density)}
    held = known_operands({name: x for name, x in given.items() if name not in drawn})
    whole = CascadeMapping()
    if isinstance(mapping, CascadeMapping):
        whole, mapping = mapping, mapping.lines
    stated = _mappings(mapping, names)
    extents = spec.extents({name: value.shape for name, value in {**held, **drawn}.items()})
    lines = {form.target.tensor: Line((form,), extents) for form in spec.forms}
    fills: dict[str, dict[str, Any]] = {}
    zeros: dict[str, float] = {}
    blocks = blocks_of(whole.fuse, names)
    reads = {name: line.tensors for name, line in lines.items()}
    kept = kept_of(whole.keep, reads, design, [(block.lines, block.loops[-1]) for block in blocks])
    mappings = {name: with_homes(stated.get(name), name, kept) for name in names}
    plans: dict[str, Plan] = {}
    bare: dict[str, Plan] = {}
    for name, line in lines.items():
        fills[name] = _fills(line, held, zeros)
        zeros[name], bare[name] = _planned(line, design, fills[name], stated.get(name))
    for block in blocks:
        check_block(block, bare, design)
    for name, line in lines.items():
        _, plans[name] = _planned(line, design, fills[name], mappings[name], whole=True)
    for block in blocks:
        check_tiles(block, plans)
    mappings = with_formats(mappings, kept, plans, design)
    known: dict[str, Any] = {**held, **drawn, **_computed(spec, held, drawn, lines), **last}
    charges = {}
    for name, line in lines.items():
        read = {n: _filled(known[n], fills[name].get(n, 0)) for n in line.tensors}
        result = {name: known[name]} if name in known else {}
        made = charge(line, design, {**read, **result}, mappings[name])
        charges[name] = made
        if name not in known:
            assert made.estimate is not None
            share = structural(made.layer, made.estimate.operands).share
            known[name] = Derived(Density(made.shapes[name], share), share)
    needed = needed_results(spec, names[-1:])
    unneeded = tuple(name for name in names if name not in needed)
    made_all = _summed(charges, kept, blocks, unneeded)
    check_room(made_all.lines, kept)
    return made_all


def _computed(
    spec: Spec, held: Mapping[str, Any], drawn: Mapping[str, Density], lines: Mapping[str, Line]
) -> dict[str, Any]:
    """The results that depend on no operand that is drawn."""
    if not drawn:
        return dict(evaluate(spec, held))
    unknown = set(drawn)
    for name, line in lines.items():
        if unknown & set(line.tensors):
            unknown.add(name)
    wanted = [name for name in lines if name not in unknown]
    if not wanted:
        return {}
    shapes = {name: np.broadcast_to(np.float32(0), x.shape) for name, x in drawn.items()}
    found = evaluate(spec, {**held, **shapes}, wanted=wanted)
    return {name: found[name] for name in wanted}


def _mappings(
    mapping: maps.Mapping | Mapping[str, maps.Mapping] | None, names: Sequence[str]
) -> Mapping[str, maps.Mapping]:
    if mapping is None:
        return {}
    if not isinstance(mapping, Mapping):
        raise ArchError(
            f"mapping: expected one for each line, found {mapping!r}\n"
            f"Write mapping={{{names[0]!r}: Mapping(...)}}; lines without one have the default."
        )
    for name, one in mapping.items():
        if name not in names:
            raise ArchError(f"mapping names {name}, which no line computes: {', '.join(names)}")
        check_mapping(one, f"mapping of {name}")
    return mapping


def _fills(
    line: Line, held: Mapping[str, NDArray[Any] | Tensor], zeros: Mapping[str, float]
) -> dict[str, Any]:
    """The fills of what a line reads: those of tensors, and of results of shortest paths, the
    infinity that stands where there is none.

    zeros : by result, what counted as nothing in its line.
    """
    fills = {n: x.fill for n in line.tensors if isinstance(x := held.get(n), Tensor)}
    end = end_of(line.form)
    if end and all(fill == end for fill in fills.values()):
        fills |= {n: end for n in line.tensors if zeros.get(n) == end}
    return fills


def _filled(value: Any, fill: Any) -> Any:
    """A result with the fill that it has, as a tensor of every place."""
    if not isinstance(value, np.ndarray) or not fill:
        return value
    return Tensor.from_dense(value, "dense", fill=fill)


def _planned(
    line: Line,
    arch: Arch,
    fills: Mapping[str, Any],
    mapping: maps.Mapping | None,
    *,
    whole: bool = False,
) -> tuple[float, Plan]:
    """What counts as nothing in a line, and its loops; one that cannot be charged is refused, and
    named.

    whole : whether the mapping says all, and formats and features are looked at, too.
    """
    try:
        zero = zero_of(line.form, fills)
        roles = mapping.roles if mapping is not None else None
        layer = layer_of(line, line.whole.shapes, roles, zero)
        schedule = maps.complete(mapping, layer, arch)
        if whole:
            policy_of(layer, schedule, arch)
    except ZeroskipError as error:
        raise type(error)(
            f"the line of {line.form.target.tensor} cannot be charged, and so the cascade cannot\n"
            f"  {form_text(line.form)}\n{error}"
        ) from error
    return zero, (layer, schedule)


def _summed(
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
        work_per_pe=np.sum([line.work_per_pe for line in every], axis=0),
        compute_cycles=sum(line.compute_cycles for line in every),
        busy=sum(line.busy for line in every),
        worked=sum(line.worked for line in every),
        bandwidth_cycles=_added([line.bandwidth_cycles for line in every]),
        traffic=traffic,
        conversions=tuple(made for line in every for made in line.conversions),
        energy=_added([line.energy for line in every]),
        assumptions=(
            *_of_order(arch, keep, blocks),
            *_of_unneeded(unneeded),
            *_said({name: line.assumptions for name, line in lines.items()}),
        ),
        missing=tuple(_said({name: line.missing for name, line in lines.items()})),
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
        yield f"{name} stays in {kept.level}, {what}: nothing of it moves off chip"
    for block in blocks:
        yield (
            f"{', '.join(block.lines)}: a tile of each {' '.join(block.loops)} at a time, line "
            "after line; each fetches its own tiles, also of what another has; what stays over the "
            "shared loops stays while others run; their transfers and work overlap"
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
