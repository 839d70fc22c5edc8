"""`save` and `load`: a tensor as a file, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from zeroskip.errors import TensorError
from zeroskip.formats.convert import tensor
from zeroskip.formats.tensor import Tensor, check_shape

if TYPE_CHECKING:
    from zeroskip.formats.format import Format

KINDS = {
    ".npz": "npz",
    ".mtx": "matrix_market",
    ".tns": "frostt",
    ".h5": "binsparse",
    ".hdf5": "binsparse",
}
"""Ending of a file's name -> the module of this package that writes and reads such files."""


def save(path: str | os.PathLike[str], x: Any) -> None:
    """Write a tensor to a file, whose ending says how.

    Parameters
    ----------
    path : str or path
        ``.npz`` keeps everything: format, level arrays, fill, type (`zeroskip.formats.npz`).
        ``.mtx`` is Matrix Market, for matrices; ``.tns`` is FROSTT's text, for any number of
        axes.  Both keep coordinates and values only, and want the fill 0.  ``.h5`` is HDF5 in
        the Binsparse layout, and needs ``pip install zeroskip[hdf5]``.
    x : Tensor, or whatever `zeroskip.tensor` takes

    The file is written beside its place and then renamed, so that what was there before
    stays until all of the new is on the disk.

    Raises
    ------
    TensorError
        For an unknown ending, or a tensor that such a file cannot hold.
    OSError
        Where the system refuses: no such directory, no room left.

    Examples
    --------
    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.npz")
    >>> save(path, tensor([[0, 2.5], [0, 0]], "CSR"))
    >>> load(path)
    <Tensor 2×2 float64, format 'CSR', 1 non-zeros (density 0.25), 1 stored>
    """
    kind, held = _kind(path), x if isinstance(x, Tensor) else tensor(x)
    try:
        write_whole(Path(path), lambda file: kind.write(file, held))
    except TensorError as cause:
        raise TensorError(f"{os.fspath(path)} is not written: {cause}") from cause


def load(
    path: str | os.PathLike[str],
    format: Format | str | None = None,
    *,
    shape: Sequence[int] | None = None,
) -> Tensor:
    """The tensor in a file that `save`, SciPy (``save_npz``, ``mmwrite``) or others wrote.

    Parameters
    ----------
    path : str or path
        Ending as for `save`.
    format : Format or str, optional
        By default that of the file; of a file that holds no format, the cheapest in hardware
        bits (``"auto"``, see `zeroskip.tensor`).
    shape : sequence of int, optional
        What the shape must be.  A ``.tns`` of another program names none: without this one,
        an axis ends at its last coordinate.

    Nothing in a file is ever executed, and every array is checked against the others.

    Raises
    ------
    TensorError
        If the file is broken, cut short, of a later version, or contradicts itself.
    OSError
        If it cannot be opened.
    """
    kind, wanted = _kind(path), None if shape is None else check_shape(shape)
    with open(path, "rb") as file:
        try:
            found: Tensor = kind.read(file, wanted)
            if wanted is not None and found.shape != wanted:
                raise TensorError(f"expected shape {wanted}, found {found.shape}")
        except TensorError as cause:
            raise TensorError(f"{os.fspath(path)}: {cause}") from cause
    return found if format is None else tensor(found, format)


def _kind(path: str | os.PathLike[str]) -> Any:
    try:
        suffix = Path(path).suffix.lower()
    except TypeError:
        raise TensorError(f"expected the path of a file, found {path!r}") from None
    if suffix not in KINDS:
        raise TensorError(
            f"{os.fspath(path)}: expected a name that ends in {', '.join(KINDS)}; "
            f"found {suffix or 'no ending'}"
        )
    return import_module(f"{__package__}.{KINDS[suffix]}")


def write_whole(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Have ``write`` fill a new file, then put it in the place of ``path`` in one step.

    Whatever fails, the old file stays and nothing is left beside it.
    """
    place = Path(os.path.realpath(path))  # a link goes on pointing at its file
    if place.exists() and not place.is_file():
        raise TensorError("there is something that is no regular file")
    beside = place.with_name(f".{place.name[:80]}.{os.urandom(8).hex()}.tmp")
    try:
        with open(beside, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if place.exists():
            os.chmod(beside, place.stat().st_mode & 0o7777)
        os.replace(beside, place)
    finally:
        beside.unlink(missing_ok=True)
