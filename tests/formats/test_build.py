"""Level arrays against a fibertree that is walked one coordinate at a time."""

from __future__ import annotations

from itertools import permutations, product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zeroskip.errors import FormatError, TensorError
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Bitmask, Compressed, RunLength, Singleton, Uncompressed
from zeroskip.formats.tensor import Tensor

LEVELS = (Uncompressed(), Compressed(), Bitmask(), RunLength(1), RunLength(2), Singleton())


def groupings(axes):
    """Every way to cut a sequence of axes into storage ranks."""
    if not axes:
        yield ()
    for k in range(1, len(axes) + 1):
        for rest in groupings(axes[k:]):
            yield (axes[:k], *rest)


def formats_over(groups):
    for levels in product(LEVELS, repeat=len(groups)):
        try:
            yield Format.of(list(zip(groups, levels, strict=True)))
        except FormatError:
            assert any(isinstance(level, Singleton) for level in levels)


def walked(array, bound):
    """Arrays of every level and the values, fiber by fiber, in plain Python."""
    order = bound.order
    extents = [prod(array.shape[a] for a in axes) for axes in order]
    fibers = [array.transpose([a for axes in order for a in axes]).reshape(extents)]
    parts = []
    for i, level in enumerate(bound.levels):
        below, part = [], {name: [] for name in level.arrays}
        chain = 1
        while not bound.unique(i + chain - 1):
            chain += 1
        for fiber in fibers:
            n = extents[i]
            if isinstance(level, Singleton):
                (crd, *rest), entry = fiber
                part["crd"].append(crd)
                below.append((tuple(rest), entry) if rest else entry)
                continue
            stored = [c for c in range(n) if np.any(fiber[c])]
            if "pos" in part:
                part["pos"].append(len(below))
            if isinstance(level, Uncompressed):
                below += [fiber[c] for c in range(n)]
            elif isinstance(level, Compressed):
                for index in np.ndindex(fiber.shape[:chain]):
                    if np.any(fiber[index]):
                        part["crd"].append(index[0])
                        below.append((index[1:], fiber[index]) if chain > 1 else fiber[index])
            elif isinstance(level, Bitmask):
                for w in range(-(-n // 64)):
                    part["rank"].append(len(below) + sum(c < 64 * w for c in stored))
                    part["words"].append(sum(1 << c % 64 for c in stored if c // 64 == w))
                below += [fiber[c] for c in stored]
            else:
                zeros = 0
                for c in range(max(stored, default=-1) + 1):
                    if c in stored or zeros == level.max_run:
                        part["run"].append(zeros)
                        below.append(fiber[c])
                        zeros = 0
                    else:
                        zeros += 1
        if "pos" in part:
            part["pos"].append(len(below))
        parts.append(part)
        fibers = below
    return parts, [float(value) for value in fibers]


def check(array, bound):
    tensor = Tensor.from_dense(array, bound)
    parts, values = walked(array, bound)
    for level, part in zip(tensor.levels, parts, strict=True):
        assert {name: found.tolist() for name, found in level.arrays.items()} == part, bound
    assert tensor.values.tolist() == values
    assert np.array_equal(tensor.toarray(), array)
    assert tensor.nnz == np.count_nonzero(array)
    tensor.validate()
    return tensor


def sparse_array(shape, seed):
    rng = np.random.default_rng(seed)
    density = (0.0, 0.1, 0.5, 1.0)[seed % 4]
    return (rng.random(shape) < density) * rng.integers(1, 100, shape).astype(np.float32)


SHAPES = {
    1: [(0,), (1,), (5,), (70,)],
    2: [(3, 4), (0, 3), (3, 0), (1, 9), (70, 2), (2, 65)],
    3: [(2, 3, 5), (3, 0, 2), (1, 1, 7), (4, 1, 9)],
    4: [(2, 3, 1, 4), (2, 0, 3, 2), (3, 2, 5, 2)],
}


@pytest.mark.parametrize("ndim", [1, 2])
def test_every_format_of_few_axes(ndim):
    seed = 0
    for order in permutations(range(ndim)):
        for groups in groupings(order):
            for bound in formats_over(groups):
                for shape in SHAPES[ndim]:
                    seed += 1
                    check(sparse_array(shape, seed), bound)


@pytest.mark.parametrize("ndim", [3, 4])
def test_every_level_sequence_and_every_order_of_more_axes(ndim):
    orders = [g for order in permutations(range(ndim)) for g in groupings(order)]
    by_length = {k: [g for g in orders if len(g) == k] for k in range(1, ndim + 1)}
    for groups in by_length.values():
        sequences = list(formats_over(groups[0]))
        for seed in range(max(len(groups), len(sequences))):
            levels = sequences[seed % len(sequences)].levels
            axes = groups[seed % len(groups)]
            bound = Format.of(list(zip(axes, levels, strict=True)))
            check(sparse_array(SHAPES[ndim][seed % len(SHAPES[ndim])], seed // 3), bound)


@st.composite
def bound_formats(draw, ndim):
    order = draw(st.permutations(range(ndim)))
    cuts = sorted(draw(st.sets(st.integers(1, ndim - 1)))) if ndim > 1 else []
    groups = [order[a:b] for a, b in zip([0, *cuts], [*cuts, ndim], strict=True)]
    ranks, below_c = [], False
    for axes in groups:
        choices = LEVELS if below_c else LEVELS[:-1]
        level = draw(st.sampled_from(choices))
        below_c = isinstance(level, Compressed | Singleton)
        ranks.append((axes, level))
    return Format.of(ranks)


@st.composite
def arrays_and_formats(draw):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6))
    values = st.sampled_from([0, 0, 0, 0, 1, -2, 7])
    return draw(hnp.arrays(np.int32, shape, elements=values)), draw(bound_formats(len(shape)))


@given(arrays_and_formats())
def test_any_array_in_any_format(case):
    check(*case)


@given(arrays_and_formats(), st.data())
def test_formats_change_into_each_other(case, data):
    array, bound = case
    other = data.draw(bound_formats(array.ndim))
    there = Tensor.from_dense(array, bound).asformat(other)
    direct = Tensor.from_dense(array, other)
    assert there.format == other
    for a, b in zip(there.levels, direct.levels, strict=True):
        assert {k: v.tolist() for k, v in a.arrays.items()} == {
            k: v.tolist() for k, v in b.arrays.items()
        }
    assert there.values.tolist() == direct.values.tolist()


@given(arrays_and_formats(), st.randoms(use_true_random=False))
def test_coordinates_in_any_order_with_repeats_add_up(case, random):
    array, bound = case
    places = [tuple(int(c) for c in place) for place in np.argwhere(array)]
    entries = [(place, value) for place in places for value in (int(array[place]) - 1, 1)]
    random.shuffle(entries)
    coords = [[place[axis] for place, _ in entries] for axis in range(array.ndim)]
    values = np.array([value for _, value in entries], dtype=np.int32)
    made = Tensor.from_coords(coords, values, array.shape, bound)
    assert np.array_equal(made.toarray(), array)
    assert made.values.tolist() == Tensor.from_dense(array, bound).values.tolist()


@given(
    st.lists(st.sampled_from([0, 0, 0, 0, 0, 7]), max_size=150),
    st.integers(1, 5),
)
def test_a_bridge_for_every_full_gap(numbers, bits):
    array = np.array(numbers, dtype=np.float32)
    tensor = Tensor.from_dense(array, f"R({bits})")
    ends = np.flatnonzero(array)
    gaps = np.diff(np.concatenate([[-1], ends])) - 1
    assert tensor.stored == len(ends) + int((gaps // 2**bits).sum())
    assert np.array_equal(tensor.toarray(), array)


def test_wide_run_fields_take_wide_arrays():
    for bits, dtype in ((8, "uint8"), (9, "uint16"), (16, "uint16"), (17, "uint32")):
        array = np.zeros(2**17 + 5, dtype=np.int8)
        array[-1] = 1
        tensor = Tensor.from_dense(array, f"R({bits})")
        assert tensor.levels[0].arrays["run"].dtype == dtype
        assert tensor.stored == 1 + (2**17 + 4) // 2**bits
        assert np.array_equal(tensor.toarray(), array)


@pytest.mark.parametrize(
    ("extent", "dtype"),
    [(2**16, "uint16"), (2**16 + 1, "int32"), (2**31, "int32"), (2**31 + 1, "int64")],
)
def test_coordinates_are_as_narrow_as_the_extent_allows(extent, dtype):
    tensor = Tensor.from_coords([[extent - 1]], [1.0], (extent,), "C")
    assert tensor.levels[0].arrays["crd"].dtype == dtype
    assert tensor.levels[0].arrays["crd"].tolist() == [extent - 1]
    assert tensor.coords()[0][0].tolist() == [extent - 1]


def test_extents_whose_product_passes_64_bits():
    shape = (2**40, 2**40, 3)
    coords = [[2**40 - 1, 0, 2**40 - 1], [7, 2**40 - 1, 7], [2, 0, 2]]
    tensor = Tensor.from_coords(coords, [1.0, 2.0, 4.0], shape, "COO")
    assert [crd.tolist() for crd in tensor.coords()[0]] == [[0, 2**40 - 1], [2**40 - 1, 7], [0, 2]]
    assert tensor.values.tolist() == [2.0, 5.0]
    assert tensor.size == 3 * 2**80
    assert [c.tolist() for c in tensor.asformat("2:C 1:C 0:C").coords()[0]] == [
        [0, 2**40 - 1],
        [2**40 - 1, 7],
        [0, 2],
    ]
    with pytest.raises(
        TensorError, match="has extent 3626777458843887524118528, more than 4611686018427387904"
    ):
        tensor.asformat("0*1*2:C")
    with pytest.raises(TensorError, match="positions, more than 4611686018427387904"):
        tensor.asformat("U U C")
    with pytest.raises(
        TensorError, match=r"pos of rank 1 \(1\*2:C\) would hold 1099511627777 items"
    ):
        tensor.asformat("CSR")
    with pytest.raises(TensorError, match="the dense array would hold"):
        tensor.toarray()


def test_an_array_of_no_axes():
    tensor = Tensor.from_dense(np.array(2.5), "dense")
    assert tensor.shape == ()
    assert tensor.levels == ()
    assert tensor.toarray() == 2.5
    assert Tensor.from_coords([], [1.0, 2.0], (), "dense").toarray() == 3.0
    assert Tensor.from_coords([], np.zeros(0), (), "dense").toarray() == 0.0
