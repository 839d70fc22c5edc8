"""One layer on one set of operands: every way to compute it, each checked before it is timed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.benchmark import peers
from zeroskip.benchmark.counting import effectual
from zeroskip.benchmark.peers import Way
from zeroskip.benchmark.products import MatrixProduct, matrix_product
from zeroskip.computing import Layer
from zeroskip.einsum_spec.extents import Extents
from zeroskip.errors import CompilerError, KernelError, TensorError
from zeroskip.explanation.inspecting import choose, executed, last_types
from zeroskip.formats.convert import tensor
from zeroskip.formats.tensor import Tensor
from zeroskip.native import toolchain
from zeroskip.native.arguments import Operand, densify

Array = NDArray[Any]

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
"""Largest difference from the reference that is no fault, over the scale of the operands, by the
type of the arithmetic."""

STEP = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
"""What rounding the answer may add, over its largest value: from one of its type to the next."""

EXACT = 2.0**53
"""Whole numbers below it are exact in float64."""


@dataclass(frozen=True)
class Case:
    """A layer with its operands, dense.

    operands : C-contiguous arrays by name, in the layer's order, all finite.
    held : the same as `Tensor` where one was given.
    """

    layer: Layer
    operands: dict[str, Array]
    held: dict[str, Tensor]

    @cached_property
    def extents(self) -> Extents:
        return self.layer.spec.extents({name: x.shape for name, x in self.operands.items()})

    @cached_property
    def product(self) -> MatrixProduct | None:
        """The matrix product that the layer is, if it is one."""
        forms = self.layer.spec.forms
        return matrix_product(forms[0], self.extents) if len(forms) == 1 else None

    @cached_property
    def effectual(self) -> int | None:
        return effectual(self.layer.spec, self.operands, self.extents)

    def nbytes(self, formats: Mapping[str, str]) -> int:
        """Bytes of the operands, some of them in formats, and of the dense result."""
        size = self.reference.size * self.result.itemsize
        for name, array in self.operands.items():
            stored = self._stored(name, formats[name]) if name in formats else None
            size += array.nbytes if stored is None else stored.nbytes
        return size

    def _stored(self, name: str, wanted: str) -> Tensor:
        """An operand in a format; as it is, explicit zeros included, where it has it already."""
        key = (name, wanted)
        if key not in self.in_formats:
            held = self.held.get(name, tensor(self.operands[name], "COO"))
            self.in_formats[key] = held.asformat(wanted)
        return self.in_formats[key]

    @cached_property
    def in_formats(self) -> dict[tuple[str, str], Tensor]:
        return {}

    @cached_property
    def multiplications(self) -> int:
        """Of two operands, were every operand dense."""
        shapes = {name: x.shape for name, x in self.operands.items()}
        return self.layer.ops(**shapes).multiplications

    def density(self, name: str) -> float:
        if name in self.held and self.held[name].fill:
            return self.held[name].density
        array = self.operands[name]
        return np.count_nonzero(array) / array.size if array.size else 0.0

    # ---- the answer ---------------------------------------------------------------------

    @cached_property
    def reference(self) -> Array:
        """The dense answer: in float64 by BLAS where the layer is a matrix product."""
        product = self.product
        if product is None or any(x.dtype == np.bool_ for x in self.operands.values()):
            return self._by_numpy()
        wide = {name: x.astype(np.float64) for name, x in self.operands.items()}
        left, right = product.matrices(wide)
        if product.dtype(self.operands).kind != "f":
            largest = np.abs(left).max(initial=0) * np.abs(right).max(initial=0)
            if largest * left.shape[-1] >= EXACT or product.form.post or product.late:
                return self._by_numpy()
        return product.finish(np.matmul(left, right), wide)

    def _by_numpy(self) -> Array:
        given: dict[str, Any] = dict(self.operands)
        return np.asarray(self.layer(**given, backend="numpy"))

    @cached_property
    def scale(self) -> float:
        """Largest sum of magnitudes of products: what rounding errors grow with."""
        sizes = {name: np.abs(x) for name, x in self.operands.items()}
        product = self.product
        if product is None:
            return _largest(self.reference)
        wide = {name: x.astype(np.float64) for name, x in sizes.items()}
        left, right = product.matrices(wide)
        return float(np.matmul(left, right).max(initial=0))

    def error(self, way: Way) -> float:
        """Largest difference of one answer from the reference, over the reference's largest.

        Raises
        ------
        KernelError
            Where it is more than rounding.
        """
        found = np.asarray(way.answer(way.call()))
        expected = self.reference
        if found.shape != expected.shape:
            raise KernelError(
                f"{way.name} answers with shape {found.shape}, the reference with {expected.shape}"
                "\nThis is a fault of zeroskip; nothing was timed."
            )
        with np.errstate(invalid="ignore", over="ignore"):  # no difference where both are inf
            apart = np.abs(found.astype(np.float64) - expected.astype(np.float64))
            too_large = np.isinf(found) & (found == expected.astype(self.result))
        difference = np.where((found == expected) | too_large, 0.0, apart)
        worst = float(difference.max(initial=0))
        largest = _largest(expected) or 1.0
        limit = TOLERANCE.get(self.dtype.name, 0.0)
        step = STEP.get(self.result.name, 0.0) * largest
        if not worst <= limit * largest + step and not worst <= limit * self.scale + step:
            place = np.unravel_index(int(np.argmax(difference)), difference.shape)
            at = ",".join(map(str, place))
            raise KernelError(
                f"{way.name} answers {found[place]} at [{at}], the dense reference "
                f"{expected[place]}\nThis is a fault of zeroskip; nothing was timed."
            )
        return worst / largest

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the layer's arithmetic."""
        return self._types[0]

    @property
    def result(self) -> np.dtype[Any]:
        """Type of the layer's answer."""
        return self._types[1]

    @cached_property
    def _types(self) -> tuple[np.dtype[Any], np.dtype[Any]]:
        return last_types(self.layer.spec, self.operands)

    # ---- ways to it ---------------------------------------------------------------------

    def peers(self, sparse: Sequence[Collection[str]], wanted: Collection[str]) -> list[Way]:
        """NumPy, SciPy for each set of sparse operands, and torch."""
        found: list[Way] = []
        product, form = self.product, self.layer.spec.forms[0]
        if not self.operands:
            return []
        if np.result_type(*self.operands.values()) != self.dtype or self.dtype == np.bool_:
            return []  # they would compute, and overflow, in another type
        if product is None:
            if len(self.layer.spec.forms) == 1 and "numpy" in wanted:
                found += peers.einsum(form, self.operands, self.multiplications)
            return found
        if "numpy" in wanted:
            found += peers.blas(product, self.operands)
        if "torch" in wanted:
            found += peers.torch(product, self.operands, True)
        elif "torch, if loaded" in wanted:
            found += peers.torch(product, self.operands, False)
        if "scipy" in wanted:
            for names in sparse:
                found += peers.scipy(product, self.operands, names)
        return found

    def dense(self, bound: Collection[str]) -> list[Way]:
        """zeroskip's own kernel on dense operands."""
        return [self._bound_way("zeroskip dense", {}, bound)] if has_compiler() else []

    def sparse(self, formats: Mapping[str, str], bound: Collection[str]) -> list[Way]:
        """zeroskip's kernels with some operands in formats: bound and, where that spares
        packing, packed at each call.

        An operand that has its format already is taken as it is, explicit zeros included.
        """
        if not has_compiler():
            return []
        stored = {name: self._stored(name, wanted) for name, wanted in formats.items()}
        name = "zeroskip " + ", ".join(f"{name} {wanted}" for name, wanted in formats.items())
        found = [self._bound_way(name, stored, bound, formats)]
        if set(bound) & set(formats) and "tiled" in found[0].schedule:
            whole: dict[str, Operand] = {**self.operands, **stored}
            given = tuple(whole.values())
            found.append(self._way(name, whole, lambda: self.layer(*given), formats))
        return found

    def _bound_way(
        self,
        name: str,
        stored: Mapping[str, Operand],
        bound: Collection[str],
        formats: Mapping[str, str] | None = None,
    ) -> Way:
        """A kernel with ``bound`` bound; all it needs is packed before it is timed."""
        whole: dict[str, Operand] = {**self.operands, **stored}
        held = {n: x for n, x in whole.items() if n in bound}
        rest = tuple(x for n, x in whole.items() if n not in bound)
        call = self.layer.bind(**held)
        shown = [n for n in held if n in self.factors]
        if shown:
            name += f" ({', '.join(shown)} bound)"
        return self._way(name, whole, lambda: call(*rest), formats or {}, bound)

    def _way(
        self,
        name: str,
        whole: Mapping[str, Operand],
        call: Any,
        formats: Mapping[str, str],
        bound: Collection[str] = (),
    ) -> Way:
        spec = self.layer.spec
        schedules = dict.fromkeys(chosen.schedule for chosen in choose(spec, whole, bound))
        count = executed(spec, whole, bound)
        return Way(name, call, np.asarray, count, not formats, formats, ", ".join(schedules))

    @property
    def factors(self) -> tuple[str, ...]:
        """Operands that are multiplied with others."""
        return factors(self.layer)


def _largest(array: Array) -> float:
    """The largest magnitude, infinities aside: those of a fill, as in shortest paths."""
    return float(np.abs(array[np.isfinite(array)]).max(initial=0))


def factors(layer: Layer) -> tuple[str, ...]:
    """Operands of products, in order; every operand with axes where there is no product."""
    terms = [term for form in layer.spec.forms for term in form.terms]
    products = [term for term in terms if len(term.accesses) > 1] or terms
    held = {access.tensor for term in products for access in term.accesses}
    return tuple(name for name in layer.operands if name in held)


def make_case(layer: Layer, given: Mapping[str, Operand]) -> Case:
    """A case of real operands.

    Raises
    ------
    TensorError
        For NaN and infinities: 0 times them is NaN densely and absent sparsely.
    """
    for name, operand in given.items():
        values = operand.values if isinstance(operand, Tensor) else operand
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise TensorError(
                f"{name} holds NaN or infinity: 0 times those is NaN on the dense side and "
                "absent on the sparse one, so that no answer can be checked\n"
                "Time the layer on finite operands."
            )
    held = {name: x for name, x in given.items() if isinstance(x, Tensor)}
    return Case(layer, {name: densify(given[name]) for name in layer.operands}, held)


def has_compiler() -> bool:
    """Whether kernels run as C; interpreted ones are not worth timing."""
    try:
        toolchain.find()
    except CompilerError:
        return False
    return True
