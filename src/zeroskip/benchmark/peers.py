"""What zeroskip is timed against: NumPy's BLAS, SciPy's CSR and, where it is loaded, torch.

Each is given its best setting: matrices ready and in the order that it likes, one thread for
all, and for the sparse ones an im2col matrix that costs nothing.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.benchmark.products import MatrixProduct
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.names import monomial_value
from zeroskip.einsum_spec.tree import Access, Var
from zeroskip.einsum_spec.walk import single
from zeroskip.errors import ZeroskipError
from zeroskip.native.numpy_functions import POST

Array = NDArray[Any]
FREE = ", im2col free"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the answer of a layer.

    call : what is timed.  answer : what it returns → the layer's result, not timed.
    executed : multiplications that it does, where they are known.
    dense : whether it does all of them, whatever is zero.
    formats : operand -> its format, of those that are sparse.
    schedule : of zeroskip's own kernels.
    """

    name: str
    call: Callable[[], Any]
    answer: Callable[[Any], Array]
    executed: int | None
    dense: bool
    formats: Mapping[str, str] = field(default_factory=dict)
    schedule: str = ""


def blas(product: MatrixProduct, operands: Mapping[str, Array]) -> list[Way]:
    """NumPy's matrix product: the whole layer, and without what gathering costs."""
    whole = product.whole(operands)
    name = "NumPy BLAS" if product.dtype(operands).kind == "f" else "NumPy matmul, no BLAS"
    count = product.multiplications
    if not product.gathers:
        return [Way(name, whole, np.asarray, count, True)]
    left, right = map(np.ascontiguousarray, product.matrices(operands))
    return [
        Way(f"{name}, im2col", whole, np.asarray, count, True),
        Way(
            name + FREE,
            lambda: np.matmul(left, right),
            lambda sums: product.finish(sums, operands),
            count,
            True,
        ),
    ]


def einsum(form: Form, operands: Mapping[str, Array], count: int) -> list[Way]:
    """``numpy.einsum`` with its best order, for products that are no matrix product."""
    if form.reduction not in (None, "+") or len(form.terms) != 1 or form.post not in POST:
        return []
    (term,) = form.terms
    accesses = (*term.accesses, form.target)
    subscripts = [[single(s) for s in access.subscripts] for access in accesses]
    if term.scalars or term.number != 1 or any(None in names for names in subscripts):
        return []
    if form.reduction and form.post:
        return []
    letters = dict(zip(form.ranks, "abcdefghijklmnopqrstuvwxyz", strict=False))
    if len(letters) < len(form.ranks) or not term.accesses:
        return []
    text = ["".join(letters[name or ""] for name in names) for names in subscripts]
    pattern = f"{','.join(text[:-1])}->{text[-1]}"
    given = [operands[access.tensor] for access in term.accesses]
    path = np.einsum_path(pattern, *given, optimize="optimal")[0]

    def call() -> Array:
        return np.asarray(POST[form.post](np.einsum(pattern, *given, optimize=path)))

    return [Way("NumPy einsum", call, np.asarray, count, True)]


def scipy(
    product: MatrixProduct, operands: Mapping[str, Array], sparse: Collection[str]
) -> list[Way]:
    """SciPy's CSR products, on matrices that were made before; bias and function free."""
    if product.batch or product.dtype(operands).kind not in "fi":
        return []
    from scipy.sparse import csr_array

    left, right = product.matrices(operands)
    names = [a.tensor for a in (product.left, product.right)]
    chosen = [name in sparse for name in names]
    label = " × ".join(f"{n} CSR" for n, c in zip(names, chosen, strict=True) if c)
    title = f"SciPy {label}{FREE if product.gathers else ''}"
    formats = {n: "CSR" for n, c in zip(names, chosen, strict=True) if c}

    def answer(sums: Any) -> Array:
        dense = sums.toarray() if hasattr(sums, "toarray") else sums
        return product.finish(np.asarray(dense), operands)

    if all(chosen):
        a, b = csr_array(left), csr_array(right)
        in_columns = np.bincount(a.indices, minlength=a.shape[1])
        count = int(in_columns @ np.diff(b.indptr).astype(np.int64))
        return [Way(title, lambda: a @ b, answer, count, False, formats)]
    if chosen[0]:
        a, dense = csr_array(left), _operand(right)
        count = a.nnz * right.shape[1]
        return [Way(title, lambda: a @ dense, answer, count, False, formats)]
    if chosen[1]:
        b, dense = csr_array(right.T), _operand(left.T)
        count = b.nnz * left.shape[0]
        return [Way(title, lambda: b @ dense, lambda s: answer(s.T), count, False, formats)]
    return []


def _operand(matrix: Array) -> Array:
    """As SciPy likes it: rows together; a single column as a vector."""
    whole = np.ascontiguousarray(matrix)
    return whole.reshape(-1) if whole.shape[1] == 1 else whole


# ---- torch ------------------------------------------------------------------------------


def torch(product: MatrixProduct, operands: Mapping[str, Array], asked: bool) -> list[Way]:
    """torch's convolution or matrix product, if torch is loaded or asked for."""
    module = _torch(asked)
    if module is None or product.dtype(operands).kind != "f":
        return []
    if product.gathers:
        return _conv2d(module, product, operands)
    if product.batch:
        return []
    left, right = (module.from_numpy(np.array(m)) for m in product.matrices(operands))

    def call() -> Any:
        with module.inference_mode():
            return left @ right

    def answer(sums: Any) -> Array:
        return product.finish(sums.numpy(), operands)

    return [Way("torch matmul", call, answer, product.multiplications, True)]


def _torch(asked: bool) -> Any:
    """The module, or None where it is neither loaded nor asked for."""
    if asked and "torch" not in sys.modules:
        try:
            return importlib.import_module("torch")
        except ImportError:
            raise ZeroskipError(
                "peers names torch, which is not installed: pip install torch"
            ) from None
    return sys.modules.get("torch")


def _conv2d(module: Any, product: MatrixProduct, operands: Mapping[str, Array]) -> list[Way]:
    found = conv2d_of(product)
    if found is None:
        return []
    weights, inputs, stride, dilation, padding = found
    tensors = [module.from_numpy(np.array(operands[n])) for n in (inputs, weights)]

    def call() -> Any:
        with module.inference_mode():
            return module.nn.functional.conv2d(
                *tensors, stride=stride, padding=padding, dilation=dilation
            )

    def answer(result: Any) -> Array:
        sums = result.numpy().transpose(1, 0, 2, 3).reshape(result.shape[1], -1)
        return product.finish(sums, operands)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shape = tuple(call().shape)
    if shape != product.extents.shapes[product.form.target.tensor]:
        return []
    return [Way("torch conv2d", call, answer, product.multiplications, True)]


Pair = tuple[int, int]


def conv2d_of(product: MatrixProduct) -> tuple[str, str, Pair, Pair, Pair] | None:
    """Weights, inputs, stride, dilation and padding, where the product is torch's conv2d:
    O[n,m,p,q] = I[n,c,u*p+d*r,v*q+e*s]*F[m,c,r,s]."""
    weights, inputs = product.left, product.right
    plain = [single(s) for s in weights.subscripts]
    target = [single(s) for s in product.form.target.subscripts]
    pads = product.extents.pads[inputs.tensor]
    if product.batch or len(product.rows) != 1 or len(plain) != 4 or len(target) != 4:
        return None
    if len(inputs.subscripts) != 4 or None in plain or any(lo != hi for lo, hi in pads):
        return None
    m, c, r, s = plain
    n, m_of_result, p, q = target
    windows = [_window(inputs, axis, product) for axis in range(4)]
    if m != m_of_result or windows[:2] != [{n: 1}, {c: 1}] or any(map(any, pads[:2])):
        return None
    if windows[2] is None or windows[3] is None:
        return None
    if set(windows[2]) != {p, r} or set(windows[3]) != {q, s}:
        return None
    names = [name or "" for name in (p, q, r, s)]
    (p, q, r, s) = names
    steps = (windows[2][p], windows[3][q]), (windows[2][r], windows[3][s])
    if min(*steps[0], *steps[1]) < 1:
        return None
    return weights.tensor, inputs.tensor, *steps, (pads[2][0], pads[3][0])


def _window(access: Access, axis: int, product: MatrixProduct) -> dict[str, int] | None:
    """Coefficient of each rank of a subscript; None where it has an offset."""
    subscript = access.subscripts[axis]
    if subscript.offset:
        return None
    constants = product.extents.constants
    return {
        atom.name: monomial_value(coefficient, constants)
        for coefficient, atom in subscript.terms
        if isinstance(atom, Var)
    }
