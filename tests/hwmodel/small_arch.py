"""A small architecture with whatever is changed, and the text with which one is refused."""

from __future__ import annotations

from typing import Any

import pytest

from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import arch

SMALL: dict[str, Any] = {
    "name": "small",
    "array": {"rows": 2, "cols": 3},
    "energy": "eyeriss-relative",
    "levels": {"DRAM": {}, "GLB": {"capacity_bits": 1024}, "PE": {}},
}


def described(**changes: Any) -> dict[str, Any]:
    return {**SMALL, **changes}


def failing(source: Any, **options: Any) -> str:
    with pytest.raises(ArchError) as caught:
        arch(source, **options)
    return str(caught.value)
