"""What the tests of this folder share: modules beside them, and an engine that compiles nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def without_compiling() -> Iterator[None]:
    """Hundreds of structures: the engine answers by its dense judge here.  That C gives the
    same is the engine's own test, and `test_squeezenet`'s."""
    from zeroskip.native import engine

    with pytest.MonkeyPatch.context() as patch:
        dense = partial(engine.evaluate, backend="numpy")
        patch.setattr(sys.modules["zeroskip.hwmodel.evaluate"], "evaluate", dense)
        yield
