"""What a file is instead of a checkpoint, in words: torch, lava-dl and others write many files that end in ``.pt``.

Nothing of them is executed or unpacked: their first bytes, the names in their archive and the names in their pickle
say enough.
"""

from __future__ import annotations

import pickletools
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

HOW = (
    "a checkpoint has a spec beside its weights: docs/reference/checkpoint.md shows how to write one, or export the "
    "network as ONNX and compile that with `problem`"
)
"""How to make a checkpoint of weights."""
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The number that torch before 1.6 begins with, pickled."""
_SAVE_AGAIN = "if you trust it, load it with torch and save it again"
_REBUILT = "torch._utils _rebuild_"
_TENSOR_PARTS = {"collections OrderedDict", *(f"{_REBUILT}{name}" for name in ("tensor", "tensor_v2", "parameter"))}
_OURS = "pisnn-deploy/checkpoint"
"""A checkpoint of ours that is damaged is no other kind of file."""
_LONGEST = 64
"""Characters of a name that a message shows."""


def foreign_file(data: bytes, names: Collection[str] = ()) -> tuple[str, str] | None:
    """What a file is that no current version of torch writes.

    Parameters
    ----------
    data : bytes
        The file.
    names : collection of str
        Of the members, if it is an archive.

    Returns
    -------
    (str, str) or None
        What is wrong with it, and what to do; None where nothing is known.
    """
    parts = {part for name in names for part in name.split("/")}
    if data.startswith(_LEGACY):
        return "is in the format of torch before 1.6", _SAVE_AGAIN
    if data[257:262] == b"ustar" and b"storages" in data[:4096]:
        return "is in the format of torch before 0.1.10", _SAVE_AGAIN
    if data[:1] == b"\x80" and data[1:2] in b"\x02\x03\x04\x05":
        return "is a pickle, which is never executed", HOW
    if "constants.pkl" in parts or "code" in parts:
        return "is a TorchScript archive, whose code is never executed", HOW
    if "archive_format" in parts or "serialized_exported_program.json" in parts:
        return "is a program of torch.export, and no checkpoint", HOW
    if names and all(name.endswith(".npy") for name in names):
        return "is an .npz file of numpy arrays, and no checkpoint", HOW
    return None


def foreign_safetensors(texts: Mapping[str, str]) -> tuple[str, str]:
    """What a safetensors file is that is no checkpoint.

    Parameters
    ----------
    texts : mapping of str to str
        Its metadata.

    Returns
    -------
    (str, str)
        What is wrong with it, and what to do.
    """
    if _OURS in texts:
        return f"has metadata beside {_OURS}", HOW
    return "is a safetensors file: tensors by name, and no checkpoint", HOW


def foreign_pickle(content: bytes) -> tuple[str, str] | None:
    """What a pickle holds beyond plain data and tensors, by the names and operations in it.

    Parameters
    ----------
    content : bytes
        The pickle, or as much of it as was read.

    Returns
    -------
    (str, str) or None
        What is wrong with it, and what to do; None where nothing is known, or the pickle is damaged.
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
                    return f"holds an object of {name}, not plain tensors, and was not executed", HOW
                if _REBUILT in str(argument):
                    tensor = tensor or text
    except Exception:  # pickletools complains of damaged content in any way
        return None
    return _state_dict(tensor) if tensor else None


def foreign_content(content: Any) -> tuple[str, str] | None:
    """What plain data and tensors hold instead of a checkpoint.

    Parameters
    ----------
    content : object
        What the file held: plain data, and arrays in place of tensors.

    Returns
    -------
    (str, str) or None
        What is wrong with it, and what to do; None where nothing is known.
    """
    if isinstance(content, np.ndarray):
        return "holds a tensor and no checkpoint", HOW
    if isinstance(content, Mapping):
        if {"state", "param_groups"} <= content.keys():
            return "holds the state of an optimiser and no checkpoint", HOW
        if content and all(isinstance(value, np.ndarray) for value in content.values()):
            return _state_dict(str(next(iter(content))))
        for key, value in content.items():
            if isinstance(value, Mapping) and value and all(isinstance(part, np.ndarray) for part in value.values()):
                return f"holds a state_dict under {str(key)[:_LONGEST]!r} and no checkpoint", HOW
    return None


def _state_dict(name: str) -> tuple[str, str]:
    return f"holds a state_dict (tensors by name, such as {name[:_LONGEST]!r}) and no checkpoint", HOW


def _is_part_of_tensors(name: str) -> bool:
    module, _, item = name.partition(" ")
    return name in _TENSOR_PARTS or (module in ("torch", "torch.storage") and item.endswith("Storage"))
