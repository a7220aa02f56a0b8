"""Profiles that extend others.

1. ``extends`` names a profile of the library, or a file relative to the one that says it; the library comes first.
2. Sections are laid over those of the parent, field by field.
3. A figure is replaced whole: its source never outlives its value.
4. Every parent must be a valid profile by itself, so that a mistake is reported where it was made.
5. At most `LIMIT` profiles in a row; none may extend itself, directly or not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.target.flaws import problems_of, shown

PACKAGE = "pisnn_deploy.hardware_profiles"
"""The package whose YAML files are the library."""
SUFFIX = ".yaml"
_SUFFIXES = (SUFFIX, ".yml")
LIMIT = 8
"""Profiles in a row of which each extends the next."""


@dataclass(frozen=True)
class Lineage:
    """A profile as it was read, with what it inherits.

    Attributes
    ----------
    parents : tuple of str
        What it extends, as the files say it: the nearest first.
    document : dict
        All fields, not validated.
    """

    parents: tuple[str, ...]
    document: dict[str, Any]


def names() -> tuple[str, ...]:
    """Names of the library's profiles, sorted."""
    entries = (entry.name for entry in files(PACKAGE).iterdir())
    return tuple(sorted(name[: -len(SUFFIX)] for name in entries if name.endswith(SUFFIX)))


def find(name_or_path: str, folder: Path, stack: ExitStack) -> Path | None:
    """Find the file of a profile.

    Parameters
    ----------
    folder : Path
        What a path is relative to.
    stack : ExitStack
        Keeps the file while it is open.

    Returns
    -------
    Path or None
        None for what is neither a name in the library nor looks like a file.
    """
    if name_or_path in names():
        return stack.enter_context(as_file(files(PACKAGE) / (name_or_path + SUFFIX)))
    if "\0" in name_or_path:
        return None
    path = folder / name_or_path
    try:
        return path if path.suffix in _SUFFIXES or path.is_file() else None
    except OSError:
        # A name too long for any file.
        return None


def read_lineage(path: Path, stack: ExitStack, descendants: tuple[Path, ...] = ()) -> Lineage:
    """Read a profile and lay it over the one that it extends.

    Parameters
    ----------
    stack : ExitStack
        Keeps files of the library while they are open.
    descendants : tuple of Path
        Profiles that extend this one.

    Raises
    ------
    FileError
        A file cannot be read, or extends what it cannot.
    """
    document = read_mapping(path)
    if "extends" not in document:
        return Lineage((), document)
    chain = (*descendants, Path(os.path.realpath(path)))
    parent = document.pop("extends")
    if not isinstance(parent, str):
        raise _refused(path, f"found {shown(parent)}", remedy="expected the name of a profile, or a file")
    found = find(parent, path.parent, stack)
    if found is None:
        raise _refused(path, f"profile {parent!r} is unknown; the library has {', '.join(names())}")
    if found.suffix not in _SUFFIXES or (found.exists() and not found.is_file()):
        # The profile may come from anyone: no other file is opened because it says so.
        raise _refused(path, f"{parent!r} is no {SUFFIX} file")
    if Path(os.path.realpath(found)) in chain:
        raise _refused(path, f"{parent!r} is extended by itself, directly or by way of another profile")
    if len(chain) >= LIMIT:
        raise _refused(
            path, f"{parent!r} would be one profile too many: at most {LIMIT} may extend one another in a row"
        )
    inherited = read_lineage(found, stack, chain)
    wrong = problems_of(inherited.document, parent)
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise _refused(path, f"{parent!r} is no valid profile: {wrong[0].field}: {wrong[0].problem}{more}")
    return Lineage((parent, *inherited.parents), _overlay(inherited.document, document))


def _refused(path: Path, problem: str, remedy: str = "") -> FileError:
    return FileError(path, problem, field="extends", remedy=remedy)


def _overlay(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, change in changes.items():
        old = result.get(key)
        is_section = isinstance(old, dict) and isinstance(change, dict) and "value" not in old
        result[key] = _overlay(old, change) if is_section and old is not None else change
    return result
