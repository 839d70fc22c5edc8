"""`explain`: everything that zeroskip makes of a layer, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill, indent
from typing import TYPE_CHECKING, Any

from zeroskip.calling import name_operands
from zeroskip.charging import charge
from zeroskip.computing import BoundLayer, Layer
from zeroskip.einsum_spec.explicit import form_text
from zeroskip.explanation.guessing import complete
from zeroskip.explanation.inspecting import Chosen, choose
from zeroskip.formats.tensor import Tensor
from zeroskip.given import as_layer
from zeroskip.native.arguments import Operand, shapes
from zeroskip.native.engine import Formats
from zeroskip.native.fixed import Schedule, Schedules
from zeroskip.native.order import Orders
from zeroskip.native.show import show

if TYPE_CHECKING:
    from zeroskip.einsum_spec.counts import Ops
    from zeroskip.hwmodel.arch import Arch

WIDTH = 78


@dataclass(frozen=True, slots=True)
class Stages:
    """What became of one line of a layer.

    result : the tensor that it computes; of a reduction inside an expression, one of its own.
    formats : levels of each operand, ``axis:letter``, outermost first.
    schedule : ``tiled``, ``lanes``, ``plain`` or ``rows``; why : the reason.
    taken : the `Schedule` with every field filled in, to be given back; source : whether it is the
        ``default``, was ``tuned``, or was ``given`` in part or whole.
    nest : the loop nest, printed; c : the C, its headers not pasted in.
    """

    text: str
    result: str
    formats: dict[str, str]
    schedule: str
    why: str
    nest: str
    c: str
    taken: Schedule
    source: str


@dataclass(frozen=True, repr=False)
class Explanation:
    """What `explain` found; printing it prints every stage.

    Attributes
    ----------
    layer : Layer
    lines : tuple of Stages
        The kernel of each line, with its schedule, loop nest and C.
    extents : dict of rank to int
    ops : Ops
        Operations, were every operand dense.
    operands : dict of name to text
        Shape, type, format and density.
    accounting : str
        Einsums that charge the layer on ``arch``; empty without one.
    guessed : tuple of str
        Operands of which no shape was given.
    """

    layer: Layer
    lines: tuple[Stages, ...]
    extents: dict[str, int]
    ops: Ops
    operands: dict[str, str]
    accounting: str
    guessed: tuple[str, ...]
    _charged: str = field(default="", repr=False)

    @property
    def text(self) -> str:
        """The layer as written."""
        return self.layer.text

    @property
    def expr(self) -> Any:
        """The layer as a SymPy `Eq`."""
        return self.layer.expr

    @property
    def formats(self) -> dict[str, str]:
        """Levels of each operand as the kernels see them."""
        return {name: levels for line in self.lines for name, levels in line.formats.items()}

    @property
    def schedule(self) -> str:
        """Name and reason of the schedule, one line of text for each line of the layer."""
        several = len(self.lines) > 1
        return "\n".join(
            f"{f'{line.result}, ' if several else ''}{line.schedule}: {line.why}"
            for line in self.lines
        )

    @property
    def nest(self) -> str:
        """The loop nests."""
        return "\n\n".join(line.nest for line in self.lines)

    @property
    def c(self) -> str:
        """The C, its headers not pasted in."""
        return "\n".join(line.c for line in self.lines)

    def sections(self) -> dict[str, str]:
        """Heading -> text, in the order in which they are printed."""
        made = {"Einsum": self.layer.text, "Sums written out": self._explicit()}
        made["SymPy"] = fill(str(self.expr), WIDTH, break_long_words=False, subsequent_indent="  ")
        if not self.guessed:
            made["Extents"] = ", ".join(f"{r} {n:,}" for r, n in self.extents.items()) or "none"
            made["Operations, were every operand dense"] = self._operations()
        made["Operands"] = "\n".join(f"{name}  {what}" for name, what in self.operands.items())
        made["Schedule"] = "\n".join(
            f"{fill(said, WIDTH, subsequent_indent='  ')}\n  {line.source}: {line.taken}"
            for said, line in zip(self.schedule.splitlines(), self.lines, strict=True)
        )
        made["Loop nest"] = self.nest
        made["C"] = self.c.rstrip()
        if self.accounting:
            made[self._charged] = self.accounting
        return made

    def _explicit(self) -> str:
        pads = {n: p for n, p in self.layer.spec.pads.items() if any(map(any, p))}
        padding = [
            f"axis {axis} of {name} padded by {lo} and {hi}"
            for name, pairs in pads.items()
            for axis, (lo, hi) in enumerate(pairs)
            if lo or hi
        ]
        lines = [line.text for line in self.lines]
        return "\n".join([*lines, *([", ".join(padding)] if padding else [])])

    def _operations(self) -> str:
        counts = {
            "multiplications": self.ops.multiplications,
            "additions": self.ops.additions,
            "comparisons": self.ops.comparisons,
        }
        return "\n".join(f"{n:,} {name}" for name, n in counts.items() if n or name[0] == "m")

    def __str__(self) -> str:
        return "\n\n".join(
            f"{head}\n{indent(text, '  ')}" for head, text in self.sections().items()
        )

    __repr__ = __str__


def explain(
    layer: object,
    /,
    *operands: object,
    arch: Arch | str | Path | Mapping[str, Any] | None = None,
    format: Formats = None,
    order: Orders = None,
    schedule: Schedules = None,
    **named: object,
) -> Explanation:
    """Everything that zeroskip makes of a layer: meaning, kernel, C, and how it is charged.

    Parameters
    ----------
    layer : Layer, text or SymPy `Eq`; or a layer with operands bound, which need not be given
    *operands, **named : optional
        In the order of ``layer.operands``, or by name.  Arrays, Tensors and so on; a tuple of
        integers is a shape of a dense operand; a `Format` (of an operand of unknown shape) or
        a `Density` (drawn, in the smallest format) will do.  Those left out are taken as
        dense, of unknown extents.
    arch : Arch, name, path or dict, optional
        Adds the accounting Einsums of `charge`.
    format : Format or str, or a mapping of them by result, optional
        Format of the result, as in a call of the layer; of ``"auto"``, up to how many entries
        each format is taken, and which is expected.
    order : str, or a mapping of them by result, optional
        Order of the loops, as in a call of the layer.
    schedule : Schedule, or a mapping of them by result, optional
        What is fixed of how lines run, as in a call of the layer; that of a bound layer is known.

    Returns
    -------
    Explanation
        ``.text .expr .extents .ops .formats .schedule .nest .c .accounting``; printing it
        prints all of them.

    Examples
    --------
    >>> import zeroskip as zs
    >>> print(explain("y[i] = A[i,j]*x[j]", A=zs.Format("CSR")).nest)
    # y[i] = sum[j](A[i,j]*x[j])
    # A: 0:U 1:C, float32
    # x: 0:U, float32
    # dots: A
    for i in [0, I):  # parallel
      acc = 0
      for j, pA_j in A.j[i]:  # compressed, lanes share the entries
        acc += A[pA_j] * x[j]
      y[i] = acc
    """
    bound: dict[str, Any] = {}
    if isinstance(layer, BoundLayer):
        made, bound, wanted = layer.layer, layer.held, layer.operands
        schedule = layer.schedule if schedule is None else schedule
    else:
        made = as_layer(layer)
        wanted = made.operands
    given = bound | name_operands(wanted, operands, named, made.text, all_of_them=False)
    spec, known, guessed = complete(made, given)
    extents = spec.extents(shapes(known))
    described = {name: _describe(x, name in guessed) for name, x in known.items()}
    accounting, head = "", ""
    if arch is not None:
        charged = charge(made, arch, *known.values())
        accounting = charged.accounting
        head = f"Accounting on {charged.arch.name} ({charged.mapped})"
    return Explanation(
        layer=made,
        lines=tuple(
            map(
                _stages,
                choose(
                    spec,
                    known,
                    tuple(bound),
                    format=format,
                    sized=not guessed,
                    order=order,
                    schedule=schedule,
                    tune=isinstance(layer, BoundLayer) and layer.tune,
                ),
            )
        ),
        extents=dict(extents.ranks),
        ops=spec.ops(shapes(known)),
        operands=described,
        accounting=accounting,
        guessed=guessed,
        _charged=head,
    )


def _stages(chosen: Chosen) -> Stages:
    formats = {
        name: " ".join(map(str, given.levels)) for name, given in chosen.line.signatures.items()
    }
    prepared = chosen.prepared
    nest, c_text = show(prepared.lowered.kernel), prepared.c_text
    text = form_text(chosen.line.form)
    return Stages(
        text,
        chosen.line.name,
        formats,
        chosen.schedule,
        chosen.why,
        nest,
        c_text,
        chosen.taken,
        chosen.source,
    )


def _describe(operand: Operand, guessed: bool) -> str:
    if isinstance(operand, Tensor):
        levels, name = str(operand.format), operand.format.label
        form = name if name == levels else f"{name} ({levels})"
    else:
        form = "dense"
    if guessed:
        return f"{operand.dtype}, {form}, of unknown extents"
    shape = "×".join(map(str, operand.shape)) or "scalar"
    text = f"{shape} {operand.dtype}, {form}"
    if isinstance(operand, Tensor):
        text += f", {operand.stored:,} stored, density {operand.density:.4g}"
        text += f", fill {operand.fill}" if operand.fill else ""
    return text
