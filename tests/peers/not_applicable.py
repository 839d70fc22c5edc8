"""Cases of the public suites that ask for what zeroskip does not have, each with its reason.

Suite -> pattern of `fnmatch` over the name of a case -> reason.  ``make peers`` counts them and
refuses more than one in twenty of a suite.
"""

from __future__ import annotations

REASONS: dict[str, dict[str, str]] = {
    "numpy": {
        "*raises CustomException": "arrays of Python objects",
        "i,j of (1,) (1,) raises TypeError": "arrays of Python objects",
        "mi,mi,mi->m *into (5,)": "out= with gaps between its elements is refused",
        "im,im,im->m *into (5,)": "out= with gaps between its elements is refused",
        "ij,jk->ik of (2, 2) (2, 2) into (2, 2)": "out= with gaps between its elements is refused",
        "*into operand *": "out= that shares memory with an operand is refused",
        " of () into () raises TypeError": "out='test' is a KernelError, which is a ValueError",
    },
    "opt_einsum": {},
    "sparse": {
        "test_einsum_dtype*": "dtype= casts a result to what its operands do not promote to",
    },
    "onnx": {},
    "tensora": {},
}
