"""What passes a level and is not kept there, as text: ``stream`` of a mapping, or of a level.

    stream={"GLB": "I"}         all of I that a level inside asks for goes through GLB, word by word
    stream={"GLB": "I 64, O"}   what is under way of I takes the room of 64 words, of O of one
    stream={"GLB": "none"}      nothing passes so, whatever the architecture says

A word is an entry with its metadata.  `zeroskip.hwmodel.passing` has what it means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zeroskip.checks import brief
from zeroskip.errors import ArchError

_TEXT = re.compile(r"\s*([^\W\d]\w*)(?:\s+(\d+))?\s*")


@dataclass(frozen=True, slots=True)
class Stream:
    """A tensor, or a role, that passes, and the words that are under way at a time."""

    name: str
    words: int = 1

    def __str__(self) -> str:
        return self.name if self.words == 1 else f"{self.name} {self.words}"


def streams_of(given: object) -> dict[str, tuple[Stream, ...]]:
    """Level -> what passes it.

    >>> [str(one) for one in streams_of({"GLB": "I 64, O"})["GLB"]]
    ['I 64', 'O']
    """
    if not isinstance(given, Mapping):
        found = brief(given)
        raise ArchError(
            f'stream: expected a dict, level -> tensors, such as {{"GLB": "I 64, O"}}, '
            f"found {found}"
        )
    for level in given:
        if not isinstance(level, str):
            raise ArchError(f"stream: expected names of levels as keys, found {level!r}")
    return {level: read_streams(texts, f"stream {level}") for level, texts in given.items()}


def read_streams(given: object, where: str) -> tuple[Stream, ...]:
    """What passes a level: a text, or a list.

    Raises
    ------
    ArchError
        Beginning with ``where``.
    """
    listed: Sequence[object] = given.split(",") if isinstance(given, str) else ()
    if isinstance(given, list | tuple):
        listed = given
    elif not isinstance(given, str):
        listed = [given]
    found: list[Stream] = []
    for one in listed:
        if isinstance(one, str) and one.strip() in ("", "none") and len(listed) == 1:
            break
        found.append(one if isinstance(one, Stream) else _read(one, where))
        if any(other.name == found[-1].name for other in found[:-1]):
            raise ArchError(f"{where}: expected each tensor once, found {found[-1].name} twice")
    return tuple(found)


def _read(given: object, where: str) -> Stream:
    match = _TEXT.fullmatch(given) if isinstance(given, str) else None
    if match is None or (match[2] is not None and int(match[2]) < 1):
        raise ArchError(
            f"{where}: expected a tensor or a role, and the words under way if more than one, such "
            f'as "I 64", found {brief(given)}'
        )
    return Stream(match[1], int(match[2] or 1))
