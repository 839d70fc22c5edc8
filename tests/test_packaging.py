"""What pyproject.toml says of the package is what lies on disk.  The slow proof, with real
installations, is tools/check_install.py (make install-check)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = {name: ROOT / folder for name, folder in SETUPTOOLS["package-dir"].items()}
IGNORED = {"__pycache__"}


def packages_on_disk() -> set[str]:
    """Every folder with an __init__.py, by the name under which it is imported."""
    return {
        ".".join((name, *init.parent.relative_to(folder).parts))
        for name, folder in FOLDERS.items()
        for init in folder.rglob("__init__.py")
    }


def data_files(folder: Path) -> set[Path]:
    """Files below a package that are not Python and not made by running it."""
    return {
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"} and not IGNORED & set(path.parts)
    }


def test_packages_are_the_folders_on_disk():
    assert set(SETUPTOOLS["packages"]) == packages_on_disk()


def test_the_four_rooms_lie_at_the_root():
    for room in ("einsum_spec", "formats", "native", "hwmodel"):
        assert FOLDERS[f"zeroskip.{room}"] == ROOT / room


def test_no_module_has_the_name_of_a_public_function():
    """Importing it would put it in the function's place."""
    import zeroskip

    modules = {path.stem for path in (ROOT / "src" / "zeroskip").glob("*") if path.stem[0] != "_"}
    modules |= {name.split(".")[1] for name in SETUPTOOLS["packages"] if "." in name}
    assert modules & set(zeroskip.__all__) == set(zeroskip._MODULES)


def test_nothing_at_the_root_shadows_the_package():
    assert not (ROOT / "zeroskip").exists()
    assert not (ROOT / "zeroskip.py").exists()


@pytest.mark.parametrize("name", FOLDERS)
def test_every_data_file_is_shipped(name):
    globs = SETUPTOOLS["package-data"].get(name, [])
    shipped = {path for pattern in globs for path in FOLDERS[name].glob(pattern)}
    assert data_files(FOLDERS[name]) - shipped == set()


def test_design_says_of_every_module_why_it_exists():
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+\.py)`", page))
    modules = {path.name for folder in FOLDERS.values() for path in folder.rglob("*.py")}
    unnamed = {name for name in modules - named if not name.startswith(("_", "emit_"))}
    assert unnamed == set()
    assert named <= modules


def test_python_files_below_a_package_belong_to_one():
    """A folder of modules without __init__.py would be left out of the wheel."""
    stray = {
        path.parent
        for folder in FOLDERS.values()
        for path in folder.rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert stray == set()


def test_one_version():
    import zeroskip

    assert zeroskip.__version__ == PROJECT["project"]["version"] == metadata.version("zeroskip")


def test_changelog_has_the_version_or_calls_it_unreleased():
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert headings[0] in {"Unreleased", PROJECT["project"]["version"]}


def test_licence_is_apache_2_in_full():
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def imported_packages() -> set[str]:
    """Top-level names that the package imports, wherever it imports them."""
    found = set()
    for path in (path for folder in FOLDERS.values() for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Import(names=names):
                    found |= {alias.name.split(".")[0] for alias in names}
                case ast.ImportFrom(module=str(module)):
                    found.add(module.split(".")[0])
    return found


DISTRIBUTION = {"_cffi_backend": "cffi", "ruamel": "ruamel.yaml", "sklearn": "scikit-learn"}
OPTIONAL = {"torch"}
"""Used where the user brought one: never imported unless already loaded."""


def test_every_import_is_declared():
    declared = set()
    for requirements in (
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
    ):
        declared |= {re.split(r"[^\w.-]", each)[0].lower() for each in requirements}
    third_party = imported_packages() - set(sys.stdlib_module_names) - {"zeroskip"} - OPTIONAL
    assert {DISTRIBUTION.get(name, name) for name in third_party} - declared == set()


def test_console_script_is_a_function():
    module, _, function = PROJECT["project"]["scripts"]["zeroskip"].partition(":")
    code = f"import {module} as m; assert callable(m.{function})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
