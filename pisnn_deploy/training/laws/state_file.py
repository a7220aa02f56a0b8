"""State of an interrupted training of a law, in a safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.training.laws.trainer import Progress
from pisnn_deploy.training.safetensors_file import read_safetensors, safetensors_bytes

Floats = NDArray[np.float64]

SCHEMA = "pisnn-deploy/training-of-law"
_WHOLE = ("rounded", "exponents")
_COUNTS = ("stage", "iteration")
_MAY_BE_INFINITE = ("losses",)


def write_state(path: Path, progress: Progress, mark: str) -> None:
    """Write a state atomically.

    Parameters
    ----------
    mark : str
        Hash of the recipe and the seed.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    arrays = {name: np.asarray(value, np.float64) for name, value in vars(progress).items()}
    write_whole(path, safetensors_bytes(arrays, SCHEMA, mark))


def read_state(path: Path, mark: str, start: Progress, stages: int) -> Progress:
    """Read a state from an untrusted file.

    Parameters
    ----------
    start : Progress
        State at the start of the same training, for the shapes.
    stages : int
        Number of stages.

    Raises
    ------
    FileError
        The file is of another training, or damaged.
    """
    content = read_safetensors(path)
    remedy = "train without `resume`"
    if dict(content.texts) != {SCHEMA: mark}:
        raise FileError(path, "belongs to another recipe or seed", remedy=remedy)
    arrays = {name: np.asarray(array, np.float64) for name, array in content.arrays.items()}
    if not _is_complete(arrays, start, stages):
        raise FileError(path, "is not a complete training state", remedy=remedy)
    return Progress(
        stage=int(arrays["stage"].item()),
        iteration=int(arrays["iteration"].item()),
        parameters=arrays["parameters"].copy(),
        reference=arrays["reference"].copy(),
        damping=float(arrays["damping"].item()),
        finished=arrays["finished"].copy(),
        rounded=arrays["rounded"].astype(np.int64),
        exponents=arrays["exponents"].astype(np.int64),
        loss=float(arrays["loss"].item()),
        losses=arrays["losses"].copy(),
    )


def _is_complete(arrays: Mapping[str, Floats], start: Progress, stages: int) -> bool:
    """Whether arrays have the names, shapes and numbers of a state."""
    size = start.parameters.size
    free = {"finished": (-1, size), "rounded": (-1,), "losses": (-1,)}
    shapes = {name: free.get(name, np.atleast_1d(value).shape) for name, value in vars(start).items()}
    if set(arrays) != set(shapes) or not all(_fits(arrays[name].shape, shape) for name, shape in shapes.items()):
        return False
    if not all(np.isfinite(array).all() for name, array in arrays.items() if name not in _MAY_BE_INFINITE):
        return False
    if not all((arrays[name] == np.rint(arrays[name])).all() for name in (*_WHOLE, *_COUNTS)):
        return False
    limits = {"stage": stages, "iteration": 2**31, "rounded": size - 1, "exponents": 2**31, "damping": np.inf}
    lowest = {"exponents": -(2.0**31), "damping": float(np.finfo(np.float64).tiny)}
    return all(
        bool(((arrays[name] >= lowest.get(name, 0)) & (arrays[name] <= limit)).all()) for name, limit in limits.items()
    )


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether a shape is as expected, where -1 is any length."""
    return len(shape) == len(expected) and all(b in (-1, a) for a, b in zip(shape, expected, strict=True))
