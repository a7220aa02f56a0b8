"""Read untrusted files and plain JSON, with one-line errors."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.pointers import require_content

SAFETENSORS = ".safetensors"
"""Suffix of safetensors files."""
LARGEST_HEADER = 1 << 20
"""Maximum size of the header of a safetensors file, in bytes."""
START_OF_SAFETENSORS = 9
"""Bytes that identify a safetensors file: the length of its header and an opening brace."""


def is_safetensors(start: bytes) -> bool:
    """Whether a file starts like a safetensors file.

    Parameters
    ----------
    start : bytes
        At least the first `START_OF_SAFETENSORS` bytes.
    """
    length = int.from_bytes(start[: START_OF_SAFETENSORS - 1], "little")
    return start[START_OF_SAFETENSORS - 1 : START_OF_SAFETENSORS] == b"{" and 2 <= length <= LARGEST_HEADER


def read_bytes(path: Path, largest: int, remedy: str = "") -> bytes:
    """Read a file of limited size.

    Parameters
    ----------
    path : Path
        Path of the file.
    largest : int
        Maximum size in bytes; no more is read.
    remedy : str, optional
        What to do if the file is larger.

    Raises
    ------
    FileError
        The file is not a regular file, is a pointer to another one, cannot be read, or is larger.
    """
    require_content(path)
    try:
        # `read` allocates as much as it is asked for.
        size = path.stat().st_size
        with path.open("rb") as file:
            content = file.read(min(size, largest) + 1)
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    if len(content) > largest:
        raise FileError(path, f"is larger than {largest} bytes", remedy=remedy)
    return content


def parse_plain_json(content: bytes | str) -> Any:
    """Parse JSON without repeated keys or numbers that are not finite.

    Parameters
    ----------
    content : bytes or str
        Bytes are UTF-8, UTF-16 or UTF-32.

    Raises
    ------
    ValueError
        The content is invalid; the message says why.
    RecursionError
        The content is nested too deeply.
    """
    return json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is repeated")
    return dict(pairs)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
