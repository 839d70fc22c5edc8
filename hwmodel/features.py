"""What a design does about zeros: ``"gate F,O on I @MAC"``, ``"skip I,F"``.

    feature := "skip" names ["on" names] ["@" place]      without "on": each on all of them
             | "gate" names "on" names ["@" place]
    names   := name ("," name)*                            an operand, or its role: I F O bias

*Gating* leaves a unit idle for the cycle in which an operand is zero: the targets are not
read, the operation is not done, the cycle passes.  It looks at values.

*Skipping* goes from stored entry to stored entry: what is not stored takes no cycle.  It
looks at metadata, so it needs a compressed format.  A skipped operation is skipped whole: at the
multiplier, the targets of a skip say what it saves and change no figure.

*Not fetching* is a skip of one operand on another as the PE reads them, ``"skip F on I @PE"``:
where the leader I stores nothing, the follower F is never fetched from the local store.  It comes
before what is skipped at the multiplier.

At the name of a level, ``"skip F on I @GLB"``, a skip acts on what fills it: a tile of F comes into
GLB, and further in, only where the leader's tile at the same iteration has an entry; points under
an empty one are never fetched.  A gate saves the same fills, but the cycles of these points pass,
in which nothing is read.  Without ``on``, each target is led by the others.  ``@PE`` and ``@MAC``
are the units' reads, whatever levels are called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from zeroskip.errors import ArchError, underline

PLACES = ("MAC", "PE")
_FORMS = 'Write "skip I,F", "skip F on I @GLB" or "gate F,O on I @MAC".'


@dataclass(frozen=True, slots=True)
class Feature:
    """One gate or skip.

    targets : operands whose reads are saved.
    conditions : operands of which one zero (gate) or one absent entry (skip) is enough.
    place : where it acts: a level, ``MAC`` or ``PE``; a gate does so behind the local store by
        either of these two.
    """

    kind: Literal["gate", "skip"]
    targets: tuple[str, ...]
    conditions: tuple[str, ...]
    place: str = "MAC"

    @property
    def level(self) -> str | None:
        """The level whose fills it acts on, if it does."""
        return None if self.place in PLACES else self.place

    @property
    def keeps_away(self) -> bool:
        """Whether what it skips is never fetched from the local store."""
        return self.kind == "skip" and self.place == "PE" and self.conditions != self.targets

    def __str__(self) -> str:
        text = f"{self.kind} {','.join(self.targets)}"
        if self.kind == "gate" or self.conditions != self.targets:
            text += f" on {','.join(self.conditions)}"
        return f"{text} @{self.place}"


def parse_feature(text: str) -> Feature:
    """The feature that ``text`` is.

    Raises
    ------
    ArchError
        With a caret under the word that does not fit.
    """
    words = _words(text)

    def fail(message: str, index: int) -> ArchError:
        at = words[index][1] if index < len(words) else len(text)
        length = len(words[index][0]) if index < len(words) else 1
        lines = [message, *underline(text, [(at, at + length)]), _FORMS]
        return ArchError("\n".join(lines))

    def names(index: int) -> tuple[tuple[str, ...], int]:
        found: list[str] = []
        while True:
            word = words[index][0] if index < len(words) else ""
            if not word.isidentifier() or word == "on":
                raise fail(f"expected the name of an operand, found {word or 'the end'}", index)
            if word in found:
                raise fail(f"{word} stands twice", index)
            found.append(word)
            index += 1
            if index == len(words) or words[index][0] != ",":
                return tuple(found), index
            index += 1

    if not words or words[0][0] not in ("gate", "skip"):
        found = words[0][0] if words else "nothing"
        raise fail(f"expected skip or gate, found {found}", 0)
    targets, at = names(1)
    conditions: tuple[str, ...] | None = None
    if at < len(words) and words[at][0] == "on":
        conditions, at = names(at + 1)
    place = "MAC"
    if at < len(words) and words[at][0] == "@":
        if at + 1 == len(words) or not words[at + 1][0].isidentifier():
            found = words[at + 1][0] if at + 1 < len(words) else "the end"
            raise fail(f"expected MAC, PE or the name of a level, found {found}", at + 1)
        place, at = words[at + 1][0], at + 2
    if at < len(words):
        raise fail(f"expected on, @ or the end, found {words[at][0]}", at)
    if words[0][0] == "gate":
        if conditions is None:
            raise fail("a gate needs the operand that it looks at", at)
        return Feature("gate", targets, conditions, place)
    return Feature("skip", targets, conditions or targets, place)


def _words(text: str) -> list[tuple[str, int]]:
    """Words and marks with where they start."""
    found: list[tuple[str, int]] = []
    start = -1
    for at, character in enumerate(text + " "):
        if character.isalnum() or character == "_":
            start = at if start < 0 else start
            continue
        if start >= 0:
            found.append((text[start:at], start))
            start = -1
        if not character.isspace():
            found.append((character, at))
    return found


def targets_of(features: Sequence[Feature], kind: str) -> set[str]:
    """Every name that a feature of this kind acts upon."""
    return {name for f in features if f.kind == kind for name in f.targets}
