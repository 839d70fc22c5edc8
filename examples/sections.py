"""The parts of the demo's screen, each computed from real operands and returned for printing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table
from workloads import Step, Workload

import zeroskip as zs
from zeroskip.formats.pack import unpack
from zeroskip.hwmodel import CascadeCharge

ARCHES = ("dense", "eyeriss", "scnn")
STORED = ("dense", "CSR", "COO", "bitmask", "RLE(4)")
VALUE_BITS = 16
BUDGET_S = 6.0

Charges = dict[str, list[zs.Charge | CascadeCharge]]


def facts(work: Workload) -> Iterator[str]:
    """Accuracy, and the featured layer as Einsum."""
    step = work.featured
    yield from work.facts
    shapes = "   ".join(
        f"{name} {'×'.join(map(str, x.shape))}, {density(x):.0%} non-zero"
        for name, x in (("I", step.activations), ("F", step.weights))
    )
    yield f"layer     {step.name}: {escape(step.layer.text)}"
    yield f"          {shapes}"


def density(array: np.ndarray[Any, Any]) -> float:
    return np.count_nonzero(array) / max(array.size, 1)


# ---- operations ---------------------------------------------------------------------------


def charge_all(work: Workload) -> Charges:
    """Every step of the network on every architecture, exactly."""
    return {
        name: [
            zs.charge(s.product, zs.arch(name), I=s.activations, F=s.weights) for s in work.steps
        ]
        for name in ARCHES
    }


def multiplications(work: Workload, charges: Charges) -> Table:
    """Dense, with one operand's zeros skipped, with both."""
    table = _table("", "dense", "F sparse", "I sparse", "both (effectual)", "share")
    at = work.steps.index(work.featured)
    rows = [(work.featured.name, [work.featured], charges["scnn"][at : at + 1])]
    rows.append((f"network, {len(work.steps)} layers", list(work.steps), charges["scnn"]))
    for label, steps, charged in rows:
        dense = sum(c.ops["dense"] for c in charged)
        both = sum(c.ops["effectual"] for c in charged)
        counts = [sum(_stored_products(s, name) for s in steps) for name in "FI"]
        table.add_row(label, *(f"{n:,d}" for n in (dense, *counts, both)), f"{both / dense:.1%}")
    return table


def _stored_products(step: Step, name: str) -> int:
    """Multiplications with one operand's zeros skipped.

    Every weight meets every place of the result.  For I, where a padding tap counts as a zero,
    the layer itself counts, over the mask of I and weights that are all there.
    """
    if name == "F":
        shapes = {"I": step.activations.shape, "F": step.weights.shape}
        total: int = step.product.ops(**shapes).multiplications
        return total * int(np.count_nonzero(step.weights)) // int(step.weights.size)
    ones = np.ones(step.weights.shape, np.bool_)
    return int(step.product(I=step.activations != 0, F=ones).sum())


# ---- bits ---------------------------------------------------------------------------------


def storage(step: Step) -> Table:
    """Bits of both operands in each format, marked where metadata eats the gain."""
    table = _table(
        "format", "F bits", "metadata", "of dense", "", "I bits", "metadata", "of dense", ""
    )
    for spec in STORED:
        cells = []
        for array in (step.weights, step.activations):
            bits = zs.tensor(array, spec).storage(value_bits=VALUE_BITS)
            over = bits.total_bits / (array.size * VALUE_BITS)
            mark = "[red]eats the gain[/red]" if over >= 1 and spec != "dense" else ""
            share = bits.metadata_bits / bits.total_bits
            cells += [f"{bits.total_bits:,d}", f"{share:.0%}", f"{over:.2f}", mark]
        table.add_row(spec, *cells)
    return table


# ---- time ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows of `zs.bench` for one layer: (label, seconds, ratio to the best dense, checked)."""

    title: str
    rows: list[dict[str, Any]]


def measure(step: Step, seed: int) -> Measured:
    """The dense kernels and each sparse one, interleaved, every answer checked."""
    activations: Any = step.activations
    formats = {"F": ["CSR", "bitmask", "RLE(4)"], "I": [_by_position(activations.ndim)]}
    table = zs.bench(
        step.product,
        I=activations,
        F=step.weights,
        formats=formats,
        seed=seed,
        budget_s=BUDGET_S,
        peers=["numpy", "scipy"],
    )
    batch = f", batch {len(activations)}" if len(activations) > 1 else ""
    return Measured(step.name + batch, list(table))


def _by_position(ndim: int) -> str:
    return "U U U C" if ndim == 4 else "U C"


def times(measured: list[Measured]) -> Table:
    """Two layers side by side; speed-up over the fastest dense way, im2col free included."""
    table = _table("kernel", *(h for m in measured for h in (m.title, "speed-up")))
    names = dict.fromkeys(row["kernel"] for m in measured for row in m.rows if shown(row))
    for name in names:
        cells = []
        for m in measured:
            row = next((r for r in m.rows if r["kernel"] == name), None)
            if row is None:
                cells += ["", ""]
                continue
            colour = "green" if row["speedup"] > 1 else "red" if row["speedup"] < 1 else ""
            ratio = f"{row['speedup']:.2f}"
            cells += [seconds(row["time_s"]), f"[{colour}]{ratio}[/{colour}]" if colour else ratio]
        table.add_row(name, *cells)
    return table


def shown(row: dict[str, Any]) -> bool:
    """Of zeroskip's rows with I compressed, or packed at every call: CSR stands for all."""
    name = row["kernel"]
    every_call = name.startswith("zeroskip F") and "bound" not in name
    both = name.startswith("zeroskip F") and ", I" in name
    return not (every_call or both) or ("F CSR" in name and (not both or "bound" in name))


def seconds(value: float) -> str:
    return f"{value * 1e6:,.0f} µs" if value < 1e-2 else f"{value * 1e3:,.1f} ms"


# ---- the model ----------------------------------------------------------------------------


def modelled(work: Workload, charges: Charges) -> Table:
    """Cycles and energy of the featured layer and of the network."""
    at = work.steps.index(work.featured)
    table = _table(
        "", f"{work.featured.name} cycles", "of dense", "energy", "of dense",
        "network cycles", "of dense", "energy", "of dense", "imbalance",
    )  # fmt: skip
    for name in ARCHES:
        cells = []
        for pick in (slice(at, at + 1), slice(None)):
            own, base = charges[name][pick], charges["dense"][pick]
            cycles, energy = sum(c.cycles for c in own), sum(c.energy_pj for c in own)
            cells += [
                f"{cycles:,d}",
                f"{cycles / sum(c.cycles for c in base):.2f}",
                f"{energy / 1e6:,.1f} µJ",
                f"{energy / sum(c.energy_pj for c in base):.2f}",
            ]
        table.add_row(name, *cells, f"{charges[name][at].imbalance:.2f}")
    return table


# ---- conclusions --------------------------------------------------------------------------


def break_even(step: Step, synthetic: Step, charges: Charges, seed: int) -> Iterator[str]:
    """Densities below which a sparse format, kernel or accelerator wins."""
    positions = max(int(np.prod(step.weights.shape[1:])), 2)
    coordinate = (positions - 1).bit_length()
    yield (
        f"bits      bitmask below {1 - 1 / VALUE_BITS:.2f}; coordinates below "
        f"{VALUE_BITS / (VALUE_BITS + coordinate):.2f} ({VALUE_BITS}-bit values, {coordinate}-bit "
        "coordinates, pointers left out)"
    )
    found = zs.break_even(
        synthetic.product,
        I=synthetic.activations,
        F=zs.Density(synthetic.weights.shape, 0.5),
        operand="F",
        format="CSR",
        seed=seed,
        budget_s=BUDGET_S,
    )
    yield f"time      {synthetic.name}, {escape(str(found))}"
    yield f"model     {_modelled_break_even(step, seed)}"


def _modelled_break_even(step: Step, seed: int) -> str:
    """Bisect the density of F at which scnn's energy reaches the dense design's."""
    arch = zs.arch("scnn")
    low, high = 0.0, 1.0
    for _ in range(6):
        middle = (low + high) / 2
        weights = zs.Density(step.weights.shape, middle).sample(np.random.default_rng(seed))
        if zs.charge(step.product, arch, I=step.activations, F=weights).energy_ratio < 1:
            low = middle
        else:
            high = middle
    what = f"scnn's energy, {step.name} with its real activations"
    if high == 1.0 and low > 0.97:
        return f"{what}: below dense at every density of F tried, up to {low:.2f}"
    return f"{what}: below dense while F is under {(low + high) / 2:.2f} dense"


def losses(work: Workload, measured: list[Measured], charges: Charges) -> Iterator[str]:
    """Every kernel and design that loses, with the reason."""
    for m in measured:
        reasons: dict[str, list[float]] = {}
        for row in m.rows:
            if row["speedup"] < 1 and row["kernel"].startswith("zeroskip"):
                reasons.setdefault(_why(row), []).append(1 / row["speedup"])
        for why, slower in reasons.items():
            span = f"{min(slower):.1f}" + (f" to {max(slower):.1f}" if len(slower) > 1 else "")
            yield f"{m.title}: {span} times the dense time: {why}"
    for name in ARCHES[1:]:
        dearer = [
            f"{step.name} ({charge.energy_ratio:.2f})"
            for step, charge in zip(work.steps, charges[name], strict=True)
            if charge.energy_ratio > 1
        ]
        if dearer:
            yield (
                f"{name} needs more energy than dense on {', '.join(dearer)}: "
                "too dense there, its metadata costs more than it skips"
            )
    saved = sum(c.cycles for c in charges["dense"]) - sum(c.cycles for c in charges["eyeriss"])
    if saved <= 0:
        yield "eyeriss saves no cycle: a gated multiplication still takes its turn"


def _why(row: dict[str, Any]) -> str:
    if "dense (" in row["kernel"]:
        return "zeroskip's dense kernel; BLAS is better where nothing is skipped"
    if row["schedule"] == "plain":
        return f"both sparse, walked entry by entry without vectors ({_densities(row)})"
    if row["schedule"] == "lanes":
        return f"sparse I, {row['I_density']:.0%} dense: an entry costs more than a dense product"
    if ", I " in row["kernel"]:
        return f"both sparse, I made dense at every call ({_densities(row)})"
    if "bound" not in row["kernel"]:
        return "sparse F packed at every call; bind what stays"
    return f"sparse F, {row['F_density']:.0%} dense: too small or too dense for its zeros to pay"


def _densities(row: dict[str, Any]) -> str:
    return f"I {row['I_density']:.0%}, F {row['F_density']:.0%} dense"


def checks(work: Workload, charges: Charges) -> Iterator[str]:
    """What was compared on the way here; a failure would have ended the demo."""
    yield f"answers   {work.check()}; every timed kernel equals the dense reference"
    total = 0
    for own in charges.values():
        for charge in own:
            classes = sum(n for name, n in charge.ops.items() if name != "dense")
            if classes != charge.ops["dense"]:
                raise SystemExit(f"operations of {charge.text} do not add up")
            total += 1
    yield f"counts    operations by class add up to all of them in {total} charges"
    streams = 0
    for array in (work.featured.weights, work.featured.activations):
        for spec in STORED:
            packed = zs.tensor(array, spec).pack()
            stated = zs.tensor(array, spec).storage().total_bits
            if packed.n_bits != stated or not np.array_equal(unpack(packed).toarray(), array):
                raise SystemExit(f"the {spec} stream is not what storage() says")
            streams += 1
    yield f"bits      {streams} packed streams are as long as stated, and unpack to the same tensor"


def next_steps(data: Path | None) -> Iterator[str]:
    """Commands that go on from here."""
    if data is None:
        yield "make demo DATA=squeezenet_dc.npz    the same for a network of your own"
    line = escape("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]")
    yield f'.venv/bin/zeroskip explain "{line}" --pad 1 \\'
    yield '    "I=random(1,64,14,14;0.5)" "F=random(64,64,3,3;0.1)" --format F=CSR --arch scnn'
    yield "make evidence                       every figure that the project claims"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for k, heading in enumerate(headings):
        table.add_column(heading, justify="left" if k == 0 or not heading else "right")
    return table
