"""Why a line cannot run under a schedule, in words, and as an error."""

from __future__ import annotations

from zeroskip.einsum_spec.explicit import form_text
from zeroskip.errors import KernelError
from zeroskip.native.forms import is_joint
from zeroskip.native.lines import Line


def why_unfit(line: Line, kind: str = "") -> str:
    """Why a line is not tiled, or does not run in lanes; without a kind, why it is neither."""
    if kind == "dots":
        return (
            "dots add up products whose innermost loop follows the coordinates or the bitmask of "
            "one operand, all others being dense; or add up, or find the largest or smallest of, "
            "what lies along the last axes of dense ones."
        )
    if is_joint(line.form):
        op = line.form.reduction or "+"
        return f"under {op}= the right side is evaluated whole, point by point."
    products = [term for term in line.form.terms if len(term.accesses) > 1]
    if len(products) != 1:
        found = "there is none" if not products else f"these are {len(products)}"
        return f"the faster schedules take one product, and {found}."
    used = {access.tensor for access in products[0].accesses}
    if all(line.signatures[name].skips for name in used):
        return "no operand of the product is dense, so that there are no rows to run vectors on."
    if kind == "lanes" and not any(line.signatures[name].skips for name in used):
        return "lanes follow the entries of a sparse operand, and the product has none."
    if kind == "tiled" and len(products[0].accesses) == 2:
        return (
            "tiles take every summed rank from both operands, every rank of the result from one "
            "of them alone, and of a dense one at least one."
        )
    return (
        "the faster schedules want a rank of the result that a dense operand holds and the "
        "other lacks."
    )


def refused(line: Line, why: str) -> KernelError:
    """What is said of a line that cannot take what is fixed of its schedule."""
    field = line.fixed.because or f"vector_bytes={line.fixed.vector_bytes}"
    return KernelError(
        f"schedule for {line.name}: {field}: {why}\n  {form_text(line.form)}\n"
        "Leave it out to have the schedule chosen; explain shows which one."
    )
