"""Imports go one way: the table of rooms in docs/design.md, held against the code.

Every import counts, also one inside a function or under TYPE_CHECKING.  Only for the question of
what `import zeroskip` costs does the place of an import matter.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "zeroskip": "src/zeroskip",
    "zeroskip.einsum_spec": "einsum_spec",
    "zeroskip.formats": "formats",
    "zeroskip.native": "native",
    "zeroskip.hwmodel": "hwmodel",
}
ROOMS = tuple(FOLDERS)[1:]
LEAVES = ("zeroskip.errors", "zeroskip.checks", "zeroskip.records", "zeroskip.table")

MAY_IMPORT = {
    "zeroskip.errors": (),
    "zeroskip.checks": ("zeroskip.errors",),
    "zeroskip.records": (),
    "zeroskip.table": ("zeroskip.errors", "zeroskip.checks", "zeroskip.drawing"),
    "zeroskip.drawing": LEAVES,
    "zeroskip.einsum_spec": ("zeroskip.errors", "zeroskip.checks", "zeroskip.records"),
    "zeroskip.formats": LEAVES,
    "zeroskip.native": (*LEAVES, "zeroskip.einsum_spec", "zeroskip.formats"),
    "zeroskip.hwmodel": (
        *LEAVES,
        "zeroskip.einsum_spec",
        "zeroskip.formats",
        "zeroskip.native.engine",
        "zeroskip.native.filed",
        "zeroskip.native.recent",
        "zeroskip.native.routines",
    ),
}
"""Room -> prefixes of what it may import of zeroskip, beside itself."""

LAZY = {"sympy", "scipy", "rich", "pandas", "matplotlib", "ruamel", "torch", "h5py"}
"""Imported inside the functions that need them."""

EAGER = {
    ("zeroskip.einsum_spec.expression", "sympy"),
    ("zeroskip.einsum_spec.nodes", "sympy"),
}
"""Allowed at the top: only these import each other at the top, all others inside functions."""


@dataclass(frozen=True)
class Import:
    module: str  # who imports
    target: str  # what
    line: int
    at_load: bool  # runs when the module is loaded
    typing_only: bool = False  # under TYPE_CHECKING: never runs

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def sources() -> dict[str, str]:
    """Dotted module name -> its text."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join((package, *(part for part in parts if part != "__init__")))
            found[name] = path.read_text(encoding="utf-8")
    return found


def imports(module: str, text: str, known: set[str]) -> Iterator[Import]:
    """Every import in the text; ``from a import b`` is of ``a.b`` where that is a module."""

    def visit(node: ast.AST, at_load: bool, typing_only: bool) -> Iterator[Import]:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield Import(module, alias.name, node.lineno, at_load, typing_only)
            case ast.ImportFrom(module=source, names=names, level=level):
                source = "." * level + (source or "")
                for alias in names:
                    full = f"{source}.{alias.name}"
                    target = full if full in known else source
                    yield Import(module, target, node.lineno, at_load, typing_only)
            case ast.If(test=test) if "TYPE_CHECKING" in ast.unparse(test):
                for child in node.body:
                    yield from visit(child, False, True)
                for child in node.orelse:
                    yield from visit(child, at_load, typing_only)
            case _:
                inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                for child in ast.iter_child_nodes(node):
                    yield from visit(child, at_load and not inside, typing_only)

    yield from visit(ast.parse(text), True, False)


def every_import() -> list[Import]:
    texts = sources()
    return [found for name, text in texts.items() for found in imports(name, text, set(texts))]


def under(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def room_of(module: str) -> str | None:
    """The row of the table that binds a module; None for the facade, which may import all."""
    return next((room for room in MAY_IMPORT if under(module, room)), None)


def against_the_table(found: list[Import]) -> list[str]:
    wrong = []
    for each in found:
        room = room_of(each.module)
        if room is None or not under(each.target, "zeroskip"):
            continue
        allowed = (*MAY_IMPORT[room], *((room,) if room in ROOMS else ()))
        if not any(under(each.target, prefix) for prefix in allowed):
            wrong.append(str(each))
    return wrong


def too_early(found: list[Import]) -> list[str]:
    return [
        str(each)
        for each in found
        if each.at_load
        and (package := each.target.split(".")[0]) in LAZY
        and (each.module, package) not in EAGER
    ]


def cycle(found: list[Import]) -> list[str] | None:
    """Modules that import each other while they load, or None; a package is not its parts."""
    edges: dict[str, list[str]] = {}
    for each in found:
        if each.at_load and under(each.target, "zeroskip"):
            edges.setdefault(each.module, []).append(each.target)
    done: set[str] = set()

    def search(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for target in edges.get(name, ()):
            if loop := search(target, [*path, name]):
                return loop
        done.add(name)
        return None

    return next((loop for name in edges if (loop := search(name, []))), None)


def test_rooms_import_only_what_the_table_allows():
    assert against_the_table(every_import()) == []


def test_no_relative_imports():
    assert [str(each) for each in every_import() if each.target.startswith(".")] == []


def test_heavy_packages_are_imported_inside_functions():
    assert too_early(every_import()) == []


def test_who_may_import_sympy_at_the_top_is_itself_imported_late():
    eager = {module for module, _ in EAGER}
    loaders = {e.module for e in every_import() if e.target in eager and e.at_load}
    assert loaders <= eager


def test_no_module_waits_for_itself():
    assert cycle(every_import()) is None


def test_only_two_files_import_sympy_in_the_language():
    users = {
        each.module
        for each in every_import()
        if each.target.split(".")[0] == "sympy"
        and under(each.module, "zeroskip.einsum_spec")
        and not each.typing_only
    }
    assert users <= {module for module, _ in EAGER}


KNOWN = {"zeroskip.native.engine", "zeroskip.native.emit", "zeroskip.formats.tensor"}


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("zeroskip.einsum_spec.parse", "from zeroskip.formats.tensor import Tensor"),
        ("zeroskip.einsum_spec.parse", "import zeroskip.table"),
        ("zeroskip.formats.build", "def f():\n    from zeroskip.einsum_spec import tree"),
        ("zeroskip.native.emit", "from zeroskip import layer"),
        ("zeroskip.native.emit", "import zeroskip as zs"),
        ("zeroskip.hwmodel.charge", "from zeroskip.native import emit"),
        ("zeroskip.hwmodel.charge", "if TYPE_CHECKING:\n    import zeroskip.command_line.main"),
        ("zeroskip.errors", "from zeroskip.table import Table"),
        ("zeroskip.table", "def f():\n    from zeroskip.formats.tensor import Tensor"),
        ("zeroskip.drawing", "from zeroskip import layer"),
    ],
)
def test_a_wrong_import_is_seen(module, text):
    assert len(against_the_table(list(imports(module, text, KNOWN)))) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("zeroskip.hwmodel.charge", "from zeroskip.native import engine"),
        ("zeroskip.native.emit", "from zeroskip.formats.tensor import Tensor"),
        ("zeroskip.formats.build", "from zeroskip.formats.tensor import Tensor\nimport numpy"),
        ("zeroskip.command_line.main", "import zeroskip.hwmodel.charge"),
    ],
)
def test_a_right_import_is_not_reported(module, text):
    assert against_the_table(list(imports(module, text, KNOWN))) == []


@pytest.mark.parametrize(
    ("text", "early"),
    [
        ("import scipy.sparse as sp", True),
        ("class A:\n    from rich.table import Table", True),
        ("try:\n    import torch\nexcept ImportError:\n    pass", True),
        ("def f():\n    import scipy.sparse", False),
        ("if TYPE_CHECKING:\n    import sympy", False),
        ("import numpy, json", False),
    ],
)
def test_an_early_import_is_seen(text, early):
    assert bool(too_early(list(imports("zeroskip.formats.convert", text, set())))) is early


def test_a_cycle_is_seen():
    def edge(a, b, at_load=True):
        return Import(f"zeroskip.{a}", f"zeroskip.{b}", 1, at_load)

    loop = [edge("a", "b"), edge("b", "c"), edge("c", "a")]
    assert cycle(loop) == ["zeroskip.a", "zeroskip.b", "zeroskip.c", "zeroskip.a"]
    assert cycle([*loop[:2], edge("c", "a", at_load=False)]) is None


def modules_after(code: str) -> set[str]:
    """Names in sys.modules once a new interpreter has run ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "tests",
    )
    return {*done.stdout.split()}


def loaded_after(code: str) -> set[str]:
    """As `modules_after`: the top-level packages."""
    return {name.split(".")[0] for name in modules_after(code)}


def test_importing_zeroskip_costs_numpy_only():
    assert loaded_after("import zeroskip") & LAZY == set()


LINE = "O[n,m,p,q] = relu(B[m] + I[n,c,2*p+r,2*q+s]*F[m,c,r,s])"


def test_parsing_a_line_needs_no_sympy():
    code = f"from zeroskip.einsum_spec.parse import parse\nassert parse({LINE!r}).statements"
    assert loaded_after(code) & LAZY == set()


RUN = f"""
import numpy as np
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.convert import tensor
from zeroskip.native.engine import evaluate
rng = np.random.default_rng(0)
I, F, B = (rng.random(shape) for shape in ((1, 2, 6, 6), (3, 2, 3, 3), (3,)))
F = tensor(F * (F > 0.7), "m:U c*r*s:C")
O = evaluate(make_spec({LINE!r}, pad=1), {{"I": I, "F": F, "B": B}})["O"]
assert O.shape == (1, 3, 3, 3)
"""


def test_text_to_kernel_needs_no_sympy_and_no_scipy():
    assert loaded_after(RUN) & LAZY == set()


def test_a_kernel_needs_neither_the_interpreter_nor_the_reference():
    other = {f"zeroskip.native.{name}" for name in ("interpret", "machine", "reference")}
    found = modules_after(RUN)
    assert "zeroskip.native.load" in found
    assert found & other == set()


FIRST_CALLS = """
import sys
import numpy as np
import zeroskip as zs
W = zs.tensor(np.eye(4, dtype=np.float32), "CSR")
layer = zs.layer("O[m,n] = W[m,k]*X[k,n]")
X = np.ones((4, 3), np.float32)
assert layer(W=W, X=X).sum() == 12
assert layer.bind(W=W)(X).sum() == 12
print("loaded:", *sys.modules)
"""

SLOW = {"cffi", "fractions", "numpy.ma", "pycparser", "scipy", "sympy", "zipfile"}
"""What takes longer to import than a kernel from disk to run."""

COLD = {"shutil", "subprocess", "tempfile", "zeroskip.native.emit", "zeroskip.native.tuning"}
"""What only emitting, compiling or measuring kernels takes."""


def test_a_process_that_finds_its_kernels_on_disk_imports_nothing_slow(tmp_path):
    def loaded():
        done = subprocess.run(
            [sys.executable, "-c", FIRST_CALLS],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT / "tests",
            env={**os.environ, "ZEROSKIP_CACHE_DIR": str(tmp_path / "kernels")},
        )
        return set(done.stdout.partition("loaded:")[2].split())

    loaded()
    assert loaded() & (SLOW | COLD) == set()
