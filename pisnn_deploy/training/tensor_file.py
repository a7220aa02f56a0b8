"""Read plain data and tensors from untrusted files of ``torch.save``, without torch.

torch 2.3 is not safe for such files, even with ``weights_only``: it executes code from legacy files (CVE-2025-32434),
passes archives with a member ``constants.pkl`` to TorchScript, and trusts the length of a tensor in the pickle, so that
it reads and writes out of bounds. Here

1. the archive must have exactly the members that ``torch.save`` writes, uncompressed;
2. the pickle may only use operations for plain data and tensors, and none that sets an object's state;
3. it may only refer to storage types, to the function that makes a tensor from a storage, and to OrderedDict;
4. a tensor is a view of its storage, never a copy, and never larger.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.npy import DAMAGED_ARCHIVE
from pisnn_deploy.core.reading import read_bytes
from pisnn_deploy.training.foreign_files import foreign_file, foreign_pickle

LARGEST_FILE = 1 << 30
"""Maximum size of the file, and of all its members together, in bytes."""
LARGEST_COUNT = 4096
"""Maximum number of members of the archive."""
_MEMBER = re.compile(r"[^/]+/(data\.pkl|byteorder|version|\.data/serialization_id|data/\d{1,9})")
_OPERATIONS = frozenset(
    (
        *("PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("BINUNICODE", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "APPEND"),
        *("APPENDS", "SETITEM", "SETITEMS", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
        *("GLOBAL", "REDUCE", "BINPERSID"),
    )
)
_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
}
_REMEDY = "expected a .pt file in torch's zip format"


def read_tensors(path: Path) -> Any:
    """Read plain data and tensors.

    Returns
    -------
    object
        Numbers, texts, lists, tuples and dictionaries, with tensors as read-only numpy arrays.

    Raises
    ------
    FileError
        The file is invalid, or contains more than plain data and tensors.
    """
    return parse_tensors(path, read_bytes(path, LARGEST_FILE))


def parse_tensors(path: Path, data: bytes) -> Any:
    """Parse the content of a file; see `read_tensors`.

    Parameters
    ----------
    path : Path
        File for error messages.
    data : bytes
        Content of the file.

    Raises
    ------
    FileError
        The file is invalid, or contains more than plain data and tensors.
    """
    members = _members(path, data)
    if members.get("byteorder", b"little") != b"little" or "data.pkl" not in members:
        raise FileError(path, "is damaged, or not a torch file", remedy=_REMEDY)
    try:
        _require_plain(members["data.pkl"])
        return _Unpickler(members).load()
    except pickle.UnpicklingError as error:
        known = foreign_pickle(members["data.pkl"])
        problem, remedy = known or ("holds more than plain data and tensors, and was not executed", _REMEDY)
        raise FileError(path, problem, remedy=remedy) from error
    except Exception as error:
        # A damaged pickle can raise any error.
        raise FileError(path, "is damaged, or not a torch file", remedy=_REMEDY) from error


def _members(path: Path, data: bytes) -> dict[str, bytes]:
    """Members of the archive, by their names within its only folder."""
    if not data.startswith(b"PK\x03\x04"):
        problem, remedy = foreign_file(data) or ("is not a torch zip file", _REMEDY)
        raise FileError(path, problem, remedy=remedy)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > LARGEST_COUNT or sum(info.file_size for info in infos) > LARGEST_FILE:
                raise FileError(path, f"unpacks to more than {LARGEST_FILE} bytes or {LARGEST_COUNT} members")
            names = [info.filename for info in infos]
            known = foreign_file(data, names)
            if known is not None:
                raise FileError(path, known[0], remedy=known[1])
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise FileError(path, "has compressed members, which torch does not write", remedy=_REMEDY)
            if len({name.partition("/")[0] for name in names}) != 1 or not all(map(_MEMBER.fullmatch, names)):
                raise FileError(path, "is damaged, or not a torch file", remedy=_REMEDY)
            if len(set(names)) < len(names):
                raise FileError(path, "has a member twice", remedy=_REMEDY)
            return {info.filename.partition("/")[2]: archive.read(info) for info in infos}
    except DAMAGED_ARCHIVE as error:
        raise FileError(path, "is not a torch zip file", remedy=_REMEDY) from error


def _require_plain(content: bytes) -> None:
    """Check all operations of a pickle before executing any of them."""
    for operation, argument, _ in pickletools.genops(content):
        if operation.name not in _OPERATIONS:
            raise pickle.UnpicklingError(operation.name)
        # All memo places up to this number would be allocated.
        if operation.name == "LONG_BINPUT" and int(argument or 0) > len(content):
            raise ValueError("a memo place beyond the length of the pickle")


class _Unpickler(pickle.Unpickler):
    """Unpickler that only knows storages, tensors and OrderedDict, and creates views of stored numbers."""

    def __init__(self, members: Mapping[str, bytes]) -> None:
        super().__init__(io.BytesIO(members["data.pkl"]))
        self._stored = members

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return np.dtype(_STORAGES[name])
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, saved: Any) -> NDArray[Any]:
        kind, dtype, key, _, count = saved
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise ValueError("not a storage")
        return np.frombuffer(self._stored[f"data/{key}"], dtype, count) if count else np.zeros(0, dtype)


def _view(
    stored: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *rest: object
) -> NDArray[Any]:
    """Create a tensor as a view of stored numbers, which must be within them and not larger."""
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or len(shape) > 8 or not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError("not a tensor")
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if not isinstance(stored, np.ndarray) or stored.ndim != 1:
        raise ValueError("not a storage")
    if 0 in shape:
        return np.zeros(shape if max(shape) <= LARGEST_COUNT else (0,), stored.dtype)
    if last >= stored.size or math.prod(shape) > stored.size:
        raise ValueError("a tensor larger than its storage")
    bytes_apart = tuple(stride * stored.itemsize for stride in strides)
    return np.lib.stride_tricks.as_strided(stored[offset:], shape, bytes_apart, writeable=False)
