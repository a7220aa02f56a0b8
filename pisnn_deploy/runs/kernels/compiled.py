"""How kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import config, njit

DISABLED = "NUMBA_DISABLE_JIT"
"""Environment variable that has numba compile nothing; kernels rest on instructions that Python does not have."""


def kernels_are_disabled() -> bool:
    """Whether numba was told to compile nothing."""
    return bool(config.DISABLE_JIT)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call, without the interpreter's lock, and keep it for later processes.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written: every process compiles anew
        return njit(**options)(function)
