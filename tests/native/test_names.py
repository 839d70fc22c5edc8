from itertools import pairwise

import numpy as np
import pytest
from judges import Call, check

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native.names import Names

# What C, its headers, its compiler, the kernel header or the emitter call something.
_TAKEN = """
int double while restrict typeof asm linux unix NULL main size_t int64_t uint8_t INT64_C INT64_MIN
SIZE_MAX offsetof _Bool __func__ __LINE__ _Static_assert zs_vec zs_min ZS_OK zs_args args work tile
tiles vectors LANES v t i x row acc e offset I0 i0 n_I w_j bits_j j_next pA_j pA_j_next A_j_pos
A_j_crd A_vals y_vals A_j_at j_at pA_j_at pA_j_end tile_x exp sqrt printf J
"""
TAKEN = _TAKEN.split()


@pytest.mark.parametrize("level", ["B", "C", "R(1)"])
def test_any_name_may_name_a_rank(level):
    a = np.array([[1, 0, 2], [0, 0, 3.0]])
    x = np.array([1, 10, 100.0])
    check(
        [
            Call(
                make_spec(f"y[{name}] = A[{name},j] * x[j]"),
                {"A": Tensor.from_dense(a, f"C {level}"), "x": Tensor.from_dense(x, "C")},
                a @ x,
            )
            for name in TAKEN
        ]
    )


def test_any_name_may_name_an_operand_or_a_constant():
    x = np.array([0, 10, 100.0])
    check(
        [
            Call(
                make_spec(f"y[p] = {name}[2*p] + {other}", {other: 3}, {"p": 2}),
                {name: Tensor.from_dense(x, "C")},
                x[::2] + 3,
            )
            for name, other in pairwise(TAKEN)
        ]
    )


def test_buffers_of_two_operands_never_share_a_name():
    """``A`` by rank ``b_c`` and ``A_b`` by rank ``c`` would both have ``A_b_c_pos``."""
    a, b = np.array([0, 2.0]), np.array([3.0, 0, 5])
    call = Call(
        make_spec("y[b_c,c] = A[b_c] * A_b[c]"),
        {"A": Tensor.from_dense(a, "C"), "A_b": Tensor.from_dense(b, "C")},
        np.outer(a, b),
    )
    check([call])


def test_a_rank_keeps_its_letter_and_its_extent_has_the_capital():
    names = Names()
    assert [names.get("rank", "p"), names.get("extent", "p")] == ["p", "P"]
    assert [names.get("rank", "P"), names.get("extent", "P")] == ["P_", "n_P"]
    assert names.get("rank", "p") == "p"
    assert [names.fresh("int"), names.fresh("p"), names.fresh("p")] == ["int_", "p_", "p_2"]
    assert names.fresh("zs_min") == "u_zs_min"


def test_a_copy_of_the_names_forgets_nothing_and_shares_nothing():
    names = Names()
    names.get("rank", "p")
    copy = names.copy()
    assert copy.get("rank", "p") == "p"
    assert copy.fresh("q") == "q"
    assert names.fresh("q") == "q"
