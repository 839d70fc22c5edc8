"""One input, and everybody who computes the same from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

OURS = "zeroskip"


class Absent(Exception):
    """A peer or an input that is not here, with the reason."""


class WrongAnswer(Exception):
    """An answer that differs from the dense one by more than rounding."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """One way to compute.

    name : with library and path: "torch CSR".
    family : what bars compare with ("best dense"); `OURS` for zeroskip's own.
    call : what is timed; makes the whole result anew.
    answer : what ``call`` returns → a dense array like the contest's ``expected``; not timed.
    """

    name: str
    family: str
    call: Callable[[], Any]
    answer: Callable[[Any], Array] = field(default=np.asarray)


@dataclass(frozen=True, slots=True)
class Contest:
    """Entrants on one input.

    expected : the dense answer, in float64 or exact.
    scale : magnitude that rounding errors grow with; ``tolerance`` is relative to it.
    multiplications : that cannot be left out; None where that is no measure of the work.
    missing : peers that are not here → why.
    """

    expected: Array
    entrants: tuple[Entrant, ...]
    scale: float
    tolerance: float = 1e-5
    multiplications: int | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ours = [e.name for e in self.entrants if e.family == OURS]
        if len(ours) != 1:
            raise ValueError(f"one entrant is zeroskip's own, and none is picked; found {ours}")

    def check(self, entrant: Entrant) -> float:
        """Largest difference of one answer, over ``scale``.

        Raises
        ------
        WrongAnswer
            Where it is more than ``tolerance``, not a number, or of another shape.
        """
        found = np.asarray(entrant.answer(entrant.call()))
        if found.shape != self.expected.shape:
            raise WrongAnswer(
                f"{entrant.name} answers with shape {found.shape}, expected {self.expected.shape}"
            )
        apart = np.abs(found.astype(np.float64) - self.expected.astype(np.float64))
        worst = float(apart.max(initial=0)) / (self.scale or 1.0)
        if not worst <= self.tolerance:
            raise WrongAnswer(
                f"{entrant.name} is off by {worst:.1e} of the largest sum, "
                f"{self.tolerance:.0e} allowed"
            )
        return worst


def first_line(cause: Exception) -> str:
    """What an error says, in short."""
    return (str(cause).strip() or type(cause).__name__).splitlines()[0][:120]


Maker = Callable[[], Entrant]


def gather(makers: Iterable[tuple[str, Maker]]) -> tuple[tuple[Entrant, ...], dict[str, str]]:
    """Entrants that could be made, and of those that could not, name → why.

    A library that is not installed, or that refuses this input, stops nobody else.
    """
    found: list[Entrant] = []
    missing: dict[str, str] = {}
    for name, make in makers:
        try:
            found.append(make())
        except ImportError as cause:
            missing[name] = f"not installed ({cause})"
        except Absent as cause:
            missing[name] = str(cause)
        except Exception as cause:
            missing[name] = f"refuses: {first_line(cause)}"
    return tuple(found), missing
