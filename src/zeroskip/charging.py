"""`charge`: what a layer costs on an architecture; the hardware model under its public name."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.errors import ArchError, TensorError
from zeroskip.formats.density import Density
from zeroskip.given import as_layer, take_operands
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.arch import arch as find_arch
from zeroskip.hwmodel.charge import Charge
from zeroskip.hwmodel.charge import charge as charge_spec

if TYPE_CHECKING:
    from zeroskip.hwmodel.mapping import Mapping


def charge(
    layer: object,
    arch: Arch | str | Path | Dict[str, Any],
    /,
    *operands: object,
    mapping: Mapping | None = None,
    **named: object,
) -> Charge:
    """What a layer costs on an architecture: operations, cycles, bits and energy, exactly.

    Parameters
    ----------
    layer : Layer, text or SymPy `Eq`
        One line.
    arch : Arch, name of a preset, path of a YAML file, or dict
    *operands, **named : array, Tensor, SciPy matrix or torch tensor
        In the order of ``layer.operands``, or by name.  The result may be given by its name:
        it is then not computed where the architecture compresses results.
    mapping : Mapping, optional
        What it leaves open is derived, and printed by ``charge.mapping``.

    Returns
    -------
    Charge
        Counts of the real operands' zeros; ``print`` shows them beside the dense baseline,
        ``.accounting`` the Einsums that made them.

    Raises
    ------
    EinsumError
        For operands missing or of shapes that contradict each other.
    ArchError
        For an architecture or mapping that cannot be read or does not fit.
    TensorError
        For an operand that cannot be read, a `Density` among them.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> c = charge("y[i] = A[i,j]*x[j]", "scnn", A=w, x=np.array([0.0, 3.0]))
    >>> c.ops["effectual"], c.ops["skipped"]
    (1, 3)
    """
    made = as_layer(layer)
    design = find_arch(arch)
    if len(made.spec.forms) != 1:
        raise ArchError(
            f"charge() takes one line, found {len(made.spec.forms)}: "
            f"{', '.join(made.spec.results)}\n"
            "Charge each line as a layer of its own, with the results of those before it."
        )
    target = made.spec.results[-1]
    result = {target: named.pop(target)} if target in named else {}
    given = take_operands(made, operands, named)
    for name, operand in given.items():
        if isinstance(operand, Density):
            raise TensorError(
                f"{name} is a Density: charges of expected zeros are not there yet, only exact "
                "ones\n"
                f"Draw an array from it: {name}=density.sample(rng)."
            )
    return charge_spec(made.spec, design, {**given, **result}, mapping)
