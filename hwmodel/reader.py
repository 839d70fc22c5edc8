"""Reads a nested mapping key by key, and says where a wrong one stands.

Every error names the key, the file, the line and what was expected.  Keys that nobody
asked for are refused, so that a misspelt key is never a silent default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from zeroskip.errors import ArchError

MAX_FILE_BYTES = 1_000_000
MOST = 10**15
"""The largest number of a description: products of two of them are exact enough in floats."""


def load_yaml(path: Path) -> Mapping[str, Any]:
    """The mapping in a YAML 1.2 file, with line numbers kept (``.lc``).

    Raises
    ------
    ArchError
        The file cannot be read, is no YAML, holds a key twice, or is no mapping.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ArchError(f"{path} holds more than {MAX_FILE_BYTES:,} bytes: no description")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArchError(f"cannot read {path}: {error}") from None
    return _parse(text, str(path))


@lru_cache(maxsize=32)
def _parse(text: str, path: str) -> Mapping[str, Any]:
    """The mapping that a text is.  Nobody changes what this returns."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    try:
        data = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise ArchError(f"{path}{line}: {error.problem or error.context or 'no YAML'}") from None
    except Exception as error:  # what is hostile breaks the reader anywhere: a merge with itself
        raise ArchError(f"{path}: no YAML: {type(error).__name__}: {error}") from None
    if not isinstance(data, Mapping):
        raise ArchError(f"{path}: expected a mapping of keys to values, found {_kind(data)}")
    return data


class Reader:
    """One mapping of a description.

    Parameters
    ----------
    data : the mapping.
    source : what errors call the whole: a file name, or "the dict given".
    path : keys that lead here.
    folder : where relative file names start.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        source: str,
        path: tuple[str, ...] = (),
        folder: Path = Path(),
    ) -> None:
        self.data, self.source, self.path, self.folder = data, source, path, folder
        self.asked: set[str] = set()
        self.defaulted: list[str] = []
        for key in data:
            if not isinstance(key, str):
                self.fail(str(key), "expected a name as key", found=key)

    # ---- errors -------------------------------------------------------------------------

    def fail(self, key: str, expected: str, found: Any = ..., hint: str | None = None) -> NoReturn:
        """Raise the error of ``key``."""
        where = ".".join((*self.path, key))
        message = f"{where} in {self.source}{self.line(key)}: {expected}"
        if found is not ...:
            message += f", found {_shown(found)}"
        raise ArchError(message if hint is None else f"{message}\n{hint}")

    def line(self, key: str) -> str:
        """Where a key stands, ``, line 7``; empty where nobody knows."""
        lines = getattr(self.data, "lc", None)
        if lines is None:
            return ""
        try:
            row = lines.key(key)[0]
        except (KeyError, TypeError, AttributeError):
            row = lines.line
        return f", line {row + 1}"

    def close(self) -> None:
        """Refuse the keys that were not asked for."""
        for key in self.data:
            if key not in self.asked:
                near = get_close_matches(key, self.asked, 1)
                known = ", ".join(sorted(self.asked))
                hint = f"Did you mean {near[0]}?" if near else f"The keys here are {known}."
                self.fail(key, "no such key", hint=hint)

    # ---- values -------------------------------------------------------------------------

    def _value(self, key: str, default: Any, expected: str) -> Any:
        self.asked.add(key)
        if key in self.data and self.data[key] is not None:
            return self.data[key]
        if default is ...:
            self.fail(key, f"expected {expected}", hint="It has no default: state it.", found=None)
        self.defaulted.append(".".join((*self.path, key)))
        return default

    def text(self, key: str, default: Any = ..., expected: str = "a text") -> str:
        value = self._value(key, default, expected)
        if not isinstance(value, str):
            self.fail(key, f"expected {expected}", value)
        return " ".join(str(value).split())

    def number(
        self,
        key: str,
        default: Any = ...,
        *,
        expected: str = "a number",
        positive: bool = True,
    ) -> float:
        value = self._value(key, default, expected)
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            self.fail(key, f"expected {expected}", value)
        if not (0 < value <= MOST or (value == 0 and not positive)):
            bound = "above 0" if positive else "0 or more"
            self.fail(key, f"expected {expected}, {bound} and at most {MOST:,}", value)
        return float(value)

    def whole(self, key: str, default: Any = ..., *, expected: str = "a whole number") -> int:
        value = self._value(key, default, expected)
        if isinstance(value, float | np.floating) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            self.fail(key, f"expected {expected}, 1 or more", value)
        if value > MOST:
            self.fail(key, f"expected {expected}, at most {MOST:,}", value)
        return int(value)

    def whole_or_unlimited(self, key: str, default: Any = ..., *, expected: str) -> int | None:
        value = self._value(key, default, f"{expected}, or unlimited")
        if value == "unlimited":
            return None
        if isinstance(value, str):
            self.fail(key, f"expected {expected}, or unlimited", value)
        return self.whole(key, default, expected=expected)

    def number_or_unlimited(self, key: str, default: Any = ..., *, expected: str) -> float | None:
        value = self._value(key, default, f"{expected}, or unlimited")
        if value == "unlimited":
            return None
        if isinstance(value, str):
            self.fail(key, f"expected {expected}, or unlimited", value)
        return self.number(key, default, expected=expected)

    def truth(self, key: str, default: Any = ..., expected: str = "true or false") -> bool:
        value = self._value(key, default, expected)
        if not isinstance(value, bool | np.bool_):
            self.fail(key, f"expected {expected}", value)
        return bool(value)

    def texts(self, key: str, default: Any = ..., expected: str = "a list of texts") -> list[str]:
        value = self._value(key, default, expected)
        if isinstance(value, str) or not isinstance(value, Sequence):
            self.fail(key, f"expected {expected}", value)
        for item in value:
            if not isinstance(item, str):
                self.fail(key, f"expected {expected}", item)
        return [str(item) for item in value]

    def text_or_texts(self, key: str, expected: str) -> list[str]:
        """A text, or a list of them; without the key, an empty one."""
        value = self._value(key, (), expected)
        return [str(value)] if isinstance(value, str) else self.texts(key, (), expected)

    def section(self, key: str, default: Any = ..., expected: str = "a section") -> Reader:
        value = self._value(key, default, expected)
        if not isinstance(value, Mapping):
            self.fail(key, f"expected {expected}", value)
        return Reader(value, self.source, (*self.path, key), self.folder)

    def sections(self) -> Iterator[tuple[str, Reader]]:
        """Every key here as a section, in order."""
        for key in self.data:
            yield key, self.section(key)


def _kind(value: Any) -> str:
    names = {str: "a text", bool: "true or false", type(None): "nothing"}
    for kind, name in names.items():
        if isinstance(value, kind):
            return name
    if isinstance(value, Mapping):
        return "a section"
    if isinstance(value, Sequence):
        return "a list"
    return "a number" if isinstance(value, int | float) else type(value).__name__


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return repr(str(value)[:60])
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value!s:.60}" if isinstance(value, int | float | np.number) else _kind(value)
