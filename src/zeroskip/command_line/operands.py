"""Operands and options of a layer as words of a command line.

I=x.npy   F=w.npz:fire9.w[0:8]   F=w.mtx   F=random(64,64,3,3;0.1)   F=shape(64,64,3,3)   a=2.5
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from zeroskip.computing import Layer, layer
from zeroskip.errors import ZeroskipError
from zeroskip.formats.auto import is_auto
from zeroskip.formats.convert import tensor
from zeroskip.formats.density import Density
from zeroskip.formats.files import load
from zeroskip.formats.format import Format
from zeroskip.given import sample, sample_dtype

VALUES = (
    "a file (x.npy, w.npz, w.npz:KEY, w.mtx, w.tns, w.h5, each with [0:1] behind it if you like), "
    "random(64,64,3,3;0.1), density(64,64,3,3;0.1), shape(64,64,3,3) or a number"
)


class UsageError(ZeroskipError):
    """A command line that cannot be understood; exit code 2."""


MOST_DENSITIES = 10_000

# ---- words ------------------------------------------------------------------------------


def split_word(word: str, what: str) -> tuple[str, str]:
    """``NAME=VALUE`` in two.

    >>> split_word("F=random(8,8;0.1)", "an operand")
    ('F', 'random(8,8;0.1)')
    """
    name, sign, value = word.partition("=")
    if not sign or not name.isidentifier() or not value:
        raise UsageError(f"expected {what} as NAME=VALUE, found {word!r}")
    return name, value


def read_names(words: Sequence[str], what: str, read: Callable[[str, str], Any]) -> dict[str, Any]:
    """Words ``NAME=VALUE`` as a mapping, each name once."""
    found: dict[str, Any] = {}
    for word in words:
        name, value = split_word(word, what)
        if name in found:
            raise UsageError(f"{name} is given twice: {what}")
        found[name] = read(name, value)
    return found


def read_number(name: str, text: str) -> int | float:
    """A whole number where it is one."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{name}: expected a number, found {text!r}") from None


def read_whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{name}: expected a whole number, found {text!r}") from None


def read_pad(words: Sequence[str]) -> Any:
    """``1``, ``0,1``, ``I=1``, ``I.h=1,1``, ``I.2=1``: what `zeroskip.layer` takes as ``pad=``.

    >>> read_pad(["1"]), read_pad(["I.h=1,1", "I.3=2"])
    (1, {'I': {'h': (1, 1), 3: 2}})
    """
    pads: dict[str, Any] = {}
    for word in words:
        if "=" not in word:
            if len(words) > 1:
                raise UsageError(f"--pad {word} pads every window; no other --pad goes with it")
            return _places(word)
        key, _, value = word.partition("=")
        name, dot, axis = key.partition(".")
        if not name.isidentifier() or (dot and not axis):
            raise UsageError(f"expected --pad 1, --pad I=1 or --pad I.h=1,1; found {word!r}")
        if not dot:
            pads[name] = _places(value)
        elif isinstance(pads.setdefault(name, {}), dict):
            pads[name][int(axis) if axis.isdigit() else axis] = _places(value)
        else:
            raise UsageError(f"--pad gives {name} as a whole and by axis")
    return pads or None


def _places(text: str) -> int | tuple[int, int]:
    parts = [read_whole("--pad", part) for part in text.split(",")]
    if len(parts) > 2:
        raise UsageError(f"--pad: expected places, or before,behind; found {text!r}")
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])


def read_layer(text: str, consts: Sequence[str], sizes: Sequence[str], pad: Sequence[str]) -> Layer:
    """The layer of a command line; ``@file`` is read from a file."""
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as cause:
            raise ZeroskipError(f"{text[1:]} cannot be read: {cause}") from cause
    return layer(
        text,
        consts=read_names(consts, "a constant", read_number),
        sizes=read_names(sizes, "a size", read_whole),
        pad=read_pad(pad),
    )


def read_lists(words: Sequence[str], what: str) -> dict[str, list[int]]:
    """Words ``NAME=8,4`` as whole numbers by name.

    >>> read_lists(["k=128,16", "m=8"], "a rank and its blocks")
    {'k': [128, 16], 'm': [8]}
    """

    def listed(name: str, text: str) -> list[int]:
        return [read_whole(name, part) for part in text.split(",")]

    return read_names(words, what, listed)


def read_splits(words: Sequence[str]) -> dict[str, list[int] | str]:
    """Words ``RANK=128,16`` or ``RANK=occupancy(A,64)``, by rank; ``m*k`` flattens two.

    >>> read_splits(["k=128,16", "m*n=occupancy(A, 64, 8)"])
    {'k': [128, 16], 'm*n': 'occupancy(A, 64, 8)'}
    """

    found: dict[str, list[int] | str] = {}
    for word in words:
        ranks, _, text = word.partition("=")
        key = "*".join(part.strip() for part in ranks.split("*"))
        for part in key.split("*"):
            split_word(f"{part}={text}", "a rank and its blocks")
        if key in found:
            raise UsageError(f"{key} is given twice: a rank and its blocks")
        if text.lstrip().startswith("occupancy"):
            found[key] = text  # which `zeroskip.hwmodel.splits` reads
        else:
            found[key] = [read_whole(key, part) for part in text.split(",")]
    return found


def read_formats(words: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Formats for all, and formats by operand.

    >>> read_formats(["CSR", "F=bitmask", "F=m:U c*r*s:C"])
    (['CSR'], {'F': ['bitmask', 'm:U c*r*s:C']})
    """
    for_all: list[str] = []
    by_operand: dict[str, list[str]] = {}
    for word in words:
        name, sign, wanted = word.partition("=")
        if sign:
            by_operand.setdefault(name, []).append(wanted)
        else:
            for_all.append(word)
        if not is_auto(wanted if sign else word):
            Format(wanted if sign else word)
    return for_all, by_operand


# ---- operands ---------------------------------------------------------------------------


def read_operands(words: Sequence[str]) -> dict[str, Any]:
    """Operands by name: arrays, SciPy matrices, tensors, `Density`, shapes (tuples) or numbers."""
    return read_names(words, "an operand", read_value)


@dataclass(frozen=True, slots=True)
class Modelled:
    """``density(...)``: an operand that stays known by its density alone."""

    density: Density


def draw(
    of: Layer,
    given: Mapping[str, Any],
    seed: int,
    *,
    modelled: bool = False,
    swept: bool = False,
) -> dict[str, Any]:
    """The same with every ``random(...)`` drawn, and none that is a shape only.

    modelled, swept : whether one may be known by its density, or by several.

    Raises
    ------
    UsageError
        For a sweep over densities, or what has no values, where they are needed.
    """
    dtype = sample_dtype({n: x for n, x in given.items() if hasattr(x, "dtype")})
    found: dict[str, Any] = {}
    for name, x in given.items():
        if isinstance(x, tuple):
            raise UsageError(f"{name}=shape(...) has no values; they are needed here")
        if isinstance(x, Modelled):
            if not modelled:
                raise UsageError(
                    f"{name}=density(...) has no values; take random(...), which is drawn"
                )
            if len(x.density) > 1 and not swept:
                raise UsageError(f"{name}: several densities are for zeroskip sweep; give one")
            found[name] = x.density
            continue
        if isinstance(x, Density) and len(x) > 1:
            several = "zeroskip bench; give one"
            if modelled:
                several = f"zeroskip sweep, as {name}=density(...)"
            raise UsageError(f"{name}: several densities are for {several}")
        if isinstance(x, Density) and name not in of.operands:
            raise ZeroskipError(f"{name} is no operand here; operands: {', '.join(of.operands)}")
        found[name] = sample(name, next(iter(x)), of, seed, dtype) if isinstance(x, Density) else x
    return found


def in_formats(given: Mapping[str, Any], formats: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Operands as tensors where a format is given for them."""
    found = dict(given)
    for name, wanted in formats.items():
        if name not in given:
            raise UsageError(f"--format names {name}, which is no operand given here")
        if len(wanted) > 1:
            raise UsageError(f"--format gives {name} {len(wanted)} formats; here it takes one")
        if isinstance(given[name], Density):
            raise UsageError(
                f"--format gives {name} a format, which is known by its density; formats of what "
                "is charged are the architecture's"
            )
        found[name] = tensor(given[name], wanted[0])
    return found


def read_value(name: str, text: str) -> Any:
    """One operand.

    >>> read_value("F", "random(4,8;0.5)"), read_value("I", "shape(2,3)"), read_value("a", "2.5")
    (Density((4, 8), 0.5), (2, 3), 2.5)
    """
    call = re.fullmatch(r"(random|density|shape)\((.*)\)", text, re.DOTALL)
    if call and call[1] == "shape":
        return _shape(name, call[2])
    if call and call[1] == "density":
        return Modelled(_random(name, call[2], "density"))
    if call:
        return _random(name, call[2])
    found = re.fullmatch(
        r"(.+?\.(?:npy|npz|mtx|tns|h5|hdf5))(?::([^\[\]]+))?(\[[^\[\]]*\])?", text, re.DOTALL
    )
    if found:
        value = _load(name, Path(found[1]), found[2])
        return value if found[3] is None else _cut(name, value, found[3])
    try:
        number = read_number(name, text)
    except UsageError:
        raise UsageError(f"{name}={text}: expected {VALUES}") from None
    if not math.isfinite(number):
        raise UsageError(f"{name}={text}: expected a finite number")
    return number


def _shape(name: str, text: str) -> tuple[int, ...]:
    return tuple(read_whole(f"shape of {name}", part) for part in text.split(",") if part.strip())


def _random(name: str, text: str, call: str = "random") -> Density:
    shape, *rest = text.split(";")
    if len(rest) != 1 or not rest[0].strip():
        raise UsageError(
            f"{name}={call}({text}): expected a shape and a density, such as {call}(64,64,3,3;0.1);"
            " several densities are separated by commas; 2:4 is a structure"
        )
    if ":" in rest[0]:
        return Density(_shape(name, shape), structure=rest[0].strip())
    spread = re.fullmatch(r"\s*(lin|geom)\(([^()]*)\)\s*", rest[0])
    listed = (spread[2] if spread else rest[0]).split(",")
    densities = [float(read_number(f"density of {name}", part)) for part in listed]
    if spread:
        return Density(_shape(name, shape), _spread(name, spread[1], densities))
    return Density(_shape(name, shape), densities[0] if len(densities) == 1 else densities)


def _spread(name: str, how: str, ends: Sequence[float]) -> list[float]:
    """Densities between two, as many as told, at equal distances or ratios."""
    whole = len(ends) == 3 and ends[2].is_integer() and 2 <= ends[2] <= MOST_DENSITIES
    if not whole or (how == "geom" and min(ends[:2]) <= 0):
        raise UsageError(
            f"density of {name}: expected {how}(first,last,number) with a number of "
            f"2 to {MOST_DENSITIES:,}" + (" and densities above 0" if how == "geom" else "")
        )
    made = np.linspace if how == "lin" else np.geomspace
    return [float(x) for x in made(ends[0], ends[1], int(ends[2]))]


def _load(name: str, path: Path, key: str | None) -> Any:
    try:
        return _read_file(path, key)
    except ZeroskipError:
        raise
    except FileNotFoundError:
        raise ZeroskipError(f"{name}: there is no file {path}") from None
    except (OSError, ValueError, EOFError, BadZipFile, KeyError) as cause:
        raise ZeroskipError(f"{name}: {path} cannot be read: {cause}") from cause


def _read_file(path: Path, key: str | None) -> Any:
    if path.suffix != ".npz" and key is not None:
        raise ZeroskipError(f"{path} is one array; a key ({key}) goes with .npz files")
    if path.suffix == ".mtx":
        from scipy.io import mmread

        return mmread(path)
    if path.suffix not in (".npy", ".npz"):
        return load(path)
    loaded = np.load(path, allow_pickle=False)
    if path.suffix == ".npy":
        return loaded
    with loaded as file:
        keys = list(file.files)
        if key is None and {"format", "shape"} <= set(keys):
            from scipy.sparse import load_npz

            return load_npz(path)
        if key is None and "zeroskip" in keys:
            return load(path)
        if key is None and len(keys) == 1:
            key = keys[0]
        if key not in keys:
            shown = ", ".join(keys[:12]) + (", ..." if len(keys) > 12 else "")
            what = f"no array {key!r}" if key is not None else "several arrays"
            raise ZeroskipError(f"{path} has {what}: {shown}\nWrite {path}:KEY.")
        return file[key]


def _cut(name: str, value: Any, text: str) -> Any:
    """``[0:1]``, ``[3,:,::2]`` of an array: slices and whole numbers, nothing else."""
    parts = []
    for part in text[1:-1].split(","):
        if not re.fullmatch(r"\s*-?\d*\s*(:\s*-?\d*\s*(:\s*-?\d*\s*)?)?", part) or not part.strip():
            raise UsageError(f"{name}: expected slices such as [0:1] or [0,:,::2], found {text}")
        ends = [int(p) if p.strip() else None for p in part.split(":")]
        parts.append(slice(*ends) if ":" in part else ends[0])
    try:
        cut = value.tocsr()[tuple(parts)] if hasattr(value, "tocsr") else value[tuple(parts)]
    except (IndexError, ValueError, TypeError) as cause:
        raise ZeroskipError(f"{name}{text}: {cause}") from cause
    return cut
