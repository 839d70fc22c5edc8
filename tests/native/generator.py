"""Random Einsums, formats and data: what the sanitizer batches and tools/fuzz.py feed on.

Every number is a small multiple of 1/4 (or a small integer), so that sums of products are exact
in float32 and two kernels that are right agree to the bit, whatever the order of the sums.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import dtype_of

LARGEST = 4000
"""Elements of an operand of a random case."""

FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")

LETTERS = ("U", "C", "B", "R")
"""Levels that may stand anywhere; S may stand below a C or an S.  H takes any data as H(3:3)."""


def level_sequences(ranks: int) -> Iterator[tuple[str, ...]]:
    """Every legal sequence of level letters for so many storage ranks."""
    if ranks == 0:
        yield ()
        return
    for above in level_sequences(ranks - 1):
        for letter in (*LETTERS, "S"):
            if letter != "S" or (above and above[-1] in "CS"):
                yield (*above, letter)


def groupings(ndim: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Every way to order axes and to flatten neighbours into one storage rank."""
    for order in itertools.permutations(range(ndim)):
        for cuts in itertools.product([False, True], repeat=max(ndim - 1, 0)):
            groups = [[order[0]]] if order else []
            for axis, cut in zip(order[1:], cuts, strict=True):
                if cut:
                    groups.append([axis])
                else:
                    groups[-1].append(axis)
            yield tuple(map(tuple, groups))


def spell(groups: tuple[tuple[Any, ...], ...], letters: tuple[str, ...], run_bits: int = 1) -> str:
    """The notation of a format: ``"1:U 0*2:C"``."""
    widths = {"R": f"({run_bits})", "H": "(3:3)"}
    return " ".join(
        "*".join(map(str, axes)) + ":" + letter + widths.get(letter, "")
        for axes, letter in zip(groups, letters, strict=True)
    )


def every_format(ndim: int, run_bits: int = 1) -> list[str]:
    """All level-format sequences over all orders and flattenings: 4 for a vector, 42 for a
    matrix, 678 for three axes."""
    return [
        spell(groups, letters, run_bits)
        for groups in groupings(ndim)
        for letters in level_sequences(len(groups))
    ]


def random_format(rng: np.random.Generator, ndim: int, splits: bool = True) -> str:
    """One of `every_format`, or with levels H and, unless refused, a split axis; with a run field
    of 1 to 4 bits."""
    parts = [str(axis) for axis in range(ndim)]
    split = ""
    if splits and ndim and rng.random() < 0.25:
        axis, size = parts.pop(int(rng.integers(ndim))), int(rng.integers(1, 5))
        split = f"{axis}/{size}"
        parts += [split, f"{axis}%{size}"]
    parts = [str(part) for part in rng.permutation(parts)]
    if split and rng.random() < 0.7:  # blocks outside, as loops can walk them
        parts.remove(split)
        parts.insert(0, split)
    groups: list[list[str]] = []
    for part in parts:
        if groups and rng.random() < 0.3:
            groups[-1].append(str(part))
        else:
            groups.append([str(part)])
    letters: list[str] = []
    for _ in groups:
        allowed = [*LETTERS, "S", "S"] if letters and letters[-1] in "CS" else [*LETTERS, "H"]
        letters.append(str(rng.choice(allowed)))
    if not groups:
        return "dense"
    return spell(tuple(map(tuple, groups)), tuple(letters), int(rng.integers(1, 5)))


def words(text: str) -> set[str]:
    """The names in a text: operands, ranks, functions."""
    return set(re.findall(r"[A-Za-z]\w*", text))


# ---- data -------------------------------------------------------------------------------


def random_array(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: str, density: float
) -> NDArray[Any]:
    """Small exact numbers at random places, zeros elsewhere."""
    if dtype == "bool":
        return np.asarray(rng.random(shape) < density)
    values = rng.integers(1, 8, shape) * rng.choice([-1, 1], shape)
    array = np.where(rng.random(shape) < density, values, 0)
    if "float" in dtype:
        return np.asarray((array / 4).astype(dtype_of(dtype)))
    if dtype.startswith("u"):
        array = abs(array)
    return np.asarray(array.astype(dtype))


def store(rng: np.random.Generator, array: NDArray[Any], format: str, fill: float = 0) -> Tensor:
    """The array in a format; half of the time with fills stored and coordinates unsorted."""
    if array.ndim == 0 or rng.random() < 0.5:
        return Tensor.from_dense(array, format, fill=fill)
    kept = np.nonzero((array != fill) | (rng.random(array.shape) < 0.15))
    order = rng.permutation(len(kept[0]))
    coords = [k[order] for k in kept]
    return Tensor.from_coords(coords, array[kept][order], array.shape, format, fill=fill)


def store_filled(
    rng: np.random.Generator, array: NDArray[Any], format: str
) -> tuple[NDArray[Any], Tensor]:
    """The array and its tensor, a third of the time with another fill in place of the zeros."""
    fill: float = 0
    if rng.random() < 0.3:
        fill = float(rng.choice([1, -2, 0.5, np.inf, -np.inf], p=[0.3, 0.2, 0.2, 0.2, 0.1]))
        if array.dtype.kind in "iu":
            ends = np.iinfo(array.dtype)
            some = 1, 2, max(ends.min, -1), ends.max
            fill = int(some[rng.choice(4, p=[0.4, 0.2, 0.3, 0.1])])
        fill = fill if array.dtype.kind != "b" else 1
        array = np.where(array == 0, array.dtype.type(fill), array)
    return array, store(rng, array, format, fill)


# ---- Einsums ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An Einsum with everything that a call needs.

    dense : the operands as arrays; stored : the same as the kernel is handed them.
    formats : of results, in which the case is run once more.  out : where the last result starts.
    """

    text: str
    sizes: dict[str, int]
    consts: dict[str, int]
    pad: dict[str, dict[int, tuple[int, int]]]
    dense: dict[str, NDArray[Any]]
    stored: dict[str, Any]
    formats: dict[str, str] = field(default_factory=dict)
    out: NDArray[Any] | None = None

    @property
    def infinite(self) -> bool:
        """Whether a fill is infinite: it absorbs what NumPy makes NaN of."""
        fills = [float(x.fill) for x in self.stored.values() if isinstance(x, Tensor)]
        return not np.isfinite(fills).all()

    def __str__(self) -> str:
        formats = {
            name: f"{x.dtype}{list(x.shape)} "
            + (f"{x.format} fill {x.fill}" if isinstance(x, Tensor) else "-")
            for name, x in self.stored.items()
        }
        given = f"sizes={self.sizes} consts={self.consts} pad={self.pad} {formats}"
        out = "" if self.out is None else f" out={self.out.tolist()}"
        return f"{self.text!r} {given} format={self.formats}{out}"


@dataclass
class _Draft:
    """The operands that a text being written has named so far."""

    rng: np.random.Generator
    extents: dict[str, int]
    square: bool
    shapes: dict[str, list[int]] = field(default_factory=dict)
    pad: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    consts: dict[str, int] = field(default_factory=dict)

    def subscript(self) -> tuple[str, int, int]:
        """Text of a subscript, and its least and largest value."""
        rng, ranks = self.rng, list(self.extents)
        kind = rng.choice(["plain", "affine", "floor", "constant"], p=[0.72, 0.2, 0.05, 0.03])
        if kind == "constant":
            n = int(rng.integers(0, 3))
            return str(n), n, n
        if kind == "plain":
            rank = str(rng.choice(ranks))
            return rank, 0, self.extents[rank] - 1
        parts, low, high = [], 0, 0
        held = rng.permutation(ranks)[: int(rng.integers(1, 3))]
        for rank in map(str, held):
            factor = int(rng.choice([1, 1, 1, 2, 3, -1, -2]))
            name = str(factor)
            if factor == 2 and rng.random() < 0.3 and len(held) > 1:
                self.consts["U"], name = 2, "U"
            ends = (0, factor * max(self.extents[rank] - 1, 0))
            low, high = low + min(ends), high + max(ends)
            parts.append(f"{name}*{rank}" if factor != 1 else rank)
        shift = -low + int(rng.choice([0, 0, 1]))
        text = "+".join(parts).replace("+-", "-")
        text, low, high = (f"{text}+{shift}" if shift else text), low + shift, high + shift
        if kind == "floor":
            by = int(rng.integers(2, 4))
            text, low, high = f"({text})//{by}", low // by, high // by
        return text, low, high

    def access(self) -> str:
        """Text of an access; its tensor is new, or one whose axes are as long."""
        rng = self.rng
        count = int(rng.choice([0, 1, 2, 3, 4], p=[0.05, 0.3, 0.45, 0.15, 0.05]))
        parts = [self.subscript() for _ in range(count)]
        empty = [any(self.extents.get(n) == 0 for n in part[0]) for part in parts]
        if self.square and self.shapes and rng.random() < 0.5:
            name = str(rng.choice(list(self.shapes)))
            shape = self.shapes[name]
            plain = all(part[0] in self.extents for part in parts)
            fits = len(shape) == count and set(shape) <= {self.side} and name not in self.pad
            if plain and fits:
                return _spell_access(name, parts)
        name = f"T{len(self.shapes)}"
        shape = []
        for axis, ((text, _, high), none) in enumerate(zip(parts, empty, strict=True)):
            wanted = 0 if none and text in self.extents else max(high + 1, 0)
            if wanted and rng.random() < 0.15:
                lo = int(rng.integers(0, min(wanted, 3)))
                hi = int(rng.integers(0, min(wanted - lo, 3)))
                if lo or hi:
                    self.pad.setdefault(name, {})[axis] = (lo, hi)
                    wanted -= lo + hi
            elif text not in self.extents and rng.random() < 0.3:
                wanted += int(rng.integers(1, 3))
            shape.append(wanted)
        self.shapes[name] = shape
        return _spell_access(name, parts)

    @property
    def side(self) -> int:
        return next(iter(self.extents.values()))


def _spell_access(name: str, parts: list[tuple[str, int, int]]) -> str:
    return f"{name}[{', '.join(p[0] for p in parts)}]" if parts else name


def random_case(rng: np.random.Generator, longest: int = 5) -> Case:
    """An Einsum of one line over up to four ranks, with operands in random formats."""
    while True:
        case = _draw(rng, longest)
        if case is not None:
            return case


def _draw(rng: np.random.Generator, longest: int) -> Case | None:
    """One case, or None where its operands are too large to be judged point by point."""
    if rng.random() < 0.25:
        return draw_product(rng)
    square = bool(rng.random() < 0.2)
    names = "ijkl"[: int(rng.integers(1, 5))]
    side = int(rng.integers(0, longest))
    extents = {n: side if square else int(rng.choice([0, 1, *range(2, longest)])) for n in names}
    if not square and rng.random() < 0.9:
        extents = {n: max(e, 1) for n, e in extents.items()}
    if not square and rng.random() < 0.1:
        extents[names[0]] = int(rng.integers(60, 140))
    draft = _Draft(rng, extents, square)
    terms = []
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        factors = [draft.access() for _ in range(int(rng.choice([1, 2, 2, 2, 3])))]
        if rng.random() < 0.15:
            factors.insert(0, str(rng.choice(["2", "0.5", "3"])))
        terms.append("*".join(factors))
    right = terms[0]
    for term in terms[1:]:
        right += str(rng.choice([" + ", " - "])) + term
    held = [str(n) for n in rng.permutation(list(names))[: int(rng.integers(0, 4))]]
    op = str(
        rng.choice(["=", "+=", "max=", "min=", "|=", "*="], p=[0.7, 0.14, 0.06, 0.04, 0.03, 0.03])
    )
    if op == "+=" and rng.random() < 0.7 and len(held) > 1:
        held = [f"{rng.choice(['', '2*'])}{held[0]}+{held[1]}", *held[2:]]
    elif held and rng.random() < 0.08:
        held[0] = str(rng.choice([f"2*{held[0]}", f"{held[0]}+1", f"{held[0]}//2"]))
    floating = bool(rng.random() < 0.6)
    if rng.random() < 0.2:
        right = f"{rng.choice(['relu', 'abs', 'sign', 'floor', 'ceil'])}({right})"
    left = f"O[{', '.join(held)}]" if held else "O"
    types = FLOATS if floating else INTEGERS
    dtype = str(rng.choice(types))
    if any(prod(shape) > LARGEST for shape in draft.shapes.values()):
        return None
    dense, stored = {}, {}
    for name, shape in draft.shapes.items():
        chosen = dtype if rng.random() < 0.9 else str(rng.choice(types))
        density = float(rng.choice([0.0, 0.2, 0.5, 1.0], p=[0.05, 0.35, 0.5, 0.1]))
        array = random_array(rng, tuple(shape), chosen, density)
        dense[name] = stored[name] = array
        if array.ndim and rng.random() < 0.7:
            dense[name], stored[name] = store_filled(rng, array, random_format(rng, array.ndim))
    text = f"{left} {op} {right}"
    sizes = {name: extent for name, extent in extents.items() if name in words(text)}
    return Case(text, sizes, draft.consts, draft.pad, dense, stored)


def draw_product(rng: np.random.Generator) -> Case | None:
    """A product of two operands as layers have them, which the schedules are made for.

    ``F`` holds rows m, o and summed ranks r, s, t; ``I`` holds lanes p, q, b and the summed ranks,
    in windows or plainly, padded or not; several of them may meet in one subscript.
    """
    rows = list("mo")[: int(rng.integers(0, 3))]
    lanes = list("pqb")[: int(rng.integers(1, 4))]
    summed = list("rst")[: int(rng.integers(0, 4))]
    extent = {n: int(rng.integers(1, 5)) for n in rows + summed}
    extent |= {n: int(rng.choice([1, 2, 3, 5, 9, 17])) for n in lanes}
    if rng.random() < 0.05:
        extent[str(rng.choice(list(extent)))] = 0
    parts, shape, pads = [], [], {}
    free = [str(n) for n in rng.permutation(summed)]
    for lane in lanes:
        text, reach = lane, max(extent[lane] - 1, 0)
        if (stride := int(rng.choice([1, 1, 2, 3]))) > 1:
            text, reach = f"{stride}*{lane}", stride * reach
        likely = 0.7
        while free and rng.random() < likely:
            rank, dilation, likely = free.pop(), int(rng.choice([1, 1, 2])), 0.3
            text += f"+{dilation}*{rank}" if dilation > 1 else f"+{rank}"
            reach += dilation * max(extent[rank] - 1, 0)
        if rng.random() < 0.15:
            text, reach = f"{text}+1", reach + 1
        lo, hi = (int(n) for n in rng.integers(0, 3, 2)) if rng.random() < 0.4 else (0, 0)
        if text != lane and reach + 1 > lo + hi:
            pads[len(parts)] = (lo, hi)
            reach -= lo + hi
        unread = int(rng.integers(0, 2)) if text != lane else 0
        parts.append(text)
        shape.append(extent[lane] if text == lane else reach + 1 + unread)
    parts += free
    shape += [extent[rank] for rank in free]
    order = [int(k) for k in rng.permutation(len(parts))]
    axes = [str(n) for n in rng.permutation(rows + summed)]
    shapes = {"I": tuple(shape[k] for k in order), "F": tuple(extent[n] for n in axes)}
    target = [str(n) for n in rng.permutation(rows + lanes)]
    right = f"I[{', '.join(parts[k] for k in order)}]" + (f"*F[{', '.join(axes)}]" if axes else "")
    if rng.random() < 0.4:
        held = [n for n in target if rng.random() < 0.5] or target[:1]
        shapes["B"] = tuple(extent[n] for n in held)
        right += f" {rng.choice(['+', '-'])} B[{', '.join(held)}]"
    if rng.random() < 0.3:
        right = f"relu({right})"
    dtype = str(rng.choice(["float32", "float64", "float16", "bfloat16", "int32", "int64"]))
    dense, stored = {}, {}
    for name, wanted in shapes.items():
        if name in right:
            dense[name] = random_array(rng, wanted, dtype, float(rng.choice([0.3, 0.7, 1.0])))
            sparse = name != "B" and wanted and rng.random() < 0.5
            format = random_format(rng, len(wanted)) if sparse else ""
            stored[name] = dense[name]
            if format:
                dense[name], stored[name] = store_filled(rng, dense[name], format)
    pad = {"I": {order.index(k): pair for k, pair in pads.items()}} if pads else {}
    sizes = {n: e for n, e in extent.items() if n in target or n in words(right)}
    if any(x.size > LARGEST for x in dense.values()) or prod(extent.values()) > 4 * LARGEST:
        return None
    return Case(f"O[{', '.join(target)}] = {right}", sizes, {}, pad, dense, stored)
