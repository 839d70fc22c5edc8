"""What moves in and out of each level for each tensor: entries, and bits of data and metadata."""

from __future__ import annotations

from dataclasses import dataclass

NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Moves:
    """What moves in and out of one level for one tensor.

    reads, writes : entries (values).  The bits are those of values and of metadata.
    decoded_bits : of those read, what is compressed here and goes on in another format.
    encoded_bits : of those written, what is compressed here and comes in another format.
    """

    reads: int = 0
    writes: int = 0
    read_data_bits: int = 0
    read_metadata_bits: int = 0
    write_data_bits: int = 0
    write_metadata_bits: int = 0
    decoded_bits: int = 0
    encoded_bits: int = 0

    @property
    def data_bits(self) -> int:
        return self.read_data_bits + self.write_data_bits

    @property
    def metadata_bits(self) -> int:
        return self.read_metadata_bits + self.write_metadata_bits

    @property
    def read_bits(self) -> int:
        return self.read_data_bits + self.read_metadata_bits

    @property
    def write_bits(self) -> int:
        return self.write_data_bits + self.write_metadata_bits

    @property
    def bits(self) -> int:
        return self.read_bits + self.write_bits

    def __rmul__(self, times: int) -> Moves:
        return Moves(
            times * self.reads,
            times * self.writes,
            times * self.read_data_bits,
            times * self.read_metadata_bits,
            times * self.write_data_bits,
            times * self.write_metadata_bits,
            times * self.decoded_bits,
            times * self.encoded_bits,
        )

    def __add__(self, other: Moves) -> Moves:
        return Moves(
            self.reads + other.reads,
            self.writes + other.writes,
            self.read_data_bits + other.read_data_bits,
            self.read_metadata_bits + other.read_metadata_bits,
            self.write_data_bits + other.write_data_bits,
            self.write_metadata_bits + other.write_metadata_bits,
            self.decoded_bits + other.decoded_bits,
            self.encoded_bits + other.encoded_bits,
        )


def reads(entries: int, data: int, metadata: int = 0, *, decoded: bool = False) -> Moves:
    """decoded : whether all of it goes through the decoder of the level."""
    through = data + metadata if decoded else 0
    bits = {"read_data_bits": data, "read_metadata_bits": metadata, "decoded_bits": through}
    return Moves(reads=entries, **bits)


def writes(entries: int, data: int, metadata: int = 0, *, encoded: bool = False) -> Moves:
    """encoded : whether all of it goes through the encoder of the level."""
    through = data + metadata if encoded else 0
    bits = {"write_data_bits": data, "write_metadata_bits": metadata, "encoded_bits": through}
    return Moves(writes=entries, **bits)


Traffic = dict[tuple[str, str], Moves]


def by_level(traffic: Traffic) -> dict[str, Moves]:
    """All that moves at each level, and on the network."""
    found: dict[str, Moves] = {}
    for (level, _), moves in traffic.items():
        before = found.get(level)
        found[level] = moves if before is None else before + moves
    return found
