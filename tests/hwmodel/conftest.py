"""What the tests of this folder share: modules beside them, and an engine that compiles nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def without_compiling() -> Iterator[None]:
    """Hundreds of structures: the engine answers by its dense judge here, whoever asks it.  That C
    gives the same is the engine's own test, and `test_squeezenet`'s."""
    from zeroskip import hwmodel
    from zeroskip.native import engine

    dense = partial(engine.evaluate, backend="numpy")
    with pytest.MonkeyPatch.context() as patch:
        for module in iter_modules(hwmodel.__path__):
            asking = import_module(f"{hwmodel.__name__}.{module.name}")
            if getattr(asking, "evaluate", None) is engine.evaluate:
                patch.setattr(asking, "evaluate", dense)
        yield
