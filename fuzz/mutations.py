"""Seeded mutations of real files: bytes, text, plain data, arrays, archives and pickles.

Every function takes a random generator and returns what it made; the same generator gives the same bytes.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np

CANARY = "pisnn-fuzzing-canary"
"""File that every malicious input tries to make in the current folder."""
INTERESTING_BYTES = (
    b"\x00",
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    b"\x00" * 64,
    b"\x80\x04",
    b"\r\n",
    b"\xed\xa0\x80",
    b"\x1b[2J",
    b"{'descr': '|O'",
)
NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    63,
    64,
    255,
    256,
    257,
    4095,
    4096,
    4097,
    2**31,
    2**32,
    2**53,
    2**62,
    2**63 - 1,
    -(2**63),
    2**64,
)
PLAIN: tuple[Any, ...] = (
    *NUMBERS,
    10**400,
    0.5,
    -0.0,
    1e-320,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
    None,
    True,
    False,
    "",
    "x" * 300,
    "periodic",
    "no-flux",
    "../../../etc/passwd",
    "/etc/hostname",
    "a\nb\x1b[2Jc\x00",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    {"": None},
)
WORDS = (
    "-1",
    "0",
    "1e400",
    "nan",
    ".inf",
    "-.inf",
    "NaN",
    "Infinity",
    "9" * 5000,
    "0x7fffffffffffffff",
    "1_000_000_000",
    "12:30:45",
    "1" + ":59" * 3000,
    "2001-13-99",
    "0o777",
    "1e-400",
    "~",
    "null",
    "[]",
    "{}",
    "*a",
    "&a x",
    "<<: *a",
    "? x",
    "!!binary aGk=",
    "!!set {a}",
    f"!!python/object/apply:os.system ['touch {CANARY}']",
    "!!python/name:os.system",
    "!!timestamp 2001-01-01",
    "%TAG ! tag:yaml.org,2002:",
    "---",
    "...",
    "|",
    ">",
    "'",
    '"\\ud800"',
    "\t",
    "[" * 3000,
    "{a: " * 3000,
    "- " * 3000,
    "\u2028",
    "/etc/hostname",
    "../../etc/passwd",
)


def mutated_bytes(random: Random, content: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Flip bits, cut, insert, repeat and splice, one to four times."""
    data = bytearray(content)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(7)
        if kind == 0 and data:
            for _ in range(random.randint(1, 8)):
                data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + random.randint(1, 64)]
        elif kind == 3:
            data[at:at] = random.randbytes(random.randint(1, 32))
        elif kind == 4:
            inserted = random.choice(INTERESTING_BYTES)
            data[at : at + len(inserted) * random.randrange(2)] = inserted
        elif kind == 5:
            data[at:at] = data[at : at + random.randint(1, 256)] * random.randint(1, 8)
        else:
            other = random.choice(others) if others else bytes(data)
            cut = random.randrange(len(other) + 1)
            data[at : at + random.randint(0, 64)] = other[cut : cut + random.randint(1, 512)]
    return bytes(data)


def mutated_text(random: Random, content: bytes) -> bytes:
    """Replace, repeat, drop and exchange words and lines."""
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(lines))
        kind = random.randrange(6)
        if kind == 0:
            lines.insert(at, lines[random.randrange(len(lines))])
        elif kind == 1 and len(lines) > 1:
            del lines[at]
        elif kind == 2:
            other = random.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 3:
            key, colon, _ = lines[at].partition(": ")
            lines[at] = key + (colon or ": ") + random.choice(WORDS)
        else:
            words = lines[at].split(" ")
            words[random.randrange(len(words))] = random.choice(WORDS)
            lines[at] = " ".join(words)
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def mutated_plain(random: Random, value: Any) -> Any:
    """Plain data in which one place is dropped, renamed, repeated, or something else."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        changed = dict(value)
        key = random.choice(list(changed))
        kind = random.randrange(10)
        if kind == 0:
            del changed[key]
        elif kind == 1:
            changed[random.choice(("extra", "", "x" * 200, "__class__", "nan"))] = changed[key]
        else:
            changed[key] = mutated_plain(random, changed[key])
        return changed
    if isinstance(value, list) and value and random.random() < 0.85:
        items = list(value)
        at = random.randrange(len(items))
        kind = random.randrange(6)
        if kind == 0:
            del items[at]
        elif kind == 1:
            items[at:at] = items * random.choice((1, 1, 3, 40))
        else:
            items[at] = mutated_plain(random, items[at])
        return items
    if isinstance(value, int | float) and not isinstance(value, bool) and random.random() < 0.5:
        change = random.choice((1, -1, 2, -2, 16, 1000, -value, value))
        return random.choice((value + change, -value, value * 2))
    return random.choice(PLAIN)


def mutated_json(random: Random, content: bytes) -> bytes:
    """Change the data, or write it as no JSON should be: keys twice, deep, with words that are no JSON."""
    kind = random.randrange(8)
    if kind == 0:
        return mutated_bytes(random, content)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):  # it was changed before
        return mutated_bytes(random, content)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        value = mutated_plain(random, value)
    text = json.dumps(value)
    if kind == 1 and isinstance(value, dict) and value:
        key = json.dumps(random.choice(list(value)))
        text = f"{{{key}: 0, {text[1:]}"
    elif kind == 2:
        depth = random.choice((10, 1000, 100_000))
        text = text.replace("1", "[" * depth + "]" * depth, 1)
    return text.encode("utf-8", "surrogatepass")


def npy(array: Any, *, pickled: bool = False) -> bytes:
    """An array as a file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=pickled)
    return buffer.getvalue()


DESCRIPTIONS = (
    "<i8", ">i8", "<f8", ">f8", "<f4", "<f2", "<c16", "|b1", "|O", "|S8", "<U3", "<m8[ns]", "|V8", "<i4", "|u1", "<f16",
    "i8,i8", "(2,2)i8", "(99999999,)i8", "", "junk",
)  # fmt: skip
SHAPES = (
    "()", "(0,)", "(1,)", "(-1,)", "(16,)", "(16, 1)", "(1, 16)", "(2, 8)", "(9999999999999,)", "(True,)",
    "(4294967296, 4294967296)", "(2.0,)", "(16L,)", "16", "None", "(None,)", "(" * 200, "('a',)", f"({'1, ' * 40})",
    "(0, 99999999999999)",
)  # fmt: skip


def mutated_npy(random: Random, content: bytes) -> bytes:
    """Another header before the numbers, or other numbers."""
    kind = random.randrange(4)
    if kind == 0:
        return mutated_bytes(random, content)
    if kind == 1:
        return _other_header(random, content)
    if kind == 2:
        return npy(np.array([_Malice()], dtype=object), pickled=True)
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False).copy()
    except (ValueError, EOFError):  # it was changed before
        return mutated_bytes(random, content)
    flat = array.reshape(-1)
    for _ in range(random.randint(1, 3)):
        if flat.size and array.dtype.kind == "f":
            flat[random.randrange(flat.size)] = random.choice((0.0, -1.0, 1e308, -1e308, np.nan, np.inf, 1e-320, 0.5))
        elif flat.size:
            at = random.randrange(flat.size)
            small = int(flat[at]) + random.choice((1, -1, 2, -2, 64, -64))
            number = random.choice((small, small, -int(flat[at]), random.choice(NUMBERS)))
            flat[at] = max(-(2**63), min(2**63 - 1, number))
    if random.random() < 0.2:
        array = np.concatenate([array, array[: random.randrange(len(array) + 1)]])
    elif random.random() < 0.2:
        array = array[: random.randrange(len(array) + 1)]
    return npy(array)


def _other_header(random: Random, content: bytes) -> bytes:
    version = random.choice(((1, 0), (1, 0), (2, 0), (3, 0), (9, 9)))
    order = random.choice(("False", "False", "True", "0", "None"))
    shape = random.choice(SHAPES)
    text = (
        f"{{'descr': {random.choice(DESCRIPTIONS)!r}, 'fortran_order': {order}, 'shape': {shape}, }}".ljust(117) + "\n"
    )
    size = random.choice((len(text), len(text), len(text), 0, 65535))
    length = struct.pack("<H" if version == (1, 0) else "<I", size)
    return b"\x93NUMPY" + bytes(version) + length + text.encode() + content[128:]


class _Malice:
    """Unpickling it runs a program."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return eval, (f"__import__('os').system('touch {CANARY}')",)


def _pickles() -> tuple[bytes, ...]:
    opened = f"c__builtin__\nopen\n(V{CANARY}\nVw\ntR.".encode()
    system = f"cos\nsystem\n(Vtouch {CANARY}\ntR.".encode()
    torch_hub = b"ctorch.hub\nload\n(Vx\ntR."
    getter = b"ctorch\nload\n(V/etc/hostname\ntR."
    built = f"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(cos\nsystem\n(Vtouch {CANARY}\ntRtR.".encode()
    huge = b"\x80\x02X\xff\xff\xff\x7fx."
    memo = b"\x80\x02]q\x00" + b"(h\x00h\x00e" * 2000 + b"."
    deep = b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b"."
    return (pickle.dumps(_Malice(), 2), opened, system, torch_hub, getter, built, huge, memo, deep)


PICKLES = _pickles()

Members = list[tuple[str, bytes]]
MemberMutation = Callable[[Random, str, bytes], bytes]


@dataclass(frozen=True)
class Archive:
    """How members of a kind of archive are changed.

    Attributes
    ----------
    member : callable
        Random generator, name and content to other content.
    """

    member: MemberMutation

    def __call__(self, random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
        """Change a member, the archive around the members, or its bytes."""
        kind = random.randrange(12)
        if kind == 0:
            return mutated_bytes(random, content, others)
        members = members_of(content)
        for _ in range(random.choice((0, 1, 1, 1, 2)) if kind < 5 else 1):
            at = random.randrange(len(members))
            name, member = members[at]
            members[at] = (name, self.member(random, name, member))
        if kind >= 5:
            return zipped(members)
        return _surgery(random, members, others)


def members_of(content: bytes) -> Members:
    """Names and contents of an archive."""
    return list(_members_of(content))


@lru_cache(maxsize=16)
def _members_of(content: bytes) -> tuple[tuple[str, bytes], ...]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return tuple((info.filename, archive.read(info)) for info in archive.infolist())


def zipped(members: Members, changes: Mapping[int, Mapping[str, int]] | None = None) -> bytes:
    """An archive of stored members; attributes of some may be others."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for number, (name, content) in enumerate(members):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            for attribute, value in (changes or {}).get(number, {}).items():
                setattr(info, attribute, value)
            archive.writestr(info, content)
    return buffer.getvalue()


BOMB = bytes(1 << 22)
NAMES = (
    "../evil",
    "/tmp/evil",
    "a/../../evil",
    "..\\evil",
    "arrays/../graph.json",
    "C:\\evil",
    "",
    ".",
    "x" * 300,
    "a\nb",
)


def _surgery(random: Random, members: Members, others: Sequence[bytes]) -> bytes:
    at = random.randrange(len(members))
    name, content = members[at]
    kind = random.randrange(11)
    changes: dict[int, dict[str, int]] = {}
    if kind == 0:
        members.append((name, random.choice((content, b"", b"{}"))))
    elif kind == 1:
        members[at] = (random.choice(NAMES), content)
    elif kind == 2:
        members.append((random.choice(NAMES), b"evil"))
    elif kind == 3:
        changes[at] = {"external_attr": 0o120777 << 16}
        members[at] = (name, b"/etc/hostname")
    elif kind == 4:
        changes[at] = {"compress_type": zipfile.ZIP_DEFLATED}
        members[at] = (name, random.choice((content, BOMB)))
    elif kind == 5:
        members[at] = (name, zipped(members[:2]))
    elif kind == 6:
        del members[at]
    elif kind == 7:
        random.shuffle(members)
    elif kind == 8:
        members[at] = (name, members_of(random.choice(others))[0][1] if others else b"")
    else:
        return _with_wrong_sizes(random, zipped(members), both=kind == 9)
    return zipped(members, changes)


def _with_wrong_sizes(random: Random, archive: bytes, *, both: bool) -> bytes:
    """Sizes, offsets and flags of the directory that the members do not have."""
    data = bytearray(archive)
    entries = [k for k in range(len(data) - 46) if data[k : k + 4] == b"PK\x01\x02"]
    for _ in range(random.randint(1, 3)):
        at = random.choice(entries) if entries else 0
        field = random.choice((8, 10, 16, 20, 24, 28, 30, 32, 42))
        number = random.choice((0, 1, 8, 12, 99, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, random.randrange(1 << 32)))
        if field in (8, 10, 28, 30, 32):
            struct.pack_into("<H", data, at + field, number & 0xFFFF)
        else:
            struct.pack_into("<I", data, at + field, number)
            if both and field in (20, 24):
                struct.pack_into("<I", data, at + 44 - field, number)
    if random.random() < 0.2:
        end = data.rfind(b"PK\x05\x06")
        if end >= 0:
            struct.pack_into("<H", data, end + random.choice((8, 10)), random.choice((0, 1, 0xFFFF)))
    return bytes(data)
