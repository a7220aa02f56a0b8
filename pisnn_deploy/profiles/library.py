"""Finding and loading profiles: those of the library and those of a user."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pisnn_deploy.errors import FileError, UsageError
from pisnn_deploy.plain_yaml import read_mapping
from pisnn_deploy.profiles.schema import Profile

PACKAGE = "pisnn_deploy.hardware_profiles"
"""The package whose YAML files are the library."""
SUFFIX = ".yaml"


def names() -> tuple[str, ...]:
    """Names of the library's profiles, sorted."""
    entries = (entry.name for entry in files(PACKAGE).iterdir())
    return tuple(sorted(name[: -len(SUFFIX)] for name in entries if name.endswith(SUFFIX)))


def load_profile(name_or_path: str) -> Profile:
    """Load a profile.

    A profile may say ``extends:`` with the name of one in the library, or the path of a file beside it; it then gives
    only what differs. A figure is replaced whole: its source never outlives its value.

    Parameters
    ----------
    name_or_path : str
        Name in the library (``loihi2``), or a YAML file.

    Returns
    -------
    Profile

    Raises
    ------
    UsageError
        Neither a name in the library nor a file.
    FileError
        A file that is not a valid profile; the message names the field.
    """
    with ExitStack() as stack:
        path = _find(name_or_path, Path(), stack)
        if path is None:
            raise UsageError(
                f"profile {name_or_path!r} is unknown; the library has {', '.join(names())}, or give a {SUFFIX} file"
            )
        document = _resolve(path, (), stack)
        try:
            return Profile.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            others = error.error_count() - 1
            field = ".".join(str(part) for part in first["loc"])
            more = f" (and {others} more)" if others else ""
            raise FileError(path, _sentence(first["type"], first["msg"]) + more, field=field) from error


def _find(name_or_path: str, folder: Path, stack: ExitStack) -> Path | None:
    if name_or_path in names():
        return stack.enter_context(as_file(files(PACKAGE) / (name_or_path + SUFFIX)))
    if "\0" in name_or_path:
        return None
    path = folder / name_or_path
    return path if path.suffix in (SUFFIX, ".yml") or path.is_file() else None


def _resolve(path: Path, descendants: tuple[Path, ...], stack: ExitStack) -> dict[str, Any]:
    """Read a profile and lay it over the one that it extends."""
    real = path.resolve()
    if real in descendants:
        raise FileError(path, "extends itself, directly or by way of another profile", field="extends")
    document = read_mapping(path)
    if "extends" not in document:
        return document
    parent = document.pop("extends")
    if not isinstance(parent, str):
        raise FileError(path, f"must name a profile, found {parent!r}", field="extends")
    found = _find(parent, path.parent, stack)
    if found is None:
        raise FileError(path, f"profile {parent!r} is unknown; the library has {', '.join(names())}", field="extends")
    return _overlay(_resolve(found, (*descendants, real), stack), document)


def _overlay(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, change in changes.items():
        old = result.get(key)
        is_section = isinstance(old, dict) and isinstance(change, dict) and "value" not in old
        result[key] = _overlay(old, change) if is_section and old is not None else change
    return result


def _sentence(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not a field of a profile"
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]
