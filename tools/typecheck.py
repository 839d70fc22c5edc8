"""Run ``mypy --strict`` over the package, the tools and the examples.

The sub-packages lie at the root of the repository and are mapped into ``zeroskip`` by
pyproject.toml.  An editable install does that with an import hook, which type checkers do
not follow; so this makes a tree of links in the shape of the installed package,

    .typecheck/zeroskip/__init__.py -> src/zeroskip/__init__.py
    .typecheck/zeroskip/formats     -> formats

and points mypy at it.  Messages name the real files.  Arguments go on to mypy.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from layout import ROOT, package_folders

TREE = ROOT / ".typecheck"
SCRIPTS = ("tools", "benchmarks", "examples/digits", "examples/demo.py")


def link_tree() -> dict[str, str]:
    """Bring the tree up to date; return path in the tree -> path in the repository, inner first."""
    links: dict[Path, Path] = {}
    real: dict[str, str] = {}
    for name, folder in package_folders().items():
        place = TREE.joinpath(*name.split("."))
        real[str(place.relative_to(ROOT))] = str(folder.relative_to(ROOT))
        if "." in name:
            links[place] = folder
        else:
            place.mkdir(parents=True, exist_ok=True)
            entries = (entry for entry in folder.iterdir() if entry.name != "__pycache__")
            links.update({place / entry.name: entry for entry in entries})
    for place in TREE.glob("*/*"):
        if place not in links or place.resolve() != links[place].resolve():
            place.unlink()
    for place, target in links.items():
        if not place.is_symlink():
            place.symlink_to(os.path.relpath(target, place.parent))
    return dict(sorted(real.items(), key=lambda item: -len(item[0])))


def main(arguments: list[str]) -> int:
    real = link_tree()
    scripts = [s for s in SCRIPTS if any((ROOT / s).glob("*.py")) or (ROOT / s).is_file()]
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--no-color-output"]
    done = subprocess.run(
        [*command, *arguments, str((TREE / "zeroskip").relative_to(ROOT)), *scripts],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": f"{TREE}:{ROOT / 'tools'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    text = done.stdout + done.stderr
    for link, folder in real.items():
        text = text.replace(link + os.sep, folder + os.sep)
    sys.stdout.write(text)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
