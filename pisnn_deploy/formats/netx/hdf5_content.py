"""Untrusted HDF5 files as plain values, read in a process that may die or hang."""

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
"""Bytes."""
SECONDS = 30.0
"""How long reading may take; a quarter of a second is usual."""
_START = "from pisnn_deploy.formats.netx.hdf5_reader import main; sys.exit(main())"


def read_tree(path: Path, data: bytes, seconds: float = SECONDS) -> Tree:
    """Everything that an HDF5 file holds.

    Parameters
    ----------
    path : Path
        For messages.
    data : bytes
        The file.
    seconds : float
        How long to wait.

    Raises
    ------
    FileError
        Not an HDF5 file, or more than plain bounded data in it.
    UsageError
        h5py is not installed.
    """
    require(f"{path}: reading HDF5", "h5py")
    try:
        done = run_apart(_START, data, seconds)
    except subprocess.TimeoutExpired as error:
        raise FileError(path, f"is damaged: reading it did not end within {seconds:g} seconds") from error
    except OSError as error:
        raise FileError(path, f"cannot be read: no process could be started ({error.strerror})") from error
    try:
        if done.returncode == 0:
            return unpacked(done.stdout)
        if done.returncode == REFUSED:
            told = json.loads(done.stdout)
            raise FileError(path, told["problem"], field=told["field"])
    except (ValueError, KeyError, zipfile.BadZipFile, OSError) as error:
        raise FileError(path, "is damaged: what was read of it makes no sense") from error
    limit = memory_limit()
    if limit is not None:
        allowed = f"the {limit // MEGABYTE} MB that a process may take (ulimit -v)"
        raise FileError(path, f"cannot be read within {allowed}, or is damaged; allow more")
    raise FileError(path, "is damaged: the HDF5 library died of it")
