"""Every error that zeroskip raises on purpose.

This module is a leaf: it imports nothing of zeroskip, and every sub-package may
import it.  A message says what was expected, what was found and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class ZeroskipError(ValueError):
    """Base of every deliberate error; also a ValueError."""


class EinsumError(ZeroskipError):
    """Text or expression that is not a layer, or extents that contradict each other.

    Parameters
    ----------
    message : str
        What was expected and what was found.
    text : str, optional
        The line of Einsum at fault.
    spans : sequence of (int, int), optional
        Half-open character ranges of ``text`` to underline.
    hint : str, optional
        What the user can do.
    """

    def __init__(
        self,
        message: str,
        *,
        text: str | None = None,
        spans: Sequence[tuple[int, int]] = (),
        hint: str | None = None,
    ) -> None:
        lines = [message]
        if text is not None:
            lines += underline(text, spans)
        if hint is not None:
            lines.append(hint)
        super().__init__("\n".join(lines))


class EinsumTypeError(EinsumError, TypeError):
    """An argument of an Einsum that is of a wrong type; also a TypeError, as in NumPy."""


class FormatError(ZeroskipError):
    """A format that cannot be read, or that a tensor does not fit."""


class TensorError(ZeroskipError):
    """Tensor data that contradicts itself: coordinates, positions, dtype or shape."""


class IndexingError(TensorError, IndexError):
    """An index or an axis that a tensor does not have; also an IndexError."""


class RoomError(TensorError, MemoryError):
    """An array that would take more memory than is available; also a MemoryError."""


class KernelError(ZeroskipError):
    """A loop nest that cannot be lowered, or a kernel that reported a fault."""


class CompilerError(ZeroskipError):
    """No C compiler, or one that refused the generated C."""


class CacheError(ZeroskipError):
    """The kernel cache on disk cannot be used."""


class ArchError(ZeroskipError):
    """An architecture or mapping file that cannot be read or does not fit the layer."""


def underline(text: str, spans: Sequence[tuple[int, int]], width: int = 96) -> list[str]:
    """The line of ``text`` that holds the first span, and carets under each span in it.

    A line longer than ``width`` is cut around the first span, so that a hostile
    text cannot flood the terminal.
    """
    first = min((start for start, _ in spans), default=0)
    begin = text.rfind("\n", 0, first) + 1
    end = text.find("\n", begin)
    end = len(text) if end < 0 else end
    if end - begin > width:
        begin = max(begin, first - width // 2)
        end = min(end, begin + width)
    lines = ["  " + text[begin:end]]
    marks = [" "] * (end - begin + 1)  # one more: "expected ..." at the end of the line
    for start, stop in spans:
        for i in range(max(start, begin), min(max(stop, start + 1), end + 1)):
            marks[i - begin] = "^"
    if spans:
        lines.append("  " + "".join(marks).rstrip())
    return lines
