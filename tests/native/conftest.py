"""Puts the helpers of this folder and SymPy's judge (doit.py) where the tests can import them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "einsum_spec"))
