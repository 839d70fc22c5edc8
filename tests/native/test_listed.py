"""Operands that list their coordinates (COO): walked where they lead, compressed where other
operands have bound their places, so that nothing is searched from end to end."""

import numpy as np
import pytest
from judges import Call, check

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine
from zeroskip.native.lines import line_of
from zeroskip.native.reference import evaluate

RNG = np.random.default_rng(11)


def some(*shape):
    return RNG.integers(-4, 5, shape) * (RNG.random(shape) < 0.5) / 4.0


# text, shapes, formats -> the operands that are compressed first
CASES = [
    ("O[i,k] = A[i,k]*B[i,k]", "COO COO", ["B"]),
    ("O[i] = A[i,k]*B[i,k]*D[i,k]*E[i,k]", "COO COO COO COO", ["B", "D", "E"]),
    ("O[i] = A[i,k]*B[i,k]*D[i,k]", "CSR COO CSR", ["B"]),
    ("O[i,j] = A[i,k]*B[k,j]", "COO COO", []),
    ("O[i,j] = A[i,k]*B[k,j]*D[i,j]", "COO COO COO", ["D"]),
    ("O[i,j] = A[k]*B[j,k]*D[i,j]", "C COO dense", ["B"]),
    ("O[i,j] = x[i]*B[i,j]", "C COO", []),
    ("O[i] = A[i,k]*B[i,k]", "dense COO", []),
    ("O[i,k] = A[i,k]*A[k,i]", "COO", ["A"]),
    ("O[i] = A[i,i]*B[i,i]", "COO COO", ["B"]),
    ("O[i,k] = A[i,k] + B[i,k]", "COO COO", []),
    ("O[p,q] = F[r,s]*I[p+r,q+s]", "COO COO", []),
    ("O[i] = max[k](A[i,k]*B[i,k])", "COO COO", ["B"]),
    ("O[i] = sum[k](relu(A[i,k])*sqrt(abs(B[i,k])))", "COO COO", ["B"]),
]  # fmt: skip


def operands_of(spec, formats):
    shapes = {a.tensor: (3,) * len(a.subscripts) for form in spec.forms for a in form.reads}
    shapes |= {"I": (5, 4)} if "I" in shapes else {}
    dense = {name: some(*shapes[name]) for name in spec.operands}
    stored = {
        name: x if format == "dense" else Tensor.from_dense(x, format)
        for (name, x), format in zip(dense.items(), formats.split(), strict=True)
    }
    return dense, stored


@pytest.mark.parametrize(("text", "formats", "converted"), CASES)
def test_what_others_bind_is_compressed_first(text, formats, converted):
    spec = make_spec(text)
    dense, stored = operands_of(spec, formats)
    extents = spec.extents({name: x.shape for name, x in dense.items()})
    assert list(line_of(spec.forms[0], stored, extents).converted) == converted
    want = evaluate(spec, dense)["O"]
    check([Call(spec, stored, want, 9.0)])
    sparse = engine.evaluate(spec, stored, format="COO" if want.ndim > 1 else "C")["O"]
    assert np.allclose(sparse.toarray(), want, rtol=1e-12, atol=0)


def test_many_listed_operands_are_looked_up_not_searched():
    names, shape = "ABDEFGH", (9, 9, 9, 9)
    dense = {name: RNG.random(shape) * (RNG.random(shape) < 0.7) for name in names}
    layer = zs.layer("O[i,j] = " + "*".join(f"{name}[i,j,k,l]" for name in names))
    stored = {name: zs.tensor(x, "COO") for name, x in dense.items()}
    want = np.prod([*dense.values()], axis=0).sum((2, 3))
    assert np.allclose(layer(**stored), want, rtol=1e-12)
    told = str(zs.explain(layer, **stored))
    assert "H is converted to C C C C first, at every call." in " ".join(told.split())
    assert "A is converted" not in " ".join(told.split())


def test_two_listed_operands_in_blocks():
    dense = {"A": some(4, 6), "B": some(4, 6)}
    stored = {
        "A": Tensor.from_dense(dense["A"], "COO"),
        "B": Tensor.from_dense(dense["B"], "0/2:C 1/3:S 0%2:U 1%3:U"),
    }
    spec = make_spec("O[i,k] = A[i,k]*B[i,k]")
    check([Call(spec, stored, dense["A"] * dense["B"], 9.0)])
