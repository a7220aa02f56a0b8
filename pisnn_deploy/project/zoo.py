"""The zoo: trained models and recipes of laws that come with the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.suggestions import did_you_mean

_PACKAGE = "pisnn_deploy.models"
_MODEL = "model.pt"
_RECIPE = "recipe.yaml"
_FLUXES = "fluxes.safetensors"
"""Checkpoint of a law whose recipe says that it is trained."""


def names() -> tuple[str, ...]:
    """Names of the trained models, sorted."""
    return _with(_MODEL)


def laws() -> tuple[str, ...]:
    """Names of the laws, sorted: recipes that are compiled as they are, or with a checkpoint of their fluxes."""
    return tuple(name for name in _with(_RECIPE) if name not in names())


def _with(member: str) -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in files(_PACKAGE).iterdir() if entry.joinpath(member).is_file()))


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
    """Recipe of a model or law of the zoo.

    Raises
    ------
    UsageError
        There is neither.
    """
    with _path(name, _RECIPE) as path:
        yield path


@contextmanager
def law_path(name: str) -> Iterator[Path]:
    """What a law of the zoo is compiled from: its checkpoint if it has one, else its recipe.

    Raises
    ------
    UsageError
        There is no such law.
    """
    with _path(name, _FLUXES if name in _with(_FLUXES) else _RECIPE) as path:
        yield path


@contextmanager
def _path(name: str, member: str) -> Iterator[Path]:
    entry = files(_PACKAGE).joinpath(name).joinpath(member)
    if member == _MODEL and name in laws():
        raise UsageError(f"model {name!r} is a law, which has no checkpoint; see `pisnn-deploy law show {name}`")
    # Looked up among the folders, so that no name can leave the zoo.
    if name not in {folder.name for folder in files(_PACKAGE).iterdir()} or not entry.is_file():
        known = f"{', '.join(names())}; its laws are {', '.join(laws())}"
        hint = did_you_mean(name, [*names(), *laws()])
        raise UsageError(f"model {name!r}{hint}: no such file, and the zoo has only {known}")
    with as_file(entry) as path:
        yield path
