"""What every test may use: a Hypothesis profile without clocks, kernels of its own, shared data."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# Read by zeroskip.native.settings when a kernel is first asked for: the user's cache is left alone.
os.environ.setdefault("ZEROSKIP_CACHE_DIR", str(ROOT / ".pytest_cache" / "kernels"))

# A shell's background job ignores Ctrl-C, and so would the kernels that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("default-run", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("ZEROSKIP_HYPOTHESIS", "default-run"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the large inputs that are not kept here; the test is skipped where it is absent."""
    folder = Path(os.environ.get("ZEROSKIP_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no {folder}; set ZEROSKIP_DATA to the folder that holds nets/ and matrices/")
    return folder
