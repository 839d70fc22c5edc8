"""``schedule=``: what is fixed is done, what cannot be is refused, and what was taken is told."""

import pickle

import numpy as np
import pytest
from generator import random_array

import zeroskip as zs
from zeroskip.errors import KernelError, RoomError
from zeroskip.explanation.inspecting import choose
from zeroskip.formats.tensor import Tensor
from zeroskip.native import settings
from zeroskip.native.fixed import Schedule

RNG = np.random.default_rng(7)
PRODUCT = zs.layer("C[i,j] = A[i,k]*B[k,j]")
CONV = zs.layer("O[n,m,p,q] = relu(D[m] + I[n,c,p+r,q+s]*F[m,c,r,s])", pad=1)
WHOLE = {
    "A": random_array(RNG, (7, 9), "float32", 0.4),
    "B": random_array(RNG, (9, 37), "float32", 1.0),
}
IMAGE = {
    "I": random_array(RNG, (2, 3, 6, 5), "float32", 1.0),
    "F": random_array(RNG, (5, 3, 3, 3), "float32", 0.5),
    "D": random_array(RNG, (5,), "float32", 1.0),
}
SCHEDULES = [
    Schedule(kind="plain"),
    Schedule(kind="tiled"),
    Schedule(kind="lanes"),
    Schedule(kind="lanes", vector_bytes=16),
    Schedule(kind="lanes", block=0),
    Schedule(rows=3),
    Schedule(vectors=1),
    Schedule(block=2),
    Schedule(kind="tiled", rows=1, vectors=8, block=0, vector_bytes=16),
    Schedule(rows=2, vectors=3, block=5, vector_bytes=32),
    Schedule(rows=4, vectors=8, vector_bytes=64),
    Schedule(threads=1),
]


def refusal(layer, schedule, operands, **options):
    with pytest.raises(KernelError) as caught:
        layer(**operands, schedule=schedule, **options)
    return str(caught.value)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize(
    ("layer", "given", "held"), [(PRODUCT, WHOLE, "A"), (CONV, IMAGE, "F")], ids=["product", "conv"]
)
def test_every_schedule_is_right_called_and_bound(layer, given, held, schedule):
    want = layer(**given, backend="numpy")
    packed = {**given, held: Tensor.from_dense(given[held], "CSR")}
    for backend in ("c", "interpreter"):
        assert np.array_equal(layer(**packed, schedule=schedule, backend=backend), want), backend
    bound = layer.bind(**{held: packed[held]}, schedule=schedule)
    rest = {name: x for name, x in given.items() if name != held}
    for _ in range(2):
        assert np.array_equal(bound(**rest), want)
    assert np.array_equal(pickle.loads(pickle.dumps(bound))(**rest), want)


@pytest.mark.parametrize("bound", [(), ("A",)], ids=["called", "bound"])
@pytest.mark.parametrize("schedule", [None, *SCHEDULES], ids=str)
def test_what_was_taken_is_filled_in_and_gives_the_same_kernel(schedule, bound):
    given = {
        "A": Tensor.from_dense(random_array(RNG, (24, 40), "float32", 0.5), "CSR"),
        "B": np.ones((40, 90), np.float32),
    }
    (first,) = choose(PRODUCT.spec, given, bound, schedule=schedule)
    (again,) = choose(PRODUCT.spec, given, bound, schedule=first.taken)
    assert again.prepared.c_text == first.prepared.c_text
    assert again.taken == first.taken
    assert (first.source, again.source) == ("given" if schedule else "default", "given")
    assert first.taken.kind == first.schedule
    for name in ("kind", "rows", "vectors", "block", "unrolled", "vector_bytes"):
        fixed = None if schedule is None else getattr(schedule, name)
        assert fixed is None or name == "vectors" or getattr(first.taken, name) == fixed
    if first.taken.unrolled:
        assert (first.taken.rows, first.taken.vectors) == (None, None)
        assert first.taken.block is not None
    elif first.schedule == "tiled":
        assert None not in (first.taken.rows, first.taken.vectors, first.taken.block)
        assert first.taken.vectors <= ((schedule and schedule.vectors) or 8)


def test_the_order_of_a_plain_walk_is_that_of_the_schedule():
    rows = {"A": Tensor.from_dense(WHOLE["A"], "CSR"), "B": Tensor.from_dense(WHOLE["B"], "CSR")}
    (found,) = choose(PRODUCT.spec, rows, schedule=Schedule(order="k, i, j"))
    (ordered,) = choose(PRODUCT.spec, rows, order="k,i,j")
    assert found.prepared.c_text == ordered.prepared.c_text
    assert found.taken == ordered.taken == Schedule(kind="plain", order="k,i,j", threads=1)
    want = WHOLE["A"] @ WHOLE["B"]
    for format in (None, "CSR"):
        got = PRODUCT(**rows, schedule=found.taken, format=format, order="k,i,j")
        assert np.array_equal(np.asarray(got), want)
    bound = PRODUCT.bind(A=WHOLE["A"], schedule=Schedule(order="j,k,i"))
    assert np.array_equal(bound(WHOLE["B"]), want)
    assert np.array_equal(bound(WHOLE["B"], order="j,k,i"), want)
    with pytest.raises(KernelError, match=r'order="i,j,k" and schedule=.* differ in the order'):
        bound(WHOLE["B"], order="i,j,k")


def test_groups_of_rows_for_which_there_is_no_memory_are_refused():
    n = 10**6
    thin = Tensor.from_coords([[0, n - 1], [3, 5]], np.ones(2, np.float32), (n, n), "COO")
    columns = np.ones((n, 1), np.float32)
    for rows, starts in ((1, n * n), (4, n // 4 * n * 15)):
        message = (
            f"the starts of the packed A would hold {starts} items of 8 bytes, .*\n"
            "Leave rows and block to be chosen, which cut few entries into as many groups."
        )
        with pytest.raises(RoomError, match=message):
            PRODUCT(A=thin, B=columns, schedule=Schedule(kind="tiled", rows=rows, block=1))


def test_lines_of_a_cascade_have_schedules_of_their_own():
    two = zs.layer("T[i,j] = A[i,k]*B[k,j]\nS[i,l] = T[i,j]*E[l,j]")
    given = {**WHOLE, "E": random_array(RNG, (4, 37), "float32", 0.5)}
    wanted = {"T": Schedule(rows=2), "S": Schedule(kind="plain")}
    said = zs.explain(two, **given, schedule=wanted)
    assert [line.taken.rows for line in said.lines] == [2, None]
    want = two(**given, backend="numpy")
    assert np.array_equal(two(**given, schedule=wanted), want)
    assert "schedule names 'U', which no line computes\nResults: T, S." in refusal(
        two, {"U": Schedule()}, given
    )


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"kind": "tile"}, 'kind=\'tile\': expected "plain", "tiled", "lanes" or "dots"'),
        ({"kind": 3}, 'kind=3: expected "plain", "tiled", "lanes" or "dots"'),
        ({"order": 3}, 'order=3: expected a text such as "i,j,k"'),
        ({"order": ""}, "order='': expected a text such as \"i,j,k\""),
        ({"rows": 5}, "rows=5: expected a whole number from 1 to 4"),
        ({"rows": True}, "rows=True: expected a whole number from 1 to 4"),
        ({"vectors": 0}, "vectors=0: expected a whole number from 1 to 16"),
        ({"block": -1}, "block=-1: expected a whole number of places, 0 for all"),
        ({"threads": 0}, "threads=0: expected a whole number from 1 to 1024"),
        ({"vector_bytes": 8}, "vector_bytes=8: expected 16, 32 or 64 bytes"),
        ({"kind": "plain", "block": 0}, "block=0 is of tiles and lanes, but kind='plain'"),
        ({"kind": "lanes", "rows": 2}, "rows=2 is of a tiled schedule, but kind='lanes'"),
        ({"rows": 2, "order": "i"}, "order='i' is of a plain schedule, but rows=2"),
        ({"kind": "plain", "vector_bytes": 16}, "vector_bytes=16 is of tiles, lanes and dots, but"),
    ],
)
def test_what_is_no_schedule_is_refused(field, said):
    with pytest.raises(KernelError) as caught:
        Schedule(**field)
    assert str(caught.value).startswith(f"schedule: {said}")


@pytest.mark.parametrize(
    ("text", "formats", "schedule", "said"),
    [
        ("y[i] = A[i,j]*x[j]", "CSR", {"rows": 2}, "rows=2: expected one that the line can take"),
        ("y[i] = A[i,j]*x[j]", "CSR", {"kind": "lanes"}, "want a rank of the result that a dense"),
        ("y[i] = A[i,j]*A[j,i]", "CSR", {"kind": "tiled"}, "no operand of the product is dense"),
        ("y[i] max= A[i,j]*x[j]", "CSR", {"kind": "lanes"}, "kind='lanes': expected one that the"),
        ("y[i] = A[i,j]", "CSR", {"kind": "tiled"}, "take one product, and there is none"),
        ("y[i] = A[i,j]*x[j]", "CSR", {"vector_bytes": 32}, "vector_bytes=32: the default here is"),
        ("C[i,k] = A[i,j]*X[j,k]", "dense", {"kind": "lanes"}, "and the product has none"),
    ],
)
def test_what_a_line_cannot_take_is_refused(text, formats, schedule, said):
    layer = zs.layer(text)
    given = {"A": Tensor.from_dense(np.eye(9), formats), "x": np.ones(9), "X": np.ones((9, 9))}
    operands = {name: given[name] for name in layer.operands}
    message = refusal(layer, Schedule(**schedule), operands)
    assert message.startswith(f"schedule for {text[0]}: {next(iter(schedule))}=")
    assert said in message
    assert message.endswith("Leave it out to have the schedule chosen; explain shows which one.")


def test_why_a_line_is_not_tiled_is_no_order_that_nobody_gave():
    """By columns, where the order of the loops is chosen by its cost."""
    columns = np.zeros((300, 300), np.float32)
    columns.reshape(-1)[RNG.permutation(300 * 300)[:1500]] = 1
    given = dict.fromkeys("AB", Tensor.from_dense(columns, "CSC"))
    assert zs.explain(PRODUCT, **given).lines[0].taken.order == "j,k,i"
    assert "no operand of the product is dense" in refusal(PRODUCT, Schedule(rows=2), given)


@pytest.mark.parametrize("kind", ["plain", "tiled", "lanes"])
@pytest.mark.parametrize("shape", [(0, 9, 4), (7, 0, 4), (7, 9, 0)])
def test_a_line_takes_its_schedules_whatever_its_extents(kind, shape):
    i, k, j = shape
    given = {
        "A": Tensor.from_dense(np.ones((i, k), np.float32), "CSR"),
        "B": np.ones((k, j), np.float32),
    }
    for backend in ("c", "interpreter"):
        got = PRODUCT(**given, schedule=Schedule(kind=kind), backend=backend)
        assert np.array_equal(got, np.full((i, j), k, np.float32))


def test_a_result_that_is_gathered_or_added_to_takes_the_plain_walk_alone():
    rows = {"A": Tensor.from_dense(WHOLE["A"], "CSR"), "B": WHOLE["B"]}
    tiled = Schedule(kind="tiled")
    assert "expected a plain schedule: the entries of C are gathered row by row" in refusal(
        zs.layer("C[i,j] = A[i,k]*B[j,k]"), tiled, {"A": rows["A"], "B": rows["A"]}, format="CSR"
    )
    adding = zs.layer("C[i,j] += A[i,k]*B[k,j]")
    out = np.ones((7, 37), np.float32)
    assert "a reduction that starts from out= is a plain walk" in refusal(
        adding, tiled, rows, out=out
    )
    assert np.array_equal(out, np.ones((7, 37)))
    adding(**rows, schedule=Schedule(kind="plain"), out=out)
    assert np.array_equal(out, WHOLE["A"] @ WHOLE["B"] + 1)


def test_a_schedule_and_an_order_that_contradict_each_other_are_refused():
    for wrong, said in (
        ({"schedule": Schedule(order="i,j")}, 'order="i,j": it misses k'),
        (
            {"schedule": Schedule(order="i,j,k"), "order": "i,k,j"},
            "order=\"i,k,j\" and schedule=Schedule(order='i,j,k') differ in the order of the loops",
        ),
        (
            {"schedule": Schedule(rows=2), "order": "i,k,j"},
            'order="i,k,j" is of a plain schedule, but schedule=Schedule(rows=2)',
        ),
        ({"schedule": "tiled"}, "schedule: expected a zeroskip.Schedule, found 'tiled'"),
    ):
        with pytest.raises(KernelError) as caught:
            zs.einsum(PRODUCT.text, WHOLE["A"], WHOLE["B"], **wrong)
        assert said in str(caught.value)
    with pytest.raises(KernelError, match=r"expected a zeroskip\.Schedule, found 'tiled'"):
        PRODUCT.bind(A=WHOLE["A"], schedule="tiled")


def test_threads_are_no_more_than_are_fixed():
    weights = Tensor.from_dense(random_array(RNG, (512, 512), "float32", 0.5), "CSR")
    fresh = np.ones((512, 256), np.float32)
    fixed = Schedule(threads=2)
    with settings.using(threads=3):
        (free,) = choose(PRODUCT.spec, {"A": weights, "B": fresh})
        (two,) = choose(PRODUCT.spec, {"A": weights, "B": fresh}, schedule=fixed)
        assert free.slots.parts == free.taken.threads == 3
        assert two.slots.parts == two.taken.threads == 2
        bound = PRODUCT.bind(A=weights, schedule=fixed)
        bound(fresh)
        ((ready,),) = bound._bound._idle.values()
        assert ready.slots.parts == 2
        assert np.array_equal(bound(fresh), PRODUCT.bind(A=weights)(fresh))


def test_a_schedule_prints_what_is_fixed_and_can_be_pasted_back():
    for schedule in (*SCHEDULES, Schedule(), Schedule(order="i,j")):
        assert eval(repr(schedule)) == schedule
    assert repr(Schedule(rows=2)) == "Schedule(rows=2)"


def test_explain_tells_the_schedule_of_a_call_and_of_a_bound_layer():
    weights = Tensor.from_dense(random_array(RNG, (64, 64), "float32", 0.8), "CSR")
    fresh = np.ones((64, 256), np.float32)
    called, bound = zs.explain(PRODUCT, weights, fresh), zs.explain(PRODUCT.bind(A=weights), fresh)
    assert (called.lines[0].taken.rows, called.lines[0].taken.unrolled) == (1, None)
    assert bound.lines[0].taken.unrolled or bound.lines[0].taken.rows == 4
    assert f"default: {bound.lines[0].taken}" in str(bound)
    fixed = zs.explain(PRODUCT.bind(A=weights, schedule=Schedule(rows=2)), B=fresh)
    assert f"given: {fixed.lines[0].taken}" in str(fixed)
    assert fixed.lines[0].taken.rows == 2
    plain = zs.explain(PRODUCT, weights, fresh, schedule=Schedule(kind="plain"))
    assert plain.schedule.startswith(
        "plain: the levels of the operands are walked as they lie: as is asked for. Loops go i,k,j"
    )
