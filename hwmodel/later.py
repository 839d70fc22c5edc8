"""A figure that is made when it is asked for first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """What ``make`` returns, called once, by whoever asks first; it is let go of then.

    >>> from functools import partial
    >>> sum_of = Later(partial(sum, [1, 2]))
    >>> sum_of.value, sum_of.value
    (3, 3)
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make: Callable[[], T] | None = make
        self._made: T

    @classmethod
    def known(cls, value: T) -> Later[T]:
        """One that is made."""
        found = cls.__new__(cls)
        found._make, found._made = None, value
        return found

    @property
    def value(self) -> T:
        make = self._make
        if make is not None:  # of two threads that ask at once, both make the same
            self._made = make()
            self._make = None
        return self._made
