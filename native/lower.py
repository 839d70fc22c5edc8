"""A form and its operands' levels → the loop nest of a kernel.

Three shapes of kernel, all from `descend`: direct and scatter (`sums`), and joint (`joint`).
"""

from __future__ import annotations

from collections.abc import Mapping

from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.walk import by_data
from zeroskip.native.dots import in_vectors
from zeroskip.native.effort import pace, rate
from zeroskip.native.forms import is_joint, plain_target
from zeroskip.native.joint import Joint
from zeroskip.native.nest import Kernel, Stmt
from zeroskip.native.operand import Signature
from zeroskip.native.parallel import own_ranks, shared
from zeroskip.native.scheme import Key, Scheme
from zeroskip.native.sums import Sums
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Lowered:
    """A kernel and what its slots stand for.

    buffers, dims : what each slot of ``zs_args`` holds, as in `Scheme`.
    scalars : the operand of each parameter.
    checks : tensor, axis and subscript of each check of a place that data names.
    pace, rate : how fast it visits its points, and threads that share it; see `effort`.
    """

    kernel: Kernel
    form: Form
    buffers: tuple[Key, ...]
    dims: tuple[Key, ...]
    scalars: tuple[str, ...]
    checks: tuple[tuple[str, int, str], ...] = ()
    pace: int = 1
    rate: int = 0


def lower(
    form: Form,
    signatures: Mapping[str, Signature],
    dtype: str,
    *,
    hits: bool = False,
    accumulate: bool = False,
    order: tuple[str, ...] = (),
    vector_bytes: int = 0,
) -> Lowered:
    """Loop nest for ``form``.

    Parameters
    ----------
    signatures : of every operand, by name.
    dtype : of all arithmetic; the result is of `Scheme.stored`.
    hits : also mark, in a buffer ``("hit", result)`` of uint8, each place that a stored
        product reaches; for sparse results.
    accumulate : start from what the result holds already (a reduction with ``out=``).
    order : of the loops over ranks, outermost first; empty where operands lead the way.
    vector_bytes : of vectors that share the entries of a fiber; 0 for one entry after another.

    Raises
    ------
    KernelError
        Where the form cannot be lowered; names the term.
    """
    scheme = Scheme(form, signatures, dtype, order=order)
    work = Joint(scheme, accumulate) if is_joint(form) else Sums(scheme, hits, accumulate)
    body = shared(work.body(), [scheme.row_major(form.target)], own_ranks(scheme))
    title = work.title()
    if vector_bytes:
        body, tensors = in_vectors(body, scheme)
        title = (*title, f"dots: {', '.join(tensors) or 'dense'}")
    return finish(scheme, title, body, vector_bytes)


def one_product(
    form: Form, signatures: Mapping[str, Signature], dtype: str
) -> tuple[Term, tuple[Term, ...], tuple[str, ...]] | None:
    """The one product of a form, the terms to add to its sums, and the ranks of the result;
    None where there are more, or the result is not stored point by point."""
    if form.reduction is not None or any(term.factors for term in form.terms):
        return None
    if any(map(by_data, (form.target, *form.reads))):
        return None
    if any(signatures[access.tensor].fill for access in form.reads):
        return None
    sums = Sums(Scheme(form, signatures, dtype))
    main, late = sums.parts()
    if len(main) != 1 or not plain_target(form):
        return None
    return main[0], late, sums.target_ranks


def finish(
    scheme: Scheme, title: tuple[str, ...], body: tuple[Stmt, ...], vector_bytes: int = 0
) -> Lowered:
    """A kernel of the statements and of everything that the scheme has named.

    vector_bytes : width of its vectors, where it has any.
    """
    kernel = Kernel(
        title,
        tuple(scheme.buffers.values()),
        tuple(scheme.dims.values()),
        tuple(scheme.parameters.items()),
        scheme.dtype,
        body,
        vector_bytes,
    )
    scalars = tuple(scheme.scalars[name] for name in scheme.parameters)
    checks = tuple(scheme.checks)
    return Lowered(
        kernel,
        scheme.form,
        tuple(scheme.buffers),
        tuple(scheme.dims),
        scalars,
        checks,
        pace(body),
        rate(body),
    )
