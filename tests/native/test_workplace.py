"""A directory to build in, which leaves nothing behind."""

import contextlib
import stat

import pytest

from zeroskip.native import cache


@pytest.mark.parametrize("names", [(), ("file",), ("deeper/file", "file")])
def test_a_workplace_is_gone_with_what_is_in_it(tmp_path, names):
    with contextlib.suppress(KeyError), cache.workplace(tmp_path) as place:
        for name in names:
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_text("x")
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        raise KeyError
    assert list(tmp_path.iterdir()) == []
