"""The public `charge`: what it takes, and what it refuses; its counts are tests/hwmodel's."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.charging import charge

LINE = "O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]"


@pytest.fixture(scope="module")
def operands():
    rng = np.random.default_rng(0)
    image = np.maximum(rng.standard_normal((1, 4, 8, 8)), 0).astype(np.float32)
    return {"I": image, "F": zs.Density((8, 4, 3, 3), 0.25).sample(1)}


def by_hand(image, weights):
    """Products without a zero, padding 1: counted place by place."""
    padded = np.pad(image[0] != 0, [(0, 0), (1, 1), (1, 1)])
    total = 0
    for r in range(3):
        for s in range(3):
            for c in range(4):
                window = padded[c, r : r + 8, s : s + 8].sum()
                total += int(window) * int((weights[:, c, r, s] != 0).sum())
    return total


def test_layer_text_and_every_way_to_name_an_architecture_agree(operands, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: scnn\narray: {rows: 4, cols: 4}\nenergy: eyeriss-relative\n"
        "levels:\n  DRAM: {}\n  GLB: {}\n  PE: {}\nsparse: ['skip I,F @MAC']\n"
        "formats: {I: {DRAM: C, GLB: C}, F: {DRAM: C, GLB: C}}\n"
    )
    layer = zs.layer(LINE, pad=1)
    wanted = by_hand(operands["I"], operands["F"])
    for arch in ("scnn", zs.arch("scnn"), file, str(file)):
        found = charge(layer, arch, **operands)
        assert found.ops["effectual"] == wanted
        assert found.ops["skipped"] == 8 * 8 * 8 * 4 * 9 - wanted
    assert charge("y[i] = A[i,j]*x[j]", "dense", np.eye(3), np.ones(3)).ops["effectual"] == 3


def test_operands_by_place_and_by_name_in_any_format(operands):
    layer = zs.layer(LINE, pad=1)
    first = charge(layer, "eyeriss", operands["I"], zs.tensor(operands["F"], "CSR"))
    second = charge(layer, "eyeriss", F=operands["F"], I=zs.tensor(operands["I"], "bitmask"))
    assert (first.cycles, first.energy_pj) == (second.cycles, second.energy_pj)


def test_the_public_snippet(operands):
    layer = zs.layer("O[b,o] = relu(B[o] + sum[i](W[o,i]*X[b,i]))")
    w = zs.Density((4, 6), 0.5).sample(0)
    frame = zs.charge(layer, "scnn", W=w, B=np.zeros(4, np.float32), X=np.ones((2, 6))).to_pandas()
    assert {"figure", "unit", "scnn"} <= set(frame.columns)


def test_a_result_that_is_given_is_not_computed(operands):
    layer = zs.layer(LINE, pad=1)
    output = np.zeros((1, 8, 8, 8), np.float32)
    empty = charge(layer, "eyeriss", **operands, O=output)
    full = charge(layer, "eyeriss", **operands)
    assert empty.at("DRAM", "O").data_bits < full.at("DRAM", "O").data_bits


def test_a_mapping_is_kept(operands):
    mapping = zs.Mapping("c n m r s p q", space={"p": "rows"}, sync="c")
    found = charge(zs.layer(LINE, pad=1), "scnn", **operands, mapping=mapping)
    assert str(found.mapping).startswith("order c n m r s p q; sync c; space p: rows")


def test_a_density_makes_the_charge_an_expected_one(operands):
    density = zs.Density((8, 4, 3, 3), 0.3)
    expected = charge(zs.layer(LINE, pad=1), "scnn", I=operands["I"], F=density)
    assert expected.tags["ops"] == "exact in expectation"
    full = charge(zs.layer(LINE, pad=1), "scnn", I=operands["I"], F=np.ones(density.shape))
    share = density.nnz / density.size
    assert expected.ops["effectual"] == pytest.approx(share * full.ops["effectual"])
    assert "F: 86 of 288 places" in str(expected)


def test_a_cascade_is_charged_line_by_line(operands):
    layer = zs.layer(f"{LINE}\nZ[n,m] += relu(O[n,m,p,q])", pad={"I": {"h": 1, "w": 1}})
    whole = charge(layer, "scnn", **operands)
    first = charge(zs.layer(LINE, pad=1), "scnn", **operands)
    assert list(whole.lines) == ["O", "Z"]
    assert whole.lines["O"].table().rows == first.table().rows
    assert whole.cycles == first.cycles + whole.lines["Z"].cycles
    explained = zs.explain(layer, **operands, arch="scnn")
    assert "# ---- Z[n,m]" in explained.accounting
    assert "O: order c n m r s p q; sync c;" in str(explained)


def test_a_cascade_is_refused_by_the_line_that_cannot_be_charged():
    line = zs.layer("S[i,j] = Q[i,k]*K[j,k]; Z[i] = S[i,X[i]]*X[i]")
    with pytest.raises(zs.EinsumError) as error:
        charge(line, "scnn", np.eye(2), np.eye(2), np.zeros(2, int))
    assert "the line of Z cannot be charged, and so the cascade cannot" in str(error.value)
    mapping = zs.Mapping("i j k")
    with pytest.raises(zs.ArchError, match="mapping: expected one for each line, found Mapping"):
        charge("S[i] = A[i]; T[i] = S[i]", "scnn", np.ones(2), mapping=mapping)


def test_what_is_missing_or_unknown_is_named(operands):
    layer = zs.layer(LINE, pad=1)
    with pytest.raises(zs.EinsumError, match=r"F \w+ missing; expected I, F"):
        charge(layer, "scnn", I=operands["I"])
    with pytest.raises(zs.ArchError, match="no architecture 'scn'"):
        charge(layer, "scn", **operands)
    with pytest.raises(zs.TensorError, match="found one with operands bound"):
        charge(layer.bind(F=operands["F"]), "scnn", I=operands["I"])


def test_importing_the_parts_leaves_the_public_functions_callable():
    import zeroskip.benchmark.benching
    import zeroskip.charging
    import zeroskip.explanation.explaining  # noqa: F401

    for name in ("layer", "einsum", "bench", "explain", "charge", "storage", "arch", "tensor"):
        assert callable(getattr(zs, name)), name
