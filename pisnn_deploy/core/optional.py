"""Packages that may be missing: each comes with an extra, and one line says with which."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping

from pisnn_deploy.core.errors import UsageError

LAVA_DL = "lava.lib.dl"
"""The module of lava-dl."""
EXTRA_OF: Mapping[str, tuple[str, str]] = {
    "cryptography": ("cryptography", "cluster"),
    "dask": ("dask", "cluster"),
    "distributed": ("distributed", "cluster"),
    "h5py": ("h5py", "netx"),
    "jinja2": ("jinja2", "report"),
    "lava": ("lava-nc", "lava"),
    LAVA_DL: ("lava-dl", "train"),
    "matplotlib": ("matplotlib", "report"),
    "meshio": ("meshio", "meshes"),
    "nir": ("nir", "nir"),
    "numba": ("numba", "fast"),
    "onnx": ("onnx", "onnx"),
    "onnxruntime": ("onnxruntime", "onnx"),
    "pyarrow": ("pyarrow", "cluster"),
    "pymetis": ("pymetis", "meshes"),
    "torch": ("torch", "torch"),
    "xarray": ("xarray", "xarray"),
}
"""By module: the distribution that has it, and the extra of this package that installs it."""
INTERPRETER_VARIABLE = "PISNN_LAVA_PYTHON"
"""Environment variable that names the Python 3.10 interpreter that runs Lava."""
_LAVA_PYTHON = (3, 10)
"""The only version that Lava and lava-dl run on."""
_OF_LAVA = ("lava", LAVA_DL)


def is_installed(module: str) -> bool:
    """Whether a module can be found; it is not imported.

    Parameters
    ----------
    module : str
        With dots where it is part of another.
    """
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # what it is part of
        return False


def require(purpose: str, *modules: str) -> None:
    """Refuse to begin where a module is missing.

    Parameters
    ----------
    purpose : str
        Begins the message, such as ``export --to nir``.
    *modules : str
        Of `EXTRA_OF`.

    Raises
    ------
    UsageError
        One is not installed; the message names the extra that has it.
    """
    for module in modules:
        if not is_installed(module):
            raise UsageError(f"{purpose} needs {lack_of(module)}")


def lack_of(module: str) -> str:
    """What is missing and how to get it, to follow "needs".

    Parameters
    ----------
    module : str
        Of `EXTRA_OF`.
    """
    package, extra = EXTRA_OF[module]
    if module in _OF_LAVA and sys.version_info[:2] != _LAVA_PYTHON:
        return f"{package}, which runs on Python 3.10 alone; this is {python_version()}"
    return f"{package}, which is not installed: pip install 'pisnn-deploy[{extra}]'"


def lava_runs_here() -> bool:
    """Whether this interpreter has Lava, or the user names one that may have it."""
    named = bool(os.environ.get(INTERPRETER_VARIABLE))
    return named or (sys.version_info[:2] == _LAVA_PYTHON and is_installed("lava"))


def python_version() -> str:
    """Major and minor version of this interpreter, such as ``3.12``."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"
