"""`zeroskip.records.dataclass` against `dataclasses.dataclass`: what one does, the other does."""

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest

from zeroskip.records import dataclass as ours


def classes(dataclass: Any, **options: Any) -> Any:
    """A class of three fields, one that adds to it, and one whose fields take no part in ==."""

    @dataclass(**options)
    class Base:
        """Of a base."""

        a: int
        b: str = "b"
        c: list[int] = dataclasses.field(default_factory=list)

    @dataclass(**options)
    class More(Base):
        d: float = 0.5

        def __post_init__(self) -> None:
            if self.d < 0:
                raise ValueError("d is negative")

    @dataclass(**options)
    class Loose:
        x: int
        note: str = dataclasses.field(default="", compare=False, repr=False)

    @dataclass(**options)
    class Empty:
        pass

    return Base, More, Loose, Empty


OPTIONS = [
    {"frozen": True, "slots": True},
    {"frozen": True},
    {"slots": True},
    {},
    {"frozen": True, "slots": True, "eq": False},
    {"frozen": True, "slots": True, "repr": False},
]


def said(call: Any) -> Any:
    """What a call gives, or the type and text of what it raises."""
    try:
        return call()
    except Exception as cause:
        return type(cause), str(cause)


USES = {
    "fields": lambda cs: [[f.name for f in dataclasses.fields(c)] for c in cs],
    "signatures": lambda cs: [str(inspect.signature(c)) for c in cs],
    "patterns": lambda cs: [c.__match_args__ for c in cs],
    "values": lambda cs: dataclasses.astuple(cs[1](1, c=[2])),
    "repr": lambda cs: [repr(cs[0](1)), repr(cs[1](1, "x")), repr(cs[2](3)), repr(cs[3]())],
    "own lists": lambda cs: cs[0](1).c is cs[0](1).c,
    "missing": lambda cs: cs[0](),
    "too many": lambda cs: cs[2](1, "x", 2),
    "twice": lambda cs: cs[2](1, x=2),
    "unknown": lambda cs: cs[2](1, y=2),
    "after": lambda cs: cs[1](1, d=-1.0),
    "equal": lambda cs: (cs[0](1) == cs[0](1), cs[0](1) == cs[0](2), cs[3]() == cs[3]()),
    "unlike": lambda cs: (cs[0](1) == cs[1](1), cs[0](1) == 1, cs[0](1).__eq__(1)),
    "left out": lambda cs: cs[2](1, "x") == cs[2](1, "y"),
    "nan": lambda cs: [cs[2](x) == cs[2](x) for x in (float("nan"),)],
    "hash": lambda cs: hash(cs[2](1, "x")) == hash(cs[2](1, "y")),
    "hash of a list": lambda cs: hash(cs[0](1)) is None,
    "set": lambda cs: setattr(cs[2](1), "x", 2),
    "delete": lambda cs: delattr(cs[2](1), "x"),
    "replace": lambda cs: dataclasses.astuple(dataclasses.replace(cs[1](1), b="y")),
    "copy": lambda cs: dataclasses.astuple(copy.copy(cs[1](1, "x"))),
    "deep": lambda cs: dataclasses.astuple(copy.deepcopy(cs[1](1, "x"))),
    "no dict": lambda cs: hasattr(cs[0](1), "__dict__"),
    "doc": lambda cs: cs[0].__doc__,
}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("use", USES)
def test_it_is_a_dataclass(use, options):
    if use == "repr" and options.get("repr") is False:
        pytest.skip("that of objects, with their addresses")
    theirs = said(lambda: USES[use](classes(dataclasses.dataclass, **options)))
    assert said(lambda: USES[use](classes(ours, **options))) == theirs


@ours(frozen=True, slots=True)
class Kept:
    x: int
    y: tuple[int, ...] = ()


def test_pickles_come_back():
    assert pickle.loads(pickle.dumps(Kept(1, (2, 3)))) == Kept(1, (2, 3))


def test_without_arguments_and_with_its_own_functions():
    @ours
    class Own:
        x: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

    assert repr(Own(1)) == "own"
    assert Own(1) == 2
    assert Own.__hash__ is None
