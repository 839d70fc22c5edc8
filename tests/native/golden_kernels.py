"""The kernels that are kept as golden C in goldens/: one for each shape that the emitter has.

``tools/goldens.py`` writes the files; `test_goldens.py` compares.  Change one only with a reason,
after reading it as C.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from judges import line_of

from zeroskip.einsum_spec.spec import Spec, make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import dtype_of
from zeroskip.native import assemble, schedules, settings, settling, tile
from zeroskip.native.alike import lower_alike
from zeroskip.native.emit import emit
from zeroskip.native.fixed import OPEN, Schedule
from zeroskip.native.results import assembly_of
from zeroskip.native.tile_shape import TileShape

SPMV = "y[i] = A[i,j] * x[j]"
SPMM = "C[i,j] = A[i,k] * B[k,j]"
CONV = "O[n,m,p,q] = relu(B[m] + sum[c,r,s](I[n,c,2*p+r,q+s] * F[m,c,r,s]))"


def ones(*shape: int, format: str | None = None, dtype: str = "float32") -> Any:
    array = np.ones(shape, dtype)
    return array if format is None else Tensor.from_dense(array, format)


def walk(spec: Spec, operands: Mapping[str, Any], *, hits: bool = False) -> str:
    """C of the walk over the operands' own levels."""
    return schedules.walk(line_of(spec, operands), hits=hits).c_text


def schedule(
    spec: Spec,
    operands: Mapping[str, Any],
    bound: Collection[str] = (),
    fixed: Schedule = OPEN,
) -> str:
    """C of the schedule that the engine takes, with what is fixed of it."""
    line = replace(line_of(spec, operands), fixed=fixed)
    return settling.scheduled(line, np.empty(line.shape, line.stored), bound)[0].c_text


def unrolled(spec: Spec, operands: Mapping[str, Any], **how: int) -> str:
    """C that runs the entries of an operand as machine code, on a machine that has it or not."""
    line = line_of(spec, operands)
    plan = tile.plan(line.form, line.signatures, line.dtype.name)
    assert plan is not None
    shape = TileShape(64, 8, (1,), 16, unrolled=True, members=4, **how)
    return schedules.tiled(line, plan, np.empty(line.shape, line.stored), shape)[0].c_text


def rows(spec: Spec, operands: Mapping[str, Any]) -> str:
    """C that appends the rows of a sparse result."""
    line = line_of(spec, operands)
    chosen = assembly_of(line)
    assert chosen is not None
    _, signatures = assemble.reordered(chosen, line.used, line.signatures)
    lowered = assemble.lower_rows(line.form, signatures, line.dtype.name, chosen)
    return emit(lowered.kernel)


def beside(spec: Spec, operands: Mapping[str, Any], like: str) -> str:
    """C that writes the values of a sparse result where an operand stores its own."""
    line = line_of(spec, operands)
    chosen = assembly_of(line)
    assert chosen is not None
    _, signatures = assemble.reordered(chosen, line.used, line.signatures)
    return emit(lower_alike(line.form, signatures, line.dtype.name, chosen, like, True).kernel)


def kernels() -> dict[str, str]:
    """Name of the file -> C text, headers not pasted in; with vectors of 64 bytes."""
    with settings.using(vector_bytes=64):
        return _kernels()


def _kernels() -> dict[str, str]:
    spmv, spmm = make_spec(SPMV), make_spec(SPMM)
    conv = make_spec(CONV, pad={"I": {2: (1, 1), 3: (1, 1)}})
    image, filters, bias = (2, 3, 8, 8), (4, 3, 3, 3), ones(4)
    linear = make_spec("Y[b,o] = relu(B[o] + W[o,i]*X[b,i])")
    pool = make_spec("O[c,p,q] max= I[c,2*p+r,2*q+s]", sizes={"r": 2, "s": 2})
    count = make_spec("W[4*p//P,m] += I[c,p+r] * F[m,c,r]")
    same = make_spec("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", pad=1)
    same_image = {"I": ones(1, 3, 14, 14), "F": ones(16, 3, 3, 3, format="CSR")}
    long_image = {"I": ones(1, 3, 28, 28), "F": ones(16, 3, 3, 3, format="CSR")}
    layer = make_spec("O[m,p] = relu(B[m] + W[m,c]*I[c,p])")
    wide = {"I": ones(2, 3, 32, 32), "F": ones(16, 3, 3, 3, format="CSR"), "B": ones(16)}
    data = Schedule(unrolled=False, bitmask=False)
    by_columns = Schedule(bitmask=True)
    vector = ones(5)
    square = ones(40, 40, format="CSR")
    square_bytes = ones(40, 40, format="CSR", dtype="int8")
    image_bytes = {
        "I": ones(1, 3, 14, 14, dtype="int8"),
        "F": ones(16, 3, 3, 3, format="CSR", dtype="int8"),
    }
    sparse = {"A": ones(4, 5, format="CSR"), "B": ones(5, 6, format="CSR")}
    sampled = make_spec("S[i,j] = M[i,j] * A[i,k] * B[j,k]")
    union = make_spec("C[i,j] = A[i,j] + B[i,j]")
    softmax = make_spec("A[m,p] = exp(S[m,p])/D[p]")
    causal = make_spec("O[m] = (k <= m)*A[m,k]*x[k]")
    looked_up = make_spec("O[i] = sum[k](max(A[i,k], B[i,k]))")
    embedding = make_spec("Y[n,e] = W[X[n],e]")
    unpooled = make_spec("O[n,X[n,p]] = I[n,p]", sizes={"O": (2, 9)})
    padded = make_spec(
        "O[c,p] max= I[c,2*p+r]", sizes={"r": 3}, pad={"I": {1: (1, 1), "value": "skip"}}
    )
    clamped = make_spec("Y[i,k] = min(32, relu(T[i,k] + b*(T[i,k] != 0)))")
    place = make_spec("O[i] min= where(A[i,k] == M[i], k, K)")

    def matrix(format: str) -> dict[str, Any]:
        return {"A": ones(4, 5, format=format), "x": vector}

    return {
        "spmv_csr": walk(spmv, matrix("CSR")),
        "spmv_csc": walk(spmv, matrix("CSC")),
        "spmv_coo": walk(spmv, matrix("COO")),
        "spmv_bitmask": walk(spmv, matrix("bitmask")),
        "dots_of_bitmasks": walk(
            make_spec("y[i] = A[i,k] * B[i,k]"),
            {name: ones(4, 5, format="0:U 1:B") for name in "AB"},
        ),
        "spmv_rle": walk(spmv, matrix("RLE(4)")),
        "spmm_csr": walk(spmm, {"A": ones(4, 5, format="CSR"), "B": ones(5, 6)}),
        "spmm_both": walk(spmm, {"A": ones(4, 5, format="CSR"), "B": ones(5, 6, format="CSC")}),
        "spmm_marking": walk(
            spmm, {"A": ones(4, 5, format="CSR"), "B": ones(5, 6, format="CSR")}, hits=True
        ),
        "spmm_bound": schedule(spmm, {"A": square, "B": ones(40, 40)}, ("A",), data),
        "spmm_bound_chains": schedule(spmm, {"A": square, "B": ones(40, 16)}, ("A",), data),
        "spmm_chains": schedule(
            spmm, {"A": ones(3, 40, format="CSR"), "B": ones(40, 16)}, bound=("A",)
        ),
        "spmm_columns": schedule(spmm, {"A": square, "B": ones(40, 16)}, ("A",), by_columns),
        "layer_columns": schedule(
            layer,
            {"B": ones(40), "W": square, "I": ones(40, 49)},
            ("W",),
            replace(by_columns, block=16),
        ),
        "spmm_unrolled": unrolled(spmm, {"A": square, "B": ones(40, 40)}),
        "spmm_in_place": schedule(
            spmm, {"A": ones(4, 40, format="CSR"), "B": ones(40, 40)}, bound=("A",)
        ),
        "spmm_in_place_rows": schedule(
            spmm, {"A": ones(3, 40, format="CSR"), "B": ones(40, 40)}, bound=("A",)
        ),
        "linear_bound": schedule(
            linear, {"W": square, "X": ones(40, 40), "B": ones(40)}, ("W",), data
        ),
        "linear_unrolled": unrolled(linear, {"W": square, "X": ones(40, 40), "B": ones(40)}),
        "conv_bound": schedule(conv, wide, ("F",), data),
        "conv_unrolled": unrolled(conv, wide),
        "spmm_joined": unrolled(
            spmm, {"A": square_bytes, "B": ones(40, 40, dtype="int8")}, joined=4
        ),
        "conv_joined": unrolled(same, image_bytes, masked=True, joined=4),
        "conv_masked": unrolled(same, same_image, masked=True),
        "conv_lying": unrolled(same, long_image, masked=True, lying=True),
        "spmm_tiled": schedule(spmm, {"A": ones(40, 40, format="CSR"), "B": ones(40, 40)}),
        "conv_weights": walk(
            conv, {"I": ones(*image), "F": ones(*filters, format="CSR"), "B": bias}
        ),
        "conv_both": walk(
            conv,
            {
                "I": ones(*image, format="0*1:U 2*3:B"),
                "F": ones(*filters, format="[m,c,r,s] c:U m*r*s:C"),
                "B": bias,
            },
        ),
        "conv_tiled": schedule(conv, wide),
        "conv_lanes": schedule(
            conv, {"I": ones(*image, format="CSF"), "F": ones(16, 3, 3, 3), "B": ones(16)}
        ),
        "conv_cut": schedule(
            conv,
            {"I": ones(*image, format="0:U 2:U 3:U 1:C"), "F": ones(16, 3, 3, 3), "B": ones(16)},
            fixed=Schedule(kind="lanes", block=2),
        ),
        "pool_max": walk(pool, {"I": ones(3, 8, 8)}),
        "counts_of_tiles": walk(
            count,
            {
                "I": ones(3, 9, format="bitmask", dtype="bool"),
                "F": ones(4, 3, 3, format="CSR", dtype="bool"),
            },
        ),
        "spgemm_rows": rows(spmm, sparse),
        "sddmm_rows": rows(
            sampled, {"M": ones(4, 5, format="CSR"), "A": ones(4, 3), "B": ones(5, 3)}
        ),
        "sddmm_beside": beside(
            sampled, {"M": ones(4, 5, format="CSR"), "A": ones(4, 3), "B": ones(5, 3)}, "M"
        ),
        "union_rows": rows(
            union, {"A": ones(4, 5, format="CSR"), "B": ones(4, 5, format="bitmask")}
        ),
        "softmax_last": walk(softmax, {"S": ones(4, 5), "D": ones(5)}),
        "causal_bounds": walk(causal, {"A": ones(4, 5), "x": vector}),
        "submanifold_rows": rows(
            make_spec("O[x,y,m] = V[x,y]*I[x+r,y+s,c]*F[r,s,c,m]", pad={"I": {"x": 1, "y": 1}}),
            {
                "V": ones(40, 40, format="C C"),
                "I": ones(40, 40, 4, format="C C U"),
                "F": ones(3, 3, 4, 5),
            },
        ),
        "sum_folded_once": walk(
            make_spec("s[i] = sum[k](exp(A[i,k]))"), {"A": ones(4, 5, format="CSR")}
        ),
        "max_looked_up": walk(looked_up, {"A": ones(4, 5, format="CSR"), "B": ones(4, 5)}),
        "max_folded_once": walk(
            make_spec("O[i] max= A[i,k]*x[k]"), {"A": ones(4, 5, format="CSR"), "x": vector}
        ),
        "shortest_paths": walk(
            make_spec("D[i,j] min= A[i,k] + B[k,j]"),
            {
                "A": Tensor.from_dense(ones(4, 5), "CSR", fill=np.inf),
                "B": Tensor.from_dense(ones(5, 6), "0:C 1:U", fill=np.inf),
            },
        ),
        "shortest_paths_rows": rows(
            make_spec("D[i,j] min= A[i,k] + A[k,j]"),
            {"A": Tensor.from_dense(ones(5, 5), "CSR", fill=np.inf)},
        ),
        "max_union": walk(
            looked_up, {"A": ones(4, 5, format="CSR"), "B": ones(4, 5, format="bitmask")}
        ),
        "max_union_rows": rows(
            make_spec("O[i,k] = max(A[i,k], B[i,k])"),
            {"A": ones(4, 5, format="CSR"), "B": ones(4, 5, format="CSR")},
        ),
        "embedding": walk(embedding, {"X": np.ones(3, np.int64), "W": ones(4, 5)}),
        "unpooling": walk(unpooled, {"X": np.ones((2, 3), np.int64), "I": ones(2, 3)}),
        "pool_max_padded": walk(padded, {"I": ones(3, 8)}),
        "clamped_walk": walk(clamped, {"T": ones(4, 5, format="CSR"), "b": np.float32(1)}),
        "argmax_place": walk(place, {"A": ones(4, 5), "M": ones(4)}),
        "spmv_groups": walk(
            spmv, {"A": Tensor.from_dense(np.eye(4, dtype="float32"), "2:4"), "x": ones(4)}
        ),
        "spmv_dcsr": walk(spmv, matrix("0:C 1:C")),
        "spmv_dots": schedule(spmv, {"A": ones(4, 200, format="CSR"), "x": ones(200)}),
        "spmv_dots_bitmask": schedule(spmv, {"A": ones(4, 200, format="bitmask"), "x": ones(200)}),
        "spmv_dots_bytes": schedule(
            spmv, {"A": ones(4, 200, format="bitmask", dtype="int8"), "x": ones(200, dtype="int8")}
        ),
        "spmv_dots_bfloat16": schedule(
            spmv,
            {
                "A": ones(4, 200, format="bitmask", dtype=dtype_of("bfloat16")),
                "x": ones(200, dtype=dtype_of("bfloat16")),
            },
        ),
        "layer_dense": walk(layer, {"B": ones(4), "W": ones(4, 5), "I": ones(5, 6)}),
    }
