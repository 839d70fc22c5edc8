"""Lines that count what the home of a tensor holds on chip: all of it, or the largest tile.

homeS[i//4] += nzS[i,a]         entries of S at home in each iteration of the loop i1
mosthomeS max= homeS[i//4]      the room that they need
"""

from __future__ import annotations

from zeroskip.einsum_spec.walk import single
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.homes import accesses
from zeroskip.hwmodel.layer import Operand
from zeroskip.hwmodel.plan import Flow, Housed
from zeroskip.hwmodel.policy import Policy
from zeroskip.hwmodel.stored import Stored, stored_result
from zeroskip.hwmodel.writer import Writer, access


def housed(w: Writer, policy: Policy, arch: Arch) -> dict[str, Housed]:
    """Tensor -> what its home on chip holds."""
    found = {}
    for name in w.schedule.mapping.home:
        w.comment(f"{name} at home in {w.schedule.stays[name][0].level}")
        stored = _stored(w, policy, arch, name)
        entries = _line(w, name, stored.kind, name)
        places = _line(w, name, "in", f"{name}_places") if stored.place_bits else None
        found[name] = Housed(stored, entries, places)
    return found


def _stored(w: Writer, policy: Policy, arch: Arch, name: str) -> Stored:
    """How a tensor lies at its home."""
    if name == w.layer.target.tensor:
        return stored_result(w.layer, w.schedule, arch)
    terms = [*zip(w.layer.work, policy.terms, strict=True)]
    terms += zip(w.layer.additions, policy.additions, strict=True)
    level = w.schedule.stays[name][0].level
    return next(
        rule.stored[level]
        for term, rules in terms
        for operand, rule in zip(term.operands, rules, strict=True)
        if operand.tensor == name
    )


def _line(w: Writer, name: str, kind: str, label: str) -> Flow:
    """What each tile holds, and the most of these."""
    stay = w.schedule.stays[name][0]
    keys = tuple(loop for loop in w.schedule.loops[: stay.position] if not loop.single)
    operand = accesses(w.layer, name)[0]
    shape = w.layer.extents.shapes[name]
    whole = Operand(name, operand.subscripts, shape, ((0, 0),) * len(shape))
    cut = {loop.rank for loop in keys}
    plain = [single(subscript) for subscript in operand.subscripts]
    places = [w.ranks[r] if r is not None and r in cut else w.fresh(["a", "b"]) for r in plain]
    mask = access(w.mask(kind, whole), places)
    held = w.line(f"home{label}", [w.at(loop) for loop in keys], "+=", [mask])
    most = w.line(f"mosthome{label}", (), "max=", [access(held, w.variables(keys))])
    return Flow(fetched=held, most=most, tile=held, keys=keys)
