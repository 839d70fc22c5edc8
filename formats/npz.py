"""Tensors as ``.npz``: a header, the arrays of each level, the values.

A zip archive of ``.npy`` members, as ``np.savez`` writes them, without pickles:

    zeroskip    bytes of a JSON object: version, shape, format, dtype, fill
    0.pos …     the arrays of storage rank 0, by the names that `levels` documents
    values      of the tensor's type; of a type that NumPy lacks (bfloat16), its bits as uint16

The fill stands in the header as the bytes of one value, in hexadecimal.
"""

from __future__ import annotations

import json
import zipfile
from math import prod
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from zeroskip.errors import FormatError, TensorError
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import check_room
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import read_dtype

if TYPE_CHECKING:
    from zeroskip.formats.level_data import Array

VERSION = 1
"""Version of this layout, which `read` compares."""

MAX_HEADER_BYTES = 1 << 20

_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    EOFError,
    KeyError,
    NotImplementedError,  # a compression that Python lacks
    RuntimeError,  # an encrypted member
    TypeError,
    ValueError,
    OSError,
)


def write(file: IO[bytes], tensor: Tensor) -> None:
    """Write a tensor to an open file."""
    bits = np.dtype(f"u{tensor.dtype.itemsize}")
    header = {
        "version": VERSION,
        "shape": list(tensor.shape),
        "format": str(tensor.format),
        "dtype": tensor.dtype.name,
        "fill": np.asarray(tensor.fill).reshape(1).view(bits).astype(bits.newbyteorder("<"))
        .tobytes()
        .hex(),
    }  # fmt: skip
    text = json.dumps(header).encode()
    arrays: dict[str, Any] = {"zeroskip": np.frombuffer(text, np.uint8)}
    for rank, level in enumerate(tensor.levels):
        arrays |= {f"{rank}.{name}": array for name, array in level.arrays.items()}
    values = tensor.values
    arrays["values"] = values.view(bits) if values.dtype.kind == "V" else values
    np.savez(file, **arrays)


def read(file: IO[bytes], shape: tuple[int, ...] | None = None) -> Tensor:
    """The tensor in an open file; one that SciPy's ``save_npz`` wrote is read too.

    Raises `TensorError` where it is no such file, is broken, or is of a later version.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = {_name(info): info for info in archive.infolist()}
            if "zeroskip" not in members:
                return _of_scipy(archive, members)
            header = _header(_array(archive, members["zeroskip"], MAX_HEADER_BYTES))
            return _of_members(archive, members, header)
    except (TensorError, FormatError):
        raise
    except Exception as error:
        if not isinstance(error, _BROKEN) and type(error).__module__ != "zlib":
            raise
        raise TensorError(f"the file is broken: {error or type(error).__name__}") from error


def _name(info: zipfile.ZipInfo) -> str:
    return info.filename.removesuffix(".npy")


def _header(array: Array) -> dict[str, Any]:
    try:
        header = json.loads(array.astype(np.uint8).tobytes())
    except (ValueError, RecursionError) as error:
        raise TensorError(f"the header is no JSON: {error}") from None
    version = header.get("version") if isinstance(header, dict) else None
    if type(version) is not int or version < 1:
        raise TensorError(f"the header gives no version of the layout: {str(header)[:80]}")
    if version > VERSION:
        raise TensorError(
            f"the layout has version {version}, and this zeroskip reads up to {VERSION}\n"
            "Read it with a later zeroskip."
        )
    kinds = {"shape": list, "format": str, "dtype": str, "fill": str}
    for key, kind in kinds.items():
        if not isinstance(header.get(key), kind):
            found = str(header.get(key))[:80]
            raise TensorError(f"the header's {key} is {found}; expected a {kind.__name__}")
    return dict(header)


def _of_members(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], header: dict[str, Any]
) -> Tensor:
    dtype = read_dtype(header["dtype"])
    format = Format(header["format"]).bind(len(header["shape"]))
    parts = [
        {name: _array(archive, _member(members, f"{rank}.{name}")) for name in spec.arrays}
        for rank, spec in enumerate(format.levels)
    ]
    values = _array(archive, _member(members, "values"))
    bits = np.dtype(f"u{dtype.itemsize}")
    if dtype.kind == "V" and values.dtype == bits:
        values = values.view(dtype)
    if values.dtype != dtype:
        raise TensorError(f"the values are {values.dtype}; the header says {dtype}")
    pattern = bytes.fromhex(header["fill"])
    if len(pattern) != dtype.itemsize or (dtype == np.bool_ and pattern > b"\1"):
        raise TensorError(f"the fill {header['fill'][:80]} is no value of {dtype}")
    fill = np.frombuffer(pattern, bits.newbyteorder("<")).astype(bits).view(dtype)[0]
    return Tensor.from_parts(header["shape"], format, parts, values, fill=fill)


def _member(members: dict[str, zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    if name not in members:
        raise TensorError(f"the file lacks the array {name}")
    return members[name]


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most_bytes: int | None = None) -> Array:
    """One member; what its header promises is compared with its length before it is read."""
    name = _name(info)
    if most_bytes is not None and info.file_size > most_bytes:
        raise TensorError(f"{name} has {info.file_size} bytes; expected at most {most_bytes}")
    check_room(info.file_size, 1, f"array {name} of the file", "Read it on a larger machine.")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        reader = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if reader is None:
            raise TensorError(f"{name} is an .npy of version {version}; expected (1, 0) or (2, 0)")
        try:
            shape, by_columns, dtype = reader(member)
        except Exception as error:  # it goes through Python's tokenizer and parser
            raise TensorError(f"the file is broken: the header of {name}: {error}") from error
        if dtype.hasobject or dtype.kind not in "biufSU":
            raise TensorError(f"{name} holds {dtype}; expected numbers")
        wanted = prod(shape) * dtype.itemsize
        held = info.file_size - member.tell()
        if held != wanted:
            raise TensorError(f"{name} of shape {shape} needs {wanted} bytes; found {held}")
        data = member.read(wanted)
        if len(data) != wanted or member.read(1):
            raise TensorError(f"{name} is cut short")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _of_scipy(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> Tensor:
    """What ``scipy.sparse.save_npz`` wrote as CSR, CSC or COO."""
    if not {"format", "shape", "data"} <= set(members):
        raise TensorError(
            f"expected a tensor that zeroskip or SciPy saved, found the arrays "
            f"{', '.join(sorted(members))[:200] or '(none)'}\n"
            "Read them with np.load, and pass one to zeroskip.tensor."
        )
    wanted = {
        "csr": ("indptr", "indices"),
        "csc": ("indptr", "indices"),
        "coo": ("coords",) if "coords" in members else ("row", "col"),
    }
    label = _array(archive, members["format"], 4096)
    kind = label.item().decode() if label.dtype.kind == "S" and label.size == 1 else str(label)
    if kind not in wanted:
        raise TensorError(f"SciPy format {kind[:80]!r} is not read; save .tocsr() or .tocoo()")
    arrays = {name: _array(archive, _member(members, name)) for name in wanted[kind]}
    shape = tuple(_array(archive, members["shape"], 4096).tolist())
    data = _array(archive, members["data"])
    if kind == "coo":
        coords = list(arrays["coords"]) if "coords" in arrays else [arrays["row"], arrays["col"]]
        return Tensor.from_coords(coords, data, shape, "COO")
    parts = [{}, {"pos": arrays["indptr"], "crd": arrays["indices"]}]
    try:
        return Tensor.from_parts(shape, kind.upper(), parts, data)
    except TensorError as cause:  # columns out of order, or repeated: SciPy allows both
        if "expected increasing coordinates" not in str(cause):
            raise
    pos = arrays["indptr"]
    outer = np.repeat(np.arange(len(pos) - 1), np.diff(pos))
    pair = [outer, arrays["indices"]]
    return Tensor.from_coords(pair if kind == "csr" else pair[::-1], data, shape, kind.upper())
