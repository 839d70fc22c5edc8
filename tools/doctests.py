"""Run the examples in the docstrings of the installed package and in the documentation.

``pytest --doctest-modules`` would import the mapped folders a second time under other names
(``formats.tensor`` beside ``zeroskip.formats.tensor``), and two copies of one class are not
equal; so this walks the package as it is imported.  Warnings are errors.
"""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import sys
import warnings
from pathlib import Path

from layout import ROOT, packages

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
FENCE = re.compile(r"^ *```.*$", re.MULTILINE)


def modules() -> list[str]:
    """Every module of the package, ``__main__`` excepted."""
    names = packages()
    for package in packages():
        found = pkgutil.iter_modules(importlib.import_module(package).__path__)
        names += [f"{package}.{each.name}" for each in found if each.name != "__main__"]
    return sorted(set(names))


def pages() -> list[Path]:
    """The documents whose examples must run."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def check_page(page: Path, runner: doctest.DocTestRunner) -> None:
    """Run one Markdown page as one doctest; its code fences end an example's output."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    name = str(page.relative_to(ROOT))
    test = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    runner.run(test)


def main() -> int:
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(optionflags=FLAGS)
    loaded = [importlib.import_module(name) for name in modules()]
    warnings.simplefilter("error")
    for module in loaded:
        for test in finder.find(module):
            runner.run(test)
    for page in pages():
        check_page(page, runner)
    failed, tried = runner.summarize(verbose=False)
    print(f"{tried} examples in {len(loaded)} modules and {len(pages())} pages, {failed} failed")
    return 1 if failed or not tried else 0


if __name__ == "__main__":
    sys.exit(main())
