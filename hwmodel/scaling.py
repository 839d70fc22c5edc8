"""An energy table in another technology, and of operands of other widths.

    energy    x (node / node of the table) * (volts / volts of the table)^2
    area      x (node / node of the table)^2
    multiply  x (bits / bits of the table)^2        an array of adders: both grow with both operands
    add       x  bits / bits of the table

J = alpha C V^2 is equation 8 of Sze, Chen, Yang and Emer, chapter 3; that C goes with the length
of a gate, and a width with adders, are this package's rules.  Where no voltage is told it stays, as
it nearly has below 65 nm.  What moves bits off the chip does not follow the node of the chip, and a
bit costs a memory the same in words of any width.  In the table of Horowitz the rule makes 3.2 pJ
of an int8 multiplication for one of 32 bits, which has 3.1, and 0.12 of an addition, which has 0.1.
"""

from __future__ import annotations

from dataclasses import replace

from zeroskip.checks import kind_of, number_of, whole_of
from zeroskip.errors import ArchError
from zeroskip.hwmodel.energy_tables import Action, EnergyTable


def scaled(
    table: EnergyTable,
    *,
    node_nm: float | None = None,
    volts: float | None = None,
    multiply_bits: int | None = None,
    add_bits: int | None = None,
) -> EnergyTable:
    """The table by the rules above.

    Raises
    ------
    ArchError
        Where the table does not say what its numbers are of, and for what is no table or number.

    Examples
    --------
    >>> from zeroskip.hwmodel.energy_sources import energy_table
    >>> smaller = scaled(energy_table("horowitz-45nm"), node_nm=22.5, multiply_bits=8)
    >>> round(smaller.action("multiply").pj, 4)          # 1.1 pJ of 16 bits, by 1/2 and by 1/4
    0.1375
    """
    kind_of("scaled", table, EnergyTable, 'Take energy_table("horowitz-45nm").', ArchError)
    for name, given in (("node_nm", node_nm), ("volts", volts)):
        if given is not None:
            number_of(name, given, "a number above 0", above=0, error=ArchError)
    for name, bits in (("multiply_bits", multiply_bits), ("add_bits", add_bits)):
        if bits is not None:
            whole_of(name, bits, 1, ArchError)
    energy, area, by = 1.0, 1.0, []
    if node_nm is not None:
        if table.node_nm is None:
            raise _unknown(table, "node_nm", "of which node its numbers are")
        energy *= node_nm / table.node_nm
        area *= (node_nm / table.node_nm) ** 2
        by.append(f"{table.node_nm:g} to {node_nm:g} nm")
    if volts is not None:
        if table.volts is None:
            raise _unknown(table, "volts", "at which voltage its numbers are")
        energy *= (volts / table.volts) ** 2
        by.append(f"{table.volts:g} to {volts:g} V")
    off_chip = set(table.components.get("off_chip", ()))
    actions = dict(table.actions)
    for name, action in table.actions.items():
        if by and name not in off_chip:
            actions[name] = _times(action, energy, area, ", ".join(by))
    components = dict(table.components)
    for unit, bits, power in (("multiply", multiply_bits, 2), ("add", add_bits, 1)):
        if bits is None:
            continue
        action = actions[components[unit][0]]
        if action.width_bits is None:
            raise _unknown(table, f"actions.{action.name}.width_bits", "how wide its operands are")
        factor = (bits / action.width_bits) ** power
        made = _times(action, factor, factor, f"{action.width_bits} to {bits} bits")
        made = replace(made, name=f"{action.name} of {bits} bits", width_bits=bits)
        actions[made.name] = made
        components[unit] = (made.name,)
    return replace(
        table,
        actions=actions,
        components=components,
        node_nm=table.node_nm if node_nm is None else node_nm,
        volts=table.volts if volts is None else volts,
    )


def _times(action: Action, energy: float, area: float, by: str) -> Action:
    return replace(
        action,
        pj=action.pj * energy,
        write_pj=None if action.write_pj is None else action.write_pj * energy,
        area_um2=None if action.area_um2 is None else action.area_um2 * area,
        source=f"{action.source}; scaled {by}",
    )


def _unknown(table: EnergyTable, key: str, what: str) -> ArchError:
    return ArchError(
        f"energy: {table.name} does not say {what}, so that nothing can be scaled\n"
        f"Add {key} to a table of your own, with its source."
    )
