"""What a ReLU and a batch change: two layers on made-up images, section 8.1.1 of the book.

A ReLU makes zeros of about half the activations.  Zeros save time where they are skipped, energy
where they are gated or skipped, storage where it is compressed, and nothing on a dense design.  A
batch shares the weights: fewer bits come from off chip for each inference, and each waits longer.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from zeroskip.einsum_spec import make_spec
from zeroskip.hwmodel import Charge, charge, metrics_of
from zeroskip.hwmodel.metrics import Metrics, Work

LAYER = "O[n,m,p,q] = {}(B[m] + I[n,c,p+r,q+s]*F[m,c,r,s])"
CHANNELS = (3, 8, 8)


def weights() -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((m, c, 3, 3)) for c, m in pairwise(CHANNELS)]


def images(batch: int) -> NDArray[np.float64]:
    return np.random.default_rng(1).standard_normal((4, 3, 12, 12))[:batch]


def convolved(x: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    return np.einsum("ncpqrs,mcrs->nmpq", windows, w)


@cache
def layers(design: str, batch: int, relu: bool) -> tuple[Charge, ...]:
    """Both layers; results are those that NumPy has, bias 0."""
    x, found = images(batch), []
    spec = make_spec(LAYER.format("relu" if relu else ""))
    for w in weights():
        out = convolved(x, w)
        out = np.maximum(out, 0) if relu else out
        operands = {"I": x, "F": w, "B": np.zeros(len(w)), "O": out}
        found.append(charge(spec, design, operands))
        x = out
    return tuple(found)


def metrics(design: str, batch: int = 1, relu: bool = True) -> Metrics:
    return metrics_of(layers(design, batch, relu), batch=batch, network="two layers")


def work(made: Metrics) -> Work:
    assert made.work is not None
    return made.work


def joules(made: Metrics) -> float:
    assert made.joules_per_inference is not None
    return made.joules_per_inference


def off_chip(made: Metrics) -> float:
    assert made.off_chip_bits is not None
    return made.off_chip_bits


def test_a_relu_makes_zeros_and_nothing_else() -> None:
    on, off = metrics("dense"), metrics("dense", relu=False)
    assert on.macs == off.macs
    assert on.effectual_of_all is not None
    assert off.effectual_of_all == 1
    second = layers("dense", 1, True)[1]
    hidden = np.maximum(convolved(images(1), weights()[0]), 0)
    windows = np.lib.stride_tricks.sliding_window_view(hidden != 0, (3, 3), axis=(2, 3))
    assert second.ops["effectual"] == 8 * windows.sum()
    assert 0.4 < second.ops["effectual"] / second.ops["dense"] < 0.6


def test_zeros_are_nothing_to_a_dense_design() -> None:
    on, off = metrics("dense"), metrics("dense", relu=False)
    assert on.inferences_per_s == off.inferences_per_s
    assert joules(on) == joules(off)
    assert off_chip(on) == off_chip(off)


def test_gating_saves_energy_and_storage_and_no_cycle() -> None:
    on, off = metrics("eyeriss"), metrics("eyeriss", relu=False)
    assert work(on).timed == work(off).timed == on.macs
    cycles = [sum(c.compute_cycles for c in layers("eyeriss", 1, relu)) for relu in (True, False)]
    assert cycles[0] == cycles[1]
    assert work(on).executed < work(off).executed
    assert joules(on) < joules(off)
    assert off_chip(on) < off_chip(off)


def test_skipping_saves_time_too() -> None:
    on, off = metrics("scnn"), metrics("scnn", relu=False)
    fewer = work(off).timed / work(on).timed  # PEs wait for each other: less than this is gained
    assert 1.1 < on.inferences_per_s / off.inferences_per_s < fewer
    assert joules(on) < joules(off)
    assert off_chip(on) < off_chip(off)
    assert work(on).timed == work(on).effectual < work(off).effectual


@pytest.mark.parametrize("design", ["eyeriss", "scnn"])
def test_without_zeros_compression_costs_what_it_does_not_save(design: str) -> None:
    """Values that are all there, each with a coordinate or a run beside it."""
    plain = off_chip(metrics("dense", relu=False))
    assert off_chip(metrics(design, relu=False)) > plain
    assert joules(metrics(design, relu=False)) > joules(metrics("dense", relu=False))
    moved = layers(design, 1, True)[0].at("DRAM", "O")
    assert moved.write_bits < layers("dense", 1, True)[0].at("DRAM", "O").write_bits


@pytest.mark.parametrize("design", ["dense", "eyeriss", "scnn"])
@pytest.mark.parametrize("relu", [True, False])
def test_a_batch_shares_the_weights(design: str, relu: bool) -> None:
    one, four = metrics(design, 1, relu), metrics(design, 4, relu)
    assert four.macs == one.macs
    first = [layers(design, batch, relu)[0] for batch in (1, 4)]
    assert first[0].at("DRAM", "F") == first[1].at("DRAM", "F")
    assert off_chip(four) < off_chip(one)
    assert joules(four) < joules(one)
    assert one.latency_s is not None
    assert four.latency_s is not None
    assert four.latency_s > one.latency_s
    assert four.inferences_per_s >= 0.95 * one.inferences_per_s  # other images, other zeros
    assert four.in_flight == pytest.approx(4)


def test_a_dense_batch_by_hand() -> None:
    """Of each inference, three quarters of 16 bits of every weight and bias less."""
    one, four = metrics("dense", 1), metrics("dense", 4)
    parameters = sum(w.size + len(w) for w in weights())
    assert off_chip(one) - off_chip(four) == 0.75 * 16 * parameters


def test_activations_need_storage_for_each_image() -> None:
    small, large = (layers("dense", batch, True)[1] for batch in (1, 4))
    assert large.at("DRAM", "I").read_bits == 4 * small.at("DRAM", "I").read_bits
    assert large.at("DRAM", "O").write_bits == 4 * small.at("DRAM", "O").write_bits
    rooms = [max(level.needed_bits for level in made.capacity) for made in (small, large)]
    assert rooms[0] < rooms[1]
