"""Results of format readers, and additional information from the user."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pisnn_deploy.formats.affine import AffineForm, Floats, FormError, Layer


class Oracle(Protocol):
    """Independent evaluation of a file on windows, which does not use the reader's forms."""

    @property
    def name(self) -> str:
        """Name of the evaluator, such as ``onnxruntime``."""

    @property
    def dtype(self) -> str:
        """Numpy name of the cell values' dtype."""

    @property
    def covered(self) -> tuple[float, float]:
        """Range of cell values that the file's input does not clip."""

    @property
    def rounding(self) -> float:
        """Bound on the difference to the network that was read, due to omitted rounding."""

    def fluxes(self, path: Path, windows: Floats) -> Floats:
        """Evaluate windows.

        Parameters
        ----------
        path : Path
            File for error messages.
        windows : float64 array [n, cells]
            Cell values.

        Returns
        -------
        float64 array [n, slots]
            Fluxes, in each place of the file's batch.

        Raises
        ------
        FileError
            The file cannot be evaluated.
        UsageError
            The evaluator is not installed.
        """


@dataclass(frozen=True)
class Network:
    """A flux network from a file.

    Attributes
    ----------
    source : str
        ``onnx``, ``netx`` or ``nir``.
    layers : tuple of Layer
        Layers in units of the cell value; all but the last are rectified.
    window : tuple of int
        Cells of the window along each axis, the face's axis first; a single entry if the file has a flat input.
    spec_fields : dict
        Spec fields in the file, by the names of `pisnn_deploy.physics.model.ModelSpec`.
    notes : tuple of str
        Sentences on what was changed or omitted.
    is_integer : bool
        Whether the weights represent the integers of an artifact, which must be kept.
    clips : tuple of str
        Operations that may clip values within the operating range and became units of a hidden layer.
    oracle : Oracle or None
        Independent evaluation of the file, if there is one.
    """

    source: str
    layers: tuple[Layer, ...]
    window: tuple[int, ...]
    spec_fields: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    is_integer: bool = False
    clips: tuple[str, ...] = ()
    oracle: Oracle | None = None


@dataclass(frozen=True)
class Request:
    """Information from the user about a network without a spec.

    Attributes
    ----------
    problem : str or None
        Problem that provides equation, coefficients, extent and operating range.
    diffusion_number : float or None
        Diffusion number of a network with hidden layers.
    shape : tuple of int or None
        Cells along each axis, which determine the cell width of an equation with a length scale.
    limits : tuple of float or None
        Smallest and largest cell value (default: the problem's).
    slope : float or None
        Largest slope of a field (default: the problem's).
    is_grid : bool
        Whether the network will run on a grid of `shape` or of the problem's shape; only then a slope bounds the
        difference of neighbours.
    """

    problem: str | None = None
    diffusion_number: float | None = None
    shape: tuple[int, ...] | None = None
    limits: tuple[float, float] | None = None
    slope: float | None = None
    is_grid: bool = False


def ended(form: AffineForm) -> tuple[Layer, ...]:
    """Layers of a network whose output `form` is a flux.

    A single output is the flux along the axis. Two rectified outputs are the fluxes along and against the axis.

    Raises
    ------
    FormError
        The number of outputs is different.
    """
    if form.bias.size == 2 and form.is_rectified:
        flat = form.reshaped((2,))
        forward, backward = (flat.weight[i : i + 1] for i in range(2))
        return (*flat.below, Layer(forward - backward, flat.bias[:1] - flat.bias[1:]))
    if form.bias.size != 1:
        raise FormError(f"the network has {math.prod(form.shape)} outputs per window, but a face has one flux")
    return (*form.below, form.layer())
