"""Files that may come from anyone: their bytes, and plain JSON, or one line that says what is wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.pointers import require_content

SAFETENSORS = ".safetensors"
"""Suffix of such files."""
LARGEST_HEADER = 1 << 20
"""Bytes of the header of a safetensors file."""
START_OF_SAFETENSORS = 9
"""Bytes that tell such a file: the length of its header, and the brace that opens it."""


def is_safetensors(start: bytes) -> bool:
    """Whether a file begins like safetensors.

    Parameters
    ----------
    start : bytes
        At least its first `START_OF_SAFETENSORS` bytes.
    """
    length = int.from_bytes(start[: START_OF_SAFETENSORS - 1], "little")
    return start[START_OF_SAFETENSORS - 1 : START_OF_SAFETENSORS] == b"{" and 2 <= length <= LARGEST_HEADER


def read_bytes(path: Path, largest: int, remedy: str = "") -> bytes:
    """Content of a file.

    Parameters
    ----------
    path : Path
        Of a user.
    largest : int
        Bytes that it may have; no more than that is read.
    remedy : str, optional
        What to do about a larger one.

    Raises
    ------
    FileError
        It is no regular file, stands for another one, cannot be read, or is larger.
    """
    require_content(path)
    try:
        # A reader makes room for all that it is asked for.
        size = path.stat().st_size
        with path.open("rb") as file:
            content = file.read(min(size, largest) + 1)
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    if len(content) > largest:
        raise FileError(path, f"is larger than {largest} bytes", remedy=remedy)
    return content


def parse_plain_json(content: bytes | str) -> Any:
    """What a JSON text holds: no key twice, and only finite numbers.

    Parameters
    ----------
    content : bytes or str
        Bytes are UTF-8, UTF-16 or UTF-32.

    Raises
    ------
    ValueError
        It is not such a text; the message says why.
    RecursionError
        It is nested too deeply to be read.
    """
    return json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
