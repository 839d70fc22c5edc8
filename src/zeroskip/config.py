"""Settings of this process: threads, cache, compiler.

    >>> import zeroskip.config as config
    >>> with config.using(threads=1):
    ...     config.get().threads
    1

`get` tells what is in force, `set` changes it, `using` changes it for a ``with`` block, and
`reload` goes back to the environment.  The names, their environment variables and their
ranges are those of `Settings`; ``zeroskip doctor`` prints them.
"""

from __future__ import annotations

from zeroskip.native.settings import SettingError, Settings, reload, using
from zeroskip.native.settings import configure as set
from zeroskip.native.settings import current as get

__all__ = ["SettingError", "Settings", "get", "reload", "set", "using"]
