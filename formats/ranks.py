"""One storage rank of a format, and which sequences of ranks can store a tensor."""

from __future__ import annotations

from collections.abc import Sequence

from zeroskip.errors import FormatError, underline
from zeroskip.formats.levels import Compressed, LevelFormat, Singleton
from zeroskip.records import dataclass

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Part:
    """One half of an axis that is split into blocks of ``size``: which block (``k/128``), or
    the place inside it (``k%128``)."""

    axis: int | str
    size: int
    inner: bool

    def __str__(self) -> str:
        return f"{self.axis}{'%' if self.inner else '/'}{self.size}"


Axis = int | str | Part
"""A whole axis or a part of one: a number in a bound format, else a number or a name."""


def axis_of(axis: Axis) -> int | str:
    """The number or name of an axis, or of the one that a part is of."""
    return axis.axis if isinstance(axis, Part) else axis


@dataclass(frozen=True, slots=True)
class StorageRank:
    """Axes, or parts of axes, stored as one rank, flattened row-major, and how it is stored."""

    axes: tuple[Axis, ...]
    level: LevelFormat

    def __str__(self) -> str:
        return "*".join(str(axis) for axis in self.axes) + f":{self.level}"


def check_ranks(
    ranks: Sequence[StorageRank], text: str | None = None, spans: Sequence[Span] = ()
) -> None:
    """Refuse what no tensor can be stored in: a rank without axes, S where no C is above.

    ``spans`` are the places of the ranks in ``text``.
    """
    for i, rank in enumerate(ranks):
        where = [spans[i]] if spans else []
        if isinstance(rank.level, Singleton) and (
            i == 0 or not isinstance(ranks[i - 1].level, Compressed | Singleton)
        ):
            above = "is outermost" if i == 0 else f"stands below {ranks[i - 1].level}"
            raise refuse(
                f"S keeps one coordinate for each entry of a C or S directly above it, but {above}",
                text,
                where,
                "Write C for this rank, or C for the one above (COO is 'C S').",
            )
        if not rank.axes:
            raise refuse("a storage rank needs an axis", text, where)
    _check_parts(ranks, text, spans)
    written = [axis for rank in ranks for axis in rank.axes]
    numbers = [
        number
        for axis in written
        if isinstance(number := axis_of(axis), int) and not (isinstance(axis, Part) and axis.inner)
    ]
    if numbers and sorted(numbers) != list(range(len(numbers))):
        raise refuse(
            f"expected each of the axes 0 .. {len(numbers) - 1} once, "
            f"found {', '.join(map(str, numbers))}",
            text,
            spans,
        )


def _check_parts(ranks: Sequence[StorageRank], text: str | None, spans: Sequence[Span]) -> None:
    """Of a split axis both parts are stored, once each, and in blocks of one size."""
    axes = [axis for rank in ranks for axis in rank.axes]
    for part in axes:
        if not isinstance(part, Part):
            continue
        if part.size < 1:
            raise refuse(f"{part}: expected blocks of 1 or more")
        found = [other for other in axes if axis_of(other) == part.axis]
        wanted = [Part(part.axis, part.size, inner) for inner in (False, True)]
        if sorted(found, key=str) != sorted(wanted, key=str):
            held = [part.axis in map(axis_of, rank.axes) for rank in ranks]
            raise refuse(
                f"{part} is a part of axis {part.axis}: expected {wanted[0]} and {wanted[1]}, once "
                f"each, found {', '.join(map(str, found))}",
                text,
                [span for span, own in zip(spans, held, strict=False) if own],
            )


def refuse(
    message: str,
    text: str | None = None,
    spans: Sequence[Span] = (),
    hint: str | None = None,
) -> FormatError:
    """A `FormatError` with the text and carets under ``spans``."""
    lines = [message]
    if text is not None:
        lines += underline(text, spans)
    if hint is not None:
        lines.append(hint)
    return FormatError("\n".join(lines))
