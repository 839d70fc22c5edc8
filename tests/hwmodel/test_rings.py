"""Charges of lines in which nothing is inf, or false: those of the products of their masks."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import TensorError
from zeroskip.formats.convert import from_coords
from zeroskip.hwmodel.charging import charge

INF = np.inf
RINGS = [zs.semirings.min_plus, zs.semirings.max_plus, zs.semirings.or_and]
ARCHES = ["eyeriss", "scnn"]


def counted(ring, kept_a, kept_b, arch, a_format="CSR", b_format=None):
    """The charge of a product in a ring, and that of the product of the masks."""
    a = np.where(kept_a, 2.0, float(ring.zero))
    b = np.where(kept_b, 3.0, float(ring.zero))
    held = {"A": zs.tensor(a, a_format, fill=ring.zero)}
    held["B"] = b if b_format is None else zs.tensor(b, b_format, fill=ring.zero)
    masks = {"A": zs.tensor(kept_a * 1.0, a_format)}
    masks["B"] = kept_b * 1.0 if b_format is None else zs.tensor(kept_b * 1.0, b_format)
    product = make_spec("C[i,j] = A[i,k]*B[k,j]")
    return charge(make_spec(ring.matmul), arch, held), charge(product, arch, masks)


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("b_format", [None, "CSR", "RLE(2)"])
@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_a_ring_is_charged_as_the_product_of_its_masks(ring, b_format, arch):
    rng = np.random.default_rng(8)
    kept_a, kept_b = rng.random((9, 12)) < 0.3, rng.random((12, 7)) < 0.4
    made, wanted = counted(ring, kept_a, kept_b, arch, b_format=b_format)
    assert made.ops == wanted.ops
    assert made.ops["effectual"] == (kept_a[:, :, None] & kept_b[None]).sum()
    assert made.cycles == wanted.cycles
    assert made.multiplications == wanted.multiplications
    assert np.array_equal(made.work_per_pe, wanted.work_per_pe)
    assert made.energy_pj == wanted.energy_pj
    assert made.speedup == wanted.speedup


def test_a_stored_infinity_is_moved_and_is_no_effectual_operation():
    spec, x = make_spec("y[i] min= A[i,k] + x[k]"), np.array([0.0, 1.0])
    coords, values = [[0, 0, 1], [0, 1, 0]], [INF, 1.0, 2.0]
    explicit = from_coords(coords, values, (2, 2), "CSR", fill=INF)
    made = charge(spec, "eyeriss", {"A": explicit, "x": x})
    clean = charge(spec, "eyeriss", {"A": zs.tensor(explicit.toarray(), "CSR", fill=INF), "x": x})
    assert made.ops["effectual"] == clean.ops["effectual"] == 2
    assert (explicit.nnz, explicit.stored) == (2, 3)


def refusal(text, **operands):
    with pytest.raises(TensorError) as caught:
        charge(make_spec(text), "eyeriss", operands)
    return str(caught.value)


def test_a_fill_that_a_layer_does_not_leave_out_is_refused():
    ones = zs.tensor(np.eye(2), "CSR", fill=1)
    far = zs.tensor(np.eye(2), "CSR", fill=INF)
    assert refusal("y[i] = A[i,k]*x[k]", A=ones, x=np.ones(2)) == (
        "A has fill 1.0, and a charge of y[i] = sum[k](A[i,k]*x[k]) counts what is not 0\n"
        "Charge it densely (A.toarray()), or store it with fill=0."
    )
    assert "counts what is not 0, or inf\n" in refusal(
        "y[i] min= A[i,k] + x[k]", A=ones, x=np.ones(2)
    )
    assert "B has fill 0.0, and a charge of y[i] min= A[i,k] + B[k,i] counts what is not inf" in (
        refusal("y[i] min= A[i,k] + B[k,i]", A=far, B=zs.tensor(np.eye(2), "CSR"))
    )


def test_the_table_says_what_an_operation_is():
    far = zs.tensor(np.eye(3), "CSR", fill=INF)
    made = charge(make_spec("y[i] min= A[i,k] + x[k]"), "scnn", {"A": far, "x": np.ones(3)})
    said = "an operation is + and min=, charged as a multiplication and an addition"
    assert said in made.assumptions
