"""Signals in long kernels.  Each kernel here would run for minutes, or for ever, if nothing
stopped it."""

import os
import signal
import threading
import weakref

import numpy as np
import pytest
from judges import Call, line_of, prepare

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import effort, engine, interruption, load, schedules
from zeroskip.native.bound import Bound
from zeroskip.native.emit import emit
from zeroskip.native.nest import Loop, Poll
from zeroskip.native.polling import with_polls
from zeroskip.native.prepared import invocation

ENDLESS = "O = x[i]*y[j]*z[k]*w[l]"
N = 4000


def send(how):
    """What a timer does: a signal to the process, or one that a thread raises in itself."""
    if how == "kill":
        return lambda: os.kill(os.getpid(), signal.SIGINT)
    return lambda: signal.raise_signal(signal.SIGINT)


def interrupted(call, how="kill"):
    """``call`` is under way in C when the signal comes, and is left by KeyboardInterrupt."""
    timer = threading.Timer(0.2, send(how))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
    finally:
        timer.cancel()
        timer.join()


def vectors(n=N):
    return {name: np.ones(n, np.float32) for name in "xyzw"}


@pytest.mark.parametrize("how", ["kill", "raise"])
def test_an_interrupt_ends_a_long_kernel_and_the_next_call_works(how):
    spec, threads = make_spec(ENDLESS), threading.active_count()
    assert engine.evaluate(spec, vectors(2))["O"] == 2.0**4
    interrupted(lambda: engine.evaluate(spec, vectors()), how)
    assert threading.active_count() == threads
    assert engine.evaluate(spec, vectors(5))["O"] == 5.0**4


def test_without_threads_a_long_kernel_runs_where_it_is_called(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(effort, "LONG", 1)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert engine.evaluate(make_spec(ENDLESS), vectors(3))["O"] == 3.0**4


def test_a_bound_layer_can_be_called_again():
    spec = make_spec("O[i] = x[i]*y[j]*z[k]*w[l]")
    bound = Bound(spec, {name: v for name, v in vectors().items() if name != "x"})
    assert bound.run({"x": np.ones(0, np.float32)}).tolist() == []
    for _ in range(2):
        interrupted(lambda: bound.run({"x": np.ones(N, np.float32)}))
    small = Bound(spec, {name: v for name, v in vectors(3).items() if name != "x"})
    assert small.run({"x": np.ones(2, np.float32)}).tolist() == [27, 27]


@pytest.mark.parametrize(
    ("text", "shapes", "formats"),
    [
        ("O[i] max= x[i]*y[j]*z[k]*w[l]", [(N,)] * 4, {}),
        ("O[i+j] += x[i]*y[j]*z[k]*w[l]", [(N,)] * 4, {"x": "C"}),
        ("O[a,i] = x[a,i,k]*y[a,j]*z[a,l,m]", [(1, 9, N), (1, N), (1, N, 400)], {"x": "U U C"}),
        ("O[i,j] = x[i,k]*y[k,j]*z[l]", [(30, N), (N, 30), (25 * N,)], {"x": "CSR"}),
    ],
)
def test_kernels_of_every_shape(text, shapes, formats):
    spec = make_spec(text)
    given = dict(zip("xyzw", (np.ones(shape, np.float32) for shape in shapes), strict=False))
    stored = {name: Tensor.from_dense(given[name], fmt) for name, fmt in formats.items()}
    call = Call(spec, {**given, **stored}, np.zeros(()))
    invocation(*prepare(call))  # compiles it
    interrupted(lambda: engine.evaluate(spec, call.operands))


def test_what_another_handler_raises_comes_through():
    class Enough(Exception):
        pass

    def handler(*_):
        raise Enough

    engine.evaluate(make_spec(ENDLESS), vectors(2))
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Enough):
            engine.evaluate(make_spec(ENDLESS), vectors())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_handler_that_returns_disturbs_nothing():
    seen, want = [], engine.evaluate(make_spec(ENDLESS), vectors(150))["O"]
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        got = engine.evaluate(make_spec(ENDLESS), vectors(150))["O"]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert got == want
    assert seen


DEAF = """#include "zs_kernel.h"
int32_t deaf(zs_args *args)
{
    double *sum = args->buf[0];
    while (!__atomic_load_n((int64_t *)args->buf[1], __ATOMIC_RELAXED))
        sum[0] += 1;
    return ZS_OK;
}
"""


def test_a_kernel_that_does_not_stop_is_left_with_memory_of_its_own(monkeypatch):
    monkeypatch.setattr(interruption, "PATIENCE_S", 0.1)
    total, done, before = np.zeros(1), np.zeros(1, np.int64), {*threading.enumerate()}
    call = load.load(DEAF, "deaf").prepare([total, done])
    interrupted(lambda: call.call(long=True))
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert [thread.name for thread in left] == ["zeroskip"]
    held, seen = weakref.ref(total), done
    call.set_buffers([np.zeros(1), np.ones(1, np.int64)])
    del total
    assert held() is not None  # the kernel that was left still adds to it
    assert call.call(long=True) == 0
    seen[0] = 1
    left[0].join()
    assert held() is None


def test_another_thread_calls_the_kernel_itself(monkeypatch):
    monkeypatch.setattr(effort, "LONG", 0)
    monkeypatch.setattr(load, "interruptible", None)
    found = []
    spec = make_spec(ENDLESS)
    thread = threading.Thread(
        target=lambda: found.append(engine.evaluate(spec, vectors(4))["O"].item())
    )
    thread.start()
    thread.join()
    assert found == [256]


# ---- how long, and where it looks -------------------------------------------------------


def points(text, **operands):
    line = line_of(make_spec(text), operands)
    return effort.points(line.form, line.used, line.extents)


def test_points_count_the_emptiest_operand_of_each_term():
    dense, vector = np.ones((10, 20)), np.ones(20)
    empty = Tensor.from_coords([[1, 3], [2, 4]], [1.0, 2.0], (10, 20), "CSR")
    assert points("y[i] = A[i,j]*x[j]", A=dense, x=vector) == 10 + 200
    assert points("y[i] = A[i,j]*x[j]", A=empty, x=vector) == 10 + 2
    assert points("C[i,j] = A[i,j] + B[i,j]", A=empty, B=dense) == 200 + 2 + 200
    full = Tensor.from_dense(dense, "CSR", fill=2)
    assert points("y[i] = A[i,j]*x[j]", A=full, x=vector) == 10 + 200


def polled_loops(body):
    for stmt in body:
        if isinstance(stmt, Loop) and isinstance(stmt.body[0], Poll):
            yield stmt.var
        yield from polled_loops(getattr(stmt, "body", ()))


@pytest.mark.parametrize(
    ("text", "ranks"),
    [
        ("y[i] = 2*x[i]", []),
        ("y[i] = A[i,j]*x[j]", ["i"]),
        ("O[i,k] = A[i,j]*B[k,j] + C[k]", ["i", "k"]),
        ("O[a,b,c] = A[a,b,c,d,e]", ["a", "b", "c"]),
        ("O[a,b,c] = A[a,b,c,d]", ["a", "b"]),
    ],
)
def test_outer_loops_look_and_innermost_never(text, ranks):
    spec = make_spec(text)
    names = {access.tensor: access for access in spec.forms[0].reads}
    given = {name: np.ones((2,) * len(access.subscripts)) for name, access in names.items()}
    kernel = schedules.plain(line_of(spec, given), np.empty(0))[0].lowered.kernel
    assert list(polled_loops(with_polls(kernel.body))) == ranks
    assert emit(kernel).count("ZS_POLL(args);") == len(ranks)
