"""docs/layers.md shows every layer; its examples are run by `make doctest`."""

import inspect
import pickle
import subprocess
import sys

import pytest

import zeroskip as zs
from zeroskip import layers

NEEDED = {
    "avg_pool1d": (2,),
    "avg_pool2d": (2,),
    "avg_pool3d": (2,),
    "im2col": (3,),
    "local_response_norm": (5,),
    "max_pool1d": (2,),
    "max_pool2d": (2,),
    "max_pool2d_indices": (2,),
    "max_pool3d": (2,),
    "max_unpool2d": ((1, 2, 4, 4),),
    "multi_head_attention": (8, 2),
    "pixel_shuffle": (2,),
}
NAMED = [name for name in layers.__all__ if name != "duplication"]


@pytest.mark.parametrize("name", NAMED)
def test_a_layer_prints_as_text_that_means_the_same(name):
    made = getattr(layers, name)(*NEEDED.get(name, ()))
    assert isinstance(made, zs.Layer)
    spec = made.spec
    assert pickle.loads(pickle.dumps(made)) == made
    again = zs.layer(made.text, sizes=spec.sizes)
    assert again.operands == made.operands
    assert zs.layer(spec.explicit, sizes=spec.sizes) == again


@pytest.mark.parametrize("name", layers.__all__)
def test_the_gallery_shows_it(name, repository):
    page = (repository / "docs" / "layers.md").read_text(encoding="utf-8")
    assert name in page
    assert inspect.getdoc(getattr(layers, name))


def test_layers_are_imported_when_they_are_asked_for():
    code = (
        "import sys, zeroskip as zs\n"
        "assert 'zeroskip.layers' not in sys.modules\n"
        "zs.layers.conv2d()\n"
        "assert not {'torch', 'sympy', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
