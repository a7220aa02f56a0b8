"""Fuzz targets, and the list of all of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzz import targets
from pisnn_deploy.core.errors import UsageError

ROOT = Path(__file__).parents[1]
SEEDS = Path(__file__).parent / "seeds"
"""Committed inputs, a folder for each target: what the fuzzing found, and what cannot be generated."""
PLAIN_SIZE = 1 << 12
"""Bytes of the largest input, unless a target names more."""

Change = Callable[[bytes, int], bytes]
"""libFuzzer's own mutation: bytes, and the most bytes that it may return."""
Mutate = Callable[[Random, bytes, Change], bytes]
"""Mutation that knows a format; it hands parts of the input to libFuzzer's."""


@dataclass(frozen=True)
class Target:
    """A reader of untrusted files.

    Attributes
    ----------
    file_name : str
        Name under which each input is stored.
    read : callable
        Reads the file. Returns, or raises an error of this package that ends with exit code 2; whatever it accepts, it
        must find well formed, and equal after being written and read again.
    seeds : callable
        Given an empty folder to work in, files that the reader accepts.
    mutate : callable, optional
        Mutation for formats that bytes alone do not get into; libFuzzer's own if None.
    words : tuple of bytes
        libFuzzer's dictionary: words of the format.
    size : int
        Bytes of the largest input.
    is_apart : bool
        Whether the product reads such files in a process of its own, which may die or hang.
    """

    file_name: str
    read: Callable[[Path], object]
    seeds: Callable[[Path], Sequence[bytes]]
    mutate: Mutate | None = None
    words: tuple[bytes, ...] = ()
    size: int = PLAIN_SIZE
    is_apart: bool = False


def target_names() -> tuple[str, ...]:
    """List all targets: the modules of `fuzz.targets`."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(targets.__path__)))


def load_target(name: str) -> Target:
    """The target of a module of `fuzz.targets`."""
    target: Target = importlib.import_module(f"fuzz.targets.{name}").TARGET
    return target


def committed_seeds(name: str) -> dict[str, bytes]:
    """Committed inputs of a target by their file names."""
    return {path.name: path.read_bytes() for path in sorted((SEEDS / name).glob("*")) if path.is_file()}


def text_of(path: Path) -> str:
    """Text of an input, as the caller would have decoded it."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise UsageError("no text") from error


def literal(*contents: bytes) -> Callable[[Path], Sequence[bytes]]:
    """Seeds given literally."""
    return lambda folder: contents


def files(*patterns: str) -> Callable[[Path], Sequence[bytes]]:
    """Seeds from files of this repository."""
    return lambda folder: [path.read_bytes() for pattern in patterns for path in sorted(ROOT.glob(pattern))]
