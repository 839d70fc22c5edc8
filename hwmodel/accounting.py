"""The accounting: from layer, architecture and mapping to Einsums that count, as text.

    busy[c,4*p//P,4*q//Q] += nzI[n,c,2*p+r,2*q+s]*nzF[m,c,r,s]     of each PE in each step c
    steps[c] max= busy[c,i,j]                                      PEs wait for the slowest
    cycles += steps[c]

Operands are masks: ``nzX``, the value is not zero; ``stX``, the format holds the place;
``inX``, the place lies inside the tensor and not in its padding.  Operations go by nz, moves
and the time of skipping by st; a dense format stores every place, inX.  Where a PE has entries
that only hold a place, ``entryX`` is 1 at these, too.

Each point of the iteration space is in one class, by the first that applies: *never fetched*
(outside the brackets of its term); from the outermost level in, *never fetched* or *gated* (the
tile of a leader is empty); *never fetched* (an operand that others follow is not stored), *skipped*
(an operand that is skipped by is not stored), *gated* (an operand that is gated by is zero),
*effectual* (no operand is zero), *ineffectual* (executed all the same).
"""

from __future__ import annotations

from collections.abc import Sequence

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.boxes import access
from zeroskip.hwmodel.brackets import ranks_of
from zeroskip.hwmodel.draining import drains_of
from zeroskip.hwmodel.holding import ENTRY, entry_at
from zeroskip.hwmodel.housing import housed
from zeroskip.hwmodel.layer import Layer, WorkTerm
from zeroskip.hwmodel.leading import Need, needs_of_term
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.moving import fills_of
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.occupancy import numbered
from zeroskip.hwmodel.plan import Accounting, TermPlan
from zeroskip.hwmodel.policy import OperandPolicy, Policy
from zeroskip.hwmodel.spilling import spilled
from zeroskip.hwmodel.writer import Writer


def write_accounting(
    layer: Layer,
    schedule: Schedule,
    policy: Policy,
    arch: Arch,
    *,
    effectual: bool = True,
    timed: bool = False,
) -> Accounting:
    """The accounting of a layer under a mapping.

    policy : which operands each term is skipped and gated by, and how each is stored.
    effectual : count effectual points; without it ``TermPlan.effectual`` is ``executed``.
    timed : count by epoch, too, what tiles bring and take along.
    """
    w = Writer(layer, schedule, timed=timed)
    w.name_ranks()
    scans, numbers, leaders = numbered(w)
    stays, fits = spilled(w)
    scans, given = "\n".join(text for text in (scans, stays) if text), {**numbers, **fits}
    shared = arch.multipliers > 1 and arch.lanes is None
    terms, additions = [], []
    for number, term in enumerate(layer.work):
        suffix = w.scope = str(number + 1) if len(layer.work) > 1 else ""
        terms.append(_term(w, term, number, policy.terms[number], suffix, effectual, shared))
    w.scope = "additions"
    for number, term in enumerate(layer.additions):
        for operand, rule in zip(term.operands, policy.additions[number], strict=True):
            additions.append(fills_of(w, term, operand, rule, "", None))
    w.scope = "result"
    drains = drains_of(w)
    homes = housed(w, policy, arch)
    sizes = {new: layer.extent(old) for old, new in w.ranks.items()} | w.fixed
    return Accounting(
        "\n".join(w.lines),
        sizes,
        w.masks,
        tuple(terms),
        tuple(additions),
        drains,
        homes,
        policy,
        w.shapes,
        scans,
        given,
        leaders,
        "\n".join(_turns(w, plan, arch.multipliers) for plan in terms if plan.turns),
        {name: tensor for tensor, name in w.indices.items()},
        w.trees,
    )


def _turns(w: Writer, plan: TermPlan, multipliers: int) -> str:
    """Points of a step, on so many multipliers: ``turns[k] = ceil(steps[k]/2)``."""
    when = w.variables([loop for loop in w.schedule.steps if loop.of(plan.term.ranks)])
    each = "" if plan.term.multiplications < 2 else f"{plan.term.multiplications}*"
    most = access(plan.steps, when)
    return f"{access(plan.turns, when)} = ceil({each}{most}/{multipliers})"


def _term(
    w: Writer,
    term: WorkTerm,
    position: int,
    rules: Sequence[OperandPolicy],
    suffix: str,
    values: bool,
    shared: bool,
) -> TermPlan:
    """shared : whether several multipliers of a PE share its work of a step."""
    names = " * ".join(o.tensor for o in term.operands)
    w.comment(f"operations of {names}: each PE, each step")
    counts: dict[tuple[str, ...], str] = {}
    needs = needs_of_term(w, term, rules)
    steps = [loop for loop in w.schedule.steps if loop.of(term.ranks)]
    across = [loop for loop in w.schedule.across if loop.of(term.ranks)]

    def count(wanted: str, masks: Sequence[str], called: Sequence[Need] = needs) -> str:
        """Points at which all of these masks are set ('' for none), in tiles that are called for;
        written once."""
        left = [need for need in called if not need.implied(masks)]
        key = (*masks, *(need.of_tile(w) for need in left))
        if key not in counts:
            loops = [*steps, *across]
            counts[key] = _points(w, f"{wanted}{suffix}", term, rules, masks, left, loops)
        return counts[key]

    idle = []
    for place in dict.fromkeys(need.level for need in needs if need.gates):
        gates = [n for n, need in enumerate(needs) if need.gates and need.level == place]
        bare = [""] * len(rules)
        idle.append(("+", count("reached", bare, needs[: gates[0]])))
        idle.append(("-", count("passed", bare, needs[: gates[-1] + 1])))

    def with_idle(wanted: str, masks: Sequence[str]) -> str:
        """The same, and the points of tiles that are gated."""
        if not idle:
            return count(wanted, masks)
        variables = w.variables([*steps, *across])
        parts = [("+", count("open", masks)), *idle]
        terms = [(sign, [access(name, variables)]) for sign, name in parts]
        return w.sum(f"{wanted}{suffix}", variables, terms)

    kinds = [ENTRY if rule.read.fills else rule.read.kind for rule in rules]
    lead = [kind if rule.led_by else "" for kind, rule in zip(kinds, rules, strict=True)]
    skip = [kind if rule.skipped_by else "" for kind, rule in zip(kinds, rules, strict=True)]
    gate = ["nz" if rule.gated_by else by for rule, by in zip(rules, skip, strict=True)]
    fetched = None
    if term.within or any(lead) or not all(need.gates for need in needs):
        fetched = with_idle("fetched", lead)
    busy = with_idle("busy", skip)
    executed = count("executed", gate)
    absorbing = ["nz" if operand.absorbs else "" for operand in term.operands]
    effectual = count("effectual", absorbing) if values else executed
    reads = []
    for number, conditions in [
        *((i, rule.gated_where) for i, rule in enumerate(rules)),
        (-1, rules[0].result_gated_where if rules else frozenset()),
    ]:
        masks = ["nz" if i in conditions else by for i, by in enumerate(skip)]
        if number >= 0:  # whose places are read here is not known to be zero before
            index = term.operands[number]
            pairs = zip(term.operands, masks, strict=True)
            masks = ["" if operand.named_by(index) else by for operand, by in pairs]
        reads.append((number, count("reads", masks)))
    when, where = w.variables(steps), w.variables(across)
    every = [access(busy, [*when, *where])]
    most = w.line(f"steps{suffix}", when, "max=", every)
    cycles = w.line(f"cycles{suffix}", (), "+=", [access(most, when)])
    of_pe = w.line(f"work{suffix}", where, "+=", every)
    fills = tuple(
        fills_of(w, term, operand, rule, suffix, (position, number))
        for number, (operand, rule) in enumerate(zip(term.operands, rules, strict=True))
    )
    counted = fetched, busy, executed, effectual
    turns = w.result(f"turns{suffix}") if shared else ""
    return TermPlan(term, *counted, most, cycles, of_pe, tuple(reads), fills, tuple(rules), turns)


def _points(
    w: Writer,
    wanted: str,
    term: WorkTerm,
    rules: Sequence[OperandPolicy],
    masks: Sequence[str],
    needs: Sequence[Need],
    loops: Sequence[Loop],
) -> str:
    """``wanted[step, PE] += product of masks``, times the ranks that nothing else holds."""
    factors = list(dict.fromkeys(need.at(w) for need in needs))
    every = (*loops, *(loop for need in needs for loop in need.keys))
    held = {rank for loop in every for rank in loop.ranks}
    if term.within:
        factors.append(w.inside(term))
        held |= set(ranks_of(term.within))
    for operand, rule, kind in zip(term.operands, rules, masks, strict=True):
        if kind == ENTRY:
            factor, told = entry_at(w, term, operand, rule.read)
            factors.append(factor)
            held |= operand.variables | told
        elif kind:
            factors.append(w.access(w.mask(kind, operand), operand.subscripts))
            held |= operand.variables
    scalars = [w.extent(rank) for rank in term.ranks if rank not in held]
    made = w.line(wanted, [w.at(loop) for loop in loops], "+=", [*scalars, *factors])
    return w.shaped(made, loops, loops)
