"""Padding that is left out of a reduction: of the whole point, in every backend."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import KernelError

PAD = {"I": {0: (1, 1), "value": "skip"}}
I = np.arange(1.0, 6)  # noqa: E741
BACKENDS = ["c", "interpreter", "numpy"]

WANT = {
    "K[p] = sum[r](pow(I[p+r], 0))": [2, 3, 3, 3, 2],
    "K[p] = B[p] + sum[r](I[p+r])": [4, 7, 10, 13, 10],
    "K[p] += I[p+r] + pow(I[p+r], 0)": [5, 9, 12, 15, 11],
    "K[p] max= -I[p+r]": [-1, -1, -2, -3, -4],
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("format", [None, "C", "B"])
@pytest.mark.parametrize("text", WANT)
def test_points_in_the_padding_are_left_out(text, format, backend):
    layer = zs.layer(text, sizes={"r": 3}, pad=PAD)
    operands = {"I": I if format is None else zs.tensor(I, format), "B": np.ones(5)}
    given = {name: operands[name] for name in layer.operands}
    assert layer(**given, backend=backend).tolist() == WANT[text]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_term_that_could_not_tell_is_refused(backend):
    with pytest.raises(KernelError) as caught:
        zs.einsum("K[p] += I[p+r] + 1", I=I, sizes={"r": 3}, pad=PAD, backend=backend)
    assert str(caught.value) == (
        "padding of I is left out of a sum over r of which a term does not read I: 1\n"
        "  K[p] += 1 + I[p+r]\n"
        "Multiply that term by pow(I[p+r], 0), or sum it on its own."
    )
