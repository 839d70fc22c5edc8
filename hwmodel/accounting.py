"""The accounting: from layer, architecture and mapping to Einsums that count, as text.

    busy[c,4*p//P,4*q//Q] += nzI[n,c,2*p+r,2*q+s]*nzF[m,c,r,s]     of each PE in each step c
    steps[c] max= busy[c,i,j]                                      PEs wait for the slowest
    cycles += steps[c]

Operands are masks: ``nzX``, the value is not zero; ``stX``, the format holds the place;
``inX``, the place lies inside the tensor and not in its padding.  Operations go by nz, moves
and the time of skipping by st; a dense format stores every place, inX.

Each point of the iteration space is in one class, by the first that applies: *never fetched* (an
operand that others follow is not stored), *skipped* (an operand that is skipped by is not stored),
*gated* (an operand that is gated by is zero), *effectual* (no operand is zero), *ineffectual*
(executed all the same).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product, takewhile
from math import prod

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.subscripts import rename
from zeroskip.einsum_spec.tree import Affine, Var
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.hwmodel.layer import Layer, Operand, WorkTerm
from zeroskip.hwmodel.mapping import Across, Schedule, Step
from zeroskip.hwmodel.plan import Accounting, Fetch, Flow, Mask, OutputPlan, TermPlan
from zeroskip.hwmodel.policy import OperandPolicy, Policy


def write_accounting(
    layer: Layer, schedule: Schedule, policy: Policy, *, effectual: bool = True
) -> Accounting:
    """The accounting of a layer under a mapping.

    policy : which operands each term is skipped and gated by, and how each is stored.
    effectual : count effectual points; without it ``TermPlan.effectual`` is ``executed``.
    """
    return _Writer(layer, schedule, effectual).write(policy)


@dataclass(slots=True)
class _Writer:
    layer: Layer
    schedule: Schedule
    values: bool
    lines: list[str] = field(default_factory=list)
    masks: dict[str, Mask] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    ranks: dict[str, str] = field(default_factory=dict)
    tile_of: dict[str, str] = field(default_factory=dict)
    block_of: dict[str, str] = field(default_factory=dict)
    windows: dict[str, str] = field(default_factory=dict)

    # ---- the whole ----------------------------------------------------------------------

    def write(self, policy: Policy) -> Accounting:
        self.name_ranks()
        terms, additions = [], []
        for number, term in enumerate(self.layer.work):
            suffix = str(number + 1) if len(self.layer.work) > 1 else ""
            terms.append(self.term(term, policy.terms[number], suffix))
        for number, term in enumerate(self.layer.additions):
            for operand, rule in zip(term.operands, policy.additions[number], strict=True):
                self.comment(f"additions of {operand.tensor}")
                additions.append(self.fetch(term, operand, rule, (), ""))
        output = self.output()
        sizes = {new: self.layer.extent(old) for old, new in self.ranks.items()}
        return Accounting(
            "\n".join(self.lines), sizes, self.masks, tuple(terms), tuple(additions), output
        )

    def name_ranks(self) -> None:
        """Names for ranks that are safe here: lower case, with an upper-case extent."""
        for rank in self.layer.ranks:
            clash = rank.upper() in self.layer.ranks or rank.upper() == rank
            self.ranks[rank] = self.fresh(["x"] if clash else [rank, "x"])
        for across in self.schedule.across:
            self.tile_of[across.rank] = self.fresh(["i", "j", "k", "e"])
        for step in self.schedule.steps:
            rank = self.ranks[step.rank]
            self.block_of[step.rank] = rank if step.block == 1 else self.fresh([f"{rank}1", "b"])

    def fresh(self, wanted: Sequence[str]) -> str:
        """A variable that is free, and so is its upper-case name, which is its extent."""
        numbered = (f"{wanted[-1]}{n}" for n in range(len(self.names) + 1))
        for name in (*wanted, *numbered):
            if name.lower() not in self.names:
                self.names.add(name.lower())
                return name.lower()
        raise AssertionError("one of so many names is free")

    def result(self, wanted: str) -> str:
        """A name of a result that is free."""
        name, number = wanted, 2
        while name.lower() in self.names:
            name, number = f"{wanted}_{number}", number + 1
        self.names.add(name.lower())
        return name

    def comment(self, text: str) -> None:
        self.lines.append(f"# {text}")

    def line(self, target: str, subscripts: Sequence[str], op: str, factors: Iterable[str]) -> str:
        """Write one Einsum; return the name of its result."""
        name = self.result(target)
        left = _access(name, subscripts)
        self.lines.append(f"{left} {op} {'*'.join(factors) or '1'}")
        return name

    # ---- operations ---------------------------------------------------------------------

    def term(self, term: WorkTerm, rules: Sequence[OperandPolicy], suffix: str) -> TermPlan:
        names = " * ".join(o.tensor for o in term.operands)
        self.comment(f"operations of {names}: each PE, each step")
        counts: dict[tuple[str, ...], str] = {}

        def count(wanted: str, masks: Sequence[str]) -> str:
            """Points at which all of these masks are set ('' for none), written once."""
            key = tuple(masks)
            if key not in counts:
                counts[key] = self.points(f"{wanted}{suffix}", term, masks)
            return counts[key]

        lead = [rule.stored.kind if rule.led_by else "" for rule in rules]
        skip = [rule.stored.kind if rule.skipped_by else "" for rule in rules]
        gate = ["nz" if rule.gated_by else by for rule, by in zip(rules, skip, strict=True)]
        fetched = count("fetched", lead) if any(lead) else None
        busy = count("busy", skip)
        executed = count("executed", gate)
        effectual = count("effectual", ["nz"] * len(rules)) if self.values else executed
        reads = []
        for number, conditions in [
            *((i, rule.gated_where) for i, rule in enumerate(rules)),
            (-1, rules[0].result_gated_where if rules else frozenset()),
        ]:
            masks = ["nz" if i in conditions else by for i, by in enumerate(skip)]
            reads.append((number, count("reads", masks)))
        variables = self.step_variables(term), self.tile_variables(term)
        steps = self.line(
            f"steps{suffix}",
            variables[0],
            "max=",
            [_access(busy, [*variables[0], *variables[1]])],
        )
        cycles = self.line(f"cycles{suffix}", (), "+=", [_access(steps, variables[0])])
        of_pe = self.line(
            f"work{suffix}",
            variables[1],
            "+=",
            [_access(busy, [*variables[0], *variables[1]])],
        )
        fetches = []
        for operand, rule in zip(term.operands, rules, strict=True):
            self.comment(f"{operand.tensor} from the buffer to the PEs")
            fetches.append(self.fetch(term, operand, rule, self.steps(term), suffix))
        counted = fetched, busy, executed, effectual
        return TermPlan(term, *counted, steps, cycles, of_pe, tuple(reads), tuple(fetches))

    def points(self, wanted: str, term: WorkTerm, masks: Sequence[str]) -> str:
        """``wanted[step, PE] += product of masks``, times the ranks that nothing else holds."""
        factors = []
        held = {s.rank for s in self.steps(term)} | {a.rank for a in self.across(term)}
        for operand, kind in zip(term.operands, masks, strict=True):
            if kind:
                factors.append(self.access(self.mask(kind, operand), operand.subscripts))
                held |= operand.variables
        scalars = [self.extent(rank) for rank in term.ranks if rank not in held]
        subscripts = [self.step(s) for s in self.steps(term)]
        subscripts += [self.tile(a) for a in self.across(term)]
        return self.line(wanted, subscripts, "+=", [*scalars, *factors])

    def steps(self, term: WorkTerm) -> list[Step]:
        return [s for s in self.schedule.steps if s.rank in term.ranks]

    def across(self, term: WorkTerm) -> list[Across]:
        return [a for a in self.schedule.across if a.rank in term.ranks]

    def step_variables(self, term: WorkTerm) -> list[str]:
        return [self.block_of[s.rank] for s in self.steps(term)]

    def tile_variables(self, term: WorkTerm) -> list[str]:
        return [self.tile_of[a.rank] for a in self.across(term)]

    # ---- moves --------------------------------------------------------------------------

    def fetch(
        self,
        term: WorkTerm,
        operand: Operand,
        rule: OperandPolicy,
        steps: Sequence[Step],
        suffix: str,
    ) -> Fetch:
        """Entries of an operand that PEs take from the buffer, step by step; and positions,
        where the format has a bit for each."""
        across = self.across(term)
        entries = self.flow(operand, rule.stored.kind, operand.tensor + suffix, steps, across)
        places = None
        if rule.stored.place_bits:
            places = self.flow(operand, "in", f"{operand.tensor}{suffix}_places", steps, across)
        copies = prod(self.active(a) for a in across if a.rank not in operand.variables)
        role = self.layer.roles[operand.tensor]
        return Fetch(operand, role, rule.stored, entries, places, copies, term.points)

    def flow(
        self,
        operand: Operand,
        kind: str,
        label: str,
        steps: Sequence[Step],
        across: Sequence[Across],
    ) -> Flow:
        mask = self.mask(kind, operand)
        inside = [a for a in across if a.rank in operand.variables]
        own = [s for s in steps if s.rank in operand.variables]
        held = self.held(f"held{label}", operand, mask, own, inside)
        again = [self.step_count(s) for s in steps if s not in own]
        axes = [*(self.block_of[s.rank] for s in own), *(self.tile_of[a.rank] for a in inside)]
        fetched = self.line(f"fetched{label}", (), "+=", [*again, _access(held, axes)])
        most = self.line(f"most{label}", (), "max=", [_access(held, axes)]) if axes else held
        stay = list(takewhile(lambda s: s in own, steps))
        tile = most
        if inside or len(stay) < len(own):
            part = self.held(f"part{label}", operand, mask, stay, ())
            kept = [self.block_of[s.rank] for s in stay]
            tile = self.line(f"tile{label}", (), "max=", [_access(part, kept)]) if kept else part
        return Flow(fetched, most, tile)

    def output(self) -> OutputPlan:
        """Entries of the result: each PE keeps its own until the end."""
        self.comment(f"{self.layer.target.tensor} from the PEs to the buffer")
        target = self.layer.target
        across = [a for a in self.schedule.across if a.rank in target.variables]
        held = self.held(f"held{target.tensor}", target, "", (), across)
        axes = [self.tile_of[a.rank] for a in across]
        most = self.line(f"most{target.tensor}", (), "max=", [_access(held, axes)])
        written = self.line(f"written{target.tensor}", (), "+=", [_access(held, axes)])
        distinct = written
        if any(single(s) is None for s in target.subscripts) and across:
            distinct = self.held(f"distinct{target.tensor}", target, "", (), ())
        return OutputPlan(most, written, distinct, self.parts())

    def parts(self) -> int:
        """PEs that hold a part of one output: those along the ranks that it is summed over.

        A term without such a rank is done by the first PE along it.
        """
        missing = [a for a in self.schedule.across if a.rank not in self.layer.target.variables]
        places: set[tuple[int, ...]] = set()
        for term in self.layer.work:
            ways = (range(self.active(a) if a.rank in term.ranks else 1) for a in missing)
            places.update(product(*ways))
        return len(places)

    def active(self, across: Across) -> int:
        """PEs along a rank that own at least one place of it."""
        return min(across.tiles, self.layer.extent(across.rank))

    def held(
        self,
        wanted: str,
        operand: Operand,
        mask: str,
        steps: Sequence[Step],
        across: Sequence[Across],
    ) -> str:
        """``wanted[step, PE] += entries of the operand in the window of that PE and step``."""
        groups = _groups(operand.subscripts)
        subscripts: dict[int, str] = {}
        of_rank: dict[str, str] = {}
        factors: list[str] = []
        plain: list[str] = []
        for axes in groups:
            ranks = {v for axis in axes for v in variables(operand.subscripts[axis])}
            alone = single(operand.subscripts[axes[0]]) if len(axes) == 1 else None
            if alone is not None:
                subscripts[axes[0]] = self.ranks[alone]
                plain.append(alone)
                continue
            window, letters = self.window(operand, axes, ranks, steps, across)
            subscripts |= letters
            outside = ranks & {*(s.rank for s in steps), *(a.rank for a in across)}
            if mask and not outside and self.reaches_all(operand, axes):
                continue
            factors.append(window())
            of_rank |= {s.rank: self.block_of[s.rank] for s in steps if s.rank in ranks}
            of_rank |= {a.rank: self.tile_of[a.rank] for a in across if a.rank in ranks}
        left = [of_rank.get(s.rank) or self.step(s) for s in steps]
        left += [of_rank.get(a.rank) or self.tile(a) for a in across]
        taken = {s.rank for s in steps} | {a.rank for a in across}
        scalars = []
        if mask:
            order = range(len(operand.subscripts))
            factors.insert(0, _access(mask, [subscripts[axis] for axis in order]))
        else:
            scalars = [self.extent(rank) for rank in plain if rank not in taken]
        return self.line(wanted, left, "+=", [*scalars, *factors])

    def window(
        self,
        operand: Operand,
        axes: Sequence[int],
        ranks: set[str],
        steps: Sequence[Step],
        across: Sequence[Across],
    ) -> tuple[Callable[[], str], dict[int, str]]:
        """A static mask: which places of ``axes`` a PE reaches in a step.  What writes it and
        gives its access, and the variables that stand for those axes."""
        left = [self.step(s) for s in steps if s.rank in ranks]
        left += [self.tile(a) for a in across if a.rank in ranks]
        names = [self.block_of[s.rank] for s in steps if s.rank in ranks]
        names += [self.tile_of[a.rank] for a in across if a.rank in ranks]
        letters = {axis: self.axis_letter(operand, axis) for axis in axes}
        places = [self.subscript(operand.subscripts[axis]) for axis in axes]

        def write() -> str:
            key = f"{operand.tensor} {left} {places}"
            if key not in self.windows:
                wanted = f"win{operand.tensor}_{''.join(letters.values())}"
                self.windows[key] = self.line(wanted, [*left, *places], "|=", ["1"])
            return _access(self.windows[key], [*names, *letters.values()])

        return write, letters

    def reaches_all(self, operand: Operand, axes: Sequence[int]) -> bool:
        """Whether an axis whose ranks no other axis holds is reached in every place."""
        if len(axes) > 1:
            return False
        reached = 1  # a bit for every place
        for monomial, atom in operand.subscripts[axes[0]].terms:
            if not isinstance(atom, Var) or monomial.value < 0:
                return False
            before, reached = reached, 0
            for value in range(self.layer.extent(atom.name)):
                reached |= before << monomial.value * value
        for monomial in operand.subscripts[axes[0]].offset:
            reached <<= monomial.value
        return reached == (1 << operand.lengths[axes[0]]) - 1

    def axis_letter(self, operand: Operand, axis: int) -> str:
        """A variable for the places of an axis: the book's h and w where p and q reach it."""
        key = f"axis {axis} of {operand.tensor} {operand.subscripts[axis]}"
        if key not in self.windows:
            held = set(variables(operand.subscripts[axis]))
            wanted = ["h"] if held & {"p", "r"} else ["w"] if held & {"q", "s"} else []
            self.windows[key] = self.fresh([*wanted, "h", "w", "a"])
        return self.windows[key]

    # ---- text ---------------------------------------------------------------------------

    def mask(self, kind: str, operand: Operand) -> str:
        """The name of a mask of an operand, as far as this access reaches."""
        wanted = Mask(kind, operand.tensor, operand.lengths, operand.pads)
        name, number = f"{kind}{operand.tensor}", 2
        while self.masks.setdefault(name, wanted) != wanted:
            name, number = f"{kind}{operand.tensor}_{number}", number + 1
        self.names.add(name.lower())
        return name

    def step(self, step: Step) -> str:
        rank = self.ranks[step.rank]
        return rank if step.block == 1 else f"{rank}//{step.block}"

    def step_count(self, step: Step) -> str:
        return self.extent(step.rank) if step.block == 1 else str(step.count)

    def tile(self, across: Across) -> str:
        rank = self.ranks[across.rank]
        scaled = rank if across.tiles == 1 else f"{across.tiles}*{rank}"
        return f"{scaled}//{rank.upper()}"

    def extent(self, rank: str) -> str:
        return self.ranks[rank].upper()

    def subscript(self, subscript: Affine) -> str:
        return deparse(rename(subscript, lambda n: self.ranks[n], lambda n: n))

    def access(self, name: str, subscripts: Iterable[Affine]) -> str:
        return _access(name, [self.subscript(s) for s in subscripts])


def _access(name: str, subscripts: Sequence[str]) -> str:
    return f"{name}[{','.join(subscripts)}]" if subscripts else name


def _groups(subscripts: Sequence[Affine]) -> list[list[int]]:
    """Axes that share a variable, together; the others alone."""
    groups: list[tuple[set[str], list[int]]] = []
    for axis, subscript in enumerate(subscripts):
        names, axes = set(variables(subscript)), [axis]
        for group in [g for g in groups if g[0] & names]:
            groups.remove(group)
            names |= group[0]
            axes += group[1]
        groups.append((names, sorted(axes)))
    return sorted(axes for _, axes in groups)
