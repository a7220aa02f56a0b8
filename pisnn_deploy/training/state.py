"""State of an interrupted training from an untrusted file, checked against the structure of a new training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

DEEPEST = 8
"""Maximum nesting of collections."""
LARGEST_COUNT = 1 << 20
"""Maximum number of values in total."""


def tensors(content: object) -> Any:
    """Convert numpy arrays in plain data to torch tensors, with copies.

    Parameters
    ----------
    content : object
        Result of `pisnn_deploy.training.tensor_file.read_tensors`.

    Raises
    ------
    ValueError
        The content is deeper or larger than any state; a list may contain itself.
    """
    left = LARGEST_COUNT

    def converted(value: object, depth: int) -> Any:
        nonlocal left
        left -= value.size if isinstance(value, np.ndarray) else 1
        if left < 0 or depth > DEEPEST:
            raise ValueError("deeper or larger than a state of training")
        if isinstance(value, np.ndarray):
            return torch.from_numpy(value.copy())
        if isinstance(value, Mapping):
            return {key: converted(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(converted(item, depth + 1) for item in value)
        return value

    return converted(content, 0)


def like(expected: Any, content: Any) -> Any:
    """Return content that was read, after checking it against the expected structure.

    Parameters
    ----------
    expected, content : object
        Plain data and tensors.

    Raises
    ------
    ValueError
        Keys, lengths, types or shapes differ, or numbers are not finite.
    """
    fits = type(expected) is type(content) or (isinstance(expected, dict) and isinstance(content, dict))
    if isinstance(expected, torch.Tensor):
        # A network's parameter is stored as a plain tensor.
        fits = isinstance(content, torch.Tensor) and (expected.shape, expected.dtype) == (content.shape, content.dtype)
        fits = fits and bool(torch.isfinite(content).all())
    elif isinstance(expected, dict):
        fits = fits and expected.keys() == content.keys()
    elif isinstance(expected, list | tuple):
        fits = fits and len(expected) == len(content)
    elif isinstance(expected, float):
        fits = fits and math.isfinite(content)
    if not fits:
        raise ValueError("not of the form of a training's state")
    if isinstance(expected, dict):
        for key, value in expected.items():
            like(value, content[key])
    elif isinstance(expected, list | tuple):
        for value, part in zip(expected, content, strict=True):
            like(value, part)
    return content
