"""Commands that charge: on one architecture or several, at many densities, side by side."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zeroskip.benchmark.measuring import progress
from zeroskip.command_line.commands import (
    check_plot,
    in_order,
    kind_of,
    layer_of,
    plot,
    real_operands,
)
from zeroskip.command_line.operands import UsageError, read_lists, read_names, read_splits
from zeroskip.command_line.output import write_sections, write_table
from zeroskip.errors import ArchError
from zeroskip.formats.convert import tensor
from zeroskip.formats.density import Density
from zeroskip.table import Column, Table

if TYPE_CHECKING:
    from zeroskip.computing import Layer
    from zeroskip.hwmodel.arch import Arch
    from zeroskip.hwmodel.kept import CascadeMapping
    from zeroskip.hwmodel.mapping import Mapping
    from zeroskip.hwmodel.reader import Reader

SWEEP_COLUMNS = ("arch", "cycles", "energy_pj", "pareto", "fits", "off_chip_bits", "utilisation")
"""Columns to keep where the terminal is narrow, after the densities."""


def charge(args: Namespace) -> int:
    """Charge a layer on one architecture or several."""
    from zeroskip.charging import charge as charge_layer

    made = layer_of(args)
    given = real_operands(args, made, modelled=True)
    designs = read_designs(args)
    (mapping,) = read_mappings(args, made)
    charges = []
    with progress("charging", len(designs)) as bar:
        for design in designs:
            charges.append(charge_layer(made, design, *in_order(made, given), mapping=mapping))
            bar.spend(1)
    if args.accounting:
        heads = [f"{c.arch.name}: {c.mapped}" for c in charges]
        write_sections(
            {h: c.accounting for h, c in zip(heads, charges, strict=True)}, kind_of(args)
        )
        return 0
    table = charges[0].table() if len(charges) == 1 else side_by_side(charges)
    write_table(table, kind_of(args))
    return 0


def compare(args: Namespace) -> int:
    """Charges side by side, each beside the first: architectures, mappings, exact and expected."""
    from zeroskip.charging import charge as charge_layer
    from zeroskip.hwmodel.report import compare as compare_charges

    made = layer_of(args)
    given = real_operands(args, made, modelled=True)
    versions = [given]
    if args.expected:
        versions.append({name: density_of(name, x) for name, x in given.items()})
    runs = [
        (design, mapping, version)
        for design in read_designs(args)
        for mapping in read_mappings(args, made)
        for version in versions
    ]
    charges: list[Any] = []
    with progress("charging", len(runs)) as bar:
        for design, mapping, version in runs:
            charges.append(charge_layer(made, design, *in_order(made, version), mapping=mapping))
            bar.spend(1)
    write_table(compare_charges(*charges), kind_of(args))
    return 0


def sweep(args: Namespace) -> int:
    """A layer at many densities and on several architectures."""
    from concurrent.futures import ProcessPoolExecutor

    from zeroskip.sweeping import sweep as sweep_layer

    if args.plot is not None:
        check_plot(args.plot)
    made = layer_of(args)
    given = real_operands(args, made, modelled=True, swept=True)
    (mapping,) = read_mappings(args, made)
    designs = read_designs(args)
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(args.jobs)) if args.jobs > 1 else None
        table = sweep_layer(
            made,
            designs,
            *in_order(made, given),
            mapping=mapping,
            executor=pool,
            resume=args.resume,
        )
    densities = [name for name in table.names if name.endswith("_density")]
    write_table(table, kind_of(args), [*densities, *SWEEP_COLUMNS])
    if args.plot is not None:
        plot(table, (densities or ["arch"])[0], args.plot, args.y)
    return 0


def density_of(name: str, value: Any) -> Density:
    """The density of an operand, and nothing else of it."""
    if isinstance(value, Density):
        return value
    held = tensor(value)  # which tells non-zeros from zeros that a matrix stores
    if not held.size:
        raise UsageError(f"--expected: {name} has no places, and so no density")
    return Density(held.shape, held.nnz / held.size)


def side_by_side(charges: Sequence[Any]) -> Table:
    """Figures of several charges of one layer, an architecture a column."""
    from zeroskip.hwmodel.report import free_name

    tables = [c.table() for c in charges]
    names: list[str] = []
    for c in charges:
        names.append(free_name(c.arch.name, ("figure", "unit", *names)))
    units = {row["figure"]: row.get("unit", "") for table in tables for row in table}
    by_figure = [{row[0]: whole_if_large(row[2]) for row in table.rows} for table in tables]
    rows = [(f, unit, *(found.get(f) for found in by_figure)) for f, unit in units.items()]
    said: dict[str, list[str]] = {}
    for name, table in zip(names, tables, strict=True):
        for note in table.notes:
            said.setdefault(note, []).append(name)
    notes = [
        note if len(by) == len(names) else f"{', '.join(by)}: {note}" for note, by in said.items()
    ]
    columns = [Column("figure"), Column("unit"), *(Column(n) for n in names)]
    return Table(charges[0].text, columns, rows, notes)


def whole_if_large(value: Any) -> Any:
    """Large figures without a fraction, so that they line up."""
    return round(value) if isinstance(value, float) and abs(value) >= 1000 else value


# ---- architectures and mappings ---------------------------------------------------------


def read_designs(args: Namespace) -> list[Arch]:
    """Architectures of ``--arch``, with the table of ``--energy`` and the size of ``--pes``."""
    from zeroskip.hwmodel.arch import COMPARED, arch

    size = None
    if args.pes is not None:
        size = read_lists([f"pes={args.pes}"], "--pes: numbers of PEs, such as 8,8")["pes"]
    return [arch(name, size=size, energy=args.energy) for name in args.arch or COMPARED]


def read_mappings(args: Namespace, made: Layer) -> list[Mapping | CascadeMapping | None]:
    """Mappings of the options, or of files; one that is None where nothing is said."""
    from zeroskip.hwmodel.mapping import Mapping

    files = args.mapping or []
    if len(files) > 1 and args.command != "compare":
        raise UsageError(f"--mapping: {args.command} takes one, found {len(files)}")
    if len(made.spec.results) > 1:
        return read_cascades(args, made.spec.results)
    if args.fuse:
        raise UsageError("--fuse is of lines that run tile by tile, found one line: leave it out")
    listed = args.split, args.space, args.keep, args.overflow, args.stream, args.role
    stated = args.order or args.sync or any(listed)
    if not stated and not files:
        return [None]
    if stated and files:
        raise UsageError("--mapping has all of a mapping: leave --order and the like out")
    if files:
        return [mapping_of(Path(path)) for path in files]

    split = read_splits(args.split)
    space = read_names(args.space, "a rank and its dimension", text)
    keep = read_names(args.keep, "a level and what it keeps", text)
    overflow = read_names(args.overflow, "a level and refuse, split, spill or report", text)
    roles = read_names(args.role, "an operand and its role", text)
    order = args.order or ""
    stream = read_names(args.stream, "a level and what passes it", text)
    named: Any = {"keep": keep, "overflow": overflow, "stream": stream, "roles": roles}
    return [Mapping(order, split, space or None, sync=args.sync, **named)]


def text(name: str, value: str) -> str:
    """The value of ``NAME=VALUE`` as it is."""
    return value


def read_cascades(args: Namespace, results: Sequence[str]) -> list[Mapping | CascadeMapping | None]:
    """Mappings of several lines: those of files, and what ``--keep`` and ``--fuse`` add to them."""
    from zeroskip.hwmodel.kept import CascadeMapping

    several = (args.split, args.space, args.overflow, args.stream, args.role)
    of_a_line = (args.order, args.sync, *(word for words in several for word in words))
    if any(of_a_line):
        raise UsageError(
            "--order, --split, --space, --sync, --overflow, --stream and --role map one line, "
            f"found {len(results)}: {', '.join(results)}; leave them out, or give each "
            "line its own in a file of --mapping: "
            "lines: {" + results[0] + ": {order: ..., split: ...}}"
        )
    keep = read_names(args.keep, "an intermediate and the level that keeps it", text)
    fuse = {}
    for word in args.fuse:
        lines, mark, loops = word.partition("=")
        if not mark or lines in fuse:
            raise UsageError(f"--fuse: expected lines and their loops once, S,Z=i1, found {word!r}")
        fuse[lines] = loops
    if not args.mapping:
        return [CascadeMapping({}, keep, fuse) if keep or fuse else None]
    found: list[Mapping | CascadeMapping | None] = []
    for path in args.mapping:
        whole = cascade_mapping_of(Path(path))
        both = {**whole.keep, **keep}, {**whole.fuse, **fuse}
        found.append(CascadeMapping(whole.lines, *both, whole.halo))
    return found


PARTS = ("order", "split", "space", "sync", "keep", "overflow", "home", "stream", "roles", "turns")
"""Keys of a mapping of one line."""


def mapping_of(path: Path) -> Mapping:
    """The mapping in a YAML file: the parameters of `Mapping` by name.

    Raises
    ------
    ArchError
        Naming the file, the key and its line.
    """
    from zeroskip.hwmodel.reader import Reader, load_yaml

    return mapping_in(Reader(load_yaml(path), path.name), path.name)


def mapping_in(reader: Reader, where: str) -> Mapping:
    """The mapping of one line in a section of a file."""
    from zeroskip.hwmodel.mapping import Mapping

    reader.asked |= set(PARTS)
    reader.close()
    try:
        return Mapping(**reader.data)
    except ArchError as error:
        key = str(error).split(":")[0].split()[0]
        raise ArchError(f"{where}{reader.line(key)}: {error}") from None


def cascade_mapping_of(path: Path) -> CascadeMapping:
    """The mapping of several lines in a YAML file: ``lines``, each as in `mapping_of`, ``keep``,
    ``fuse`` and ``halo``.

    Raises
    ------
    ArchError
        Naming the file, the key and its line.
    """
    from zeroskip.hwmodel.kept import CascadeMapping
    from zeroskip.hwmodel.reader import Reader, load_yaml

    reader = Reader(load_yaml(path), path.name)
    lines: dict[str, Mapping] = {}
    if "lines" in reader.data:
        section = reader.section("lines", expected="results, each with the mapping of its line")
        for name, entry in section.sections():
            lines[name] = mapping_in(entry, f"{path.name}: lines.{name}")
    parts = ("keep", "fuse", "halo")
    reader.asked |= {"lines", *parts}
    reader.close()
    given: Any = {key: reader.data[key] for key in parts if key in reader.data}
    try:
        return CascadeMapping(lines, **given)
    except ArchError as error:
        key = str(error).split(":")[0].split()[0]
        raise ArchError(f"{path.name}{reader.line(key)}: {error}") from None
