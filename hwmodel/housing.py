"""Lines that count what the home of a tensor holds on chip: all of it, or the largest tile.

homeS[i//4] += nzS[i,a]         entries of S at home in each iteration of the loop i1
mosthomeS max= homeS[i//4]      the room that they need
"""

from __future__ import annotations

from zeroskip.einsum_spec.walk import single
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.boxes import Box, access
from zeroskip.hwmodel.fiber_lines import fibers_of
from zeroskip.hwmodel.fields import Field
from zeroskip.hwmodel.homes import accesses
from zeroskip.hwmodel.layer import Operand
from zeroskip.hwmodel.plan import Encoded, Flow
from zeroskip.hwmodel.policy import Policy
from zeroskip.hwmodel.stored import Stored, stored_result
from zeroskip.hwmodel.writer import Writer


def housed(w: Writer, policy: Policy, arch: Arch) -> dict[str, Encoded]:
    """Tensor -> what its home on chip holds."""
    found = {}
    for name in w.schedule.mapping.home:
        w.comment(f"{name} at home in {w.schedule.stays[name][0].level}")
        stored = _stored(w, policy, arch, name)
        entries = _line(w, name, name, Field(None, stored.kind, 0))
        beside = [(x, _line(w, name, f"{name}_{x.name}", x)) for x in stored.fields]
        found[name] = Encoded(stored, entries, tuple(beside))
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


def _line(w: Writer, name: str, label: str, field: Field) -> Flow:
    """What each tile holds of a field, and the most of these."""
    stay = w.schedule.stays[name][0]
    keys = tuple(loop for loop in w.schedule.loops[: stay.position] if not loop.single)
    operand = accesses(w.layer, name)[0]
    shape = w.layer.extents.shapes[name]
    whole = Operand(name, operand.subscripts, shape, ((0, 0),) * len(shape))
    cut = {loop.rank for loop in keys}
    plain = [single(subscript) for subscript in operand.subscripts]
    places = [
        w.ranks[r] if r is not None and r in cut and plain.index(r) == axis else w.fresh(["a", "b"])
        for axis, r in enumerate(plain)
    ]
    held = fibers_of(w, f"home{label}", whole, field, keys, Box(tuple(places)))
    most = w.line(f"mosthome{label}", (), "max=", [access(held, w.variables(keys))])
    return Flow(fetched=held, most=most, tile=held, keys=keys)
