"""Load and validate profiles of the library and of users."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.core.printable import printable
from pisnn_deploy.target.boards import Board, Target, model_of
from pisnn_deploy.target.flaws import Problem, problems_of
from pisnn_deploy.target.inheritance import SUFFIX, Lineage, board_names, find, names, read_lineage
from pisnn_deploy.target.schema import Profile

DEFAULT = "loihi2"
"""Default profile of checks."""
LIBRARY = "library"
_LONGEST_NAME = 128


def load_profile(name_or_path: str) -> Profile:
    """Load the profile of a chip, for which a graph can be compiled.

    Parameters and errors are those of `load_target`.

    Raises
    ------
    UsageError
        It is the profile of a board, which runs what was compiled for a chip.
    """
    target = load_target(name_or_path)
    if isinstance(target, Board):
        raise UsageError(
            f"profile {name_or_path!r} is a board, which runs exports: compile for a chip, such as generic-int, and "
            f"check the artifact with --profile {name_or_path}"
        )
    return target


def load_board(name_or_path: str) -> Board:
    """Load the profile of a board.

    Parameters and errors are those of `load_target`.

    Raises
    ------
    UsageError
        It is the profile of a chip.
    """
    target = load_target(name_or_path)
    if not isinstance(target, Board):
        raise UsageError(f"profile {name_or_path!r} is a chip, not a board; boards are {', '.join(board_names())}")
    return target


def load_target(name_or_path: str) -> Target:
    """Load a profile of a chip or a board, including inherited fields (`pisnn_deploy.target.inheritance`).

    Parameters
    ----------
    name_or_path : str
        Name in the library (``loihi2``), or path of a YAML file.

    Returns
    -------
    Profile or Board
        A profile from a file that uses the name of another one in the library is renamed after its file.

    Raises
    ------
    UsageError
        The name is not in the library, and there is no such file.
    FileError
        The file is not a valid profile; the message names the field.
    """
    return _of_library(name_or_path) if name_or_path in _library() else _loaded(name_or_path)


def _library() -> tuple[str, ...]:
    """Names of all profiles of the library."""
    return (*names(), *board_names())


@cache
def _of_library(name: str) -> Target:
    """A profile of the library, which is read and validated once: that takes as long as compiling a small model."""
    return _loaded(name)


def _loaded(name_or_path: str) -> Target:
    path, lineage = _read(name_or_path)
    wrong = problems_of(lineage.document, str(path))
    if wrong:
        first, others = wrong[0], len(wrong) - 1
        more = f" (and {others} more: see `pisnn-deploy profiles validate`)" if others else ""
        remedy = first.remedy + more if first.expected else ""
        problem = first.problem if first.expected else first.problem + more
        raise FileError(path, problem, field=first.field, remedy=remedy)
    profile = model_of(lineage.document).model_validate(lineage.document)
    if name_or_path in _library() or profile.name not in _library() or profile == load_target(profile.name):
        return profile
    return profile.model_copy(update={"name": _named_after(name_or_path)})


def _named_after(path: str) -> str:
    """Name that no profile of the library has."""
    file_name = Path(path).name
    return printable(path if file_name in _library() else file_name)[:_LONGEST_NAME]


def own_profile(named: str, artifact: str) -> Profile:
    """Load the profile that an untrusted artifact names: only from the library, never from a file.

    Parameters
    ----------
    named : str
        Name in the artifact; empty means `DEFAULT`.
    artifact : str
        Name of the artifact, for the error message.

    Raises
    ------
    UsageError
        The library has no such profile.
    """
    name = named or DEFAULT
    if name not in names():
        raise UsageError(
            f"{artifact}: was compiled for the profile {printable(name)!r}, which is not in the library; give the "
            "profile to check against with `profile`"
        )
    return load_profile(name)


def digest_of_profile(profile: Target) -> str:
    """SHA-256 of a profile, including inherited fields, hexadecimal."""
    return hashlib.sha256(profile.model_dump_json().encode()).hexdigest()


def source_of(name_or_path: str) -> str:
    """Where `load_profile` finds a profile: `LIBRARY`, or the path of the file."""
    return LIBRARY if name_or_path in _library() else name_or_path


def parents_of(name_or_path: str) -> tuple[str, ...]:
    """Profiles that a profile extends.

    Returns
    -------
    tuple of str
        Names and paths as in the files, nearest first.

    Raises
    ------
    UsageError
        There is no such profile, or it cannot be read.
    """
    return _read(name_or_path)[1].parents


def validate_profile(name_or_path: str) -> tuple[Problem, ...]:
    """Find all problems of a profile.

    Parameters
    ----------
    name_or_path : str
        Name in the library, or path of a YAML file.

    Returns
    -------
    tuple of Problem
        Empty for a valid profile; a single one if the file or one that it extends cannot be read.
    """
    try:
        path, lineage = _read(name_or_path)
    except FileError as error:
        return (Problem(str(error.path), error.field, error.problem, error.remedy.removeprefix("expected ")),)
    except UsageError:
        expected = f"{', '.join(_library())}, or a {SUFFIX} file"
        return (Problem(name_or_path, "", "is neither in the library nor a file", expected),)
    return problems_of(lineage.document, str(path))


def _read(name_or_path: str) -> tuple[Path, Lineage]:
    with ExitStack() as stack:
        path = find(name_or_path, Path(), stack)
        if path is None:
            raise UsageError(f"profile {name_or_path!r} is unknown; use {', '.join(_library())}, or a {SUFFIX} file")
        return path, read_lineage(path, stack)
