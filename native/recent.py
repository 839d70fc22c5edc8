"""A table that forgets, so that what a long process remembers does not grow without end."""

from __future__ import annotations

import threading
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(dict[K, V]):
    """A dictionary to which `keep` adds; of more than ``most`` entries the oldest go first.

    May be read and added to from several threads at once.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self._lock = threading.Lock()

    def keep(self, key: K, value: V) -> V:
        """``value``, or what another thread has kept under ``key`` meanwhile."""
        with self._lock:
            found = self.setdefault(key, value)
            while len(self) > self.most:
                del self[next(iter(self))]
        return found
