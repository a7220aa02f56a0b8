"""Docstrings that are read at run time, also where the interpreter was told to drop them (``python -OO``)."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any


def docstring(documented: Callable[..., Any]) -> str:
    """Docstring of a function or class.

    Returns
    -------
    str
        Without the indentation of its lines; empty if there is none.
    """
    if documented.__doc__ is not None:
        return inspect.cleandoc(documented.__doc__)
    try:
        source = inspect.getsource(documented)
    except OSError:  # the sources were not installed
        return ""
    (definition,) = ast.parse(textwrap.dedent(source)).body
    if not isinstance(definition, ast.FunctionDef | ast.ClassDef):
        return ""
    return ast.get_docstring(definition) or ""
