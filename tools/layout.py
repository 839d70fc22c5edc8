"""Where the package's folders lie: pyproject.toml read once, for every tool that needs it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def project() -> dict[str, Any]:
    """pyproject.toml as a dictionary."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def packages() -> list[str]:
    """Dotted name of every package of the distribution."""
    names: list[str] = project()["tool"]["setuptools"]["packages"]
    return names


def package_folders() -> dict[str, Path]:
    """Dotted name of each package that is not where its parent is -> its folder."""
    table: dict[str, str] = project()["tool"]["setuptools"]["package-dir"]
    return {name: ROOT / folder for name, folder in table.items()}
