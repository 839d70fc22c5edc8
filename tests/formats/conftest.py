"""Puts the generator of random formats (tests/native/generator.py) in reach of the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "native"))
