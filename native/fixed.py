"""``schedule=``: what a user fixes of how a line runs; what is left open is chosen as ever.

A `Schedule` says nothing of a line, so that what it contradicts in itself is refused when it is
made, and what a line cannot take when the line is scheduled (`schedules.schedule_of`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields

from zeroskip.einsum_spec.spec import Spec
from zeroskip.errors import KernelError
from zeroskip.native.order import Order, Orders, orders_by_result
from zeroskip.native.settings import MAX_THREADS
from zeroskip.records import dataclass

KINDS = ("plain", "tiled", "lanes", "dots")
MOST_ROWS, MOST_VECTORS, WIDTHS = 4, 16, (16, 32, 64)

OF_TILES = ("rows", "vectors", "block", "unrolled", "bitmask")
"""Fields of a tiled schedule; of these, ``block`` is one of lanes, too."""


def _expect(of: Schedule, name: str, allowed: Collection[object], expected: str) -> None:
    value = getattr(of, name)
    if value is None:
        return
    kind = {"kind": str, "unrolled": bool, "bitmask": bool}.get(name, int)
    if type(value) is not kind or value not in allowed:
        raise _unusable(of, name, expected)


def _unusable(of: Schedule, name: str, expected: str) -> KernelError:
    return KernelError(
        f"schedule: {name}={getattr(of, name)!r}: expected {expected}\n"
        "Leave it out to have it chosen."
    )


def _contradiction(of: Schedule, name: str, whose: str) -> KernelError:
    other = f"kind={of.kind!r}" if of.kind is not None else of.because
    return KernelError(
        f"schedule: {name}={getattr(of, name)!r} is {whose}, but {other}\nLeave one of them out."
    )


@dataclass(frozen=True, slots=True, repr=False)
class Schedule:
    """How a line runs: which loops, how they are cut up, and in what vectors.

    Every field may be left out (None): it is then chosen as without a schedule.  `explain` prints
    the schedule that was taken with every field filled in, to be given back or changed.

    Parameters
    ----------
    kind : ``"plain"``, ``"tiled"``, ``"lanes"`` or ``"dots"``, optional
        The plain walk over what operands store; one operand's entries against register tiles of
        the other; the plain walk with a rank of the result in vectors, or with vectors that share
        the entries of a fiber.  Where it is left out,
        ``rows``, ``vectors`` or ``block`` ask for ``"tiled"``, and ``order`` for ``"plain"``.
    order : str, optional
        Every rank of the line, the outermost loop first: ``"m,k,n"``; of a plain walk.
    rows : int, optional
        Rows of the result whose sums a tile holds at once, 1 to 4.
    vectors : int, optional
        Most vectors of a row of a tile, 1 to 16.
    block : int, optional
        Summed places that are gone through before the next row is taken up; 0 for all of them.  Of
        tiles, and with ``kind="lanes"`` of fibers that are followed in blocks.
    unrolled : bool, optional
        Whether the entries of a bound operand become machine code, an instruction each; ``rows``
        and ``vectors`` are then given.
    bitmask : bool, optional
        Whether the entries of a bound operand lie by columns of as many rows as a vector has lanes,
        as a bitmask; ``rows`` and ``vectors`` are then given.
    vector_bytes : int, optional
        Width of a vector: 16, 32 or 64; not of a plain walk.
    threads : int, optional
        Most threads of a call, 1 to 1024, and no more than ``zs.config`` allows; left out, as many
        as the call has work for.

    Raises
    ------
    KernelError
        Where a field is none of these, or fields contradict each other.

    Examples
    --------
    >>> Schedule(kind="tiled", rows=2, block=128)
    Schedule(kind='tiled', rows=2, block=128)
    >>> Schedule(kind="plain", rows=2)
    Traceback (most recent call last):
    ...
    zeroskip.errors.KernelError: schedule: rows=2 is of a tiled schedule, but kind='plain'
    Leave one of them out.
    """

    kind: str | None = None
    order: str | None = None
    rows: int | None = None
    vectors: int | None = None
    block: int | None = None
    unrolled: bool | None = None
    vector_bytes: int | None = None
    threads: int | None = None
    bitmask: bool | None = None

    def __post_init__(self) -> None:
        _expect(self, "kind", KINDS, '"plain", "tiled", "lanes" or "dots"')
        if self.order is not None and not (isinstance(self.order, str) and self.order):
            raise _unusable(self, "order", 'a text such as "i,j,k"')
        _expect(self, "rows", range(1, MOST_ROWS + 1), f"a whole number from 1 to {MOST_ROWS}")
        most = MOST_VECTORS
        _expect(self, "vectors", range(1, most + 1), f"a whole number from 1 to {most}")
        _expect(self, "block", range(2**31), "a whole number of places, 0 for all")
        _expect(self, "unrolled", (True, False), "True or False")
        _expect(self, "bitmask", (True, False), "True or False")
        for name in ("rows", "vectors") if self.unrolled else ():
            if getattr(self, name) is not None:
                raise _contradiction(self, name, "of tiles that are not unrolled")
        for name in ("rows", "vectors", "unrolled") if self.bitmask else ():
            if getattr(self, name):
                raise _contradiction(self, name, "of tiles that are no bitmask")
        _expect(self, "vector_bytes", WIDTHS, "16, 32 or 64 bytes")
        most = MAX_THREADS
        _expect(self, "threads", range(1, most + 1), f"a whole number from 1 to {most}")
        for kind, names in (
            ("tiled", OF_TILES),
            ("plain", ("order",)),
        ):
            for name in names:
                of_lanes = name == "block"
                if getattr(self, name) is None or self.wanted == kind:
                    continue
                if not (of_lanes and self.wanted == "lanes"):
                    whose = "of tiles and lanes" if of_lanes else f"of a {kind} schedule"
                    raise _contradiction(self, name, whose)
        if self.vector_bytes is not None and self.wanted == "plain":
            raise _contradiction(self, "vector_bytes", "of tiles, lanes and dots")

    @property
    def wanted(self) -> str | None:
        """The kind that is asked for, by its name or by a field that only one has."""
        if self.kind is not None:
            return self.kind
        if any(getattr(self, name) is not None for name in OF_TILES):
            return "tiled"
        return "plain" if self.order else None

    @property
    def because(self) -> str:
        """The field that asks for the kind, as written."""
        name = next((n for n in ("kind", *OF_TILES, "order") if getattr(self, n) is not None), "")
        return f"{name}={getattr(self, name)!r}" if name else ""

    def __repr__(self) -> str:
        given = ((f.name, getattr(self, f.name)) for f in fields(self))
        return f"Schedule({', '.join(f'{n}={x!r}' for n, x in given if x is not None)})"


OPEN = Schedule()
"""Nothing is fixed."""

Schedules = Schedule | Mapping[str, Schedule] | None


def fixed_by_result(
    spec: Spec, order: Orders, schedule: Schedules
) -> tuple[dict[str, Order], dict[str, Schedule]]:
    """``order=`` and ``schedule=`` as result -> ranks, outermost first, and what is fixed: one
    alone is that of the last line.

    Raises KernelError for a name that is no result, for what is no `Schedule`, and where two orders
    of a line differ.
    """
    orders = orders_by_result(spec, order)
    if schedule is None:
        return orders, {}
    given = schedule if isinstance(schedule, Mapping) else {spec.results[-1]: schedule}
    for name, fixed in given.items():
        if name not in spec.results:
            raise KernelError(
                f"schedule names {name!r}, which no line computes\n"
                f"Results: {', '.join(spec.results)}."
            )
        if not isinstance(fixed, Schedule):
            raise KernelError(
                f"schedule: expected a zeroskip.Schedule, found {fixed!r}\n"
                'Pass zeroskip.Schedule(kind="tiled"), or a mapping of them by result.'
            )
        if name in orders and fixed.wanted in ("tiled", "lanes", "dots"):
            raise KernelError(
                f'order="{",".join(orders[name])}" is of a plain schedule, but '
                f"schedule={fixed!r}\nLeave one of them out."
            )
        if not fixed.order:
            continue
        ((_, own),) = orders_by_result(spec, {name: fixed.order}).items()
        if orders.setdefault(name, own) != own:
            raise KernelError(
                f'order="{",".join(orders[name])}" and schedule={fixed!r} differ in the order of '
                f"the loops of {name}\nGive one of them."
            )
    return orders, dict(given)
