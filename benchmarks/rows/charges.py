"""The hardware model: expected charges, sweeps over densities, and exact charges of real sizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import zeroskip as zs
from benchmarks.contest import Array
from benchmarks.data import file
from benchmarks.rows.row import Figure, Figures
from zeroskip.benchmark.measuring import pinned
from zeroskip.errors import ZeroskipError
from zeroskip.hwmodel import Charge, presets

CONV = "O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]"
SHAPES = {"I": (1, 64, 28, 28), "F": (64, 64, 3, 3)}
EVALUATIONS = 100
POINTS = 1_000_000
EXECUTED, EFFECTUAL = 894_418_724, 344_561_019
"""Products that SCNN executes of the pruned SqueezeNet, off-space ones included, and those that
are effectual."""
MULTIPLICATIONS = 50_000_000


def charged(layer: zs.Layer, design: Any, **operands: Any) -> Charge:
    found = zs.charge(layer, design, **operands)
    assert isinstance(found, Charge)
    return found


def drawn(share: float) -> dict[str, zs.Density]:
    return {"I": zs.Density(SHAPES["I"], share), "F": zs.Density(SHAPES["F"], share / 2)}


# ---- expected -------------------------------------------------------------------------------


def expecting() -> list[str]:
    """Presets that take a convolution; those of products of matrices refuse it."""
    layer, found = zs.layer(CONV, pad=1), []
    for name in presets():
        try:
            charged(layer, name, **drawn(0.5))
        except ZeroskipError:
            continue
        found.append(name)
    return found


def one_evaluation(name: str, runs: int) -> tuple[tuple[float, ...], str]:
    """Seconds of a charge at densities that were not met before, cycles and energy asked for; the
    median of a run.  A note has those with every figure asked for."""
    layer, design = zs.layer(CONV, pad=1), zs.arch(name)
    every_figure(charged(layer, design, **drawn(0.5)))
    rng = np.random.default_rng(0)
    found: list[float] = []
    whole: list[float] = []
    for _ in range(runs):
        shares = rng.uniform(0.05, 0.95, EVALUATIONS).tolist()
        for asked, medians in ((cycles_and_energy, found), (every_figure, whole)):
            calls = [partial(_evaluated, asked, layer, design, share) for share in shares]
            medians.append(float(np.median([seconds_of(call) for call in calls])))
    every = np.median(whole) * 1e3
    return tuple(found), f"{every:.2f} ms with room, work of each PE, tags and assumptions"


def cycles_and_energy(made: Charge) -> float:
    return made.cycles + made.energy_pj


def every_figure(made: Charge) -> float:
    parts = made.work_per_pe.sum(), *(room.needed_bits for room in made.capacity)
    return sum(map(float, parts), cycles_and_energy(made)) + len(made.tags) + len(made.assumptions)


def _evaluated(
    asked: Callable[[Charge], float], layer: zs.Layer, design: zs.Arch, share: float
) -> float:
    return asked(charged(layer, design, **drawn(share)))


def seconds_of(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def sweeping(figure: str, points: int, runs: int) -> tuple[tuple[float, ...], str]:
    """Seconds of so many points of a figure on scnn, and its error beside single charges."""
    layer, design = zs.layer(CONV, pad=1), zs.arch("scnn")
    made = charged(layer, design, **drawn(0.5)).function(figure)
    rng, seconds = np.random.default_rng(1), []
    for _ in range(runs):
        at = {f"d_{name}": rng.uniform(0.02, 1, points) for name in SHAPES}
        begin = time.perf_counter()
        values = made(**at)
        seconds.append(time.perf_counter() - begin)
    if np.shape(values) != (points,):
        raise RuntimeError(f"expected {points} values, found shape {np.shape(values)}")
    worst = 0.0
    for k in range(64):
        given = {n: zs.Density(s, float(at[f"d_{n}"][k])) for n, s in SHAPES.items()}
        one = charged(layer, design, **given)
        true = one.ops[figure] if figure in one.ops else getattr(one, figure)
        worst = max(worst, abs(float(values[k]) / true - 1))
    return tuple(seconds), f"off single charges by at most {worst:.2%}"


def expected(runs: int) -> list[Figure]:
    with pinned(1):
        found = [
            Figure(f"one expected evaluation, {name}", seconds, 2e-3, note)
            for name in expecting()
            for seconds, note in [one_evaluation(name, runs)]
        ]
        for figure, points in (
            ("effectual", POINTS),
            ("energy_pj", POINTS),
            ("compute_cycles", POINTS // 10),
            ("cycles", POINTS // 10),
        ):
            seconds, note = sweeping(figure, points, runs)
            what = f"{points:,} points of a sweep, {figure}"
            found.append(Figure(what, seconds, 1.0, note))
    return found


# ---- exact ----------------------------------------------------------------------------------


def squeezenet() -> list[tuple[zs.Layer, Array, Array]]:
    """Layer, activations of the first photograph and weights of each convolution."""
    found = []
    with np.load(file("nets", "squeezenet_dc.npz")) as held:
        for name in sorted(key[:-2] for key in held.files if key.endswith(".w")):
            own = f"{name}.x" in held.files
            source = name if own else name.replace("expand3x3", "expand1x1")
            weights = held[f"{name}.w"]
            size = weights.shape[2]
            layer = zs.layer(
                "O[n,m,p,q] = I[n,c,U*p+r,U*q+s]*F[m,c,r,s]",
                consts={"U": 2 if size == 7 else 1},
                pad=int(size == 3),
            )
            found.append((layer, held[f"{source}.x"][:1], weights))
    return found


def whole_network(runs: int) -> tuple[float, ...]:
    """Seconds of all layers, on arrays that were not met before.

    Raises
    ------
    RuntimeError
        Where a count is not the one that is known.
    """
    layers, design = squeezenet(), zs.arch("scnn-lanes")
    rng, seconds = np.random.default_rng(0), []
    for _ in range(runs + 1):  # the first compiles
        scale = rng.uniform(1, 2)
        fresh = [(layer, x * scale, w * scale) for layer, x, w in layers]
        begin = time.perf_counter()
        charges = [charged(layer, design, I=x, F=w) for layer, x, w in fresh]
        seconds.append(time.perf_counter() - begin)
        executed = sum(c.cartesian.products for c in charges if c.cartesian is not None)
        effectual = sum(c.ops["effectual"] for c in charges)
        if (executed, effectual) != (EXECUTED, EFFECTUAL):
            raise RuntimeError(f"{executed:,} products, {effectual:,} effectual")
    return tuple(seconds[1:])


def graph(rng: np.random.Generator, nodes: int = 36_692, edges: int = 420_000) -> zs.Tensor:
    """A matrix whose rows and columns are drawn by a power law, as many as email-Enron's."""
    weights = (np.arange(nodes) + 20.0) ** -0.84
    ends = rng.permutation(nodes)[rng.choice(nodes, (2, edges), p=weights / weights.sum())]
    coords = np.unique(ends, axis=1)
    return zs.Tensor.from_coords(tuple(coords), np.ones(coords.shape[1]), (nodes, nodes), "CSR")


def gamma(runs: int) -> Iterator[tuple[float, int]]:
    """Seconds of a matrix squared on Gamma, its cache fiber by fiber, and its products."""
    layer = zs.layer("Z[m,n] = A[m,k]*B[k,n]")
    mapping, rng = zs.Mapping("m k n", space={"m": "pe"}), np.random.default_rng(0)
    for run in range(runs + 1):
        matrix = graph(rng)
        begin = time.perf_counter()
        made = charged(layer, "gamma", A=matrix, B=matrix, mapping=mapping)
        taken = time.perf_counter() - begin
        if made.ops["effectual"] < MULTIPLICATIONS:
            raise RuntimeError(f"{made.ops['effectual']:,} multiplications")
        if run:
            yield taken, made.ops["effectual"]


def products(runs: int) -> list[Figure]:
    with pinned(1):
        taken = list(gamma(runs))
    least = min(number for _, number in taken)
    name = f"a product of {MULTIPLICATIONS // 10**6} million multiplications on gamma, exact"
    note = f"{least:,} effectual or more, cache by fibers"
    return [Figure(name, tuple(seconds for seconds, _ in taken), 2.0, note)]


def network(runs: int) -> list[Figure]:
    with pinned(1):
        seconds = whole_network(runs)
    note = f"{EXECUTED:,} products executed, {EFFECTUAL:,} effectual"
    return [Figure("SqueezeNet, every layer on scnn-lanes, exact", seconds, 1.0, note)]


ROWS = (
    Figures(
        "charges-expected",
        "hardware model, expected: one evaluation, and sweeps within one structure",
        expected,
        notes=(
            "One thread. A convolution of 64 channels of 28² and 64 filters of 3², padded, at "
            "densities that were not met before; presets that are not here are of products of "
            "matrices, and refuse a convolution. Cycles of a sweep are read from a table that is "
            "made before the clock.",
        ),
    ),
    Figures(
        "charges-product",
        "hardware model, exact: a product of two sparse matrices",
        products,
        notes=("One thread, fresh matrices every run, kernels warm.",),
    ),
    Figures(
        "charges-network",
        "hardware model, exact: the whole pruned SqueezeNet",
        network,
        notes=(
            "One thread, fresh arrays every run, kernels warm; all charges but conflicts of banks.",
        ),
    ),
)
