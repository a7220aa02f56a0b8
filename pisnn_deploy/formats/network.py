"""What a format reader returns, and what a user adds to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pisnn_deploy.formats.affine import AffineForm, Floats, FormError, Layer


class Oracle(Protocol):
    """What answers windows as a file says, without the forms that its reader made."""

    @property
    def name(self) -> str:
        """What answers, such as ``onnxruntime``."""

    @property
    def dtype(self) -> str:
        """Type of the cell values that it takes, as numpy has it."""

    @property
    def covered(self) -> tuple[float, float]:
        """Least and largest cell value that the file does not clip on its way in."""

    @property
    def rounding(self) -> float:
        """How far its answers may be from those of the network that was read: rounding that was left out."""

    def fluxes(self, path: Path, windows: Floats) -> Floats:
        """Answers to windows.

        Parameters
        ----------
        path : Path
            For messages.
        windows : float64 array [n, cells]

        Returns
        -------
        float64 array [n, slots]
            Each window as often as the file takes it at once.

        Raises
        ------
        FileError
            It cannot be run.
        UsageError
            What runs it is not installed.
        """


@dataclass(frozen=True)
class Network:
    """A flux network as a file has it.

    Attributes
    ----------
    source : str
        ``onnx``, ``netx`` or ``nir``.
    layers : tuple of Layer
        All but the last are rectified; in units of the cell value.
    window : tuple of int
        Cells that the network sees along each axis of its input, the face's axis first; one entry where the file has a
        plain list.
    said : dict
        What the file says of the spec, by the names of `pisnn_deploy.physics.model.ModelSpec`.
    notes : tuple of str
        What was not taken over as it stands.
    is_integer : bool
        Whether the weights stand for the integers of an artifact, which are not to be searched for better ones.
    clips : tuple of str
        What clips numbers of the operating range, and became units of a hidden layer.
    oracle : Oracle or None
        Another evaluation of the file; None where there is none.
    """

    source: str
    layers: tuple[Layer, ...]
    window: tuple[int, ...]
    said: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    is_integer: bool = False
    clips: tuple[str, ...] = ()
    oracle: Oracle | None = None


@dataclass(frozen=True)
class Request:
    """What a user says of a network that comes without a spec.

    Attributes
    ----------
    problem : str or None
        Supplies equation, coefficients, extent and operating range.
    diffusion_number : float or None
        Of a network with hidden layers.
    shape : tuple of int or None
        Cells along each axis; an equation with a length of its own belongs to their width.
    limits : tuple of float or None
        Least and largest cell value, instead of the problem's.
    slope : float or None
        Largest slope of a field, instead of the problem's.
    is_grid : bool
        Whether `shape`, or without one the problem's own, is the mesh that the network will run on: only then does a
        slope bound the difference of neighbours.
    """

    problem: str | None = None
    diffusion_number: float | None = None
    shape: tuple[int, ...] | None = None
    limits: tuple[float, float] | None = None
    slope: float | None = None
    is_grid: bool = False


def ended(form: AffineForm) -> tuple[Layer, ...]:
    """The layers of a network whose output is `form`: a flux.

    One output is the flux along the axis. Two rectified ones are the flux along it and the flux against it, one alone
    can only be a flux along it.

    Raises
    ------
    FormError
        Another number of outputs.
    """
    if form.bias.size == 2 and form.is_rectified:
        flat = form.reshaped((2,))
        forward, backward = (flat.weight[i : i + 1] for i in range(2))
        return (*flat.below, Layer(forward - backward, flat.bias[:1] - flat.bias[1:]))
    if form.bias.size != 1:
        raise FormError(f"the network answers {math.prod(form.shape)} values to one window, a face has one flux")
    return (*form.below, form.layer())
