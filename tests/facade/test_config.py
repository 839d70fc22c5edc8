import pytest

from zeroskip import config
from zeroskip.native import settings


@pytest.fixture(autouse=True)
def restore():
    with settings.using():
        yield


def test_get_set_and_using(tmp_path):
    assert config.set(threads=3, cache_dir=tmp_path) is config.get()
    assert (config.get().threads, config.get().cache_dir) == (3, tmp_path)
    with config.using(threads=2):
        assert settings.current().threads == 2
    assert config.get().threads == 3


def test_a_wrong_setting_is_named():
    with pytest.raises(config.SettingError, match="there is no setting 'treads'"):
        config.set(treads=2)


def test_settings_are_attributes():
    with config.using(threads=2):
        config.threads = 3
        assert config.threads == config.get().threads == 3
        with pytest.raises(config.SettingError, match="threads"):
            config.threads = 0
        with pytest.raises(AttributeError, match=r"no setting 'treads': expected one of .*threads"):
            config.treads = 2
    with pytest.raises(AttributeError, match="has no 'treads'"):
        _ = config.treads
    assert {"threads", "set"} <= set(dir(config))


def test_a_setting_cannot_be_deleted():
    with pytest.raises(AttributeError, match=r"threads cannot be deleted: reload\(\) goes back"):
        del config.threads
