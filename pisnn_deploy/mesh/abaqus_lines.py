"""Split an Abaqus input file into blocks: a keyword, its parameters, and the data lines below it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError


@dataclass(frozen=True)
class Block:
    """A keyword with its parameters and data.

    Attributes
    ----------
    line : int
        Line number of the keyword, from 1.
    keyword : str
        In upper case, without the asterisk, words separated by single spaces.
    parameters : mapping of str to str
        Values by upper-case name; empty for a parameter without a value.
    data : tuple of str
        Lines below the keyword, without comments and empty lines.
    """

    path: Path
    line: int
    keyword: str
    parameters: Mapping[str, str]
    data: tuple[str, ...]

    def error(self, problem: str, remedy: str = "") -> FileError:
        """An error that points to this block."""
        return FileError(self.path, problem, field=f"line {self.line}", remedy=remedy)

    def fields(self) -> list[list[str]]:
        """Comma-separated words of each data line."""
        return [[word.strip() for word in line.rstrip(", ").split(",")] for line in self.data]

    def numbers(self, least: int, most: int) -> NDArray[np.float64]:
        """Read the data as numbers.

        Parameters
        ----------
        least : int
            Numbers that each line must have.
        most : int
            Columns of the table; shorter lines are filled with 0, longer ones cut.

        Raises
        ------
        FileError
            A line has fewer than `least` numbers, or something else.
        """
        lines = [line.rstrip(", ") for line in self.data]
        widths = np.array([line.count(",") + 1 for line in lines], np.int64)
        table = np.zeros((len(lines), most))
        for width in np.unique(widths).tolist():
            rows = np.flatnonzero(widths == width)
            words = _parsed(",".join(lines[row] for row in rows))
            if width < least or words is None or words.size != rows.size * width:
                wrong = next((lines[row] for row in rows if _count(lines[row]) != width), lines[rows[0]])
                raise self.error(f"*{self.keyword} has the data {wrong[:60]!r}, expected at least {least} numbers")
            table[rows, : min(width, most)] = words.reshape(rows.size, width)[:, :most]
        return table

    def elements(self, corners: int) -> NDArray[np.int64]:
        """Read the data as elements, each a number and its corners; a trailing comma continues an incomplete element.

        Raises
        ------
        FileError
            An element has the wrong number of corners, or a number is not an integer.
        """
        lines, begun = [], ""
        for line in self.data:
            begun += line
            if not (line.endswith(",") and begun.count(",") <= corners):
                lines.append(begun.rstrip(", "))
                begun = ""
        if begun:
            lines.append(begun.rstrip(", "))
        # Beams may have an extra node that gives their orientation.
        most = corners + 1 if corners > 2 else corners + 2
        wrong = next((line for line in lines if not corners <= line.count(",") < most), None)
        if wrong is not None:
            raise self.error(f"*{self.keyword} has the data {wrong[:60]!r}, expected a number and {corners} nodes")
        return replace(self, data=tuple(lines)).integers(1 + corners, 1 + corners)

    def integers(self, least: int, most: int) -> NDArray[np.int64]:
        """Read the data as integers; like `numbers` otherwise.

        Raises
        ------
        FileError
            A line has fewer than `least` numbers, or a number is not an integer.
        """
        return self.as_integers(self.numbers(least, most))

    def as_integers(self, table: NDArray[np.float64]) -> NDArray[np.int64]:
        """Convert numbers of the data to integers.

        Raises
        ------
        FileError
            A number is not an integer.
        """
        if not (abs(table) < 2**53).all() or (table != np.floor(table)).any():
            raise self.error(f"*{self.keyword} has a number that is not an integer")
        return table.astype(np.int64)


def blocks(path: Path, content: bytes) -> Iterator[Block]:
    """Yield the blocks of a file.

    Raises
    ------
    FileError
        The file does not start with a keyword.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    head, at = "", 0
    data: list[str] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("**"):
            continue
        if line.startswith("*"):
            if head:
                yield _block(path, at, head, data)
            head, at, data = line, number, []
        elif not head:
            raise FileError(path, "is damaged, or not Abaqus (it does not start with a keyword)")
        elif not data and head.endswith(","):
            head += line
        else:
            data.append(line)
    if not head:
        raise FileError(path, "is damaged, or not Abaqus (it has no keyword)")
    yield _block(path, at, head, data)


def _block(path: Path, line: int, head: str, data: Sequence[str]) -> Block:
    keyword, *parameters = head[1:].split(",")
    values = {}
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip():
            values["".join(key.split()).upper()] = value.strip().strip('"')
    return Block(path, line, " ".join(keyword.upper().split()), values, tuple(data))


def _count(line: str) -> int:
    words = _parsed(line)
    return -1 if words is None else words.size


def _parsed(text: str) -> NDArray[np.float64] | None:
    """Parse comma-separated numbers; None if the text holds anything else."""
    with warnings.catch_warnings():
        # numpy warns about text that is not a number and stops parsing.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text.replace("D", "E").replace("d", "e"), np.float64, sep=",")
        except (DeprecationWarning, ValueError):
            return None
