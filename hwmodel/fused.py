"""Lines of a cascade that run tile by tile: they share their outermost loops.

    for i1:                                       fuse={"S,Z": "i1"}
        S[i,j] = Q[i,k]*K[j,k]    of i in i1
        Z[i,c] = S[i,j]*V[j,c]    of i in i1      S of i1 is done; another i1 needs no more of it

Each line is charged as ever, with the shared loops in front of its own; the order in which lines
take turns changes none of its moves.  What stays in a level while the shared loops go on stays
while other lines run, and takes room in these.  Time: transfers and work of all lines of a block
overlap, so that what each component does for all of them is added up, and the slowest counts; with
``overlap: none`` every epoch of every line comes by itself.  Vectors of lanes and fibers of units
are of one turn, or refused; queues are empty at the end of each (`Mapping.turns`).

A window reads places of several tiles (``T[p+s]`` by tiles of p).  With ``halo={"T": "keep"}`` they
stay: the line that reads it is as many iterations late as it takes until its last place is
computed, and what its first tile needs stays as long.

Sources: N. Nayak et al., "TeAAL", MICRO 2023 (Einsums of one block share the temporal ranks outside
the array; a block takes as long as its slowest component); M. Alwani et al., "Fused-layer CNN
accelerators", MICRO 2016 (what a window reads of the tile before is kept or computed again: the
latter is a layer of its own, ``T[t,u] = I[2*t+u+r]*F[r]; O[t,v] = T[t,v+s]*G[s]`` by tiles t).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.tree import Var
from zeroskip.einsum_spec.walk import bounds, single
from zeroskip.errors import ArchError
from zeroskip.hwmodel import mapping as maps
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.beside import check_beside
from zeroskip.hwmodel.charge import Charge
from zeroskip.hwmodel.homes import Halo, accesses
from zeroskip.hwmodel.kept import needing
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.nest import Loop

Plan = tuple[Layer, maps.Schedule]


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that run tile by tile, in order, and their outermost loops.

    late : iterations that the second of two lines is behind the first.
    """

    lines: tuple[str, ...]
    loops: tuple[str, ...]
    late: int = 0

    def __str__(self) -> str:
        return f"{','.join(self.lines)}: {' '.join(self.loops)}"


def blocks_of(fuse: Mapping[str, str], names: Sequence[str]) -> tuple[Block, ...]:
    """The blocks of a cascade of lines ``names``.

    Raises
    ------
    ArchError
        For a block that is no run of two or more lines, and for lines in two.
    """
    found: list[Block] = []
    for lines, loops in fuse.items():
        block = Block(tuple(word.strip() for word in lines.split(",")), tuple(loops.split()))
        where = f"fuse {block}"
        for line in block.lines:
            if line not in names:
                raise ArchError(f"{where}: no line computes {line}; results are {', '.join(names)}")
            if any(line in other.lines for other in found):
                raise ArchError(f"{where}: {line} is in another block, too")
        first = names.index(block.lines[0])
        run = tuple(names[first : first + len(block.lines)])
        if len(block.lines) < 2 or run != block.lines:
            raise ArchError(
                f"{where}: expected two lines or more that follow each other, of {', '.join(names)}"
            )
        if not block.loops:
            raise ArchError(f"{where}: expected the loops that they share, outermost first: i1 j1")
        found.append(block)
    return tuple(found)


def check_block(
    block: Block, plans: Mapping[str, Plan], arch: Arch, halo: Mapping[str, str]
) -> dict[str, Halo | None]:
    """Refuse lines that cannot run tile by tile; where their tensors are is no matter here.

    halo : intermediates whose halo is kept.  Returns what that is.

    Raises
    ------
    ArchError
        Naming the block, the line, and the loop or the intermediate.
    """
    where = f"fuse {block}"
    check_beside("fused lines", where, arch, "run them one after the other, without fuse")
    shared = {line: _shared(where, block, line, plans[line]) for line in block.lines}
    first = block.lines[0]
    for line in block.lines[1:]:
        for one, other in zip(shared[first], shared[line], strict=True):
            more = one.count - other.count  # places behind the last tile that a window needs
            if _cut(one) != _cut(other) or more < 0 or (more and first not in halo):
                raise ArchError(
                    f"{where}: expected the same tiles in all lines; {one.name} is "
                    f"{_told(one)} in the line of {first}, and {_told(other)} in that of {line}"
                )
    found: dict[str, Halo | None] = {}
    for number, name in enumerate(block.lines):
        for reader in block.lines[number + 1 :]:
            if name in plans[reader][0].tensors:
                _check_done(where, name, plans[name][0], shared[name])
                if name in halo and len(block.lines) == 2:
                    found[name] = _halo(where, name, reader, plans, shared[name])
                else:
                    _check_read(where, name, reader, plans, shared[name])
    return found


def check_halo(halo: Mapping[str, str], blocks: Sequence[Block], tiled: Collection[str]) -> None:
    """Refuse a halo of what is not kept tile by tile, in a block of two lines.

    tiled : intermediates that a level on chip has a tile of.
    """
    for name, how in halo.items():
        where = f"halo {name}: {how}"
        if how != "keep":
            raise ArchError(
                f'{where}: expected "keep"; to compute it again, write tiles as a rank of {name}'
            )
        if name not in tiled or not any(name == block.lines[0] for block in blocks):
            raise ArchError(
                f"{where}: no block keeps tiles of {name} on chip\nFuse the line of {name} with "
                "that which reads it, and name the level that keeps it: keep."
            )
        for block in blocks:
            if name in block.lines and len(block.lines) > 2:
                raise ArchError(
                    f"{where}: expected a block of two lines, {name} and what reads it, found "
                    f"{block}\nFuse the others apart."
                )


def late_by(block: Block, halos: Mapping[str, Halo | None]) -> Block:
    """The block, whose second line waits for the places that it reads."""
    late = [halo.late for halo in halos.values() if halo is not None]
    return replace(block, late=max(late, default=0))


def check_tiles(block: Block, plans: Mapping[str, Plan]) -> None:
    """Refuse a level that has an intermediate of a block over several iterations of its loops.

    Raises
    ------
    ArchError
        Naming the level, the intermediate and the line.
    """
    for number, name in enumerate(block.lines):
        for reader in block.lines[number + 1 :]:
            if name in plans[reader][0].tensors:
                for line in (name, reader):
                    _check_stays(f"fuse {block}", name, line, plans[line], len(block.loops))


def _shared(where: str, block: Block, line: str, plan: Plan) -> list[Loop]:
    """The loops of a line that are shared; refused, where they are not its outermost in time."""
    layer, schedule = plan
    number = len(block.loops)
    names = [loop.name for loop in schedule.loops]
    if tuple(names[:number]) != block.loops:
        raise ArchError(
            f"{where}: expected {' '.join(block.loops)} as the outermost loops of every line; "
            f"those of {line} are {' '.join(names)}"
        )
    found = list(schedule.loops[:number])
    for loop in found:
        if loop.dims:
            raise ArchError(f"{where}: {loop.name} runs across PEs in the line of {line}")
        if loop.numbering is not None:
            raise ArchError(
                f"{where}: {loop.name} goes by numbers of places in the line of {line}, whose "
                "tiles differ from line to line\nSplit ranks one by one, by sizes."
            )
    sync = schedule.mapping.sync
    if sync == "none" or names.index(str(sync)) < number - 1:
        raise ArchError(
            f"{where}: expected PEs to wait in each of its tiles, and those of {line} wait for "
            f"sync {sync}\nLet sync be {names[number - 1]}, or a loop inside it."
        )
    if "split" in schedule.mapping.overflow.values():
        raise ArchError(
            f"{where}: tiles of {line} are split where they do not fit, by loops that other lines "
            "do not have\nLet overflow be refuse or report."
        )
    if "spill" in schedule.mapping.overflow.values():
        raise ArchError(
            f"{where}: tiles of {line} spill where they do not fit, and lines that take turns "
            "leave less room\nLet overflow be refuse or report."
        )
    if len(layer.work) > 1:
        raise ArchError(
            f"{where}: the line of {line} has {len(layer.work)} products, which run one after the "
            "other over all loops\nGive each product a line of its own."
        )
    return found


def _cut(loop: Loop) -> tuple[str, int, tuple[int, ...]]:
    return loop.rank, loop.block, loop.spans


def _told(loop: Loop) -> str:
    blocks = " in ".join(map(str, (loop.block, *reversed(loop.spans))))
    return f"{loop.count} blocks of {blocks} places of {loop.rank}"


def _check_done(where: str, name: str, layer: Layer, loops: Sequence[Loop]) -> None:
    """Refuse a result of which an iteration of the shared loops does not finish a tile."""
    plain = [single(subscript) for subscript in layer.target.subscripts]
    for loop in loops:
        if loop.single or loop.rank in plain:
            continue
        if loop.rank in layer.reductions:
            raise ArchError(
                f"{where}: {name} is summed over {loop.rank}, and so no tile of it is done before "
                f"the last iteration of {loop.name}\nMove {loop.name} inside the shared loops."
            )
        raise ArchError(
            f"{where}: {loop.name} does not cut {name} into tiles: {loop.rank} is no axis of it by "
            "itself"
        )


def _check_read(
    where: str, name: str, reader: str, plans: Mapping[str, Plan], loops: Sequence[Loop]
) -> None:
    """Refuse a line that reads other places of an intermediate than those of the same tile."""
    target = [single(subscript) for subscript in plans[name][0].target.subscripts]
    layer, _ = plans[reader]
    if any(operand.tensor == name for term in layer.additions for operand in term.operands):
        raise ArchError(
            f"{where}: the line of {reader} adds {name} beside a product, and what is added comes "
            f"once, before its loops\nLeave {reader} out of the block, or give the sum a line."
        )
    for loop in (loop for loop in loops if not loop.single):
        axis = target.index(loop.rank)
        for operand in accesses(layer, name):
            if single(operand.subscripts[axis]) != loop.rank:
                read = deparse(operand.subscripts[axis])
                raise ArchError(
                    f"{where}: the line of {reader} reads {name} at {read} where {name} has "
                    f"{loop.rank}: it needs places of other tiles than that of its own iteration "
                    f"of {loop.name}\nShare loops over ranks that it reads as they are; or keep "
                    f'what later tiles need, of two lines: halo={{"{name}": "keep"}}; or '
                    f"let {name} stay whole: leave {reader} out of the block."
                )


def _halo(
    where: str, name: str, reader: str, plans: Mapping[str, Plan], loops: Sequence[Loop]
) -> Halo | None:
    """What stays of an intermediate that is read at places of several tiles; None where it is read
    at those of its own.

    Raises
    ------
    ArchError
        Where tiles do not follow each other along one axis, a place at a time.
    """
    layer, _ = plans[reader]
    wide = [loop for loop in loops if not loop.single]
    if any(operand.tensor == name for term in layer.additions for operand in term.operands):
        _check_read(where, name, reader, plans, loops)
    if not wide:
        return None
    if len(wide) > 1 or wide[0].spans:
        raise ArchError(
            f"{where}: halo {name}: expected one shared loop over blocks of a rank, whose tiles "
            f"follow each other; found {' '.join(loop.name for loop in wide)}\n"
            "Share one loop, or leave the halo out."
        )
    (loop,) = wide
    axis = [single(s) for s in plans[name][0].target.subscripts].index(loop.rank)
    ranks = layer.extents.ranks
    first, last = [], []
    for operand in accesses(layer, name):
        subscript = operand.subscripts[axis]
        plain = {atom.name: m.value for m, atom in subscript.terms if isinstance(atom, Var)}
        if plain.get(loop.rank) != 1 or len(plain) < len(subscript.terms):
            raise ArchError(
                f"{where}: halo {name}: the line of {reader} reads {name} at {deparse(subscript)}, "
                f"which does not go on by a place with {loop.rank}\nLeave the halo out, and let "
                f"{name} stay whole: leave {reader} out of the block."
            )
        low, high = bounds(subscript, {**ranks, loop.rank: 1}, {})
        first.append(low - operand.pads[axis][0])
        last.append(high - operand.pads[axis][0])
    late = max(0, -(-max(last) // loop.block))
    return Halo(axis, loop.block, max(0, late * loop.block - min(first)), late)


def _check_stays(where: str, name: str, line: str, plan: Plan, shared: int) -> None:
    _, schedule = plan
    last = schedule.loops[shared - 1].name
    first, *inner = schedule.stays[name]
    for stay in (first, *inner) if first.position else inner:
        if stay.position < shared and not stay.words:
            raise ArchError(
                f"{where}: {stay.level} has {name} over several iterations of {last} in the "
                f"line of {line}, but a tile is written and read in each\nMark it inside: "
                f"{last} @{stay.level}({name}), or let it stay on chip: keep."
            )


# ---- room and time ----------------------------------------------------------------------


def taking_turns(charges: Mapping[str, Charge], blocks: Sequence[Block]) -> dict[str, Charge]:
    """The charges of all lines, in order, where those of a block have less room for what others
    keep over iterations of the shared loops: of a line that is late, where it takes turns with them
    in more than one."""
    found = dict(charges)
    for block in blocks:
        loops = shared_loops(charges[block.lines[0]], block)
        if block.late and block.late > loops[-1].count - 2:
            continue
        kept = {line: _staying(charges[line], block) for line in block.lines}
        for line in block.lines:
            others: dict[str, Any] = {}
            for other in block.lines:
                for level, bits in kept[other].items() if other != line else ():
                    others[level] = others.get(level, 0) + bits
            found[line] = needing(found[line], others)
    return found


def shared_loops(charge: Charge, block: Block) -> list[Loop]:
    """Those of the shared loops that have more than one iteration."""
    return [x for x in charge.schedule.loops[: len(block.loops)] if not x.single]


def _staying(charge: Charge, block: Block) -> dict[str, Any]:
    """Level -> bits of tiles that stay there from one iteration of the shared loops to the next."""
    loops = shared_loops(charge, block)
    return {room.level: room.staying(loops[-1]) for room in charge.capacity} if loops else {}


def busiest_of(charges: Sequence[Charge]) -> tuple[str, float]:
    """What takes most of the time of lines of a block, and that time; transposes come before.

    Transfers and work overlap: of each component what it does for all lines, and the largest sum.
    By epochs (``overlap: none``) nothing does: all of them, one after the other."""
    times: dict[str, float] = {}
    for charge in charges:
        parts = charge.overlapping if charge.epochs is None else charge.epochs.limits
        for name, cycles in parts.items():
            times[name] = times.get(name, 0) + cycles
    before = sum(charge.conversion_cycles for charge in charges)
    busiest = max(times, key=lambda name: times[name])
    whole = times[busiest] if charges[0].epochs is None else sum(times.values())
    return busiest if times[busiest] >= before else "transposes", before + whole
