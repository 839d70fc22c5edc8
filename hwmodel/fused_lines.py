"""Intermediates of fused lines off chip, in whole lines of a memory: no compressed ones.

Where entries and pointers of a turn end, in the middle of a line, those of the next turn go on; but
what is written in a turn is read in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from zeroskip.errors import ArchError
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Uncompressed
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.fused import Block, Plan
from zeroskip.hwmodel.stored import format_at, result_format


def check_lines_of_turns(block: Block, plans: Mapping[str, Plan], arch: Arch) -> None:
    """Refuse lines of a memory that hold what several turns of a block write.

    Raises
    ------
    ArchError
        Naming the block, the intermediate, and its format.
    """
    off_chip = arch.off_chip
    if off_chip.lines is None:
        return
    if arch.overlap is not None:
        raise ArchError(
            f"fuse {block}: {arch.name} has overlap, and lines of {off_chip.name}: in which epoch "
            "of a turn a line comes, that other turns read too, is not listed as yet\n"
            f"Leave out overlap, or levels.{off_chip.name}.lines, or run them one after the other, "
            "without fuse."
        )
    for number, name in enumerate(block.lines):
        layer, schedule = plans[name]
        wide = [loop.name for loop in schedule.turned if not loop.single]
        if not wide or schedule.stays[name][0].level != off_chip.name:
            continue
        formats = [result_format(arch.format(name, "O", off_chip.name), layer)]
        for reader in block.lines[number + 1 :]:
            read, mapped = plans[reader]
            if name in read.tensors:
                formats.append(format_at(read, arch, mapped, name, off_chip.name))
        if len(formats) > 1:
            _check_plain(f"fuse {block}", name, formats, off_chip.name)


def _check_plain(where: str, name: str, formats: list[Format], level: str) -> None:
    for bound in formats:
        if not all(isinstance(one, Uncompressed) for one in bound.levels):
            raise ArchError(
                f"{where}: {name} is {bound.label} in {level}, which has lines, and a line of its "
                "entries or pointers, read in one turn, is full in a later one\n"
                f"Give {name}, as a result (role O) and as it is read, the format U at {level}, or "
                "let it stay on chip: keep."
            )
