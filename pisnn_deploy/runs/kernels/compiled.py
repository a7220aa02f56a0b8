"""How kernels are compiled: ordinary functions, bound to the statements of the programs that a graph runs."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from functools import lru_cache
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

from numba import config, njit, typeof

DISABLED = "NUMBA_DISABLE_JIT"
"""Environment variable that has numba compile nothing; kernels rest on instructions that Python does not have."""


_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_INSIDE: dict[str, Any] = {**_OPTIONS, "forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Of parts of kernels, which are called by nothing else."""


def kernels_are_disabled() -> bool:
    """Whether numba was told to compile nothing."""
    return bool(config.DISABLE_JIT)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call, without the interpreter's lock, and keep it for later processes."""
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder can be written: every process compiles anew
        return njit(**_OPTIONS)(function)


def compiled_for(function: Any, *arguments: object) -> None:
    """Compile a kernel for arguments of these types, or load what an earlier process compiled, without a call.

    Parameters
    ----------
    function : callable
        Of `kernel`.
    *arguments : object
        As it will be called with.
    """
    function.compile(tuple(map(typeof, arguments)))


def part(function: Callable[..., Any]) -> Any:
    """Mark a function as part of kernels: it becomes code of each kernel that calls it."""
    function.is_part_of_kernels = True  # type: ignore[attr-defined]
    return function


@lru_cache(maxsize=64)
def bound(module: ModuleType, text: str, constants: tuple[tuple[str, int], ...] = ()) -> SimpleNamespace:
    """The kernels of a module, compiled for some programs.

    Numba keeps what it compiled beside the module, under names that have a hash of the whole source: the text of the
    programs itself is written nowhere.

    Parameters
    ----------
    module : module
        Names its kernels in ``KERNELS`` and other modules of parts in ``PARTS``; parts are marked by `part`. Kernels
        and parts may call what `text` defines.
    text : str
        Functions made of programs.
    constants : tuple of (str, int)
        Names that are compiled in.

    Returns
    -------
    SimpleNamespace
        One callable for each kernel.
    """
    modules = [module, *(sys.modules[name] for name in module.PARTS)]
    space: dict[str, Any] = {}
    for other in reversed(modules):
        space |= other.__dict__
    parts = {name: value for name, value in space.items() if getattr(value, "is_part_of_kernels", False)}
    sources = [inspect.getsource(source) for source in (sys.modules[__name__], *modules, *parts.values())]
    digest = hashlib.sha256("\0".join([*sources, text, repr(constants)]).encode()).hexdigest()[:16]
    space |= dict(constants)
    exec(compile(text, f"<programs {digest}>", "exec"), space)  # written by this package, never read from a file
    for name in [name for name, value in space.items() if getattr(value, "__globals__", None) is space]:
        space[name] = njit(**_INSIDE)(space[name])
    for name, function in parts.items():
        space[name] = njit(**_INSIDE)(_rebound(function, space, digest))
    return SimpleNamespace(**{name: kernel(_rebound(getattr(module, name), space, digest)) for name in module.KERNELS})


def _rebound(function: FunctionType, space: dict[str, Any], digest: str) -> FunctionType:
    copy = FunctionType(function.__code__, space, function.__name__)
    copy.__qualname__ = f"{function.__name__}_{digest}"
    copy.__module__ = function.__module__
    return copy
