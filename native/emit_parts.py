"""C of loops that the parts of a call share, and of what lies between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from zeroskip.native.cwriter import CWriter


@contextmanager
def counted(
    out: CWriter,
    var: str,
    lo: str,
    hi: str,
    *,
    par: bool = False,
    around: bool = False,
    by: str = "",
) -> Iterator[None]:
    """``for`` over [lo, hi); where it is ``par``, over the share of this part.

    by : array of positions of entries, by which it is cut; see `Loop`.
    around : whether its body is one more such loop, which takes what this one leaves.
    """
    if not par:
        with out.block(f"for (int64_t {var} = {lo}; {var} < {hi}; {var}++)"):
            yield
        return
    part, parts = out.part
    if not around:
        head = f"ZS_SHARED_BY({by}, " if by else "ZS_SHARED("
        with out.block(f"{head}{var}, {part}, {parts}, {lo}, {hi})"):
            yield
        return
    share = out.local(f"{var}_share")
    with out.scope():
        out.line(f"const zs_share {share} = zs_divide({part}, {parts}, {lo}, {hi});")
        out.part = f"{share}.part", f"{share}.parts"
        with out.block(f"for (int64_t {var} = {share}.lo; {var} < {share}.hi; {var}++)"):
            yield
        out.part = part, parts
