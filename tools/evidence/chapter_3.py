"""Metrics of chapter 3: Eyeriss as published; batch and ReLU on the demo's networks."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from claim import ROOT, Claim
from squeezenet import Array

import zeroskip as zs
from zeroskip.hwmodel import Accuracy, CascadeCharge, Charge, Metrics, metrics_of

sys.path.insert(0, str(ROOT / "examples" / "digits"))

import network

MACS = 665_784_864
DESIGNS = ("dense", "eyeriss", "scnn")
Run = dict[str, Metrics]


def claims(folder: Path) -> Iterator[Claim]:
    yield from _eyeriss(folder / "published" / "eyeriss-alexnet.csv")
    yield from _digits()
    yield from _squeezenet(folder / "nets" / "squeezenet_dc.npz")


def _eyeriss(path: Path) -> Iterator[Claim]:
    """AlexNet's CONV layers, batch 4, on 168 PEs at 200 MHz: the published row of totals."""
    with path.open() as file:
        row = next(row for row in csv.DictReader(file) if row["Layer"] == "Total")
    seconds = float(row["Total Latency (ms)"]) / 1e3
    made = Metrics(
        MACS,
        4 / seconds,
        watts=float(row["Power (mW)"]) / 1e3,
        pes=168,
        clock_hz=200e6,
        batch=4,
        latency_s=seconds,
        active_pes=float(row["Num. of Active PEs"]),
        network="AlexNet, CONV layers",
        design="Eyeriss",
        basis="measured",
        off_chip_bits=float(row["DRAM Accesses (MB)"]) * 8e6 / 4,
        storage_bits=108 * 1024 * 8,
    )
    assert made.macs_per_joule is not None
    found = (made.inferences_per_s, made.macs_per_s / 1e9, made.macs_per_joule / 1e9)
    yield Claim(
        "Eyeriss, published latency and power: 34.7 frames/s, 23.1 GMAC/s, 83.1 GMAC/s/W",
        ", ".join(f"{figure:.1f}" for figure in found),
        [round(figure, 1) for figure in found] == [34.7, 23.1, 83.1],
    )
    yield Claim(
        "its report without accuracy is incomplete",
        ", ".join(made.missing),
        "accuracy" in made.missing,
    )


# ---- the digits network -------------------------------------------------------------------


def _digits() -> Iterator[Claim]:
    """All layers that have weights, on 16 of its test images, with ReLU as trained and without."""
    net = network.load()
    runs = {(batch, relu): _run(net, batch, relu) for batch in (1, 16) for relu in (True, False)}
    on, off, large = runs[1, True], runs[1, False], runs[16, True]
    yield from _of_relu("digits", on, off)
    yield from _of_batch("digits", on, large)
    logits = network.forward(net, network.reference)[-1].output
    reached = Accuracy(
        100 * network.accuracy(net, logits),
        "Top-1 %",
        "image classification",
        f"{len(net.images)} handwritten digits, never trained on",
    )
    whole = _run(net, 16, True, reached)["scnn"]
    yield Claim(
        "digits, report on scnn with its accuracy is complete, and TOPS/W is told",
        f"{reached.value:.1f} Top-1 %, {whole.inferences_per_s:,.0f} inferences/s, "
        f"{1e6 * (whole.joules_per_inference or 0):.2f} µJ of each, "
        f"{whole.tops_per_watt if not whole.missing else float('nan'):.3f} TOPS/W",
        not whole.missing,
    )


def _run(net: network.Network, batch: int, relu: bool, accuracy: Any = ()) -> Run:
    steps = network.forward(net, network.reference if relu else _linear, net.input()[:batch])
    found = {}
    for design in DESIGNS:
        charges: list[Charge | CascadeCharge] = []
        for step in steps:
            if "F" in step.operands:
                text = step.layer.text if relu else _without_relu(step.layer.text)
                layer = zs.layer(text, pad=step.layer.pad)
                given: dict[str, Any] = {**step.operands, "O": step.output}
                charges.append(zs.charge(layer, design, **given))
        found[design] = metrics_of(charges, batch=batch, network="digits", accuracy=accuracy)
    return found


def _linear(layer: network.Layer, operands: network.Operands) -> Array:
    """A layer in plain NumPy, without the ReLU that it may end in."""
    if layer.text != network.CONV:
        return network.reference(layer, operands)
    positive = network.reference(layer, operands)
    negated = {**operands, "F": -operands["F"], "B": -operands["B"]}
    return np.asarray(positive - network.reference(layer, negated))


def _without_relu(text: str) -> str:
    return text.replace("relu(", "(")


# ---- the fire modules of SqueezeNet -------------------------------------------------------


def _squeezenet(path: Path) -> Iterator[Claim]:
    """The 16 expanding layers, whose input is a ReLU of the squeezing layer before them."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    fires = sorted({name.split("/")[0] for name in arrays if name.startswith("fire")})
    squeezed = {
        fire: [
            zs.einsum(
                f"O[n,m,p,q] = {relu}(B[m] + I[n,c,p,q]*F[m,c])",
                B=arrays[f"{fire}/squeeze1x1.b"],
                I=arrays[f"{fire}/squeeze1x1.x"],
                F=arrays[f"{fire}/squeeze1x1.w"][:, :, 0, 0],
            )
            for relu in ("relu", "")
        ]
        for fire in fires
    }
    kept = [np.abs(squeezed[f][0] - arrays[f"{f}/expand1x1.x"]).max() for f in fires]
    scale = max(float(np.abs(arrays[f"{f}/expand1x1.x"]).max()) for f in fires)
    yield Claim(
        "SqueezeNet, squeezing layers give the activations that the file keeps",
        f"{max(kept):.1e} off at most, of {scale:.3g}",
        max(kept) <= 1e-4 * scale,
    )
    runs = {
        (batch, relu): _expanding(arrays, squeezed, batch, relu)
        for batch in (1, 2)
        for relu in (True, False)
    }
    yield from _of_relu("SqueezeNet, 16 expanding layers", runs[1, True], runs[1, False])
    yield from _of_batch("SqueezeNet, 16 expanding layers", runs[1, True], runs[2, True])


def _expanding(
    arrays: dict[str, Array], squeezed: dict[str, list[Any]], batch: int, relu: bool
) -> Run:
    found = {}
    for design in DESIGNS:
        charges: list[Charge | CascadeCharge] = []
        for fire, both in squeezed.items():
            x = np.asarray(both[0 if relu else 1])[:batch]
            for name, pad in ((f"{fire}/expand1x1", 0), (f"{fire}/expand3x3", 1)):
                text = f"O[n,m,p,q] = {'relu' if relu else ''}(B[m] + I[n,c,p+r,q+s]*F[m,c,r,s])"
                layer, weights = (
                    zs.layer(text, pad={"I": {"h": pad, "w": pad}}),
                    arrays[f"{name}.w"],
                )
                charges.append(zs.charge(layer, design, B=arrays[f"{name}.b"], I=x, F=weights))
        found[design] = metrics_of(charges, batch=batch, network="SqueezeNet")
    return found


# ---- what section 8.1.1 says --------------------------------------------------------------


def _of_relu(name: str, on: Run, off: Run) -> Iterator[Claim]:
    shares = [run["dense"].effectual_of_all or 0 for run in (off, on)]
    yield Claim(
        f"{name}: ReLU makes operations ineffectual (effectual of all, without and with)",
        f"{shares[0]:.1%}, {shares[1]:.1%}",
        shares[1] < shares[0],
    )
    for design, says in (
        ("dense", "throughput, energy and bits off chip the same"),
        ("eyeriss", "throughput the same, less energy, fewer bits off chip"),
        ("scnn", "throughput higher, less energy, fewer bits off chip"),
    ):
        with_, without = on[design], off[design]
        pace = with_.inferences_per_s / without.inferences_per_s
        energy, bits = _joules(with_) / _joules(without), _off_chip(with_) / _off_chip(without)
        holds = {
            "dense": (pace, energy, bits) == (1, 1, 1),
            "eyeriss": round(pace, 2) == 1 and energy < 1 and bits < 1,
            "scnn": pace > 1 and energy < 1 and bits < 1,
        }
        yield Claim(
            f"{name}, {design}, ReLU: {says} (with over without)",
            f"{pace:.2f}, {energy:.2f}, {bits:.2f}",
            holds[design],
        )


def _of_batch(name: str, one: Run, many: Run) -> Iterator[Claim]:
    for design in DESIGNS:
        small, large = one[design], many[design]
        ratios = [
            large.inferences_per_s / small.inferences_per_s,
            (large.latency_s or 0) / (small.latency_s or 1),
            _joules(large) / _joules(small),
            _off_chip(large) / _off_chip(small),
        ]
        yield Claim(
            f"{name}, {design}, batch {large.batch} over 1: latency up; energy and bits off chip "
            "of each inference down (throughput, latency, energy, bits)",
            ", ".join(f"{ratio:.2f}" for ratio in ratios),
            ratios[1] > 1 and ratios[2] < 1 and ratios[3] < 1,
        )


def _joules(made: Metrics) -> float:
    assert made.joules_per_inference is not None
    return made.joules_per_inference


def _off_chip(made: Metrics) -> float:
    assert made.off_chip_bits is not None
    return made.off_chip_bits
