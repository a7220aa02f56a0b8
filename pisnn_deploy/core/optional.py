"""Lava, lava-dl and torch are guests: they run on fewer Pythons than the rest, and may be missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pisnn_deploy.core.errors import UsageError

_GUESTS = ("lava", "torch")


@contextmanager
def guests(purpose: str) -> Iterator[None]:
    """Import torch or Lava in here: if one is missing, say what needs it and where it runs.

    Parameters
    ----------
    purpose : str
        Begins the message, such as ``train``.

    Raises
    ------
    UsageError
        Torch, lava-nc or lava-dl is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _GUESTS:
            raise
        raise UsageError(
            f"{purpose}: needs lava-dl and its torch, which are not installed on this Python {python_version()}; they "
            "run on Python 3.10 alone: call pisnn-deploy from there"
        ) from error


def python_version() -> str:
    """Major and minor version of this interpreter, such as ``3.12``."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"
