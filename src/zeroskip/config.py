"""Settings of this process: threads, cache, compiler.

    >>> import zeroskip.config as config
    >>> with config.using(threads=1):
    ...     config.get().threads
    1

`get` tells what is in force, `set` changes it, `using` changes it for a ``with`` block, and
`reload` goes back to the environment.  ``config.threads`` reads one setting, and
``config.threads = 1`` changes it, as `set` does.  The names, their environment variables and their
ranges are those of `Settings`; ``zeroskip doctor`` prints them.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from zeroskip.native.settings import SettingError, Settings, reload, using
from zeroskip.native.settings import configure as set
from zeroskip.native.settings import current as get

__all__ = ["SettingError", "Settings", "get", "reload", "set", "using"]


class _Config(ModuleType):
    """This module, with every setting as an attribute; a name that is none is refused, as it would
    be set without effect."""

    def __getattr__(self, name: str) -> Any:
        if name in Settings.__dataclass_fields__:
            return getattr(get(), name)
        raise AttributeError(f"zeroskip.config has no {name!r}: {_expected()}")

    def __setattr__(self, name: str, value: object) -> None:
        if name in Settings.__dataclass_fields__:
            set(**{name: value})
        elif name in vars(self) or name.startswith("_"):
            super().__setattr__(name, value)
        else:
            raise AttributeError(f"zeroskip.config has no setting {name!r}: {_expected()}")

    def __delattr__(self, name: str) -> None:
        if name in Settings.__dataclass_fields__:
            raise AttributeError(
                f"zeroskip.config.{name} cannot be deleted: reload() goes back to the environment, "
                "and using() changes a setting for a while"
            )
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *Settings.__dataclass_fields__])


def _expected() -> str:
    return f"expected one of {', '.join(Settings.__dataclass_fields__)}"


sys.modules[__name__].__class__ = _Config
