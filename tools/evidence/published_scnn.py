"""Products that SCNN's multipliers execute on the pruned SqueezeNet, also those off the output."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from claim import Claim, exactly
from squeezenet import layers

import zeroskip as zs
from zeroskip.hwmodel import Charge
from zeroskip.hwmodel.cartesian import CartesianCharge

EXECUTED, EFFECTUAL = 894_418_724, 344_561_019


def claims(folder: Path) -> Iterator[Claim]:
    net = layers(folder)
    arch = zs.arch("scnn-lanes")
    seconds = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        scale = rng.uniform(1, 2)
        masks = [(step.activations * scale, step.weights * scale) for step in net]
        start = time.perf_counter()
        found = [
            _charged(zs.charge(step.layer, arch, I=x, F=w))
            for step, (x, w) in zip(net, masks, strict=True)
        ]
        seconds.append(time.perf_counter() - start)
    executed = sum(vectors.products for _, vectors in found)
    effectual = sum(charge.ops["effectual"] for charge, _ in found)
    off = sum(vectors.off_output for _, vectors in found)
    yield exactly("products executed, whole network", executed, EXECUTED)
    yield exactly("of these effectual", effectual, EFFECTUAL)
    yield exactly("of these off the output", off, EXECUTED - EFFECTUAL)
    first = next(v for step, (_, v) in zip(net, found, strict=True) if step.name == "conv1")
    share = first.off_output / first.products
    yield Claim("share off the output in conv1: 76 %", f"{share:.1%}", round(share, 2) == 0.76)
    lanes = sum(vectors.idle_lanes for _, vectors in found)
    yield Claim("lanes that rounding up leaves idle are counted", f"{lanes:,d}", lanes > 0)
    yield Claim(
        "all charges but bank conflicts, 8x8 PEs, fresh arrays, kernels warm: under 1 s",
        f"{max(seconds[1:]):.2f} s",
        max(seconds[1:]) < 1,
    )


def _charged(found: object) -> tuple[Charge, CartesianCharge]:
    assert isinstance(found, Charge)
    assert found.cartesian is not None
    return found, found.cartesian
