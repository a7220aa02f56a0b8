"""Untrusted HDF5 files as plain values.

Only what a flux network needs is read: groups and datasets that the file itself holds, of numbers and short text, of
bounded size. Links to elsewhere, virtual and external storage, foreign filters, object references and compound types
are refused before anything is allocated for them. The HDF5 library does not withstand every file: a damaged heap of
texts can keep it busy for minutes. So this module runs in a process of its own
(`pisnn_deploy.formats.netx.hdf5_content`).
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
"""Bytes of all datasets together as they are unpacked."""
LARGEST_COUNT = 20000
"""Groups and datasets."""
LARGEST_DEPTH = 16
LARGEST_TEXTS = 1 << 17
"""Strings of one dataset; a graph's edges are two each."""
_FILTERS = (1, 2, 3)
"""HDF5's own deflate, shuffle and Fletcher checksum (H5Zpublic.h)."""

Tree = dict[str, Union["Tree", NDArray[Any], str, list[str]]]
"""Groups by name; arrays of numbers, a text, or a flat list of texts."""
REFUSED = 3
"""Exit code with a refusal on standard output."""
LARGEST_MEMORY = 1 << 32
"""Bytes of address space; a damaged file can ask for any."""

LONGEST = 60
"""Seconds of work; whoever waits for the answer may have been killed meanwhile."""


def main() -> int:
    """Read the HDF5 file on standard input, and write its content to standard output as an ``.npz``.

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
            problem = f"takes more memory to read than the {memory} bytes that the process may take"
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError):
        pass
    sys.stdout.write(json.dumps({"problem": problem, "field": name}))
    return REFUSED


def packed(tree: Tree) -> bytes:
    """A tree as an ``.npz``: numbered arrays, and the rest as JSON."""
    arrays: dict[str, NDArray[Any]] = {}

    def described(value: Any) -> Any:
        if isinstance(value, dict):
            return {"group": {key: described(inner) for key, inner in value.items()}}
        if not isinstance(value, np.ndarray):
            return {"text": value}
        arrays[f"a{len(arrays)}"] = value
        return {"array": len(arrays) - 1}

    told = json.dumps(described(tree)).encode()
    buffer = io.BytesIO()
    np.savez(buffer, tree=np.frombuffer(told, np.uint8), **arrays)
    return buffer.getvalue()


def unpacked(data: bytes) -> Tree:
    """The tree of `packed`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:

        def made(value: dict[str, Any]) -> Any:
            if "group" in value:
                return {key: made(inner) for key, inner in value["group"].items()}
            return archive[f"a{value['array']}"] if "array" in value else value["text"]

        tree: Tree = made(json.loads(bytes(archive["tree"])))
        return tree


class _Refused(Exception):
    """What the file holds and must not."""

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
        found: Tree = {}
        for key in group:
            inner = f"{name}/{key}" if name else str(key)
            if not inner.isprintable():
                raise _Refused("is a name that cannot be printed", ascii(inner))
            if not isinstance(group.get(key, getlink=True), self.h5py.HardLink):
                raise _Refused("is a link to elsewhere, which is not followed", inner)
            item = group[key]
            if isinstance(item, self.h5py.Group):
                found[str(key)] = self.group(item, inner, depth + 1)
            elif isinstance(item, self.h5py.Dataset):
                found[str(key)] = self._dataset(item, inner)
            else:
                raise _Refused("is neither a group nor a dataset", inner)
        return found

    def _visit(self, item: Any, name: str) -> None:
        """Every object once: hard links can form rings."""
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
            raise _Refused("is stored outside the file, which is not read", name)
        foreign = [created.get_filter(i)[0] for i in range(created.get_nfilters())]
        if any(code not in _FILTERS for code in foreign):
            raise _Refused(f"is packed with the filters {foreign}, of which one is not HDF5's own", name)
        if dataset.shape is None:
            raise _Refused("is empty", name)
        is_text = self.h5py.check_string_dtype(dataset.dtype) is not None
        if not is_text and dataset.dtype.kind not in "fiub":
            raise _Refused(f"is of the type {dataset.dtype}, neither numbers nor text", name)
        count, size = math.prod(dataset.shape), max(dataset.dtype.itemsize, 1)
        # A chunk is unpacked whole, however little of it is wanted.
        largest = max(count, math.prod(dataset.chunks or (0,))) * size
        self.left -= largest
        if self.left < 0 or (is_text and count > LARGEST_TEXTS):
            raise _Refused(f"unpacks to more than {LARGEST_CONTENT} bytes or {LARGEST_TEXTS} texts", name)
        if not is_text:
            return np.asarray(dataset[()])
        texts = np.asarray(dataset[()], object).reshape(-1)
        decoded = [text.decode("utf-8") if isinstance(text, bytes) else str(text) for text in texts]
        return decoded[0] if len(decoded) == 1 else decoded
