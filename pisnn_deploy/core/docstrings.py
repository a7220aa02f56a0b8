"""Read docstrings at run time, even if the interpreter drops them (``python -OO``)."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any


def docstring(documented: Callable[..., Any]) -> str:
    """Docstring of a function or class, without indentation; empty if there is none."""
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
