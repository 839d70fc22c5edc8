"""A folder of operands, in which the tests of the command line run."""

import numpy as np
import pytest
import scipy.sparse as sp

import zeroskip as zs

MATVEC = "y[i] = A[i,j]*x[j]"


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    a = zs.Density((6, 8), 0.5).sample(0)
    np.save("a.npy", a)
    np.save("x.npy", rng.random(8, np.float32))
    np.savez("many.npz", a=a, b=np.arange(24).reshape(2, 3, 4))
    np.savez("one.npz", a=a)
    np.savez("sly.npz", a=np.array([{}], object))
    sp.save_npz("csr.npz", sp.csr_array(a))
    zs.save("saved.npz", zs.tensor(a, "CSC"))
    zs.save("a.tns", zs.tensor(a, "CSR"))
    import scipy.io

    scipy.io.mmwrite("a.mtx", sp.coo_array(a))
    (tmp_path / "layer.txt").write_text(MATVEC + "\n")
    return tmp_path
