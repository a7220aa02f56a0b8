"""Sections of Gmsh files and the numbers in them, text or binary."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_INTEGER = 2**53
"""Larger node numbers in text files are not exact as floats."""


class DamagedFile(Exception):
    """The content is not a valid file; the message says why."""


def sections(content: bytes) -> dict[str, bytes]:
    """Content between ``$Name`` and ``$EndName`` of each section; the first of repeated sections.

    Like Gmsh, ignore text outside sections.
    """
    parts: dict[str, bytes] = {}
    at = content.find(b"$")
    while at >= 0:
        end_of_line = content.find(b"\n", at)
        if end_of_line < 0:
            break
        name = content[at + 1 : end_of_line].strip()
        closing = b"$END" + name if name in (b"NOD", b"ELM") else b"$End" + name
        end = content.find(closing, end_of_line)
        if end < 0 or not name or len(name) > 64:
            raise DamagedFile(
                f"section {content[at : min(end_of_line, at + 40)].decode('latin-1').strip()!r} has no end"
            )
        if name in (b"Nodes", b"Elements") and name.decode() in parts:
            raise DamagedFile(f"it has two sections ${name.decode()}")
        parts.setdefault(name.decode("latin-1"), content[end_of_line + 1 : end])
        at = content.find(b"$", end + len(closing))
    return parts


class Numbers:
    """A stream of numbers.

    Parameters
    ----------
    content : bytes
        Section without its first and last line.
    order : str or None
        Byte order, ``<`` or ``>``; None for text.
    size_bytes : int
        Bytes of a size (kind ``z``); an integer (``i``) has 4 bytes, a float (``d``) 8.
    """

    def __init__(self, content: bytes, order: str | None, size_bytes: int) -> None:
        self.order = order
        self._types = {"i": f"{order}i4", "z": f"{order}u{size_bytes}", "d": f"{order}f8"} if order else {}
        self._rest = content
        self._at = 0
        self._words: NDArray[np.float64] | None = None

    def take(self, kind: str, count: int) -> NDArray[Any]:
        """Take the next numbers, int64 or float64 [count]."""
        if self.order is None:
            return self._as_kind(self._take_words(count), kind)
        data = np.frombuffer(self.take_bytes(count * np.dtype(self._types[kind]).itemsize), self._types[kind])
        if kind == "z" and data.size and int(data.max()) > LARGEST_INTEGER:
            raise DamagedFile(f"it has the number {int(data.max())}")
        return data.astype(np.float64 if kind == "d" else np.int64)

    def rows(self, count: int, *fields: tuple[str, int]) -> list[NDArray[Any]]:
        """Take rows of several fields; return an array [count, width] per field."""
        width = sum(size for _, size in fields)
        if self.order is None:
            words = self._take_words(count * width).reshape(count, width)
            edges = np.cumsum([0, *(size for _, size in fields)])
            return [
                self._as_kind(words[:, a:b], kind) for (kind, _), a, b in zip(fields, edges, edges[1:], strict=False)
            ]
        row = np.dtype([(f"f{k}", self._types[kind], (size,)) for k, (kind, size) in enumerate(fields)])
        data = np.frombuffer(self.take_bytes(count * row.itemsize), row)
        return [data[f"f{k}"].astype(np.float64 if kind == "d" else np.int64) for k, (kind, _) in enumerate(fields)]

    def heads(self, count: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """First numbers of each of the next `count` lines of text: an integer, then floats."""
        lines = [line for line in self._rest.split(b"\n") if line.strip()][:count]
        words = [word for line in lines for word in line.split()[:width]]
        if len(words) != count * width:
            raise DamagedFile("a section ends too soon")
        table = _parsed(b" ".join(words)).reshape(count, width)
        return self._as_kind(table[:, 0], "i"), table[:, 1:]

    def count_line(self) -> int:
        """Read the number on the first line, which is text in binary files too."""
        line, _, self._rest = self._rest.lstrip().partition(b"\n")
        if not line.strip().isdigit() or len(line) > 20:
            raise DamagedFile(f"a section starts with {line[:40].decode('latin-1').strip()!r}, not with a number")
        return int(line)

    def integers(self) -> NDArray[np.int64]:
        """All numbers of an integer section."""
        if self.order is None:
            return np.asarray(self._as_kind(_parsed(self._rest), "i"))
        return np.frombuffer(self._rest[: len(self._rest) // 4 * 4], self._types["i"]).astype(np.int64)

    def take_bytes(self, count: int) -> bytes:
        """Take the next bytes of a binary section."""
        data = self._rest[self._at : self._at + count]
        if len(data) < count:
            raise DamagedFile("a section ends too soon")
        self._at += count
        return data

    def _take_words(self, count: int) -> NDArray[np.float64]:
        if self._words is None:
            self._words = _parsed(self._rest)
        if self._at + count > self._words.size:
            raise DamagedFile("a section ends too soon")
        self._at += count
        return self._words[self._at - count : self._at]

    @staticmethod
    def _as_kind(words: NDArray[np.float64], kind: str) -> NDArray[Any]:
        if kind == "d":
            return words
        if not (abs(words) <= LARGEST_INTEGER).all() or (words != np.floor(words)).any():
            raise DamagedFile("it has a non-integer where an integer is expected")
        return words.astype(np.int64)


def _parsed(text: bytes) -> NDArray[np.float64]:
    """Parse numbers separated by white space."""
    with warnings.catch_warnings():
        # numpy warns about text that is not a number and stops parsing.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            raise DamagedFile("text where numbers should be") from None
