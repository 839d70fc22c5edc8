"""Cycles and classes of points of an Eyeriss v2 PE, as published, from the real masks."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from claim import Claim, exactly

import zeroskip as zs

SPLIT_L07 = {"effectual": 1_702_140, "skipped": 1_351_684, "never_fetched": 1_140_480}


def claims(folder: Path) -> Iterator[Claim]:
    with (folder / "published" / "eyerissv2-pe-cycles.csv").open() as file:
        published = {row["layer"]: int(row["cycles"]) for row in csv.DictReader(file)}
    layer = zs.layer("O[e,m] = I[e,c]*F[m,c]")
    with np.load(folder / "nets" / "mobilenet05_masks.npz") as held:
        for name, cycles in published.items():
            m, c, e, f = (int(n) for n in held[f"{name}_MCEF"])
            iacts = held[f"{name}_iacts"].reshape(e * f, c) != 0
            weights = held[f"{name}_weights"].reshape(m, c) != 0
            charged = zs.charge(layer, "eyeriss-v2-pe", I=iacts, F=weights)
            yield exactly(f"cycles of {name}", int(charged.cycles), cycles)
            if name == "L07":
                for kind, points in SPLIT_L07.items():
                    yield exactly(f"{name}, points {kind}", charged.ops[kind], points)
                yield exactly(f"{name}, all points", charged.ops["dense"], 4_194_304)
