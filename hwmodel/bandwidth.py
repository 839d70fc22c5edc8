"""Cycles that levels need to move bits: reads beside writes, metadata on ports of their own, and
what changes its format through a decoder or an encoder, where a level has these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.levels import Level
from zeroskip.hwmodel.moves import Moves, Traffic, by_level


def bandwidth_cycles_of(arch: Arch, traffic: Traffic) -> dict[str, float]:
    """Cycles of each level with a limit; local stores work side by side, on the mean PE."""
    found, moved = {}, by_level(traffic)
    for level in arch.levels:
        times = [
            cycles_of_bits(bits, rate, arch.number(level))
            for bits, rate in ports_of(level, kinds_of(moved.get(level.name, Moves())))
        ]
        if times:
            found[level.name] = max(times)
    return found


KINDS = ("read data", "read metadata", "write data", "write metadata", "decoded", "encoded")
"""What goes over a port; the last two also over one of the others."""


def kinds_of(moved: Moves) -> dict[str, int]:
    """Bits of each kind."""
    return {
        "read data": moved.read_data_bits,
        "read metadata": moved.read_metadata_bits,
        "write data": moved.write_data_bits,
        "write metadata": moved.write_metadata_bits,
        "decoded": moved.decoded_bits,
        "encoded": moved.encoded_bits,
    }


def moves_of(bits: Mapping[str, Any]) -> Moves:
    """Moves of so many bits of each kind."""
    return Moves(**{f"{kind.replace(' ', '_')}_bits": number for kind, number in bits.items()})


def ports_of(level: Level, bits: Mapping[str, Any]) -> list[tuple[Any, float]]:
    """Bits that go over each port of a level that has a limit, and its bits a cycle: metadata go
    with the data, unless they have a port of their own; units that decode and encode are ports."""
    found: list[tuple[Any, float]] = []
    for way, rate, apart in (
        ("read", level.read_bits_per_cycle, level.metadata_read_bits_per_cycle),
        ("write", level.write_bits_per_cycle, level.metadata_write_bits_per_cycle),
    ):
        data, metadata = bits[f"{way} data"], bits[f"{way} metadata"]
        if apart is not None:
            found.append((metadata, apart))
        else:
            data = data + metadata
        if rate is not None:
            found.append((data, rate))
    for kind, rate in (
        ("decoded", level.decode_bits_per_cycle),
        ("encoded", level.encode_bits_per_cycle),
    ):
        if rate is not None:
            found.append((bits[kind], rate))
    return found


def cycles_of_bits(bits: float, rate: float, side_by_side: int) -> float:
    """Bits over a rate, rounded up, without a rounding before; of a mean, as it is."""
    if not isinstance(bits, int):
        return bits / (rate * side_by_side)
    top, bottom = rate.as_integer_ratio()
    return -(-bits * bottom // (top * side_by_side))


def cycles_of_many(bits: NDArray[Any], rate: float, side_by_side: int) -> NDArray[Any]:
    """The same of an array."""
    if bits.dtype.kind == "f":
        return np.asarray(bits / (rate * side_by_side))
    top, bottom = rate.as_integer_ratio()
    top *= side_by_side
    if max(int(bits.max(initial=0)) * bottom, top) < 2**62:
        return np.asarray(-(-bits * bottom // top))
    return np.array([-(-number * bottom // top) for number in bits.tolist()], bits.dtype)
