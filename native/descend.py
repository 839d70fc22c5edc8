"""One product term → loops, from what the levels of its operands can do.

The order of loops is found on the way down.  At each step every operand goes as deep as its
bound ranks allow (`_advance`): an uncompressed level is an address, a compressed or bitmask one
is located, any other is walked within a window of one coordinate.  Then the next loop is opened:
a walk over the stored coordinates of the leading sparse operand, which binds ranks by solving
its subscripts, or else a range over a rank that nothing stored can bind.
"""

from __future__ import annotations

from dataclasses import replace

from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import free, single, variables
from zeroskip.native.blocks import in_block, part_coordinate
from zeroskip.native.brackets import bounds, condition, open_ranks
from zeroskip.native.cursor import Cursor, Hook, Leaf, State
from zeroskip.native.domains import Level, Merge, Range, Stored
from zeroskip.native.gathering import fetch, wanted_places
from zeroskip.native.integers import (
    ONE,
    ZERO,
    Cond,
    Const,
    Expr,
    Name,
    Pick,
    add,
    ceildiv,
    floordiv,
    least,
    most,
    mul,
    neg,
    sub,
)
from zeroskip.native.nest import Bind, Find, Guard, Locate, Loop, Stmt
from zeroskip.native.scheme import Scheme
from zeroskip.native.solve import solvable, solve
from zeroskip.native.values import Absent, Elem, Number, Value


class Descent:
    """Builds the loops of one term.

    Parameters
    ----------
    scheme : Scheme
    ranks : every index variable to visit, target ranks first.
    leaf : what to do at a point, once every rank is bound and every operand followed down.
    hook : asked once at every depth; may wrap everything below (an accumulator).
    last : a rank to loop over innermost, or None.
    """

    def __init__(
        self, scheme: Scheme, ranks: tuple[str, ...], leaf: Leaf, hook: Hook, last: str | None
    ) -> None:
        self.scheme, self.ranks, self.leaf, self.hook, self.last = scheme, ranks, leaf, hook, last

    # ---- going down ---------------------------------------------------------------------

    def go(self, state: State) -> tuple[Stmt, ...]:
        ready = tuple(b for b in state.brackets if not open_ranks(state, b))
        if ready:
            left = tuple(b for b in state.brackets if b not in ready)
            inner = self.go(replace(state, brackets=left, whole=False))
            return (Guard(tuple(condition(self.scheme, b) for b in ready), inner),)
        step = self._advance(state)
        if step is not None:
            return step
        wrap = self.hook(state)
        if wrap is not None:
            return wrap(self.go(state))
        if self.scheme.order:
            return self._in_order(state)
        for i, cursor in enumerate(state.cursors):
            if not cursor.done and cursor.signature.skips and not cursor.optional:
                return self._toward(state, i)
        rank = self._next_dense(state)
        if rank is None:
            return self._at_point(state)
        return self._range(state, rank)

    def _in_order(self, state: State) -> tuple[Stmt, ...]:
        """Open the loop over the next rank of a given order: a walk where an operand's next level
        binds that rank, or that and those that follow it, and no other."""
        left = [r for r in self.scheme.order if r in self.ranks and r not in state.bound]
        if not left:
            return self._at_point(state)
        for i, cursor in enumerate(state.cursors):
            if cursor.done or cursor.optional or not cursor.signature.skips:
                continue
            ranks = self._binds(state, cursor)
            if ranks and ranks == left[: len(ranks)]:
                return self._follow(state, i)
        return self._range(state, left[0])

    def _binds(self, state: State, cursor: Cursor) -> list[str]:
        """The ranks that a walk over an operand's next level binds, outermost first; none where
        there is nothing to walk."""
        if cursor.level.kind.full or cursor.level.part is not None:
            return []
        found: dict[str, None] = {}
        for axis, names in state.lacking(cursor).items():
            if len(names) > 1 or not all(
                solvable(cursor.access.subscripts[axis], name) for name in names
            ):
                return []
            found.update(dict.fromkeys(names))
        return list(found)

    def _at_point(self, state: State) -> tuple[Stmt, ...]:
        absent = tuple(Cond("<", c.position, ZERO) for c in state.cursors if c.missing)
        return (Guard(absent, self.leaf(state)),) if absent else self.leaf(state)

    def _advance(self, state: State) -> tuple[Stmt, ...] | None:
        """Follow the first operand that can go deeper; None if none can."""
        for i, cursor in enumerate(state.cursors):
            if cursor.done:
                continue
            level = cursor.level
            if any(state.lacking(cursor).values()):
                continue
            places = wanted_places(state, cursor.access, level.axes)
            if places:
                return fetch(self.scheme, state, places, self.go)
            guards = self._padding_guards(cursor, level.axes)
            if guards and cursor.cuts:
                checked = replace(cursor, checked=cursor.checked | set(level.axes))
                narrowed = replace(state.with_cursor(i, checked), whole=False)
                return (Guard(tuple(guards), self.go(narrowed)),)
            if level.part is None:
                coordinate = self._flatten(cursor.access, level.axes)
            else:
                coordinate = part_coordinate(self.scheme, state, cursor)
            if cursor.optional:
                return self._find(state, i, coordinate, guards)
            if level.kind.full:
                at = add(
                    mul(cursor.position, self.scheme.level(cursor.access, cursor.depth).extent),
                    coordinate,
                )
                return self.go(state.with_cursor(i, cursor.deeper(at)))
            found = replace(state, whole=False)
            node = self.scheme.level(cursor.access, cursor.depth)
            pos = self.scheme.names.fresh(f"p{cursor.tag}_{node.label}")
            below = found.with_cursor(i, cursor.deeper(Name(pos)))
            if level.kind.locate and level.unique:
                return (Locate(node, cursor.position, coordinate, pos, self.go(below)),)
            return self._walk_for(cursor, node, pos, coordinate, self.go(below))
        return None

    def _find(self, state: State, i: int, coordinate: Expr, guards: list[Cond]) -> tuple[Stmt, ...]:
        """Follow an operand that may store nothing here: its position is then -1."""
        cursor = state.cursors[i]
        conditions = [Cond(">=", cursor.position, ZERO)] if cursor.absent else []
        conditions += guards
        node = self.scheme.level(cursor.access, cursor.depth)
        full = cursor.level.kind.full
        at = add(mul(cursor.position, node.extent), coordinate)
        if full and not conditions:
            return self.go(state.with_cursor(i, cursor.deeper(at)))
        pos = self.scheme.names.fresh(f"p{cursor.tag}_{node.label}")
        deeper = replace(cursor.deeper(Name(pos)), absent=True)
        body = self.go(state.with_cursor(i, deeper))
        if full:
            return (Bind(pos, Pick(tuple(conditions), at, Const(-1)), body),)
        return (Find(node, cursor.position, coordinate, pos, tuple(conditions), body),)

    def _walk_for(
        self, cursor: Cursor, node: Level, pos: str, coordinate: Expr, body: tuple[Stmt, ...]
    ) -> tuple[Stmt, ...]:
        """Every entry of a fiber at one coordinate, of a level that cannot locate."""
        at = self.scheme.names.fresh(f"{cursor.tag}_{node.label}_at")
        if node.letter == "S":
            guarded = (Guard((Cond("==", Name(at), coordinate),), body),)
            return (Loop(at, Stored(node, cursor.position, pos), guarded),)
        window = (coordinate, add(coordinate, ONE))
        return (Loop(at, Stored(node, cursor.position, pos, window), body),)

    def _toward(self, state: State, i: int) -> tuple[Stmt, ...]:
        """Open the loop that brings sparse operand ``i`` one step nearer to its next level."""
        cursor = state.cursors[i]
        level = cursor.level
        unbound = state.lacking(cursor)
        if level.part is not None:
            (rank,) = next(iter(unbound.values()))
            if level.kind.full and level.part.inner:
                return self._range(state, rank)
            return in_block(self, state, i, rank)
        if level.kind.full:
            rank = next(names[0] for names in unbound.values() if names)
            return self._range(state, rank)
        for axis, names in unbound.items():
            if not names:
                continue
            if len(names) > 1 or not solvable(cursor.access.subscripts[axis], names[0]):
                return self._range(state, self._to_loop(names))
        return self._follow(state, i)

    def _follow(self, state: State, i: int) -> tuple[Stmt, ...]:
        """Walk the next level of sparse operand ``i``, with another where both come to one rank."""
        for k in range(len(state.cursors)):
            if k != i and not state.cursors[k].optional and self._mergeable(state, i, k):
                return self._merge(state, i, k)
        return self._walk(state, i)

    def _mergeable(self, state: State, i: int, k: int) -> bool:
        """Whether both operands come to sorted coordinates of the same rank at this depth."""
        ranks = []
        for cursor in (state.cursors[i], state.cursors[k]):
            if cursor.done or cursor.level.letter != "C" or not cursor.level.unique:
                return False
            if cursor.level.part is not None:
                return False
            axis = cursor.level.axes[0]
            if len(cursor.level.axes) > 1 or cursor.signature.padded[axis]:
                return False
            ranks.append(single(cursor.access.subscripts[axis]))
        return ranks[0] is not None and ranks[0] == ranks[1] and ranks[0] not in state.bound

    def _merge(self, state: State, i: int, k: int) -> tuple[Stmt, ...]:
        """Two fingers over the coordinates of one rank."""
        below = replace(state, whole=False)
        sides = []
        for at in (i, k):
            cursor = state.cursors[at]
            node = self.scheme.level(cursor.access, cursor.depth)
            pos = self.scheme.names.fresh(f"p{cursor.tag}_{node.label}")
            sides.append(Stored(node, cursor.position, pos))
            below = below.with_cursor(at, cursor.deeper(Name(pos)))
        rank = single(state.cursors[i].access.subscripts[state.cursors[i].level.axes[0]])
        assert rank is not None
        below = replace(below, bound=state.bound | {rank})
        return (Loop(self.scheme.rank(rank), Merge(*sides), self.go(below)),)

    def _to_loop(self, names: list[str]) -> str:
        """Of several ranks in one subscript, the one to loop over: a summed rank first, so that
        a rank of the result is left to be solved."""
        target = free(self.scheme.form.target)
        return next((n for n in names if n not in target), names[0])

    def _next_dense(self, state: State) -> str | None:
        left = [r for r in self.ranks if r not in state.bound]
        if not left:
            return None
        return next((r for r in left if r != self.last), left[0])

    # ---- loops --------------------------------------------------------------------------

    def _range(self, state: State, rank: str) -> tuple[Stmt, ...]:
        """Loop over a rank's extent, cut to where every padded access stays inside."""
        scheme = self.scheme
        los: list[Expr] = [ZERO]
        his: list[Expr] = [scheme.extent(rank)]
        after = state
        if rank in state.blocks:
            block = state.blocks[rank]
            los, his = [block.first], [*his, add(block.first, Const(block.size))]
        for bracket in state.brackets:
            cut = bounds(scheme, bracket, rank) if open_ranks(state, bracket) == [rank] else None
            if cut is not None:
                los, his = los + cut[0], his + cut[1]
                left = tuple(b for b in after.brackets if b != bracket)
                after = replace(after, brackets=left)
        for i, cursor in enumerate(state.cursors):
            if not cursor.cuts:
                continue
            for axis, padded in enumerate(cursor.signature.padded):
                subscript = cursor.access.subscripts[axis]
                if not padded or axis in cursor.checked or self._passed(cursor, axis):
                    continue
                if state.unbound(subscript) != [rank] or not solvable(subscript, rank):
                    continue
                a, rest = scheme.split(subscript, rank)
                low = sub(scheme.pad(cursor.access, axis), rest)
                high = add(scheme.axis_extent(cursor.access, axis), low, Const(-1))
                if a < 0:
                    low, high = neg(high), neg(low)
                los.append(ceildiv(low, Const(abs(a))))
                his.append(add(floordiv(high, Const(abs(a))), ONE))
                checked = replace(after.cursors[i], checked=after.cursors[i].checked | {axis})
                after = after.with_cursor(i, checked)
        whole = state.whole and len(los) == len(his) == 1
        below = replace(after, bound=state.bound | {rank}, whole=whole)
        over = Range(most(*los), least(*his))
        return (Loop(scheme.rank(rank), over, self.go(below)),)

    def _passed(self, cursor: Cursor, axis: int) -> bool:
        """Whether the axis's level lies above the cursor."""
        return any(axis in level.axes for level in cursor.signature.levels[: cursor.depth])

    def _walk(self, state: State, i: int) -> tuple[Stmt, ...]:
        """Visit the stored coordinates of operand i's next level and solve for its ranks."""
        scheme = self.scheme
        cursor = state.cursors[i]
        level, access = cursor.level, cursor.access
        known = [a for a in level.axes if not state.unbound(access.subscripts[a])]
        places = wanted_places(state, access, known)
        if places:
            return fetch(self.scheme, state, places, self.go)
        prefix = self._bound_prefix(state, cursor)
        guards = self._padding_guards(cursor, level.axes[:prefix])
        if guards:
            checked = replace(cursor, checked=cursor.checked | set(level.axes[:prefix]))
            return (
                Guard(tuple(guards), self.go(replace(state.with_cursor(i, checked), whole=False))),
            )
        node = scheme.level(access, cursor.depth)
        pos = scheme.names.fresh(f"p{cursor.tag}_{node.label}")
        window = None
        if prefix and level.letter != "S":
            span = mul(*(scheme.axis_extent(access, a) for a in level.axes[prefix:]))
            first = self._flatten(access, level.axes[:prefix])
            window = (mul(first, span), mul(add(first, ONE), span))
        rank = single(access.subscripts[level.axes[0]]) if len(level.axes) == 1 else None
        bound = state.bound | {v for a in level.axes for v in variables(access.subscripts[a])}
        deeper = cursor.deeper(Name(pos))
        below = replace(state, bound=frozenset(bound), whole=False).with_cursor(i, deeper)
        near = None if window is not None else self._near(state, cursor)
        over = state.cut(Stored(node, cursor.position, pos, window or near), rank)
        if rank is not None and not cursor.signature.padded[level.axes[0]]:
            return (Loop(scheme.rank(rank), over, self.go(below)),)
        at = scheme.names.fresh(f"{cursor.tag}_{node.label}_at")
        skip = level.axes[:prefix] if window is not None else ()
        body = solve(
            scheme, state, cursor, Name(at), skip, near is not None, lambda: self.go(below)
        )
        return (Loop(at, over, body),)

    def _near(self, state: State, cursor: Cursor) -> tuple[Expr, Expr] | None:
        """The coordinates that a summed rank reaches from a place of bound ones, where that is
        all that an axis's subscript lacks: ``x + r`` of a window around x."""
        scheme, access = self.scheme, cursor.access
        if len(cursor.level.axes) > 1 or cursor.level.letter == "S":
            return None
        (axis,) = cursor.level.axes
        subscript = access.subscripts[axis]
        names = state.unbound(subscript)
        if len(names) != 1 or names[0] in free(scheme.form.target):
            return None
        if len(set(variables(subscript))) == 1:
            return None  # no place to be near to
        factor, rest = scheme.split(subscript, names[0])
        first = sub(rest, scheme.pad(access, axis))
        reach = mul(Const(factor), add(scheme.extent(names[0]), Const(-1)))
        low, high = (first, add(first, reach)) if factor > 0 else (add(first, reach), first)
        high = add(high, ONE)
        if cursor.level.letter == "B":
            low, high = most(ZERO, low), least(scheme.axis_extent(access, axis), high)
        return low, high

    def _bound_prefix(self, state: State, cursor: Cursor) -> int:
        """How many leading axes of the flattened level are known already."""
        n = 0
        for axis in cursor.level.axes:
            if state.unbound(cursor.access.subscripts[axis]):
                break
            n += 1
        return n

    # ---- subscripts ---------------------------------------------------------------------

    def _flatten(self, access: Access, axes: tuple[int, ...]) -> Expr:
        at: Expr = ZERO
        for axis in axes:
            at = add(
                mul(at, self.scheme.axis_extent(access, axis)), self.scheme.index(access, axis)
            )
        return at

    def _padding_guards(self, cursor: Cursor, axes: tuple[int, ...]) -> list[Cond]:
        guards = []
        for axis in axes:
            if cursor.signature.padded[axis] and axis not in cursor.checked:
                index = self.scheme.index(cursor.access, axis)
                guards.append(Cond(">=", index, ZERO))
                guards.append(Cond("<", index, self.scheme.axis_extent(cursor.access, axis)))
        return guards

    def read(self, cursor: Cursor) -> Value:
        """The value, or what stands for it where nothing is stored."""
        value = value_at(cursor, self.scheme)
        if not cursor.absent:
            return value
        if cursor.missing:
            return Number(cursor.signature.fill)
        return Absent(cursor.position, value, Number(cursor.signature.fill))


def value_at(cursor: Cursor, scheme: Scheme) -> Elem:
    """An operand's value at the bottom of its cursor."""
    return Elem(scheme.values(cursor.access.tensor), cursor.position)
