"""Bytes kept in the cache directory: found by their key, and never when they are damaged."""

import pytest

from zeroskip.native import filed, settings


@pytest.fixture
def folder(tmp_path):
    with settings.using(cache_dir=tmp_path / "cache"):
        yield tmp_path / "cache"


def test_what_was_kept_is_found_under_its_key_alone(folder):
    assert filed.recall("kind", "a", "b") is None
    filed.remember(b"held", "kind", "a", "b")
    assert filed.recall("kind", "a", "b") == b"held"
    for other in (("kind", "ab"), ("kind", "a"), ("other", "a", "b")):
        assert filed.recall(*other) is None


def test_what_is_damaged_is_nothing(folder):
    filed.remember(b"held", "kind", "a")
    (path,) = folder.glob("kind-*.bin")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert filed.recall("kind", "a") is None


def test_a_folder_that_is_none_keeps_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with settings.using(cache_dir=tmp_path / "file"):
        filed.remember(b"held", "kind", "a")
        assert filed.recall("kind", "a") is None


def test_what_is_kept_is_no_more_than_the_cache_may_hold(folder):
    """Though no kernel is built."""
    held = bytes(2**16)
    with settings.using(cache_bytes=2**20):
        for number in range(100):
            filed.remember(held, "kind", str(number))
        assert filed.recall("kind", "99") == held
    assert len(list(folder.iterdir())) < 60
