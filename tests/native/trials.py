"""One random case before its judges: dense NumPy, the interpreter, the C, and C under sanitizers.

    trials = [Trial(seed) for seed in range(64)]
    judge(trials, sanitized_in=place)

A case goes through the engine twice.  The first time, every kernel that the engine calls, of
whichever line, schedule or sparse result, is interpreted, and what it was given and left is kept
(`Record`).  The kernels of a batch are then compiled together, run as a program of their own under
sanitizers and compared to the bit, and the engine runs the case again in C.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import doit
import numpy as np
import standalone
from families import random_trial
from generator import Case, random_array
from judges import counted, prime
from numpy.typing import NDArray

from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.spec import Spec, make_spec
from zeroskip.einsum_spec.walk import single
from zeroskip.errors import CompilerError, ZeroskipError
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import is_float
from zeroskip.native import choice, cuts, engine, lanes, load, pool, results, schedules, settings
from zeroskip.native.arguments import shapes
from zeroskip.native.interpret import interpret
from zeroskip.native.prepared import Prepared, Slots, explained, invocation
from zeroskip.native.reference import evaluate

Array = NDArray[Any]

SPECIFIC = re.compile(r"\b(?:T\d|\d+|[ijkl](?://2)?)\b")
TINY = 64
"""Points of an iteration space that SymPy visits."""

SCRATCH = ("touched", "row", "rows", "staged", "starts", "panel", "turned")
"""Buffers that hold no result, or what only this process can use."""

THREADS = 3
"""Those that a kernel runs on once more, if any of its loops are shared."""

SANITIZED = (*standalone.SANITIZERS, "-O0")
"""Whole numbers may wrap around.  Nothing is optimised: it takes a third of the time."""


@dataclass(frozen=True, slots=True)
class Record:
    """One call of a kernel: its slots before, its buffers as the interpreter left them."""

    prepared: Prepared
    before: Slots
    after: list[Array]
    work: int

    @property
    def title(self) -> str:
        return self.prepared.lowered.kernel.title[0]


class Trial:
    """One random case on its way to a verdict.

    verdict : None until it is reached; then "ok", why the case is none, or what is wrong.
    order : of the loops of some lines, the ranks of each.
    records : the kernels that the engine called.  symbolic : whether SymPy judged, too.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.case: Case | None = None
        self.verdict: str | None = None
        self.order: dict[str, str] = {}
        self.records: list[Record] = []
        self.symbolic = False

    @property
    def wrong(self) -> bool:
        return (self.verdict or "").startswith("WRONG")

    @property
    def kernels(self) -> set[bytes]:
        """A digest of each kernel that was judged."""
        return {digest(r.prepared.c_text) for r in self.records}

    @property
    def texts(self) -> list[str]:
        """C of the kernels that the judges will run."""
        found = [r.prepared.c_text for r in self.records]
        if self.counts:
            found += [counted(r.prepared).c_text for r in self.records]
        return found

    @property
    def counts(self) -> bool:
        """Whether multiplications are counted, too."""
        return self.seed % 5 == 0

    def guarded(self, step: Any) -> None:
        """Take one step; what it raises is a refusal, or a fault."""
        if self.verdict is not None:
            return
        try:
            # what each part of a call has of its own is made for as many as counts are taken with
            with scheduling(self.seed % 3), settings.using(threads=THREADS):
                self.verdict = step()
        except CompilerError as error:
            self.verdict = f"WRONG: {error}"
        except ZeroskipError as error:
            self.verdict = f"refused: {SPECIFIC.sub('…', str(error).splitlines()[0])[:48]}"
        except Exception:
            self.verdict = "WRONG: " + traceback.format_exc()

    def draw(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.case = case = random_trial(rng)
        self.spec = spec = make_spec(case.text, case.consts, case.sizes, case.pad)
        self.order = random_orders(rng, spec)
        self.clean = rng.random() < 0.9 or not spoil(rng, case)
        self.want = self.dense_results()
        last = self.want[spec.results[-1]]
        if spec.forms[-1].reduction and spec.results[-1] not in case.formats and rng.random() < 0.2:
            out = random_array(rng, last.shape, last.dtype.name, 0.8)
            self.case = case = replace(case, out=out)
            self.want = self.dense_results()
        self.finite = self.clean and not case.infinite and all(map(finite, self.want.values()))
        with recording(self.records):
            self.interpreted = self.results("c")

    def dense_results(self) -> dict[str, Array]:
        """What NumPy says of each line."""
        assert self.case is not None
        with np.errstate(all="ignore"):
            return evaluate(self.spec, self.case.dense, self.case.out)

    def results(self, backend: str) -> dict[str, dict[str, Array]]:
        """What the engine makes of each line: dense, and in formats where some were drawn."""
        assert self.case is not None
        given, formats, out = self.case.stored, self.case.formats, self.case.out
        run = partial(engine.evaluate, self.spec, given, backend=backend, order=self.order)
        found: dict[str, Any] = {backend: run(out=None if out is None else out.copy())}
        if formats and self.clean:
            start = None if out is None else out.copy()
            made: dict[str, Any] = run(out=start, format=formats)
            found[f"{backend} {formats}"] = {
                name: x.validate().toarray() if isinstance(x, Tensor) else x
                for name, x in made.items()
            }
        return found

    def judge(self) -> str:
        got = self.results("c")
        got |= {f"interpreted {way}": found for way, found in self.interpreted.items()}
        if self.way != "plain":
            got |= self.results("interpreter")
        for way, found in got.items():
            for name, want in self.wanted(way).items():
                if wrong := difference(found[name], want):
                    return f"WRONG {name} in {way}: {wrong}"
        if self.finite and (wrong := self.by_sympy()):
            return f"WRONG, SymPy: {wrong}"
        if self.counts:
            for record in self.records:
                left = []
                for threads in (1, THREADS) if record.prepared.lowered.rate else (1,):
                    filled = copied(record.before)
                    call = invocation(counted(record.prepared), filled)
                    if call is None:
                        break
                    found = call.call(through=pool.spread(threads))
                    if found != record.work:
                        return f"WRONG: {found} multiplications, interpreted {record.work}"
                    names = record.prepared.lowered.buffers
                    held = zip(names, filled.buffers, strict=True)
                    left.append([b.tobytes() for key, b in held if key[0] not in SCRATCH])
                if left[1:] and left[0] != left[1]:
                    return f"WRONG: other bits on {THREADS} threads"
        return f"ok, {self.way}"

    def wanted(self, way: str) -> dict[str, Array]:
        """What the results in a ``way`` are to be.

        NumPy has no absent values, which an infinity leaves absent and makes NaN of a stored 0:
        there C and interpreter judge each other, each cascade with the lines stored as they are.
        """
        if self.finite:
            return self.want
        own = self.interpreted.get(way.removeprefix("interpreted "), {})
        first = self.spec.results[0]  # of operands alone, however it is stored
        return self.interpreted["c"] | own | {first: self.interpreted["c"][first]}

    def by_sympy(self) -> str:
        """What differs from what SymPy's ``doit()`` makes of a tiny case; nothing for others.

        SymPy computes with rationals: integers that may wrap around are left to NumPy, and so are
        results with computed places.
        """
        case, spec = self.case, self.spec
        assert case is not None
        extents, want = spec.extents(shapes(case.dense)), self.want[spec.results[-1]]
        if "\n" in case.text or case.out is not None or not _plain(spec.forms[-1]):
            return ""
        if not 0 < prod(extents.ranks.values()) <= TINY or self.seed % 4:
            return ""
        if any(x.dtype.kind in "ub" for x in case.dense.values()):
            return ""
        if any(x.size and abs(x.astype(np.float64)).max() > 100 for x in case.dense.values()):
            return ""
        self.symbolic = True
        numbers = {rank.upper(): n for rank, n in extents.ranks.items()}
        numbers |= extents.constants | case.consts
        found = doit.computed(spec.expr, case.dense, numbers, want.shape, extents.pads)
        exact = np.array([float(x) for x in found.reshape(-1)]).reshape(want.shape)
        return difference(exact.astype(want.dtype), want)

    @property
    def way(self) -> str:
        """The schedule of the last line."""
        text = self.records[0].prepared.c_text if self.records else ""
        if "tile_" in text:
            return "tiled"
        return next((kind for kind in ("lanes", "dots") if f"* {kind}: " in text), "plain")


def _plain(form: Form) -> bool:
    """Whether every subscript of the result is a rank of its own."""
    axes = [single(part) for part in form.target.subscripts]
    return None not in axes and len(set(axes)) == len(axes)


def difference(got: Array, want: Array) -> str:
    """What is wrong with a result; nothing where it is right to the bit."""
    if got.dtype != want.dtype or got.shape != want.shape:
        return f"{got.dtype}{got.shape} for {want.dtype}{want.shape}"
    return "" if same(got, want) else f"{got.tolist()} for {want.tolist()}"


def finite(x: Array) -> bool:
    return not is_float(x.dtype) or bool(np.isfinite(x.astype(np.float64)).all())


def same(a: Array, b: Array) -> bool:
    with np.errstate(all="ignore"):  # what was never written may be a NaN that signals
        return np.array_equal(a, b, equal_nan=is_float(a.dtype))


def random_orders(rng: np.random.Generator, spec: Spec) -> dict[str, str]:
    """Orders of the loops for some lines of a quarter of all cases."""
    if rng.random() < 0.75:
        return {}
    return {
        form.target.tensor: ",".join(map(str, rng.permutation(form.ranks)))
        for form in spec.forms
        if form.ranks and rng.random() < 0.8
    }


def spoil(rng: np.random.Generator, case: Case) -> bool:
    """Put infinities and NaN into the dense operands; False where there is no room for any, or
    padding, to which each schedule gives its own meaning under them."""
    if case.pad:
        return False
    room = [
        x
        for x in case.stored.values()
        if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.size and x.ndim
    ]
    for x in room:
        x[rng.random(x.shape) < 0.2] = rng.choice([np.inf, -np.inf, np.nan])
    return bool(room)


@contextlib.contextmanager
def scheduling(kind: int) -> Iterator[None]:
    """0: as the engine chooses; 1: tiles wherever they fit; 2: lanes wherever they fit, in blocks
    of few entries.  Orders of loops are weighed though cases are small; but for 0, the least gain
    decides."""
    before = schedules.WORTH_TILING, lanes.FEWEST_LANES
    blocks = cuts.NEAR, cuts.FITS, cuts.ENOUGH, cuts.MET
    weighed = choice.WORTH, choice.TIE, choice.ONCE, choice.EACH
    choice.WORTH = 0
    if kind:
        choice.TIE, choice.ONCE, choice.EACH = 0, 0, 0
    schedules.WORTH_TILING = (before[0], 0, 2**62)[kind]
    lanes.FEWEST_LANES = before[1] if kind == 0 else 1
    cuts.NEAR, cuts.FITS, cuts.ENOUGH, cuts.MET = (0, 0, 1, 0) if kind == 2 else blocks
    try:
        yield
    finally:
        schedules.WORTH_TILING, lanes.FEWEST_LANES = before
        cuts.NEAR, cuts.FITS, cuts.ENOUGH, cuts.MET = blocks
        choice.WORTH, choice.TIE, choice.ONCE, choice.EACH = weighed


def copied(filled: Slots) -> Slots:
    return replace(filled, buffers=[b.copy() for b in filled.buffers])


@contextlib.contextmanager
def recording(records: list[Record]) -> Iterator[None]:
    """Kernels of the engine are interpreted, whatever the backend, and kept."""

    def run(prepared: Prepared, filled: Slots, backend: str) -> None:
        before = copied(filled)
        kernel = prepared.lowered.kernel
        try:
            work = interpret(kernel, filled.buffers, filled.dims, filled.parameters)
        except load.KernelFailure as cause:
            raise explained(prepared.lowered, cause, filled.shapes) from cause
        records.append(Record(prepared, before, [b.copy() for b in filled.buffers], work))

    engines = results.run
    results.run = run
    try:
        yield
    finally:
        results.run = engines


def digest(c_text: str) -> bytes:
    """Of the C without comments and with its names numbered: equal where no more differs."""
    numbers: dict[str, str] = {}
    text = re.sub(r"/\*.*?\*/", "", c_text, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    named = re.sub(
        r"\b(?!zs_)[A-Za-z]\w*", lambda m: numbers.setdefault(m[0], f"v{len(numbers)}"), text
    )
    return hashlib.sha256(named.encode()).digest()[:12]


# ---- batches ----------------------------------------------------------------------------


def judge(trials: Sequence[Trial], sanitized_in: Path | None = None) -> None:
    """Bring every trial to its verdict; under sanitizers where there is a place for them."""
    for trial in trials:
        trial.guarded(trial.draw)
    if sanitized_in is not None:
        sanitize(sanitized_in, trials)
    left = [trial for trial in trials if trial.verdict is None]
    with contextlib.suppress(CompilerError):  # then each is compiled alone, and says so
        prime(text for trial in left for text in trial.texts)
    for trial in left:
        trial.guarded(trial.judge)


def sanitize(place: Path, trials: Sequence[Trial]) -> None:
    """Run the kernels of all trials as one program; a trial with a finding is wrong."""
    calls = [
        (trial, record) for trial in trials if trial.verdict is None for record in trial.records
    ]
    for whole, flags in ((True, SANITIZED), (False, (*SANITIZED, "-fno-wrapv"))):
        _sanitize(place, [call for call in calls if _whole(call[1]) == whole], flags)


def _whole(record: Record) -> bool:
    """Whether values are whole numbers, which may wrap around."""
    return record.prepared.dtype.kind in "iub"


def _sanitize(place: Path, calls: Sequence[tuple[Trial, Record]], flags: Sequence[str]) -> None:
    if not calls:
        return
    try:
        left = standalone.run(place, [(r.prepared, r.before) for _, r in calls], flags)
    except AssertionError as finding:
        if len(calls) == 1:
            calls[0][0].verdict = f"WRONG, sanitized: {finding}"
            return
        half = len(calls) // 2
        for some in (calls[:half], calls[half:]):
            _sanitize(place, some, flags)
        return
    for (trial, record), buffers in zip(calls, left, strict=True):
        names = record.prepared.lowered.buffers
        held = dict(zip(names, record.after, strict=True))
        target = record.prepared.lowered.form.target.tensor
        for key, got, want in zip(names, buffers, record.after, strict=True):
            if ("ends",) in held and key in (("inners",), ("vals", target)):
                kept = int(held["ends",][-1])  # what is behind the last row says nothing
                got, want = got[:kept], want.reshape(-1)[:kept]
            if key[0] not in SCRATCH and not same(got, want.reshape(-1)):
                trial.verdict = f"WRONG, sanitized: {key}: {got.tolist()} for {want.tolist()}"
