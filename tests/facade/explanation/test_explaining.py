"""`explain`: every stage, from operands, from shapes, from formats or from nothing."""

import json
import re

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.explanation.explaining import explain

CONV = zs.layer("O[n,m,p,q] = relu(B[m] + I[n,c,p+r,q+s]*F[m,c,r,s])", pad=1)


@pytest.fixture(scope="module")
def conv():
    return explain(CONV, I=(1, 16, 14, 14), F=zs.Density((32, 16, 3, 3), 0.2), B=(32,), arch="scnn")


def test_every_stage_is_there(conv):
    assert conv.text == CONV.text
    assert conv.expr == CONV.expr
    assert conv.extents == {"n": 1, "m": 32, "p": 14, "q": 14, "c": 16, "r": 3, "s": 3}
    assert conv.ops.multiplications == 32 * 14 * 14 * 16 * 9
    assert conv.formats["F"] == "0:U 1*2*3:B"
    assert conv.schedule.startswith("tiled: each entry of F meets register tiles of I")
    assert "I_staged = stage(I)" in conv.nest
    assert conv.c.startswith('#include "zs_kernel.h"')
    assert "struct zs_args" not in conv.c
    assert conv.operands["F"].startswith("32×16×3×3 float32, bitmask (0:U 1*2*3:B), 922 stored")


def test_printing_prints_all_in_sections(conv):
    text = str(conv)
    heads = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert heads == [
        "Einsum",
        "Sums written out",
        "SymPy",
        "Extents",
        "Operations, were every operand dense",
        "Operands",
        "Schedule",
        "Loop nest",
        "C",
        "Accounting on scnn (order c n m r s p q; sync c; space p: rows, q: cols; "
        "roles B: bias, F: F, I: I)",
    ]
    assert "  axis 2 of I padded by 1 and 1, axis 3 of I padded by 1 and 1" in text
    assert repr(conv) == text


def test_the_accounting_parses_and_is_the_charge_s_own(conv):
    assert make_spec(conv.accounting).results[0] == "busy"
    assert explain(CONV, I=(1, 16, 14, 14), F=(32, 16, 3, 3), B=(32,)).accounting == ""


@pytest.mark.parametrize(
    ("given", "schedule", "nest"),
    [
        ({}, "tiled", "I_staged = stage(I)"),
        ({"F": zs.Format("CSR")}, "tiled", "for offset, e in F.packed[row]:"),
        (
            {"I": zs.Format("CSR"), "F": zs.Format("bitmask")},
            "plain",
            "for F_crs_at, pF_crs in F.crs[m]:  # bitmask" if False else "in F.crs[m]:  # bitmask",
        ),
        ({"I": zs.Format("bitmask")}, "lanes", "# vectors"),
    ],
)
def test_formats_without_shapes(given, schedule, nest):
    found = explain(CONV, **given)
    assert found.schedule.startswith(schedule)
    assert nest in found.nest
    assert found.operands["B"] == "float32, dense, of unknown extents"
    assert "Extents" not in found.sections()


@pytest.mark.parametrize(
    ("text", "given", "why"),
    [
        ("O[i] *= A[i,j]", {}, "under *= the right side is evaluated whole"),
        ("O[i] = A[i,2*j]", {}, "the faster schedules take one product, and there is none"),
        ("O[i,j] = A[i,k]*B[k,j]", {"A": (4, 4), "B": (4, 4)}, "for fewer than 16,384"),
        (
            "O[i,j] = A[i,k]*B[k,j]",
            {"A": zs.Format("CSR"), "B": zs.Format("CSR")},
            "no operand of the product is dense",
        ),
        (
            "O[i,j] = A[i,k]*B[k,j] + A[i,k]*D[k,j]",
            {"A": zs.Format("CSR"), "B": zs.Format("CSR"), "D": zs.Format("CSR")},
            "these are 2",
        ),
        ("O[h,i,j] = A[h,i,k]*B[h,j,k]", {"A": (2, 4, 4), "B": (2, 4, 4)}, "sums are too short"),
    ],
)
def test_why_the_plain_walk(text, given, why):
    found = explain(text, **given)
    assert found.schedule.startswith("plain: the levels of the operands are walked as they lie")
    assert why in found.schedule


def test_a_mixed_type_is_told():
    found = explain("O[i,j] = A[i,k]*B[k,j]", np.ones((64, 64)), np.ones((64, 64), np.float32))
    assert found.schedule.startswith("tiled: ")
    assert "B (float32) becomes float64 where it is packed or copied." in found.schedule


def test_a_cascade_shows_each_line():
    found = explain("S[i,j] = Q[i,k]*K[j,k]\nZ[i] += S[i,j]", Q=(64, 8), K=(64, 8))
    assert [line.text for line in found.lines] == [
        "S[i,j] = sum[k](K[j,k]*Q[i,k])",
        "Z[i] += S[i,j]",
    ]
    assert [line.split(":")[0] for line in found.schedule.splitlines()] == ["S, tiled", "Z, dots"]
    assert found.nest.count("# ") >= 2
    assert found.c.count("int32_t zs_kernel(") == 2


def test_ranks_that_nothing_fixes_are_guessed():
    found = explain("O[n,c,p,q] max= I[n,c,2*p+r,2*q+s]")
    assert set(found.extents) == {"n", "c", "p", "q", "r", "s"}
    small = explain("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]", I=(1, 3, 9, 9))
    assert small.extents["c"] == 3
    assert small.extents["p"] + small.extents["r"] == 10


def test_real_operands_are_described():
    w = np.eye(3)
    found = explain("y[i] = A[i,j]*x[j]", zs.tensor(w, "COO"), [1.0, 2.0, 3.0])
    assert found.operands == {
        "A": "3×3 float64, COO (C S), 3 stored, density 0.3333",
        "x": "3 float64, dense",
    }
    assert json.loads(json.dumps(found.sections()))["Einsum"] == "y[i] = A[i,j]*x[j]"


def test_errors_name_what_is_wrong():
    with pytest.raises(zs.EinsumError, match="B is no operand here; expected A, x"):
        explain("y[i] = A[i,j]*x[j]", B=(3, 4))
    with pytest.raises(zs.EinsumError, match="expected at most 2 operands"):
        explain("y[i] = A[i,j]*x[j]", (3, 4), (4,), (4,))
    with pytest.raises(zs.EinsumError, match=r"rank j has two sizes: 4 in A .*, 5 in x"):
        explain("y[i] = A[i,j]*x[j]", A=(3, 4), x=(5,))
    with pytest.raises(zs.EinsumError) as error:
        explain("O[p] = I[U*p+r]*F[r]", F=zs.Format("C"))
    assert 'Give it: consts={"U": 2}.' in str(error.value)


def test_a_sparse_result_is_explained_with_what_is_stored_anew():
    a = zs.tensor(np.eye(300, dtype=np.float32), "CSC")
    found = zs.explain("C[i,k] = A[i,j]*A[k,j]", A=a, format="CSR")
    assert found.lines[0].schedule == "rows"
    assert "gathered row by row (i) in a workspace of one row (k)" in found.schedule
    assert "A is converted to" in found.schedule
    assert "append C[i; at]" in found.nest
    assert "zs_sort_row" in found.c
    lines = zs.explain("T[i] = A[i,j]*x[j]\ny[i] = 2*T[i]", A=a, format={"T": "C"}).lines
    assert [line.schedule for line in lines] == ["rows", "plain"]
    assert lines[1].formats["T"] == "0:C"


def test_the_lines_of_a_reduction_inside_are_explained_too():
    found = zs.explain("P[m,k] = exp(S[m,k])/sum[j](exp(S[m,j]))", S=(2, 3))
    assert [line.result for line in found.lines] == ["P_1", "P"]
    assert found.schedule.startswith("P_1, plain: ")


def test_a_format_left_open_is_foretold():
    a = np.zeros((100, 100), np.float32)
    a[np.arange(100), np.arange(100)] = 1
    listed = zs.tensor(a, "CSR")
    said = explain("C[i,j] = A[i,k]*B[k,j]", listed, listed, format="auto").schedule
    assert (
        "C is stored in the fewest bits once its entries are counted: COO up to 100 entries, "
        "CSR up to 1,269 entries, bitmask up to 9,687 entries, dense beyond. About 100 are "
        "expected, were operands independent: COO." in said
    )
    got = zs.einsum("C[i,j] = A[i,k]*B[k,j]", listed, listed, format="auto")
    assert got.format.label == "COO"
    layer = zs.layer("T[i,j] = A[i,k]*B[k,j]\ny[i] = T[i,j]*x[j]")
    found = explain(layer, listed, listed, np.ones(100, np.float32), format={"T": "auto"})
    assert found.formats["T"] == "0:C 1:S"
    assert "T is stored in the fewest bits once" in found.lines[0].why
    said = explain(layer, zs.Format("CSR"), format={"T": "auto"}).lines[0].why
    assert "T is stored in the fewest bits once its entries are counted." in said
    assert "expected" not in said


def test_a_scalar_is_dense_whatever_it_holds():
    said = explain("y = A[i,k]", np.ones((2, 2)), format="auto").schedule
    assert "y is dense: nothing takes fewer bits, whatever it holds." in said


def scattered(format, seed=0):
    rng = np.random.default_rng(seed)
    x = np.zeros((600, 600))
    x[rng.integers(0, 600, 3000), rng.integers(0, 600, 3000)] = 1
    return zs.tensor(x, format)


def test_the_order_of_loops_is_told_with_its_cost_and_the_best_of_the_others():
    columns, rows = scattered("CSC"), scattered("CSR", 1)
    product = "C[i,j] = A[i,k]*B[k,j]"
    said = explain(product, columns, columns).schedule
    assert re.search(
        r"in the order j,k,i. Loops go j,k,i \(about [\d,]+ visits\), the cheapest by estimate; "
        r"the best of the others is [ijk,]+ \(about [\d,]+ visits and \w stored anew\), by order=",
        said,
    )
    said = explain(product, rows, rows).schedule
    assert re.search(r"Loops go i,k,j \(about [\d,]+ visits\), as they lie; ", said)
    found = explain(product, rows, rows, order="i,j,k")
    assert re.search(
        r"Loops go i,j,k \(about [\d,]+ visits and B stored anew\), as given; the best of the "
        r"others is i,k,j \(about [\d,]+ visits\), by order=. B is converted to 1:U 0:C first",
        found.schedule,
    )
    assert "Loops go" not in explain(product, zs.Format("CSR"), zs.Format("CSR")).schedule
    assert "Loops go" not in explain("y[i] = A[i]", np.ones(3)).schedule
    assert "Loops go" not in explain("O[p] = I[p+r]*F[r]", scattered("CSR")[0], np.ones(3)).schedule


def test_dense_operands_are_said_to_lie_along_a_rank():
    found = explain("O[h,i,j] = A[h,i,k]*B[h,j,k]", np.ones((2, 5, 64)), np.ones((2, 5, 64)))
    assert "the places of k, along which operands lie" in found.schedule
