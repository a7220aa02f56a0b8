"""Keep a process from using anything in the current folder: modules, settings of libraries, programs.

Commands run in untrusted folders: a clone, an unpacked archive, a shared disk. Some libraries always look for settings
there (matplotlib, setuptools), and an interpreter started with ``-c``, as multiprocessing does, looks for
modules there. A test lists everything else that commands look for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NEUTRAL = os.path.dirname(os.__file__)
"""Folder in which child processes start: the standard library's, which others cannot write to."""

_SEARCHED = ("PATH", "LD_LIBRARY_PATH")
"""Search paths of programs and libraries; an empty entry means the current folder."""
_PACKAGE_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""Folder of the `pisnn_deploy` package."""


def python_command(statements: str, interpreter: str | None = None) -> list[str]:
    """Build the command of a child process that runs Python statements; to be started in `NEUTRAL`.

    Parameters
    ----------
    statements : str
        Python code to run.
    interpreter : str, optional
        Path of the interpreter (default: that of this process).
    """
    chosen = interpreter or sys.executable
    if os.sep in chosen:
        chosen = os.path.abspath(chosen)
    return [chosen, "-c", f"import sys; sys.path[:] = [p for p in sys.path if p]; {statements}"]


def child_environment() -> dict[str, str]:
    """Environment of a child process that must import this copy of the package, not another installed one."""
    paths = (_PACKAGE_ROOT, os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def shut_out_current_folder() -> None:
    """Stop this process and its children from using the current folder; to be called early.

    The user's environment stays as it is, except for empty or relative entries of search paths, and matplotlib's
    backend.
    """
    os.environ["PYTHONSAFEPATH"] = "1"  # has an effect from Python 3.11 on
    os.environ["MPLBACKEND"] = "agg"  # commands cannot load a notebook's backend, and only write files
    for name in _SEARCHED:
        _keep_absolute(name)
    _clean_import_path()
    if not any(isinstance(finder, _Settler) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Settler())
    for name, settle in _SETTLED.items():
        if name in sys.modules:
            settle(sys.modules[name])


def _keep_absolute(name: str) -> None:
    """Drop the entries of a search path that depend on the current folder."""
    before = os.environ.get(name)
    if before is None:
        return
    entries = [entry for entry in before.split(os.pathsep) if os.path.isabs(entry)]
    if entries:
        os.environ[name] = os.pathsep.join(entries)
    else:
        del os.environ[name]


def _clean_import_path() -> None:
    """Drop the current folder from the import path unless ``PYTHONPATH`` names it or Python is installed there."""
    try:
        current = os.path.realpath(os.getcwd())
    except OSError:  # the folder was deleted
        current = ""
    from_user = [os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if "PYTHONPATH" in os.environ:
        os.environ["PYTHONPATH"] = os.pathsep.join(from_user)
    sys.path[:] = [os.path.abspath(entry) for entry in sys.path if entry]
    if current not in map(os.path.realpath, sys.path):
        return
    import sysconfig

    trusted = {os.path.realpath(path) for path in (*from_user, _PACKAGE_ROOT, *sysconfig.get_paths().values())}
    if current not in trusted:
        sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != current]


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Make `NEUTRAL` the current folder within the context."""
    try:
        before = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))
    except OSError:  # nothing can be loaded from a folder that cannot be opened
        yield
        return
    try:
        os.chdir(NEUTRAL)
        yield
    finally:
        os.fchdir(before)
        os.close(before)


class _Settler(MetaPathFinder):
    """Import hook that settles the modules in `_SETTLED`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        settle = _SETTLED.get(name)
        if settle is None:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others if hasattr(finder, "find_spec"))
        with _elsewhere():
            spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = partial(_execute, spec.loader.exec_module, settle)  # type: ignore[method-assign]
        return spec


def _execute(execute: Callable[[ModuleType], None], settle: Callable[[ModuleType], None], module: ModuleType) -> None:
    with _elsewhere():
        execute(module)
    settle(module)


def _settle_multiprocessing(util: ModuleType) -> None:
    """Give multiprocessing's helper processes, which start with ``-c``, the import path of this process."""
    start = util.spawnv_passfds
    if isinstance(start, partial):
        return

    util.spawnv_passfds = partial(_spawn, start)  # type: ignore[attr-defined]


def _spawn(start: Callable[..., int], path: bytes, args: Sequence[str], passfds: Sequence[int]) -> int:
    command = list(args)
    if "-c" in command:
        place = command.index("-c") + 1
        command[place] = f"import sys; sys.path[:] = {sys.path!r}; {command[place]}"
    return start(path, command, passfds)


def _settled(module: ModuleType) -> None:
    """Do nothing: these modules use the current folder only while they are imported."""


_SETTLED: dict[str, Callable[[ModuleType], None]] = {
    "distutils": _settled,
    "matplotlib": _settled,
    "multiprocessing.util": _settle_multiprocessing,
    "setuptools": _settled,  # torch imports it
}
