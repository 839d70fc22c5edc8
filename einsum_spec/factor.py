"""Sums pushed into products: one form becomes a cascade of cheaper ones.

    W[c,4*p//P] += A[n,c,p+r] * F[m,c,r]          visits n, c, p, r, m together

    T0[c,r,4*p//P] += A[n,c,p+r]                  visits n, c, p, r
    T1[c,r] += F[m,c,r]                           visits m, c, r
    W[c,i] += T0[c,r,i] * T1[c,r]                 visits c, r, i

Two rewrites, repeated while the estimated cost falls (points visited, times operands read
at each):

- *sum out*: the variables that one operand holds alone, and the target does not need
  plainly, are summed out of that operand first.  A target subscript with a floor whose
  variables that operand holds alone becomes an axis of the temporary.
- *pair*: of three operands or more, two are multiplied first, and what only they hold is
  summed out of their product.

Both use only that + distributes over *, so integers come out exactly as before; floats
are rounded in another order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import prod

from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access, Affine, Floor, Gather, Monomial, Var
from zeroskip.einsum_spec.walk import by_data, constants, free, gathers, single, variables
from zeroskip.records import dataclass

GUESSED_EXTENT = 8
GUESSED_TILES = 4


def factor(
    form: Form,
    extents: Mapping[str, int] | None = None,
    *,
    taken: Collection[str] = (),
) -> tuple[Form, ...]:
    """``form`` as a cascade with the same last target, cheaper to evaluate.

    Parameters
    ----------
    form : Form
        Reduction ``+`` with one term, or ``=`` with any number of terms; every other form
        comes back alone and unchanged.
    extents : mapping of index variable to extent, optional
        For the estimate of cost.  A variable that is missing counts as
        `GUESSED_EXTENT`, so without extents it is the number of variables that decides.
    taken : names that a temporary or a tile variable must not have, beside those in ``form``.

    Returns
    -------
    tuple of Form
        Temporaries ``T0``, ``T1``, ... before their use, then the form itself.  They print
        through `zeroskip.einsum_spec.explicit.form_text` as text that parses back.
    """
    return factor_all((form,), extents, taken=taken)


def factor_all(
    forms: Iterable[Form],
    extents: Mapping[str, int] | None = None,
    *,
    taken: Collection[str] = (),
) -> tuple[Form, ...]:
    """Factor every form of a cascade; temporaries with the same right side are made once.

    A temporary is shared only while the operands it is made of keep their values: a cascade
    that assigns a name twice is factored line by line instead.
    """
    forms = tuple(forms)
    names = _Names({*taken, *(name for form in forms for name in _names_of(form))})
    names.tiles |= _tile_names(forms)
    done: list[Form] = []
    known: dict[tuple[Access, tuple[Access, ...]], str] | None = None
    if _assigned_once(forms):
        known = {}
    for form in forms:
        work = _Work(dict(extents or {}), names, done, known)
        done.append(_factor(form, work))
    return tuple(done)


def _tile_names(forms: Sequence[Form]) -> dict[Affine, str]:
    """Subscripts with a floor, and the variable by which later lines read that axis."""
    floors: dict[tuple[str, int], Affine] = {}
    names: dict[Affine, str] = {}
    for form in forms:
        for access in form.reads:
            for axis, subscript in enumerate(access.subscripts):
                made, name = floors.get((access.tensor, axis)), single(subscript)
                if made is not None and name is not None:
                    names.setdefault(made, name)
        for axis, subscript in enumerate(form.target.subscripts):
            if any(isinstance(atom, Floor) for _, atom in subscript.terms):
                floors[form.target.tensor, axis] = subscript
    return names


def _assigned_once(forms: Sequence[Form]) -> bool:
    """Whether no line changes what an earlier line read or assigned."""
    seen: set[str] = set()
    for form in forms:
        if form.target.tensor in seen:
            return False
        seen |= {form.target.tensor, *(a.tensor for a in form.reads)}
    return True


def _factor(form: Form, work: _Work) -> Form:
    if any(term.factors for term in form.terms) or any(map(by_data, form.reads)):
        return form
    if form.reduction == "+" and len(form.terms) == 1:
        term = form.terms[0]
        summed = form.reduced
        product = work.reduce(_Product(form.target, term.accesses, summed), tiles=True)
        term = replace(term, accesses=product.accesses, scalars=term.scalars + product.scalars)
        return replace(form, target=product.target, terms=(term,), reduced=product.summed)
    if form.reduction is None:
        terms = []
        for term in form.terms:
            product = work.reduce(_Product(form.target, term.accesses, term.ranks), tiles=False)
            terms.append(
                Term(
                    term.number,
                    term.scalars + product.scalars,
                    product.accesses,
                    product.summed,
                )
            )
        return replace(form, terms=tuple(terms))
    return form


# ---- the rewrites -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Product:
    """``target += product(accesses)`` over ``summed``; ``scalars`` are temporaries of no axes."""

    target: Access
    accesses: tuple[Access, ...]
    summed: tuple[str, ...]
    scalars: tuple[str, ...] = ()

    @property
    def variables(self) -> set[str]:
        return {*free(self.target), *self.summed, *(v for a in self.accesses for v in free(a))}


@dataclass(frozen=True, slots=True)
class _Step:
    """``temporary += product(operands)``, after which ``after`` remains to be done."""

    temporary: Form
    after: _Product
    cost: int


@dataclass(slots=True)
class _Work:
    """State of one run: extents and names grow as temporaries are made."""

    extents: dict[str, int]
    names: _Names
    done: list[Form]
    known: dict[tuple[Access, tuple[Access, ...]], str] | None

    def cost(self, names: Iterable[str]) -> int:
        return prod(self.extents.get(name, GUESSED_EXTENT) for name in names)

    def reduce(self, product: _Product, *, tiles: bool) -> _Product:
        """Apply the cheapest rewrite again and again, while one lowers the cost."""
        while len(product.accesses) > 1:
            now = self.cost(product.variables) * len(product.accesses)
            groups: list[tuple[int, ...]] = [(i,) for i in range(len(product.accesses))]
            if len(product.accesses) > 2:
                groups += combinations(range(len(product.accesses)), 2)
            best: _Step | None = None
            for group in groups:
                step = self.step(product, group, tiles)
                if step is not None and step.cost < (now if best is None else best.cost):
                    best = step
            if best is None:
                break
            product = self.take(best)
        return product

    def step(self, product: _Product, group: tuple[int, ...], tiles: bool) -> _Step | None:
        """Multiply the operands of ``group`` into a temporary, summing what only they hold."""
        operands = [product.accesses[i] for i in group]
        others = [a for i, a in enumerate(product.accesses) if i not in group]
        held = tuple(dict.fromkeys(v for a in operands for v in free(a)))
        alone = set(held) - {v for a in others for v in free(a)}
        tiled = _tiled(product.target, alone) if tiles else ()
        inside = {v for axis in tiled for v in variables(product.target.subscripts[axis])}
        removed = (alone & set(product.summed)) | inside
        if len(group) == 1 and not removed:
            return None
        kept = tuple(v for v in held if v not in removed)
        subscripts = tuple(_plain(v) for v in kept) + tuple(
            product.target.subscripts[axis] for axis in tiled
        )
        temporary = Form(
            target=Access("", subscripts),
            reduction="+",
            post=None,
            terms=(Term(1, (), tuple(operands), ()),),
            reduced=tuple(v for v in held if v in removed and v not in inside),
        )
        tile_names = tuple(f"\0{axis}" for axis in tiled)
        target = list(product.target.subscripts)
        for axis, name in zip(tiled, tile_names, strict=True):
            target[axis] = _plain(name)
        access = Access("", tuple(_plain(v) for v in kept + tile_names))
        position = group[0]
        accesses = [a for i, a in enumerate(product.accesses) if i not in group[1:]]
        accesses[position] = access
        after = _Product(
            Access(product.target.tensor, tuple(target)),
            tuple(accesses),
            tuple(v for v in product.summed if v not in removed),
            product.scalars,
        )
        tile_points = prod(self.tiles(product.target.subscripts[axis]) for axis in tiled)
        rest = self.cost(after.variables - set(tile_names)) * tile_points * len(accesses)
        return _Step(temporary, after, self.cost(held) * len(group) + rest)

    def tiles(self, subscript: Affine) -> int:
        """Estimated number of values of a subscript with a floor."""
        largest = _largest(subscript, self.extents)
        return GUESSED_TILES if largest is None else largest + 1

    def take(self, step: _Step) -> _Product:
        """Give the temporary and its tile variables their names."""
        operands = step.temporary.terms[0].accesses
        key = (step.temporary.target, operands)
        name = None if self.known is None else self.known.get(key)
        if name is None:
            name = self.names.new("T")
            target = Access(name, step.temporary.target.subscripts)
            self.done.append(replace(step.temporary, target=target))
            if self.known is not None:
                self.known[key] = name
        named: dict[str, str] = {}
        tiled = step.temporary.target.subscripts
        in_use = step.after.variables
        for access in step.after.accesses:
            if access.tensor == "":
                for subscript, made in zip(access.subscripts, tiled, strict=True):
                    hidden = _first(subscript)
                    if hidden.startswith("\0"):
                        named[hidden] = self.names.tile(made, in_use)
                        self.extents[named[hidden]] = self.tiles(made)
        accesses = []
        scalars = list(step.after.scalars)
        for access in step.after.accesses:
            if access.tensor == "" and not access.subscripts:
                scalars.append(name)
                continue
            renamed = _rename(access, named)
            accesses.append(replace(renamed, tensor=access.tensor or name))
        return _Product(
            _rename(step.after.target, named), tuple(accesses), step.after.summed, tuple(scalars)
        )


class _Names:
    """Names that are free: temporaries count up; tile variables go i, j, k, then e0, e1, ...

    A variable also takes its upper-case name, which stands for its extent.
    """

    def __init__(self, taken: set[str]) -> None:
        self._taken = set(taken)
        self.tiles: dict[Affine, str] = {}

    def new(self, prefix: str) -> str:
        number = 0
        while f"{prefix}{number}" in self._taken:
            number += 1
        self._taken.add(f"{prefix}{number}")
        return f"{prefix}{number}"

    def tile(self, subscript: Affine, in_use: Collection[str]) -> str:
        """A variable for the values of ``subscript``: the one that stands for it elsewhere in
        the cascade, where that is free."""
        if self.tiles.get(subscript, "") in in_use or subscript not in self.tiles:
            self.tiles[subscript] = self._new_tile()
        return self.tiles[subscript]

    def _new_tile(self) -> str:
        for name in ("i", "j", "k"):
            if name not in self._taken and name.upper() not in self._taken:
                self._taken |= {name, name.upper()}
                return name
        number = 0
        while {f"e{number}", f"E{number}"} & self._taken:
            number += 1
        self._taken |= {f"e{number}", f"E{number}"}
        return f"e{number}"


# ---- small questions about the tree -----------------------------------------------------


def _plain(name: str) -> Affine:
    return Affine(((Monomial(1), Var(name)),))


def _first(subscript: Affine) -> str:
    return next(iter(variables(subscript)), "")


def _rename(access: Access, named: Mapping[str, str]) -> Access:
    """``access`` with plain subscripts whose variable is in ``named`` renamed."""
    subscripts = []
    for subscript in access.subscripts:
        new = named.get(_first(subscript))
        subscripts.append(subscript if new is None else _plain(new))
    return replace(access, subscripts=tuple(subscripts))


def _tiled(target: Access, alone: Collection[str]) -> tuple[int, ...]:
    """Axes of the target with a floor over variables of ``alone`` that no other axis holds.  Not
    of what an index tensor tells: the extent of such an axis is given for the target alone."""
    axes = []
    for axis, subscript in enumerate(target.subscripts):
        names = set(variables(subscript))
        floors = any(isinstance(atom, Floor) for _, atom in subscript.terms)
        if not floors or any(True for _ in gathers(subscript)):
            continue
        elsewhere = {
            v for i, other in enumerate(target.subscripts) if i != axis for v in variables(other)
        }
        if names <= set(alone) and not names & elsewhere:
            axes.append(axis)
    return tuple(axes)


def _largest(subscript: Affine, extents: Mapping[str, int]) -> int | None:
    """Largest value of a subscript without negative coefficients, or None where unknown."""
    total = 0
    for coefficient, atom in subscript.terms:
        scale = _value(coefficient, extents)
        if isinstance(atom, Floor):
            inner, divisor = _largest(atom.inner, extents), _value(atom.divisor, extents)
            reach = None if inner is None or not divisor else inner // divisor
        elif isinstance(atom, Gather):
            return None
        else:
            reach = extents[atom.name] - 1 if atom.name in extents else None
        if scale is None or scale < 0 or reach is None:
            return None
        total += scale * max(reach, 0)
    for monomial in subscript.offset:
        value = _value(monomial, extents)
        if value is None:
            return None
        total += value
    return max(total, 0)


def _value(monomial: Monomial, extents: Mapping[str, int]) -> int | None:
    """A monomial over extents (``P`` of ``p``), or None where a name is not one."""
    upper = {name.upper(): extent for name, extent in extents.items()}
    if any(name not in upper for name in monomial.names):
        return None
    return monomial.value * prod(upper[name] for name in monomial.names)


def _names_of(form: Form) -> set[str]:
    """Every name in a form, and the upper-case name of every variable."""
    names = {form.target.tensor}
    for term in form.terms:
        names |= {*term.bare, *(a.tensor for a in term.reads)}
    for variable in form.ranks:
        names |= {variable, variable.upper()}
    for access in (form.target, *form.reads):
        for subscript in access.subscripts:
            names |= set(constants(subscript))
    return names
