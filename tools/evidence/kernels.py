"""Kernels: every answer equals NumPy's and the interpreter's."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sympy
from claim import ROOT, Claim
from squeezenet import layers

import zeroskip as zs

SUITES = ("tests/native", "tests/formats", "tests/facade")


def claims(folder: Path) -> Iterator[Claim]:
    for suite in SUITES:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", suite],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        passed = re.search(r"(\d+) passed", done.stdout)
        last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "no output"
        found = f"{passed[1]} tests passed" if passed else last
        yield Claim(suite, found, done.returncode == 0 and passed is not None)
    yield _real_layers(folder)
    yield _text_and_eq()


def _real_layers(folder: Path) -> Claim:
    """Each layer of SqueezeNet with sparse weights, bound and unbound, against the judge."""
    worst = 0.0
    for step in layers(folder):
        weights = zs.tensor(step.weights, "CSR")
        wanted = step.layer(I=step.activations, F=step.weights, backend="numpy")
        scale = step.layer(I=abs(step.activations), F=abs(step.weights), backend="numpy")
        for found in (
            step.layer(I=step.activations, F=weights),
            step.layer.bind(F=weights)(I=step.activations),
            step.layer(I=zs.tensor(step.activations, "n:U c:U h:U w:C"), F=step.weights),
        ):
            error = np.abs(found - wanted) / np.maximum(scale, np.finfo(np.float32).tiny)
            worst = max(worst, float(error.max()))
    return Claim(
        "SqueezeNet, float32, three kernels a layer: error below 1e-5 of the operands' scale",
        f"{worst:.1e}",
        worst < 1e-5,
    )


def _text_and_eq() -> Claim:
    """The same layer from text and from an Eq built by hand gives the same C."""
    n, m, p, q, c, r, s = (sympy.Symbol(x, integer=True) for x in "nmpqcrs")
    o, i, f = (sympy.IndexedBase(x) for x in "OIF")
    product = f[m, c, r, s] * i[n, c, p + r, q + s]
    ranges = [(x, 0, sympy.Symbol(str(x).upper()) - 1) for x in (c, r, s)]
    by_hand = zs.layer(sympy.Eq(o[n, m, p, q], sympy.Sum(product, *ranges)))
    text = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]")
    x, w = np.ones((1, 2, 5, 5), np.float32), zs.tensor(np.ones((3, 2, 3, 3), np.float32), "CSR")
    same = zs.explain(by_hand, I=x, F=w).c == zs.explain(text, I=x, F=w).c
    return Claim("text and a hand-built Eq give the same C", str(same), same)
