"""Write the golden C of tests/native/goldens/ anew: to be read, and committed with a reason.

python tools/goldens.py
"""

from __future__ import annotations

import importlib
import sys

from layout import ROOT

TESTS = ROOT / "tests" / "native"


def main() -> int:
    sys.path.insert(0, str(TESTS))
    kernels: dict[str, str] = importlib.import_module("golden_kernels").kernels()
    place = TESTS / "goldens"
    place.mkdir(exist_ok=True)
    for path in place.glob("*.c"):
        if path.stem not in kernels:
            path.unlink()
            print(f"removed {path.relative_to(ROOT)}")
    for name, text in kernels.items():
        path = place / f"{name}.c"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
