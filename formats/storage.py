"""`storage()`: one tensor's bits in several formats, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zeroskip.checks import is_listed
from zeroskip.errors import TensorError
from zeroskip.formats.convert import tensor
from zeroskip.formats.density import Density
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.table import Column, Table

LOSES = "metadata eats the gain"
"""The mark of a format that costs at least as much as the dense array."""


def storage(
    x: Any,
    formats: str | Format | Sequence[str | Format],
    *,
    value_bits: int | None = None,
    pointer_bits: int | None = None,
) -> Table:
    """Bits of ``x`` in hardware, dense first, then in each of ``formats``.

    Parameters
    ----------
    x : anything that `tensor` takes
    formats : one or several formats
    value_bits : int, optional
        Width of a value, by default that of its type.
    pointer_bits : int, optional
        Width of a fiber pointer, by default ceil(log2(entries + 1)) for each rank.

    Returns
    -------
    Table
        With the bits of data and metadata, the metadata's share of the total, the total over
        the dense one, and a mark where metadata eats the gain.
    """
    if isinstance(x, Density):
        raise TensorError(
            "storage() counts what is stored, and a Density stores nothing\n"
            "Draw an array from it: x.sample(rng)."
        )
    held = x if isinstance(x, Tensor) else tensor(x, "COO")
    given: Any = formats
    # a Format, or what `Format` refuses by name
    chosen = [given] if isinstance(given, str) or not is_listed(given) else list(given)
    rows: list[tuple[Any, ...]] = []
    for spec in ["dense", *(spec for spec in chosen if str(spec).lower() != "dense")]:
        price = held.asformat(spec).storage(value_bits, pointer_bits=pointer_bits)
        ratio = price.total_bits / price.dense_bits if price.dense_bits else None
        rows.append(
            (
                str(spec),
                price.stored,
                price.data_bits,
                price.metadata_bits,
                price.total_bits,
                price.metadata_share,
                ratio,
                "" if str(spec) == "dense" or price.worth_it else LOSES,
            )
        )
    shape = "×".join(map(str, held.shape)) or "scalar"
    columns = [
        Column("format"),
        Column("stored"),
        Column("data_bits"),
        Column("metadata_bits"),
        Column("total_bits"),
        Column("metadata_share", format=".1%"),
        Column("over_dense", format=".3f"),
        Column("mark"),
    ]
    width = held.storage(value_bits).value_bits
    title = f"{shape}, density {held.density:.4g}, {width}-bit values"
    return Table(title, columns, rows)
