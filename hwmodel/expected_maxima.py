"""Lines of an accounting that ask for the largest of a count, and those that round it up.

    steps[k] max= busy[k,i,j]          the mean of a maximum over PEs
    turns[k] = ceil(steps[k]/2)        on two multipliers of each

A count that is a product of counts of operands that share no rank but those that stay is largest
where each of them is.  Where each place of a uniform tensor is in one cell at most, the chances of
the largest are exact, of rows of few places.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import by_data, variables
from zeroskip.formats.density_models import Blocks
from zeroskip.hwmodel.closed import Closed, is_static
from zeroskip.hwmodel.evaluate import structure
from zeroskip.hwmodel.expected_events import called_for
from zeroskip.hwmodel.expected_spread import spread_of
from zeroskip.hwmodel.expected_tiles import is_partition, refused
from zeroskip.hwmodel.geometry import Line, Tag
from zeroskip.hwmodel.maxima import Apart, Either, Largest, Rounded, largest_of

if TYPE_CHECKING:
    from zeroskip.hwmodel.expected_lines import Compiler

MOST_MULTIPLIERS = 2**20
"""Of a PE, and multiplications of a point: more are no fraction of a line."""


def rounded(known: Compiler, text: str, form: Form) -> Closed | Rounded:
    """A line ``turns[k] = ceil(2*steps[k]/3)`` of a largest count."""
    term, name = form.terms[0], form.target.tensor
    reads = [*term.scalars, *(access.tensor for access in term.accesses)]
    of = reads[0] if len(reads) == 1 else ""
    line = known.lines.get(of)
    if line is None or len(form.terms) > 1:
        raise refused(text, "rounding up what is no count")
    share = Fraction(term.number).limit_denominator(MOST_MULTIPLIERS)
    known.tags[name] = "exact in expectation"
    if isinstance(line, Closed) and is_static(line):
        turns = -(-line.terms[()].astype(np.int64) * share.numerator // share.denominator)
        return Closed({(): turns})
    if isinstance(line, Closed):  # of one count, whose chances are needed, too
        line, _ = _compared(known, *_compared_by(known, of))
    assert isinstance(line, Largest | Apart | Either)
    if not _is_exact(line):
        known.tags[name] = "approximate"
    return Rounded(line, share.numerator, share.denominator, of)


def _compared_by(known: Compiler, name: str) -> tuple[str, list[int]]:
    """Whose largest a line asks for, and the axes that it keeps."""
    form = known.texts[name][1]
    (term,) = form.terms
    if not term.accesses:
        return next(scalar for scalar in term.scalars if scalar in known.lines), []
    axes = [deparse(s) for s in term.accesses[0].subscripts]
    return term.accesses[0].tensor, [axes.index(deparse(s)) for s in form.target.subscripts]


def largest(known: Compiler, text: str, form: Form, term: Term) -> Line:
    name = form.target.tensor
    results = [scalar for scalar in term.scalars if scalar in known.lines]
    if results and not term.accesses and isinstance(known.lines[results[0]], Closed):
        return known.scaled(text, form, term, results)  # the largest of one count
    if len(term.accesses) != 1 or term.scalars or term.number != 1:
        raise refused(text, "the maximum of a product")
    (access,) = term.accesses
    source = known.lines[access.tensor]
    if not isinstance(source, Closed):
        raise refused(text, "the maximum of a maximum")
    line, known.tags[name] = maximum(known, *_compared_by(known, name))
    return line


def maximum(
    known: Compiler, name: str, kept: Sequence[int]
) -> tuple[Closed | Largest | Apart | Either, Tag]:
    """The largest of a count over the axes that are not kept, and how sure it is."""
    source = known.lines[name]
    assert isinstance(source, Closed)
    shape = next(iter(source.terms.values())).shape
    count = len(shape) if name in known.trees else len(known.texts[name][1].target.subscripts)
    gone = [k for k in range(count) if k not in kept]
    if is_static(source):
        turned = source.terms[()].transpose((*kept, *gone))
        behind = tuple(range(len(kept), count))
        return Closed({(): turned.max(axis=behind, initial=0)}), "exact in expectation"
    if all(shape[k] == 1 for k in gone):  # the largest of one count is that count
        order, whole = (*kept, *gone), [shape[k] for k in kept]
        one = {names: x.transpose(order).reshape(whole) for names, x in source.terms.items()}
        return Closed(one), known.tags[name]
    if name in known.trees:
        return largest_of(source, None, (*kept, *gone), len(kept), ("", 0)), "bound"
    called = called_for(known, name, kept)
    return _compared(known, name, kept) if called is None else called


def _compared(known: Compiler, name: str, kept: Sequence[int]) -> tuple[Largest | Apart, Tag]:
    """The largest of a count for which nothing has to call."""
    source = known.lines[name]
    assert isinstance(source, Closed)
    count = len(known.texts[name][1].target.subscripts)
    gone = [k for k in range(count) if k not in kept]
    apart = _apart(known, name, kept)
    if apart is not None:
        return apart, "exact in expectation" if _is_exact(apart) else "approximate"
    spread = spread_of(known, name, gone)
    tag: Tag = "bound" if spread is None and gone else "approximate"
    drawn = _drawn_cells(known, name)
    found = largest_of(source, spread, (*kept, *gone), len(kept), drawn)
    return found, "exact in expectation" if _is_exact(found) else tag


def _drawn_cells(known: Compiler, name: str) -> tuple[str, int]:
    """The tensor whose places a count has, each in one cell at most, any as likely as any
    other, and how many it has; of another count "" and 0."""
    form = known.texts[name][1]
    (term,) = form.terms if len(form.terms) == 1 else (None,)
    if term is None or len(term.accesses) != 1 or term.scalars or term.number != 1:
        return "", 0
    if by_data(form.target):  # cells by stored entries have as many of them each
        return "", 0
    mask = dict(known.masks).get(term.accesses[0].tensor)
    if mask is None or mask.kind == "in" or not is_partition(form, term.accesses[0]):
        return "", 0
    density = dict(known.drawn).get(mask.tensor)
    model = None if density is None else density.model
    alone = isinstance(model, Blocks) and model.counts.size == 1 and model.support is None
    return (mask.tensor, density.size) if density is not None and alone else ("", 0)


def _apart(known: Compiler, name: str, kept: Sequence[int]) -> Apart | None:
    """The largest of a count whose operands share no rank but those of the axes that are kept;
    None for another."""
    _, form = known.texts[name]
    term, left = form.terms[0], form.target.subscripts
    stays = {v for k in kept for v in variables(left[k]) if deparse(left[k]) == v}
    held = [{v for s in a.subscripts for v in variables(s)} for a in term.accesses]
    masks = dict(known.masks)
    tensors = {masks[a.tensor].tensor for a in term.accesses if a.tensor in masks}
    scaled = any(scalar in known.lines for scalar in term.scalars)
    if (
        scaled
        or len(form.terms) > 1
        or not len(held) == len(tensors) > 1
        or tensors <= known.fixed.keys()
        or any(one & other - stays for one, other in combinations(held, 2))
    ):
        return None
    if not all(any(set(variables(s)) <= ranks for ranks in held) for s in left):
        return None
    factors: list[tuple[Largest | Closed | Apart, tuple[int, ...]]] = []
    for access, ranks in zip(term.accesses, held, strict=True):
        mine = [k for k, s in enumerate(left) if set(variables(s)) <= ranks]
        part = _part(known, name, [deparse(left[k]) for k in mine], access)
        count, source = known.lines[part], known.lines[name]
        assert isinstance(count, Closed)
        assert isinstance(source, Closed)
        shape = next(iter(source.terms.values())).shape
        view = tuple(shape[k] if k in mine else 1 for k in kept)
        held_here = [mine.index(k) for k in kept if k in mine]
        if is_static(count):
            known_most, _ = maximum(known, part, held_here)
            assert isinstance(known_most, Closed)
            factors.append((known_most, view))
            del known.lines[part], known.texts[part], known.tags[part]
            continue
        gone = [at for at in range(len(mine)) if at not in held_here]
        spread = spread_of(known, part, gone)
        drawn_here = _drawn_cells(known, part)
        order = *held_here, *gone
        found = largest_of(count, spread, order, len(held_here), drawn_here)
        del known.lines[part], known.texts[part], known.tags[part]
        factors.append((found, view))
    return Apart(tuple(factors), known.times(term))


def _part(known: Compiler, name: str, left: Sequence[str], access: Access) -> str:
    """A count of one operand alone, by some axes of another count; its name."""
    text = f"{name}_of_{access.tensor}[{','.join(left)}] += {deparse(access)}"
    (form,) = structure(text).written.forms
    known.line(text, form)
    return form.target.tensor


def _is_exact(line: Line) -> bool:
    """Whether the chances of a largest count are exact."""
    if isinstance(line, Apart):
        return all(_is_exact(part) for part, _ in line.factors)
    return is_static(line) or (isinstance(line, Largest) and line.drawn[1] > 0)
