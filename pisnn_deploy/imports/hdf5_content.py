"""Untrusted HDF5 files as plain values.

Only what a flux network needs is read: groups and datasets that the file itself holds, of numbers and short text, of
bounded size. Links to elsewhere, virtual and external storage, foreign filters, object references and compound types
are refused before anything is allocated for them.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.errors import FileError, UsageError

LARGEST_FILE = 1 << 28
LARGEST_CONTENT = 1 << 28
"""Bytes, of the file, and of all datasets together as they are unpacked."""
LARGEST_COUNT = 20000
"""Groups and datasets."""
LARGEST_DEPTH = 16
LARGEST_TEXTS = 1 << 17
"""Strings of one dataset; a graph's edges are two each."""
_FILTERS = (1, 2, 3)
"""HDF5's own deflate, shuffle and Fletcher checksum (H5Zpublic.h)."""

Tree = dict[str, Union["Tree", NDArray[Any], str, list[str]]]
"""Groups by name; arrays of numbers, a text, or a flat list of texts."""


def read_tree(path: Path, data: bytes) -> Tree:
    """Everything that an HDF5 file holds.

    Parameters
    ----------
    path : Path
        For messages.
    data : bytes
        The file.

    Returns
    -------
    Tree

    Raises
    ------
    FileError
        Not an HDF5 file, or more than plain bounded data in it.
    UsageError
        h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise UsageError(f"{path}: reading HDF5 needs h5py, which is not installed; pip install h5py") from error
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return _Reader(path, h5py).group(file, "", 0)
    except FileError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, UnicodeError, MemoryError) as error:
        raise FileError(path, "is damaged, or not an HDF5 file") from error


@dataclass
class _Reader:
    path: Path
    h5py: Any
    seen: set[int] = field(default_factory=set)
    left: int = LARGEST_CONTENT

    def group(self, group: Any, name: str, depth: int) -> Tree:
        if depth > LARGEST_DEPTH:
            raise FileError(self.path, f"is nested more than {LARGEST_DEPTH} groups deep", field=name)
        self._visit(group, name)
        found: Tree = {}
        for key in group:
            inner = f"{name}/{key}" if name else str(key)
            if not isinstance(group.get(key, getlink=True), self.h5py.HardLink):
                raise FileError(self.path, "is a link to elsewhere, which is not followed", field=inner)
            item = group[key]
            if isinstance(item, self.h5py.Group):
                found[str(key)] = self.group(item, inner, depth + 1)
            elif isinstance(item, self.h5py.Dataset):
                found[str(key)] = self._dataset(item, inner)
            else:
                raise FileError(self.path, "is neither a group nor a dataset", field=inner)
        return found

    def _visit(self, item: Any, name: str) -> None:
        """Every object once: hard links can form rings."""
        address = int(self.h5py.h5o.get_info(item.id).addr)
        if address in self.seen:
            raise FileError(self.path, "is linked to twice", field=name)
        self.seen.add(address)
        if len(self.seen) > LARGEST_COUNT:
            raise FileError(self.path, f"has more than {LARGEST_COUNT} groups and datasets")

    def _dataset(self, dataset: Any, name: str) -> NDArray[Any] | str | list[str]:
        self._visit(dataset, name)
        created = dataset.id.get_create_plist()
        if created.get_layout() == self.h5py.h5d.VIRTUAL or created.get_external_count():
            raise FileError(self.path, "is stored outside the file, which is not read", field=name)
        foreign = [created.get_filter(i)[0] for i in range(created.get_nfilters())]
        if any(code not in _FILTERS for code in foreign):
            raise FileError(
                self.path, f"is packed with the filters {foreign}, of which one is not HDF5's own", field=name
            )
        if dataset.shape is None:
            raise FileError(self.path, "is empty", field=name)
        is_text = self.h5py.check_string_dtype(dataset.dtype) is not None
        if not is_text and dataset.dtype.kind not in "fiub":
            raise FileError(self.path, f"is of the type {dataset.dtype}, neither numbers nor text", field=name)
        count, size = math.prod(dataset.shape), max(dataset.dtype.itemsize, 1)
        # A chunk is unpacked whole, however little of it is wanted.
        largest = max(count, math.prod(dataset.chunks or (0,))) * size
        self.left -= largest
        if self.left < 0 or (is_text and count > LARGEST_TEXTS):
            raise FileError(
                self.path, f"unpacks to more than {LARGEST_CONTENT} bytes or {LARGEST_TEXTS} texts", field=name
            )
        if not is_text:
            return np.asarray(dataset[()])
        texts = np.asarray(dataset[()], object).reshape(-1)
        decoded = [text.decode("utf-8") if isinstance(text, bytes) else str(text) for text in texts]
        return decoded[0] if len(decoded) == 1 else decoded
