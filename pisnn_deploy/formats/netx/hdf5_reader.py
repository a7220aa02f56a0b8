"""Convert untrusted HDF5 files to plain values.

Only groups and datasets of numbers and short text are read, of limited size and stored in the file itself. External
links, virtual and external storage, foreign filters, object references and compound types are refused before allocating
anything. The HDF5 library is not robust against all files: a damaged heap of texts can keep it busy for minutes. This
module therefore runs in a separate process (`pisnn_deploy.formats.netx.hdf5_content`).
"""

from __future__ import annotations

import io
import json
import math
import sys
from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

LARGEST_CONTENT = 1 << 28
"""Maximum total size of all unpacked datasets in bytes."""
LARGEST_COUNT = 20000
"""Maximum number of groups and datasets."""
LARGEST_DEPTH = 16
LARGEST_TEXTS = 1 << 17
"""Maximum number of strings of a dataset; a graph has two per edge."""
_FILTERS = (1, 2, 3)
"""Built-in filters of HDF5: deflate, shuffle and Fletcher checksum (H5Zpublic.h)."""

Tree = dict[str, Union["Tree", NDArray[Any], str, list[str]]]
"""Content of a group by name: groups, arrays of numbers, a text, or a flat list of texts."""
REFUSED = 3
"""Exit code if standard output has a refusal."""
LARGEST_MEMORY = 1 << 32
"""Limit of the address space in bytes, because a damaged file can request any amount."""

LONGEST = 60
"""Limit of the processor time in seconds, in case the parent process was killed."""


def main() -> int:
    """Read an HDF5 file from standard input, and write its content to standard output as an ``.npz``.

    Returns
    -------
    int
        0, or `REFUSED` with ``{"problem": ..., "field": ...}`` as JSON on standard output.
    """
    import resource

    _, allowed = resource.getrlimit(resource.RLIMIT_AS)
    memory = LARGEST_MEMORY if allowed == resource.RLIM_INFINITY else min(LARGEST_MEMORY, allowed)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
    import h5py

    problem, name = "is damaged, or not an HDF5 file", ""
    try:
        with h5py.File(io.BytesIO(sys.stdin.buffer.read()), "r") as file:
            sys.stdout.buffer.write(packed(_Reader(h5py).group(file, "", 0)))
        return 0
    except _Refused as refused:
        problem, name = refused.problem, refused.name
    except MemoryError:
        if memory < LARGEST_MEMORY:
            problem = f"needs more memory to read than the limit of {memory} bytes"
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError):
        pass
    sys.stdout.write(json.dumps({"problem": problem, "field": name}))
    return REFUSED


def packed(tree: Tree) -> bytes:
    """Pack a tree as an ``.npz`` of numbered arrays, with the rest as JSON."""
    arrays: dict[str, NDArray[Any]] = {}

    def described(value: Any) -> Any:
        if isinstance(value, dict):
            return {"group": {key: described(inner) for key, inner in value.items()}}
        if not isinstance(value, np.ndarray):
            return {"text": value}
        arrays[f"a{len(arrays)}"] = value
        return {"array": len(arrays) - 1}

    text = json.dumps(described(tree)).encode()
    buffer = io.BytesIO()
    np.savez(buffer, tree=np.frombuffer(text, np.uint8), **arrays)
    return buffer.getvalue()


def unpacked(data: bytes) -> Tree:
    """Unpack the result of `packed`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:

        def made(value: dict[str, Any]) -> Any:
            if "group" in value:
                return {key: made(inner) for key, inner in value["group"].items()}
            return archive[f"a{value['array']}"] if "array" in value else value["text"]

        tree: Tree = made(json.loads(bytes(archive["tree"])))
        return tree


class _Refused(Exception):
    """Content that is not allowed."""

    def __init__(self, problem: str, name: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.name = name


@dataclass
class _Reader:
    h5py: Any
    seen: set[int] = field(default_factory=set)
    left: int = LARGEST_CONTENT

    def group(self, group: Any, name: str, depth: int) -> Tree:
        if depth > LARGEST_DEPTH:
            raise _Refused(f"is nested more than {LARGEST_DEPTH} groups deep", name)
        self._visit(group, name)
        content: Tree = {}
        for key in group:
            inner = f"{name}/{key}" if name else str(key)
            if not inner.isprintable():
                raise _Refused("has an unprintable name", ascii(inner))
            if not isinstance(group.get(key, getlink=True), self.h5py.HardLink):
                raise _Refused("is an external or soft link, which is not followed", inner)
            item = group[key]
            if isinstance(item, self.h5py.Group):
                content[str(key)] = self.group(item, inner, depth + 1)
            elif isinstance(item, self.h5py.Dataset):
                content[str(key)] = self._dataset(item, inner)
            else:
                raise _Refused("is neither a group nor a dataset", inner)
        return content

    def _visit(self, item: Any, name: str) -> None:
        """Refuse objects that are linked twice, because hard links can form cycles."""
        address = int(self.h5py.h5o.get_info(item.id).addr)
        if address in self.seen:
            raise _Refused("is linked to twice", name)
        self.seen.add(address)
        if len(self.seen) > LARGEST_COUNT:
            raise _Refused(f"has more than {LARGEST_COUNT} groups and datasets")

    def _dataset(self, dataset: Any, name: str) -> NDArray[Any] | str | list[str]:
        self._visit(dataset, name)
        created = dataset.id.get_create_plist()
        if created.get_layout() == self.h5py.h5d.VIRTUAL or created.get_external_count():
            raise _Refused("is stored outside the file, which is not supported", name)
        foreign = [created.get_filter(i)[0] for i in range(created.get_nfilters())]
        if any(code not in _FILTERS for code in foreign):
            raise _Refused(f"uses the filters {foreign}, not all of which are built into HDF5", name)
        if dataset.shape is None:
            raise _Refused("is empty", name)
        is_text = self.h5py.check_string_dtype(dataset.dtype) is not None
        if not is_text and dataset.dtype.kind not in "fiub":
            raise _Refused(f"has the type {dataset.dtype}, expected numbers or text", name)
        count, size = math.prod(dataset.shape), max(dataset.dtype.itemsize, 1)
        # Chunks are always unpacked as a whole.
        largest = max(count, math.prod(dataset.chunks or (0,))) * size
        self.left -= largest
        if self.left < 0 or (is_text and count > LARGEST_TEXTS):
            raise _Refused(f"unpacks to more than {LARGEST_CONTENT} bytes or {LARGEST_TEXTS} texts", name)
        if not is_text:
            return np.asarray(dataset[()])
        texts = np.asarray(dataset[()], object).reshape(-1)
        decoded = [text.decode("utf-8") if isinstance(text, bytes) else str(text) for text in texts]
        return decoded[0] if len(decoded) == 1 else decoded
