"""Kernels that Python runs as they stand, so that tests of many programs need no compilation."""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np


class _Numpy:
    """Numpy whose positions are Python integers, because it adds signed and unsigned ones in floating point."""

    uint64 = int

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def interpreted(module: ModuleType, text: str, constants: tuple[tuple[str, int], ...] = ()) -> SimpleNamespace:
    """As `pisnn_deploy.runs.kernels.compiled.bound`, without numba.

    Parameters
    ----------
    module : module
        Module of kernels.
    text : str
        Generated functions.
    constants : tuple of (str, int)
        Constants by name.
    """
    space: dict[str, Any] = {}
    for other in (*(sys.modules[name] for name in reversed(module.PARTS)), module):
        space |= other.__dict__
    space |= {"np": _Numpy(), **dict(constants)}
    exec(compile(text, "<programs>", "exec"), space)
    for name, value in [*space.items()]:
        if isinstance(value, FunctionType) and getattr(value, "is_part_of_kernels", False):
            space[name] = _in(value, space)
    return SimpleNamespace(**{name: _in(getattr(module, name), space) for name in module.KERNELS})


def _in(function: FunctionType, space: dict[str, Any]) -> FunctionType:
    return FunctionType(function.__code__, space, function.__name__)
