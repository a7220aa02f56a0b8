"""Loading and validating profiles: those of the library and those of a user."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.core.printable import printable
from pisnn_deploy.target.flaws import Problem, problems_of
from pisnn_deploy.target.inheritance import SUFFIX, Lineage, find, names, read_lineage
from pisnn_deploy.target.schema import Profile

DEFAULT = "loihi2"
"""What is checked where nobody names a profile."""
LIBRARY = "library"
_LONGEST_NAME = 128


def load_profile(name_or_path: str) -> Profile:
    """Load a profile with all that it inherits (`pisnn_deploy.target.inheritance`).

    Parameters
    ----------
    name_or_path : str
        Name in the library (``loihi2``), or a YAML file.

    Returns
    -------
    Profile
        A file that bears a name of the library without being that profile is named after its file.

    Raises
    ------
    UsageError
        Neither a name in the library nor a file.
    FileError
        A file that is not a valid profile; the message names the field.
    """
    return _of_library(name_or_path) if name_or_path in names() else _loaded(name_or_path)


@cache
def _of_library(name: str) -> Profile:
    """A profile of the library, which is read and validated once: that takes as long as compiling a small model."""
    return _loaded(name)


def _loaded(name_or_path: str) -> Profile:
    path, lineage = _read(name_or_path)
    wrong = problems_of(lineage.document, str(path))
    if wrong:
        first, others = wrong[0], len(wrong) - 1
        more = f" (and {others} more: see `pisnn-deploy profiles validate`)" if others else ""
        remedy = first.remedy + more if first.expected else ""
        problem = first.problem if first.expected else first.problem + more
        raise FileError(path, problem, field=first.field, remedy=remedy)
    profile = Profile.model_validate(lineage.document)
    if name_or_path in names() or profile.name not in names() or profile == load_profile(profile.name):
        return profile
    return profile.model_copy(update={"name": _named_after(name_or_path)})


def _named_after(path: str) -> str:
    """A name that no profile of the library has."""
    own = Path(path).name
    return printable(path if own in names() else own)[:_LONGEST_NAME]


def own_profile(named: str, artifact: str) -> Profile:
    """The profile that an artifact names, which may come from anyone: one of the library, never a file.

    Parameters
    ----------
    named : str
        As the artifact has it; empty for none, which is `DEFAULT`.
    artifact : str
        For the message.

    Raises
    ------
    UsageError
        The library has no such profile.
    """
    name = named or DEFAULT
    if name not in names():
        raise UsageError(
            f"{artifact}: was compiled for the profile {printable(name)!r}, which is not in the library; name the "
            "profile to check it against with `profile`"
        )
    return load_profile(name)


def digest_of_profile(profile: Profile) -> str:
    """SHA-256 of a profile with all that it inherits, hexadecimal."""
    return hashlib.sha256(profile.model_dump_json().encode()).hexdigest()


def source_of(name_or_path: str) -> str:
    """Where `load_profile` finds a profile: `LIBRARY`, or the path of the file."""
    return LIBRARY if name_or_path in names() else name_or_path


def parents_of(name_or_path: str) -> tuple[str, ...]:
    """What a profile extends.

    Returns
    -------
    tuple of str
        Names and paths as the files say them: the nearest first, none for a profile that extends nothing.

    Raises
    ------
    UsageError
        There is no such profile, or it cannot be read.
    """
    return _read(name_or_path)[1].parents


def validate_profile(name_or_path: str) -> tuple[Problem, ...]:
    """Look for everything that is wrong with a profile.

    Parameters
    ----------
    name_or_path : str
        Name in the library, or a YAML file.

    Returns
    -------
    tuple of Problem
        None for a valid profile; one only for a file that cannot be read or extended.
    """
    try:
        path, lineage = _read(name_or_path)
    except FileError as error:
        return (Problem(str(error.path), error.field, error.problem, error.remedy.removeprefix("expected ")),)
    except UsageError:
        expected = f"{', '.join(names())}, or a {SUFFIX} file"
        return (Problem(name_or_path, "", "is neither a profile of the library nor a file", expected),)
    return problems_of(lineage.document, str(path))


def _read(name_or_path: str) -> tuple[Path, Lineage]:
    with ExitStack() as stack:
        path = find(name_or_path, Path(), stack)
        if path is None:
            raise UsageError(
                f"profile {name_or_path!r} is unknown; the library has {', '.join(names())}, or give a {SUFFIX} file"
            )
        return path, read_lineage(path, stack)
