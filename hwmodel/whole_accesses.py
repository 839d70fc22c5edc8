"""Cycles of an expected charge as Sparseloop rounds: accesses are whole numbers.

A mean of accesses is no whole number, and Sparseloop's are.  Its rules, in its source (Timeloop,
NVlabs/timeloop):

    accesses    of n, those that zeros save are rounded down, so that what is left is rounded up
                (``src/sparse-analysis/storage-optimization-combiner.cpp``: ``n - floor(n*p)``)
    metadata    bits of these accesses, of each tensor at each port; a port moves whole words of
                them, and the rest of a word is cut (``src/model/buffer.cpp``: an integer division)
    cycles      words of all tensors over words a cycle, rounded up (the same file)

A density is the number itself: 327.68 entries of 128 x 128 at .02, where a `Density` is of 328.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor
from typing import Any, get_args

from numpy.typing import NDArray

from zeroskip.errors import ArchError
from zeroskip.hwmodel.bandwidth import bandwidth_cycles_of
from zeroskip.hwmodel.charge import Charge
from zeroskip.hwmodel.costs import compute_cycles_of
from zeroskip.hwmodel.cycle_formulas import check_time
from zeroskip.hwmodel.estimate import Estimate
from zeroskip.hwmodel.expectation import Rounding, steady
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.formulas import check_tiles, masks_of, steps_in, symbols_of, traffic_in
from zeroskip.hwmodel.geometry import Means
from zeroskip.hwmodel.lined import is_lined
from zeroskip.hwmodel.moves import Moves
from zeroskip.hwmodel.plan import Totalled


def expected_cycles(charge: Charge, *, rounding: Rounding = "mean") -> dict[str, float]:
    """Cycles of compute, of units and of each level of an expected charge, which overlap.

    Parameters
    ----------
    charge : of densities, on a design without `overlap`, lanes, queues, lines and caches
    rounding : ``"mean"``: those of the charge; ``"sparseloop"``: of accesses as Sparseloop rounds
        them, at the density as it was given.  These are no means, and of no tensor: they are there
        to be compared with what Sparseloop publishes.  Of several PEs compute is still the mean of
        the busiest, rounded up.

    Raises
    ------
    ArchError
        For a charge of real operands, and where cycles do not follow from numbers of accesses.

    Examples
    --------
    >>> from zeroskip import Density, charge
    >>> e = charge("y[i] = A[i,j]*x[j]", "scnn", A=Density((8, 4), 0.3), x=Density((4,), 0.3))
    >>> expected_cycles(e)["DRAM"], expected_cycles(e, rounding="sparseloop")["DRAM"]
    (3.5625, 4)
    """
    if rounding not in get_args(Rounding):
        expected = ", ".join(map(repr, get_args(Rounding)))
        raise ArchError(f"rounding: expected one of {expected}; found {rounding!r}")
    estimate = charge.estimate
    if estimate is None:
        raise ArchError(
            "expected_cycles: this charge counts real operands, and is exact\n"
            "Charge a Density: I=zs.Density(x.shape, 0.4)."
        )
    if rounding == "mean":
        return charge.overlapping
    asked = f"expected_cycles(rounding={rounding!r})"
    check_time(estimate, asked, "no numbers of accesses")
    check_tiles(estimate, asked)
    ruled = {"lanes": estimate.vectors is None, "lines or a cache": not is_lined(estimate.arch)}
    for what in (name for name, without in ruled.items() if not without):
        raise ArchError(
            f"{asked}: {estimate.arch.name} has {what}, of which Sparseloop has no rule\n"
            f"Charge a design without {what}."
        )
    return _of_whole(estimate)


def _of_whole(estimate: Estimate) -> dict[str, float]:
    arch, cascade = estimate.arch, estimate.cascade
    shares = {name: _as_given(estimate, name) for name in symbols_of(estimate)}
    means = estimate.geometry.counts(masks_of(estimate, shares), cascade.idle)
    sizes = {name: _density_of(estimate, name).size for name in shares}
    stored = {n: ceil(steady(s * sizes[n])) / max(sizes[n], 1) for n, s in shares.items()}
    compute = sum(compute_cycles_of(arch, plan, means) for plan in cascade.terms)
    found: dict[str, float] = {"compute": _up(compute)}
    for name, steps in steps_in(estimate, shares).items():
        found[name] = _up(steps / estimate.units[name].unit.rate)
    moved = traffic_in(estimate, stored, _Whole(means))
    traffic = {where: _in_words(moves, arch.value_bits) for where, moves in moved.items()}
    return found | bandwidth_cycles_of(arch, traffic)


def _density_of(estimate: Estimate, name: str) -> Any:
    operand = estimate.operands.get(name, estimate.outcome)
    assert isinstance(operand, Expected)
    return operand.density


def _as_given(estimate: Estimate, name: str) -> float:
    return float(_density_of(estimate, name).density)


class _Whole(Totalled):
    """Means whose sums are rounded up."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._means[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._means)

    def __len__(self) -> int:
        return len(self._means)

    def total(self, name: str) -> int:
        return _up(self._means.total(name))


def _in_words(moves: Moves, word_bits: int) -> Moves:
    """What is no whole number rounded up, but for metadata, of which whole words move."""
    return Moves(
        _up(moves.reads),
        _up(moves.writes),
        _up(moves.read_data_bits),
        _words(moves.read_metadata_bits, word_bits),
        _up(moves.write_data_bits),
        _words(moves.write_metadata_bits, word_bits),
        _up(moves.decoded_bits),
        _up(moves.encoded_bits),
    )


def _up(number: float) -> int:
    return ceil(steady(number))


def _words(bits: float, word_bits: int) -> int:
    return floor(steady(bits / word_bits)) * word_bits
