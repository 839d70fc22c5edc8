import sys
from pathlib import Path
from threading import Event, Thread

import pytest

from zeroskip.native import settings
from zeroskip.native.settings import SettingError, default_cache_dir, from_environment


@pytest.fixture(autouse=True)
def restore():
    with settings.using():
        yield


def test_the_environment_sets_every_value(tmp_path):
    got = from_environment(
        {
            "ZEROSKIP_CC": "ccache gcc",
            "ZEROSKIP_CACHE_DIR": str(tmp_path),
            "ZEROSKIP_CACHE_MB": "3",
            "ZEROSKIP_THREADS": "2",
            "ZEROSKIP_COMPILE_TIMEOUT": "1.5",
            "ZEROSKIP_KEPT_MB": "0",
        }
    )
    assert got.compiler == "ccache gcc"
    assert got.cache_dir == tmp_path
    assert got.cache_bytes == 3 * 2**20
    assert got.threads == 2
    assert got.compile_timeout_s == 1.5
    assert got.kept_bytes == 0


def test_empty_variables_count_as_unset():
    got = from_environment({"ZEROSKIP_CC": "", "ZEROSKIP_THREADS": "", "ZEROSKIP_CACHE_DIR": ""})
    assert got.compiler is None
    assert got.threads == settings.usable_cpus()
    assert got.cache_dir == default_cache_dir({}, sys.platform)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ZEROSKIP_THREADS", "many", "ZEROSKIP_THREADS='many': expected a whole number"),
        ("ZEROSKIP_THREADS", "0", "setting threads: expected a whole number from 1 to 1024"),
        ("ZEROSKIP_CACHE_MB", "1.5", "ZEROSKIP_CACHE_MB='1.5': expected a whole number of MiB"),
        ("ZEROSKIP_CACHE_MB", "-1", "setting cache_bytes: expected a whole number of at least"),
        ("ZEROSKIP_KEPT_MB", "-1", "setting kept_bytes: expected a whole number of at least 0"),
        ("ZEROSKIP_COMPILE_TIMEOUT", "nan", "setting compile_timeout_s: expected a positive"),
        ("ZEROSKIP_CACHE_DIR", "~nobody-at-all/x", "names the home of an unknown user"),
    ],
)
def test_an_unusable_variable_is_named(name, value, message):
    with pytest.raises(SettingError) as caught:
        from_environment({name: value})
    assert message in str(caught.value)


def test_cache_directory_by_platform(monkeypatch):
    monkeypatch.setattr(Path, "home", staticmethod(lambda: Path("/home/ada")))
    assert default_cache_dir({}, "linux") == Path("/home/ada/.cache/zeroskip")
    assert default_cache_dir({"XDG_CACHE_HOME": "/x"}, "linux") == Path("/x/zeroskip")
    assert default_cache_dir({"XDG_CACHE_HOME": "x"}, "linux") == Path("/home/ada/.cache/zeroskip")
    assert default_cache_dir({}, "darwin") == Path("/home/ada/Library/Caches/zeroskip")
    windows = default_cache_dir({"LOCALAPPDATA": "/local"}, "win32")
    assert windows == Path("/local/zeroskip/Cache")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", staticmethod(no_home))
    with pytest.raises(SettingError, match="Set ZEROSKIP_CACHE_DIR to a directory"):
        default_cache_dir({}, "linux")


def test_configure_changes_what_it_names_and_using_restores(tmp_path):
    before = settings.current()
    with settings.using(threads=3, cache_dir=str(tmp_path)) as inside:
        assert settings.current() is inside
        assert (inside.threads, inside.cache_dir) == (3, tmp_path)
        assert inside.cache_bytes == before.cache_bytes
    assert settings.current() == before


def test_blocks_of_threads_that_overlap_take_back_their_own_changes_alone(tmp_path):
    """As many as do in a pool of threads: who enters first may leave first."""
    before, entered, left = settings.current(), Event(), Event()

    def other():
        with settings.using(threads=5):
            entered.set()
            left.wait()
            seen.append((settings.current().threads, settings.current().vector_bytes))
            settings.configure(cache_dir=tmp_path)

    seen = []
    thread = Thread(target=other)
    with settings.using(threads=3, vector_bytes=16):
        thread.start()
        entered.wait()
        assert (settings.current().threads, settings.current().vector_bytes) == (5, 16)
    assert settings.current().threads == 5
    left.set()
    thread.join()
    assert seen == [(5, before.vector_bytes)]
    assert settings.current() == before


def test_what_is_configured_while_another_thread_is_in_a_block_stays():
    with settings.using():
        entered, left = Event(), Event()

        def other():
            with settings.using(threads=5):
                entered.set()
                left.wait()

        thread = Thread(target=other)
        thread.start()
        entered.wait()
        settings.configure(vector_bytes=16)
        left.set()
        thread.join()
        assert settings.current().vector_bytes == 16
        assert settings.current().threads != 5


def test_reload_within_a_block_ends_with_it(monkeypatch):
    before = settings.current()
    with settings.using(threads=7):
        monkeypatch.setenv("ZEROSKIP_THREADS", "5")
        assert settings.reload().threads == 5
    assert settings.current() == before


def test_a_refused_change_changes_nothing():
    before = settings.current()
    with pytest.raises(SettingError, match="expected a whole number from 1 to 1024, found True"):
        settings.configure(compiler="gcc", threads=True)
    with pytest.raises(SettingError, match=r"no setting 'thread'; there are compiler, cache_dir"):
        settings.configure(thread=1)
    assert settings.current() is before


def test_reload_reads_the_environment_again(monkeypatch):
    settings.configure(threads=7)
    monkeypatch.setenv("ZEROSKIP_THREADS", "5")
    assert settings.current().threads == 7
    assert settings.reload().threads == 5


def test_changes_that_were_made_before_give_the_same_settings():
    """But a value of another type is looked at, and a path is read anew."""
    with settings.using(threads=2) as first:
        pass
    with settings.using(threads=2) as again:
        assert again is first
    with settings.using(threads=1) as one:
        assert one.threads == 1
    for wrong in (True, 1.0, [1]):
        with pytest.raises(settings.SettingError, match="threads"):
            settings.configure(threads=wrong)


def test_a_relative_path_is_that_of_the_directory_at_the_time(tmp_path, monkeypatch):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        with settings.using(cache_dir="kernels") as now:
            assert now.cache_dir == tmp_path / place / "kernels"
