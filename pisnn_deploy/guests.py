"""Lava, lava-dl and torch are guests: they run on fewer Pythons than the rest, and may be missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pisnn_deploy.errors import UsageError

_OF_LAVA = ("lava",)
_OF_TORCH = ("torch",)


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
        name = (error.name or "").partition(".")[0]
        if name in _OF_LAVA:
            raise UsageError(
                f"{purpose}: needs lava-dl, which is not installed on this Python {python_version()}; it runs on "
                "Python 3.10 alone: call pisnn-deploy from there"
            ) from error
        if name in _OF_TORCH:
            raise UsageError(
                f"{purpose}: needs torch, which is not installed on this Python {python_version()}; pip install torch"
            ) from error
        raise


def python_version() -> str:
    """Major and minor version of this interpreter, such as ``3.12``."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"
