"""``tune=True``: which schedules are tried, which is kept, and that it is remembered; no timing."""

import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
from generator import random_array
from judges import line_of

import zeroskip as zs
from zeroskip.errors import KernelError, RoomError
from zeroskip.formats.tensor import Tensor
from zeroskip.native import schedules, settings, tuning
from zeroskip.native.fixed import OPEN, Schedule

RNG = np.random.default_rng(11)
PRODUCT = zs.layer("C[i,j] = A[i,k]*B[k,j]")
A = Tensor.from_dense(random_array(RNG, (24, 40), "float32", 0.5), "CSR")
B = random_array(RNG, (40, 90), "float32", 1.0)
WANT = A.toarray() @ B


@pytest.fixture(autouse=True)
def fresh(tmp_path):
    """A cache of its own, so that nothing was measured before; and one width on every machine, as
    the default that candidates are compared with depends on it."""
    with settings.using(cache_dir=tmp_path / "cache", vector_bytes=32):
        yield tmp_path / "cache"


@pytest.fixture
def chosen(monkeypatch):
    """The candidates of each measurement; the one that is asked for wins."""
    calls = []

    def pick(runs, now):
        for run in runs:
            run()
        calls.append(len(runs))
        return pick.wins

    pick.wins = 1
    monkeypatch.setattr(tuning, "fastest", pick)
    monkeypatch.setattr(tuning, "clock", lambda: 0.0)
    pick.calls = calls
    return pick


def files(place):
    return sorted(place.glob("tuned-*"))


def test_the_fastest_is_taken_told_and_remembered(fresh, chosen):
    bound = PRODUCT.bind(A=A, tune=True)
    assert zs.explain(bound, B=B).lines[0].source == "default"
    for _ in range(2):
        assert np.array_equal(bound(B), WANT)
    assert len(chosen.calls) == 1
    assert chosen.calls[0] >= 4
    (line,) = zs.explain(bound, B=B).lines
    second = next(one for one in tuning.AROUND if one.rows)  # these vectors have no machine code
    assert (line.source, line.taken.rows, line.taken.block) == ("tuned", second.rows, second.block)
    assert f"tuned: {line.taken}" in str(zs.explain(bound, B=B))
    for again in (PRODUCT.bind(A=A, tune=True), pickle.loads(pickle.dumps(bound))):
        assert np.array_equal(again(B), WANT)
    assert len(chosen.calls) == 1
    assert len(files(fresh)) == 1
    assert [p.suffix for p in files(fresh)] == [".json"]


def test_other_extents_and_densities_are_measured_on_their_own(fresh, chosen):
    bound = PRODUCT.bind(A=A, tune=True)
    bound(B)
    assert np.array_equal(bound(B[:, :70].copy()), WANT[:, :70])  # of the same power of 2
    assert len(chosen.calls) == 1
    assert np.array_equal(bound(B[:, :30].copy()), WANT[:, :30])
    thin = Tensor.from_dense(random_array(RNG, (24, 40), "float32", 0.1), "CSR")
    PRODUCT.bind(A=thin, tune=True)(B)
    assert len(chosen.calls) == len(files(fresh)) == 3


@pytest.mark.parametrize(
    "spoilt",
    [
        "",
        "{}",
        "[1]",
        "\x00\xff",
        '{"class": "another", "schedule": {}}',
        '{"class": CLASS, "schedule": {"rows": 9}}',
        '{"class": CLASS, "schedule": {"colour": 1}}',
        '{"class": CLASS, "schedule": 3}',
    ],
)
def test_a_damaged_or_foreign_file_is_warned_of_and_written_anew(fresh, chosen, spoilt):
    import json

    PRODUCT.bind(A=A, tune=True)(B)
    (file,) = files(fresh)
    whole = file.read_text()
    said = json.dumps(json.loads(whole)["class"])
    file.write_bytes(spoilt.replace("CLASS", said).encode("latin-1"))
    with pytest.warns(RuntimeWarning, match="holds no tuned schedule, and is written anew"):
        assert np.array_equal(PRODUCT.bind(A=A, tune=True)(B), WANT)
    assert len(chosen.calls) == 2
    assert file.read_text() == whole


def test_what_a_line_cannot_take_is_measured_again(fresh, chosen):
    PRODUCT.bind(A=A, tune=True)(B)
    (file,) = files(fresh)
    whole = file.read_text()
    file.write_text(whole[: whole.index('"schedule"')] + '"schedule": {"order": "i,j,k"}}')
    assert np.array_equal(PRODUCT.bind(A=A, tune=True)(B), WANT)
    assert len(chosen.calls) == 2
    assert file.read_text() == whole


def test_without_a_directory_it_is_measured_by_every_process(fresh, chosen, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    bound = PRODUCT.bind(A=A, tune=True)
    PRODUCT.bind(A=A)(B)  # its kernel is compiled
    monkeypatch.setattr(tuning, "candidates", lambda line, bound: iter([OPEN]))
    kernels = sorted(fresh.iterdir())
    monkeypatch.setattr(os, "fsync", full)
    assert np.array_equal(bound(B), WANT)
    assert sorted(fresh.iterdir()) == kernels


def test_candidates_are_different_kernels_and_the_default_is_the_first(chosen):
    seen, kernels = [], []
    made = tuning.candidates

    def noting(line, bound):
        for one in made(line, bound):
            tried = replace(line, fixed=one)
            seen.append(one)
            kernels.append(schedules.taken(tried, schedules.schedule_of(tried, bound), bound))
            yield one

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "candidates", noting)
        PRODUCT.bind(A=A, tune=True)(B)
    assert seen[0] == OPEN
    assert len(set(kernels)) == len(kernels)
    assert {one.wanted for one in seen} == {None, "tiled", "lanes", "plain"}


@pytest.mark.parametrize("fixed", [Schedule(unrolled=True), Schedule(bitmask=True)])
def test_machine_code_and_columns_are_tried_where_the_line_can_take_them(fixed):
    with settings.using(vector_bytes=64):
        line = line_of(PRODUCT.spec, {"A": A, "B": B})
        try:
            wanted = _taken(line, fixed)
        except KernelError:  # this processor runs no code that a process has written
            assert fixed.unrolled
            wanted = None
        tried = {_taken(line, one) for one in tuning.candidates(line, {"A"})}
        assert wanted is None or wanted in tried
        assert fixed not in tuning.candidates(line, {"B"})


def _taken(line, fixed):
    tried = replace(line, fixed=fixed)
    return schedules.taken(tried, schedules.schedule_of(tried, {"A"}), {"A"})


def test_what_has_no_room_is_not_tried(fresh, chosen):
    def cramped(*args):
        raise RoomError("the workspace for C")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedules, "in_lanes", cramped)
        assert np.array_equal(PRODUCT.bind(A=A, tune=True)(B), WANT)
    with settings.using(cache_dir=fresh / "other"):
        PRODUCT.bind(A=A, tune=True)(B)
    assert chosen.calls[1] == chosen.calls[0] + 1


def test_what_has_one_schedule_is_not_measured(fresh, monkeypatch):
    monkeypatch.setattr(tuning, "fastest", None)
    x = np.arange(40, dtype=np.float32)
    bound = zs.layer("y[i] = a[i]*x[i]").bind(x=x, tune=True)
    assert np.array_equal(bound(x), x * x)
    assert zs.explain(bound, x).lines[0].taken == Schedule(kind="plain", threads=1)


def test_time_that_runs_out_leaves_later_candidates_out(chosen, monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr(tuning, "clock", lambda: float(next(ticks)))
    chosen.wins = 0
    assert np.array_equal(PRODUCT.bind(A=A, tune=True)(B), WANT)
    assert chosen.calls == []  # the first is alone


def test_the_fastest_is_the_least_of_each_in_turns():
    time, order = [0.0], []
    costs = {"a": iter([5, 3, 3]), "b": iter([4, 4, 4]), "c": iter([9, 2, 9])}

    def run(name):
        def step():
            order.append(name)
            time[0] += next(costs[name], 1000)

        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "ROUNDS", 3)
        patch.setattr(tuning, "MEASURING", 1e9)
        assert tuning.fastest([run(n) for n in "abc"], lambda: time[0]) == 2
    assert "".join(order) == "abcabcabc"
    costs = {"a": iter([5]), "b": iter([4])}
    assert tuning.fastest([run("a"), run("b")], lambda: time[0]) == 1  # time is up


def test_what_cannot_be_tuned_is_refused():
    with pytest.raises(KernelError, match="tune: expected True or False, found 'fast'"):
        PRODUCT.bind(A=A, tune="fast")
    with pytest.raises(KernelError, match=r"schedule= fixes what tune=True is to find"):
        PRODUCT.bind(A=A, schedule=Schedule(rows=2), tune=True)
    two = zs.layer("T[i,j] = A[i,k]*B[k,j]\nS[i,l] = T[i,j]*E[l,j]")
    with pytest.raises(KernelError, match="measures layers of one line, and this one has 2"):
        two.bind(A=A, tune=True)
