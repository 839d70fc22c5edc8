"""One storage rank of a format, and which sequences of ranks can store a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zeroskip.errors import FormatError, underline
from zeroskip.formats.levels import Compressed, LevelFormat, Singleton

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class StorageRank:
    """Axes stored as one rank, flattened row-major, and how the rank is stored.

    axes : numbers in a bound format; numbers or names in one as written.
    """

    axes: tuple[int, ...] | tuple[str, ...]
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
    numbers = [axis for rank in ranks for axis in rank.axes if isinstance(axis, int)]
    if numbers and sorted(numbers) != list(range(len(numbers))):
        raise refuse(
            f"expected each of the axes 0 .. {len(numbers) - 1} once, "
            f"found {', '.join(map(str, numbers))}",
            text,
            spans,
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
