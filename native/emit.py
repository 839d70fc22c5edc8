"""Loop nest → C that a person would write."""

from __future__ import annotations

import re

from zeroskip.formats.values import HALVES
from zeroskip.native.cexpr import C_TYPES, ValueContext
from zeroskip.native.cwriter import CWriter
from zeroskip.native.emit_columns import defined
from zeroskip.native.emit_stmts import write
from zeroskip.native.names import SYMBOL
from zeroskip.native.nest import Kernel
from zeroskip.native.nest_tiles import Stage, Unrolled
from zeroskip.native.parallel import nodes, with_barriers
from zeroskip.native.polling import with_polls

PARTS = re.compile(r"\bzs_(?:(?:load|store|relu)_(?:part|within)|early)\(")
EXTREMES = re.compile(r"\bzs_(?:max|min)_lanes\(")
LANEWISE = re.compile(r"\bzs_(?:relu|abs|truth)_lanes\(")
POINTWISE = re.compile(r"\bzs_(?:max|min|relu|abs|sign|sigmoid|gelu|swish)_[a-z]+\d+\(")


def emit(kernel: Kernel, *, count_work: bool = False) -> str:
    """The whole C file of one kernel: header, split-off tiles, prologue, loops.

    count_work : also add up executed multiplications in ``args->work``.
    """
    ctx = ValueContext(
        kernel.dtype,
        {b.name: b.dtype for b in kernel.buffers},
        {name: name for name, _ in kernel.parameters},
    )
    out = CWriter(kernel, ctx, write, count_work)
    out.body(with_polls(with_barriers(kernel.body)))
    text = ['#include "zs_kernel.h"']
    lines = (*out.lines, *out.functions)
    extremes = any(EXTREMES.search(line) for line in lines)
    if any(POINTWISE.search(line) for line in lines):
        text.append('#include "zs_pointwise.h"')
    if any(b.dtype in HALVES for b in kernel.buffers):
        text.append('#include "zs_half.h"')
    if any("zs_lane_sum_" in line or "zs_widened_" in line for line in out.lines):
        text.append('#include "zs_dots.h"')
    if extremes:
        text.append('#include "zs_extremes.h"')
    lanewise = any(LANEWISE.search(line) for line in lines)
    if lanewise:
        text.append('#include "zs_lanewise.h"')
    if any("zs_narrow_sum_" in line for line in out.lines):
        text.append('#include "zs_narrow.h"')
    if any("zs_sort_row(" in line for line in out.lines):
        text.append('#include "zs_rows.h"')
    if any("zs_sort_keys(" in line for line in out.lines):
        text.append('#include "zs_lists.h"')
    unrolled = any("zs_run_unrolled(" in line for line in out.lines)
    by_columns = any("zs_add_columns(" in line for line in out.lines)
    if any("zs_word(" in line for line in lines):
        text.append('#include "zs_places.h"')
    parts = unrolled or any(PARTS.search(line) for line in lines)
    if parts:
        text.append('#include "zs_parts.h"')
    if unrolled:
        text.append('#include "zs_unrolled.h"')
    turned = any("zs_turn_rows(" in line for line in lines)
    if turned:
        text.append('#include "zs_turned.h"')
    joined = next((n for n in nodes(kernel.body) if isinstance(n, Unrolled) and n.joined > 1), None)
    if joined is not None:
        text.append('#include "zs_joined.h"')
    if by_columns:
        text.append('#include "zs_columns.h"')
    text.append("")
    if kernel.vector_bytes:
        ctype = C_TYPES[kernel.dtype]
        text += [
            f"/* {kernel.vector_bytes} bytes of {ctype} at any element's address */",
            f"typedef {ctype} zs_vec __attribute__((vector_size({kernel.vector_bytes}), "
            f"aligned(sizeof({ctype})), may_alias));",
            f"enum {{ LANES = {kernel.vector_bytes} / sizeof({ctype}) }};",
            "",
        ]
    if parts:
        text += [f"ZS_DEFINE_PARTS({C_TYPES[kernel.dtype]})", ""]
    if extremes:
        text += [f"ZS_DEFINE_EXTREMES({kernel.dtype}, {C_TYPES[kernel.dtype]})", ""]
    if lanewise:
        text += [f"ZS_DEFINE_LANEWISE({C_TYPES[kernel.dtype]})", ""]
    if unrolled:
        text += [_runner(kernel, joined), ""]
    if turned:
        text += [f"ZS_DEFINE_TURNED({C_TYPES[kernel.dtype]})", ""]
    if by_columns:
        text += [defined(kernel), ""]
    text += out.functions
    text += ["/*", *(f" * {line}".rstrip() for line in kernel.title), " */"]
    text += [f"int32_t {SYMBOL}(zs_args *args)", "{"]
    text += ["    if (zs_check_version(args) != ZS_OK) {", "        return args->error;", "    }"]
    text += ["    " + line for line in _prologue(kernel, out.lines)]
    if count_work:
        text.append("    int64_t work = 0;")
    text += [f"    {line}" for line in out.first.values()]
    text += ["", *out.lines]
    if count_work:
        text.append("    args->work = work;")
    text += ["    return ZS_OK;", "}", ""]
    return "\n".join(text)


def _runner(kernel: Kernel, joined: Unrolled | None) -> str:
    """What defines zs_run_unrolled() for a kernel; joined : a node of it in which lanes join
    places."""
    if joined is None:
        return f"ZS_DEFINE_UNROLLED({C_TYPES[kernel.dtype]})"
    types = {b.name: C_TYPES[b.dtype] for b in kernel.buffers}
    copies = (n for n in nodes(kernel.body) if isinstance(n, Stage) and n.target == joined.source)
    held, given = types[joined.source], types[next(copies).source].removesuffix("_t")
    return f"ZS_DEFINE_JOINED({given}, {held}, {joined.joined}, {joined.bias})"


def _prologue(kernel: Kernel, lines: list[str]) -> list[str]:
    """Names for the slots of the struct; those that the loops do not read are left out."""
    used = set(re.findall(r"[A-Za-z_]\w*", "\n".join(lines)))
    text = []
    for slot, buffer in enumerate(kernel.buffers):
        if buffer.name in used:
            const = "" if buffer.written else "const "
            text.append(
                f"{const}{C_TYPES[buffer.dtype]} *restrict {buffer.name} = args->buf[{slot}];"
            )
    for slot, name in enumerate(kernel.dims):
        if name in used:
            text.append(f"const int64_t {name} = args->dim[{slot}];")
    slots = {"real": 0, "whole": 0}
    for name, kind in kernel.parameters:
        held = "real" if kind == "real" else "whole"
        if name in used:
            ctype = {"real": "double", "whole": "int64_t", "unsigned": "uint64_t"}[kind]
            text.append(f"const {ctype} {name} = args->{held}[{slots[held]}];")
        slots[held] += 1
    return text
