"""Files of checkpoints: plain data and arrays of one version and one kind, in safetensors or in torch's format."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.core.reading import SAFETENSORS, START_OF_SAFETENSORS, is_safetensors, parse_plain_json, read_bytes
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
LONGEST_NAME = 64
_OF_MODELS = ("weights", "biases")
_OF_LAWS = (*_OF_MODELS, "outputs", "constants")

Floats = NDArray[np.float64]


def write_content(
    path: Path, plain: Mapping[str, object], arrays: Mapping[str, Sequence[Floats]], training: Mapping[str, object]
) -> None:
    """Write a checkpoint atomically, as safetensors, or in torch's format if the suffix is ``.pt``.

    Parameters
    ----------
    plain : mapping
        Plain data by key.
    arrays : mapping of str to sequence of float64 array
        Lists of tensors by key.
    training : mapping
        Plain data about the training, for information.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    is_torch = path.suffix.lower() == TORCH
    write_whole(path, (_torch_bytes if is_torch else _safetensors_bytes)(plain, arrays, training))


def _safetensors_bytes(
    plain: Mapping[str, object], arrays: Mapping[str, Sequence[Floats]], training: Mapping[str, object]
) -> bytes:
    named = {f"{key}.{number}": array for key, parts in arrays.items() for number, array in enumerate(parts)}
    text = {"version": VERSION, **plain, "training": strict(training)}
    return safetensors_bytes(named, SCHEMA, json.dumps(text, allow_nan=False, sort_keys=True))


def _torch_bytes(
    plain: Mapping[str, object], arrays: Mapping[str, Sequence[Floats]], training: Mapping[str, object]
) -> bytes:
    import torch  # takes two seconds, and is not needed for reading

    tensors = {key: [torch.from_numpy(np.ascontiguousarray(array)) for array in parts] for key, parts in arrays.items()}
    buffer = io.BytesIO()
    torch.save({"schema": SCHEMA, "version": VERSION_OF_TORCH, **plain, **tensors, "training": dict(training)}, buffer)
    return buffer.getvalue()


def read_content(path: Path) -> tuple[dict[str, Any], dict[str, tuple[Floats, ...]]]:
    """Read a checkpoint from an untrusted file.

    Returns
    -------
    plain : dict
        ``spec``, and the other plain data of its kind, not checked.
    arrays : dict of str to tuple of float64 array
        The lists of tensors of its kind, of any shapes and values.

    Raises
    ------
    FileError
        The file is not a checkpoint of a supported version.
    """
    path = Path(path)
    data = read_bytes(path, LARGEST_FILE)
    if is_safetensors(data[:START_OF_SAFETENSORS]) or path.suffix.lower() == SAFETENSORS:
        content = _content_of_safetensors(path, data)
    else:
        content = _content_of_torch(path, data)
    return content, {key: _arrays(path, content, key) for key in _lists(content)}


def is_of_law(content: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is one of a law."""
    spec = content.get("spec")
    return isinstance(spec, dict) and spec.get("equation") == "law"


def _lists(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys of its lists of tensors."""
    return _OF_LAWS if is_of_law(content) else _OF_MODELS


def _plain_keys(content: Mapping[str, Any]) -> set[str]:
    return {"version", "spec", "training", *(("fluxes",) if is_of_law(content) else ())}


def _content_of_safetensors(path: Path, data: bytes) -> dict[str, Any]:
    """Read the plain data and the lists of arrays; any other content is refused."""
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
    _require_keys(path, content, _plain_keys(content))
    names = {
        key: [f"{key}.{number}" for number in range(sum(name.startswith(f"{key}.") for name in parsed.arrays))]
        for key in _lists(content)
    }
    _require_keys(path, parsed.arrays, {name for parts in names.values() for name in parts})
    return content | {key: [parsed.arrays[name] for name in parts] for key, parts in names.items()}


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
    _require_keys(path, content, {"schema", *_plain_keys(content), *_lists(content)})
    return content


def _require_version(path: Path, version: object, expected: int) -> None:
    if type(version) is not int or version != expected:
        # Other data could be arbitrarily long as text.
        actual = f", not {version}" if type(version) is int else ""
        raise FileError(path, f"must be {expected}{actual}", field="version")


def _require_keys(path: Path, content: Mapping[str, Any], expected: set[str]) -> None:
    for key in sorted(expected ^ set(content)):
        raise FileError(path, "is missing" if key in expected else "is unknown", field=key[:LONGEST_NAME])


def _arrays(path: Path, content: Mapping[str, Any], key: str) -> tuple[Floats, ...]:
    tensors = content[key]
    if not isinstance(tensors, list) or len(tensors) > LARGEST_COUNT:
        raise FileError(path, f"must be a list of at most {LARGEST_COUNT} tensors", field=key)
    arrays = []
    for number, tensor in enumerate(tensors):
        name = f"{key}.{number}"
        if not isinstance(tensor, np.ndarray):
            raise FileError(path, "must be a dense tensor", field=name)
        if tensor.dtype not in (np.float32, np.float64):
            raise FileError(path, f"must be float32 or float64, not {tensor.dtype}", field=name)
        arrays.append(tensor.astype(np.float64))
    return tuple(arrays)
