"""zeroskip: run a sparse layer, and charge for it, from one line of Einsum.

>>> import numpy as np
>>> import zeroskip as zs
>>> conv = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", pad=1)
>>> image, weights = np.ones((1, 2, 4, 4)), np.zeros((3, 2, 3, 3))
>>> weights[0, 0, 1, 1] = 1.0
>>> conv(I=image, F=zs.tensor(weights, "CSR")).shape
(1, 3, 4, 4)

Names are imported when they are first used, so that ``import zeroskip`` costs little more
than NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zeroskip.formats.provided import provide as _provide
from zeroskip.formats.provided import provide_codecs as _provide_codecs

__version__ = "0.1.0"

_WHERE = {
    "layer": "zeroskip.computing",
    "einsum": "zeroskip.computing",
    "Layer": "zeroskip.computing",
    "tensor": "zeroskip.formats.convert",
    "Tensor": "zeroskip.formats.tensor",
    "Format": "zeroskip.formats.format",
    "storage": "zeroskip.formats.storage",
    "Density": "zeroskip.formats.density",
    "Schedule": "zeroskip.native.fixed",
    "save": "zeroskip.formats.files",
    "load": "zeroskip.formats.files",
    "Table": "zeroskip.table",
    "arch": "zeroskip.hwmodel.arch",
    "Arch": "zeroskip.hwmodel.arch",
    "Mapping": "zeroskip.hwmodel.mapping",
    "Charge": "zeroskip.hwmodel.charge",
    "charge": "zeroskip.charging",
    "compare": "zeroskip.hwmodel.report",
    "sweep": "zeroskip.sweeping",
    "bench": "zeroskip.benchmark.benching",
    "break_even": "zeroskip.benchmark.breaking_even",
    "explain": "zeroskip.explanation.explaining",
    "ZeroskipError": "zeroskip.errors",
    "EinsumError": "zeroskip.errors",
    "FormatError": "zeroskip.errors",
    "TensorError": "zeroskip.errors",
    "KernelError": "zeroskip.errors",
    "CompilerError": "zeroskip.errors",
    "CacheError": "zeroskip.errors",
    "ArchError": "zeroskip.errors",
    "IndexingError": "zeroskip.errors",
}
_MODULES = ("config", "layers", "semirings")
_provide(lambda: import_module("zeroskip.arrays"))
_provide_codecs(lambda: import_module("zeroskip.native.codecs"))

__all__ = [
    "Arch",
    "ArchError",
    "CacheError",
    "Charge",
    "CompilerError",
    "Density",
    "EinsumError",
    "Format",
    "FormatError",
    "IndexingError",
    "KernelError",
    "Layer",
    "Mapping",
    "Schedule",
    "Table",
    "Tensor",
    "TensorError",
    "ZeroskipError",
    "__version__",
    "arch",
    "bench",
    "break_even",
    "charge",
    "compare",
    "config",
    "einsum",
    "explain",
    "layer",
    "layers",
    "load",
    "save",
    "semirings",
    "storage",
    "sweep",
    "tensor",
]

if TYPE_CHECKING:
    from zeroskip import config, layers, semirings
    from zeroskip.benchmark.benching import bench
    from zeroskip.benchmark.breaking_even import break_even
    from zeroskip.charging import charge
    from zeroskip.computing import Layer, einsum, layer
    from zeroskip.errors import (
        ArchError,
        CacheError,
        CompilerError,
        EinsumError,
        FormatError,
        IndexingError,
        KernelError,
        TensorError,
        ZeroskipError,
    )
    from zeroskip.explanation.explaining import explain
    from zeroskip.formats.convert import tensor
    from zeroskip.formats.density import Density
    from zeroskip.formats.files import load, save
    from zeroskip.formats.format import Format
    from zeroskip.formats.storage import storage
    from zeroskip.formats.tensor import Tensor
    from zeroskip.hwmodel.arch import Arch, arch
    from zeroskip.hwmodel.charge import Charge
    from zeroskip.hwmodel.mapping import Mapping
    from zeroskip.hwmodel.report import compare
    from zeroskip.native.fixed import Schedule
    from zeroskip.sweeping import sweep
    from zeroskip.table import Table


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"zeroskip.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'zeroskip' has no attribute {name!r}")
    found = getattr(import_module(_WHERE[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
