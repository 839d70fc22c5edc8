"""`charge_cascade`: charge the lines of a cascade, each as a layer on the results before it.

A result has the zeros that it has when it is computed.  Where an operand is known by its density,
results that depend on it are drawn by a mean of theirs (`expected_results`), and others are
computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.checks import kind_of
from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.spec import Spec
from zeroskip.errors import ArchError, ZeroskipError
from zeroskip.formats.density import Density
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel import mapping as maps
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.arch import arch as make_arch
from zeroskip.hwmodel.cascade import CascadeCharge, summed
from zeroskip.hwmodel.charging import charge
from zeroskip.hwmodel.expected_operand import Derived
from zeroskip.hwmodel.expected_results import structural
from zeroskip.hwmodel.fused import Plan, blocks_of, check_block, check_halo, check_tiles, late_by
from zeroskip.hwmodel.fused_lines import check_lines_of_turns
from zeroskip.hwmodel.given import check_mapping, known_operands, single
from zeroskip.hwmodel.kept import CascadeMapping, check_room, kept_of, with_formats, with_homes
from zeroskip.hwmodel.layer import layer_of
from zeroskip.hwmodel.policy import policy_of
from zeroskip.hwmodel.rings import end_of, zero_of
from zeroskip.native.engine import evaluate, needed_results


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a cascade, as a layer of its own."""

    forms: tuple[Form, ...]
    whole: Extents

    @property
    def form(self) -> Form:
        return self.forms[0]

    @property
    def tensors(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(access.tensor for access in self.form.reads))

    def extents(self, shapes: Mapping[str, tuple[int, ...]]) -> Extents:
        """What of the cascade's extents belongs to this line."""
        names = {*self.tensors, self.form.target.tensor}
        return replace(
            self.whole,
            ranks={rank: n for rank, n in self.whole.ranks.items() if rank in self.form.ranks},
            shapes={name: s for name, s in self.whole.shapes.items() if name in names},
            pads={name: pads for name, pads in self.whole.pads.items() if name in names},
            skipped=self.whole.skipped & names,
        )


def charge_cascade(
    spec: Spec,
    arch: Arch | str | Path | Mapping[str, Any],
    operands: Mapping[str, Any],
    mapping: maps.Mapping | Mapping[str, maps.Mapping] | CascadeMapping | None = None,
) -> CascadeCharge:
    """What a cascade costs on an architecture, line by line; expected, where an operand is drawn.

    Parameters
    ----------
    spec : Spec
        Lines each of which `charge` takes.  All are computed: the zeros of a result are what
        the lines that read it are charged by.  All are charged; those that the last does not
        need, which a call of the layer leaves out, are named among the assumptions.
    arch, operands
        As `zeroskip.hwmodel.charge`; the last result may be given.
    mapping : result -> Mapping, or CascadeMapping, optional
        Of the lines that are not to have the default; which intermediates stay on chip, and which
        lines run tile by tile.

    Raises
    ------
    EinsumError, ArchError, TensorError
        Naming the line, before anything is computed, where one cannot be charged, or cannot run
        tile by tile with the others of its block.
    """
    kind_of("spec", spec, Spec, "Pass layer.spec of zs.layer(text).", ArchError)
    design, given = make_arch(arch), dict(operands)
    names = [form.target.tensor for form in spec.forms]
    last = {names[-1]: given.pop(names[-1])} if names[-1] in given else {}
    drawn = {name: single(name, x) for name, x in given.items() if isinstance(x, Density)}
    held = known_operands({name: x for name, x in given.items() if name not in drawn})
    whole = CascadeMapping()
    if isinstance(mapping, CascadeMapping):
        whole, mapping = mapping, mapping.lines
    stated = _mappings(mapping, names)
    extents = spec.extents({name: value.shape for name, value in {**held, **drawn}.items()})
    lines = {form.target.tensor: Line((form,), extents) for form in spec.forms}
    fills: dict[str, dict[str, Any]] = {}
    zeros: dict[str, float] = {}
    blocks = blocks_of(whole.fuse, names)
    reads = {name: line.tensors for name, line in lines.items()}
    kept = kept_of(whole.keep, reads, design, [(block.lines, block.loops[-1]) for block in blocks])
    check_halo(whole.halo, blocks, {one.name for one in kept.values() if one.tiled})
    plans: dict[str, Plan] = {}
    bare: dict[str, Plan] = {}
    for name, line in lines.items():
        fills[name] = _fills(line, held, zeros)
        zeros[name], bare[name] = _planned(line, design, fills[name], stated.get(name))
    halos = [check_block(block, bare, design, whole.halo) for block in blocks]
    blocks = tuple(map(late_by, blocks, halos))
    kept |= {n: replace(kept[n], halo=halo) for found in halos for n, halo in found.items()}
    mappings = {name: with_homes(stated.get(name), name, kept) for name in names}
    for name, turns in ((name, block.loops[-1]) for block in blocks for name in block.lines):
        mappings[name] = replace(mappings[name] or maps.Mapping(), turns=turns)
    for name, line in lines.items():
        _, plans[name] = _planned(line, design, fills[name], mappings[name], whole=True)
    for block in blocks:
        check_tiles(block, plans)
        check_lines_of_turns(block, plans, design)
    mappings = with_formats(mappings, kept, plans, design)
    known: dict[str, Any] = {**held, **drawn, **_computed(spec, held, drawn, lines), **last}
    charges = {}
    for name, line in lines.items():
        read = {n: _filled(known[n], fills[name].get(n, 0)) for n in line.tensors}
        result = {name: known[name]} if name in known else {}
        made = charge(line, design, {**read, **result}, mappings[name])
        charges[name] = made
        if name not in known:
            assert made.estimate is not None
            share = structural(made.layer, made.estimate.operands).share
            known[name] = Derived(Density(made.shapes[name], share), share)
    needed = needed_results(spec, names[-1:])
    unneeded = tuple(name for name in names if name not in needed)
    made_all = summed(charges, kept, blocks, unneeded)
    check_room(made_all.lines, kept)
    return made_all


def _computed(
    spec: Spec, held: Mapping[str, Any], drawn: Mapping[str, Density], lines: Mapping[str, Line]
) -> dict[str, Any]:
    """The results that depend on no operand that is drawn."""
    if not drawn:
        return dict(evaluate(spec, held))
    unknown = set(drawn)
    for name, line in lines.items():
        if unknown & set(line.tensors):
            unknown.add(name)
    wanted = [name for name in lines if name not in unknown]
    if not wanted:
        return {}
    shapes = {name: np.broadcast_to(np.float32(0), x.shape) for name, x in drawn.items()}
    found = evaluate(spec, {**held, **shapes}, wanted=wanted)
    return {name: found[name] for name in wanted}


def _mappings(
    mapping: maps.Mapping | Mapping[str, maps.Mapping] | None, names: Sequence[str]
) -> Mapping[str, maps.Mapping]:
    if mapping is None:
        return {}
    if not isinstance(mapping, Mapping):
        raise ArchError(
            f"mapping: expected one for each line, found {mapping!r}\n"
            f"Write mapping={{{names[0]!r}: Mapping(...)}}; lines without one have the default."
        )
    for name, one in mapping.items():
        if name not in names:
            raise ArchError(f"mapping names {name}, which no line computes: {', '.join(names)}")
        check_mapping(one, f"mapping of {name}")
    return mapping


def _fills(
    line: Line, held: Mapping[str, NDArray[Any] | Tensor], zeros: Mapping[str, float]
) -> dict[str, Any]:
    """The fills of what a line reads: those of tensors, and of results of shortest paths, the
    infinity that stands where there is none.

    zeros : by result, what counted as nothing in its line.
    """
    fills = {n: x.fill for n in line.tensors if isinstance(x := held.get(n), Tensor)}
    end = end_of(line.form)
    if end and all(fill == end for fill in fills.values()):
        fills |= {n: end for n in line.tensors if zeros.get(n) == end}
    return fills


def _filled(value: Any, fill: Any) -> Any:
    """A result with the fill that it has, as a tensor of every place."""
    if not isinstance(value, np.ndarray) or not fill:
        return value
    return Tensor.from_dense(value, "dense", fill=fill)


def _planned(
    line: Line,
    arch: Arch,
    fills: Mapping[str, Any],
    mapping: maps.Mapping | None,
    *,
    whole: bool = False,
) -> tuple[float, Plan]:
    """What counts as nothing in a line, and its loops; one that cannot be charged is refused, and
    named.

    whole : whether the mapping says all, and formats and features are looked at, too.
    """
    try:
        zero = zero_of(line.form, fills)
        roles = mapping.roles if mapping is not None else None
        layer = layer_of(line, line.whole.shapes, roles, zero)
        schedule = maps.complete(mapping, layer, arch)
        if whole:
            policy_of(layer, schedule, arch)
    except ZeroskipError as error:
        raise type(error)(
            f"the line of {line.form.target.tensor} cannot be charged, and so the cascade cannot\n"
            f"  {form_text(line.form)}\n{error}"
        ) from error
    return zero, (layer, schedule)
