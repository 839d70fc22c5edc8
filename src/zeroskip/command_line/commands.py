"""The commands: each takes parsed arguments, prints, and returns the exit code."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from zeroskip.calling import name_operands
from zeroskip.command_line.operands import (
    Modelled,
    UsageError,
    draw,
    in_formats,
    read_formats,
    read_layer,
    read_operands,
    read_value,
)
from zeroskip.command_line.output import (
    Kind,
    check_output,
    save,
    write_findings,
    write_sections,
    write_table,
)
from zeroskip.computing import Layer
from zeroskip.errors import ZeroskipError
from zeroskip.formats.density import Density
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.table import Table, with_prefix

BENCH_COLUMNS = ("kernel", "time_s", "speedup")
BENCH_MORE = (
    *("gflops", "of_bound", "executed", "effectual", "max_error", "schedule"),
    *("bound_s", "low_s", "high_s", "cycles", "energy_pj", "formats"),
)
STORAGE_COLUMNS = (
    *("format", "total_bits", "over_dense", "metadata_share"),
    *("mark", "metadata_bits", "data_bits"),
)
"""Columns to keep where the terminal is narrow, the most important first."""

SHOWN_ELEMENTS = 64
"""Results up to this size are printed."""


def kind_of(args: Namespace) -> Kind:
    if getattr(args, "json", False):
        return "json"
    return "csv" if getattr(args, "csv", False) else "text"


def layer_of(args: Namespace) -> Layer:
    return read_layer(args.einsum, args.const, args.size, args.pad)


def real_operands(
    args: Namespace,
    of: Layer,
    results: Sequence[str] = (),
    *,
    modelled: bool = False,
    swept: bool = False,
) -> dict[str, Any]:
    """Operands drawn and in their formats; formats of ``results`` are left alone.

    modelled, swept : whether an operand may be known by its density, or by several.
    """
    given = draw(of, read_operands(args.operands), args.seed, modelled=modelled, swept=swept)
    for_all, by_operand = read_formats(args.format)
    if for_all:
        raise UsageError(f"--format {for_all[0]}: say whose, as in --format F={for_all[0]}")
    wanted = {name: found for name, found in by_operand.items() if name not in results}
    return in_formats(given, wanted)


def in_order(of: Layer, given: dict[str, Any]) -> list[Any]:
    """Operands by place, so that one may have the name of an option."""
    found = name_operands(of.operands, (), given, of.text)
    return [found[name] for name in of.operands]


# ---- run --------------------------------------------------------------------------------


def run(args: Namespace) -> int:
    """Compute a layer."""
    if args.output is not None:
        check_output(args.output, args.force)
    made = layer_of(args)
    result_name = made.spec.results[-1]
    given = real_operands(args, made, (result_name,))
    wanted = read_formats(args.format)[1].get(result_name, [None])
    begin = perf_counter()
    result = made(*in_order(made, given), backend=args.backend, format=wanted[-1])
    seconds = perf_counter() - begin
    if args.output is not None:
        save(args.output, result_name, result)
    dense = np.asarray(result)
    nonzero = int(np.count_nonzero(dense))
    facts = {
        "result": result_name,
        "shape": list(dense.shape),
        "dtype": str(dense.dtype),
        "nonzeros": nonzero,
        "format": result.format.label if isinstance(result, Tensor) else "dense",
        "seconds": seconds,
    }
    if args.json:
        print(json.dumps(facts))
        return 0
    shape = "×".join(map(str, dense.shape)) or "scalar"
    share = nonzero / dense.size if dense.size else 0.0
    print(
        f"{result_name}: {shape} {dense.dtype}, {facts['format']}, {nonzero:,} non-zeros "
        f"({share:.1%}); {with_prefix(seconds, 's')} with compilation, if any"
    )
    if args.output is not None:
        print(f"written to {args.output}")
    elif dense.size <= SHOWN_ELEMENTS:
        print(np.array2string(dense, max_line_width=78))
    return 0


# ---- bench ------------------------------------------------------------------------------


def bench(args: Namespace) -> int:
    """Time a layer."""
    from zeroskip.benchmark.benching import bench as time_layer

    if args.plot is not None:
        check_plot(args.plot)
    made = layer_of(args)
    if args.break_even is not None and "=" in args.break_even:  # it took the operand behind it
        args.operands, args.break_even = [*args.operands, args.break_even], ""
    given = read_operands(args.operands)
    for name, x in given.items():
        if isinstance(x, Modelled):
            raise UsageError(f"{name}=density(...) has no values to time; take random(...)")
    formats = bench_formats(args)
    bound = None if args.bound is None else [n for n in args.bound if n != "none"]
    if args.break_even is not None:
        return break_even(args, made, given, formats, bound)
    table = time_layer(
        made,
        *in_order(made, given),
        formats=formats,
        arch=args.arch,
        threads=args.threads,
        seed=args.seed,
        bound=bound,
        peers=args.peer,
        budget_s=args.budget,
    )
    densities = [name for name in table.names if name.endswith("_density")]
    write_table(table, kind_of(args), [*BENCH_COLUMNS, *densities, *BENCH_MORE])
    if args.plot is not None:
        swept = [n for n, x in given.items() if isinstance(x, Density) and len(x) > 1]
        plot(table, f"{swept[0]}_density" if swept else "kernel", args.plot)
    return 0


def bench_formats(args: Namespace) -> Any:
    """What ``formats=`` takes: nothing, formats for all, or formats by operand."""
    for_all, by_operand = read_formats(args.format)
    if for_all and by_operand:
        raise UsageError("--format: either formats for all operands (CSR) or for each (F=CSR)")
    return by_operand or for_all or None


def break_even(
    args: Namespace, made: Layer, given: dict[str, Any], formats: Any, bound: Any
) -> int:
    from zeroskip.benchmark.breaking_even import break_even as measure

    chosen = args.break_even or None
    listed = formats.get(chosen) if isinstance(formats, dict) and chosen else formats
    if isinstance(listed, dict):
        ((chosen, listed),) = list(listed.items())[:1]
    for wanted in listed or ["CSR"]:
        found = measure(
            made,
            *in_order(made, given),
            operand=chosen,
            format=wanted,
            threads=args.threads,
            seed=args.seed,
            bound=bound,
            budget_s=args.budget,
        )
        if kind_of(args) == "text":
            print(found)
        else:
            write_table(found.table, kind_of(args))
    return 0


def check_plot(path: Path) -> None:
    """Refuse a figure that cannot be drawn, before anything is timed."""
    try:
        import matplotlib.figure
    except ImportError:
        raise ZeroskipError("--plot needs matplotlib: pip install zeroskip[plot]") from None
    matplotlib.use("agg")
    known = matplotlib.figure.Figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise ZeroskipError(
            f"--plot {path}: expected a name that ends in .png, .svg or .pdf, found "
            f"{path.suffix or 'no ending'}"
        )
    if not path.parent.is_dir():
        raise ZeroskipError(f"--plot {path}: there is no folder {path.parent}")


def plot(table: Table, x: str, path: Path, y: str = "time_s") -> None:
    figure: Any = table.plot(x=x, y=y).figure
    figure.set_size_inches(9, 6)
    figure.savefig(path)
    print(f"drawn to {path}")


# ---- the rest ---------------------------------------------------------------------------


def explain(args: Namespace) -> int:
    """Print every stage of a layer."""
    from zeroskip.explanation.explaining import explain as explain_layer

    made = layer_of(args)
    given = read_operands(args.operands)
    for_all, by_operand = read_formats(args.format)
    if for_all:
        raise UsageError(f"--format {for_all[0]}: say whose, as in --format F={for_all[0]}")
    values = {n: x for n, x in given.items() if not isinstance(x, tuple)}
    drawn = draw(made, values, args.seed)
    for name, wanted in by_operand.items():
        if name in drawn:
            drawn |= in_formats({name: drawn[name]}, {name: wanted})
        elif name in given:
            drawn[name] = in_formats({name: np.ones(given[name], np.float32)}, {name: wanted})[name]
        else:
            drawn[name] = Format(wanted[-1])
    found = explain_layer(made, arch=args.arch, **{**given, **drawn})
    sections = found.sections()
    if args.only:
        chosen = {h: t for h, t in sections.items() if h.lower().startswith(args.only.lower())}
        if not chosen:
            raise UsageError(f"--only {args.only}: expected one of {', '.join(sections)}")
        sections = chosen
    write_sections(sections, kind_of(args))
    return 0


def storage(args: Namespace) -> int:
    """Bits of a tensor in several formats."""
    from zeroskip.formats.storage import storage as price

    name, sign, text = args.tensor.partition("=")
    value = (
        read_value("tensor", text)
        if sign and name.isidentifier()
        else read_value("tensor", args.tensor)
    )
    if isinstance(value, tuple | Modelled):
        call = "shape" if isinstance(value, tuple) else "density"
        raise UsageError(f"{call}(...) has no values; take random(64,64,3,3;0.1)")
    if isinstance(value, Density):
        if len(value) > 1:
            raise UsageError("several densities are for zeroskip bench; give one")
        value = next(iter(value)).sample(np.random.default_rng(args.seed))
    table = price(
        value,
        args.format or ["CSR", "COO", "bitmask", "RLE(4)"],
        value_bits=args.value_bits,
        pointer_bits=args.pointer_bits,
    )
    write_table(table, kind_of(args), STORAGE_COLUMNS)
    return 0


def doctor(args: Namespace) -> int:
    """Examine this installation; 1 where something essential is broken."""
    from zeroskip.command_line.doctor import examine

    table = examine()
    write_findings(table, kind_of(args))
    return 1 if any(row["state"] == "broken" for row in table) else 0
