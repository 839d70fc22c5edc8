"""The pool of threads in this process: forks, many callers, failures, interruptions."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import CompilerError, KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.native import effort, engine, load, pool, settings
from zeroskip.native.bound import Bound

THREADS = 3

# What part 'part' of 'parts' does, told by dim[0]; buf[0] has a number for each part.
TOLD = """#include "zs_kernel.h"
int32_t told(zs_args *args)
{
    int64_t *seen = args->buf[0];
    const int64_t what = args->dim[0], which = args->dim[1];
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    seen[args->part] += args->parts;
    args->work = args->part + 1;
    if (what == 1 && args->part >= which)
        return zs_fail(args, ZS_ERANGE, args->part);
    ZS_BARRIER(args);
    for (int64_t part = 0; part < args->parts; part++)
        if (seen[part] != args->parts)
            return zs_fail(args, ZS_EINTERNAL, part);
    ZS_BARRIER(args);
    seen[args->part] = -1;
    if (what == 2 && args->part == which)
        return zs_fail(args, ZS_ERANGE, args->part);
    if (what == 2)
        ZS_BARRIER(args);
    while (what == 3) {
        __atomic_store_n(&seen[args->part], -2, __ATOMIC_RELAXED);
        ZS_POLL(args);
    }
    return ZS_OK;
}
"""


def told(what=0, which=0, parts=THREADS):
    """The numbers that parts leave, and the call."""
    seen = np.zeros(parts, np.int64)
    return seen, load.load(TOLD, "told").prepare([seen], [what, which])


@pytest.fixture(autouse=True)
def every_call_on_threads(monkeypatch):
    monkeypatch.setattr(effort, "PART", 1)
    with settings.using(threads=THREADS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process", DeprecationWarning)  # that forks
        yield


def product(n=50):
    """A bound product, what it is called with, and its result on one thread."""
    rng = np.random.default_rng(n)
    a, x = rng.random((n, n), np.float32), rng.random(n, np.float32)
    spec = make_spec("y[i] = A[i,j] * x[j]")
    bound = Bound(spec, {"A": Tensor.from_dense(a * (a < 0.5), "CSR")})
    with settings.using(threads=1):
        return bound, {"x": x}, bound.run({"x": x})


def test_every_part_runs_once_and_they_meet():
    for parts in (1, 2, 3, 7, 40):
        seen, call = told(parts=parts)
        assert call.call(through=pool.spread(parts)) == parts * (parts + 1) // 2  # work, summed
        assert seen.tolist() == [-1] * parts


def test_nobody_else_sees_the_parts():
    seen, call = told(parts=1)
    for through in (None, pool.spread(1), None):
        seen[:] = 0
        assert call.call(through=through) == 1


@pytest.mark.parametrize("which", range(THREADS))
def test_an_error_of_some_parts_is_raised_once_and_the_lowest_wins(which):
    """Those that wait for the failed ones are let go, and the pool works again."""
    for what in (1, 2):
        seen, call = told(what, which)
        with pytest.raises(load.KernelFailure, match="outside its rank") as found:
            call.call(through=pool.spread(THREADS))
        assert found.value.where == which
        assert seen.tolist() == [THREADS if what == 1 else -1] * THREADS
    _, call = told()
    call.call(through=pool.spread(THREADS))


def test_a_stop_is_seen_by_all_parts():
    seen, call = told(3)
    timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        call.call(long=True, through=pool.spread(THREADS))
    timer.join()
    assert seen.tolist() == [-2] * THREADS
    call._args.stop, seen[:] = 1, 0
    with pytest.raises(KernelError, match="it was stopped"):
        call.call(through=pool.spread(THREADS))


def test_an_interrupt_ends_a_kernel_on_threads_and_the_next_call_works():
    spec = make_spec("O[i] = x[i]*y[j]*z[k]*w[l]")
    vectors = {name: np.ones(4000, np.float32) for name in "xyzw"}
    small = {name: np.ones(3, np.float32) for name in "xyzw"}
    assert engine.evaluate(spec, small)["O"].tolist() == [27] * 3
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        engine.evaluate(spec, vectors)
    timer.join()
    assert engine.evaluate(spec, small)["O"].tolist() == [27] * 3


# ---- callers ----------------------------------------------------------------------------


def test_many_callers_at_once():
    """The first has the pool, the others run alone; results are the same."""
    bound, fresh, want = product()
    wrong = []

    def work():
        for _ in range(200):
            if bound.run(fresh).tobytes() != want.tobytes():
                wrong.append(1)

    callers = [threading.Thread(target=work) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_a_caller_that_finds_the_pool_taken_runs_alone():
    busy, call = told(3)
    errors = []

    def hold():
        try:
            call.call(through=pool.spread(THREADS))
        except KernelError as error:
            errors.append(str(error))

    holder = threading.Thread(target=hold)
    holder.start()
    while busy.tolist() != [-2] * THREADS:
        time.sleep(0.001)
    alone, other = told()
    assert other.call(through=pool.spread(THREADS)) == 1
    assert alone.tolist() == [-1, 0, 0]
    call._args.stop = 1
    holder.join()
    assert len(errors) == 1


def test_workers_round_as_their_caller_does():
    """Denormals that a caller flushes to zero are flushed by every part."""
    torch = pytest.importorskip("torch")
    tiny = np.full((64, 1), 1e-30, np.float32)
    spec = make_spec("y[i] = A[i,j] * x[j]")
    operands = {"A": Tensor.from_dense(tiny, "CSR"), "x": np.full(1, 1e-10, np.float32)}
    assert engine.evaluate(spec, operands)["y"].all()
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor flushes no denormals")
    try:
        assert not engine.evaluate(spec, operands)["y"].any()
    finally:
        torch.set_flush_denormal(False)
    assert engine.evaluate(spec, operands)["y"].all()


# ---- forks ------------------------------------------------------------------------------


def in_a_child(work):
    """Whether ``work`` is true in a forked child, which must not hang."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if work() else 1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
def test_a_forked_child_has_threads_of_its_own():
    bound, fresh, want = product()

    def child():
        seen, call = told()
        call.call(through=pool.spread(THREADS))
        return bound.run(fresh).tobytes() == want.tobytes() and seen.tolist() == [-1] * THREADS

    bound.run(fresh)
    assert in_a_child(child)
    assert in_a_child(lambda: in_a_child(child) and child())
    assert bound.run(fresh).tobytes() == want.tobytes()


@needs_fork
def test_a_fork_while_another_thread_has_the_pool():
    """Locks and all are as they were in the middle of a call that the child does not have."""
    bound, fresh, want = product()
    done, wrong = threading.Event(), []

    def work():
        while not done.is_set():
            if bound.run(fresh).tobytes() != want.tobytes():
                wrong.append(1)

    caller = threading.Thread(target=work)
    caller.start()
    try:
        for _ in range(20):
            seen, call = told()

            def child(call=call, seen=seen):
                call.call(through=pool.spread(THREADS))
                return seen.tolist() == [-1] * THREADS

            assert in_a_child(child)
    finally:
        done.set()
        caller.join()
    assert not wrong


@needs_fork
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no thread is given a processor")
def test_a_worker_that_wakes_beside_its_caller_goes_elsewhere():
    """Else the caller waits for all of the worker's part before it begins its own."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        pytest.skip("one processor only")
    seen, call = told(parts=2)
    pool.runner()

    def child():
        before = {*os.listdir("/proc/self/task")}
        os.sched_setaffinity(0, allowed[:1])  # the worker that starts now is held there too
        call.call(through=pool.spread(2))
        (worker,) = {*os.listdir("/proc/self/task")} - before
        until = time.monotonic() + 30
        while os.sched_getaffinity(int(worker)) != {*allowed} and time.monotonic() < until:
            os.sched_setaffinity(0, allowed[:1])
            os.sched_setaffinity(0, allowed)  # the caller runs where it ran, if not for long
            seen[:] = 0
            call.call(through=pool.spread(2))
        return os.sched_getaffinity(int(worker)) == {*allowed}

    assert in_a_child(child)


def squared(n):
    bound, fresh, want = product(n)
    return bound.run(fresh).tobytes() == want.tobytes()


@needs_fork
def test_multiprocessing_by_fork():
    assert squared(30)
    with multiprocessing.get_context("fork").Pool(3) as processes:
        assert processes.map(squared, [30, 31, 32, 33], chunksize=1) == [True] * 4


# ---- start and end ----------------------------------------------------------------------


def test_a_process_ends_while_workers_sleep_and_look():
    """With status 0 and no word, whether they have gone to sleep or not."""
    program = f"""
import numpy as np, time
from zeroskip.native import load, pool
seen = np.zeros({THREADS}, np.int64)
call = load.load({TOLD!r}, "told").prepare([seen], [0, 0])
call.call(through=pool.spread({THREADS}))
assert seen.tolist() == [-1] * {THREADS}
time.sleep(float(__import__("sys").argv[1]))
"""
    for pause in ("0", "0.01"):
        ran = subprocess.run(
            [sys.executable, "-c", program, pause], capture_output=True, text=True, timeout=120
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_where_the_pool_does_not_compile_kernels_run_on_one_thread(monkeypatch):
    def refuse(text, flags, keep):
        raise CompilerError("pthread.h: no such file")

    bound, fresh, want = product()
    pool.runner.cache_clear()
    monkeypatch.setattr(load, "library", refuse)
    try:
        assert pool.team(THREADS) is None
        assert pool.runner() == (None, "pthread.h: no such file")
        assert bound.run(fresh).tobytes() == want.tobytes()
    finally:
        pool.runner.cache_clear()
