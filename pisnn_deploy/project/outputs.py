"""Check output files before the work, not after it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.fields.formats import ZARR, require_writable_field


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[str | PathLike[str] | None] = ()) -> None:
    """Check that output files can be written and that none overwrites an input.

    Parameters
    ----------
    outputs : iterable of Path or None
        What the command will write.
    inputs : iterable of str, path or None
        What it reads; names that are not files are ignored.

    Raises
    ------
    FileError
        A folder is missing or not writable, an output is also an input, or two outputs are the same file.
    """
    input_files = {os.path.realpath(path) for path in inputs if path is not None and _is_input(str(path))}
    written: set[str] = set()
    for path in outputs:
        if path is None:
            continue
        place = os.path.realpath(path)
        if place in input_files:
            raise FileError(path, "would overwrite a file that this command reads", remedy="write to another file")
        if place in written:
            raise FileError(path, "is given for two outputs", remedy="write to two files")
        require_writable_field(path)
        written.add(place)


def _is_input(name: str) -> bool:
    try:
        return Path(name).is_file() or (Path(name).suffix == ZARR and Path(name).is_dir())
    except (OSError, ValueError):  # an expression, too long for a name
        return False
