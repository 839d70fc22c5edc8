"""The notation of formats: ``"m:U c*r*s:C(16)"``, ``"[m,c] c:U m:C"``, ``"U C"``, ``"CSR"``.

    spec   := [ "[" axis, ... "]" ] rank+   |   name [ "(" bits ")" ]   |   G ":" H
            | "BSR(" rows "," columns ")"
    rank   := [ part ( "*" part )* ":" ] level          outermost first; * flattens, row-major
    part   := axis | axis "/" size | axis "%" size      a block of so many; the place inside it
    axis   := name | number
    level  := "U" | "B" | "C" | "C(" bits ")" | "R(" bits ")" | "S" | "S(" bits ")"
            | "H(" G ":" H ")"

Names are numbered by the brackets or, without them, in order of appearance.  A rank
without axes takes the next axis in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from zeroskip.errors import FormatError
from zeroskip.formats.levels import LevelFormat, Singleton
from zeroskip.formats.named import name_of, named_ranks
from zeroskip.formats.notation import parse
from zeroskip.formats.ranks import Axis, Part, StorageRank, axis_of, check_ranks
from zeroskip.records import dataclass


class _Hashed:
    """Room for a hash that is reckoned once; it is no field, as it is another in each process."""

    __slots__ = ("_hash",)

    _hash: int


@dataclass(frozen=True, slots=True, init=False)
class Format(_Hashed):
    """Storage ranks, outermost first; or a name that stands for them once bound.

    Parameters
    ----------
    spec : str or Format
        The notation above.

    Attributes
    ----------
    name : str or None
        ``"CSR"``, ``"RLE(5)"`` …: the ranks then depend on how many axes a tensor has, and
        `ranks` is empty until `bind`.
    axes : tuple of str
        Names of the tensor's axes, in the order of the tensor's shape; empty where ranks
        are written with numbers.
    ranks : tuple of StorageRank

    Raises
    ------
    FormatError
        With a caret under what cannot be read.

    Examples
    --------
    >>> Format("m:U c*r*s:C(16)").bind(4)
    Format('0:U 1*2*3:C(16)')
    >>> str(Format("bitmask").bind(3))
    '0:U 1*2:B'
    >>> Format("m/2:U k/4:C m%2:U k%4:U").bind(2).label
    'BSR(2,4)'
    >>> Format("[m,c] c:U m:C").bind(2) == Format("CSC").bind(2)
    True
    """

    name: str | None
    axes: tuple[str, ...]
    ranks: tuple[StorageRank, ...]

    def __init__(self, spec: str | Format) -> None:
        if isinstance(spec, Format):
            name, axes, ranks = spec.name, spec.axes, spec.ranks
        elif isinstance(spec, str):
            name, axes, ranks = parse(spec)
        else:
            raise FormatError(
                f"a format is text such as 'CSR' or 'm:U c:C', found {type(spec).__name__}"
            )
        self._set(name, axes, ranks)

    def _set(self, name: str | None, axes: tuple[str, ...], ranks: tuple[StorageRank, ...]) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "ranks", ranks)

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            object.__setattr__(self, "_hash", hash((self.name, self.axes, self.ranks)))
            return self._hash

    @classmethod
    def of(cls, ranks: Sequence[tuple[Sequence[Axis], LevelFormat]]) -> Format:
        """A bound format from (axes, level) pairs; the axes are 0 .. n-1, each once, or both
        of its parts."""
        made = cls.__new__(cls)
        made._set(None, (), tuple(StorageRank(tuple(axes), level) for axes, level in ranks))
        check_ranks(made.ranks)
        return made

    # ---- binding ------------------------------------------------------------------------

    @property
    def bound(self) -> bool:
        """Whether the ranks are known and their axes are numbers."""
        return self.name is None and not self.axes

    @property
    def ndim(self) -> int | None:
        """Axes of a tensor of this format; None where a name leaves that open."""
        if self.name is not None:
            return None
        return len({axis_of(axis) for rank in self.ranks for axis in rank.axes})

    @property
    def levels(self) -> tuple[LevelFormat, ...]:
        return tuple(rank.level for rank in self.ranks)

    @property
    def split(self) -> bool:
        """Whether an axis is stored in two parts."""
        return any(isinstance(axis, Part) for rank in self.ranks for axis in rank.axes)

    @property
    def parts(self) -> tuple[int | Part, ...]:
        """Every axis in order, a split one as its two parts; of a bound format only."""
        written = [axis for rank in self.ranks for axis in rank.axes]
        if not self.split:
            return tuple(range(len(written)))
        key = {axis: (axis_of(axis), isinstance(axis, Part) and axis.inner) for axis in written}
        return tuple(a for a in sorted(written, key=key.__getitem__) if not isinstance(a, str))

    @property
    def order(self) -> tuple[tuple[int, ...], ...]:
        """Axis numbers of each storage rank, or where axes are split, numbers of `parts`; of a
        bound format only."""
        if not self.bound:
            raise FormatError(f"format {str(self)!r} is not bound to axes yet: use bind(ndim)")
        return _order_of(self)

    def bind(self, ndim: int) -> Format:
        """This format for a tensor of ``ndim`` axes: every axis a number, exactly once."""
        if self.name is not None:
            return Format.of(named_ranks(self.name, ndim))
        if self.ndim != ndim:
            raise FormatError(
                f"format {str(self)!r} stores {_count(self.ndim or 0, 'axis', 'axes')}, "
                f"the tensor has {_count(ndim, 'axis', 'axes')}\n"
                "Name each axis of the tensor once; '*' flattens several into one rank."
            )
        if not self.axes:
            return self
        number = {axis: i for i, axis in enumerate(self.axes)}

        def numbered(axis: Axis) -> Axis:
            if isinstance(axis, Part):
                return replace(axis, axis=number[str(axis.axis)])
            return number[str(axis)]

        return Format.of([([numbered(a) for a in rank.axes], rank.level) for rank in self.ranks])

    def unique(self, rank: int) -> bool:
        """Whether a coordinate stands at most once in a fiber of storage rank ``rank``."""
        below = rank + 1
        return not (below < len(self.ranks) and isinstance(self.ranks[below].level, Singleton))

    # ---- printing -----------------------------------------------------------------------

    @property
    def label(self) -> str:
        """The shortest name: ``'CSR'`` for a bound ``'0:U 1:C'``, else the notation."""
        name = name_of(self.ranks) if self.bound else None
        return name or str(self)

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        if not self.ranks:
            return "dense"
        flat = tuple(axis for rank in self.ranks for axis in rank.axes)
        if flat == tuple(range(len(self.ranks))):
            return " ".join(str(rank.level) for rank in self.ranks)
        text = " ".join(str(rank) for rank in self.ranks)
        names = tuple(dict.fromkeys(axis_of(axis) for axis in flat))
        return f"[{','.join(self.axes)}] {text}" if self.axes and names != self.axes else text

    def __repr__(self) -> str:
        return f"Format({str(self)!r})"


def bound_to(format: Format | str, ndim: int) -> Format:
    """``Format(format).bind(ndim)``; text is read once."""
    return _read(format, ndim) if isinstance(format, str) else Format(format).bind(ndim)


@lru_cache(maxsize=256)
def _read(text: str, ndim: int) -> Format:
    return Format(text).bind(ndim)


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


@lru_cache(maxsize=1024)
def _order_of(bound: Format) -> tuple[tuple[int, ...], ...]:
    number: dict[Axis, int] = {part: i for i, part in enumerate(bound.parts)}
    return tuple(tuple(number[axis] for axis in rank.axes) for rank in bound.ranks)
