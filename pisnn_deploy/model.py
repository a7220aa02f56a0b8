"""A trained PISNN as plain data: what a checkpoint holds and the compiler takes.

The flux network is the same at every face and every PDE step. It sees the `half_width` cells on either side of a face
along the face's axis (a window, from the lowest to the highest position) and answers with the flux through the face::

    a_0 = window of cell values u            a_{l+1} = relu(W_l a_l + b_l)           flux = W_L a_L + b_L
    c <- (1 - leak / 4096) c + flux           u <- u + D c

All quantities are in units of the cell value; ``c`` is the change that one PDE step makes to the value of the cell
behind the face. Weights have no unit, so one model serves every mesh size, boundary and horizon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pisnn_deploy.arithmetic import MEMORYLESS

FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class OperatingRange(BaseModel):
    """The cell values that a model is meant for; the compiler's bounds rest on it and every run checks it.

    Attributes
    ----------
    lower, upper : float
        Limits of the cell values.
    slope : float or None
        Largest difference of neighbouring cell values divided by the distance of their centres.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lower: FiniteFloat
    upper: FiniteFloat
    slope: PositiveFloat | None = None

    @model_validator(mode="after")
    def _ordered(self) -> OperatingRange:
        if not self.lower < self.upper:
            raise ValueError(f"lower {self.lower} must be below upper {self.upper}")
        return self


class ModelSpec(BaseModel):
    """What a PISNN is, apart from its weights.

    Attributes
    ----------
    name : str
        Short name, such as ``heat1d``.
    equation : str
        The conservation law; ``diffusion`` is ``u_t = diffusivity * laplacian(u)``.
    diffusivity : float
        In length^2 per time.
    problem : str
        Name of the problem that supplies initial conditions and references.
    lengths : tuple of float
        Extent of the domain along each axis.
    half_width : int
        Cells that a face sees on either side.
    hidden : tuple of int
        Channels of each hidden layer, per face; empty for a linear flux network.
    leak : int
        Decay constant of the flux compartment, 1 to 4096; 4096 is memoryless.
    weight_exponents : tuple of int
        One per layer: integer weights are ``weight * 2^exponent``. The last is the threshold exponent ``F``.
    diffusion_number : float
        ``diffusivity * dt / h^2`` that the network was trained for. A linear network's real value is derived from
        its weights; a nonlinear one uses this.
    operating_range : OperatingRange
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    equation: Literal["diffusion"]
    diffusivity: PositiveFloat
    problem: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    lengths: Annotated[tuple[PositiveFloat, ...], Field(min_length=1, max_length=3)]
    half_width: Annotated[int, Field(ge=1, le=32)]
    hidden: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(max_length=8)] = ()
    leak: Annotated[int, Field(ge=1, le=MEMORYLESS)] = MEMORYLESS
    weight_exponents: tuple[Annotated[int, Field(ge=1, le=14)], ...]
    diffusion_number: PositiveFloat
    operating_range: OperatingRange

    @model_validator(mode="after")
    def _one_exponent_per_layer(self) -> ModelSpec:
        if len(self.weight_exponents) != len(self.hidden) + 1:
            raise ValueError(
                f"weight_exponents has {len(self.weight_exponents)} entries for {len(self.hidden) + 1} layers"
            )
        return self

    @property
    def layer_shapes(self) -> tuple[tuple[int, int], ...]:
        """Shape (outputs, inputs) of the weight matrix of each layer."""
        widths = (2 * self.half_width, *self.hidden, 1)
        return tuple((widths[i + 1], widths[i]) for i in range(len(widths) - 1))


@dataclass(frozen=True)
class Model:
    """A trained flux network.

    Attributes
    ----------
    spec : ModelSpec
    weights : tuple of float64 array [outputs, inputs]
        One per layer, dimensionless.
    biases : tuple of float64 array [outputs]
        One per layer, in units of the cell value.
    """

    spec: ModelSpec
    weights: tuple[NDArray[np.float64], ...]
    biases: tuple[NDArray[np.float64], ...]

    def problems(self) -> list[str]:
        """Reasons why the arrays do not fit the spec; empty if they do."""
        found = []
        shapes = self.spec.layer_shapes
        if len(self.weights) != len(shapes) or len(self.biases) != len(shapes):
            return [f"{len(shapes)} layers expected, found {len(self.weights)} weights and {len(self.biases)} biases"]
        for layer, (shape, weight, bias) in enumerate(zip(shapes, self.weights, self.biases, strict=True)):
            for name, array, expected in ((f"weight.{layer}", weight, shape), (f"bias.{layer}", bias, shape[:1])):
                if array.shape != expected:
                    found.append(f"{name} has shape {array.shape}, the spec demands {expected}")
                elif not np.isfinite(array).all():
                    found.append(f"{name} holds NaN or infinity")
        return found

    @property
    def is_linear(self) -> bool:
        """Whether the operator is linear: no hidden layer and no bias."""
        return not self.spec.hidden and not self.biases[0].any()


def flux_moments(kernel: NDArray[np.float64], half_width: int) -> tuple[float, float]:
    """Consistency moments of a linear flux kernel.

    For cell values ``u(x)`` with cell width ``h`` the flux is ``zeroth * u - first * h * u'`` to leading order, so
    a diffusive flux needs ``zeroth == 0``, and then ``first`` is the diffusion number of one PDE step.

    Parameters
    ----------
    kernel : float64 array [2 * half_width]
        Weights over the window, from the lowest to the highest position.
    half_width : int

    Returns
    -------
    zeroth, first : float
    """
    distance = np.arange(1 - half_width, half_width + 1) - 0.5
    return math.fsum(kernel), -math.fsum(kernel * distance)
