"""The snippets of the public surface, as written; what they use must be in scope and work.

Waiting: the sweep over twenty densities of `bench`, which takes half a minute (two densities stand
in for it).
"""

import inspect

import numpy as np
import pytest

import zeroskip as zs

LAYER = 'L = zs.layer("O[b,o] = relu(B[o] + sum[i](W[o,i]*X[b,i]))"); y = L(W=w, B=b, X=x)'
TENSOR = 'F = zs.tensor(module.weight.detach(), "m:U c*r*s:C")                      # torch in'
BENCH = (
    "zs.bench(conv, I=x, F=zs.Density((64,64,3,3), np.geomspace(.01, 1, 2)),"
    ' formats=["CSR","bitmask"]).plot(x="F_density", y="time_s")'
)
CHARGE = 'zs.charge(L, zs.arch("mine.yaml"), W=w, B=b, X=x).to_pandas()'
STORAGE = 'zs.storage(w, ["CSR", "bitmask", "RLE(4)"], value_bits=8)'
BIND = "with torch.no_grad(): y = conv.bind(F=F)(I=t)"

CONV = "O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]"


@pytest.fixture
def scope():
    rng = np.random.default_rng(1)
    w = rng.standard_normal((6, 5)) * (rng.random((6, 5)) < 0.5)
    b, x = rng.standard_normal(6), rng.standard_normal((3, 5))
    return {"zs": zs, "np": np, "w": w, "b": b, "x": x, "conv": zs.layer(CONV, pad=1)}


def run(snippet, scope):
    """Execute a snippet; return the value of its last expression, if it is one."""
    try:
        return eval(snippet, scope)
    except SyntaxError:
        exec(snippet, scope)
        return None


def test_a_layer_with_bias_and_relu(scope):
    run(LAYER, scope)
    want = np.maximum(scope["x"] @ scope["w"].T + scope["b"], 0)
    np.testing.assert_allclose(scope["y"], want, rtol=1e-12)


def test_storage_of_some_formats(scope):
    table = run(STORAGE, scope)
    found = {row["format"]: row["total_bits"] for row in table.to_pandas().to_dict("records")}
    stored = np.count_nonzero(scope["w"])
    assert found["dense"] == 30 * 8
    assert found["bitmask"] == 30 + 8 * stored
    assert set(found) == {"dense", "CSR", "bitmask", "RLE(4)"}


def test_a_charge_on_an_architecture_of_ones_own(scope, repository, tmp_path, monkeypatch):
    preset = repository / "hwmodel" / "architectures" / "eyeriss.yaml"
    (tmp_path / "mine.yaml").write_bytes(preset.read_bytes())
    monkeypatch.chdir(tmp_path)
    run(LAYER, scope)
    frame = run(CHARGE, scope)
    rows = dict(zip(frame["figure"], frame["eyeriss"], strict=True))
    w, x = scope["w"], scope["x"]
    assert rows["operations, all"] == 3 * 6 * 5
    assert rows["operations, effectual"] == np.count_nonzero(w[:, None] * x)


def test_a_measured_table_that_can_be_drawn(scope):
    pytest.importorskip("matplotlib").use("agg")
    scope["x"] = np.random.default_rng(2).standard_normal((1, 64, 4, 4))
    assert run(BENCH, scope) is not None


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def test_torch_goes_in(scope, torch):
    scope["module"] = torch.nn.Conv2d(3, 4, 3)
    run(TENSOR, scope)
    assert isinstance(scope["F"], zs.Tensor)
    assert np.array_equal(scope["F"].toarray(), scope["module"].weight.detach().numpy())


def test_torch_comes_out(scope, torch):
    module = torch.nn.Conv2d(3, 4, 3, padding=1, bias=False)
    scope |= {"torch": torch, "module": module, "t": torch.randn(1, 3, 6, 6)}
    run(TENSOR, scope)
    run(BIND, scope)
    assert isinstance(scope["y"], torch.Tensor)
    with torch.no_grad():
        assert torch.allclose(scope["y"], module(scope["t"]), atol=1e-5)


def test_a_gradient_that_would_be_lost_is_refused(scope, torch):
    conv, weight = scope["conv"], torch.nn.Conv2d(3, 4, 3).weight
    image = torch.randn(1, 3, 6, 6)
    message = r"requires a gradient, which would be lost\nPass x.detach\(\), or call inside torch"
    for call in (
        lambda: conv(I=image, F=weight),
        lambda: conv.bind(F=weight),
        lambda: conv.bind(F=weight.detach())(I=image.clone().requires_grad_()),
        lambda: zs.tensor(weight, "CSR"),
    ):
        with pytest.raises(zs.TensorError, match=message):
            call()
    with torch.no_grad():
        assert conv(I=image, F=weight).shape == (1, 4, 6, 6)


def test_every_public_name_is_there():
    for name in zs.__all__:
        assert getattr(zs, name) is not None
    with pytest.raises(AttributeError, match="module 'zeroskip' has no attribute 'leyer'"):
        zs.leyer  # noqa: B018


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("layer", ["text_or_Eq", "consts", "sizes", "pad"]),
        ("einsum", ["text", "operands", "out", "format", "consts", "sizes", "pad", "named"]),
        ("tensor", ["x", "format", "dtype"]),
        ("storage", ["x", "formats", "value_bits"]),
        ("charge", ["layer", "arch", "operands", "mapping", "named"]),
        ("bench", ["layer", "operands", "formats", "arch", "threads", "seed", "named"]),
        ("explain", ["layer", "operands", "arch", "named"]),
        ("compare", ["charges"]),
    ],
)
def test_signatures_are_those_of_the_surface(name, parameters):
    assert set(parameters) <= set(inspect.signature(getattr(zs, name)).parameters)


def test_what_layers_and_tensors_have():
    made = zs.layer(CONV, pad=1)
    shapes = {"I": (1, 2, 4, 4), "F": (3, 2, 3, 3)}
    assert made.ranks == ("n", "m", "p", "q", "c", "r", "s")
    assert made.extents(**shapes) == {"n": 1, "m": 3, "p": 4, "q": 4, "c": 2, "r": 3, "s": 3}
    assert made.ops(**shapes).multiplications == 3 * 4 * 4 * 2 * 9
    assert str(made.expr).startswith("Eq(O[n, m, p, q], Sum(")
    assert made.text == CONV
    held = zs.tensor(np.array([[0, 1.5], [0, 0]]), "CSR")
    assert (held.shape, held.dtype, held.nnz, held.density) == ((2, 2), np.float64, 1, 0.25)
    assert str(held.format) == "U C"
    assert held.nbytes > 0
    assert held.storage(value_bits=16).total_bits == held.pack(16).n_bits
    assert held.asformat("COO").toarray().tolist() == held.toarray().tolist()
    assert held.to_scipy().nnz == 1
    assert issubclass(zs.ZeroskipError, ValueError)
    assert zs.config.get().threads >= 1
