"""Train models in Python."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

from pisnn_deploy.project.listener import Progress, listener_of
from pisnn_deploy.project.training import train_to_file


def train(
    recipe: str | PathLike[str],
    output: str | PathLike[str] | None = None,
    *,
    seed: int | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train a model from a recipe; needs torch and lava-dl.

    Parameters
    ----------
    recipe : str or path
        A YAML file, or the name of a model in the zoo.
    output : str or path, optional
        Path of the checkpoint (default: next to the recipe, or in the current folder for a model in the zoo).
    seed : int, optional
        Random seed (overrides the recipe).
    resume : bool
        Whether to continue an interrupted training.
    progress : callable, optional
        Called with the number of completed epochs.

    Returns
    -------
    Path
        Path of the checkpoint.

    Raises
    ------
    UsageError
        The recipe is invalid, memory ran out, or torch is missing.
    CheckError
        The training failed; no checkpoint is written.
    """
    path = None if output is None else Path(output)
    training = train_to_file(fspath(recipe), path, seed=seed, resume=resume, listener=listener_of(progress))
    training.require_accepted()
    return training.path
