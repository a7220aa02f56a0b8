"""Optional packages, and errors that name the extra of a missing one."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping

from pisnn_deploy.core.errors import UsageError

LAVA_DL = "lava.lib.dl"
"""The module of lava-dl."""
EXTRA_OF: Mapping[str, tuple[str, str]] = {
    "cryptography": ("cryptography", "sign"),
    "PIL": ("pillow", "report"),
    "dask": ("dask", "cluster"),
    "distributed": ("distributed", "cluster"),
    "h5netcdf": ("h5netcdf", "xarray"),
    "h5py": ("h5py", "netx"),
    "jinja2": ("jinja2", "report"),
    "lava": ("lava-nc", "lava"),
    LAVA_DL: ("lava-dl", "train"),
    "matplotlib": ("matplotlib", "report"),
    "meshio": ("meshio", "meshes"),
    "mpi4py": ("mpi4py", "mpi"),
    "nir": ("nir", "nir"),
    "llvmlite": ("llvmlite", "fast"),
    "onnx": ("onnx", "onnx"),
    "onnxruntime": ("onnxruntime", "onnx"),
    "pyarrow": ("pyarrow", "cluster"),
    "pymetis": ("pymetis", "meshes"),
    "scipy": ("scipy", "meshes"),
    "torch": ("torch", "torch"),
    "xarray": ("xarray", "xarray"),
    "zarr": ("zarr", "xarray"),
}
"""Distribution and extra of this package for each optional module."""
INTERPRETER_VARIABLE = "PISNN_LAVA_PYTHON"
"""Environment variable with the path of a Python 3.10 interpreter for Lava."""
_LAVA_PYTHON = (3, 10)
"""Only version of Python that Lava and lava-dl support."""
_OF_LAVA = ("lava", LAVA_DL)


def is_installed(module: str) -> bool:
    """Whether a module is installed, without importing it.

    Parameters
    ----------
    module : str
        Full name of the module.
    """
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of its parent package
        return False


def require(purpose: str, *modules: str) -> None:
    """Check that modules are installed.

    Parameters
    ----------
    purpose : str
        Start of the message, such as ``export --to nir``.
    *modules : str
        Keys of `EXTRA_OF`.

    Raises
    ------
    UsageError
        A module is not installed; the message names the extra that installs it.
    """
    for module in modules:
        if not is_installed(module):
            raise UsageError(f"{purpose} needs {lack_of(module)}")


def lack_of(module: str) -> str:
    """Describe a missing module and how to install it, as the end of a sentence with "needs".

    Parameters
    ----------
    module : str
        Key of `EXTRA_OF`.
    """
    package, extra = EXTRA_OF[module]
    if module in _OF_LAVA and sys.version_info[:2] != _LAVA_PYTHON:
        return f"{package}, which only runs on Python 3.10, not {python_version()}"
    return f"{package}, which is not installed: pip install 'pisnn-deploy[{extra}]'"


def lava_runs_here() -> bool:
    """Whether Lava is installed here, or the user names an interpreter for it."""
    named = bool(os.environ.get(INTERPRETER_VARIABLE))
    return named or (sys.version_info[:2] == _LAVA_PYTHON and is_installed("lava"))


def python_version() -> str:
    """Major and minor version of this interpreter, such as ``3.12``."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"
