"""Packages that may be missing: Lava and lava-dl run on fewer Pythons than the rest, and torch is large."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pisnn_deploy.core.errors import UsageError

Package = Literal["lava-dl", "torch"]

_LACKS: dict[Package, tuple[tuple[str, ...], str]] = {
    "lava-dl": (
        ("lava", "torch"),
        "needs lava-dl and its torch, which are not installed on this Python {version}; they run on Python 3.10 alone: "
        "call pisnn-deploy from there",
    ),
    "torch": (("torch",), "needs torch, which is not installed on this Python {version}: pip install torch"),
}
"""Modules that a package brings, and what is said where one of them is missing."""


@contextmanager
def needing(package: Package, purpose: str) -> Iterator[None]:
    """Context for importing a package: if it is missing, the error says what needs it and where it runs.

    Parameters
    ----------
    package : str
        ``lava-dl`` or ``torch``.
    purpose : str
        Begins the message, such as ``train``.

    Raises
    ------
    UsageError
        A module of the package is not installed.
    """
    modules, lack = _LACKS[package]
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in modules:
            raise
        raise UsageError(f"{purpose}: {lack.format(version=python_version())}") from error


def python_version() -> str:
    """Major and minor version of this interpreter, such as ``3.12``."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"
