"""What the language cannot mean, or may not do, is refused: the whole text of each error.

Each says what was expected and found, where (a caret under the place), and what to do next.
"""

import numpy as np
import pytest

import zeroskip as zs

A, x = np.arange(12.0).reshape(3, 4), np.ones(4)
PLACES = np.array([0, 2, 2])


def refusal(call, error=zs.EinsumError):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def lines(*parts):
    return "\n".join(parts)


# ---- ranks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "y[i,l] = A[i,j]",
            lines(
                "rank l has no size: it stands on the left only",
                "  y[i,l] = A[i,j]",
                "      ^",
                'Give it: sizes={"l": 3}.',
            ),
        ),
        (
            "y[2*i+k] = A[i,j]",
            lines(
                "rank k has no size: it stands on the left only",
                "  y[2*i+k] = A[i,j]",
                "    ^^^^^",
                'Give it: sizes={"k": 3}.',
            ),
        ),
        (
            "y[i,k] = A[i,j]*(j < k)",
            lines(
                "rank k has no size: it stands on the left only",
                "  y[i,k] = A[i,j]*(j < k)",
                "      ^",
                'Give it: sizes={"k": 3}.',
            ),
        ),
    ],
)
def test_a_rank_of_the_result_that_no_operand_bounds(text, said):
    assert refusal(lambda: zs.einsum(text, A=A)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "y[i] = A[i,p+r]",
            lines(
                "rank p has no size: it follows from no operand",
                "  y[i] = A[i,p+r]",
                "             ^^^",
                'Give it: sizes={"p": 3}.',
            ),
        ),
        (
            "y[p] = A[p,U*r]",
            lines(
                "constant U has no value",
                "  y[p] = A[p,U*r]",
                "             ^^^",
                'Give it: consts={"U": 2}.',
            ),
        ),
        (
            "y[p] = A[p,a*b+b]",
            lines(
                "b has two coefficients in one subscript",
                "  y[p] = A[p,a*b+b]",
                "             ^^^^^",
                "A subscript is a sum of index variables times integers or named constants.",
            ),
        ),
    ],
)
def test_a_rank_that_is_ambiguous_or_undefined(text, said):
    assert refusal(lambda: zs.einsum(text, A=A)) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "y[X[i]] += A[i,j]",
            lines(
                "axis 0 of y is addressed by X, so its extent would depend on data",
                "  y[X[i]] += A[i,j]",
                "    ^^^^",
                'Give the shape of the result: sizes={"y": (9,)}.',
            ),
        ),
        (
            "y[j,X[i]] += A[i,j]",
            lines(
                "axis 1 of y is addressed by X, so its extent would depend on data",
                "  y[j,X[i]] += A[i,j]",
                "      ^^^^",
                'Give the shape of the result: sizes={"y": (..., 9)}.',
            ),
        ),
    ],
)
def test_a_shape_that_would_depend_on_data(text, said):
    assert refusal(lambda: zs.einsum(text, A=A, X=PLACES)) == said
    sizes = {"y": (9,) if text.startswith("y[X") else (4, 9)}  # as it says
    assert zs.einsum(text, A=A, X=PLACES, sizes=sizes).sum() == A.sum()


# ---- sums -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said", "ways"),
    [
        (
            "y[i] = relu(A[i,j])*v[j]",
            lines(
                "ambiguous sum: j under relu is not on the left",
                "  y[i] = relu(A[i,j])*v[j]",
                "         ^^^^^^^^^^^^",
                "Write relu(sum[j](A[i,j])) or sum[j](relu(A[i,j])).",
            ),
            2,
        ),
        (
            "y[i] = exp(A[i,j]) + v[0]",
            lines(
                "ambiguous sum: j under exp is not on the left",
                "  y[i] = exp(A[i,j]) + v[0]",
                "         ^^^^^^^^^^^",
                "Write exp(sum[j](A[i,j])) or sum[j](exp(A[i,j])).",
            ),
            2,
        ),
        (
            "y[i] = A[i,j]/v[j]",
            lines(
                "ambiguous sum: j under / is not on the left",
                "  y[i] = A[i,j]/v[j]",
                "         ^^^^^^^^^^^",
                "Write sum[j](A[i,j]/v[j]), or place the sum inside it.",
            ),
            1,
        ),
    ],
)
def test_an_ambiguous_sum_offers_its_readings(text, said, ways):
    assert refusal(lambda: zs.einsum(text, A=A, v=x)) == said
    offered = said.splitlines()[-1].removeprefix("Write ").rstrip(".").split(", or ")[0]
    for way in offered.split(" or ")[:ways]:
        given = {"A": A, "v": x} if "v[" in way else {"A": A}
        assert zs.einsum(f"y[i] = {way}", **given).shape == (3,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "y[i//2] = A[i,j]",
            lines(
                "= writes some places of y more than once: i//2 is the same for several i",
                "  y[i//2] = A[i,j]",
                "    ^^^^",
                "Say how they combine: += adds them up, max= keeps the largest.",
            ),
        ),
        (
            "y[i+j] = A[i,j]",
            lines(
                "= writes some places of y more than once: i+j is the same for several i and j",
                "  y[i+j] = A[i,j]",
                "    ^^^",
                "Say how they combine: += adds them up, max= keeps the largest.",
            ),
        ),
    ],
)
def test_an_assignment_that_hits_a_place_twice(text, said):
    assert refusal(lambda: zs.einsum(text, A=A)) == said
    assert zs.einsum(text.replace(" =", " +="), A=A).sum() == A.sum()


@pytest.mark.parametrize("backend", ["c", "interpreter"])
def test_an_assignment_that_data_sends_to_a_place_twice(backend):
    layer = zs.layer("y[X[i]] = v[i]", sizes={"y": (3,)})
    said = refusal(lambda: layer(X=PLACES, v=x[:3], backend=backend), zs.KernelError)
    assert said == lines(
        "= writes y[2] more than once",
        "  y[X[i]] = v[i]",
        "Say how what arrives at one place combines: += adds it up, max= keeps the largest.",
    )


def test_bound_layers_say_the_same_of_what_data_names():
    assign = zs.layer("y[X[i]] = v[i]", sizes={"y": (3,)})
    once, twice = np.array([0, 2, 1]), PLACES
    said = refusal(lambda: assign(X=twice, v=x[:3]), zs.KernelError)
    bound = assign.bind(v=x[:3])
    assert refusal(lambda: bound(X=twice), zs.KernelError) == said
    assert bound(X=once).tolist() == [1, 1, 1]
    gather = zs.layer("y[i] = A[X[i],0]")
    said = refusal(lambda: gather(A=A, X=PLACES + 1), zs.KernelError)
    held = gather.bind(A=A)
    assert refusal(lambda: held(X=PLACES + 1), zs.KernelError) == said
    assert np.array_equal(held(X=PLACES), A[PLACES, 0])


@pytest.mark.parametrize("backend", ["c", "interpreter"])
@pytest.mark.parametrize("place", [3, -1, 2**62, -(2**63)])
def test_a_place_that_is_not_there(backend, place):
    layer = zs.layer("y[i] = A[X[i],0]")
    call = lambda: layer(A=A, X=np.array([0, place, 1]), backend=backend)  # noqa: E731
    assert refusal(call, zs.KernelError) == lines(
        "X[i] names a place that axis 0 of A, of extent 3, does not have",
        "  y[i] = A[X[i],0]",
        "Places are 0 to 2.",
    )


def test_places_that_are_no_integers():
    said = refusal(lambda: zs.einsum("y[i] = A[X[i],0]", A=A, X=x), zs.KernelError)
    assert said == lines(
        "X names places, and holds float64",
        "  y[i] = A[X[i],0]",
        "           ^^^^",
        "Pass integers: X.astype('int64').",
    )


# ---- what may be skipped ----------------------------------------------------------------


@pytest.mark.parametrize("op", ["max", "min", "*", "&"])
def test_padding_that_a_reduction_gives_no_value(op):
    layer = zs.layer(f"y[p] {op}= I[p+r]", pad={"I": {0: 1}}, sizes={"r": 3})
    assert refusal(lambda: layer(x), zs.KernelError) == lines(
        f"padding of I under {op}= has no value that is right for every layer",
        f"  y[p] {op}= I[p+r]",
        f"  {' ' * len(f'y[p] {op}= ')}^^^^^^",
        'Leave it out: pad={"I": {..., "value": "skip"}}, or pad I yourself with the value that '
        "you mean.",
    )


def test_a_charge_that_would_skip_what_a_fill_says_is_there():
    ones = zs.tensor(np.ones((3, 4)), "CSR", fill=1.0)
    said = refusal(lambda: zs.charge("y[i] = A[i,j]*x[j]", "scnn", ones, x), zs.TensorError)
    assert said == lines(
        "A has fill 1.0, and a charge of y[i] = sum[j](A[i,j]*x[j]) counts what is not 0",
        "Charge it densely (A.toarray()), or store it with fill=0.",
    )


# ---- what is too large ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        (
            "y[4000000000000000000*i] = x[i]",
            {},
            lines(
                "4000000000000000000*i writes places 0 to 12000000000000000000 of axis 0 of y, "
                "which takes at most 2**40",
                "  y[4000000000000000000*i] = x[i]",
                "    ^^^^^^^^^^^^^^^^^^^^^",
                "Take smaller extents.",
            ),
        ),
        (
            "y[i,j,k] = x[i]",
            {"sizes": {"j": 2**40, "k": 2**40}},
            lines(
                "an iteration space of more than 2**62 points: i=4, j=1099511627776, "
                "k=1099511627776",
                "  y[i,j,k] = x[i]",
                "  ^^^^^^^^",
                "Take smaller extents.",
            ),
        ),
    ],
)
def test_places_that_no_index_can_count(text, given, said):
    assert refusal(lambda: zs.einsum(text, x=x, **given)) == said


# ---- what has no place ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_the_place_of_nothing(name):
    with pytest.raises(zs.ZeroskipError) as caught:
        zs.einsum(f"y[i] = {name}[k](A[i,k])", np.ones((2, 0)))
    assert str(caught.value) == (
        f"{name} over k, which has extent 0, has no place to give\n"
        f"  y[i] = {name}[k](A[i,k])\n"
        "         ^^^^^^^^^^^^^^^^^\n"
        "Give k at least one coordinate, or leave the line out."
    )
    assert zs.einsum(f"y[i] = {name}[k](A[i,k])", np.ones((0, 2))).shape == (0,)


def test_blocks_that_do_not_fill_an_axis():
    grouped = zs.layers.conv2d(groups=2)
    with pytest.raises(zs.ZeroskipError) as caught:
        grouped(I=np.ones((1, 9, 3, 3)), F=np.ones((4, 4, 1, 1)))
    assert str(caught.value) == (
        "c+C*g reads places 0 to 7 of axis 1 of I, which has 9\n"
        "  O[n,M*g+m,p,q] = I[n,C*g+c,p+r,q+s] * F[M*g+m,c,r,s]\n"
        "                       ^^^^^\n"
        "It counts blocks and places in a block, which must fill the axis: 8."
    )
