"""Profiles that extend other profiles.

1. ``extends`` names a profile of the library, or else a file relative to the extending one.
2. Sections override those of the parent field by field.
3. Figures are replaced as a whole, so that a source never applies to another value.
4. Each parent must be a valid profile by itself, so that errors are reported where they occur.
5. A chain has at most `LIMIT` profiles; none may extend itself, directly or indirectly.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.target.flaws import problems_of, shown

if TYPE_CHECKING:
    from importlib.abc import Traversable

PACKAGE = "pisnn_deploy.hardware_profiles"
"""Package with the library's YAML files."""
BOARDS = "boards"
"""Folder of that package with the profiles of boards."""
SUFFIX = ".yaml"
_SUFFIXES = (SUFFIX, ".yml")
LIMIT = 8
"""Maximum length of a chain of profiles that extend each other."""


@dataclass(frozen=True)
class Lineage:
    """A profile as read, including inherited fields.

    Attributes
    ----------
    parents : tuple of str
        Extended profiles as named in the files, nearest first.
    document : dict
        All fields, not validated.
    """

    parents: tuple[str, ...]
    document: dict[str, Any]


def names() -> tuple[str, ...]:
    """Names of the library's profiles of chips, for which a graph is compiled, sorted."""
    return _names_in(files(PACKAGE))


def board_names() -> tuple[str, ...]:
    """Names of the library's profiles of boards, which run exports, sorted."""
    return _names_in(files(PACKAGE) / BOARDS)


def _names_in(folder: Traversable) -> tuple[str, ...]:
    entries = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name[: -len(SUFFIX)] for name in entries if name.endswith(SUFFIX)))


def find(name_or_path: str, folder: Path, stack: ExitStack) -> Path | None:
    """Locate the file of a profile.

    Parameters
    ----------
    folder : Path
        Folder that paths are relative to.
    stack : ExitStack
        The file exists until this is closed.

    Returns
    -------
    Path or None
        None if the name is neither in the library nor looks like a file.
    """
    for part, known in ((files(PACKAGE), names()), (files(PACKAGE) / BOARDS, board_names())):
        if name_or_path in known:
            return stack.enter_context(as_file(part / (name_or_path + SUFFIX)))
    if "\0" in name_or_path:
        return None
    path = folder / name_or_path
    try:
        return path if path.suffix in _SUFFIXES or path.is_file() else None
    except OSError:
        # A name too long for any file.
        return None


def read_lineage(path: Path, stack: ExitStack, descendants: tuple[Path, ...] = ()) -> Lineage:
    """Read a profile and the profiles that it extends.

    Parameters
    ----------
    stack : ExitStack
        Files of the library exist until this is closed.
    descendants : tuple of Path
        Profiles that extend this one.

    Raises
    ------
    FileError
        A file cannot be read, or its ``extends`` is invalid.
    """
    document = read_mapping(path)
    if "extends" not in document:
        return Lineage((), document)
    chain = (*descendants, Path(os.path.realpath(path)))
    parent = document.pop("extends")
    if not isinstance(parent, str):
        raise _refused(path, f"found {shown(parent)}", remedy="expected the name of a profile, or a file")
    parent_path = find(parent, path.parent, stack)
    if parent_path is None:
        raise _refused(path, f"profile {parent!r} is unknown; the library has {', '.join((*names(), *board_names()))}")
    if parent_path.suffix not in _SUFFIXES or (parent_path.exists() and not parent_path.is_file()):
        # The profile is untrusted: it must not make this process open other kinds of files.
        raise _refused(path, f"{parent!r} is not a {SUFFIX} file")
    if Path(os.path.realpath(parent_path)) in chain:
        raise _refused(path, f"{parent!r} extends itself, directly or through another profile")
    if len(chain) >= LIMIT:
        raise _refused(path, f"{parent!r} makes the chain too long: at most {LIMIT} profiles may extend each other")
    inherited = read_lineage(parent_path, stack, chain)
    wrong = problems_of(inherited.document, parent)
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise _refused(path, f"{parent!r} is not a valid profile: {wrong[0].field}: {wrong[0].problem}{more}")
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
