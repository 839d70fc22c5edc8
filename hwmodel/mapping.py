"""Mappings: which loop runs where and what is kept where, apart from any architecture.

    order c n m r s p q; sync c; space p: rows, q: cols; roles F: F, I: I
    order n1 k1 @LLB m1 @PE m0 k0; split k: 128, m: 16, n: 64; space m1: PE; keep PE: A,Z

A loop of ``space`` runs across dimensions of the PE array: iteration v of V goes to PE
``size*v//V``, or PE v of a part of a split rank.  PEs wait for each other after every iteration of
the loop that ``sync`` names; all loops in time from the outermost to that one make the *steps*.
A mark ``@X`` keeps the tensors of level X from there on (`zeroskip.hwmodel.nest`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType

from zeroskip.einsum_spec.walk import single, variables
from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.homes import Home, check_homes, homes_of
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.marks import is_mark, stays_of
from zeroskip.hwmodel.nest import Loop, Numbering, Residency, Stay, residency
from zeroskip.hwmodel.overfull import WAYS, Spill, check_overflow
from zeroskip.hwmodel.passing import passing_of
from zeroskip.hwmodel.splits import Split, check_splits, loops_of, sized, splits_of
from zeroskip.hwmodel.streamed import Stream, streams_of

_EMPTY: Dict[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, init=False)
class Mapping:
    """What of a mapping is stated; the rest is derived for each layer (`complete`).

    Parameters
    ----------
    order : text or sequence of loops and marks from outside in, optional
        A rank that is split in two has the loops ``m1`` (outer) and ``m0``, in three ``m2`` too.
        ``@X`` keeps every tensor of level X from there on, ``@X(O)`` those that it names.
    split : rank -> places in a block, or several from large to small, optional
        ``{"m": [128, 16]}``: loop m2 goes over blocks of 128, m1 over blocks of 16 in one of
        these, m0 inside one.  The last block of each may be short, also where 16 does not divide
        128.  ``{"m*k": [128]}`` flattens m
        and k, with loops mk1 and mk0.  ``"occupancy(A, 64)"`` in place of sizes: tiles of so many
        stored entries of A, which all other tensors follow; see `zeroskip.hwmodel.splits`.
    space : rank or loop -> dimension of the PE array, or several ("rows*cols"), optional
    sync : the loop after which PEs wait; ``"none"``: only at the end.
    roles : operand -> ``I`` or ``F``, which formats and features may go by, optional
    keep : level -> tensors or roles that it keeps; others pass it by, optional
    overflow : level -> ``refuse``, ``split``, ``spill`` or ``report`` (as without): what becomes of
        tiles that do not fit
    home : tensor -> the level on chip that has it from the start, or of the result at the end,
        whole (``"GLB"``) or a tile for each iteration of the loops down to one (``"GLB i1"``)
    stream : level -> tensors or roles that pass it and are not kept, each with the words under way
        if they are more than one, ``{"GLB": "I 64, O"}``; in place of the architecture's ``stream``
        of that level
    turns : the innermost of the outermost loops at each of whose iterations other lines of a
        cascade take turns with this one, as ``fuse`` has it; "": no others do
    """

    order: tuple[str, ...]
    split: Dict[str, Split]
    space: Dict[str, tuple[str, ...]] | None
    sync: str | None
    roles: Dict[str, str]
    keep: Dict[str, tuple[str, ...]]
    overflow: Dict[str, str]
    home: Dict[str, Home]
    stream: Dict[str, tuple[Stream, ...]]
    turns: str

    def __init__(
        self,
        order: str | Sequence[str] = (),
        split: Dict[str, int | Sequence[int] | str | Split] | None = None,
        space: Dict[str, str | Sequence[str]] | None = None,
        *,
        sync: str | None = None,
        roles: Dict[str, str] | None = None,
        keep: Dict[str, str | Sequence[str]] | None = None,
        overflow: Dict[str, str] | None = None,
        home: Dict[str, str | Home] | None = None,
        stream: Dict[str, str | Sequence[str | Stream]] | None = None,
        turns: str = "",
    ) -> None:
        _check_kinds(order, split, space, sync, roles, keep, overflow)
        loops = order.split() if isinstance(order, str) else order
        put = object.__setattr__
        put(self, "order", tuple(loops))
        put(self, "split", splits_of(split or {}))
        dims = None
        if space is not None:
            dims = {rank: _words(d, "*") for rank, d in space.items()}
        put(self, "space", dims)
        put(self, "sync", sync)
        put(self, "roles", dict(roles or {}))
        put(self, "keep", {level: _words(names, ",") for level, names in (keep or {}).items()})
        put(self, "overflow", dict(overflow or {}))
        put(self, "home", homes_of({} if home is None else home))
        put(self, "stream", streams_of({} if stream is None else stream))
        put(self, "turns", turns)

    def reporting(self) -> Mapping:
        """The same, which refuses no tile."""
        return replace(self, overflow={}) if self.overflow else self

    def uncompressed(self) -> Mapping:
        """The same, with no format of a result at home that another line asks for."""
        return replace(self, home={n: replace(home, format="") for n, home in self.home.items()})

    @property
    def loops(self) -> tuple[str, ...]:
        """The order without its marks."""
        return tuple(word for word in self.order if not is_mark(word))

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
            sizes = (f"{key}: {split}" for key, split in self.split.items())
            parts.append(f"split {', '.join(sizes)}")
        if self.keep:
            kept = (f"{level}: {','.join(names)}" for level, names in self.keep.items())
            parts.append(f"keep {'; '.join(kept)}")
        passing = (f"{at}: {', '.join(map(str, s)) or 'none'}" for at, s in self.stream.items())
        if self.stream:
            parts.append(f"stream {'; '.join(passing)}")
        if self.home:
            parts.append(f"home {', '.join(f'{name}: {at}' for name, at in self.home.items())}")
        if self.turns:
            parts.append(f"turns {self.turns}")
        if self.overflow:
            ways = (f"{level}: {way}" for level, way in self.overflow.items())
            parts.append(f"overflow {', '.join(ways)}")
        if self.roles:
            parts.append(f"roles {', '.join(f'{t}: {r}' for t, r in sorted(self.roles.items()))}")
        return "; ".join(parts)


def _words(names: str | Sequence[str], mark: str) -> tuple[str, ...]:
    listed = names.split(mark) if isinstance(names, str) else names
    return tuple(name.strip() for name in listed if name.strip())


def _check_kinds(
    order: object,
    split: object,
    space: object,
    sync: object,
    roles: object,
    keep: object,
    overflow: object,
) -> None:
    """Refuse what is no mapping's part, naming the part."""
    tables = {"split": split, "space": space, "roles": roles, "keep": keep, "overflow": overflow}
    for name, table in tables.items():
        if table is not None and not isinstance(table, Dict):
            by = "level" if name in ("keep", "overflow") else "rank or operand"
            raise ArchError(f"{name}: expected a dict by {by}, found {table!r}")
        for key in table or ():
            if not isinstance(key, str):
                raise ArchError(f"{name}: expected names as keys, found {key!r}")
    texts = [("order", order)]
    for name in ("space", "keep"):
        table = tables[name]
        texts += [(name, value) for value in (table.values() if isinstance(table, Dict) else ())]
    for name, value in texts:
        listed = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(word, str) for word in listed) or (name == "space" and not listed):
            raise ArchError(f'{name}: expected names, such as "rows", found {value!r}')
    for level, way in overflow.items() if isinstance(overflow, Dict) else ():
        if way not in WAYS:
            raise ArchError(
                f"overflow {level}: expected refuse, split, spill or report, found {way!r}"
            )
    if sync is not None and not isinstance(sync, str):
        raise ArchError(f'sync: expected the name of a loop or "none", found {sync!r}')


@dataclass(frozen=True, slots=True)
class Schedule:
    """A complete mapping of one layer onto one array.

    steps : loops in time outside the sync, outermost first.
    across : loops side by side; a PE outside a loop's tiles stays idle.
    loops : all, outermost first.
    stays : tensor -> where it is kept, outermost level first; the first has it from the start.
        Levels that it passes stand among them.
    spills : what of tiles that do not fit stays.
    """

    mapping: Mapping
    steps: tuple[Loop, ...]
    across: tuple[Loop, ...]
    loops: tuple[Loop, ...]
    stays: Dict[str, tuple[Stay, ...]]
    spills: tuple[Spill, ...] = ()

    @property
    def numberings(self) -> dict[str, Numbering]:
        """Of the splits that go by one."""
        return {x.numbered: x.numbering for x in self.loops if x.numbering is not None}

    @property
    def turned(self) -> tuple[Loop, ...]:
        """The outermost loops, in time, at each of whose iterations other lines take turns."""
        names = [loop.name for loop in self.loops]
        turns = self.mapping.turns
        return self.loops[: names.index(turns) + 1] if turns else ()

    def residency(self, stay: Stay, variables: set[str], ranks: Iterable[str]) -> Residency:
        """How the tiles of a tensor with these ranks come and go, in a term of ``ranks``."""
        return residency(self.loops, stay, variables, ranks)

    def __str__(self) -> str:
        return str(self.mapping)


def complete(
    mapping: Mapping | None,
    layer: Layer,
    arch: Arch,
    numberings: Dict[str, Numbering] = MappingProxyType({}),
) -> Schedule:
    """Fill in what a mapping leaves open, and check the rest against layer and array.

    The default: the last two ranks of the result with an extent above 1 go across the
    array's dimensions (one rank goes across all of them flattened); PEs wait after every
    iteration of the outermost reduction rank, which is the outermost loop.  Levels outside the
    array keep every tensor from the start, those inside it the result too, and operands inside
    the sync.

    numberings : of the splits that go by one (`zeroskip.hwmodel.occupancy`).

    Raises
    ------
    ArchError
        Naming the loop, mark or dimension that does not fit.
    """
    given = mapping or Mapping()
    check_splits(given.split, layer)
    check_overflow(given.overflow, arch.levels, arch.name)
    check_homes(given.home, layer, arch)
    if given.home and "split" in given.overflow.values():
        raise ArchError(
            "overflow: split: loops of tiles that a home on chip has are not cut as yet\n"
            "Let overflow be refuse or report, or leave out home and keep."
        )
    if given.home and "spill" in given.overflow.values():
        raise ArchError(
            "overflow: tiles spill to levels that nothing of a tensor with a home on chip is in\n"
            "Let overflow be refuse or report, or leave out home and keep."
        )
    passing = passing_of(given.stream, given.overflow, layer, arch)
    known = loops_of(layer.ranks, given.split)
    space = _space(given, known, layer, arch)
    names = [loop.name for loop in known]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ArchError(f"split: a part is called {twice}, and so is a rank: rename the rank")
    sync = given.sync or _default_sync(known, layer, arch, space)
    stated = given.loops
    if not stated:
        stated = _default_order(known, sync, space)
    if sorted(stated) != sorted(names):
        raise ArchError(f"order: expected each of {_listed(names)} once, found {_listed(stated)}")
    if sync != "none" and sync not in stated:
        raise ArchError(f"sync {sync}: expected none or one of the loops {_listed(stated)}")
    sizes = dict(arch.array)
    made = {loop.name: sized(loop, layer, numberings) for loop in known}
    for name, dims in space.items():
        loop, tiles = made[name], prod(sizes[d] for d in dims)
        if loop.count > tiles and not loop.whole:
            key = loop.numbered or loop.rank
            more = f"Split {key} once more, so that the loop across has at most {tiles}."
            leader = given.split[key].leader if key in given.split else None
            if leader is not None:
                larger = f'"occupancy({leader}, {loop.block * tiles}, {loop.block})"'
                more += f"\nFor example {key}: {larger}."
            raise ArchError(
                f"space of {name}: it has {loop.count} iterations, and {'*'.join(dims)} {tiles} "
                f"PEs\n{more}"
            )
        made[name] = replace(loop, dims=dims, tiles=tiles)
    loops = tuple(made[name] for name in stated)
    outer = loops[: stated.index(sync) + 1] if sync != "none" else ()
    for loop in outer:
        if loop.dims and not loop.direct:
            raise ArchError(
                f"{loop.name} runs across PEs and cannot stand outside the sync, in order "
                f"{' '.join(stated)} with sync {sync}\nMove {loop.name} inside {sync}."
            )
    inside = [loop.name for loop in outer if not loop.dims]
    if given.turns and given.turns not in inside:
        raise ArchError(
            f"turns {given.turns}: expected one of the loops in time down to the sync, where other "
            f"lines may take turns, {_listed(inside)}"
        )
    order = given.order if given.loops else (*given.order, *stated)
    full = replace(given, order=order, space=space, sync=sync, roles=layer.roles)
    full = replace(full, stream={**given.stream, **passing.stated})
    return Schedule(
        full,
        tuple(loop for loop in outer if not loop.dims and loop.spans[-1:] != (loop.block,)),
        tuple(made[name] for name in space if not made[name].single),
        loops,
        stays_of(order, given.keep, given.home, passing, loops, len(outer), layer, arch),
    )


def _space(
    given: Mapping, loops: Sequence[Loop], layer: Layer, arch: Arch
) -> dict[str, tuple[str, ...]]:
    names = [name for name, _ in arch.array]
    split = {rank for loop in loops if not loop.whole for rank in loop.told_by}
    if given.space is None:
        wide = [
            rank for rank in _result_ranks(layer) if layer.extent(rank) > 1 and rank not in split
        ]
        if not wide:
            return {}
        if len(wide) == 1 or len(names) == 1:
            return {wide[-1]: tuple(names)}
        return {wide[-2]: (names[0],), wide[-1]: tuple(names[1:])}
    used: set[str] = set()
    parts = {loop.name for loop in loops}
    items = {item for cut in given.split.values() for item in cut.ranks}
    for rank, dims in given.space.items():
        if rank in items or rank in given.split:
            of = _listed(loop.name for loop in loops if _made_of(loop, rank, given.split))
            raise ArchError(f"space names {rank}, which is split: name one of its loops {of}")
        if rank not in layer.ranks and rank not in parts:
            raise ArchError(f"space names {rank}, which is no rank; ranks: {_listed(layer.ranks)}")
        for dim in dims:
            if dim not in names:
                raise ArchError(
                    f"space of {rank}: {arch.name} has no dimension {dim}; it has {_listed(names)}"
                )
            if dim in used:
                raise ArchError(f"space: dimension {dim} is taken twice")
            used.add(dim)
    return dict(given.space)


def _made_of(loop: Loop, name: str, splits: Dict[str, Split]) -> bool:
    """Whether a loop is of a rank, of a part of one, or of what the split of that key cuts."""
    cut = splits[name].ranks if name in splits else (name,)
    keys = [split.key for split in splits.values() if not set(cut).isdisjoint(split.ranks)]
    stems = tuple(key.replace("*", "") for key in keys)
    return loop.name.startswith(stems) or name in loop.told_by


def _result_ranks(layer: Layer) -> list[str]:
    """Ranks that a result's axis is, or starts with, in the order of its axes."""
    ranks = []
    for subscript in layer.target.subscripts:
        name = single(subscript) or next(iter(variables(subscript)), None)
        if name is not None and name not in ranks:
            ranks.append(name)
    return ranks


def _default_sync(loops: Sequence[Loop], layer: Layer, arch: Arch, space: Iterable[str]) -> str:
    if arch.sync == "none":
        return "none"
    for rank in layer.reductions:
        outermost = next(loop.name for loop in loops if rank in loop.told_by)
        if outermost not in space:
            return outermost
    return "none"


def _default_order(
    loops: Sequence[Loop], sync: str, space: Dict[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """Blocks, then the sync, then the other loops, those across PEs innermost."""
    names = [loop.name for loop in loops]
    blocks = [loop.name for loop in loops if loop.block > 1 and loop.name not in space]
    first = [*(b for b in blocks if b != sync), *([sync] if sync in names else [])]
    inner = [name for name in names if name not in first and name not in space]
    return (*first, *inner, *space)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
