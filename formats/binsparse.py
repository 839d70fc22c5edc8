"""Tensors as HDF5 in the Binsparse layout (``.h5``), version 0.1 of its specification.

https://graphblas.org/binsparse-specification: an attribute ``binsparse`` of the file holds a JSON
descriptor; ``values``, ``indices_k`` and ``pointers_to_k`` of storage rank k are data sets.  U is
its dense level, C with the S below it one sparse level of so many ranks; matrices go by name.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import Array, check_room
from zeroskip.formats.levels import Compressed, LevelFormat, Singleton, Uncompressed
from zeroskip.formats.mirrored import mirrored
from zeroskip.formats.tensor import Tensor

VERSION = "0.1"

NAMES = {
    "CSR": "0:U 1:C",
    "CSC": "1:U 0:C",
    "DCSR": "0:C 1:C",
    "DCSC": "1:C 0:C",
    "COO": "0:C 1:S",
    "COOR": "0:C 1:S",
    "COOC": "1:C 0:S",
    "VEC": "0:C",
    "DVEC": "0:U",
    "DMATR": "0:U 1:U",
    "DMAT": "0:U 1:U",
    "DMATC": "1:U 0:U",
}
"""Formats that the specification names, and what they are here."""

TYPES = {
    **{name: name for name in ("int8", "int16", "int32", "int64", "float32", "float64")},
    **{name: name for name in ("uint8", "uint16", "uint32", "uint64")},
    "bint8": "uint8",
}
"""Types of the specification -> those that NumPy reads them as."""

MIRRORED = {"symmetric": 1, "skew_symmetric": -1}


def write(file: IO[bytes], tensor: Tensor) -> None:
    """Write a tensor; one in a format that Binsparse lacks (B, R, H, splits) as COO."""
    h5py = _h5py()
    if not _known(tensor.format):
        tensor = tensor.asformat("COO" if tensor.ndim else "dense")
    kind = "bint8" if tensor.dtype == np.bool_ else tensor.dtype.name
    if kind not in TYPES:
        raise TensorError(f"Binsparse has no type for {kind}; save it as .npz, or .astype first")
    arrays: dict[str, Array] = {}
    for rank, level in enumerate(tensor.levels):
        if "crd" in level.arrays:
            arrays[f"indices_{rank}"] = level.arrays["crd"]
        if "pos" in level.arrays and rank:
            arrays[f"pointers_to_{rank}"] = level.arrays["pos"]
    held = tensor.values
    arrays["values"] = held.view(np.uint8) if kind == "bint8" else held
    if tensor.fill:
        arrays["fill_value"] = np.asarray([tensor.fill]).view(arrays["values"].dtype)
    types = {name: array.dtype.name for name, array in arrays.items()}
    types |= {name: kind for name in ("values", "fill_value") if name in arrays}
    descriptor = {
        "version": VERSION,
        "format": _described(tensor.format),
        "shape": list(tensor.shape),
        "number_of_stored_values": len(held),
        "data_types": types,
    } | ({"fill": True} if tensor.fill else {})
    image = io.BytesIO()
    with h5py.File(image, "w") as made:
        for name, array in arrays.items():
            made.create_dataset(name, data=array)
        made.attrs["binsparse"] = json.dumps({"binsparse": descriptor})
    file.write(image.getbuffer())


def read(file: IO[bytes], shape: tuple[int, ...] | None = None) -> Tensor:
    """The tensor in an open file; of a symmetric matrix, both halves."""
    h5py = _h5py()
    try:
        with h5py.File(file.name, "r") as held:
            return _of_group(held)
    except (OSError, KeyError, RuntimeError, TypeError, UnicodeDecodeError) as error:
        raise TensorError(f"the file is broken, or no HDF5: {error}") from error


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise TensorError(
            "HDF5 needs the package h5py, which is not installed\npip install zeroskip[hdf5]"
        ) from None
    return h5py


# ---- formats as Binsparse describes them -----------------------------------------------------


def _known(bound: Format) -> bool:
    """Whether each rank is one whole axis, stored as U, C or S."""
    levels = all(isinstance(x, Uncompressed | Compressed | Singleton) for x in bound.levels)
    return levels and not bound.split and all(len(axes) == 1 for axes in bound.order)


def _described(bound: Format) -> Any:
    """A name, or nested levels with the order of the axes."""
    ndim = len(bound.ranks)
    for name, spec in NAMES.items():
        named = Format(spec)
        if named.ndim == ndim and _plain(named.bind(ndim)) == _plain(bound):
            return name
    order = [axis for axes in bound.order for axis in axes]
    made: dict[str, Any] = {"level": "element"}
    deep = 0
    for level in bound.levels[::-1]:
        deep += 1
        if isinstance(level, Singleton):
            continue
        kind = "dense" if isinstance(level, Uncompressed) else "sparse"
        made = {"level": kind, "rank": deep, "subformat": made}
        deep = 0
    return made if order == sorted(order) else {"swizzle": order, **made}


def _plain(bound: Format) -> list[tuple[tuple[int, ...], type[LevelFormat]]]:
    """Axes and kinds of levels, whatever the width of their fields."""
    return [(axes, type(level)) for axes, level in zip(bound.order, bound.levels, strict=True)]


def _format(described: Any, swizzle: Any, ndim: int) -> Format:
    if isinstance(described, str):
        if described not in NAMES:
            raise TensorError(
                f"format {described[:80]!r} is unknown; expected {', '.join(NAMES)}, or levels"
            )
        return Format(NAMES[described]).bind(ndim)
    letters: list[LevelFormat] = []
    node = described
    swizzle = node.get("swizzle", swizzle) if isinstance(node, Mapping) else None
    while isinstance(node, Mapping) and node.get("level") in ("dense", "sparse"):
        rank = node.get("rank")
        if type(rank) is not int or not 1 <= rank <= ndim:
            raise TensorError(f"a level has rank {str(rank)[:80]}; expected 1 .. {ndim}")
        sparse = node["level"] == "sparse"
        letters.append(Compressed() if sparse else Uncompressed())
        letters += [Singleton() if sparse else Uncompressed()] * (rank - 1)
        node = node.get("subformat")
    if not isinstance(node, Mapping) or node.get("level") != "element" or len(letters) != ndim:
        raise TensorError(
            f"expected {ndim} ranks in levels dense and sparse above an element, "
            f"found {str(described)[:200]}"
        )
    order = list(range(ndim)) if swizzle is None else swizzle
    numbers = isinstance(order, list) and all(type(axis) is int for axis in order)
    if not numbers or sorted(order) != list(range(ndim)):
        raise TensorError(f"swizzle {str(order)[:80]} is no order of {ndim} axes")
    return Format.of([([axis], level) for axis, level in zip(order, letters, strict=True)])


# ---- reading ---------------------------------------------------------------------------------


def _of_group(held: Any) -> Tensor:
    text = held.attrs.get("binsparse")
    try:
        whole = json.loads(text)
        found = whole["binsparse"]
        version, shape, types = found.get("version", VERSION), found["shape"], found["data_types"]
        described = found["format"]
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise TensorError(f"the file has no Binsparse descriptor: {error!r:.200}") from None
    if not str(version).startswith("0."):
        raise TensorError(f"Binsparse version {str(version)[:80]} is not read; expected 0.1")
    if not isinstance(shape, list) or not isinstance(types, dict):
        raise TensorError("the descriptor's shape is no list, or its data_types no object")
    format = _format(described, found.get("swizzle"), len(shape))
    parts: list[dict[str, Array]] = []
    for rank, level in enumerate(format.levels):
        part = {} if isinstance(level, Uncompressed) else {"crd": _array(held, f"indices_{rank}")}
        if isinstance(level, Compressed):
            root = np.array([0, len(part["crd"])])
            part["pos"] = _array(held, f"pointers_to_{rank}") if rank else root
        parts.append(part)
    values = _typed(_array(held, "values"), types.get("values"))
    if isinstance(types.get("values"), str) and types["values"].startswith("iso["):
        size = len(parts[-1]["crd"]) if parts and "crd" in parts[-1] else 1
        check_room(size, values.itemsize, "the values")
        values = np.repeat(values[:1], size)
    fill: Any = 0
    if found.get("fill") is True:
        fill = _typed(_array(held, "fill_value"), types.get("fill_value", types.get("values")))
        if len(fill) != 1 or fill.dtype != values.dtype:
            raise TensorError(f"expected one fill of type {values.dtype}, found {fill!r:.80}")
        fill = fill[0]
    made = Tensor.from_parts(shape, format, parts, values, fill=fill)
    return _mirrored(made, found.get("structure"))


def _array(held: Any, name: str) -> Array:
    """A data set of one axis, from this file and no other."""
    h5py = _h5py()
    link = held.get(name, getlink=True)
    if link is None:
        raise TensorError(f"the file lacks the array {name}")
    data = held[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external:
        raise TensorError(f"{name} is no data set of this file")
    if data.ndim != 1 or data.dtype.kind not in "biuf":
        raise TensorError(f"{name} holds {data.dtype} of shape {data.shape}; expected one axis")
    check_room(data.size, data.dtype.itemsize, f"array {name} of the file", "")
    array: Array = data[()]
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _typed(array: Array, kind: Any) -> Array:
    base = kind[4:-1] if isinstance(kind, str) and kind.startswith("iso[") else kind
    if base not in TYPES:
        raise TensorError(f"values of type {str(kind)[:80]!r}; expected {', '.join(TYPES)}")
    if base != "bint8" and array.dtype != TYPES[base]:
        raise TensorError(f"the values are {array.dtype}; the descriptor says {base}")
    return array != 0 if base == "bint8" else array


def _mirrored(tensor: Tensor, structure: Any) -> Tensor:
    """The matrix with the triangle that its file leaves out."""
    if structure is None:
        return tensor
    kind, _, _half = str(structure).rpartition("_")
    if kind not in MIRRORED or tensor.ndim != 2 or tensor.fill or len(set(tensor.shape)) > 1:
        raise TensorError(f"structure {str(structure)[:80]!r} of shape {tensor.shape} is not read")
    (row, column), values = tensor.coords()
    coords, both = mirrored(row, column, values, MIRRORED[kind])
    return Tensor.from_coords(coords, both, tensor.shape, tensor.format)
