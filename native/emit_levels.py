"""C that walks the stored coordinates of each kind of level."""

from __future__ import annotations

from zeroskip.native.cexpr import integer
from zeroskip.native.cwriter import CWriter
from zeroskip.native.domains import Merge, Stored
from zeroskip.native.integers import ONE, Name, add
from zeroskip.native.nest import Locate, Loop
from zeroskip.native.parallel import nodes

AHEAD = 8
"""Entries between one that is walked and one whose fiber is fetched: the time that memory takes."""


def _walk_compressed(node: Loop, over: Stored, out: CWriter) -> None:
    pos, crd = over.level.arrays
    p, parent = over.pos, over.parent
    begin, end = f"{pos}[{integer(parent)}]", f"{pos}[{integer(add(parent, ONE))}]"
    if over.between is not None:
        array, *ends = over.between.array, over.between.first, over.between.end
        begin, end = (f"{array}[{integer(at)}]" for at in ends)
    elif over.window is not None:
        kind = out.values.dtypes[crd]
        begin = f"zs_lower_bound_{kind}({crd}, {begin}, {end}, {integer(over.window[0])})"
    loop = out.block(f"for (int64_t {p} = {begin}; {p} < {end}; {p}++)")
    with loop, out.constant(node.var, f"{crd}[{p}]"):
        if over.window is not None and over.between is None:
            with out.block(f"if ({node.var} >= {integer(over.window[1])})"):
                out.line("break;")
        if over.ahead:
            _fetch_ahead(over, out)
        out.body(node.body)


def _fetch_ahead(over: Stored, out: CWriter) -> None:
    """Have the memory bring the fibers of later entries: first where they are, then their heads."""
    assert over.stored is not None
    _, crd = over.level.arrays
    starts, *arrays = over.ahead
    at = out.local("coming")
    with out.block(f"if ({over.pos} + {2 * AHEAD} < {integer(over.stored)})"):
        out.line(f"__builtin_prefetch({starts} + {crd}[{over.pos} + {2 * AHEAD}]);")
        out.line(f"const int64_t {at} = {starts}[{crd}[{over.pos} + {AHEAD}]];")
        for array in arrays:
            out.line(f"__builtin_prefetch({array} + {at});")


def _met(node: Loop, over: Stored) -> tuple[Locate, ...]:
    """Bitmasks in which nothing but the coordinate of a walk is looked up, one in the other."""
    found: list[Locate] = []
    walked = {Name(node.var), Name(over.pos)}
    body = node.body
    while over.window is None:
        match body:
            case (Locate() as one,) if one.coordinate == Name(node.var):
                same = one.level.letter == "B" and one.level.extent == over.level.extent
                if not same or walked & set(nodes((one.parent,))):
                    break
            case _:
                break
        found.append(one)
        walked.add(Name(one.pos))
        body = one.body
    return tuple(found)


def _walk_bitmasks(node: Loop, over: Stored, met: tuple[Locate, ...], out: CWriter) -> None:
    """The coordinates that all of several bitmasks store, and where each stands in them.

    Where nothing is followed below them, those of a block of words that have few each are listed
    first, since no branch that depends on how many can be foreseen.  Few words are not counted.
    """
    per_fiber = f"zs_bit_words({integer(over.level.extent)})"
    body = met[-1].body
    fibers = []
    for level, parent, p in (
        (over.level, over.parent, over.pos),
        *((one.level, one.parent, one.pos) for one in met),
    ):
        base = integer(parent, 2)
        words, rank = level.arrays
        fibers.append((p, words, rank, "" if base == "0" else f" + {base} * {per_fiber}"))
    if any(isinstance(below, Loop) for below in nodes(body)):
        _follow_words(node, fibers, "0", per_fiber, body, out)
        return
    w, block, end = (out.local(f"{what}_{node.var}") for what in ("w", "block", "block_end"))
    listed, n, i = (out.local(f"{what}_{node.var}") for what in ("met", "found", "each"))
    each_word = f"for (int64_t {w} = {block}; {w} < {end}; {w}++)"
    both = " & ".join(f"{words}[{w}{start}]" for _, words, _, start in fibers)
    blocks = f"int64_t {block} = 0; {block} < {per_fiber}; {block} += ZS_MET_WORDS"
    with out.block(f"for ({blocks})"):
        out.line(f"const int64_t {end} = zs_min({per_fiber}, {block} + ZS_MET_WORDS);")
        out.line(f"int64_t {n} = 0;")
        with out.block(f"if ({end} - {block} >= ZS_MET_LEAST)"):
            with out.block(each_word):
                out.line(f"{n} += zs_popcount({both});")
            with out.block(f"if ({n} == 0)"):
                out.line("continue;")
        with out.block(f"if (!zs_worth_listing({n}, {end} - {block}))"):
            _follow_words(node, fibers, block, end, body, out)
            out.line("continue;")
        out.line(f"uint16_t {listed}[ZS_MET];")
        out.line(f"{n} = 0;")
        with out.block(each_word):
            out.line(f"{n} = zs_list_met({listed}, {n}, {both}, ({w} - {block}) * 64);")
        loop = out.block(f"for (int64_t {i} = 0; {i} < {n}; {i}++)")
        with loop, out.constant(node.var, f"{block} * 64 + {listed}[{i}]"):
            for p, words, rank, start in fibers:
                where = f"{words}{start}, {rank}{start}, {node.var}"
                out.line(f"const int64_t {p} = zs_bits_to({where});")
            out.body(body)


def _follow_words(
    node: Loop,
    fibers: list[tuple[str, str, str, str]],
    first: str,
    end: str,
    body: tuple[object, ...],
    out: CWriter,
) -> None:
    """What all of several bitmasks store in words [first, end), a word after the other.

    fibers : of each the position's name, its arrays, and where the fiber's words begin.
    """
    w, bits = out.local(f"w_{node.var}"), out.local(f"bits_{node.var}")
    with out.block(f"for (int64_t {w} = {first}; {w} < {end}; {w}++)"):
        held = []
        for p, words, rank, start in fibers:
            word = out.local(f"word_{p}")
            out.line(f"const uint64_t {word} = {words}[{w}{start}];")
            held.append((p, word, f"{rank}[{w}{start}]"))
        out.line(f"uint64_t {bits} = {' & '.join(word for _, word, _ in held)};")
        with out.block(f"for (; {bits} != 0; {bits} = zs_drop_lowest({bits}))"):
            for p, word, before in held:
                out.line(f"const int64_t {p} = {before} + zs_bits_before({word}, {bits});")
            with out.constant(node.var, f"{w} * 64 + zs_ctz({bits})"):
                out.body(body)


def _walk_bitmask(node: Loop, over: Stored, out: CWriter) -> None:
    met = _met(node, over)
    if met:
        _walk_bitmasks(node, over, met, out)
        return
    words, rank = over.level.arrays
    p, w, bits = over.pos, out.local(f"w_{node.var}"), out.local(f"bits_{node.var}")
    follows = out.local(f"{p}_next")
    per_fiber = f"zs_bit_words({integer(over.level.extent)})"
    base = integer(over.parent, 2)
    first, last = "0", per_fiber
    if over.window is not None:
        lo, hi = integer(over.window[0], 2), integer(over.window[1])
        first, last = f"{lo} / 64", f"zs_bit_words({hi})"
    with out.block(f"for (int64_t {w} = {first}; {w} < {last}; {w}++)"):
        at = f"{base} * {per_fiber} + {w}" if base != "0" else w
        out.line(f"uint64_t {bits} = {words}[{at}];")
        out.line(f"int64_t {follows} = {rank}[{at}];")
        with out.block(f"for (; {bits} != 0; {bits} = zs_drop_lowest({bits}))"):
            out.line(f"const int64_t {p} = {follows}++;")
            with out.constant(node.var, f"{w} * 64 + zs_ctz({bits})"):
                if over.window is not None:
                    v = node.var
                    lo, hi = integer(over.window[0]), integer(over.window[1])
                    with out.block(f"if ({v} < {lo} || {v} >= {hi})"):
                        out.line("continue;")
                out.body(node.body)


def _walk_runs(node: Loop, over: Stored, out: CWriter) -> None:
    pos, run = over.level.arrays
    p, parent, v = over.pos, over.parent, node.var
    follows = out.local(f"{v}_next")
    with out.scope():
        out.line(f"int64_t {follows} = 0;")
        head = f"int64_t {p} = {pos}[{integer(parent)}]; {p} < {pos}[{integer(add(parent, ONE))}]"
        with out.block(f"for ({head}; {p}++)"):
            out.line(f"const int64_t {v} = {follows} + {run}[{p}];")
            out.line(f"{follows} = {v} + 1;")
            if over.window is not None:
                with out.block(f"if ({v} < {integer(over.window[0])})"):
                    out.line("continue;")
                with out.block(f"if ({v} >= {integer(over.window[1])})"):
                    out.line("break;")
            out.body(node.body)


def _walk_groups(node: Loop, over: Stored, out: CWriter) -> None:
    (offset,) = over.level.arrays
    most, size = over.level.group
    p, v = over.pos, node.var
    first, end = out.local(f"{p}_first"), out.local(f"{p}_end")
    with out.scope():
        each = f"zs_group_entries({integer(over.level.extent)}, {most}, {size})"
        parent = integer(over.parent, 2)
        out.line(f"const int64_t {first} = {'0' if parent == '0' else f'{parent} * {each}'};")
        begin, last = first, each
        if over.window is not None:  # the groups that it touches; pads have no order in theirs
            lo, hi = integer(over.window[0]), integer(over.window[1])
            begin = f"{first} + zs_max({lo}, 0) / {size} * {most}"
            last = f"zs_min({each}, zs_ceil_div({hi}, {size}) * {most})"
        out.line(f"const int64_t {end} = {first} + {last};")
        loop = out.block(f"for (int64_t {p} = {begin}; {p} < {end}; {p}++)")
        with loop, out.constant(v, f"({p} - {first}) / {most} * {size} + {offset}[{p}]"):
            if over.window is not None:
                lo, hi = integer(over.window[0]), integer(over.window[1])
                with out.block(f"if ({v} < {lo} || {v} >= {hi})"):
                    out.line("continue;")
            out.body(node.body)


def _walk_singleton(node: Loop, over: Stored, out: CWriter) -> None:
    (crd,) = over.level.arrays
    position = out.constant(over.pos, integer(over.parent))
    with out.scope(), position, out.constant(node.var, f"{crd}[{over.pos}]"):
        out.body(node.body)


WALKS = {
    "C": _walk_compressed,
    "B": _walk_bitmask,
    "R": _walk_runs,
    "S": _walk_singleton,
    "H": _walk_groups,
}


def merge(node: Loop, over: Merge, out: CWriter) -> None:
    """Two fingers: advance the one at the smaller coordinate until either list ends."""
    fingers = (over.left, over.right)
    left, right = (side.pos for side in fingers)
    least = out.local(f"{node.var}_at")
    at = {p: out.local(f"{p}_at") for p in (left, right)}
    end = {p: out.local(f"{p}_end") for p in (left, right)}
    with out.scope():
        for side in fingers:
            pos, _ = side.level.arrays
            out.line(f"int64_t {side.pos} = {pos}[{integer(side.parent)}];")
            out.line(f"const int64_t {end[side.pos]} = {pos}[{integer(add(side.parent, ONE))}];")
        with out.block(f"while ({left} < {end[left]} && {right} < {end[right]})"):
            for side in fingers:
                out.line(f"const int64_t {at[side.pos]} = {side.level.arrays[1]}[{side.pos}];")
            match = out.block(f"if ({at[left]} == {at[right]})")
            with match, out.constant(node.var, at[left]):
                out.body(node.body)
            out.line(f"const int64_t {least} = zs_min({at[left]}, {at[right]});")
            for p in (left, right):
                out.line(f"{p} += {at[p]} == {least};")
