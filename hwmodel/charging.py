"""`charge`: what a layer costs on an architecture, exactly, from its real operands.

layer, arch, mapping ──► accounting Einsums ──► counts ──► cycles, bits, energy
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from itertools import starmap
from math import prod
from pathlib import Path
from typing import Any

from zeroskip.errors import TensorError
from zeroskip.formats.density import Density
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel import mapping as maps
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.arch import arch as make_arch
from zeroskip.hwmodel.bandwidth import bandwidth_cycles_of
from zeroskip.hwmodel.capacity import Capacity, capacities
from zeroskip.hwmodel.cartesian import charge_cartesian
from zeroskip.hwmodel.charge import Charge
from zeroskip.hwmodel.conversion import Conversion, conversions_of
from zeroskip.hwmodel.costs import (
    classes_of,
    compute_cycles_of,
    cycles_of_points,
    energy_of,
    work_per_pe_of,
)
from zeroskip.hwmodel.cutting import cut_of
from zeroskip.hwmodel.epoch_lines import EpochLines
from zeroskip.hwmodel.epochs import epochs_of
from zeroskip.hwmodel.estimate import Estimate, expected_counts
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.evaluate import counts as evaluate_counts
from zeroskip.hwmodel.expected import geometry_of
from zeroskip.hwmodel.expected_line_moves import decoded_as, mean_lines
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.expected_results import structural
from zeroskip.hwmodel.given import (
    check_mapping,
    evaluate_result,
    known_operands,
    resolved,
    single,
)
from zeroskip.hwmodel.holding import held_in_pes
from zeroskip.hwmodel.indexing import check_places, indices_of, without_zeros
from zeroskip.hwmodel.later import Later
from zeroskip.hwmodel.layer import Layer, LayerSpec
from zeroskip.hwmodel.lined import (
    check_lines,
    is_lined,
    leaves_in_fibers,
    lined_moves,
    lined_traffic,
)
from zeroskip.hwmodel.nest import Numbering
from zeroskip.hwmodel.notes import assumptions_of
from zeroskip.hwmodel.pipeline import mean_epochs
from zeroskip.hwmodel.plan import Accounting, total
from zeroskip.hwmodel.planned import Planned, planned
from zeroskip.hwmodel.queues import queued_cycles_of
from zeroskip.hwmodel.reached import structural_result
from zeroskip.hwmodel.rings import zero_of
from zeroskip.hwmodel.sampled import Sampled, by_places, draws_of
from zeroskip.hwmodel.spilling import spills_of
from zeroskip.hwmodel.storages import result_storage
from zeroskip.hwmodel.stored import is_compressed
from zeroskip.hwmodel.traffic import (
    Counts,
    arriving_of,
    traffic_of,
    whole_moves,
)
from zeroskip.hwmodel.unit_charges import charge_units


def charge(
    spec: LayerSpec,
    arch: Arch | str | Path | Mapping[str, Any],
    operands: Mapping[str, Any],
    mapping: maps.Mapping | None = None,
) -> Charge:
    """What a layer costs on an architecture, exactly.

    Parameters
    ----------
    spec : Spec
        One line: products of tensors, summed.
    arch : Arch, or whatever `zeroskip.hwmodel.arch` takes
    operands : name -> ndarray, Tensor, or whatever `zeroskip.tensor` takes; a `Density`
        The result may be given too, by its name.  It is computed if it is not, and only if
        the architecture compresses results off chip: then its bits depend on its zeros.
    mapping : Mapping, optional
        What it leaves open is derived and printed.

    Raises
    ------
    EinsumError, ArchError, TensorError
    """
    check_mapping(mapping)
    given = dict(operands)
    target = spec.forms[-1].target.tensor
    result = given.pop(target, None)
    drawn = {name: x for name, x in given.items() if isinstance(x, Density | Expected)}
    held = known_operands({name: x for name, x in given.items() if name not in drawn})
    fills = {name: value.fill for name, value in held.items() if isinstance(value, Tensor)}
    zero = zero_of(spec.forms[0], fills)
    made: dict[str, Operand] = {
        name: Operand(value.shape, value, zero) for name, value in held.items()
    }
    made |= {
        name: x if isinstance(x, Expected) else Expected(single(name, x))
        for name, x in drawn.items()
    }
    made = {name: made[name] for name in given}

    def computed(shape: tuple[int, ...]) -> Operand:
        if isinstance(result, Density):
            return Expected(single(target, result))
        value = evaluate_result(spec, held) if result is None else result
        known = resolved(value)
        if known.shape != shape:
            raise TensorError(
                f"{target} has shape {known.shape}, but the layer makes one of shape {shape}"
            )
        if isinstance(known, Tensor) and known.fill != zero:
            known = known.toarray()
        return Operand(known.shape, known, zero)

    return _charge(spec, make_arch(arch), made, mapping, computed, None, zero, result)


def _charge(
    spec: LayerSpec,
    arch: Arch,
    operands: Mapping[str, Operand],
    mapping: maps.Mapping | None,
    result: Callable[[tuple[int, ...]], Operand],
    effectual: tuple[int, ...] | None,
    zero: float = 0,
    known: object = None,
    numberings: Mapping[str, Numbering] | None = None,
    room: bool = True,
) -> Charge:
    """effectual : effectual points of each term, where they are known.  known : the result, where
    it was given.  numberings : those of other operands than these.  room : whether somebody is
    likely to ask an expected charge for its largest tiles."""
    counted = effectual is None
    plan = planned(spec, arch, operands, mapping, zero, effectual=counted, numberings=numberings)
    expecting = any(isinstance(operand, Expected) for operand in operands.values())
    layer, schedule, cascade = plan.layer, plan.schedule, plan.cascade
    check_places(layer, operands)
    target = layer.target.tensor
    shape = layer.extents.shapes[target]
    plain = not is_compressed(layer, arch, schedule)
    lined = is_lined(arch)
    in_fibers = leaves_in_fibers(layer, arch, schedule)
    outcome: Operand | None
    if lined:
        check_lines(layer, arch)
    if in_fibers and not expecting:
        stored_there = held_in_pes(layer, schedule, plan.policy.terms[0], operands, skipping=True)
        outcome = structural_result(layer, arch, stored_there)
    else:
        outcome = Operand(shape, None) if plain else None
    if outcome is None and expecting and known is None:
        outcome = structural(layer, operands)
    if outcome is None:
        outcome = result(shape)
    masks = {**operands, target: outcome} if target in cascade.homes else operands
    geometry = geometry_of(cascade, masks, room=room) if expecting else None
    counts: Counts = (
        evaluate_counts(cascade, masks)
        if geometry is None
        else expected_counts(cascade, geometry, masks)
    )
    rooms = Later(partial(capacities, arch, cascade, counts, schedule, layer))
    if not room:
        rooms = Later(partial(_rooms, arch, cascade, masks, schedule, layer))
    ways = schedule.mapping.overflow
    pointed = room and any(level.pointer_bits is not None for level in arch.levels[1:])
    if ways or not expecting or pointed:  # what may be refused is looked at before the rest
        rooms = Later.known(rooms.value)
    cut = cut_of(layer, arch, schedule, rooms.value) if ways else None
    if cut is not None:
        return _charge(spec, arch, operands, cut, result, effectual, zero, known, numberings)
    spills = spills_of(layer, arch, cascade, operands, rooms.value, ways) if ways else ()
    if spills:
        numbers = plan.schedule.numberings
        plan = planned(
            spec,
            arch,
            operands,
            mapping,
            zero,
            effectual=counted,
            numberings=numbers,
            spills=spills,
        )
        counts = evaluate_counts(plan.cascade, masks)
        made = capacities(arch, plan.cascade, counts, plan.schedule, plan.layer)
        rooms = Later.known(made)
    layer, schedule, policy, cascade = plan.layer, plan.schedule, plan.policy, plan.cascade
    sampled = known_lines = lines = None
    if expecting and lined and arch.overlap is None:
        given_lines = layer, arch, schedule, cascade, operands
        known_lines = mean_lines(*given_lines, compressed=in_fibers)
    if expecting and by_places(arch, layer, operands, lined=lined and known_lines is None):
        reporting = schedule.mapping.reporting()  # a draw's tiles fit or not: the mapping stays
        sampled = Sampled(
            tuple(
                _charge(spec, arch, real, reporting, _everything, None, zero, known)
                for real in draws_of(operands)
            )
        )
    found = tuple(total(counts, plan.effectual) for plan in cascade.terms)
    ops, multiplications = classes_of(cascade, counts, effectual or found)
    stored = result_storage(layer, arch, schedule, outcome)
    traffic = traffic_of(layer, arch, schedule, cascade, counts, operands, stored)
    if known_lines is not None and sampled is None:
        traffic |= decoded_as(known_lines, traffic)
    elif lined and sampled is not None:
        keys = lined_moves(layer, arch, schedule, compressed=in_fibers)
        traffic |= {(level, tensor): sampled.moves(level, tensor) for level, tensor in keys}
    elif lined:
        held = outcome if in_fibers else None
        given_bits = counts, operands, held, traffic
        lines = lined_traffic(layer, arch, schedule, cascade, *given_bits)
        traffic |= lines.traffic
    additions = sum(term.inside for term in layer.additions)
    conversions = conversions_of(layer, arch, schedule, operands)
    everything = traffic | {(arch.off_chip.name, c.label): c.moves for c in conversions}
    executed = ops["effectual"] + ops["ineffectual"] + ops["gated"]
    cartesian = charge_cartesian(arch, layer, schedule, operands, policy.terms[0], executed)
    if cartesian is not None and sampled is not None and cartesian.geometry is not None:
        cartesian = cartesian.waiting_as(sampled)
    units = charge_units(arch, layer, schedule, operands, policy.terms[0], sampled)
    epochs = None
    if arch.overlap is not None and lined and sampled is not None:
        epochs = mean_epochs([one.epochs for one in sampled.charges if one.epochs is not None])
    elif arch.overlap is not None:
        wholes = partial(whole_moves, layer, arch, schedule, operands)
        slowest = None if cartesian is None else cartesian.slowest
        arriving = arriving_of(arch, cascade, counts, layer, stored)
        held_lines = None
        if lines is not None:
            held_lines = EpochLines(layer, arch, schedule, cascade, counts, operands, lines)
        given = counts, traffic, wholes, arriving, slowest, units, held_lines
        epochs = epochs_of(layer, arch, schedule, cascade, *given)
    compute: float
    multiplied = dict(multiplications)
    if cartesian is not None:
        multiplied["ineffectual"] += cartesian.off_output
    if arch.queue is not None and sampled is not None:
        compute = float(sampled.mean(lambda charge: charge.compute_cycles))
    elif arch.queue is not None:
        turns = None if cartesian is None else cartesian.turns
        queued = [(arch, schedule, plan, counts, turns) for plan in cascade.terms]
        compute = sum(starmap(queued_cycles_of, queued))
    elif cartesian is not None:
        compute = cartesian.cycles
    else:
        compute = sum(compute_cycles_of(arch, plan, counts) for plan in cascade.terms)
    steps = {name: unit.steps for name, unit in units.items()}
    steps["compress"] = 0 if plain else prod(shape)
    busy, worked = cycles_of_points(cascade, counts)
    estimate = None
    if geometry is not None:
        estimate = Estimate(
            *(layer, arch, schedule, cascade, geometry, operands, outcome, known is not None),
            *(units, cartesian, sampled),
        )
    working = Later(partial(work_per_pe_of, arch, schedule, cascade, counts))
    return Charge(
        arch=arch,
        schedule=schedule,
        layer=layer,
        cascade=cascade,
        epochs=epochs,
        units=units,
        cartesian=cartesian,
        estimate=estimate,
        ops=ops,
        multiplications=multiplications,
        additions=additions,
        working=working if expecting else Later.known(working.value),
        compute_cycles=compute,
        busy=busy,
        worked=worked,
        bandwidth_cycles=bandwidth_cycles_of(arch, traffic),
        traffic=everything,
        conversions=conversions,
        energy=energy_of(arch, cascade, counts, multiplied, additions, everything, steps),
        rooms=rooms,
        assuming=Later(partial(_assumed, plan, arch, conversions, estimate)),
        missing=plan.missing,
        measured=partial(
            _measured,
            spec,
            arch,
            operands,
            schedule.mapping.reporting(),
            zero,
            frozenset(indices_of(layer)),
        ),
        dense=partial(
            _without_sparsity,
            spec,
            arch,
            without_zeros(layer, operands),
            schedule.mapping.reporting(),
            effectual or found,
            zero,
            schedule.numberings,
        ),
    )


def _rooms(
    arch: Arch,
    cascade: Accounting,
    masks: Mapping[str, Operand],
    schedule: maps.Schedule,
    layer: Layer,
) -> tuple[Capacity, ...]:
    """What levels must hold, where largest tiles were not counted with the rest."""
    counts = expected_counts(cascade, geometry_of(cascade, masks), masks)
    return capacities(arch, cascade, counts, schedule, layer)


def _assumed(
    plan: Planned, arch: Arch, conversions: tuple[Conversion, ...], estimate: Estimate | None
) -> tuple[str, ...]:
    """What the figures take for granted; transposes have assumptions of their own."""
    found = plan.assumptions
    if conversions:
        listed = plan.cascade.listed
        found = tuple(assumptions_of(plan.layer, arch, plan.schedule, conversions, listed))
    return found if estimate is None else (*found, *estimate.assumptions)


def _measured(
    spec: LayerSpec,
    arch: Arch,
    operands: Mapping[str, Operand],
    mapping: maps.Mapping,
    zero: float,
    real: Collection[str],
    axes: Mapping[str, tuple[int, ...]],
) -> Charge:
    """The expected charge of what is measured of real operands: profiles along some of their axes,
    of others the density; what names places (``real``) is left as it is."""
    drawn = {name: operand for name, operand in operands.items() if name in real}
    for name, operand in operands.items():
        if name in real:
            continue
        held = operand.nonzero
        if name in axes:
            density = Density.profile(held, axes[name])
        else:
            density = Density(held.shape, float(held.mean()) if held.size else 0.0)
        drawn[name] = Expected(density)
    return _charge(spec, arch, drawn, mapping, _everything, None, zero, room=False)


def _everything(shape: tuple[int, ...]) -> Operand:
    """A result without zeros."""
    return Operand(shape, None)


def _without_sparsity(
    spec: LayerSpec,
    arch: Arch,
    operands: Mapping[str, Operand],
    mapping: maps.Mapping,
    effectual: tuple[int, ...],
    zero: float,
    numberings: Mapping[str, Numbering],
) -> Charge:
    """The dense charge beside one: the same mapping on the same array and memories, with the same
    tiles, full operands; effectual points of each term are those of the real ones."""
    plain = arch.without_sparsity()
    return _charge(
        spec,
        plain,
        operands,
        mapping.uncompressed(),
        _everything,
        effectual,
        zero,
        numberings=numberings,
    )
