"""`Spec`: text or a SymPy `Eq`, with constants, sizes and padding.  What a layer is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from operator import index
from typing import TYPE_CHECKING, Any

from zeroskip.checks import brief, is_listed
from zeroskip.einsum_spec.canonical import canonical_ranks, canonical_text
from zeroskip.einsum_spec.counts import Ops, count
from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.elaborate import elaborate
from zeroskip.einsum_spec.explicit import make_explicit
from zeroskip.einsum_spec.extents import Extents, solve
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.functions import PLACES
from zeroskip.einsum_spec.hoist import hoist
from zeroskip.einsum_spec.operands import check_sizes, mentioned
from zeroskip.einsum_spec.padding import PadLike, Pads, normalise, skipped_tensors
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.ranges import MAX_EXTENT
from zeroskip.einsum_spec.subscript_string import translate
from zeroskip.einsum_spec.tree import Access, Program, Reduce, Scalar
from zeroskip.einsum_spec.walk import constants, expressions, reads_of, subscripts
from zeroskip.errors import EinsumError
from zeroskip.records import dataclass

if TYPE_CHECKING:
    import sympy

_CACHED_EXTENTS = 64


@dataclass(frozen=True, eq=False, repr=False)
class Spec:
    """One Einsum or a cascade of them.

    Two specs are equal where they differ in the names of ranks, the order of factors and
    of terms, and the spelling of sums only.

    text : as written, or printed from an `Eq`.
    program : its tree.
    consts : values of named constants; folded into ``forms``.
    sizes : extents of ranks that are given and do not follow from an operand.
    pads : for each tensor that is read, (lo, hi) of each axis.
    skipped : tensors whose padding is left out of reductions.
    forms : what each line means; a line with reductions inside is several forms.
    """

    text: str
    program: Program
    consts: Mapping[str, int | float]
    sizes: Mapping[str, int]
    pads: Pads
    forms: tuple[Form, ...]
    skipped: frozenset[str] = frozenset()
    _solved: dict[Any, Extents] = field(default_factory=dict)

    # ---- what it holds ------------------------------------------------------------------

    @cached_property
    def results(self) -> tuple[str, ...]:
        """Names of the results, in the order of the lines."""
        return tuple(statement.target.tensor for statement in self.program.statements)

    @cached_property
    def ranks(self) -> tuple[str, ...]:
        """Every index variable, in order of appearance."""
        return tuple(dict.fromkeys(name for form in self.forms for name in form.ranks))

    @cached_property
    def operands(self) -> tuple[str, ...]:
        """Names of the operands, in the order in which the text has them."""
        values = {*self.results, *self.consts, *(rank.upper() for rank in self.ranks)}
        values.update(name.upper() for name in self.sizes)
        found: dict[str, None] = {}
        for statement in self.program.statements:
            for access in reads_of(statement.target):
                if access is not statement.target:
                    found.setdefault(access.tensor)
            for node in expressions(statement.value):
                if isinstance(node, Access):
                    for access in reads_of(node):
                        if access.tensor not in self.results:
                            found.setdefault(access.tensor)
                elif isinstance(node, Scalar) and node.name not in values:
                    found.setdefault(node.name)
        return tuple(found)

    @cached_property
    def explicit(self) -> str:
        """The text with every sum written out."""
        return deparse(make_explicit(self.program))

    @cached_property
    def expr(self) -> sympy.Basic:
        """The SymPy `Eq`; for a cascade, a `Tuple` of them."""
        from zeroskip.einsum_spec.expression import to_sympy

        return to_sympy(self.program)

    # ---- what it is at given shapes -----------------------------------------------------

    def extents(self, shapes: Mapping[str, Sequence[int]] | None = None) -> Extents:
        """Extents of all ranks and shapes of all results, for operands of these shapes.

        Raises
        ------
        EinsumError
            As `zeroskip.einsum_spec.extents.solve`.
        """
        for name, shape in (shapes or {}).items():
            if not is_listed(shape) or any(hasattr(n, "__len__") for n in shape):
                whole = f"\nPass {name}.shape." if hasattr(shape, "shape") else ""
                raise EinsumError(
                    f"shape of {name}: expected the extents of its axes, such as (2, 3), "
                    f"found {brief(shape)}{whole}"
                )
        key = tuple((name, tuple(shape)) for name, shape in (shapes or {}).items())
        found = self._solved.get(key)
        if found is None:
            pad = by_axis(self.pads, self.skipped)
            found = solve(self.forms, dict(key), self.sizes, self.consts, pad, text=self.text)
            self._check_places(found)
            for oldest in list(self._solved)[: 1 - _CACHED_EXTENTS]:
                self._solved.pop(oldest, None)
            self._solved[key] = found
        return found

    def _check_places(self, extents: Extents) -> None:
        """An argmax of nothing is no place."""
        for statement in self.program.statements:
            for node in expressions(statement.value):
                if not isinstance(node, Reduce) or node.op not in PLACES:
                    continue
                for rank in node.ranks:
                    if extents.ranks.get(rank) == 0:
                        raise EinsumError(
                            f"{node.op} over {rank}, which has extent 0, has no place to give",
                            text=self.text,
                            spans=[node.span] if node.span else [],
                            hint=f"Give {rank} at least one coordinate, or leave the line out.",
                        )

    def ops(self, shapes: Mapping[str, Sequence[int]] | None = None) -> Ops:
        """Multiplications and additions on dense operands of these shapes."""
        return count(self.forms, self.extents(shapes))

    # ---- equality -----------------------------------------------------------------------

    def canonical(self) -> str:
        """Text that equal specs share: forms with canonical ranks, sizes and padding."""
        return self._canonical

    @cached_property
    def _canonical(self) -> str:
        new = canonical_ranks(self.forms)
        new |= {name.upper(): rank for name, rank in new.items() if name.upper() not in new}
        sizes = sorted(f"{new.get(name, name)}={size}" for name, size in self.sizes.items())
        pads = sorted(f"{n}{p}" for n, p in self.pads.items() if any(map(any, p)))
        skipped = sorted(self.skipped)
        return "\n".join([canonical_text(self.forms), *sizes, *pads, *skipped])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spec):
            return NotImplemented
        return self is other or self.canonical() == other.canonical()

    def __hash__(self) -> int:
        return hash(self.canonical())

    def __repr__(self) -> str:
        given = [repr(self.text)]
        given += [
            f"{n}={dict(v)}" for n, v in (("consts", self.consts), ("sizes", self.sizes)) if v
        ]
        if any(any(map(any, pairs)) for pairs in self.pads.values()):
            given.append(f"pad={by_axis(self.pads, self.skipped)}")
        return f"Spec({', '.join(given)})"

    def __str__(self) -> str:
        return self.text

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_solved": {}}


def make_spec(
    text_or_eq: object,
    consts: Mapping[str, int | float] | None = None,
    sizes: Mapping[str, int] | None = None,
    pad: PadLike = None,
) -> Spec:
    """A spec from text, a SymPy `Eq` or a sequence of `Eq`.

    Parameters
    ----------
    text_or_eq : str, sympy.Eq or sequence of sympy.Eq
        One statement a line, as in ``"O[m,p] = B[m] + W[m,c]*I[c,p]"``; or a subscript
        string of NumPy, ``"ij,jk->ik"``, whose operands are A, B, C, ... and result Z.
    consts : mapping, optional
        Values of named constants, such as ``{"U": 2}``.
    sizes : mapping, optional
        Extents of ranks that follow from no operand, such as ``{"p": 14}``.
    pad : int, pair or mapping, optional
        Places of value 0 around an operand: ``1``, ``{"I": 1}``,
        ``{"I": {"h": (1, 1), 3: 1}}``; see `zeroskip.einsum_spec.padding.normalise`.

    Raises
    ------
    EinsumError
        For what is no Einsum, with a caret under the place.
    """
    for what, table in (("consts", consts), ("sizes", sizes)):
        if table is not None and not isinstance(table, Mapping):
            raise EinsumError(
                f'{what}: expected names and numbers, such as {{"r": 2}}, found {table!r}'
            )
    known = {_name(name, "consts"): _number(name, value) for name, value in (consts or {}).items()}
    extents = {_name(name, "sizes"): _size(name, value) for name, value in (sizes or {}).items()}
    if isinstance(text_or_eq, str):
        program = parse(translate(text_or_eq) or text_or_eq, known)
    else:
        from zeroskip.einsum_spec.expression import from_sympy

        program, found = from_sympy(text_or_eq, known)
        extents = _merged(extents, found)
    text = program.text
    forms = tuple(elaborate(s, known, text=text) for s in program.statements)
    _check_names(program, known)
    _check_extents(forms, text)
    _check_order(forms, text)
    forms = hoist(forms)
    check_sizes(forms, extents, text)
    pads = normalise(pad, forms)
    return Spec(text, program, known, extents, pads, forms, skipped_tensors(pad))


def by_axis(
    pads: Pads, skipped: Collection[str] = ()
) -> dict[str, dict[int | str, tuple[int, int] | str]]:
    """Padding as ``pad=`` takes it, zeros left out."""
    found: dict[str, dict[int | str, tuple[int, int] | str]] = {}
    for name, pairs in pads.items():
        if any(map(any, pairs)):
            found[name] = {axis: pair for axis, pair in enumerate(pairs) if any(pair)}
            if name in skipped:
                found[name]["value"] = "skip"
    return found


def _check_names(program: Program, consts: Mapping[str, int | float]) -> None:
    held: dict[str, None] = {}
    for statement in program.statements:
        for part in (*statement.target.subscripts, *subscripts(statement.value)):
            held.update(dict.fromkeys(constants(part)))
        for node in expressions(statement.value):
            if isinstance(node, Scalar):
                held.setdefault(node.name)
    for name in consts:
        if name not in held:
            found = ", ".join(held) or "none"
            raise EinsumError(
                f"consts names {name}, which is no constant of this Einsum; constants: {found}",
                text=program.text,
                hint="The extent of a rank is given in sizes.",
            )


def _check_extents(forms: Sequence[Form], text: str) -> None:
    """The name of an extent stands for one rank: not n and N, which would share N."""
    seen: dict[str, str] = {}
    used = mentioned(forms)
    for name in (name for form in forms for name in form.ranks):
        other = seen.setdefault(name.upper(), name)
        if other != name and name.upper() in used:
            raise EinsumError(
                f"ranks {other} and {name} differ in case only; {name.upper()} names the extent of"
                " both",
                text=text,
                hint="Rename one.",
            )


def _check_order(forms: Sequence[Form], text: str) -> None:
    """Every result is written by one line, and read by later lines only."""
    last = {form.target.tensor: line for line, form in enumerate(forms)}
    written: dict[str, Access] = {}
    for line, form in enumerate(forms):
        name = form.target.tensor
        reads = [(a.tensor, a.span) for a in form.reads]
        reads += [(n, None) for term in form.terms for n in term.bare]
        for tensor, span in reads:
            if last.get(tensor, -1) >= line:
                raise EinsumError(
                    f"{tensor} is read before its line has written it",
                    text=text,
                    spans=[span] if span else [],
                    hint="Put the line that writes it first; no line reads its own result.",
                )
        if name in written:
            raise EinsumError(
                f"{name} is written by two lines",
                text=text,
                spans=[span for span in (written[name].span, form.target.span) if span],
                hint="Give each result a name of its own.",
            )
        written[name] = form.target


def _merged(sizes: dict[str, int], found: Mapping[str, int]) -> dict[str, int]:
    for name, size in found.items():
        if sizes.setdefault(name, size) != size:
            raise EinsumError(
                f"rank {name} has two sizes: {size} in its Sum, {sizes[name]} in sizes"
            )
    return sizes


def _name(name: object, where: str) -> str:
    if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
        raise EinsumError(f"{where}: expected a name, found {name!r}")
    return name


def _number(name: str, value: Any) -> int | float:
    if not isinstance(value, bool):
        try:
            return index(value)
        except TypeError:
            pass
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if number == number and abs(number) != float("inf") and not isinstance(value, str):
            return number
    raise EinsumError(f"constant {name}: expected a number, found {value!r}")


def _size(name: str, value: Any) -> Any:
    """An extent; or the shape of a result."""
    if isinstance(value, tuple | list):
        return tuple(_size(name, extent) for extent in value)
    try:
        size = index(value)
    except TypeError:
        raise EinsumError(f"size of {name}: expected a whole number, found {value!r}") from None
    if not 0 <= size <= MAX_EXTENT:
        raise EinsumError(f"size of {name}: expected 0 to 2**40, found {size}")
    return size
