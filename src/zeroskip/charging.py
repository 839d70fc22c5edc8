"""`charge`: what a layer costs on an architecture; the hardware model under its public name."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zeroskip.given import as_layer, take_operands
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.arch import arch as find_arch
from zeroskip.hwmodel.cascade import CascadeCharge
from zeroskip.hwmodel.cascade_charging import charge_cascade
from zeroskip.hwmodel.charge import Charge
from zeroskip.hwmodel.charging import charge as charge_spec

if TYPE_CHECKING:
    from zeroskip.hwmodel.kept import CascadeMapping
    from zeroskip.hwmodel.mapping import Mapping


def charge(
    layer: object,
    arch: Arch | str | Path | Dict[str, Any],
    /,
    *operands: object,
    mapping: Mapping | Dict[str, Mapping] | CascadeMapping | None = None,
    **named: object,
) -> Charge | CascadeCharge:
    """What a layer costs on an architecture: operations, cycles, bits and energy.

    Exactly, where operands are tensors; expected, where any is a `Density`.

    Parameters
    ----------
    layer : Layer, text or SymPy `Eq`
        One line, or a cascade of lines each of which can be charged.
    arch : Arch, name of a preset, path of a YAML file, or dict
    *operands, **named : array, Tensor, SciPy matrix, torch tensor or `Density`
        In the order of ``layer.operands``, or by name.  The result may be given by its name:
        it is then not computed where the architecture compresses results.
    mapping : Mapping, optional
        What it leaves open is derived, and printed by ``charge.mapping``.  Of a cascade, a dict
        of them by result, or a `zeroskip.hwmodel.CascadeMapping`, by which intermediates stay on
        chip, and lines run tile by tile.

    Returns
    -------
    Charge, or of a cascade `zeroskip.hwmodel.CascadeCharge`
        Counts of the real operands' zeros; ``print`` shows them beside the dense baseline,
        ``.accounting`` the Einsums that made them.  A cascade is the sum of its lines, one after
        the other where the mapping does not fuse them; ``.lines`` has the charge of each.

    Raises
    ------
    EinsumError
        For operands missing or of shapes that contradict each other, and for what the accounting
        has no line for, naming the line: functions, quotients, comparisons and gathers in a sum.
    ArchError
        For an architecture or mapping that cannot be read or does not fit.
    TensorError
        For an operand that cannot be read, and for a `Density` that is a sweep.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> c = charge("y[i] = A[i,j]*x[j]", "scnn", A=w, x=np.array([0.0, 3.0]))
    >>> c.ops["effectual"], c.ops["skipped"]
    (1, 3)
    >>> from zeroskip import Density
    >>> e = charge("y[i] = A[i,j]*x[j]", "scnn", A=Density((8, 8), 0.25), x=Density((8,), 0.5))
    >>> e.ops["effectual"], e.formula("effectual"), e.tags["ops"]
    (8.0, 64*d_A*d_x, 'exact in expectation')
    >>> c = charge("T[i] = relu(A[i,j]*x[j]); y[k] = B[k,i]*T[i]", "scnn",
    ...            A=w, x=np.array([0.0, 3.0]), B=w)
    >>> {name: line.ops["effectual"] for name, line in c.lines.items()}, c.ops["effectual"]
    ({'T': 1, 'y': 1}, 2)
    """
    made = as_layer(layer)
    design = find_arch(arch)
    target = made.spec.results[-1]
    result = {target: named.pop(target)} if target in named else {}
    given = take_operands(made, operands, named)
    if len(made.spec.forms) > 1:
        return charge_cascade(made.spec, design, {**given, **result}, mapping)
    return charge_spec(made.spec, design, {**given, **result}, cast("Mapping | None", mapping))
