"""Reading and writing checkpoints (docs/checkpoint.md)."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from pisnn_deploy.errors import FileError
from pisnn_deploy.model import Model, ModelSpec
from pisnn_deploy.npy import DAMAGED_ARCHIVE
from pisnn_deploy.output import write_whole

SCHEMA = "pisnn-deploy/checkpoint"
VERSION = 1
LARGEST_CHECKPOINT = 1 << 30
"""Bytes, of the file and of all its members together."""
LARGEST_COUNT = 4096
"""Members of the archive."""
_KEYS = {"schema", "version", "spec", "weights", "biases", "training"}


def write_checkpoint(path: Path, model: Model, training: Mapping[str, object]) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : Path
    model : Model
    training : mapping
        Plain data about the training, kept for people.

    Raises
    ------
    FileError
        The file cannot be written.
    """
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

    Parameters
    ----------
    path : Path

    Returns
    -------
    Model

    Raises
    ------
    FileError
        Not a checkpoint of this version, or its content is not what it must be.
    """
    path = Path(path)
    content = load_tensors(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise FileError(
            path, "is a torch file, but not a pisnn-deploy checkpoint", remedy="docs/checkpoint.md has the schema"
        )
    if content.get("version") != VERSION:
        raise FileError(path, f"must be {VERSION}, it is {content.get('version')!r}", field="version")
    for key in sorted(_KEYS ^ set(content), key=str):
        raise FileError(path, "is missing" if key in _KEYS else "is unknown", field=str(key))
    try:
        spec = ModelSpec.model_validate(content["spec"])
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(("spec", *(str(part) for part in first["loc"])))
        raise FileError(path, str(first["msg"]), field=field) from error
    model = Model(spec, _arrays(path, content, "weights"), _arrays(path, content, "biases"))
    for problem in model.problems():
        raise FileError(path, problem)
    return model


def load_tensors(path: Path) -> Any:
    """Load plain data and tensors from an untrusted torch file, without executing anything.

    The zip format only: torch 2.3 executes code from legacy files in spite of ``weights_only`` (CVE-2025-32434). Sizes
    are looked at before anything is allocated.

    Parameters
    ----------
    path : Path

    Returns
    -------
    object

    Raises
    ------
    FileError
        Not such a file.
    """
    remedy = "expected a .pt file in torch's zip format"
    try:
        if path.stat().st_size > LARGEST_CHECKPOINT:
            raise FileError(path, f"is larger than {LARGEST_CHECKPOINT} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except DAMAGED_ARCHIVE as error:
        raise FileError(path, "is not a torch zip file", remedy=remedy) from error
    # torch recognises its zip format by the first bytes and would read anything else as a legacy pickle.
    if not data.startswith(b"PK\x03\x04"):
        raise FileError(path, "is not a torch zip file", remedy=remedy)
    if len(members) > LARGEST_COUNT or sum(member.file_size for member in members) > LARGEST_CHECKPOINT:
        raise FileError(path, f"unpacks to more than {LARGEST_CHECKPOINT} bytes or {LARGEST_COUNT} members")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise FileError(path, "has compressed members, which torch never writes", remedy=remedy)
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise FileError(path, "holds more than plain data and tensors, and was not executed", remedy=remedy) from error
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, AttributeError, IndexError, OSError) as error:
        raise FileError(path, "is damaged, or not a torch file", remedy=remedy) from error


def _arrays(path: Path, content: Mapping[str, Any], field: str) -> tuple[np.ndarray[Any, np.dtype[np.float64]], ...]:
    tensors = content[field]
    if not isinstance(tensors, list):
        raise FileError(path, "must be a list of tensors", field=field)
    arrays = []
    for layer, tensor in enumerate(tensors):
        name = f"{field}.{layer}"
        if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
            raise FileError(path, "must be a dense tensor", field=name)
        if tensor.dtype not in (torch.float32, torch.float64):
            raise FileError(path, f"must be float32 or float64, it is {tensor.dtype}", field=name)
        if tensor.numel() > tensor.untyped_storage().nbytes() // tensor.element_size():
            raise FileError(path, "is larger than what is stored for it", field=name)
        arrays.append(tensor.detach().to(torch.float64).numpy().copy())
    return tuple(arrays)
