"""Install zeroskip in every way into fresh environments, and use it there.

    pip install -e .     pip install .     the wheel     the sdist
    the wheel where no C compiler is found, then with ziglang in its place

The wheel is built from the sdist, so that the sdist is known to be whole.  Works on a copy of the
files that git tracks: what is missing from the repository is missing here.  Needs PyPI (or an
index that pip is configured for).  ``--keep DIR`` leaves everything there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from pathlib import Path

from layout import ROOT, package_folders, packages, project

QUIET = ("--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")

USE = """
import importlib, importlib.metadata, sys
for name in {packages!r}:
    importlib.import_module(name)
import zeroskip
assert zeroskip.__version__ == importlib.metadata.version("zeroskip") == {version!r}
import numpy as np
y = zeroskip.einsum("y[i] = A[i,j]*x[j]", A=np.eye(3), x=np.arange(3.0))
assert y.tolist() == [0.0, 1.0, 2.0], y
print(zeroskip.__file__)
"""

COUNT = """
import os, warnings
import numpy as np, zeroskip
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for _ in range(2):
        y = zeroskip.einsum("y[i] = A[i,j]*x[j]", A=np.eye(3), x=np.arange(3.0))
assert y.tolist() == [0.0, 1.0, 2.0], y
cache = os.environ["ZEROSKIP_CACHE_DIR"]
objects = [name for name in (os.listdir(cache) if os.path.isdir(cache) else []) if ".so" in name]
print(len(said), len(objects))
for each in said:
    print(each.message)
"""
"""Says how many warnings there were, and how many kernels were compiled."""


class Failed(Exception):
    """A step that did not work, with what it printed."""


OURS = ("PYTHON", "VIRTUAL_ENV", "ZEROSKIP_", "CC")


def run(*command: object, cwd: Path, path: Path | None = None) -> str:
    """Run one command, with kernels in ``cwd`` and, if given, another PATH; or raise `Failed`."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    env["ZEROSKIP_CACHE_DIR"] = str(cwd / "kernels")
    if path is not None:
        env["PATH"] = str(path)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(f"$ {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def copy_of_tracked_files(folder: Path) -> None:
    """The files that git tracks, as they are now."""
    listed = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes((ROOT / name).read_bytes())


def expected_in_wheel(source: Path) -> set[str]:
    """Every module and data file of the package, by its path in the wheel."""
    found = set()
    for name, folder in package_folders().items():
        there = source / folder.relative_to(ROOT)
        for path in there.rglob("*"):
            if path.is_file():
                found.add("/".join((*name.split("."), *path.relative_to(there).parts)))
    return found


def check_archives(source: Path, sdist: Path, wheel: Path) -> None:
    """The sdist has every tracked file of the package; the wheel has them, and nothing else."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in (*package_folders().values(), ROOT / "tests", ROOT / "examples", ROOT / "tools"):
        there = source / folder.relative_to(ROOT)
        files = {str(p.relative_to(source)) for p in there.rglob("*") if p.is_file()}
        if files - names:
            raise Failed(f"not in {sdist.name}: {sorted(files - names)}")
    with zipfile.ZipFile(wheel) as opened:
        packed = {name for name in opened.namelist() if ".dist-info/" not in name}
    if packed != expected_in_wheel(source):
        raise Failed(f"{wheel.name} differs in {sorted(packed ^ expected_in_wheel(source))}")


def check_way(what: str, arguments: tuple[object, ...], folder: Path) -> None:
    """Install into a new environment in ``folder`` and use the package there."""
    started = time.perf_counter()
    folder.mkdir()
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", *QUIET, *arguments, cwd=folder)
    code = USE.format(packages=packages(), version=project()["project"]["version"])
    where = run(python, "-c", code, cwd=folder).strip()
    run(folder / "env" / "bin" / "zeroskip", "--help", cwd=folder)
    run(python, "-m", "pip", "check", "--disable-pip-version-check", cwd=folder)
    seconds = time.perf_counter() - started
    print(f"  {what:16} works ({seconds:.0f} s): {Path(where).relative_to(folder.parent)}")


def check_compilers(wheel: Path, folder: Path) -> None:
    """Without a C compiler: right results and one message.  With ziglang: kernels again."""
    folder.mkdir()
    nowhere = folder / "empty"
    nowhere.mkdir()
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    for extra, said, built in (("", 1, 0), ("[cc]", 0, 1)):
        run(python, "-m", "pip", "install", *QUIET, f"{wheel}{extra}", cwd=folder)
        counts, *messages = run(python, "-c", COUNT, cwd=folder, path=nowhere).splitlines()
        what = "with ziglang" if extra else "no C compiler"
        if counts != f"{said} {built}":
            raise Failed(
                f"{what}: expected {said} warnings and {built} kernels, found {counts}\n"
                + "\n".join(messages)
            )
        print(f"  {what:16} works: {messages[0] if messages else 'no message, one kernel'}")


def check_all(work: Path) -> None:
    source = work / "source"
    copy_of_tracked_files(source)
    print("build sdist, and the wheel from it")
    run(sys.executable, "-m", "build", "--outdir", work / "dist", source, cwd=work)
    (sdist,) = (work / "dist").glob("*.tar.gz")
    (wheel,) = (work / "dist").glob("*.whl")
    check_archives(source, sdist, wheel)
    print(f"  {sdist.name} and {wheel.name} are complete")
    check_way("wheel", (wheel,), work / "wheel")
    check_way("sdist", (sdist,), work / "sdist")
    check_way("pip install .", (source,), work / "plain")
    check_way("pip install -e .", ("-e", source), work / "editable")
    check_compilers(wheel, work / "compilers")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work here and leave it")
    keep: Path | None = parser.parse_args().keep
    try:
        if keep is not None:
            keep.mkdir(parents=True)
            check_all(keep.resolve())
        else:
            with tempfile.TemporaryDirectory(prefix="zeroskip-install-") as folder:
                check_all(Path(folder).resolve())
    except Failed as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
