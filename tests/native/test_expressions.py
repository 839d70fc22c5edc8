"""What random expressions (test_trials.py) have found, reduced."""

import numpy as np
from judges import Call, check

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.convert import tensor
from zeroskip.native.reference import evaluate


def test_a_sum_that_is_opened_before_a_rank_of_the_result_is_added_up():
    """(i+k)//3 binds the summed i first: its loop stands outside that of k."""
    rng = np.random.default_rng(0)
    T0 = rng.integers(-4, 5, (3, 3)).astype(np.int32)
    T1 = rng.integers(-4, 5, (5, 3)).astype(np.int32)
    spec = make_spec("O[k] = T0[j,j]*T1[k+j,(k+i)//3]", sizes={"i": 4, "j": 3, "k": 3})
    want = evaluate(spec, {"T0": T0, "T1": T1})["O"]
    stored = {"T0": T0, "T1": tensor(T1, "1*0:H(3:3)")}
    check([Call(spec, stored, want)])
