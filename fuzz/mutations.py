"""Mutations that know a format, because random bytes never get past checksums, lengths and hashes.

They take a file apart and put it together again. Inside, libFuzzer changes bytes, or a value is replaced by the limit
of a type or by another part of the file. They may raise any exception on an input that was damaged before.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from random import Random
from typing import Any

import numpy as np
import yaml

from fuzz.target import Change, Mutate

NUMBERS: tuple[int, ...] = (
    *(0, 1, -1, 2, 17, 31, 63, 64, 255, 4095, 4096, 4097, 1 << 20, 2**31, 2**32, 2**53),
    *(2**62, 2**63 - 2, 2**63 - 1, -(2**62), -(2**63), 2**64, 10**30),
)
FLOATS = (0.5, -0.0, 5e-324, 1e-320, 1e200, 1e308, -1e308, float("inf"), float("-inf"), float("nan"))
OTHERS: tuple[Any, ...] = (None, True, False, "", [], {}, [[]], "\ud800", "a\nb\x1b[2J", "::error::x", "x" * 300)
PLAIN_WORDS = (b"0", b"-1", b"1", b"2147483648", b"1e300")
_WORD = re.compile(rb"[\w.+-]+")

Members = dict[str, bytes]


def plain_changed(random: Random, value: Any, change: Change) -> Any:
    """Plain data with one place dropped, repeated, copied from elsewhere, or something else."""
    changed = copy.deepcopy(value)
    places = list(_places(changed))
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        if not places:
            return _other(random, changed, changed, change)
        holder, key = random.choice(places)
        try:
            kind = random.randrange(12)
            if kind == 0:
                del holder[key]
            elif kind == 1 and isinstance(holder, list):
                holder.insert(key, copy.deepcopy(random.choice(holder)))
            elif kind == 1:
                holder[random.choice(("", "extra", "x" * 200, f"{key}2"))] = holder[key]
            elif kind in (2, 3):
                source, at = random.choice(places)
                holder[key] = copy.deepcopy(source[at])
            else:
                holder[key] = _other(random, holder[key], changed, change)
        except (KeyError, IndexError, TypeError):  # an earlier change removed it
            continue
    return changed


def _places(value: Any) -> Any:
    """Every place in plain data: its container, and its key or index."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def _other(random: Random, value: Any, whole: Any, change: Change) -> Any:
    """Replacement of a value, mostly of the same type."""
    if random.random() < 0.1:
        return random.choice((*OTHERS, *NUMBERS, *FLOATS))
    if isinstance(value, str):
        return change(value.encode("utf-8", "surrogatepass"), 2 * len(value) + 16).decode("utf-8", "replace")
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        near = (value + 1, value - 1, -value, 2 * value)
        return random.choice((*near, *near, *NUMBERS, *(FLOATS if isinstance(value, float) else ())))
    return random.choice(OTHERS)


def json_changed(random: Random, content: bytes, change: Change) -> bytes:
    """JSON text: its data changed, or its bytes."""
    if random.random() < 0.2:
        return change(content, len(content) + 64)
    return json.dumps(plain_changed(random, json.loads(content), change)).encode("utf-8", "surrogatepass")


def yaml_changed(random: Random, content: bytes, change: Change) -> bytes:
    """YAML text: its bytes changed, or its data, written as YAML again."""
    if random.random() < 0.5:
        return change(content, len(content) + 64)
    value = plain_changed(random, yaml.load(content, yaml.CSafeLoader), change)
    flow = random.choice((None, True, False))
    return bytes(yaml.dump(value, Dumper=yaml.CSafeDumper, default_flow_style=flow).encode())


def lines_changed(random: Random, content: bytes, change: Change) -> bytes:
    """Text: lines gone, twice or exchanged, words in the places of others; or its bytes."""
    if random.random() < 0.3:
        return change(content, len(content) + 64)
    lines = content.split(b"\n")
    for _ in range(random.choice((1, 1, 2, 3))):
        at, other = random.randrange(len(lines)), random.randrange(len(lines))
        kind = random.randrange(6)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(other, lines[at])
        elif kind == 2:
            lines[at], lines[other] = lines[other], lines[at]
        else:
            word = random.choice(_WORD.findall(lines[at]))
            lines[at] = lines[at].replace(word, random.choice([*_WORD.findall(lines[other]), *PLAIN_WORDS]), 1)
    return b"\n".join(lines)


def npy(array: Any) -> bytes:
    """Content of an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def npy_changed(random: Random, content: bytes, change: Change) -> bytes:
    """An array with other numbers, another type, shape or length; or other bytes."""
    kind = random.randrange(8)
    if kind == 0:
        return change(content, len(content) + 64)
    array = np.load(io.BytesIO(content), allow_pickle=False).copy()
    return npy(_array_changed(random, array, kind, change))


def _array_changed(random: Random, array: Any, kind: int, change: Change) -> Any:
    if kind == 1:
        array = array.astype(random.choice(("<f8", "<i4", ">i8", "|u1", "|b1", "<f4", "<c16", "<U4", "<i8")))
        return array.reshape(random.choice((array.shape, (-1,), (1, -1), (-1, 1), (-1, 1, 1))))
    if kind == 2:
        return random.choice((array[: random.randrange(len(array) + 1)], np.concatenate([array, array])))
    if kind == 3:
        return np.frombuffer(change(array.tobytes(), array.nbytes).ljust(array.nbytes, b"\0"), array.dtype).reshape(
            array.shape
        )
    flat = array.reshape(-1)
    for _ in range(random.choice((1, 1, 2, 8))):
        if flat.size and array.dtype.kind == "f":
            flat[random.randrange(flat.size)] = random.choice(FLOATS)
        elif flat.size and array.dtype.kind in "iu":
            at, limits = random.randrange(flat.size), np.iinfo(array.dtype)
            number = int(flat[at])
            number = random.choice((number + 1, number - 1, -number, 2 * number, random.choice(NUMBERS)))
            flat[at] = max(limits.min, min(limits.max, number))
    return array


def members_of(content: bytes) -> Members:
    """Contents of an archive by name; the last one for a repeated name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def zipped(members: Members) -> bytes:
    """An archive of stored members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def member_changed(random: Random, name: str, content: bytes, change: Change) -> bytes:
    """Mutate a member of an archive, by its suffix."""
    known: dict[str, Mutate] = {".json": json_changed, ".npy": npy_changed, ".npz": Archive()}
    with contextlib.suppress(Exception):
        return known[PurePath(name).suffix](random, content, change)
    return change(content, len(content) + 64)


@dataclass(frozen=True)
class Archive:
    """Mutates zip files: changes, drops, repeats or exchanges one or two members, with correct lengths and checksums.

    Attributes
    ----------
    seal : callable, optional
        Updates what members state about each other.
    member : callable
        Mutates a member, given its name.
    """

    seal: Callable[[Members], Members] | None = None
    member: Callable[[Random, str, bytes, Change], bytes] = member_changed

    def __call__(self, random: Random, content: bytes, change: Change) -> bytes:
        """The archive changed, or its bytes."""
        if random.random() < 0.1:
            return change(content, len(content) + 64)
        members = members_of(content)
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            name = random.choice(list(members))
            if random.random() < 0.1:
                self._rearranged(random, members, name)
            else:
                members[name] = self.member(random, name, members[name], change)
        return zipped(members if self.seal is None else self.seal(members))

    def _rearranged(self, random: Random, members: Members, name: str) -> None:
        kind = random.randrange(3)
        if kind == 0:
            del members[name]
        elif kind == 1:
            members[random.choice(("../x", "x", f"{name}.runs.npy", f"arrays/{name}"))] = members[name]
        else:
            other = random.choice(list(members))
            members[name], members[other] = members[other], members[name]
