"""Read untrusted HDF5 files as plain values, in a separate process that may crash or hang."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.limits import MEGABYTE, memory_limit
from pisnn_deploy.core.optional import require
from pisnn_deploy.formats.apart import run_apart
from pisnn_deploy.formats.netx.hdf5_reader import REFUSED, Tree, unpacked

LARGEST_FILE = 1 << 28
"""Maximum size of a file in bytes."""
SECONDS = 30.0
"""Time limit of reading, which usually takes a quarter of a second."""
_START = "from pisnn_deploy.formats.netx.hdf5_reader import main; sys.exit(main())"


def read_tree(path: Path, data: bytes, seconds: float = SECONDS) -> Tree:
    """Read the content of an HDF5 file.

    Parameters
    ----------
    path : Path
        File for error messages.
    data : bytes
        Content of the file.
    seconds : float
        Time limit.

    Raises
    ------
    FileError
        The file is not HDF5, or has more than plain data of limited size.
    UsageError
        h5py is not installed.
    """
    require(f"{path}: reading HDF5", "h5py")
    try:
        done = run_apart(_START, data, seconds)
    except subprocess.TimeoutExpired as error:
        raise FileError(path, f"is damaged: reading it took longer than {seconds:g} seconds") from error
    except OSError as error:
        raise FileError(path, f"cannot be read: no process could be started ({error.strerror})") from error
    try:
        if done.returncode == 0:
            return unpacked(done.stdout)
        if done.returncode == REFUSED:
            refusal = json.loads(done.stdout)
            raise FileError(path, refusal["problem"], field=refusal["field"])
    except (ValueError, KeyError, zipfile.BadZipFile, OSError) as error:
        raise FileError(path, "is damaged: the content that was read is invalid") from error
    limit = memory_limit()
    if limit is not None:
        allowed = f"the memory limit of {limit // MEGABYTE} MB"
        raise FileError(path, f"is damaged, or cannot be read within {allowed}; raise it with ulimit -v")
    raise FileError(path, "is damaged: the HDF5 library crashed")
