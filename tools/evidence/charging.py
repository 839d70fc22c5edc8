"""The charge, exactly, on the pruned SqueezeNet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from claim import Claim, exactly
from squeezenet import Array, SqueezeLayer, layers

import zeroskip as zs

DENSE, EFFECTUAL, CYCLES = 832_667_936, 344_561_019, 25_934_077


def claims(folder: Path) -> Iterator[Claim]:
    net = layers(folder)
    arch = zs.arch("scnn")
    totals, seconds = [], []
    for seed in range(4):
        masks = [_masks(step, seed) for step in net]
        start = time.perf_counter()
        charges = [
            zs.charge(step.layer, arch, I=x, F=w) for step, (x, w) in zip(net, masks, strict=True)
        ]
        seconds.append(time.perf_counter() - start)
        totals.append(
            (
                sum(c.ops["dense"] for c in charges),
                sum(c.ops["effectual"] for c in charges),
                sum(c.compute_cycles for c in charges),
            )
        )
    yield Claim("26 layers", f"{len(net)}", len(net) == 26)
    yield exactly("dense multiplications", totals[0][0], DENSE)
    yield exactly("effectual multiplications", totals[0][1], EFFECTUAL)
    yield exactly("cycles of the 4x4 array, waiting after each c", int(totals[0][2]), CYCLES)
    yield Claim(
        "the same with fresh arrays on every repeat",
        f"{len(set(totals))} outcome",
        len(set(totals)) == 1,
    )
    warm = max(seconds[1:])
    yield Claim(
        "whole charge of the network, fresh arrays, kernels warm: under 1 s",
        f"{warm:.2f} s, the slowest of {len(seconds) - 1}",
        warm < 1,
    )
    yield from _one_weight_less(net, arch)
    yield from _stored_is_not_effectual(net, arch)


def _masks(step: SqueezeLayer, seed: int) -> tuple[Array, Array]:
    """The layer's zeros with fresh non-zero values, so that nothing can be remembered."""
    rng = np.random.default_rng(seed)
    fresh = [
        (x != 0) * rng.uniform(1, 2, x.shape).astype(np.float32)
        for x in (step.activations, step.weights)
    ]
    return fresh[0], fresh[1]


def _one_weight_less(net: list[SqueezeLayer], arch: zs.Arch) -> Iterator[Claim]:
    """One weight zeroed: counted by slicing the activations that it meets."""
    step = next(s for s in net if s.name == "fire9/expand3x3")
    m, c, r, s = (int(i[0]) for i in np.nonzero(step.weights))
    less = step.weights.copy()
    less[m, c, r, s] = 0
    before = zs.charge(step.layer, arch, I=step.activations, F=step.weights)
    after = zs.charge(step.layer, arch, I=step.activations, F=less)
    padded = np.pad(step.activations[0, c], step.pad)
    p, q = (n + 2 * step.pad - 2 for n in step.activations.shape[2:])
    met = int(np.count_nonzero(padded[r : r + p, s : s + q]))
    fell = before.ops["effectual"] - after.ops["effectual"]
    yield exactly("one weight zeroed, effectual multiplications fall by", fell, met)


def _stored_is_not_effectual(net: list[SqueezeLayer], arch: zs.Arch) -> Iterator[Claim]:
    """Explicit zeros and bridges are stored and moved; they are not effectual."""
    step = next(s for s in net if s.name == "fire9/expand3x3")
    weights = zs.tensor(step.weights, "CSR")
    everything = np.indices(step.weights.shape).reshape(4, -1)
    explicit = zs.Tensor.from_coords(
        tuple(everything), step.weights.reshape(-1), step.weights.shape, "CSR"
    )
    bridged = zs.tensor(step.weights, "RLE(1)")
    base, with_zeros, with_bridges = (
        zs.charge(step.layer, arch, I=step.activations, F=f) for f in (weights, explicit, bridged)
    )
    charges = (base, with_zeros, with_bridges)
    effectual = {c.ops["effectual"] for c in charges}
    yield Claim(
        "explicit zeros and bridges leave what is effectual alone",
        " or ".join(f"{n:,d}" for n in sorted(effectual)),
        len(effectual) == 1,
    )
    wasted = [c.ops["ineffectual"] for c in charges[:2]]
    yield Claim(
        "but a stored zero is executed where storage is what is skipped by (without, with)",
        f"{wasted[0]:,d}, {wasted[1]:,d}",
        wasted[0] == 0 < wasted[1],
    )
    stored = (weights.stored, explicit.stored, bridged.stored)
    yield Claim(
        "and are stored (CSR, CSR with explicit zeros, RLE(1))",
        f"{stored[0]:,d}, {stored[1]:,d}, {stored[2]:,d} entries",
        stored[0] < stored[2] <= stored[1],
    )
    moved = [c.at("DRAM", "F").data_bits for c in (base, with_zeros)]
    yield Claim(
        "and moved (data bits of F off chip, without and with explicit zeros)",
        f"{moved[0]:,d}, {moved[1]:,d}",
        moved[0] < moved[1],
    )
    final = next(s for s in net if s.name == "conv_final")
    runs = zs.tensor(final.activations, "RLE(5)")
    bits = runs.storage(value_bits=16)
    read = zs.charge(final.layer, "eyeriss", I=final.activations, F=final.weights).at("DRAM", "I")
    same = (read.data_bits, read.metadata_bits) == (bits.data_bits, bits.metadata_bits)
    yield Claim(
        "bridges are moved: conv_final's activations, RLE(5) off chip on eyeriss",
        f"{read.data_bits + read.metadata_bits:,d} bits for {runs.stored:,d} entries,"
        f" {runs.stored - runs.nnz:,d} of them bridges",
        same and runs.stored > runs.nnz,
    )
