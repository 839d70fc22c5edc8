"""`dataclass` for the small classes that trees are made of, for less than one costs to define.

A first layer imports more than a hundred of them, and ``dataclasses`` compiles six functions for
each.  Here fields, slots and patterns come from it, and
nothing is compiled for a class: most functions are the same for all, and ``__init__`` is one code
for each number of fields, in which the names of its arguments are put.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, slots=False, init=True, repr=True, eq=True):
        """As `dataclasses.dataclass`, of these options: no field is an ``InitVar`` or keyword-only.

        ``fields``, ``replace``, copies and pickles work.  Bases are made here too, or are no
        dataclasses.
        """

        def made(cls):
            cls.__doc__ = cls.__doc__ or cls.__name__
            cls = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
            _check(cls)
            own = {}
            if init:
                own["__init__"] = _init(cls)
            if repr:
                own["__repr__"] = _repr
            if eq:
                own |= _comparing(cls, frozen)
            if frozen:
                own |= {"__setattr__": _refuse_set, "__delattr__": _refuse_delete}
                if slots:
                    own |= {"__getstate__": _state, "__setstate__": _restore}
            for name, value in own.items():
                if cls.__dict__.get(name) is None:
                    setattr(cls, name, value)
            return cls

        return made if cls is None else made(cls)


__all__ = ["dataclass"]


def _check(cls: Any) -> None:
    """Refuse a field that asks for what is not made here."""
    for field in dataclasses.fields(cls):
        unset = not field.init and not _required(field)
        if unset or field.hash is not None or field.kw_only:
            what = "a default without init" if unset else "hash or kw_only"
            raise TypeError(
                f"{cls.__qualname__}.{field.name}: expected a field without {what}; "
                "use dataclasses.dataclass"
            )


# ---- __init__ -----------------------------------------------------------------------------

Setter = Callable[[Any, Any], None]


class _Factory:
    """What an argument is, where none is given, whose setter makes a value."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


def _init(cls: Any) -> FunctionType:
    """``__init__``: an argument for each field, which its setter puts in its place."""
    fields = [field for field in dataclasses.fields(cls) if field.init]
    names = [field.name for field in fields]
    after = hasattr(cls, "__post_init__")
    code = _code(len(fields), after)
    code = code.replace(co_varnames=("self", *names), co_qualname=f"{cls.__qualname__}.__init__")
    known = {f"_{i}": _setter(cls, field) for i, field in enumerate(fields)}
    given = [_default(field) for field in fields if not _required(field)]
    made = FunctionType(code, {**known, "__name__": cls.__module__}, "__init__", tuple(given))
    made.__annotations__ = {**{field.name: field.type for field in fields}, "return": None}
    return made


@cache
def _code(n: int, after: bool) -> CodeType:
    """What ``__init__`` of n fields runs; where ``after``, ``__post_init__`` comes last."""
    lines = [f"_{i}(self, x{i})" for i in range(n)] + ["self.__post_init__()"] * after
    head = ", ".join(["self", *(f"x{i}" for i in range(n))])
    body = "\n    ".join(lines or ["pass"])
    known: dict[str, Any] = {}
    exec(f"def __init__({head}):\n    {body}", known)
    code: CodeType = known["__init__"].__code__
    return code


def _setter(cls: Any, field: dataclasses.Field[Any]) -> Setter:
    """What gives the field of an object its value, frozen or not."""
    name, make = field.name, field.default_factory
    slot: Any = getattr(cls, name, None)
    if hasattr(slot, "__objclass__"):
        put: Setter = slot.__set__
    else:

        def put(self: Any, value: Any) -> None:
            object.__setattr__(self, name, value)

    if make is dataclasses.MISSING:
        return put

    def put_or_make(self: Any, value: Any) -> None:
        put(self, make() if value is _FACTORY else value)

    return put_or_make


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> Any:
    return _FACTORY if field.default is dataclasses.MISSING else field.default


# ---- the other functions ------------------------------------------------------------------


def _comparing(cls: Any, frozen: bool) -> dict[str, Any]:
    """``__eq__``, and ``__hash__`` of what cannot change: by the fields that take part."""
    names = [field.name for field in dataclasses.fields(cls) if field.compare]
    key: Callable[[Any], Any]
    if len(names) > 1:
        key = attrgetter(*names)
    else:  # of one the getter gives the value itself, of which == may be anything

        def key(self: Any) -> tuple[Any, ...]:
            return tuple(getattr(self, name) for name in names)

    def __eq__(self: Any, other: object) -> Any:
        if other.__class__ is self.__class__:
            return key(self) == key(other)
        return NotImplemented

    def __hash__(self: Any) -> int:
        return hash(key(self))

    return {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}


def _repr(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _refuse_set(self: object, name: str, value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _restore(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
