"""Files that commands write: refused before the work, not after it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.output import require_writable


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[str | PathLike[str] | None] = ()) -> None:
    """Make sure that files can be written where a user wants them, and that none replaces what is read.

    Parameters
    ----------
    outputs : iterable of Path or None
        What the command will write.
    inputs : iterable of str, path or None
        What it reads; names that are no file are passed over.

    Raises
    ------
    FileError
        A folder that is missing or not writable, a file that the command reads, or twice the same file.
    """
    input_files = {os.path.realpath(path) for path in inputs if path is not None and Path(path).is_file()}
    written: set[str] = set()
    for path in outputs:
        if path is None:
            continue
        place = os.path.realpath(path)
        if place in input_files:
            raise FileError(path, "would overwrite a file that this command reads", remedy="write to another file")
        if place in written:
            raise FileError(path, "is given for two outputs", remedy="write to two files")
        require_writable(path)
        written.add(place)
