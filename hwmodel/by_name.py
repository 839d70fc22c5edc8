"""Figures of a charge by name: a name that is not there is an error that lists those that are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from zeroskip.checks import brief
from zeroskip.errors import ArchError

V = TypeVar("V")


class NoFigureError(ArchError, KeyError):
    """A figure that a charge does not have; also a KeyError, as of any dict."""

    __str__ = Exception.__str__  # that of KeyError is the repr of the message


class ByName(dict[str, V]):
    """A dict that says what it holds, ``what``, and which keys it has."""

    def __init__(self, what: str, items: Mapping[str, V]) -> None:
        super().__init__(items)
        self.what = what

    def __getitem__(self, key: str) -> V:
        try:
            return super().__getitem__(key)
        except (KeyError, TypeError):  # an array cannot be a key
            known = ", ".join(self)
            raise NoFigureError(
                f"{self.what}: expected one of {known}, found {brief(key)}"
            ) from None
