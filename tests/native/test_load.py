import gc
import os
import shutil
import threading

import numpy as np
import pytest
from scaling import SCALE, compiled_not_loaded, needs_cc

from zeroskip.errors import CacheError, CompilerError, KernelError
from zeroskip.native import load as loading
from zeroskip.native import settings, toolchain
from zeroskip.native.abi import ffi
from zeroskip.native.cache import Cache, CachedObject
from zeroskip.native.load import load
from zeroskip.native.texts import constants, header, shared_part, whole_text

# Waits, for a bounded number of steps, until somebody else writes to buf[0].
WAIT = """#include "zs_kernel.h"
int32_t await(zs_args *args)
{
    volatile int64_t *flag = args->buf[0];
    flag[1] = 1;
    for (int64_t i = 0; i < 4000000000; i++)
        if (flag[0] != 0)
            return ZS_OK;
    return zs_fail(args, ZS_EINTERNAL, -1);
}
"""


@pytest.fixture(autouse=True)
def cache_dir(tmp_path):
    with settings.using(cache_dir=tmp_path / "cache", compiler=None):
        yield tmp_path / "cache"


@pytest.fixture
def scale():
    return load(SCALE, "scale")


def runs(kernel):
    y = np.zeros(3)
    kernel.prepare([np.array([1.0, 2.0, 3.0]), y], [3], [2.0], [10]).call()
    return y.tolist() == [12.0, 14.0, 16.0]


# ---- the call ---------------------------------------------------------------------------


@needs_cc
def test_a_kernel_reads_and_writes_arrays_and_counts(scale):
    x, y = np.array([1.0, 2.0, 3.0]), np.zeros(3)
    x.flags.writeable = False
    run = scale.prepare([x, y], [3], [2.0], [10])
    assert run.call() == 3
    assert y.tolist() == [12.0, 14.0, 16.0]
    other = np.zeros(3)
    run.set_buffers([other], first=1, writable=True)
    run.set_reals([0.5])
    run.set_wholes([-1])
    assert run.call() == 3
    assert other.tolist() == [-0.5, 0.0, 0.5]
    assert y.tolist() == [12.0, 14.0, 16.0]


@needs_cc
def test_arrays_of_no_elements_and_absent_ones(scale):
    assert scale.prepare([np.zeros(0), np.zeros((3, 0))], [0]).call() == 0
    assert scale.prepare([None, None], [0]).call() == 0


@needs_cc
def test_arrays_that_only_the_arguments_hold_stay_alive(scale):
    y = np.zeros(1000)
    run = scale.prepare([np.full(1000, 7.0), y], [1000], [1.0])
    gc.collect()
    clutter = [np.full(1000, -1.0) for _ in range(50)]
    run.call()
    assert (y == 7.0).all()
    assert len(clutter) == 50


@needs_cc
def test_the_library_stays_open_while_arguments_need_it(scale):
    run = load(SCALE, "scale", ["-DOWN"]).prepare([None, None], [0])
    loading._loaded.clear()
    gc.collect()
    assert run.call() == 0


@needs_cc
@pytest.mark.parametrize("name", sorted(loading.REASONS))
def test_a_kernel_that_fails_says_why(scale, name):
    run = scale.prepare([None, None], [0, constants()[name]])
    with pytest.raises(KernelError) as caught:
        run.call()
    assert str(caught.value) == (
        f"kernel scale failed: {name}: {loading.REASONS[name]} (at 5)\n"
        f"Its C text is {scale.key}.c in the kernel cache."
    )
    run.set_dims([0], first=1)
    assert run.call() == 0


@needs_cc
def test_an_error_code_that_nobody_knows_is_still_an_error(scale):
    with pytest.raises(KernelError, match="failed: error 77: it gave no known reason"):
        scale.prepare([None, None], [0, 77]).call()


@needs_cc
def test_a_kernel_of_another_version_refuses_the_struct(scale):
    run = scale.prepare([None, None], [0])
    run._args.version += 1
    with pytest.raises(KernelError, match="ZS_EVERSION: it was compiled for another version"):
        run.call()


def test_every_error_code_has_its_sentence():
    codes = {name: n for name, n in constants().items() if name.startswith("ZS_E")}
    assert set(codes) == set(loading.REASONS)
    assert sorted(codes.values()) == list(range(1, len(codes) + 1))
    assert constants()["ZS_OK"] == 0


def test_the_struct_is_the_one_of_the_design():
    n = constants()
    assert (n["ZS_MAX_BUFS"], n["ZS_MAX_DIMS"], n["ZS_MAX_SCALARS"]) == (96, 64, 16)
    assert ffi.sizeof("zs_args") == 72 + 8 * (96 + 64 + 16 + 16)
    assert ffi.offsetof("zs_args", "buf") == 72


def test_what_cffi_knows_of_the_struct_is_what_the_header_says():
    """Else run tools/abi.py."""
    import cffi

    parsed = cffi.FFI()
    parsed.cdef(shared_part())

    def fields(of):
        named = of.typeof("zs_args").fields
        return [(name, x.offset, x.type.cname.replace("struct ", "")) for name, x in named]

    assert fields(ffi) == fields(parsed)
    assert ffi.sizeof("zs_args") == parsed.sizeof("zs_args")
    assert {name: ffi.integer_const(name) for name in constants()} == constants()


@needs_cc
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            [np.zeros((3, 4)).T],
            r"buffer 0: expected a C-contiguous array, found shape \(4, 3\) with",
        ),
        ([None, np.zeros(6)[::2]], r"buffer 1: expected a C-contiguous array, found shape \(3,\)"),
        ([[1.0, 2.0]], "buffer 0: expected an ndarray, found list"),
        ([None] * 97, r"buffer 96: the argument struct has 96 \(ZS_MAX_BUFS\)"),
    ],
)
def test_arrays_that_cannot_be_pointed_at_are_refused(scale, arrays, message):
    with pytest.raises(KernelError, match=f"kernel scale, {message}"):
        scale.prepare(arrays)


@needs_cc
def test_a_read_only_result_is_refused(scale):
    y = np.zeros(3)
    y.flags.writeable = False
    run = scale.prepare([np.zeros(3)])
    with pytest.raises(KernelError, match="buffer 1: the kernel writes it, and this array is read"):
        run.set_buffers([y], first=1, writable=True)


@needs_cc
def test_numbers_that_do_not_fit_are_refused(scale):
    with pytest.raises(KernelError, match=r"dim\[1\] = 9223372036854775808: "):
        scale.prepare(dims=[0, 2**63])
    with pytest.raises(KernelError, match=r"whole\[0\] = 1.5: "):
        scale.prepare(wholes=[1.5])
    with pytest.raises(KernelError, match=r"dim\[60:65\] passes the argument struct, which has 64"):
        scale.prepare().set_dims([0] * 5, first=60)
    with pytest.raises(KernelError, match=r"real\[-1:0\] passes the argument struct"):
        scale.prepare().set_reals([0.0], first=-1)


@needs_cc
def test_others_run_while_a_kernel_does():
    flag = np.zeros(2, np.int64)
    failures = []

    def call():
        try:
            load(WAIT, "await").prepare([flag]).call()
        except KernelError as error:
            failures.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    while flag[1] == 0 and thread.is_alive():
        pass
    flag[0] = 1
    thread.join()
    assert failures == []


@needs_cc
def test_each_thread_may_have_arguments_of_its_own(scale):
    results = [np.zeros(500) for _ in range(8)]

    def call(i):
        run = scale.prepare([np.full(500, float(i)), results[i]], [500], [3.0])
        for _ in range(50):
            run.call()

    threads = [threading.Thread(target=call, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [set(y) for y in results] == [{3.0 * i} for i in range(8)]


@needs_cc
def test_a_call_by_itself_leaves_its_struct_to_the_next(scale):
    for y in (np.ones(3), np.ones(5)):
        scale.once([np.zeros(len(y)), y], [len(y), 0])
        assert not y.any()
        assert len(scale._idle) == 1
    with pytest.raises(KernelError, match="failed: error 77"):
        scale.once([np.zeros(3), np.ones(3)], [3, 77])
    assert scale._idle == []
    y = np.ones(3)
    scale.once([np.zeros(3), y], [3, 0])
    assert not y.any()


@needs_cc
def test_what_a_call_by_itself_refuses(scale):
    x = np.zeros(3)
    with pytest.raises(KernelError, match=r"buffer 1: expected a C-contiguous array, found shape"):
        scale.once([x, np.zeros(6)[::2]], [3, 0])
    with pytest.raises(KernelError, match="buffer 0: expected an ndarray, found list"):
        scale.once([[1.0], x], [1, 0])
    with pytest.raises(KernelError, match=r"dim\[1\] = 9223372036854775808: "):
        scale.once([x, x], [3, 2**63])
    with pytest.raises(KernelError, match=r"dim\[0:65\] passes the argument struct"):
        scale.once([x, x], [0] * 65)


@needs_cc
def test_calls_of_two_threads_have_a_struct_each():
    kernel, flags = load(WAIT, "await"), [np.zeros(2, np.int64) for _ in range(2)]
    threads = [threading.Thread(target=kernel.once, args=([flag], [0])) for flag in flags]
    for thread in threads:
        thread.start()
    while not all(flag[1] for flag in flags) and any(thread.is_alive() for thread in threads):
        pass
    for flag in flags:
        flag[0] = 1
    for thread in threads:
        thread.join()
    assert len(kernel._idle) == 2


# ---- the text ---------------------------------------------------------------------------


def test_headers_are_pasted_once():
    text = whole_text('#include "zs_kernel.h"\n#include "zs_kernel.h"\nint x;\n')
    assert text.split() == (header() + "int x;").split()
    assert text.endswith("\nint x;\n")
    assert whole_text("int x; // #include nothing\n") == "int x; // #include nothing\n"


@needs_cc
def test_a_symbol_that_the_text_lacks(cache_dir):
    with pytest.raises(KernelError, match="the C text defines no function other; it is kept in"):
        load(SCALE, "other")
    with pytest.raises(KernelError, match="'a;b' is not the name of a C function"):
        load(SCALE, "a;b")


@needs_cc
def test_a_text_that_the_compiler_refuses_is_kept(cache_dir):
    with pytest.raises(CompilerError) as caught:
        load("int32_t f(void) { return nowhere; }\n", "f")
    kept = str(caught.value).rpartition("The C text is kept in ")[2].rstrip(".")
    with open(kept) as file:
        assert file.read() == "int32_t f(void) { return nowhere; }\n"
    assert os.path.dirname(kept) == str(cache_dir)


@needs_cc
def test_a_kernel_is_loaded_once_for_each_text_and_flags(scale):
    assert load(SCALE, "scale") is scale
    assert load(SCALE, "scale", ["-DEXTRA"]) is not scale
    assert load(SCALE, "scale", ["-DEXTRA"]).key != scale.key


# ---- the object -------------------------------------------------------------------------


@needs_cc
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_object_is_built_again(share):
    found, _ = compiled_not_loaded(SCALE)
    whole = found.path.read_bytes()
    found.path.chmod(0o700)
    found.path.write_bytes(whole[: int(share * len(whole))])
    assert runs(load(SCALE, "scale"))
    assert len(found.path.read_bytes()) == len(whole)


@needs_cc
def test_an_altered_object_is_built_again_and_not_loaded():
    found, _ = compiled_not_loaded(SCALE)
    wrong, kernels = compiled_not_loaded(SCALE.replace("args->real[0] * x[i]", "-1.0 * x[i]"))
    found.path.chmod(0o700)
    shutil.copyfile(wrong.path, found.path)  # a good object, of another kernel
    assert kernels.find(found.key) is None
    assert runs(load(SCALE, "scale"))


@needs_cc
def test_what_is_whole_but_no_object_is_an_error(cache_dir):
    tools, kernels = toolchain.find(), Cache(settings.current().cache_dir, 2**30)
    text = whole_text(SCALE)
    kernels.build(tools.key(text), text, lambda source, target: target.write_bytes(b"no ELF"))
    with pytest.raises(CacheError, match=r"the kernel .*\.so cannot be loaded: "):
        load(SCALE, "scale")


@needs_cc
def test_noexec_is_named(monkeypatch, cache_dir):
    class Refusing:
        @staticmethod
        def load_library(path, flags):
            raise OSError(f"{path}: failed to map segment from shared object")

    monkeypatch.setattr(loading, "_cffi_backend", Refusing)
    monkeypatch.setattr(loading, "refuses_to_execute", lambda directory: directory == cache_dir)
    with pytest.raises(CacheError) as caught:
        load(SCALE, "scale")
    assert str(caught.value) == (
        f"the kernel cache {cache_dir} is on a file system mounted noexec, from which no code may"
        " be loaded\nSet ZEROSKIP_CACHE_DIR to a directory elsewhere that only this user may write"
        " to."
    )


@needs_cc
def test_an_object_that_is_replaced_meanwhile_is_checked_again(monkeypatch):
    answers = iter([False, False, True])
    monkeypatch.setattr(CachedObject, "is_same_file", lambda self: next(answers))
    assert runs(load(SCALE, "scale"))
    monkeypatch.setattr(CachedObject, "is_same_file", lambda self: False)
    with pytest.raises(CacheError, match="was replaced or removed 5 times while it was loaded"):
        load(SCALE, "scale", ["-DAGAIN"])
