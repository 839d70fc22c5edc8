"""Kernels of sparse tensor algebra by the names that the literature has for them."""

from __future__ import annotations

from zeroskip.computing import Layer, layer
from zeroskip.errors import EinsumError

_MODES, _FACTORS = "ijkl", "ABCD"


def spmm() -> Layer:
    """A sparse matrix times a dense one: ``A[m,k]`` in a format of its own, ``B[k,n]`` an array.

    >>> print(spmm())
    O[m,n] = A[m,k]*B[k,n]
    """
    return layer("O[m,n] = A[m,k]*B[k,n]")


def spgemm() -> Layer:
    """A sparse matrix times a sparse one; ``format="CSR"`` in the call keeps the result sparse.

    >>> import numpy as np
    >>> import zeroskip as zs
    >>> eye = zs.tensor(np.eye(3), "CSR")
    >>> spgemm()(A=eye, B=eye, format="CSR").nnz
    3
    """
    return layer("O[m,n] = A[m,k]*B[k,n]")


def sddmm() -> Layer:
    """The product of dense matrices where ``S[m,n]`` stores something, times what it stores.

    Operands: ``S`` of shape (M, N), sparse; ``A`` of (M, K); ``B`` of (K, N).

    >>> print(sddmm())
    O[m,n] = S[m,n]*A[m,k]*B[k,n]
    """
    return layer("O[m,n] = S[m,n]*A[m,k]*B[k,n]")


def mttkrp(mode: int = 0, *, ndim: int = 3) -> Layer:
    """A tensor unfolded along a mode, times the Khatri-Rao product of the other modes' factors.

    Operands: ``T`` of ``ndim`` axes; for each mode but ``mode`` a factor of (extent, R), named A,
    B, C, D by mode.  Result: ``O`` of (extent of ``mode``, R).

    Parameters
    ----------
    mode : int
    ndim : int
        3 or 4.

    Examples
    --------
    >>> print(mttkrp())
    O[i,r] = T[i,j,k]*B[j,r]*C[k,r]
    """
    names = _modes(mode, ndim, 3)
    factors = [
        f"{factor}[{name},r]"
        for name, factor in zip(names, _FACTORS, strict=False)
        if name != names[mode]
    ]
    return layer(f"O[{names[mode]},r] = T[{','.join(names)}]*{'*'.join(factors)}")


def ttm(mode: int = -1, *, ndim: int = 3) -> Layer:
    """A tensor times a matrix along a mode: ``T`` of ``ndim`` axes, ``A`` of (R, extent of mode).

    >>> print(ttm())
    O[i,j,r] = T[i,j,k]*A[r,k]
    """
    names = _modes(mode, ndim, 2)
    along = names[mode]
    made = ",".join("r" if name == along else name for name in names)
    return layer(f"O[{made}] = T[{','.join(names)}]*A[r,{along}]")


def _modes(mode: int, ndim: int, least: int) -> str:
    if not isinstance(ndim, int) or not least <= ndim <= len(_MODES):
        raise EinsumError(f"ndim: expected {least} to {len(_MODES)} modes, found {ndim!r}")
    if not isinstance(mode, int) or not -ndim <= mode < ndim:
        raise EinsumError(f"mode: expected {-ndim} to {ndim - 1}, found {mode!r}")
    return _MODES[:ndim]
