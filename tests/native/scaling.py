"""A kernel that scales a vector, for the tests of how kernels are loaded."""

import shutil

import pytest

from zeroskip.native import settings, toolchain
from zeroskip.native.cache import Cache
from zeroskip.native.texts import whole_text

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no cc on the PATH")

SCALE = """#include "zs_kernel.h"

/* y[i] = a * x[i] + n;  dim: length of x, n, an error code to fail with */
int32_t scale(zs_args *args)
{
    const double *x = args->buf[0];
    double *y = args->buf[1];
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    if (args->dim[1] != 0)
        return zs_fail(args, (int32_t)args->dim[1], 5);
    for (int64_t i = 0; i < args->dim[0]; i++)
        y[i] = args->real[0] * x[i] + (double)args->whole[0];
    args->work = args->dim[0];
    return ZS_OK;
}
"""


def compiled_not_loaded(text):
    """The cached object of ``text``, and the cache; this process has not loaded it."""
    tools, kernels = toolchain.find(), Cache(settings.current().cache_dir, 2**30)
    whole = whole_text(text)
    return kernels.get(tools.key(whole), whole, tools.compile), kernels
