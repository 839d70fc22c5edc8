import errno
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zeroskip.errors import CacheError, CompilerError
from zeroskip.native import cache, filed, settings
from zeroskip.native.cache import Cache, is_whole, key_of, own_directory

KEY = key_of("a kernel")
OTHER = key_of("another kernel")
posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners and modes are POSIX")


class FakeCompiler:
    """Leaves known bytes; counts how often it was asked."""

    def __init__(self, body: bytes = b"\x7fELF object of a kernel " * 40) -> None:
        self.body = body
        self.calls: list[Path] = []

    def __call__(self, source: Path, target: Path) -> None:
        self.calls.append(source)
        assert source.read_text(encoding="utf-8") == "int x;\n"
        target.write_bytes(self.body)


@pytest.fixture
def kernels(tmp_path):
    return Cache(tmp_path / "cache", 2**20)


def test_an_object_is_built_once_and_kept_with_its_text(kernels):
    compiler = FakeCompiler()
    first = kernels.get(KEY, "int x;\n", compiler)
    again = kernels.get(KEY, "int x;\n", compiler)
    assert first == again
    assert len(compiler.calls) == 1
    assert first.path == kernels.object_path(KEY)
    assert first.is_same_file()
    assert first.path.read_bytes().startswith(compiler.body)
    assert kernels.source_path(KEY).read_text() == "int x;\n"
    assert sorted(os.listdir(kernels.directory)) == [f"{KEY}.c", f"{KEY}.so"]


@posix
def test_directory_and_files_are_the_users_own(kernels):
    built = kernels.get(KEY, "int x;\n", FakeCompiler())
    assert kernels.directory.stat().st_mode & 0o777 == 0o700
    assert built.path.stat().st_mode & 0o777 == 0o500


def truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


DAMAGE = {
    "truncated": truncate,
    "empty": lambda data: b"",
    "shorter than a trailer": lambda data: data[-10:],
    "a bit flipped": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "a bit of the digest flipped": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "without its trailer": lambda data: data[: -cache.TRAILER_BYTES],
    "something appended": lambda data: data + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_object_is_not_found_but_built_again(kernels, damage):
    compiler = FakeCompiler()
    path = kernels.get(KEY, "int x;\n", compiler).path
    whole = path.read_bytes()
    path.chmod(0o700)
    path.write_bytes(DAMAGE[damage](whole))
    assert kernels.find(KEY) is None
    assert kernels.get(KEY, "int x;\n", compiler).path == path
    assert len(compiler.calls) == 2
    assert path.read_bytes() == whole


def test_an_object_under_another_name_is_not_that_kernel(kernels):
    path = kernels.get(KEY, "int x;\n", FakeCompiler()).path
    shutil.copy(path, kernels.object_path(OTHER))
    assert is_whole(KEY, path.read_bytes())
    assert kernels.find(OTHER) is None


def test_a_link_is_not_followed_and_a_folder_is_no_object(kernels, tmp_path):
    path = kernels.get(KEY, "int x;\n", FakeCompiler()).path
    os.rename(path, tmp_path / "elsewhere.so")
    os.symlink(tmp_path / "elsewhere.so", path)
    assert kernels.find(KEY) is None
    os.mkdir(kernels.object_path(OTHER))
    assert kernels.find(OTHER) is None


def test_a_replaced_object_is_noticed(kernels):
    built = kernels.get(KEY, "int x;\n", FakeCompiler())
    kernels.build(KEY, "int x;\n", FakeCompiler(b"other"))
    assert not built.is_same_file()
    kernels.remove(KEY)
    assert not built.is_same_file()


def test_a_refused_text_stays_to_be_read_and_nothing_else(kernels):
    def refusing(source, target):
        raise CompilerError(f"refused {source.name}")

    with pytest.raises(CompilerError, match=f"refused {KEY}"):
        kernels.get(KEY, "int x;\n", refusing)
    assert os.listdir(kernels.directory) == [f"{KEY}.c"]


def test_an_interrupted_build_leaves_no_folder(kernels):
    def interrupted(source, target):
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kernels.get(KEY, "int x;\n", interrupted)
    assert os.listdir(kernels.directory) == [f"{KEY}.c"]
    assert kernels.find(KEY) is None


def test_keys_differ_where_any_part_or_its_end_does(monkeypatch):
    keys = {key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of("abc", "")}
    assert len(keys) == 4
    before = key_of("abc")
    monkeypatch.setattr(cache, "RUNTIME_VERSION", "other")
    assert key_of("abc") != before


# ---- whose directory --------------------------------------------------------------------


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_directory_that_others_write_to_is_refused(tmp_path, mode):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    with pytest.raises(CacheError) as caught:
        own_directory(shared)
    assert str(caught.value) == (
        f"the kernel cache {shared} may be written to by other users (mode {mode:04o}): its"
        f" kernels are not loaded\nRun  chmod 700 {shared}  if nobody else has used it,"
        " or set ZEROSKIP_CACHE_DIR to a directory of your own."
    )


@posix
def test_a_directory_of_another_user_is_refused(tmp_path, monkeypatch):
    own_directory(tmp_path / "mine")
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(CacheError) as caught:
        own_directory(tmp_path / "mine")
    assert f"belongs to user {owner}, and this process runs as user {owner + 1}" in str(
        caught.value
    )
    assert "Set ZEROSKIP_CACHE_DIR to a directory that only this user may write to." in str(
        caught.value
    )


@posix
def test_others_may_read(tmp_path):
    (tmp_path / "readable").mkdir(mode=0o755)
    assert own_directory(tmp_path / "readable") == tmp_path / "readable"


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match=re.escape(f"{tmp_path / 'file'} is not a directory")):
        own_directory(tmp_path / "file")
    with pytest.raises(CacheError, match="cannot create the kernel cache"):
        own_directory(tmp_path / "file" / "below")


# ---- disks ------------------------------------------------------------------------------

REASONS = [
    (errno.ENOSPC, "its disk is full, or its quota is used up\nFree some space, or set"),
    (errno.EDQUOT, "its disk is full, or its quota is used up\nFree some space, or set"),
    (errno.EROFS, "its file system is read-only\nSet"),
    (errno.EACCES, "permission denied: it is read-only for this user\nSet"),
    (errno.EIO, os.strerror(errno.EIO) + "\nSet"),
]


@pytest.mark.parametrize(("number", "why"), REASONS)
@pytest.mark.parametrize("failing", ["mkdir", "replace", "fsync"])
def test_a_disk_that_refuses_is_named_with_the_reason(kernels, monkeypatch, failing, number, why):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, failing, refuse)
    with pytest.raises(CacheError) as caught:
        kernels.get(KEY, "int x;\n", FakeCompiler())
    assert str(caught.value) == (
        f"cannot write to the kernel cache {kernels.directory}: {why} ZEROSKIP_CACHE_DIR to a"
        " directory that only this user may write to."
    )
    assert not list(kernels.directory.glob("build-*"))


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_directory_still_serves(kernels):
    built = kernels.get(KEY, "int x;\n", FakeCompiler())
    kernels.directory.chmod(0o500)
    try:
        assert kernels.get(KEY, "int x;\n", FakeCompiler()) == built
        with pytest.raises(CacheError, match="it is read-only for this user"):
            kernels.get(OTHER, "int x;\n", FakeCompiler())
    finally:
        kernels.directory.chmod(0o700)


def test_a_read_only_disk_still_serves_what_is_old_enough_to_be_touched(kernels, monkeypatch):
    built = kernels.get(KEY, "int x;\n", FakeCompiler())
    os.utime(built.path, (0, 0))

    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "utime", refuse)
    assert kernels.find(KEY) == built


def test_a_compiler_that_finds_the_disk_full_is_a_full_disk(kernels):
    def full(source, target):
        raise CompilerError(f"as: {target}: {os.strerror(errno.ENOSPC)}")

    with pytest.raises(CacheError, match="its disk is full"):
        kernels.get(KEY, "int x;\n", full)


def test_noexec_is_read_from_the_file_system(tmp_path, monkeypatch):
    class Flags:
        f_flag = os.ST_NOEXEC

    assert not cache.refuses_to_execute(tmp_path / "absent")
    monkeypatch.setattr(os, "statvfs", lambda _: Flags)
    assert cache.refuses_to_execute(tmp_path)


# ---- the cap ----------------------------------------------------------------------------


def fill(kernels: Cache, n: int, size: int) -> list[str]:
    """``n`` kernels of about ``size`` bytes, last used one hour apart, the first longest ago."""
    keys = [key_of("fill", str(i)) for i in range(n)]
    for i, key in enumerate(keys):
        kernels.build(key, "int x;\n", FakeCompiler(bytes(size)))
        used = time.time() - 3600 * (n - i)
        os.utime(kernels.object_path(key), (used, used))
        os.utime(kernels.source_path(key), (used, used))
    return keys


def test_trimming_removes_the_least_recently_used(tmp_path):
    kernels = Cache(tmp_path, 2**40)
    keys = fill(kernels, 10, 1000)
    kernels.cap_bytes = 5500
    kernels.find(keys[0])  # just used
    removed = kernels.trim()
    left = [key for key in keys if kernels.object_path(key).exists()]
    assert left == [keys[0], *keys[-(len(left) - 1) :]]
    assert removed == 10 - len(left)
    total = sum(place.stat().st_size for place in tmp_path.iterdir())
    assert total <= cache.TRIM_TO * 5500
    assert total + 1100 > cache.TRIM_TO * 5500
    assert {place.stem for place in tmp_path.iterdir()} == set(left)


def test_trimming_keeps_what_it_is_told_and_leaves_a_small_cache_alone(tmp_path):
    kernels = Cache(tmp_path, 2**40)
    keys = fill(kernels, 3, 1000)
    assert kernels.trim() == 0
    kernels.cap_bytes = 1
    assert kernels.trim(keep=keys[0]) == 2
    assert kernels.find(keys[0]) is not None


def test_trimming_counts_and_removes_what_other_rooms_keep(tmp_path):
    with settings.using(cache_dir=tmp_path):
        filed.remember(bytes(3000), "kind", "old")
        filed.remember(bytes(3000), "kind", "used")
        for place in tmp_path.glob("kind-*.bin"):
            os.utime(place, (0, 0))
        assert filed.recall("kind", "used") == bytes(3000)
        kernels = Cache(tmp_path, 5000)
        assert kernels.trim() == 1
        assert filed.recall("kind", "old") is None
        assert filed.recall("kind", "used") == bytes(3000)


def test_trimming_runs_by_itself(tmp_path):
    kernels = Cache(tmp_path, 3000)
    for i in range(200):
        kernels.build(key_of(str(i)), "int x;\n", FakeCompiler(bytes(1000)))
    assert len(kernels.entries()) < 100


def test_folders_of_builds_that_died_are_removed_in_time(kernels):
    old, new = kernels.directory / "build-old", kernels.directory / "build-new"
    for place in (old, new):
        place.mkdir()
        (place / "half.so").write_bytes(b"half")
    os.utime(old, (0, 0))
    kernels.trim()
    assert not old.exists()
    assert new.exists()


# ---- several processes ------------------------------------------------------------------

MANY = """
import sys, time
from pathlib import Path
from zeroskip.native.cache import Cache, key_of

def compiler(source, target):
    time.sleep(0.02)
    target.write_bytes(sys.argv[2].encode() * 5000)   # no two builds are alike

kernels = Cache(Path(sys.argv[1]), 2**30)
sys.stdin.readline()
for i in range(8):
    found = kernels.get(key_of(str(i)), "int x;", compiler)
    assert kernels.find(key_of(str(i))) is not None
print("good")
"""


def test_ten_processes_at_once_on_an_empty_cache(tmp_path):
    directory = tmp_path / "a" / "cache"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(directory), str(i)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(10)
    ]
    answers = [None] * 10
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    for i, process in enumerate(started):
        out, told = process.communicate(timeout=120)
        answers[i] = (process.returncode, out, told)
    assert answers == [(0, "good\n", "")] * 10
    kernels = Cache(directory, 2**30)
    for i in range(8):
        assert kernels.find(key_of(str(i))) is not None
    assert len(os.listdir(directory)) == 16


def test_what_killed_processes_left_is_removed_when_it_is_old(tmp_path):
    kernels = cache.Cache(tmp_path / "cache", 2**20)
    old, new = (kernels.directory / f".kernel-1.bin.{name}.tmp" for name in ("old", "new"))
    long_ago = time.time() - 2 * cache.STALE_SECONDS
    for path in (old, new):
        path.write_bytes(b"half")
    aside = tmp_path / "aside"
    aside.write_text("of somebody")
    link = kernels.directory / "link.tmp"
    link.symlink_to(aside)
    os.utime(old, (long_ago, long_ago))
    os.utime(link, (long_ago, long_ago), follow_symlinks=False)
    kernels.trim()
    assert not old.exists()
    assert not link.is_symlink()
    assert new.exists()
    assert aside.exists()


def test_tuned_schedules_count_and_the_compiler_that_was_asked_stays(tmp_path):
    kernels = cache.Cache(tmp_path / "cache", 1000)
    for number in range(4):
        path = kernels.directory / f"tuned-{number}.json"
        path.write_bytes(bytes(400))
        os.utime(path, (1000 + number, 1000 + number))
    asked = kernels.directory / "toolchain-1.json"
    asked.write_bytes(bytes(4000))
    assert kernels.trim() == 2
    left = {path.name for path in kernels.directory.iterdir()}
    assert left == {"tuned-2.json", "tuned-3.json", "toolchain-1.json"}
