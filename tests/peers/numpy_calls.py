"""What NumPy's own tests of einsum call it with, by running them with a recorder in its place."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

KEYWORDS = ("optimize", "out")
"""Of the keywords in NumPy's calls, those that zeroskip has too; the others are about dtypes."""


@dataclass
class Case:
    """One form of call: subscripts, shapes, and whether a result is given.

    Attributes
    ----------
    name : str
        Subscripts and shapes.
    calls : dict of dtypes -> (arguments, keywords)
        The first call for each combination of dtypes.
    error : type or None
        What NumPy raises.
    """

    name: str
    error: type[Exception] | None
    calls: dict[tuple[str, ...], tuple[tuple[Any, ...], dict[str, Any]]] = field(
        default_factory=dict
    )


def recorded() -> list[Case]:
    """Every form of call in NumPy's TestEinsum, in the order in which it comes up."""
    from numpy._core.tests import test_einsum as theirs

    real, cases = np.einsum, {}

    def recorder(*args: Any, **kwargs: Any) -> Any:
        kept, out = _kept(args), kwargs.get("out")
        places = [k for k, x in enumerate(args) if x is out] if out is not None else []
        error = None
        try:
            return real(*args, **kwargs)
        except Exception as caught:
            error = type(caught)
            raise
        finally:
            _keep(cases, kept, kwargs, error, out, places)

    np.einsum = recorder
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for test in _tests(theirs.TestEinsum(), real, recorder):
                test()
    finally:
        np.einsum = real
    return list(cases.values())


def operands_of(args: tuple[Any, ...]) -> list[int]:
    """Places of the operands among the arguments."""
    if args and isinstance(args[0], str):
        return list(range(1, len(args)))
    return list(range(0, len(args) // 2 * 2, 2))


def _kept(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(np.copy(x) if isinstance(x, np.ndarray) else x for x in args)


def _keep(
    cases: dict[str, Case],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    error: type[Exception] | None,
    out: Any,
    places: list[int],
) -> None:
    known = {key: value for key, value in kwargs.items() if key in KEYWORDS}
    if error and len(known) < len(kwargs):
        return  # the error is about a keyword of NumPy's
    where = operands_of(args)
    try:
        shapes = [np.shape(args[k]) for k in where]
        dtypes = tuple(np.asarray(args[k]).dtype.name for k in where)
    except ValueError:
        shapes, dtypes = [], ("ragged",)
    rest = [x for k, x in enumerate(args) if k not in where]
    text = rest[0] if rest and isinstance(rest[0], str) else rest
    name = f"{text} of {' '.join(map(str, shapes))}"
    if out is not None:
        name += f" into operand {places[0]}" if places else f" into {np.shape(out)}"
        known["out"] = places[0] if places else out
    if error:
        name += f" raises {error.__name__}"
    case = cases.setdefault(name, Case(name, error))
    case.calls.setdefault(dtypes, (args, known))


def _tests(suite: Any, real: Any, recorder: Any) -> Iterator[Callable[[], Any]]:
    """Its test methods with every combination of their parameters."""
    for name in (name for name in dir(suite) if name.startswith("test")):
        method = getattr(suite, name)
        space: list[dict[str, Any]] = [{}]
        for mark in getattr(method, "pytestmark", []):
            what, values = mark.args
            space = [known | {what: value} for known in space for value in values]
        for known in space:
            if known.get("einsum_fn") is np.einsum_path:
                continue
            if known.get("einsum_fn") is real:
                known["einsum_fn"] = recorder
            yield lambda method=method, known=known: method(**known)
