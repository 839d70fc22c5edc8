"""What a call decides by itself, in words: the format of a result under ``format="auto"``, and the
order of loops."""

from __future__ import annotations

from collections.abc import Mapping

from zeroskip.formats.auto import smallest_format, turning_points
from zeroskip.formats.format import Format
from zeroskip.native import choice
from zeroskip.native.arguments import Operand
from zeroskip.native.estimate import expected_entries
from zeroskip.native.lines import Line, estimates_of
from zeroskip.native.order import Order


def expected_format(line: Line) -> Format:
    """What ``"auto"`` comes to for as many entries as a result is expected to have."""
    return smallest_format(line.shape, expected_entries(line), line.result)


def why_auto(line: Line, sized: bool = True) -> str:
    """How the format of a result is chosen, and which one is expected.

    sized : whether the extents are those of operands, and not guessed.
    """
    if not sized:
        return f" {line.name} is stored in the fewest bits once its entries are counted."
    points = turning_points(line.shape, line.result)
    if len(points) == 1:
        return f" {line.name} is {points[0][0].label}: nothing takes fewer bits, whatever it holds."
    parts = [f"{format.label} up to {most:,} entries" for format, most in points[:-1] if most]
    expected = expected_entries(line)
    return (
        f" {line.name} is stored in the fewest bits once its entries are counted: "
        f"{', '.join(parts)}, {points[-1][0].label} beyond. About {expected:,} are expected, were "
        f"operands independent: {expected_format(line).label}."
    )


def why_order(
    line: Line, operands: Mapping[str, Operand], given: Order, *, sparse: bool = False
) -> str:
    """The order of the loops of a plain walk, with its cost, and that of the best of the others.

    operands : as they came, before any is converted.
    given : the order that the caller has fixed; empty where the engine chooses.
    sparse : whether the result is wanted in a format.
    """
    chooses = choice.candidates({name: operands[name] for name in line.used})
    order = given or (None if chooses else ())
    found = estimates_of(line.form, operands, line.extents, blocks=not sparse, order=order)
    if found is None or len(line.form.ranks) < 2:
        return ""
    taken, other = found
    who = "as given" if given else "the cheapest by estimate" if taken.order else "as they lie"
    text = f" Loops go {_in_words(taken)}, {who}"
    if other is None:
        return f"{text}."
    return f"{text}; the best of the others is {_in_words(other)}, by order=."


def _in_words(estimate: choice.Estimate) -> str:
    anew = f" and {', '.join(estimate.converted)} stored anew" if estimate.converted else ""
    return f"{','.join(estimate.walked)} (about {_rounded(estimate.cost)} visits{anew})"


def _rounded(cost: float) -> str:
    """Two digits of a cost: it is an estimate."""
    return f"{float(f'{cost:.1e}'):,.0f}"
