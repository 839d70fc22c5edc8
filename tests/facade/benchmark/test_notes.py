from zeroskip.benchmark import notes


def test_a_warning_of_narrow_blas(monkeypatch):
    monkeypatch.setattr(notes, "blas", lambda: "openblas 0.3 (kernel Haswell)")
    tools = type("Tools", (), {"features": ("AVX2", "AVX512F")})
    monkeypatch.setattr(notes.toolchain, "find", lambda: tools)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    (told,) = notes._weak_blas()
    assert told.startswith("BEWARE: OPENBLAS_CORETYPE=Haswell is set")
    monkeypatch.delenv("OPENBLAS_CORETYPE")
    (newer,) = notes._weak_blas()
    assert "set OPENBLAS_CORETYPE=SkylakeX before Python starts" in newer
    monkeypatch.setattr(notes, "blas", lambda: "openblas 0.3 (kernel SkylakeX)")
    assert notes._weak_blas() == []
