"""Figures by name: a dict of which a missing key says what there is."""

from __future__ import annotations

import pickle

import pytest

from zeroskip.errors import ArchError
from zeroskip.hwmodel.by_name import ByName


def test_it_is_a_dict():
    made = ByName("ops", {"gated": 3})
    assert made == {"gated": 3}
    assert repr(made) == "{'gated': 3}"
    assert made.get("zz") is None
    assert "zz" not in made


@pytest.mark.parametrize("kind", [ArchError, KeyError])
def test_a_name_that_is_not_there_lists_those_that_are(kind):
    with pytest.raises(kind) as caught:
        ByName("ops", {"gated": 3, "skipped": 4})["zz"]
    assert str(caught.value) == "ops: expected one of gated, skipped, found 'zz'"


def test_it_is_the_same_in_another_process():
    made = pickle.loads(pickle.dumps(ByName("ops", {"gated": 3})))
    assert made == {"gated": 3}
    with pytest.raises(ArchError, match=r"^ops: expected one of gated"):
        made["zz"]
