"""Checkpoints in torch's format, from this package and others, and states of interrupted trainings."""

from pathlib import Path
from random import Random

import numpy as np

from fuzz.mutations import Archive
from fuzz.oracle import require
from fuzz.target import ROOT, Change, Target
from pisnn_deploy.training.checkpoint import read_checkpoint
from pisnn_deploy.training.tensor_file import read_tensors

ZOO = ("heat1d", "laplace2d", "advection_diffusion1d", "burgers1d")
DEEPEST = 64


def _seeds(folder: Path) -> list[bytes]:
    return [(ROOT / "models" / name / "model.pt").read_bytes() for name in ZOO]


def _read(path: Path) -> None:
    """Read all tensors, as for a training state, then the checkpoint."""
    _require_plain(read_tensors(path), 0, set())
    model = read_checkpoint(path)
    require(not list(model.problems()), "a model was accepted that has problems")
    for array in (*model.weights, *model.biases):
        require(
            array.dtype == np.float64 and bool(np.isfinite(array).all()), "weights were accepted that are no numbers"
        )


def _require_plain(value: object, depth: int, seen: set[int]) -> None:
    if depth > DEEPEST or id(value) in seen:  # a list may contain itself; the caller refuses it
        return
    known = (type(None), bool, int, float, str, list, tuple, dict, np.ndarray, np.dtype)
    require(isinstance(value, known) or callable(value), f"a {type(value).__name__} was read from a pickle")
    if isinstance(value, np.ndarray):
        require(not value.flags.writeable or value.size == 0, "a tensor can be written to")
        float(value.sum(dtype=np.float64))  # reads every number of the view
    if isinstance(value, list | tuple | dict):
        seen = seen | {id(value)}
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        for item in inner:
            _require_plain(item, depth + 1, seen)


def _member_changed(random: Random, name: str, content: bytes, change: Change) -> bytes:
    return change(content, len(content) + 64)


TARGET = Target("input.pt", _read, _seeds, Archive(member=_member_changed), size=1 << 14)
