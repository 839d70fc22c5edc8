"""Random cascades, gathers and scatters, and what may be done to any case; see `generator`.

    S[k,i] = A[i,k]*B[k,i]
    O[i] max= relu(S[k,i] - D[k])         with S in a format, O in another

Extents are small, data exact, and a rank keeps its letter from line to line.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from expressions import RANKS, Writer, random_expression
from generator import (
    FLOATS,
    INTEGERS,
    Case,
    random_array,
    random_case,
    random_format,
    store_filled,
    words,
)

from zeroskip.formats.tensor import Tensor

EXACT = ("float64", "float64", "int32", "int64", "int8", "uint8", "bool")
"""Types in which three lines of products of small numbers are exact, or wrap around."""

GATHERS: tuple[tuple[str, dict[str, str], dict[str, str]], ...] = (
    ("O[i,k] = A[X[i],k]", {"A": "gk"}, {"X": "i"}),
    ("O[i,k] = relu(A[X[i],k] - B[k])", {"A": "gk", "B": "k"}, {"X": "i"}),
    ("O[k] = A[X[i],k]*B[i]", {"A": "gk", "B": "i"}, {"X": "i"}),
    ("O[i] max= A[X[i],k]*B[k]", {"A": "gk", "B": "k"}, {"X": "i"}),
    ("O[k,i] = A[i,X[k]] + B[k,i]", {"A": "ig", "B": "ki"}, {"X": "k"}),
    ("O[i,j] = A[X[i],Y[j]]*B[i,j]", {"A": "gg", "B": "ij"}, {"X": "i", "Y": "j"}),
    ("O[i,j] = A[X[i,j],j] - A[X[i,j],j]*B[j]", {"A": "gj", "B": "j"}, {"X": "ij"}),
    ("O[X[i],k] += A[i,k]*B[k]", {"A": "ik", "B": "k"}, {"X": "i"}),
    ("O[X[i]] max= A[i]", {"A": "i"}, {"X": "i"}),
    ("O[X[i],Y[i]] += A[i,j]", {"A": "ij"}, {"X": "i", "Y": "i"}),
    ("O[k,X[i]] min= A[i,k] + B[i]", {"A": "ik", "B": "i"}, {"X": "i"}),
    ("O[X[i],k] = A[i,k]", {"A": "ik"}, {"X": "i"}),
    ("O[i] = argmax[k](A[i,k])", {"A": "ik"}, {}),
    ("O[i] = argmin[k](A[i,k]*B[k])", {"A": "ik", "B": "k"}, {}),
    ("O[i] = argmax[j,k](A[i,k]*B[j,k])", {"A": "ik", "B": "jk"}, {}),
    ("O[i,j] = argmax[k](max(A[i,k], B[k,j]))", {"A": "ik", "B": "kj"}, {}),
)
"""Text, the ranks of each operand, and of each index tensor; g is the rank that they address."""


def random_trial(rng: np.random.Generator) -> Case:
    """A case of any kind, its operands and results handed over in any way."""
    kind = rng.choice(["expression", "case", "cascade", "gather"], p=[0.4, 0.38, 0.14, 0.08])
    tiny = bool(rng.random() < 0.06)
    match kind:
        case "expression":
            case = random_expression(rng, 2 if tiny else 4)
        case "case":
            case = random_case(rng, 3 if tiny else 5)
        case "cascade":
            case = random_cascade(rng)
        case _:
            case = random_gather(rng)
    return handed_over(rng, case)


def random_cascade(rng: np.random.Generator) -> Case:
    """Two or three lines, each of which reads what is above it."""
    extents = {rank: int(rng.integers(0 if rng.random() < 0.05 else 1, 5)) for rank in RANKS}
    writer = Writer(rng, extents)
    count = int(rng.integers(2, 4))
    lines: list[str] = []
    results = ["S", "T"][: count - 1]
    for name in (*results, "O"):
        lowest = 0 if name == "O" else 1
        target = [str(r) for r in rng.permutation(RANKS)[: int(rng.integers(lowest, 3))]]
        if rng.random() < 0.5:
            body = "*".join(writer.access() for _ in range(int(rng.integers(1, 4))))
            if rng.random() < 0.3:
                body += f" {writer.pick('+', '-')} {writer.access()}"
            lines.append(f"{name}[{','.join(target)}] = {body}" if target else f"{name} = {body}")
        else:
            body = writer.expression(int(rng.integers(1, 3)))
            lines.append(writer.line(name, target, body))
        writer.ranks[name] = tuple(target)
        writer.names = (*writer.names, name, name)
    text = "\n".join(lines)
    shapes = {
        name: tuple(extents[rank] for rank in ranks)
        for name, ranks in writer.ranks.items()
        if name in words(text)
    }
    operands = {name: shape for name, shape in shapes.items() if name not in (*results, "O")}
    dense, stored = _operands(rng, operands, str(rng.choice(EXACT)))
    sizes = {rank: extent for rank, extent in extents.items() if rank in words(text)}
    formats = {
        name: "auto" if rng.random() < 0.1 else random_format(rng, len(shapes[name]))
        for name in results
        if rng.random() < 0.6
    }
    return Case(text, sizes, {}, {}, dense, stored, formats)


def random_gather(rng: np.random.Generator) -> Case:
    """A read or a write through an index tensor, or the place of an extreme."""
    text, operands, places = GATHERS[int(rng.integers(len(GATHERS)))]
    extents = {rank: int(rng.integers(1, 5)) for rank in "ijk"}
    extents["g"] = max(extents["i"], int(rng.integers(1, 7)))
    shapes = {n: tuple(extents[rank] for rank in ranks) for n, ranks in operands.items()}
    dense, stored = _operands(rng, shapes, str(rng.choice(FLOATS + INTEGERS)))
    once = "O[X" in text and " = " in text
    for name, ranks in places.items():
        shape = tuple(extents[rank] for rank in ranks)
        drawn = rng.integers(0, extents["g"], shape)
        if once:
            drawn = rng.permutation(extents["g"])[: extents["i"]].reshape(shape)
        index = drawn.astype(str(rng.choice(["int64", "int32", "uint8"])))
        dense[name] = stored[name] = index
        if rng.random() < 0.3:
            stored[name] = Tensor.from_dense(index, random_format(rng, index.ndim))
    sizes: dict[str, Any] = {}
    if text.startswith("O[X") or "X[i]]" in text.split("=")[0]:
        left = text[2 : text.index("]", text.rindex("]", 0, text.index("=")))]
        axes = ["g" if part[0] in "XY" else part for part in left.split(",")]
        sizes["O"] = tuple(extents[rank] for rank in axes)
    return Case(text, sizes, {}, {}, dense, stored)


def _operands(
    rng: np.random.Generator, shapes: dict[str, tuple[int, ...]], dtype: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    dense: dict[str, Any] = {}
    stored: dict[str, Any] = {}
    for name, shape in shapes.items():
        array = random_array(rng, shape, dtype, float(rng.choice([0.1, 0.3, 0.6, 1.0])))
        dense[name] = stored[name] = array
        if shape and rng.random() < 0.7:
            dense[name], stored[name] = store_filled(rng, array, random_format(rng, len(shape)))
    return dense, stored


def handed_over(rng: np.random.Generator, case: Case) -> Case:
    """The case with an operand twice, dense operands strided, or the result in a format."""
    dense, stored, formats = dict(case.dense), dict(case.stored), dict(case.formats)
    names = list(stored)
    if len(names) > 1 and rng.random() < 0.1:
        a, b = (names[int(k)] for k in rng.permutation(len(names))[:2])
        if dense[a].shape == dense[b].shape and dense[a].dtype == dense[b].dtype:
            dense[a], stored[a] = dense[b], stored[b]
    for name, x in stored.items():
        if isinstance(x, np.ndarray) and x.ndim and x.size and rng.random() < 0.1:
            wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
            wide[..., ::-2] = x
            stored[name] = wide[..., ::-2]
    last = case.text.splitlines()[-1]
    axes = _axes(last)
    if axes and rng.random() < 0.3:
        formats["O"] = "auto" if rng.random() < 0.1 else random_format(rng, axes)
    return replace(case, dense=dense, stored=stored, formats=formats)


def _axes(line: str) -> int:
    """Axes of the result of a line."""
    depth, commas = 0, 0
    if not line.startswith("O["):
        return 0
    for letter in line[1:]:
        depth += (letter == "[") - (letter == "]")
        commas += letter == "," and depth == 1
        if depth == 0:
            break
    return commas + 1
