"""Metrics of charges: layers that run one after the other on one design, as a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zeroskip.errors import ArchError
from zeroskip.hwmodel.accuracy import Accuracy, checked
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.area import missing_area
from zeroskip.hwmodel.figures import check_whole
from zeroskip.hwmodel.metrics import EXPECTED, MODELLED, Metrics, Work
from zeroskip.hwmodel.moves import NETWORK

if TYPE_CHECKING:
    from zeroskip.hwmodel.charge import Charge
    from zeroskip.hwmodel.totals import Totals


def metrics_of(
    charges: Totals | Sequence[Totals] | Mapping[str, Totals],
    *,
    batch: int,
    network: str | None = None,
    accuracy: Accuracy | Sequence[Accuracy] = (),
    most_watts: float | None = None,
    area_mm2: float | None = None,
    process_nm: float | None = None,
) -> Metrics:
    """Metrics of a network whose layers were charged.

    Parameters
    ----------
    charges : the charge of every layer or cascade, in the order in which they run, one after the
        other, all on one architecture.
    batch : inferences that the operands hold: the extent of their batch rank.
    network : its name; accuracy : of it, as somebody measured it: no charge knows it.
    most_watts, area_mm2, process_nm : of the chip; the area by default that of the parts for which
        the architecture gives one, the others named in ``omitted``.

    Returns
    -------
    Metrics
        Operations are points of the iteration space, each a cycle of a multiplier, a product of
        three operands two.  Latency is that of the whole batch.  Of one layer, throughput and power
        are those of batches that follow each other, the next one loaded beside the work of this
        where a design says so (``interval_cycles``); between several layers no batch leaves a PE to
        the next before it is done.  Storage is the capacity of every level on the chip.

    Raises
    ------
    ArchError
        For charges of several architectures, of none, of a design that states no clock, of
        layers that take no time, and for a batch that a result has no rank for.

    Examples
    --------
    >>> import numpy as np
    >>> import zeroskip as zs
    >>> charge = zs.charge("y[n,m] = F[m,k]*I[n,k]", "scnn", F=np.eye(16), I=np.ones((4, 16)))
    >>> made = metrics_of([charge, charge], batch=4, network="two layers")
    >>> made.macs, made.effectual_of_all, made.missing[0]
    (512.0, 0.0625, 'accuracy')
    """
    batch = check_whole("batch", batch)
    layers = _layers(charges)
    _check_clock(layers[0].arch)
    parts = [part for layer in layers for part in layer.parts]
    arch, cycles = layers[0].arch, float(sum(layer.cycles for layer in layers))
    if not cycles:
        raise ArchError("metrics: these layers take no cycle: there is no operation and no data")
    between = float(layers[0].interval_cycles) if len(layers) == 1 else cycles
    interval = between / arch.clock_hz
    by_part = sum(part.cycles for part in parts)  # more, where lines overlap
    _check_batch(batch, parts)
    macs = sum(_counts(part)["dense"] for part in parts) / batch
    if not macs:
        raise ArchError("metrics: these layers have no operation: an inference of none is no work")
    joules = sum(part.energy_pj for part in parts) / 1e12
    moving = {NETWORK, *(level.name for level in arch.levels)}
    for_macs = sum(pj for part in parts for name, pj in part.energy.items() if name not in moving)
    for_macs /= 1e12
    off_chip = sum(part.level(arch.off_chip.name).bits for part in parts)
    expected = any(part.estimate is not None for part in parts)
    known = set() if area_mm2 is None else {f"area of {part}" for part in missing_area(arch.areas)}
    left_out = [text for layer in layers for text in layer.missing]
    return Metrics(
        macs=macs,
        inferences_per_s=batch / interval,
        watts=joules / interval if joules else None,
        pes=arch.pes,
        clock_hz=arch.clock_hz,
        batch=batch,
        latency_s=cycles / arch.clock_hz,
        accuracy=checked(accuracy),
        network=network,
        design=arch.name,
        basis=EXPECTED if expected else MODELLED,
        images=None if expected else batch,
        active_pes=sum(part.active_pes * part.cycles for part in parts) / by_part,
        pe_macs_per_cycle=float(arch.multipliers),
        work=_work(parts, batch),
        mac_joules=for_macs / batch if joules else None,
        most_watts=most_watts,
        off_chip_bits=off_chip / batch,
        off_chip_bits_per_s=_most_off_chip(arch),
        storage_bits=storage_bits_of(arch),
        area_mm2=area_mm2 if area_mm2 is not None else arch.area_mm2 or None,
        process_nm=process_nm,
        omitted=tuple(dict.fromkeys(text for text in left_out if text not in known)),
    )


def _layers(charges: Totals | Sequence[Totals] | Mapping[str, Totals]) -> list[Totals]:
    if isinstance(charges, Mapping):
        layers = list(charges.values())
    else:
        layers = list(charges) if isinstance(charges, Sequence) else [charges]
    for layer in layers:
        if not hasattr(layer, "parts"):
            raise ArchError(f"metrics: expected charges, found {type(layer).__name__}")
    if not layers:
        raise ArchError("metrics: expected the charge of at least one layer, found none")
    for layer in layers[1:]:
        if layer.arch != layers[0].arch:
            raise ArchError(
                f"metrics: expected charges on one architecture, found {layers[0].arch.name} of "
                f"{layers[0].arch.pes} PEs and {layer.arch.name} of {layer.arch.pes}\n"
                "Make metrics of each design, and compare_metrics() of them."
            )
    return layers


def _check_clock(arch: Arch) -> None:
    if any(text.split()[0] == "clock_hz" for text in arch.defaults):
        raise ArchError(
            f"metrics: {arch.name} states no clock, and seconds are cycles over it\n"
            "Add clock_hz to the architecture."
        )


def _check_batch(batch: int, parts: Sequence[Charge]) -> None:
    """Refuse inferences that some result has no place for."""
    for part in parts:
        target, extents = part.layer.target, part.layer.extents.ranks
        sizes = {rank: n for rank, n in extents.items() if rank in target.variables}
        if batch > 1 and not any(n % batch == 0 for n in sizes.values()):
            held = ", ".join(f"{rank} {n}" for rank, n in sizes.items()) or "no rank"
            raise ArchError(
                f"metrics: batch is {batch}, and {target.tensor} has no rank that holds so many "
                f"results: {held}\nGive the extent of the batch rank of the operands."
            )


def _counts(part: Charge) -> dict[str, int]:
    """Operations by class, each a cycle of a multiplier: of a line without products, additions."""
    return part.multiplications if part.multiplications["dense"] else part.ops


def _work(parts: Sequence[Charge], batch: int) -> Work:
    """Operations by what becomes of them, in cycles of a multiplier."""
    kinds = {"effectual": 0.0, "executed": 0.0, "timed": 0.0}
    for part in parts:
        counts = _counts(part)
        executed = counts["effectual"] + counts["ineffectual"]
        kinds["effectual"] += counts["effectual"] / batch
        kinds["executed"] += executed / batch
        kinds["timed"] += (executed + counts["gated"]) / batch
    return Work(**kinds)


def _most_off_chip(arch: Arch) -> float | None:
    """Bits a second of both ways together; None where one is unlimited."""
    level = arch.off_chip
    if level.read_bits_per_cycle is None or level.write_bits_per_cycle is None:
        return None
    apart = (level.metadata_read_bits_per_cycle, level.metadata_write_bits_per_cycle)
    data = level.read_bits_per_cycle + level.write_bits_per_cycle
    return (data + sum(rate for rate in apart if rate is not None)) * arch.clock_hz


def storage_bits_of(arch: Arch) -> int | None:
    """Capacity of all instances of all levels on the chip; None where one is unlimited."""
    total = 0
    for level in arch.levels[1:]:
        if level.capacity_bits is None:
            return None
        total += level.capacity_bits * arch.number(level)
    return total
