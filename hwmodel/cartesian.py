"""Multipliers that form all products of two vectors of entries, as in SCNN.

    lanes: {I: 4, F: 4}          4 entries of I meet 4 of F in a cycle: 16 multipliers

    heldI[c,i,j] += stI[n,c,h,w]                a PE owns a tile of the input plane
    heldF[c] += stF[m,c,r,s]
    turns[c,i,j] += ceil(heldI/4)*ceil(heldF/4) vectors round up, each by itself
    products += heldI*heldF                     also those that no output place takes

Entries meet where all ranks agree that both operands hold as they are (c) and the step is one; any
two of these are multiplied, those at borders and between strides for nothing.  Brackets keep away
what meets in no point within them: all of a step in a PE, or of a place of the ranks that both
hold; of others everything is multiplied, what is outside for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError
from zeroskip.hwmodel.at_points import listed
from zeroskip.hwmodel.banks import bank_cycles, cells_of
from zeroskip.hwmodel.called_vectors import left_to_vectors
from zeroskip.hwmodel.evaluate import Bits, Operand, sized
from zeroskip.hwmodel.expanded import expanded, expanded_operands
from zeroskip.hwmodel.expected import geometry_of_lines
from zeroskip.hwmodel.expected_lanes import Vectors, slowest_of, turns_of, vectors_of
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.geometry import Geometry
from zeroskip.hwmodel.holding import held_in_pes
from zeroskip.hwmodel.lanes import Lanes
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.layer import Operand as Access
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.plan import Mask
from zeroskip.hwmodel.vector_cells import Cells
from zeroskip.native.engine import evaluate
from zeroskip.native.recent import Recent

if TYPE_CHECKING:
    from zeroskip.hwmodel.arch import Arch
    from zeroskip.hwmodel.charge import Charge
    from zeroskip.hwmodel.policy import OperandPolicy
    from zeroskip.hwmodel.sampled import Sampled

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CartesianCharge:
    """Products of vectors, and the time that they take.

    products : executed; ``off_output``: those of them that are no point of the layer.
    slots : products that the turns have room for: ``slots - products`` lanes stay idle.
    turns : of each step and PE, cycles: one for each vector that meets a vector, and those in which
        products wait for a bank.
    waiting : the cycles of these in which they do.
    slowest : of each step, the turns of the PE with most of them; cycles : their sum.
    geometry : lines of the products as means, where an operand is drawn; figures are means then,
        and whole numbers else.
    vectors : of both operands then, unless products wait for banks.
    """

    products: int
    off_output: int
    slots: int
    turns: NDArray[Any]
    waiting: int
    slowest: NDArray[Any]
    cycles: float
    accounting: str
    geometry: Geometry | None = None
    vectors: tuple[Vectors, ...] = ()

    @property
    def one_pe(self) -> bool:
        """Whether one PE has all of each step, so that none waits for another."""
        return self.turns.size <= self.slowest.size

    @property
    def idle_lanes(self) -> int:
        return self.slots - self.products

    def waiting_as(self, sampled: Sampled) -> CartesianCharge:
        """The same where products wait for banks as they do for drawn operands; as it is without
        banks."""
        assert self.geometry is not None
        if not sampled.charges[0].arch.banked:
            return self

        def vectors(charge: Charge) -> CartesianCharge:
            assert charge.cartesian is not None
            return charge.cartesian

        return replace(
            self,
            turns=sampled.mean(lambda charge: vectors(charge).turns),
            waiting=sampled.mean(lambda charge: vectors(charge).waiting).item(),
            slowest=sampled.mean(lambda charge: vectors(charge).slowest),
            cycles=sampled.mean(lambda charge: vectors(charge).cycles).item(),
        )


def charge_cartesian(
    arch: Arch,
    layer: Layer,
    schedule: Schedule,
    operands: Mapping[str, Operand],
    rules: Sequence[OperandPolicy],
    executed: int,
) -> CartesianCharge | None:
    """Of an architecture with lanes; None without.

    rules : of the two operands, both skipped by.
    executed : points of the layer whose operands are both stored.

    Raises
    ------
    ArchError
        For a layer that is no product of two operands, for one that is not skipped by, and for a
        step that one of them has in a window.
    """
    if arch.lanes is None:
        return None
    wide = expanded(layer)
    key = id(arch), id(layer), id(schedule)
    known = _of_plans.get(key)  # it holds all three, so that their ids stay theirs
    if known is None:
        pairs = zip(layer.work[0].operands, rules, strict=True)
        factors = [rule for operand, rule in pairs if not operand.is_index]
        made = _written(arch, arch.lanes, wide, schedule, factors)
        known = _of_plans.keep(key, (arch, layer, schedule, made))
    held = held_in_pes(layer, schedule, rules, operands)
    operands = left_to_vectors(layer, schedule, rules, operands, held)
    lines = known[3]
    writer, text = lines.writer, lines.text
    steps, widths = writer.steps, lines.widths
    if any(isinstance(operands[a.tensor], Expected) for a in writer.accesses):
        if wide is not layer or lines.open is not None:
            raise ArchError(
                f"lanes: of densities, vectors of {layer.form_text} are not counted: which of them "
                "meet goes by brackets or by an index tensor\n"
                "Draw arrays, density.sample(rng), and charge these."
            )
        drawn = {a.tensor: operands[a.tensor] for a in writer.accesses}
        return _expected(arch, lines, drawn, executed)
    if wide is not layer:
        operands, layer = expanded_operands(layer, operands, wide), wide
    spec = sized(text, tuple(writer.sizes.items()))
    masks = {name: operands[mask.tensor].stored for name, mask in lines.masks.items()}
    masks |= {} if lines.open is None else {_OPEN: lines.open}
    found = {name: np.maximum(value, 0) for name, value in evaluate(spec, masks).items()}
    products, spent = int(found["products"]), found["turns"].astype(np.int64)
    slots, waiting = int(spent.sum()) * arch.lanes.multipliers, 0
    slowest = found["slowest"].astype(np.int64)
    if arch.lanes.banks is not None:
        met = spent
        spent = _conflicting(writer, layer, operands, widths, arch.lanes.banks)
        inner = tuple(range(len(steps), spent.ndim))
        slowest, waiting = spent.max(inner, initial=0), int((spent - met).sum())
        text += "\n# turns with conflicts: zs_bank_cycles (zs_banks.c)"
    return CartesianCharge(
        products=products,
        off_output=products - executed,
        slots=slots,
        turns=spent,
        waiting=waiting,
        slowest=slowest,
        cycles=int(slowest.sum()),
        accounting=text,
    )


@dataclass(frozen=True, slots=True)
class _Lines:
    """What is counted of a layer's vectors, whatever its operands hold.

    held : of each operand the line that counts the entries of its cells; names : of the cells'
        axes; widths : entries of a vector.
    text : all lines; counted : those of them that are closed where an operand is drawn.
    masks : that these read.
    open : cells that have a point within brackets, where there are any.
    """

    writer: Cells
    held: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]
    text: str
    counted: str
    masks: dict[str, Mask]
    open: Bits | None = None


_OPEN = "open"
_of_plans: Recent[Any, tuple[Arch, Layer, Schedule, _Lines]] = Recent(128)


def _written(
    arch: Arch, lanes: Lanes, layer: Layer, schedule: Schedule, rules: Sequence[OperandPolicy]
) -> _Lines:
    """The lines of a layer on an architecture with lanes."""
    writer = Cells(layer, schedule)
    for access, rule in zip(writer.accesses, rules, strict=True):
        if not rule.skipped_by:
            raise ArchError(
                f"lanes: vectors are formed of stored entries, and {arch.name} does not skip by "
                f"{access.tensor}\nAdd skip {access.tensor} to sparse, or leave lanes out."
            )
    widths = tuple(_width(lanes, layer, access) for access in writer.accesses)
    held, turns, counted, rounded, cells = [], [], [], [], []
    masks = {}
    for access, rule, width in zip(writer.accesses, rules, widths, strict=True):
        left, right, names = writer.cells(access)
        name = access.tensor
        cells.append(tuple(names))
        stored = f"left{name}" if rule.leads else f"st{name}"
        counted.append(f"held{name}{listed(left)} += {stored}{listed(right)}")
        rounded.append(f"lanes{name}{listed(names)} = ceil(held{name}{listed(names)}/{width})")
        held.append(f"held{name}{listed(names)}")
        turns.append(f"lanes{name}{listed(names)}")
        shape = layer.extents.shapes[name]
        masks[stored] = Mask("st", name, shape, ((0, 0),) * len(shape))
    meeting, there = list(held), None
    within = layer.work[0].within
    if within:
        every = list(dict.fromkeys(name for names in cells for name in names))
        there = writer.open(every)
        meeting.append(f"{_OPEN}{listed(every)}")
        turns.append(meeting[-1])
    tiles = list(writer.tiles.values())
    steps, places = writer.steps, [*writer.steps, *tiles]
    products = f"products += {'*'.join(meeting)}"
    lines = [line for both in zip(counted, rounded, strict=True) for line in both]
    lines += [
        products,
        f"turns{listed([*writer.steps_of_cells, *tiles])} += {'*'.join(turns)}",
        f"slowest{listed(steps)} max= turns{listed(places)}",
        f"cycles += slowest{listed(steps)}",
    ]
    closed = "\n".join([*counted, products])
    text = "\n".join(lines)
    return _Lines(writer, tuple(counted), tuple(cells), widths, text, closed, masks, there)


def _expected(
    arch: Arch, lines: _Lines, operands: Mapping[str, Operand], executed: int
) -> CartesianCharge:
    """Means of drawn operands."""
    assert arch.lanes is not None
    writer = lines.writer
    for rank, block in writer.blocks.items():
        if writer.share(rank) < block:
            raise ArchError(
                f"lanes: of densities, a step of {block} places of {rank}, which both operands "
                "have and which do not meet, is not counted\n"
                f"Draw arrays, density.sample(rng), or have a step be one place of {rank}."
            )
    cells = zip(lines.held, lines.names, operands.items(), lines.widths, strict=True)
    vectors = tuple(
        vectors_of(line, name, names, x, writer.sizes, n) for line, names, (name, x), n in cells
    )
    geometry = geometry_of_lines(lines.counted, writer.sizes, lines.masks, operands)
    shares = {name: x.share for name, x in operands.items() if isinstance(x, Expected)}
    products: Any = geometry.counts(shares).total("products")
    places = [*writer.steps, *writer.tiles.values()]
    spent = turns_of(vectors, places)
    slots: Any = float(spent.sum()) * arch.lanes.multipliers
    slowest = slowest_of(vectors, writer.steps, places)
    return CartesianCharge(
        products=products,
        off_output=products - executed,
        slots=slots,
        turns=spent,
        waiting=0,
        slowest=slowest,
        cycles=float(slowest.sum()),
        accounting=lines.text,
        geometry=geometry,
        vectors=() if arch.lanes.banks is not None else vectors,
    )


def _conflicting(
    writer: Cells,
    layer: Layer,
    operands: Mapping[str, Operand],
    widths: Sequence[int],
    banks: int,
) -> Whole:
    """Cycles of each step and PE, those among them in which products wait for a bank."""
    keys = [*writer.grouped, *(f"{rank} across" for rank in writer.tiles)]
    extents = layer.extents.ranks
    shared = {rank: writer.share(rank) for rank in writer.grouped}
    sizes = [-(-extents[rank] // shared[rank]) for rank in writer.grouped]
    sizes += [writer.counts[rank] for rank in writer.tiles]
    entries = [
        cells_of(access, operands[access.tensor], layer, shared, writer.counts)
        for access in writer.accesses
    ]
    cycles = bank_cycles(layer, entries, keys, sizes, widths, banks)
    if layer.work[0].within:
        named = [*map(writer.place, writer.grouped), *writer.tiles.values()]
        met = writer.open(named)
        cycles = cycles * np.pad(met, [(0, n - m) for n, m in zip(sizes, met.shape, strict=True)])
    return writer.by_step(cycles)


def _width(lanes: Lanes, layer: Layer, access: Access) -> int:
    for name in (access.tensor, layer.roles[access.tensor]):
        if name in lanes.widths:
            return lanes.widths[name]
    names = ", ".join(lanes.widths)
    raise ArchError(f"lanes: {access.tensor} is none of {names}, of which vectors are formed")
