"""What a caller hands over that has no type of ours: names, choices, paths, numbers, kinds.

This module is a leaf beside `zeroskip.errors`: every sub-package may import it.  Each check says
what was expected, what was found, and of which argument; nothing is run before it.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from zeroskip.errors import ZeroskipError

T = TypeVar("T")

SHOWN = 60
"""Characters of a value that a message shows."""


def brief(given: object) -> str:
    """The value in a line, cut where it is long; its type's name where it cannot be printed.

    >>> brief("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    """
    try:
        text = " ".join(repr(given).split())
    except Exception:
        return f"a {type(given).__name__}"
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def is_listed(given: object) -> TypeGuard[Iterable[Any]]:
    """Whether it can be gone through: an array of no axes says that it can, and cannot."""
    return isinstance(given, Iterable) and getattr(given, "shape", None) != ()


def is_one_of(given: object, known: Collection[str]) -> TypeGuard[str]:
    """Whether it is a text, and one of these; an array compares to arrays, and is neither."""
    return isinstance(given, str) and given in known


def names_of(
    what: str, given: object, known: Sequence[str], error: type[ZeroskipError] = ZeroskipError
) -> tuple[str, ...]:
    """Some of the names ``known``: one, or a list of them.

    >>> names_of("bound", ["A"], ("A", "x")), names_of("bound", "x", ("A", "x"))
    (('A',), ('x',))
    """
    expected = f"{what}: expected any of {', '.join(known)}"
    if not isinstance(given, Collection) or not is_listed(given):
        raise error(f"{expected}, found {brief(given)}")
    names = (given,) if isinstance(given, str) else tuple(given)
    for name in names:
        if not is_one_of(name, known):
            raise error(f"{expected}, found {brief(name)}")
    return names


def path_of(what: str, given: object, error: type[ZeroskipError] = ZeroskipError) -> Path:
    """A path, given as a text or a `Path`."""
    if isinstance(given, str | os.PathLike):
        text = os.fspath(given)
        if isinstance(text, str) and text and "\0" not in text:
            return Path(text)
    raise error(f"{what}: expected the path of a file, found {brief(given)}")


def whole_of(
    what: str, given: object, least: int, error: type[ZeroskipError] = ZeroskipError
) -> int:
    """A whole number from ``least`` on; NumPy's are Python's, and a bool is none."""
    number = _python(given)
    if isinstance(number, int) and not isinstance(number, bool) and number >= least:
        return number
    raise error(f"{what}: expected a whole number of {least} or more, found {brief(given)}")


def number_of(
    what: str,
    given: object,
    expected: str = "a finite number",
    above: float = float("-inf"),
    error: type[ZeroskipError] = ZeroskipError,
) -> float:
    """A finite number, greater than ``above``; NumPy's are Python's, and a bool is none."""
    number = _python(given)
    if isinstance(number, bool) or not isinstance(number, int | float):
        number = float("nan")
    if above < number <= sys.float_info.max:
        return float(number)
    raise error(f"{what}: expected {expected}, found {brief(given)}")


def kind_of(
    what: str, given: object, kind: type[T], way: str, error: type[ZeroskipError] = ZeroskipError
) -> T:
    """An object of this class; ``way`` is how one is come by."""
    if isinstance(given, kind):
        return given
    raise error(f"{what}: expected a {kind.__name__}, found {brief(given)}\n{way}")


def _python(given: Any) -> object:
    """A number of NumPy's as one of Python's; everything else as it is."""
    return given.item() if getattr(given, "shape", None) == () and hasattr(given, "item") else given


def warn(text: str) -> None:
    """Warn of ``text`` at the line outside of zeroskip that led here, whose it is to act."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "zeroskip":
        frame, level = frame.f_back, level + 1
    warnings.warn(text, RuntimeWarning, stacklevel=level)
