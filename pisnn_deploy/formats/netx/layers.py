"""Layers of lava-dl's HDF5 layout, with access to fields by name and type."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.formats.padding import LARGEST_PADDING

LARGEST_LINE = 4096
"""Maximum number of cells along an axis of a window."""
SIZES: dict[str, dict[str, int | slice]] = {
    "dense": {"inFeatures": 1, "outFeatures": 0},
    "conv": {"inChannels": 1, "outChannels": 0, "kernelSize": slice(2, 4)},
}
"""Fields of a layer that repeat a size of its weight, with the axes."""


@dataclass(frozen=True)
class Group:
    """A group with access to entries by name and type."""

    path: Path
    name: str
    content: Any

    def __post_init__(self) -> None:
        if not isinstance(self.content, dict):
            raise FileError(self.path, "must be a group", field=self.name)

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def error(self, key: str, problem: str, remedy: str = "") -> FileError:
        """An error that points to an entry."""
        return FileError(self.path, problem, field=f"{self.name}/{key}", remedy=remedy)

    def group(self, key: str) -> Group:
        """A nested group; empty if missing."""
        return Group(self.path, f"{self.name}/{key}", self.content.get(key, {}))

    def text(self, key: str) -> str:
        """Get an entry that must be text."""
        value = self.content.get(key)
        if not isinstance(value, str):
            raise self.error(key, "is missing or not text")
        return value

    def numbers(self, key: str) -> NDArray[np.float64]:
        """Get an entry that must be an array of numbers."""
        value = self.content.get(key)
        if not isinstance(value, np.ndarray):
            raise self.error(key, "is missing or not an array of numbers")
        with np.errstate(invalid="ignore"):
            return value.astype(np.float64)

    def require(self, known: set[str]) -> None:
        """Refuse unknown entries, which might change the network."""
        unread = sorted(self.content.keys() - known, key=str)
        if unread:
            raise self.error(str(unread[0]), f"is unknown and might change the network; known are {_listed(known)}")

    def require_size(self, key: str, size: int) -> None:
        """Check that a shape has a number of elements."""
        if math.prod(self.numbers(key).reshape(-1)) != size:
            raise self.error(key, f"is {_sizes(self.numbers(key))}, but the next layer has {size} inputs")

    def number(self, key: str) -> int:
        """Get an entry that must be a single integer."""
        values = self.numbers(key)
        if values.size != 1 or not float(values.reshape(-1)[0]).is_integer():
            raise self.error(key, "must be a single integer")
        return int(values.reshape(-1)[0])


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def require_sizes(group: Group, shape: tuple[int, ...]) -> None:
    """Check that repeated sizes agree."""
    for key, axes in SIZES[group.text("type")].items():
        if key not in group:
            continue
        of_weight = np.atleast_1d(np.array(shape)[axes])
        sizes = group.numbers(key).reshape(-1)
        if not np.array_equal(sizes, of_weight) and not (sizes.size == 1 and (of_weight == sizes[0]).all()):
            raise group.error(key, f"is {_sizes(sizes)}, but the weight has {_sizes(of_weight)}")
    if "shape" in group and group.text("type") == "dense" and math.prod(group.numbers("shape").reshape(-1)) != shape[0]:
        raise group.error("shape", f"is {_sizes(group.numbers('shape'))}, but the weight has {shape[0]} outputs")


def _sizes(values: NDArray[Any]) -> str:
    return " x ".join(f"{size:g}" for size in values.reshape(-1))


def dense_weight(group: Group) -> NDArray[np.float64]:
    """Mantissas of a dense layer, float64 [outputs, inputs]."""
    if isinstance(group.content.get("weight"), dict):
        raise group.error("weight", "must be real, not complex")
    weight = group.numbers("weight")
    outputs = group.number("outFeatures") if weight.ndim == 1 and "outFeatures" in group else 0
    if weight.ndim == 1 and outputs > 0 and weight.size % outputs == 0:
        weight = weight.reshape(outputs, -1)
    if weight.ndim != 2 or 0 in weight.shape:
        raise group.error("weight", f"has shape {weight.shape}, expected outputs and inputs")
    return weight


def kernel_of(group: Group) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Mantissas of a convolution, float64 [outputs, channels, width, height], and its dilation."""
    if isinstance(group.content.get("weight"), dict):
        raise group.error("weight", "must be real, not complex")
    weight = group.numbers("weight")
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if weight.ndim != 4 or 0 in weight.shape:
        raise group.error("weight", f"has shape {weight.shape}, expected outputs, channels and two axes")
    if "groups" in group and group.number("groups") != 1:
        raise group.error("groups", f"must be 1, not {group.number('groups')}")
    if "stride" in group and (group.numbers("stride") != 1).any():
        raise group.error("stride", "must be 1, because each face needs a flux")
    steps = group.numbers("dilation").reshape(-1) if "dilation" in group else np.ones(2)
    steps = np.repeat(steps, 2) if steps.size == 1 else steps
    if steps.size != 2 or not ((steps >= 1) & (steps <= 64)).all():
        raise group.error("dilation", "must be one or two numbers from 1 to 64")
    return weight, (int(steps[0]), int(steps[1]))


def padding_of(group: Group) -> tuple[int, int]:
    """Number of zeros on either side along the two axes of a convolution."""
    sizes = group.numbers("padding").reshape(-1) if "padding" in group else np.zeros(2)
    sizes = np.repeat(sizes, 2) if sizes.size == 1 else sizes
    if sizes.size != 2 or not ((sizes >= 0) & (sizes <= LARGEST_PADDING)).all():
        raise group.error("padding", f"must be one or two numbers from 0 to {LARGEST_PADDING}")
    return int(sizes[0]), int(sizes[1])


def seen_by(convolutions: list[Group]) -> tuple[int, int, int]:
    """Receptive field of consecutive convolutions: channels, and cells along two axes."""
    reach = [1, 1]
    for group in convolutions:
        kernel, dilation = kernel_of(group)
        reach = [size + (wide - 1) * step for size, wide, step in zip(reach, kernel.shape[2:], dilation, strict=True)]
    return kernel_of(convolutions[0])[0].shape[1], reach[0], reach[1]


def shape_before(group: Group) -> tuple[int, int, int]:
    """Input shape of a convolution, channels and cells along two axes, from the shape of its neurons."""
    kernel, dilation = kernel_of(group)
    sizes = group.numbers("shape").reshape(-1)
    if sizes.size != 3 or not ((sizes >= 1) & (sizes <= LARGEST_LINE)).all() or sizes[0] != kernel.shape[0]:
        raise group.error("shape", f"is {_sizes(sizes)}, expected {kernel.shape[0]} outputs and two axes of cells")
    before = [
        int(size) + (wide - 1) * step - 2 * padding
        for size, wide, step, padding in zip(sizes[1:], kernel.shape[2:], dilation, padding_of(group), strict=True)
    ]
    if min(before) < 1:
        raise group.error("padding", "is larger than the input")
    return kernel.shape[1], before[0], before[1]
