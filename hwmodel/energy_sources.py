"""Where energy tables come from.

energy: horowitz-45nm                                     a table of the package, or a file
energy: {name: mine, actions: ..., components: ...}       listed
energy: {table: horowitz-45nm, node_nm: 28, volts: 0.8}   one of these, scaled
energy: {ert: ERT.yaml, art: ART.yaml, components: ...}   read from Accelergy's reference tables
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from zeroskip.checks import path_of
from zeroskip.errors import ArchError
from zeroskip.hwmodel.accelergy import read_accelergy
from zeroskip.hwmodel.energy_tables import FOLDER, EnergyTable, read_listed, tables
from zeroskip.hwmodel.reader import Reader, load_yaml
from zeroskip.hwmodel.scaling import scaled


def energy_table(
    source: str | Path | Mapping[str, Any], within: tuple[Path, ...] = ()
) -> EnergyTable:
    """The table of a name, a YAML file or a mapping.

    within : files whose tables scale this one; it is none of these.

    Raises
    ------
    ArchError
        Naming the key, the file, the line and what was expected.
    """
    if isinstance(source, Mapping):
        return read_table(Reader(source, "the energy table given"))
    path = path_of("energy", source, ArchError)
    if str(source) in tables():
        path = FOLDER / f"{source}.yaml"
    elif path.suffix not in (".yaml", ".yml"):
        raise ArchError(
            f"no energy table {str(source)[:60]!r}: expected {' or '.join(tables())}, "
            "or the path of a .yaml file"
        )
    if path.resolve() in within:
        raise ArchError(
            f"energy: {path.name} scales itself\nName a table with numbers: {', '.join(tables())}."
        )
    reader = Reader(load_yaml(path), path.name, folder=path.parent)
    return read_table(reader, (*within, path.resolve()))


def read_table(reader: Reader, within: tuple[Path, ...] = ()) -> EnergyTable:
    """The table that a section describes; ``within`` as of `energy_table`."""
    if "ert" in reader.data:
        return read_accelergy(reader)
    if "table" in reader.data:
        return _read_scaled(reader, within)
    return read_listed(reader)


def named_table(
    reader: Reader, key: str, default: Any = ..., within: tuple[Path, ...] = ()
) -> EnergyTable | None:
    """The table that a key names; None where it is left out and may be."""
    expected = "the name of an energy table, a YAML file, or a section"
    named = reader.text(key, default, expected)
    if not named:
        return None
    if named not in tables() and not named.endswith((".yaml", ".yml")):
        near = get_close_matches(named, tables(), 1)
        hint = f"Did you mean {near[0]}?" if near else f"Tables: {', '.join(tables())}."
        reader.fail(key, f"expected {expected}", named, hint)
    return energy_table(named if named in tables() else reader.folder / named, within)


def _read_scaled(reader: Reader, within: tuple[Path, ...]) -> EnergyTable:
    table = named_table(reader, "table", within=within)
    assert table is not None
    more: dict[str, Any] = {}
    for key, expected in (("node_nm", "nanometres"), ("volts", "volts")):
        reader.asked.add(key)
        if key in reader.data:
            more[key] = reader.number(key, expected=expected)
    for key in ("multiply_bits", "add_bits"):
        reader.asked.add(key)
        if key in reader.data:
            more[key] = reader.whole(key, expected="bits of an operand")
    reader.close()
    try:
        return scaled(table, **more)
    except ArchError as error:
        reader.fail("table", str(error))
