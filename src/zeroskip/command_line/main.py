"""``zeroskip``: run, bench, explain, charge, sweep, compare, storage and doctor from a shell.

Exit codes: 0 done; 1 an error of zeroskip's, told in a few lines; 2 a command line that cannot
be understood; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from zeroskip import __version__
from zeroskip.command_line import commands as actions
from zeroskip.command_line import modelling
from zeroskip.command_line.operands import UsageError
from zeroskip.errors import ZeroskipError

OPERANDS = """\
operands are NAME=VALUE, where VALUE is
  x.npy                    an array
  w.npz   w.npz:KEY        what zeroskip, SciPy or NumPy saved; KEY names one array of several
  w.mtx   w.tns   w.h5     Matrix Market, FROSTT, Binsparse
  w.npz:KEY[0:8,:,::2]     a part of one
  random(64,64,3,3;0.1)    drawn: shape; density (bench: 0.1,0.3,1 sweeps), or 2:4
  density(64,64,3,3;0.1)   for charge, compare and sweep: known by its density alone;
                           sweep: 0.1,0.3,1, or lin(0.1,1,10), or geom(0.01,1,20)
  shape(64,64,3,3)         for explain: dense, without values
  2.5                      a number
"""

MOST_JOBS = 1024
"""Processes of a sweep: more than any machine of one user has a use for."""

MODELLING = ("charge", "sweep", "compare")

LAYERS = """\
a layer is a line of Einsum, or several, or @file. Summed are the ranks that the left lacks:
  'y[i] = A[i,j]*x[j]'
  'O[n,m,p,q] = relu(B[m] + I[n,c,U*p+r,U*q+s]*F[m,c,r,s])' --const U=2 --pad 1
"""

FORMATS = """\
formats are CSR, CSC, COO, CSF, bitmask, RLE(4) or ranks with levels, outermost first:
  'm:U c*r*s:C'            U uncompressed, C compressed, B bitmask, R(bits) run-length, S
"""


class _Parser(argparse.ArgumentParser):
    """Errors in the words of zeroskip, with the way to the help."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")


def _seed(text: str) -> int:
    """A seed as NumPy takes it: a whole number of 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of 0 or more, found {text!r}")
    return int(text)


def _jobs(text: str) -> int:
    """Processes: a whole number of 1 or more."""
    if not text.isdecimal() or not 0 < int(text) <= MOST_JOBS:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 1 to {MOST_JOBS}, found {text!r}"
        )
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = _Parser(
        prog="zeroskip",
        description="Run a sparse layer, time it, and charge an accelerator for it, from one line "
        "of Einsum.",
        epilog="zeroskip COMMAND --help explains each.",
    )
    whole.add_argument("--version", action="version", version=f"zeroskip {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = _command(commands, "run", "compute a layer", layer=True)
    run.add_argument("-o", "--output", type=Path, metavar="FILE", help="write to .npy or .npz")
    run.add_argument("--force", action="store_true", help="replace FILE if it exists")
    run.add_argument(
        "--backend", choices=("c", "interpreter", "numpy"), default="c", help="what computes it"
    )
    run.add_argument("--json", action="store_true", help="facts about the result as JSON")

    bench = _command(commands, "bench", "time a layer, dense and sparse, against peers", layer=True)
    bench.add_argument("--arch", metavar="ARCH", help="add modelled cycles and energy")
    bench.add_argument("--bound", action="append", metavar="NAME", help="stays over many calls")
    bench.add_argument("--peer", action="append", metavar="NAME", help="numpy, scipy or torch")
    bench.add_argument("--threads", type=int, default=1, help="of every library (1)")
    bench.add_argument("--budget", type=float, default=10.0, metavar="S", help="seconds (10)")
    bench.add_argument(
        "--break-even",
        nargs="?",
        const="",
        metavar="NAME",
        help="measure the density of one operand below which sparse wins",
    )
    bench.add_argument("--plot", type=Path, metavar="FILE", help="draw the times (.png, .svg)")
    _table_options(bench)

    explain = _command(commands, "explain", "print every stage of a layer", layer=True)
    explain.add_argument("--arch", metavar="ARCH", help="add its accounting Einsums")
    explain.add_argument("--only", metavar="SECTION", help="such as 'Loop nest' or C")
    explain.add_argument("--json", action="store_true", help="sections as JSON")

    charge = _command(commands, "charge", "what a layer costs on architectures", layer=True)
    charge.add_argument("--accounting", action="store_true", help="print the Einsums that count")
    _charging_options(charge)

    sweep = _command(
        commands, "sweep", "a layer at many densities and on several architectures", layer=True
    )
    sweep.add_argument("--jobs", type=_jobs, default=1, metavar="N", help="processes (1)")
    sweep.add_argument("--resume", type=Path, metavar="FILE", help="record of points that are done")
    sweep.add_argument("--plot", type=Path, metavar="FILE", help="draw them (.png, .svg)")
    sweep.add_argument(
        "--y", choices=FIGURES, default="energy_pj", help="what is drawn (energy_pj)"
    )
    _charging_options(sweep)

    compare = _command(
        commands, "compare", "charges of a layer side by side, each beside the first", layer=True
    )
    compare.add_argument(
        "--expected", action="store_true", help="add what densities alone would have told"
    )
    _charging_options(compare)

    storage = _command(commands, "storage", "bits of a tensor in several formats")
    storage.add_argument("tensor", metavar="TENSOR", help="a VALUE as below")
    storage.add_argument("--format", action="append", default=[], metavar="FORMAT")
    storage.add_argument("--value-bits", type=int, metavar="N", help="of a value")
    storage.add_argument("--pointer-bits", type=int, metavar="N", help="of a fiber pointer")
    storage.add_argument("--seed", type=_seed, default=0, help="of random(...) (0)")
    _table_options(storage)

    doctor = _command(commands, "doctor", "what is here, what is missing, how to get it")
    _table_options(doctor)
    return whole


def _command(
    commands: argparse._SubParsersAction[_Parser], name: str, about: str, *, layer: bool = False
) -> _Parser:
    """One command; those of a layer share its operands and options."""
    parts = (
        (LAYERS, OPERANDS, FORMATS) if layer else ((OPERANDS, FORMATS) if name == "storage" else ())
    )
    made = commands.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog="\n".join(parts),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.set_defaults(run=getattr(modelling if name in MODELLING else actions, name))
    if layer:
        made.add_argument("einsum", metavar="LAYER", help="a line of Einsum")
        made.add_argument("operands", nargs="*", metavar="NAME=VALUE", help="operands")
        made.add_argument(
            "--format", action="append", default=[], metavar="[NAME=]FORMAT", help="of an operand"
        )
        made.add_argument(
            "--const", action="append", default=[], metavar="U=2", help="a named constant"
        )
        made.add_argument(
            "--size", action="append", default=[], metavar="r=2", help="extent of a rank"
        )
        made.add_argument(
            "--pad", action="append", default=[], metavar="PAD", help="1, I=1 or I.h=1,1"
        )
        made.add_argument("--seed", type=_seed, default=0, help="of random(...) (0)")
    return made


FIGURES = ("cycles", "energy_pj", "effectual", "utilisation", "off_chip_bits")


def _charging_options(made: _Parser) -> None:
    """Architectures and mappings."""

    def several(name: str, metavar: str, about: str) -> None:
        made.add_argument(name, action="append", default=[], metavar=metavar, help=about)

    several("--arch", "ARCH", "a preset or a .yaml file; again for more")
    made.add_argument("--pes", metavar="8,8", help="sizes of the PE array, in place of its own")
    made.add_argument("--energy", metavar="TABLE", help="a table of energies, in place of its own")
    made.add_argument("--order", metavar="LOOPS", help="loops from outside in: 'c m p q r s n'")
    several("--split", "k=128,16", "blocks of a rank, or 'm*k=occupancy(A,64)'")
    several("--space", "p=rows", "across PEs")
    made.add_argument("--sync", metavar="LOOP", help="after which PEs wait, or none")
    several("--keep", "GLB=I,F", "what a level keeps; of several lines S=GLB, where S stays")
    several("--fuse", "S,Z=i1", "lines that run tile by tile, and the loops that they share")
    several(
        "--stream", "GLB=I", "what passes a level and is not kept there; GLB='I 64' by 64 words"
    )
    several("--overflow", "GLB=refuse", "tiles that do not fit: refuse, split, spill or report")
    several("--role", "A=F", "I or F: what features and formats go by")
    several(
        "--mapping",
        "FILE",
        "a mapping, or one of several lines, as YAML; of compare, again for more",
    )
    _table_options(made)


def _table_options(made: _Parser) -> None:
    kind = made.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true", help="title, notes and rows as JSON")
    kind.add_argument("--csv", action="store_true", help="rows as CSV, notes on standard error")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code.

    argv : words behind ``zeroskip``; by default those of this process.
    """
    whole = parser()
    try:
        args, rest = whole.parse_known_args(argv)
        stray = [word for word in rest if word.startswith("-") or "=" not in word]
        if stray or (rest and not hasattr(args, "operands")):
            whole.error(f"{args.command}: unknown argument {(stray or rest)[0]}")
        if rest:
            args.operands = [*args.operands, *rest]
    except SystemExit as leaving:  # argparse has printed help, version or what is wrong
        return int(leaving.code or 0)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return int(args.run(args))
    except UsageError as error:
        print(f"zeroskip {args.command}: {error}", file=sys.stderr)
        print(f"Try 'zeroskip {args.command} --help'.", file=sys.stderr)
        return 2
    except ZeroskipError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe left: nothing more to say to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"zeroskip {args.command}: {error}", file=sys.stderr)
        return 1


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)
