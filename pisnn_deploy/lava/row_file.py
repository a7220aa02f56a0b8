"""Rows of an array in a file that the processes of a run share."""

from __future__ import annotations

import os
import weakref

import numpy as np

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.exchange import Exchange


class RowFile:
    """Rows of a shared array, written with `pwrite`, because a memory map would take a page fault for every 4 KiB.

    Parameters
    ----------
    files : Exchange
        Folder of the run.
    name : str
        Name of the array, int64 [rows, ...].
    """

    def __init__(self, files: Exchange, name: str) -> None:
        path, array = files.folder / f"{name}.npy", files.array(name)
        self.count = len(array)
        self._first_byte = path.stat().st_size - array.nbytes
        self._row_bytes = array.nbytes // max(1, self.count)
        self._file = os.open(path, os.O_WRONLY)
        weakref.finalize(self, os.close, self._file)

    def write(self, row: int, values: Integers) -> None:
        """Write a row.

        Parameters
        ----------
        row : int
            Number of the row.
        values : int64 array
            Content of the row.

        Raises
        ------
        OSError
            If the disk is full.
        """
        rest = np.ascontiguousarray(values, np.int64).reshape(-1).view(np.uint8).data
        position = self._first_byte + row * self._row_bytes
        while rest:  # a write may be partial when the disk becomes full
            written = os.pwrite(self._file, rest, position)
            rest, position = rest[written:], position + written
