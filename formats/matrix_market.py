"""Matrices as Matrix Market text (``.mtx``).

    %%MatrixMarket matrix coordinate|array real|integer|pattern general|symmetric|skew-symmetric
    % comments
    rows columns entries        (array: rows columns)
    1 2 0.5                     (array: a value a line, column by column)

SciPy's reader is not used: a broken file ends the process there.
"""

from __future__ import annotations

import os
from typing import IO

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.convert import from_coords, tensor
from zeroskip.formats.level_data import Array
from zeroskip.formats.mirrored import mirrored
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.text_table import check_end, read_entries, write_entries

BANNER = "%%MatrixMarket matrix"
MARK = b"% zeroskip 1\n"
"""A comment that says that the last line has an end."""
FIELDS = {"real": np.dtype(np.float64), "double": np.dtype(np.float64),
          "integer": np.dtype(np.int64), "pattern": None}  # fmt: skip
MIRRORED = {"symmetric": 1, "hermitian": 1, "skew-symmetric": -1}
"""Symmetry -> sign of the entries in the half that the file leaves out."""


def write(file: IO[bytes], tensor: Tensor) -> None:
    """Write a matrix as coordinates and values; the text keeps whole numbers and others apart,
    not their types: they are read back as int64 or float64."""
    if tensor.ndim != 2:
        raise TensorError(
            f"a Matrix Market file holds a matrix, and the tensor has shape {tensor.shape}\n"
            "Save it as .npz or .tns."
        )
    if tensor.fill:
        raise TensorError(
            f"the tensor's fill is {tensor.fill}, and what a .mtx leaves out is 0\nSave it as .npz."
        )
    coords, values = tensor.coords()
    whole = values.dtype.kind in "biu"
    if values.dtype == np.uint64 and values.size and values.max() > np.iinfo(np.int64).max:
        raise TensorError(
            f"the tensor holds {values.max()}, and whole numbers of a Matrix Market file are read "
            f"as int64, which ends at {np.iinfo(np.int64).max}\nSave it as .npz or .tns."
        )
    header = f"{BANNER} coordinate {'integer' if whole else 'real'} general\n"
    file.write(
        f"{header}{MARK.decode()}{tensor.shape[0]} {tensor.shape[1]} {len(values)}\n".encode()
    )
    # The digits of a float64: those of a float32 would read back as another number.
    write_entries(file, coords, values.astype(np.int64 if whole else np.float64))


def read(file: IO[bytes], shape: tuple[int, ...] | None = None) -> Tensor:
    """The matrix in an open file; the half that a symmetric one leaves out is filled in."""
    words = file.readline(1024).decode("latin-1").split()
    if len(words) != 5 or " ".join(words[:2]).lower() != BANNER.lower():
        raise TensorError(f"expected '{BANNER} …' on line 1, found {' '.join(words)[:80]!r}")
    layout, field, symmetry = (word.lower() for word in words[2:])
    if field not in FIELDS or (layout == "array" and field == "pattern"):
        raise TensorError(f"numbers of kind {field[:80]!r}; expected {', '.join(FIELDS)}")
    if symmetry != "general" and symmetry not in MIRRORED:
        raise TensorError(f"symmetry {symmetry[:80]!r}; expected general, {', '.join(MIRRORED)}")
    if layout not in ("coordinate", "array"):
        raise TensorError(f"layout {layout[:80]!r}; expected coordinate or array")
    sizes = _sizes(file, 3 if layout == "coordinate" else 2)
    rows, columns = sizes[:2]
    if symmetry != "general" and rows != columns:
        raise TensorError(f"a {symmetry} matrix of {rows} rows and {columns} columns")
    if layout == "array":
        return tensor(_dense(file, rows, columns, FIELDS[field], symmetry))
    (row, column), values = read_entries(file, 2, FIELDS[field], "%")
    _count(len(values), sizes[2])
    if symmetry != "general":
        (row, column), values = mirrored(row, column, values, MIRRORED[symmetry])
    return from_coords([row, column], values, (rows, columns))


def _dense(
    file: IO[bytes], rows: int, columns: int, dtype: np.dtype[np.generic] | None, symmetry: str
) -> Array:
    """Values column by column; of a symmetric matrix those on and below the diagonal, of a
    skew-symmetric one those below."""
    below = symmetry == "skew-symmetric"
    full = symmetry == "general"
    wanted = rows * columns if full else rows * (rows - 1 if below else rows + 1) // 2
    room = os.fstat(file.fileno()).st_size - file.tell()
    if 2 * wanted > room + 1:  # a digit and the end of a line each; the last may lack its end
        raise TensorError(f"the header promises {wanted} values; {room} bytes follow it")
    _, values = read_entries(file, 0, dtype, "%")
    _count(len(values), wanted)
    if full:
        return values.reshape((rows, columns), order="F")
    made = np.zeros((rows, rows), values.dtype)
    column, row = np.triu_indices(rows, 1 if below else 0)
    made[row, column] = values
    made[column, row] = MIRRORED[symmetry] * values
    return made


def _sizes(file: IO[bytes], count: int) -> list[int]:
    line = b"%"
    while line.startswith(b"%") or (line and not line.strip()):
        line = file.readline(1 << 16)
        if line == MARK:
            check_end(file)
    try:
        sizes = [int(word) for word in line.split()]
    except ValueError:
        sizes = []
    if len(sizes) != count or min(sizes) < 0 or max(sizes) >= 2**63:
        found = line.decode("latin-1").strip()[:80]
        raise TensorError(f"expected a line of {count} sizes, found {found!r}")
    return sizes


def _count(found: int, expected: int) -> None:
    if found != expected:
        raise TensorError(f"the header says {expected} entries, found {found}")
