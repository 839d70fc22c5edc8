"""Mappings: which loop runs where, apart from any architecture.

    order c n m r s p q; sync c; space p: rows, q: cols; roles F: F, I: I

A loop of ``space`` runs across a dimension of the PE array: place v of a rank of extent V
goes to PE ``size*v//V``.  PEs wait for each other after every iteration of the loop that
``sync`` names; all loops from the outermost to that one make the *steps*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

from zeroskip.einsum_spec.walk import single, variables
from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.layer import Layer

_EMPTY: Dict[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, init=False)
class Mapping:
    """What of a mapping is stated; the rest is derived for each layer (`complete`).

    Parameters
    ----------
    order : text or sequence of loops from outside in, optional
        A rank that is split has the loops ``m1`` (outer) and ``m0``.
    split : rank -> places in a block, optional
        ``{"m": 16}`` (or ``[16]``): loop m1 goes over blocks of 16, m0 inside one.
    space : rank -> dimension of the PE array, or several ("rows*cols"), optional
    sync : the loop after which PEs wait; ``"none"``: only at the end.
    roles : operand -> ``I`` or ``F``, which formats and features may go by, optional
    """

    order: tuple[str, ...]
    split: Dict[str, int]
    space: Dict[str, tuple[str, ...]] | None
    sync: str | None
    roles: Dict[str, str]

    def __init__(
        self,
        order: str | Sequence[str] = (),
        split: Dict[str, int | Sequence[int]] | None = None,
        space: Dict[str, str | Sequence[str]] | None = None,
        *,
        sync: str | None = None,
        roles: Dict[str, str] | None = None,
    ) -> None:
        _check_kinds(order, split, space, sync, roles)
        loops = order.split() if isinstance(order, str) else order
        put = object.__setattr__
        put(self, "order", tuple(loops))
        put(self, "split", {rank: _block(rank, size) for rank, size in (split or {}).items()})
        dims = None
        if space is not None:
            dims = {
                rank: tuple(d.split("*")) if isinstance(d, str) else tuple(d)
                for rank, d in space.items()
            }
        put(self, "space", dims)
        put(self, "sync", sync)
        put(self, "roles", dict(roles or {}))

    def __str__(self) -> str:
        parts = [f"order {' '.join(self.order) or '(derived)'}", f"sync {self.sync or '(derived)'}"]
        if self.space is None:
            parts.append("space (derived)")
        elif self.space:
            dims = ", ".join(f"{rank}: {'*'.join(d)}" for rank, d in self.space.items())
            parts.append(f"space {dims}")
        else:
            parts.append("space none: one PE")
        if self.split:
            parts.append(f"split {', '.join(f'{r}: {n}' for r, n in self.split.items())}")
        if self.roles:
            parts.append(f"roles {', '.join(f'{t}: {r}' for t, r in sorted(self.roles.items()))}")
        return "; ".join(parts)


def _check_kinds(order: object, split: object, space: object, sync: object, roles: object) -> None:
    """Refuse what is no mapping's part, naming the part."""
    for name, table in (("split", split), ("space", space), ("roles", roles)):
        if table is not None and not isinstance(table, Dict):
            raise ArchError(f"{name}: expected a dict by rank or operand, found {table!r}")
    dims = list(space.values()) if isinstance(space, Dict) else []
    texts = [("order", order), *(("space", value) for value in dims)]
    for name, value in texts:
        listed = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(word, str) for word in listed) or (name == "space" and not listed):
            raise ArchError(f'{name}: expected names, such as "rows", found {value!r}')
    if sync is not None and not isinstance(sync, str):
        raise ArchError(f'sync: expected the name of a loop or "none", found {sync!r}')


def _block(rank: str, size: int | Sequence[int]) -> int:
    sizes = list(size) if isinstance(size, list | tuple) else [size]
    if len(sizes) != 1 or isinstance(sizes[0], bool) or not isinstance(sizes[0], int):
        raise ArchError(f"split of {rank}: expected one block size, found {size!r}")
    if sizes[0] < 1:
        raise ArchError(f"split of {rank}: expected a block of 1 or more, found {sizes[0]}")
    return sizes[0]


@dataclass(frozen=True, slots=True)
class Step:
    """One loop outside the sync: ``rank``, or blocks of it; so many iterations."""

    rank: str
    block: int
    count: int


@dataclass(frozen=True, slots=True)
class Across:
    """``rank`` across PEs: ``tiles`` of them, in the named dimensions, row-major."""

    rank: str
    dims: tuple[str, ...]
    tiles: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """A complete mapping of one layer onto one array.

    steps : loops outside the sync, outermost first.
    across : ranks side by side; a PE outside a rank's tiles stays idle.
    """

    mapping: Mapping
    steps: tuple[Step, ...]
    across: tuple[Across, ...]

    def __str__(self) -> str:
        return str(self.mapping)


def complete(mapping: Mapping | None, layer: Layer, arch: Arch) -> Schedule:
    """Fill in what a mapping leaves open, and check the rest against layer and array.

    The default: the last two ranks of the result with an extent above 1 go across the
    array's dimensions (one rank goes across all of them flattened); PEs wait after every
    iteration of the outermost reduction rank, which is the outermost loop.

    Raises
    ------
    ArchError
        Naming the loop or dimension that does not fit.
    """
    given = mapping or Mapping()
    for rank in given.split:
        if rank not in layer.ranks:
            raise ArchError(f"split names {rank}, which is no rank; ranks: {_listed(layer.ranks)}")
    space = _space(given, layer, arch)
    loops = [loop for rank in layer.ranks for loop in _loops(rank, given)]
    sync = given.sync or _default_sync(given, layer, arch, space)
    order = given.order or _default_order(given, layer, loops, sync, space)
    if sorted(order) != sorted(loops):
        raise ArchError(f"order: expected each of {_listed(loops)} once, found {_listed(order)}")
    if sync != "none" and sync not in order:
        raise ArchError(f"sync {sync}: expected none or one of the loops {_listed(order)}")
    outer = order[: order.index(sync) + 1] if sync != "none" else ()
    steps = []
    for loop in outer:
        rank = _rank_of(loop, given)
        if rank in space:
            raise ArchError(
                f"{rank} runs across PEs and cannot stand outside the sync, in order "
                f"{' '.join(order)} with sync {sync}\nMove {loop} inside {sync}."
            )
        block = given.split[rank] if rank in given.split and loop == f"{rank}1" else 1
        if rank in given.split and loop == f"{rank}0":
            raise ArchError(
                f"{loop} stands outside the sync {sync}: a step may name blocks ({rank}1) only\n"
                f"Move {loop} inside {sync}, or leave {rank} whole."
            )
        steps.append(Step(rank, block, -(-layer.extent(rank) // block)))
    sizes = dict(arch.array)
    across = tuple(Across(rank, dims, prod(sizes[d] for d in dims)) for rank, dims in space.items())
    full = Mapping(order, given.split, space, sync=sync, roles=layer.roles)
    return Schedule(full, tuple(steps), across)


def _space(given: Mapping, layer: Layer, arch: Arch) -> dict[str, tuple[str, ...]]:
    names = [name for name, _ in arch.array]
    if given.space is None:
        wide = [
            rank
            for rank in _result_ranks(layer)
            if layer.extent(rank) > 1 and rank not in given.split
        ]
        if not wide:
            return {}
        if len(wide) == 1 or len(names) == 1:
            return {wide[-1]: tuple(names)}
        return {wide[-2]: (names[0],), wide[-1]: tuple(names[1:])}
    used: set[str] = set()
    for rank, dims in given.space.items():
        if rank not in layer.ranks:
            raise ArchError(f"space names {rank}, which is no rank; ranks: {_listed(layer.ranks)}")
        if rank in given.split:
            raise ArchError(f"{rank} is split and goes across PEs: only one of the two as yet")
        for dim in dims:
            if dim not in names:
                raise ArchError(
                    f"space of {rank}: {arch.name} has no dimension {dim}; it has {_listed(names)}"
                )
            if dim in used:
                raise ArchError(f"space: dimension {dim} is taken twice")
            used.add(dim)
    return dict(given.space)


def _result_ranks(layer: Layer) -> list[str]:
    """Ranks that a result's axis is, or starts with, in the order of its axes."""
    ranks = []
    for subscript in layer.target.subscripts:
        name = single(subscript) or next(iter(variables(subscript)), None)
        if name is not None and name not in ranks:
            ranks.append(name)
    return ranks


def _default_sync(given: Mapping, layer: Layer, arch: Arch, space: Iterable[str]) -> str:
    if arch.sync == "none":
        return "none"
    for rank in layer.reductions:
        if rank not in space:
            return f"{rank}1" if rank in given.split else rank
    return "none"


def _default_order(
    given: Mapping,
    layer: Layer,
    loops: Sequence[str],
    sync: str,
    space: Dict[str, tuple[str, ...]],
) -> tuple[str, ...]:
    """Blocks, then the sync, then the other loops, those across PEs innermost."""
    blocks = [loop for loop in loops if _is_split(loop, given) and loop.endswith("1")]
    first = [*(b for b in blocks if b != sync), *([sync] if sync in loops else [])]
    inner = [loop for loop in loops if loop not in first and loop not in space]
    return (*first, *inner, *space)


def _loops(rank: str, given: Mapping) -> tuple[str, ...]:
    return (f"{rank}1", f"{rank}0") if rank in given.split else (rank,)


def _rank_of(loop: str, given: Mapping) -> str:
    return loop[:-1] if _is_split(loop, given) else loop


def _is_split(loop: str, given: Mapping) -> bool:
    return loop[:-1] in given.split and loop[-1] in "01"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
