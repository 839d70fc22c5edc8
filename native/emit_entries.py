"""C of sums that several entries of a fiber have at once, each over the same range.

    for j, pM_j in M.j[i]:             some entries at a time, each with a vector of sums:
      acc = 0                            what is read for all is read once, and the lanes of
      for k in [0, K):                   all of them are added up together
        acc += A[i,k] * B[j,k] * M[pM_j]
      S[i,j] = acc

Each sum is the same to the bit whichever entries come together.
"""

from __future__ import annotations

from collections.abc import Callable

from zeroskip.native.cexpr import C_TYPES, integer, itemsize, mentions
from zeroskip.native.cwriter import CWriter
from zeroskip.native.domains import Range, Stored
from zeroskip.native.dotted import dotted
from zeroskip.native.emit_dots import product, unrolled
from zeroskip.native.integers import ONE, Name, add
from zeroskip.native.nest import Acc, Loop, Poll, Reduce
from zeroskip.native.values import Elem, Held, Number, Prod

AT_ONCE = 4
"""Entries: as many sums as a multiply-add takes cycles, and as `zs_lane_sums4` adds up."""

WHOLE = ("float32_64",)
"""Arithmetic and width of vectors of which as many as they have lanes are added up at once, by
`zs_lane_sums`: each lane of one vector is then the sum of an entry."""


def has_sums(node: Loop, out: CWriter) -> bool:
    """Whether all that a walk of coordinates does is to sum over a range, for each entry."""
    over = node.over
    if not isinstance(over, Stored) or over.level.letter != "C" or over.window is not None:
        return False
    match [stmt for stmt in node.body if not isinstance(stmt, Poll)]:
        case [Acc(name=name, init=Number(0), body=(Loop(kind="dot", over=Range()) as dot,)) as acc]:
            pass
        case _:
            return False
    assert isinstance(dot.over, Range)
    ends = (dot.over.lo, dot.over.hi)
    if any(mentions(end, one) for end in ends for one in (node.var, over.pos)):
        return False
    (work,) = dot.body
    own = isinstance(work, Reduce) and work.place == Held(name)
    return own and acc.members == 1 and dotted(dot) is not None


def sums(node: Loop, over: Stored, out: CWriter) -> None:
    """Entries together, and then those that are left, one after the other."""
    pos, _ = over.level.arrays
    p, end = out.local(f"{over.pos}_at"), out.local(f"{over.pos}_end")
    with out.scope():
        out.line(f"int64_t {p} = {pos}[{integer(over.parent)}];")
        out.line(f"const int64_t {end} = {pos}[{integer(add(over.parent, ONE))}];")
        lanes = out.kernel.vector_bytes // itemsize(out.kernel.dtype)
        for count in (*((lanes,) if _kind(out) in WHOLE else ()), AT_ONCE):
            with out.block(f"for (; {p} + {count} <= {end}; {p} += {count})"):
                _together(node, over, p, count, out)
        with out.block(f"for (; {p} < {end}; {p}++)"):
            _together(node, over, p, 1, out)


def _kind(out: CWriter) -> str:
    return f"{out.kernel.dtype}_{out.kernel.vector_bytes}"


def _together(node: Loop, over: Stored, p: str, count: int, out: CWriter) -> None:
    """The sums of ``count`` entries from position ``p`` on."""
    *before, acc = node.body
    assert isinstance(acc, Acc)
    (dot,) = acc.body
    assert isinstance(dot, Loop)
    assert isinstance(dot.over, Range)
    factors = dotted(dot)
    assert factors is not None
    (work,) = dot.body
    assert isinstance(work, Reduce)
    _, crd = over.level.arrays
    x, hi = dot.var, integer(dot.over.hi)
    e, vectors, each = map(out.local, ("e", "sums", "sum_of"))
    kind = _kind(out)
    ctype = C_TYPES[acc.dtype]

    def entries(write: Callable[[], None]) -> None:
        with (
            unrolled(e, count, out),
            out.constant(over.pos, f"{p} + {e}"),
            out.constant(node.var, f"{crd}[{over.pos}]"),
        ):
            write()

    out.body(tuple(before))
    out.line(f"{ctype} {each}[{count}];")
    out.line(f"zs_vec {vectors}[{count}] = {{}};")
    out.line(f"int64_t {x} = {integer(dot.over.lo)};")
    with out.block(f"for (; {x} + LANES <= {hi}; {x} += LANES)"):
        entries(lambda: out.line(f"{vectors}[{e}] += {product(dot, factors, '', out)};"))
        if out.count_work and work.work:
            out.line(f"work += {count * work.work} * LANES;")
    if count > AT_ONCE:
        out.line(f"*(zs_vec *){each} = zs_lane_sums_{kind}({vectors});")
    elif count == AT_ONCE:
        out.line(f"zs_lane_sums{AT_ONCE}_{kind}({each}, {vectors});")
    else:
        out.line(f"{each}[0] = zs_lane_sum_{kind}({vectors}[0]);")

    def rest() -> None:
        out.line(f"{ctype} {acc.name} = {each}[{e}];")
        out.body(dot.body)
        out.line(f"{each}[{e}] = {acc.name};")

    with out.block(f"for (; {x} < {hi}; {x}++)"):
        entries(rest)

    def flushed() -> None:
        out.line(f"const {ctype} {acc.name} = {each}[{e}];")
        out.body(acc.flush)

    whole = (
        _stored_whole(acc, over, p, f"*(const zs_vec *){each}", out) if count > AT_ONCE else None
    )
    if whole is None:
        entries(flushed)
    else:
        out.line(whole)
        once = sum(one.work for one in acc.flush if isinstance(one, Reduce))
        if out.count_work and once:
            out.line(f"work += {once} * LANES;")


def _stored_whole(acc: Acc, over: Stored, p: str, sums: str, out: CWriter) -> str | None:
    """The sums of as many entries as a vector has lanes stored where these have theirs, from ``p``
    on; None where more is done with each."""
    match acc.flush:
        case (Reduce(place=Elem(array, index), op="=", value=value),) if index == Name(over.pos):
            pass
        case _:
            return None
    parts = value.args if isinstance(value, Prod) else (value,)
    along = [x for x in parts if isinstance(x, Elem) and x.index == Name(over.pos)]
    others = [x for x in parts if x not in along and x != Held(acc.name)]
    dtype = out.kernel.dtype
    if any(out.values.dtypes[name] != dtype for name in (array, *(x.array for x in along))):
        return None
    if others or parts.count(Held(acc.name)) != 1:
        return None
    factors = "".join(f" * *(const zs_vec *)({x.array} + {p})" for x in along)
    return f"*(zs_vec *)({array} + {p}) = {sums}{factors};"
