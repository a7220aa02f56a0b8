"""Read and write checkpoints (docs/reference/checkpoint.md)."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.field_errors import problem_text
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.core.reading import SAFETENSORS, START_OF_SAFETENSORS, is_safetensors, parse_plain_json, read_bytes
from pisnn_deploy.physics.model import Model, ModelSpec
from pisnn_deploy.training.assessment import strict
from pisnn_deploy.training.foreign_files import foreign_content, foreign_safetensors
from pisnn_deploy.training.safetensors_file import LARGEST_FILE, parse_safetensors, safetensors_bytes
from pisnn_deploy.training.tensor_file import parse_tensors

SCHEMA = "pisnn-deploy/checkpoint"
VERSION = 2
VERSION_OF_TORCH = 1
"""Version of the schema in torch's format, which no longer changes."""
TORCH = ".pt"
"""Suffix of checkpoints in torch's format."""
LARGEST_COUNT = 16
"""Maximum number of tensors in a list; a network has at most nine layers."""
_LONGEST_NAME = 64
_ARRAYS = ("weights", "biases")
_KEYS = {"schema", "version", "spec", "weights", "biases", "training"}


def write_checkpoint(path: Path, model: Model, training: Mapping[str, object]) -> None:
    """Write a checkpoint atomically, as safetensors, or in torch's format if the suffix is ``.pt``.

    Parameters
    ----------
    training : mapping
        Plain data about the training, for information.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    is_torch = path.suffix.lower() == TORCH
    write_whole(path, (_torch_bytes if is_torch else _safetensors_bytes)(model, training))


def _safetensors_bytes(model: Model, training: Mapping[str, object]) -> bytes:
    arrays = {f"{field}.{layer}": array for field in _ARRAYS for layer, array in enumerate(getattr(model, field))}
    text = {"version": VERSION, "spec": model.spec.model_dump(mode="json"), "training": strict(training)}
    return safetensors_bytes(arrays, SCHEMA, json.dumps(text, allow_nan=False, sort_keys=True))


def _torch_bytes(model: Model, training: Mapping[str, object]) -> bytes:
    import torch  # takes two seconds, and is not needed for reading

    content = {
        "schema": SCHEMA,
        "version": VERSION_OF_TORCH,
        "spec": model.spec.model_dump(mode="json"),
        "weights": [torch.from_numpy(np.ascontiguousarray(weight)) for weight in model.weights],
        "biases": [torch.from_numpy(np.ascontiguousarray(bias)) for bias in model.biases],
        "training": dict(training),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def read_checkpoint(path: Path) -> Model:
    """Read a checkpoint from an untrusted file, in safetensors or in torch's format.

    Raises
    ------
    FileError
        The file is not a checkpoint of a supported version, or its content is invalid.
    """
    path = Path(path)
    data = read_bytes(path, LARGEST_FILE)
    if is_safetensors(data[:START_OF_SAFETENSORS]) or path.suffix.lower() == SAFETENSORS:
        content = _content_of_safetensors(path, data)
    else:
        content = _content_of_torch(path, data)
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


def _content_of_safetensors(path: Path, data: bytes) -> dict[str, Any]:
    """Read the spec and the lists of arrays; any other content is refused."""
    parsed = parse_safetensors(path, data)
    if set(parsed.texts) != {SCHEMA}:
        problem, remedy = foreign_safetensors(parsed.texts)
        raise FileError(path, problem, remedy=remedy)
    try:
        content = parse_plain_json(parsed.texts[SCHEMA])
    except (ValueError, RecursionError) as error:
        raise FileError(path, "is not plain JSON", field=SCHEMA) from error
    if not isinstance(content, dict):
        raise FileError(path, "must be an object", field=SCHEMA)
    _require_version(path, content.get("version"), VERSION)
    _require_keys(path, content, _KEYS - set(_ARRAYS) - {"schema"})
    names = {
        field: [f"{field}.{layer}" for layer in range(sum(name.startswith(f"{field}.") for name in parsed.arrays))]
        for field in _ARRAYS
    }
    _require_keys(path, parsed.arrays, {name for field in _ARRAYS for name in names[field]})
    return content | {field: [parsed.arrays[name] for name in names[field]] for field in _ARRAYS}


def _content_of_torch(path: Path, data: bytes) -> dict[str, Any]:
    content = parse_tensors(path, data)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        problem, remedy = foreign_content(content) or (
            "is a torch file, but not a pisnn-deploy checkpoint",
            "docs/reference/checkpoint.md has the schema",
        )
        raise FileError(path, problem, remedy=remedy)
    _require_version(path, content.get("version"), VERSION_OF_TORCH)
    if not all(isinstance(key, str) for key in content):
        raise FileError(path, "has a key that is not text")
    _require_keys(path, content, _KEYS)
    return content


def _require_version(path: Path, version: object, expected: int) -> None:
    if type(version) is not int or version != expected:
        # Other data could be arbitrarily long as text.
        actual = f", not {version}" if type(version) is int else ""
        raise FileError(path, f"must be {expected}{actual}", field="version")


def _require_keys(path: Path, content: Mapping[str, Any], expected: set[str]) -> None:
    for key in sorted(expected ^ set(content)):
        raise FileError(path, "is missing" if key in expected else "is unknown", field=key[:_LONGEST_NAME])


def _arrays(path: Path, content: Mapping[str, Any], field: str) -> tuple[NDArray[np.float64], ...]:
    tensors = content[field]
    if not isinstance(tensors, list) or len(tensors) > LARGEST_COUNT:
        raise FileError(path, f"must be a list of at most {LARGEST_COUNT} tensors", field=field)
    arrays = []
    for layer, tensor in enumerate(tensors):
        name = f"{field}.{layer}"
        if not isinstance(tensor, np.ndarray):
            raise FileError(path, "must be a dense tensor", field=name)
        if tensor.dtype not in (np.float32, np.float64):
            raise FileError(path, f"must be float32 or float64, not {tensor.dtype}", field=name)
        arrays.append(tensor.astype(np.float64))
    return tuple(arrays)
