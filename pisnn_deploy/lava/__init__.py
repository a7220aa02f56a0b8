"""Lava: the backend, its worker and the processes; and what Lava programs of users need.

`CLIFNetwork` is an artifact as one process with ports, `Session` runs programs with it, and `CLIF` is its core.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pisnn_deploy.lava.processes.clif.process import CLIF
    from pisnn_deploy.lava.processes.whole.process import CLIFNetwork
    from pisnn_deploy.lava.session import Session

__all__ = ["CLIF", "CLIFNetwork", "Session"]
_MODULES = {
    "CLIF": "pisnn_deploy.lava.processes.clif.process",
    "CLIFNetwork": "pisnn_deploy.lava.processes.whole.process",
    "Session": "pisnn_deploy.lava.session",
}


def __getattr__(name: str) -> Any:
    """Import Lava only for those who use it: the backend's module must load without."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pisnn_deploy.core.optional import require

    require(f"pisnn_deploy.lava.{name}", "lava")
    return getattr(importlib.import_module(_MODULES[name]), name)
