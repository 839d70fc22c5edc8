"""Write native/abi.py anew from native/c/zs_kernel.h: after every change of the argument struct.

python tools/abi.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cffi
from layout import ROOT

from zeroskip.native.texts import shared_part

HEAD = '''"""The argument struct of c/zs_kernel.h as cffi knows it; written by tools/abi.py.

cffi's parser of C is slow to start; what it makes of the struct needs none of it.
"""

# ruff: noqa
# fmt: off
from typing import Any
'''


def text() -> str:
    """What native/abi.py is to hold."""
    maker = cffi.FFI()
    maker.cdef(shared_part())
    maker.set_source("zeroskip.native.abi", None)
    with tempfile.TemporaryDirectory() as place:
        made = Path(place) / "abi.py"
        maker.emit_python_code(str(made))
        emitted = made.read_text(encoding="utf-8").removeprefix("# auto-generated file\n")
    return HEAD + emitted.replace("ffi =", "ffi: Any =", 1)


def main() -> int:
    (ROOT / "native" / "abi.py").write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
