"""Read an untrusted mesh file: bounded memory, no output, one-line errors."""

from __future__ import annotations

import contextlib
import io
import stat
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.optional import require
from pisnn_deploy.core.pointers import require_content
from pisnn_deploy.mesh.abaqus_file import parse_abaqus
from pisnn_deploy.mesh.content import MeshContent
from pisnn_deploy.mesh.gmsh_file import parse_gmsh
from pisnn_deploy.mesh.gmsh_numbers import DamagedFile
from pisnn_deploy.mesh.library_content import content_of

LARGEST_FILE = 2**30
"""In bytes."""
FORMATS: Mapping[str, tuple[str | None, str]] = {
    ".inp": (None, "Abaqus"),
    ".mesh": ("medit", "Medit"),
    ".msh": (None, "Gmsh"),
    ".vtk": ("vtk", "VTK"),
    ".vtu": ("vtu", "VTU"),
}
"""By suffix: meshio's name of the format (None for the readers of this package) and the name for people.

None of the meshio readers used here unpickles data or needs HDF5.
"""
_MEMORY, _MEMORY_PER_BYTE = 2**31, 64
"""Memory limit in bytes, fixed and per byte of the file: a few bytes may declare or unpack to terabytes."""


def mesh_content(path: Path) -> MeshContent:
    """Read a mesh file.

    Raises
    ------
    FileError
        The file is missing, a directory, too large, damaged, or of an unknown format.
    """
    if path.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise FileError(path, "has an unknown format", remedy=f"expected one of the suffixes {known}")
    file_format, name = FORMATS[path.suffix.lower()]
    require_content(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise FileError(path, "is a directory")
        if status.st_size > LARGEST_FILE:
            raise FileError(path, f"is larger than {LARGEST_FILE} bytes")
        if file_format in _CHECKS:
            _CHECKS[file_format](path)
        with path.open("rb"):
            pass
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    try:
        with _limited_memory(_MEMORY + _MEMORY_PER_BYTE * status.st_size):
            if file_format is not None:
                return content_of(path, _read_by_library(path, file_format, name))
            content = path.read_bytes()
            return parse_gmsh(content) if name == "Gmsh" else parse_abaqus(path, content)
    except DamagedFile as error:
        raise FileError(path, f"is damaged, or not {name} ({_printable(str(error))})") from error
    except MemoryError as error:
        raise FileError(path, f"is damaged, or not {name}: it needs more memory than its size justifies") from error


def _read_by_library(path: Path, file_format: str, name: str) -> Any:
    require(f"{path}: reading {name}", "meshio")
    import meshio
    from meshio import _common

    # Discard what meshio prints: rich's highlighter would take seconds on a long line of a damaged file.
    _common.Console = _Silent
    printed = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            # numpy only warns about text that is not a number; a future version will raise.
            warnings.filterwarnings("error", "string or file could not be read", DeprecationWarning)
            return meshio.read(path, file_format=file_format)
    except MemoryError:
        raise
    # On damaged content readers may raise anything, and meshio calls sys.exit.
    except (Exception, SystemExit) as error:
        if isinstance(error, DeprecationWarning):
            reason = "text where numbers should be"
        else:
            reason = printed.getvalue() if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
        reason = _printable(reason)
        raise FileError(path, f"is damaged, or not {name}" + (f" ({reason})" if reason else "")) from error


def _printable(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200].rstrip(": ")


class _Silent:
    """Replaces rich's console in meshio."""

    def __init__(self, **_: object) -> None:
        pass

    def print(self, *_: object, **__: object) -> None:
        """Print nothing."""


def _check_vtu(path: Path) -> None:
    """Refuse a mesh in several pieces: meshio would read only the last one."""
    pieces, tail, tag = 0, b"", b"<Piece"
    with path.open("rb") as stream:
        while chunk := stream.read(2**20):
            text = tail + chunk
            pieces += text.count(tag)
            tail = text[1 - len(tag) :]
    if pieces > 1:
        raise FileError(path, f"has {pieces} pieces", remedy="write the mesh as one piece")


_CHECKS = {"vtu": _check_vtu}


@contextlib.contextmanager
def _limited_memory(allowance: int) -> Iterator[None]:
    """Limit the growth of this process to `allowance` bytes, beyond which numpy raises MemoryError; Linux only."""
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = [now + allowance] + [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
