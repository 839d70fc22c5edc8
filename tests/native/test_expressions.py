"""A few hundred random pointwise expressions: C, interpreter and NumPy, to the bit.

``make fuzz`` draws as many as there is time for.
"""

import numpy as np
import pytest
from expressions import random_expression
from judges import Call, check, prepare, wanted

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import ZeroskipError
from zeroskip.formats.convert import tensor
from zeroskip.native.reference import evaluate

SEED = 20171113
BATCH = 64


def drawn(seed):
    """Calls of cases from ``seed`` on; a case that the language refuses is drawn again."""
    calls, refusals = [], 0
    while len(calls) < BATCH:
        case = random_expression(np.random.default_rng(seed + len(calls) + refusals))
        try:
            spec = make_spec(case.text, case.consts, case.sizes, case.pad)
            call = Call(spec, case.stored, wanted(spec, case), 0.0)
            prepare(call)
        except ZeroskipError:
            refusals += 1
            continue
        calls.append(call)
    assert refusals < BATCH
    return calls


@pytest.mark.parametrize("k", range(5))
def test_random_expressions(k):
    check(drawn(SEED + 10_000 * k))


def test_a_sum_that_is_opened_before_a_rank_of_the_result_is_added_up():
    """(i+k)//3 binds the summed i first: its loop stands outside that of k."""
    rng = np.random.default_rng(0)
    T0 = rng.integers(-4, 5, (3, 3)).astype(np.int32)
    T1 = rng.integers(-4, 5, (5, 3)).astype(np.int32)
    spec = make_spec("O[k] = T0[j,j]*T1[k+j,(k+i)//3]", sizes={"i": 4, "j": 3, "k": 3})
    want = evaluate(spec, {"T0": T0, "T1": T1})["O"]
    stored = {"T0": T0, "T1": tensor(T1, "1*0:H(3:3)")}
    check([Call(spec, stored, want)])
