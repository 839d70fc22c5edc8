"""Tensors as FROSTT's text (``.tns``): a line an entry, coordinates from 1, then the value.

    # zeroskip 1: shape 3 4 5, float32, 2 entries
    1 1 2 0.5
    3 4 1 -2.0

The format knows no header; `write` adds a comment, which other programs pass over, so that
empty last slices, the type, and a file that was cut short are told.
"""

from __future__ import annotations

import re
from typing import IO

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.convert import from_coords
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.text_table import check_end, read_entries, write_entries
from zeroskip.formats.values import read_dtype

HEADER = re.compile(rb"# zeroskip (\d{1,9}): shape((?: \d{1,19})*), (\w+), (\d{1,19}) entries\s*")
VERSION = 1
MAX_AXES = 64


def write(file: IO[bytes], tensor: Tensor) -> None:
    """Write what is stored, in storage order; numbers in digits that read back equal."""
    if tensor.fill:
        raise TensorError(
            f"the tensor's fill is {tensor.fill}, and what a .tns leaves out is 0\nSave it as .npz."
        )
    coords, values = tensor.coords()
    shape = "".join(f" {extent}" for extent in tensor.shape)
    header = f"# zeroskip {VERSION}: shape{shape}, {tensor.dtype.name}, {len(values)} entries\n"
    file.write(header.encode())
    write_entries(file, coords, values)


def read(file: IO[bytes], shape: tuple[int, ...] | None = None) -> Tensor:
    """The tensor in an open file.

    shape : where the file gives none; without it, an axis ends at its last coordinate.
    """
    line = file.readline(1 << 16)
    header = HEADER.fullmatch(line)
    dtype, entries = np.dtype(np.float64), None
    if header is not None:
        if int(header[1]) > VERSION:
            raise TensorError(
                f"the header has version {int(header[1])}, and this zeroskip reads up to {VERSION}"
            )
        shape = tuple(int(extent) for extent in header[2].split())
        dtype, entries = read_dtype(header[3].decode()), int(header[4])
        check_end(file)
    while line and not line.split(b"#")[0].strip():
        line = file.readline(1 << 16)
    axes = len(line.split(b"#")[0].split()) - 1
    if axes < 0:
        if shape is None:
            raise TensorError("the file holds no entry, and no shape\nGive it: shape=(3, 4).")
        axes = len(shape)
    if axes > MAX_AXES or (shape is not None and len(shape) != axes):
        raise TensorError(f"{axes} coordinates on a line; expected {len(shape or ()) or 'fewer'}")
    file.seek(0)
    coords, values = read_entries(file, axes, dtype, "#")
    if entries is not None and len(values) != entries:
        raise TensorError(f"the header says {entries} entries, found {len(values)}")
    if shape is None:
        shape = tuple(int(crd.max(initial=-1)) + 1 for crd in coords)
    return from_coords(coords, values, shape)
