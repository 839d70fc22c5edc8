"""The functions and reductions that the language knows; nothing else is ever called."""

from __future__ import annotations

#: Pointwise functions: name -> (fewest, most) arguments; None: no upper limit.
FUNCTIONS: dict[str, tuple[int, int | None]] = {
    "relu": (1, 1),
    "exp": (1, 1),
    "log": (1, 1),
    "sqrt": (1, 1),
    "tanh": (1, 1),
    "sigmoid": (1, 1),
    "abs": (1, 1),
    "sign": (1, 1),
    "gelu": (1, 1),
    "swish": (1, 1),
    "floor": (1, 1),
    "ceil": (1, 1),
    "max": (2, None),
    "min": (2, None),
    "pow": (2, 2),
    "where": (3, 3),
}

#: Functions of one argument: those that may stand around a whole right side.
POINTWISE: frozenset[str] = frozenset(n for n, (_, most) in FUNCTIONS.items() if most == 1)

#: Reductions ``name[ranks](body)``, and the ``op=`` that does the same at the assignment.
REDUCTIONS: dict[str, str] = {
    "sum": "+",
    "prod": "*",
    "max": "max",
    "min": "min",
    "any": "|",
    "all": "&",
}

#: Reductions that give the place of an extreme, and the extreme.
PLACES: dict[str, str] = {"argmax": "max", "argmin": "min"}

#: ``op`` of ``op=`` -> name of the reduction.
REDUCTION_OF_ASSIGNMENT: dict[str, str] = {op: name for name, op in REDUCTIONS.items()}


def nearest(name: str, known: list[str]) -> str:
    """The known names closest to ``name`` in spelling, for an error; else all of them."""
    from difflib import get_close_matches

    close = get_close_matches(name[:64], set(known), n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "known: " + ", ".join(sorted(set(known))) + "."
