"""What a call decides by itself, in words: the format of a result under ``format="auto"``."""

from __future__ import annotations

from zeroskip.formats.auto import smallest_format, turning_points
from zeroskip.formats.format import Format
from zeroskip.native.estimate import expected_entries
from zeroskip.native.lines import Line


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
