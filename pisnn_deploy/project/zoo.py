"""The zoo: trained models that come with the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from pisnn_deploy.core.errors import UsageError

_PACKAGE = "pisnn_deploy.models"
_MODEL = "model.pt"
_RECIPE = "recipe.yaml"


def names() -> tuple[str, ...]:
    """Names of the models, sorted."""
    return tuple(sorted(entry.name for entry in files(_PACKAGE).iterdir() if entry.joinpath(_MODEL).is_file()))


@contextmanager
def model_path(name: str) -> Iterator[Path]:
    """Checkpoint of a model of the zoo.

    Raises
    ------
    UsageError
        There is no such model; the message lists those that exist.
    """
    with _path(name, _MODEL) as path:
        yield path


@contextmanager
def recipe_path(name: str) -> Iterator[Path]:
    """Recipe of a model of the zoo.

    Raises
    ------
    UsageError
        There is no such model.
    """
    with _path(name, _RECIPE) as path:
        yield path


@contextmanager
def _path(name: str, member: str) -> Iterator[Path]:
    entry = files(_PACKAGE).joinpath(name).joinpath(member)
    # Looked up among the folders, so that no name can leave the zoo.
    if name not in {folder.name for folder in files(_PACKAGE).iterdir()} or not entry.is_file():
        raise UsageError(f"model {name!r}: no such file, and the zoo has only {', '.join(names())}")
    with as_file(entry) as path:
        yield path
