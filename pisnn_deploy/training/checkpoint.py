"""Reading and writing checkpoints (docs/reference/checkpoint.md)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.field_errors import problem_text
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.physics.model import Model, ModelSpec
from pisnn_deploy.training.foreign_files import foreign_content
from pisnn_deploy.training.tensor_file import read_tensors

SCHEMA = "pisnn-deploy/checkpoint"
VERSION = 1
LARGEST_COUNT = 16
"""Tensors of a list; a network has at most nine layers."""
_LONGEST_NAME = 64
_KEYS = {"schema", "version", "spec", "weights", "biases", "training"}


def write_checkpoint(path: Path, model: Model, training: Mapping[str, object]) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    training : mapping
        Plain data about the training, kept for people.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    import torch  # reading needs none, and takes two seconds less

    content = {
        "schema": SCHEMA,
        "version": VERSION,
        "spec": model.spec.model_dump(mode="json"),
        "weights": [torch.from_numpy(np.ascontiguousarray(weight)) for weight in model.weights],
        "biases": [torch.from_numpy(np.ascontiguousarray(bias)) for bias in model.biases],
        "training": dict(training),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, buffer.getvalue())


def read_checkpoint(path: Path) -> Model:
    """Read a checkpoint from an untrusted file.

    Raises
    ------
    FileError
        Not a checkpoint of this version, or its content is not what it must be.
    """
    path = Path(path)
    content = read_tensors(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        problem, remedy = foreign_content(content) or (
            "is a torch file, but not a pisnn-deploy checkpoint",
            "docs/reference/checkpoint.md has the schema",
        )
        raise FileError(path, problem, remedy=remedy)
    version = content.get("version")
    if type(version) is not int or version != VERSION:
        # Of other data the text may be endless.
        actual = f", it is {version}" if type(version) is int else ""
        raise FileError(path, f"must be {VERSION}{actual}", field="version")
    if not all(isinstance(key, str) for key in content):
        raise FileError(path, "has a key that is no text")
    for key in sorted(_KEYS ^ set(content)):
        raise FileError(path, "is missing" if key in _KEYS else "is unknown", field=key[:_LONGEST_NAME])
    try:
        spec = ModelSpec.model_validate(content["spec"])
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(("spec", *(str(part)[:_LONGEST_NAME] for part in first["loc"])))
        raise FileError(path, problem_text(first, tuple(ModelSpec.model_fields)), field=field) from error
    model = Model(spec, _arrays(path, content, "weights"), _arrays(path, content, "biases"))
    for problem in model.problems():
        raise FileError(path, problem)
    return model


def _arrays(path: Path, content: Mapping[str, Any], field: str) -> tuple[NDArray[np.float64], ...]:
    tensors = content[field]
    if not isinstance(tensors, list) or len(tensors) > LARGEST_COUNT:
        raise FileError(path, f"must be a list of tensors, at most {LARGEST_COUNT}", field=field)
    arrays = []
    for layer, tensor in enumerate(tensors):
        name = f"{field}.{layer}"
        if not isinstance(tensor, np.ndarray):
            raise FileError(path, "must be a dense tensor", field=name)
        if tensor.dtype not in (np.float32, np.float64):
            raise FileError(path, f"must be float32 or float64, it is {tensor.dtype}", field=name)
        arrays.append(tensor.astype(np.float64))
    return tuple(arrays)
