"""Operands that loops cannot follow as they are stored, where the caller forbids to convert them.

An operand in another order than the loops', or in levels that cannot be looked up, is stored anew
at every call (`Line.converted`), which ``explain`` shows.  ``convert=False`` refuses instead.
"""

from __future__ import annotations

from collections.abc import Iterable

from zeroskip.einsum_spec.explicit import pointed_out
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.walk import single
from zeroskip.errors import KernelError
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Compressed
from zeroskip.formats.ranks import axis_of
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Operand


def compressed(order: Iterable[int | str]) -> Format:
    """The format in which every axis is compressed, in this order: it can be followed in the order,
    and looked up."""
    return Format.of([((axis,), Compressed()) for axis in order])


def refused(
    form: Form, name: str, operand: Operand, layout: Format | None, why: str
) -> KernelError:
    """The error for an operand that would have to be stored as ``layout``; None: as an ndarray.

    why : what the line asks of the operand that its format cannot do.
    """
    access = next((a for a in form.reads if a.tensor == name), None)
    ranks = [] if access is None else [single(part) for part in access.subscripts]
    stored = operand.format if isinstance(operand, Tensor) else None
    wanted = None if layout is None else layout.bind(operand.ndim)
    way = "toarray()" if wanted is None else f"asformat({str(wanted)!r})"
    lines = (
        f"{name} is stored as {_shown(stored, ranks)}, and {why}: expected {_shown(wanted, ranks)}",
        *(() if access is None else pointed_out(form, access)),
        f"Pass {name}.{way}, or allow it to be stored anew at every call: convert=True.",
    )
    return KernelError("\n".join(lines))


def _shown(format: Format | None, ranks: list[str | None]) -> str:
    """A bound format, and the order of ranks that it means."""
    if format is None:
        return "'dense'"
    if not ranks or None in ranks:
        return repr(str(format))
    named: dict[int | str, str | None] = dict(enumerate(ranks))
    axes = dict.fromkeys(axis_of(axis) for rank in format.ranks for axis in rank.axes)
    return f"{str(format)!r} (order {','.join(str(named[axis]) for axis in axes)})"
