"""Machine code from LLVM's intermediate representation, kept on disk by its content."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.output import write_whole

_LOG = logging.getLogger(__name__)
FOLDER = "PISNN_KERNELS"
"""Environment variable with the folder of compiled kernels; empty for none, relative ones are ignored."""


class Machine:
    """The processor that kernels are compiled for."""

    def __init__(self) -> None:
        with suppress(RuntimeError):  # versions from 0.45 on need no initialisation, and refuse it
            binding.initialize()
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        self.processor = f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"
        self._target = binding.Target.from_default_triple()

    def object_code(self, text: str, *, is_optimised: bool = True) -> bytes:
        """Compile a module; without optimisation this takes a thirtieth of the time."""
        module, target = binding.parse_assembly(text), self._new(3 if is_optimised else 0)
        module.verify()
        if is_optimised:
            tuning = binding.create_pipeline_tuning_options(speed_level=3)
            tuning.loop_vectorization = True
            tuning.slp_vectorization = False
            builder = binding.create_pass_builder(target, tuning)
            builder.getModulePassManager().run(module, builder)
        code: bytes = target.emit_object(module)
        return code

    def loaded(self, code: bytes) -> Any:
        """Load compiled code; its functions live as long as what is returned."""
        engine = binding.create_mcjit_compiler(binding.parse_assembly(""), self._new(0))
        engine.add_object_file(binding.object_file.ObjectFileRef.from_data(code))
        engine.finalize_object()
        return engine

    def _new(self, level: int) -> Any:
        return self._target.create_target_machine(
            cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=level
        )


@lru_cache(maxsize=1)
def machine() -> Machine:
    """Return the processor of this process."""
    return Machine()


@dataclass(frozen=True)
class Functions:
    """Functions of a compiled module; they run without the GIL.

    Attributes
    ----------
    advance, sweep, respond : callable
        See `steps`; they take the address of the list of addresses, or of a list of lists, and integers.
    engine : object
        Keeps the code in memory.
    """

    advance: Callable[..., int]
    sweep: Callable[..., int]
    respond: Callable[..., int]
    engine: Any


@lru_cache(maxsize=64)
def compiled(text: str, *, is_optimised: bool) -> Functions:
    """Compile a module, or load it from the folder of compiled kernels, which has optimised ones.

    Parameters
    ----------
    text : str
        Module in LLVM's intermediate representation.
    is_optimised : bool
        Whether to spend time on making it fast.

    Returns
    -------
    Functions
        Compiled functions; the same ones for the same text.
    """
    host = machine()
    digest = hashlib.sha256("\0".join([text, llvmlite.__version__, host.processor]).encode()).hexdigest()
    folder = kernel_folder() if is_optimised else None
    path = None if folder is None else folder / f"{digest}.o"
    code = None if path is None else _trusted(path, digest)
    if code is None:
        if is_optimised:
            _LOG.info("building kernels for this graph, once: %d kB of code", len(text) >> 10)
        code = host.object_code(text, is_optimised=is_optimised)
        if path is not None:
            _keep(path, digest, code)
    engine = host.loaded(code)
    integer = ctypes.c_int64
    steps, items = (ctypes.CFUNCTYPE(integer, ctypes.c_void_p, *[integer] * count) for count in (5, 2))
    address = engine.get_function_address
    return Functions(steps(address("advance")), steps(address("sweep")), items(address("respond")), engine)


def kernel_folder() -> Path | None:
    """Return the folder of compiled kernels, made if needed; None if there is none that only this user can change."""
    setting = os.environ.get(FOLDER)
    if setting == "" or sys.platform == "win32":
        return None
    cache = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    folder = Path(setting) if setting and Path(setting).is_absolute() else base / "pisnn-deploy" / "kernels"
    with suppress(OSError, RuntimeError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_own(folder):
            return folder
    return None


def _is_own(path: Path) -> bool:
    """Whether a file or folder belongs to this user, and nobody else may change it."""
    status = path.lstat()
    return status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode) and not status.st_mode & 0o022


def _trusted(path: Path, digest: str) -> bytes | None:
    """Read kept code; None without it, or if another user could have changed it, or if it is damaged."""
    with suppress(OSError):
        if _is_own(path):
            seal, _, code = path.read_bytes().partition(b"\n")
            if seal.decode("ascii", "replace") == _seal(digest, code):
                return code
    return None


def _keep(path: Path, digest: str, code: bytes) -> None:
    """Keep compiled code; other processes see all of it or nothing."""
    with suppress(FileError):
        write_whole(path, _seal(digest, code).encode() + b"\n" + code)


def _seal(digest: str, code: bytes) -> str:
    return hashlib.sha256(digest.encode() + code).hexdigest()
