import pytest

from zeroskip.benchmark import peers


@pytest.fixture(autouse=True)
def torch_only_where_asked(monkeypatch):
    """Whether another test has loaded torch must not change what is timed here."""
    real = peers._torch
    monkeypatch.setattr(peers, "_torch", lambda asked: real(asked) if asked else None)
