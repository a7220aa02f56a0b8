"""Describe files that are not checkpoints: torch, lava-dl and others write many kinds of ``.pt`` files.

Nothing is executed or unpacked; files are recognised by their first bytes and by the names in their archive and pickle.
"""

from __future__ import annotations

import pickletools
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

HOW = (
    "a checkpoint has a spec with its weights: docs/reference/checkpoint.md shows how to write one, or export the "
    "network as ONNX and compile that with `problem`"
)
"""How to make a checkpoint from weights."""
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""Pickled magic number of files from torch before 1.6."""
_SAVE_AGAIN = "if you trust it, load it with torch and save it again"
_REBUILT = "torch._utils _rebuild_"
_TENSOR_PARTS = {"collections OrderedDict", *(f"{_REBUILT}{name}" for name in ("tensor", "tensor_v2", "parameter"))}
_OURS = "pisnn-deploy/checkpoint"
"""Schema name of this package, whose damaged checkpoints are not foreign files."""
_LONGEST = 64
"""Maximum number of characters of a name in a message."""


def foreign_file(data: bytes, names: Collection[str] = ()) -> tuple[str, str] | None:
    """Describe a file that no current version of torch writes.

    Parameters
    ----------
    data : bytes
        Content of the file.
    names : collection of str
        Names of the members, if the file is an archive.

    Returns
    -------
    (str, str) or None
        Problem and remedy; None if the file is not recognised.
    """
    parts = {part for name in names for part in name.split("/")}
    if data.startswith(_LEGACY):
        return "has the format of torch before 1.6", _SAVE_AGAIN
    if data[257:262] == b"ustar" and b"storages" in data[:4096]:
        return "has the format of torch before 0.1.10", _SAVE_AGAIN
    if data[:1] == b"\x80" and data[1:2] in b"\x02\x03\x04\x05":
        return "is a pickle, which is never executed", HOW
    if "constants.pkl" in parts or "code" in parts:
        return "is a TorchScript archive, whose code is never executed", HOW
    if "archive_format" in parts or "serialized_exported_program.json" in parts:
        return "is a program of torch.export, not a checkpoint", HOW
    if names and all(name.endswith(".npy") for name in names):
        return "is an .npz file of numpy arrays, not a checkpoint", HOW
    return None


def foreign_safetensors(texts: Mapping[str, str]) -> tuple[str, str]:
    """Describe a safetensors file that is not a checkpoint.

    Parameters
    ----------
    texts : mapping of str to str
        Metadata of the file.

    Returns
    -------
    (str, str)
        Problem and remedy.
    """
    if _OURS in texts:
        return f"has other metadata than {_OURS}", HOW
    return "is a safetensors file, but not a checkpoint: it only has tensors by name", HOW


def foreign_pickle(content: bytes) -> tuple[str, str] | None:
    """Describe a pickle with more than plain data and tensors, from the names and operations in it.

    Parameters
    ----------
    content : bytes
        The pickle, or the part that was read.

    Returns
    -------
    (str, str) or None
        Problem and remedy; None if the pickle is not recognised, or damaged.
    """
    text, tensor = "", ""
    try:
        for operation, argument, _ in pickletools.genops(content):
            if operation.name == "BINUNICODE":
                text = str(argument)
                if text == _OURS:
                    return None
            elif operation.name == "GLOBAL":
                if not _is_part_of_tensors(str(argument)):
                    name = str(argument).replace(" ", ".")[:_LONGEST]
                    return f"contains an object of {name}, not plain tensors, and was not executed", HOW
                if _REBUILT in str(argument):
                    tensor = tensor or text
    except Exception:  # pickletools can raise anything on damaged content
        return None
    return _state_dict(tensor) if tensor else None


def foreign_content(content: Any) -> tuple[str, str] | None:
    """Describe plain data and tensors that are not a checkpoint.

    Parameters
    ----------
    content : object
        Content of the file, with arrays in place of tensors.

    Returns
    -------
    (str, str) or None
        Problem and remedy; None if the content is not recognised.
    """
    if isinstance(content, np.ndarray):
        return "is a tensor, not a checkpoint", HOW
    if isinstance(content, Mapping):
        if {"state", "param_groups"} <= content.keys():
            return "is the state of an optimiser, not a checkpoint", HOW
        if content and all(isinstance(value, np.ndarray) for value in content.values()):
            return _state_dict(str(next(iter(content))))
        for key, value in content.items():
            if isinstance(value, Mapping) and value and all(isinstance(part, np.ndarray) for part in value.values()):
                return f"has a state_dict under {str(key)[:_LONGEST]!r}, but is not a checkpoint", HOW
    return None


def _state_dict(name: str) -> tuple[str, str]:
    return f"is a state_dict (tensors by name, such as {name[:_LONGEST]!r}), not a checkpoint", HOW


def _is_part_of_tensors(name: str) -> bool:
    module, _, item = name.partition(" ")
    return name in _TENSOR_PARTS or (module in ("torch", "torch.storage") and item.endswith("Storage"))
