"""Generated formats of several levels, and designs that have them."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st
from judged import Drawn

from zeroskip.errors import ArchError, FormatError, TensorError
from zeroskip.hwmodel import Charge

TOLD = ["C(11)", "C(12)", "B"]
FILLING = ["R(1)", "R(2)", "H(2:3)", "H(3:4)", "U"]


@st.composite
def trees(draw: st.DrawFn, ndim: int, *, filling: bool = False) -> str:
    """A format of ranks: U, then C and B in any order, of which the last tells what is stored.

    filling : axes may be split, and levels may hold more than what is stored.
    """
    parts = [str(axis) for axis in range(ndim)]
    for axis in range(ndim):
        if filling and not draw(st.integers(0, 2)):
            size = draw(st.integers(2, 3))
            parts[parts.index(str(axis))] = f"{axis}/{size}"
            parts.append(f"{axis}%{size}")
    axes = draw(st.permutations(parts))
    cuts = sorted(draw(st.sets(st.integers(1, len(axes) - 1)))) if len(axes) > 1 else []
    groups = [axes[i:j] for i, j in zip([0, *cuts], [*cuts, len(axes)], strict=True)]
    full = draw(st.integers(0, len(groups) - 1))
    found = []
    for number, group in enumerate(groups):
        every = TOLD + FILLING if filling else TOLD
        level = "U" if number < full else draw(st.sampled_from(every))
        found.append(f"{'*'.join(map(str, group))}:{level}")
    return " ".join(found)


def tells(text: str) -> bool:
    """Whether a format tells what is stored."""
    return any(f":{letter}" in text for letter in "CBRH")


def with_trees(data: st.DataObject, made: Drawn, *, filling: bool = False) -> Drawn:
    """The same in formats of several levels, with pointers in some levels.

    filling : of what no tile goes by also such as hold more than what is stored.
    """
    leads = {(tensor, at) for _, at, _, by in made.design.tiles for tensor in by}
    for tensor, by in made.formats.items():
        for level, text in by.items():
            if text != "U":
                more = filling and (tensor, level) not in leads
                drawn = trees(made.case.arrays[tensor].ndim, filling=more)
                by[level] = data.draw(drawn.filter(tells) if tensor in made.design.skip else drawn)
    made.described["levels"] = {
        name: entry | ({"pointer_bits": 14} if data.draw(st.booleans()) else {})
        for name, entry in made.described["levels"].items()
    }
    return made


def charged_or_refused(made: Drawn) -> Charge:
    """A few things of the mapping are refused."""
    try:
        return made.charge()
    except (FormatError, TensorError) as error:  # H of what is none
        if "a group of" not in str(error) and "entries in group" not in str(error):
            raise
        assume(False)
        raise
    except ArchError as error:
        known = (
            "of what an index tensor names, run lengths",
            "nothing transposes it on chip",
            "are not counted by epoch",
            "only what is new comes, encoded by itself",
            "of no tile there what bridges a gap",
        )
        if not any(text in str(error) for text in known):
            raise
        assume(False)
        raise
