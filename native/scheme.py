"""Names, extents and addresses that every lowering of one form shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access, Affine, Atom, Gather, Monomial, Var
from zeroskip.einsum_spec.walk import single
from zeroskip.formats.values import HALVES
from zeroskip.native.domains import Level
from zeroskip.native.dtypes import LOGICAL, form_result
from zeroskip.native.integers import Const, Expr, Name, add, ceildiv, floordiv, mul
from zeroskip.native.names import Names
from zeroskip.native.nest import Buffer
from zeroskip.native.operand import Signature
from zeroskip.native.values import Elem, Parameter, Value, Whole
from zeroskip.records import dataclass

Key = tuple[object, ...]


@dataclass
class Scheme:
    """One form with its operands' signatures: the vocabulary of its kernel.

    dims collects the integers that the kernel is handed, by what they are:
    ``("extent", rank)``, ``("axis", tensor, axis)``, ``("pad", tensor, axis)``,
    ``("constant", name)``, ``("stored", tensor)`` or ``("tile", name)``; buffers the arrays:
    ``("vals", tensor)``, ``("hit", tensor)``, ``("mark", tensor)``,
    ``("level", tensor, storage rank, array)`` or a schedule's own.
    staged : dense operands that are read from a copy with other strides.
    order : of the loops over ranks, outermost first; empty where operands lead the way.
    fetched : read of an index tensor -> name of the place; checks : tensor, axis and
        subscript of each check.
    """

    form: Form
    signatures: Mapping[str, Signature]
    dtype: str
    staged: frozenset[str] = frozenset()
    order: tuple[str, ...] = ()
    names: Names = field(default_factory=Names)
    dims: dict[Key, str] = field(default_factory=dict)
    buffers: dict[Key, Buffer] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    scalars: dict[str, str] = field(default_factory=dict)
    fetched: dict[Access, str] = field(default_factory=dict)
    checks: list[tuple[str, int, str]] = field(default_factory=list)

    def fetch(self, access: Access) -> str:
        """The name of the place that is read from an index tensor by ``access``."""
        if access not in self.fetched:
            self.fetched[access] = self.names.fresh(f"{access.tensor}_at")
        return self.fetched[access]

    def check(self, access: Access, axis: int) -> int:
        """The number of the check that a place lies on an axis of a tensor."""
        key = access.tensor, axis, deparse(access.subscripts[axis])
        if key not in self.checks:
            self.checks.append(key)
        return self.checks.index(key)

    def snapshot(self) -> Scheme:
        """The vocabulary as it is now, to return to with `restore`."""
        return replace(
            self,
            names=self.names.copy(),
            dims=dict(self.dims),
            buffers=dict(self.buffers),
            parameters=dict(self.parameters),
            scalars=dict(self.scalars),
            fetched=dict(self.fetched),
            checks=list(self.checks),
        )

    def restore(self, before: Scheme) -> None:
        """Forget every name that was made since the snapshot."""
        self.names, self.dims, self.buffers = before.names, before.dims, before.buffers
        self.parameters, self.scalars = before.parameters, before.scalars
        self.fetched, self.checks = before.fetched, before.checks

    @property
    def stored(self) -> str:
        """The type of the result: that of the arithmetic, or a half that is computed in it."""
        dtypes = {name: signature.dtype for name, signature in self.signatures.items()}
        if self.form.reduction in LOGICAL or not any(d in HALVES for d in dtypes.values()):
            return self.dtype
        return form_result(self.form, dtypes).name if self.dtype == "float32" else self.dtype

    # ---- integers -----------------------------------------------------------------------

    def dim(self, key: Key, name: str) -> Expr:
        if key not in self.dims:
            self.dims[key] = name
        return Name(self.dims[key])

    def extent(self, rank: str) -> Expr:
        return self.dim(("extent", rank), self.names.get("extent", rank))

    def rank(self, name: str) -> str:
        """The loop variable of a rank."""
        return self.names.get("rank", name)

    def monomial(self, m: Monomial) -> Expr:
        parts: list[Expr] = [Const(m.value)]
        for name in m.names:
            parts.append(self.dim(("constant", name), self.names.get("constant", name)))
        return mul(*parts)

    def affine(self, subscript: Affine) -> Expr:
        """A subscript over loop variables; the padding is not yet taken off."""
        parts = [mul(self.monomial(c), self.atom(a)) for c, a in subscript.terms]
        return add(*parts, *(self.monomial(m) for m in subscript.offset))

    def atom(self, atom: Atom) -> Expr:
        if isinstance(atom, Var):
            return Name(self.rank(atom.name))
        if isinstance(atom, Gather):
            return Name(self.fetched[atom.access], signed=True)
        return floordiv(self.affine(atom.inner), self.monomial(atom.divisor))

    def split(self, subscript: Affine, rank: str) -> tuple[int, Expr]:
        """``subscript == a * rank + rest``, as (a, rest)."""
        a = 0
        rest: list[Expr] = [self.monomial(m) for m in subscript.offset]
        for coefficient, atom in subscript.terms:
            if isinstance(atom, Var) and atom.name == rank:
                a = coefficient.value
            else:
                rest.append(mul(self.monomial(coefficient), self.atom(atom)))
        return a, add(*rest)

    def point(self, ranks: Iterable[str]) -> Expr:
        """Row-major number of a point over these ranks."""
        at: Expr = Const(0)
        for rank in ranks:
            at = add(mul(at, self.extent(rank)), Name(self.rank(rank)))
        return at

    def number(self, name: str) -> Expr:
        """An integer that a schedule computes from the extents, by its name there."""
        return self.dim(("tile", name), self.names.get("tile", name))

    def scalar(self, name: str) -> Value:
        """A bare name on the right side: an operand of no axes, or an extent or constant."""
        if name in self.signatures:
            dtype = self.signatures[name].dtype
            kind = "unsigned" if dtype == "uint64" else "real" if "float" in dtype else "whole"
            given = self.names.get("scalar", name)
            self.parameters[given] = kind
            self.scalars.setdefault(given, name)
            return Parameter(given)
        return Whole(self.dim(("constant", name), self.names.get("constant", name)))

    # ---- tensors ------------------------------------------------------------------------

    def axis_extent(self, access: Access, axis: int) -> Expr:
        """Length of a tensor's axis: the rank's extent where the subscript is a plain rank."""
        rank = single(access.subscripts[axis])
        signature = self.signatures.get(access.tensor)
        if rank is not None and not (signature and signature.padded[axis]):
            return self.extent(rank)
        name = self.names.get("tensor", f"{access.tensor}_dim{axis}")
        return self.dim(("axis", access.tensor, axis), name)

    def pad(self, access: Access, axis: int) -> Expr:
        """Padding before an axis; 0 where its accesses never fall into padding."""
        signature = self.signatures.get(access.tensor)
        if signature is None or not signature.padded[axis]:
            return Const(0)
        name = self.names.get("tensor", f"{access.tensor}_pad{axis}")
        return self.dim(("pad", access.tensor, axis), name)

    def index(self, access: Access, axis: int) -> Expr:
        """Coordinate of an access on an axis of its tensor, over loop variables."""
        return add(self.affine(access.subscripts[axis]), mul(Const(-1), self.pad(access, axis)))

    def row_major(self, access: Access) -> Expr:
        """Address of a dense access, in elements."""
        at: Expr = Const(0)
        for axis in range(len(access.subscripts)):
            at = add(mul(at, self.axis_extent(access, axis)), self.index(access, axis))
        return at

    def size(self, access: Access) -> Expr:
        return mul(*(self.axis_extent(access, k) for k in range(len(access.subscripts))))

    def buffer(self, key: Key, name: str, dtype: str, *, written: bool = False) -> str:
        """The C name of an array; ``key`` says what it is, as in `Lowered.buffers`."""
        if key not in self.buffers:
            self.buffers[key] = Buffer(self.names.fresh(name), dtype, written)
        return self.buffers[key].name

    def values(self, tensor: str) -> str:
        """The C name of an operand's values, or of its staged copy."""
        if tensor in self.staged:
            return self.buffer(("staged", tensor), f"{tensor}_staged", self.dtype, written=True)
        return self.buffer(("vals", tensor), f"{tensor}_vals", self.signatures[tensor].dtype)

    def filler(self, value: Elem) -> int | float | None:
        """The fill of this operand, where an element of it may stand for what is absent."""
        for key, buffer in self.buffers.items():
            if buffer.name == value.array and key[0] in ("vals", "staged"):
                of = self.signatures.get(str(key[1]))
                return of.fill if of is not None and of.fills else None
        return None

    def level(self, access: Access, k: int) -> Level:
        """Storage rank k of an operand; its arrays are named by the ranks it stores."""
        signature = self.signatures[access.tensor]
        level = signature.levels[k]
        label = self._label(access.tensor, k)
        tensor = access.tensor
        arrays = tuple(
            self.buffer(("level", tensor, k, array), f"{tensor}_{label}_{array}", dtype)
            for array, dtype in level.arrays
        )
        extent = mul(*(self.axis_extent(access, axis) for axis in level.axes))
        if level.part is not None:
            size = Const(level.part.size)
            extent = size if level.part.inner else ceildiv(extent, size)
        return Level(access.tensor, label, level.letter, arrays, extent, level.group)

    def _label(self, tensor: str, k: int) -> str:
        """What to call a storage rank: its ranks at the tensor's first access (``crs``), where
        these are plain and no other rank of the tensor is called the same, as in A[i,i]."""
        first = next(a for a in self.form.reads if a.tensor == tensor)
        labels = []
        for level in self.signatures[tensor].levels:
            ranks = [single(first.subscripts[axis]) or "" for axis in level.axes]
            if level.part is not None:
                ranks.append("_in" if level.part.inner else "_block")
            plain = all(ranks) and len(set(ranks)) == len(ranks)
            labels.append("".join(ranks) if plain else "")
        return labels[k] if labels[k] and labels.count(labels[k]) == 1 else f"level{k}"
