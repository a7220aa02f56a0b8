"""A trained PISNN as plain data: content of a checkpoint and input of the compiler.

The flux network is the same at every face and every PDE step. Its input is a window of `half_width` cells on either
side of the face along the face's axis, extended by `transverse` cells along the other axes (positions in C order, the
face's axis first). Its output is the flux through the face::

    a_0 = window of cell values u            a_{l+1} = relu(W_l a_l + b_l)           flux = W_L a_L + b_L
    c <- (1 - leak / 4096) c + flux           u <- u + D c

A linear network for cells that are not square, or for a diffusivity that differs from axis to axis, has a kernel for
each axis.

All quantities are in units of the cell value; ``c`` is the change of the cell behind the face in one PDE step. Weights
are dimensionless. If the equation has no length scale (diffusion, Laplace), one model serves every mesh size; if it has
one (a cell Peclet or Reynolds number), the model is valid for one cell width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.mesh import Wall


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


Number = Annotated[float, BeforeValidator(_no_boolean)]
"""A number in YAML, including ``1e-3``, which YAML reads as text."""
FiniteFloat = Annotated[Number, Field(allow_inf_nan=False)]
Equation = Literal["diffusion", "advection-diffusion", "burgers", "laplace"]
PositiveFloat = Annotated[Number, Field(gt=0, allow_inf_nan=False)]


Factors = Annotated[tuple[PositiveFloat, ...], Field(max_length=3)]
Flaw = tuple[str, str]
"""Name of a field, and what is wrong with it."""


class InconsistentError(ValueError):
    """Fields of a model or recipe that contradict each other."""

    def __init__(self, flaws: tuple[Flaw, ...]) -> None:
        super().__init__("; ".join(f"{field} {problem}" for field, problem in flaws))
        self.flaws = flaws


class OperatingRange(BaseModel):
    """Range of cell values that a model is valid for; the compiler's bounds assume it and every run checks it.

    Attributes
    ----------
    lower, upper : float
        Limits of the cell values.
    slope : float or None
        Largest difference of neighbouring cell values, divided by the distance of their centres.
    flux : float or None
        Largest flux through a face in one PDE step, in units of the cell value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    lower: FiniteFloat
    upper: FiniteFloat
    slope: PositiveFloat | None = None
    flux: PositiveFloat | None = None

    @model_validator(mode="after")
    def _ordered(self) -> OperatingRange:
        if not self.lower < self.upper:
            raise ValueError(f"lower {self.lower} must be below upper {self.upper}")
        return self


class ModelSpec(BaseModel):
    """Description of a PISNN, without its weights.

    Attributes
    ----------
    name : str
        Short name, such as ``heat1d``.
    equation : str
        Conservation law: ``diffusion`` is ``u_t = diffusivity * laplacian(u)``; ``advection-diffusion`` adds
        ``- velocity * u_x``; ``burgers`` adds ``- (u^2 / 2)_x``; ``laplace`` is ``laplacian(u) = 0``, approached in
        the pseudo-time of the damped wave equation ``u_tt + damping * u_t = laplacian(u)``.
    diffusivity : float
        In length^2 per time; 1 for ``laplace``. A list has one for each axis; the largest stays, see `along`.
    along : tuple of float
        Factors of the diffusivity along the axes, the largest 1; empty if they are equal.
    rates : tuple of float
        Diffusion numbers of the axes, the largest 1, for which the network has a kernel each; empty if all axes share
        one.
    velocity : float
        In length per time, for ``advection-diffusion``.
    damping : float or None
        Per unit of pseudo-time, for ``laplace``. The compiler derives the leak from it, so that the number of PDE steps
        grows linearly with the number of cells along an axis, not quadratically.
    cell_width : float or None
        Cell width that the model is valid for, for equations with a length scale.
    problem : str
        Name of the problem that supplies initial conditions and references.
    lengths : tuple of float
        Extent of the domain along each axis.
    half_width : int
        Cells in the window on either side of a face.
    transverse : int
        Cells by which the window extends to either side along each other axis.
    hidden : tuple of int
        Channels of each hidden layer, per face; empty for a linear flux network.
    wall : str
        How ghost cells beyond a Dirichlet side are computed, see `pisnn_deploy.mesh.window_cells`.
    leak : int
        Decay constant of the flux compartment, 1 to 4096; 4096 is memoryless. With a damping, this is the leak on the
        training mesh.
    weight_exponents : tuple of int
        One per layer: integer weights are ``weight * 2^exponent``. The last one is the threshold exponent ``F``.
    diffusion_number : float
        ``diffusivity * dt / h^2`` that the network was trained for. The actual value of a linear network is derived
        from its weights; a nonlinear one uses this.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    equation: Equation
    diffusivity: PositiveFloat
    along: Factors = ()
    rates: Factors = ()
    velocity: FiniteFloat = 0.0
    damping: PositiveFloat | None = None
    cell_width: PositiveFloat | None = None
    problem: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    lengths: Annotated[tuple[PositiveFloat, ...], Field(min_length=1, max_length=3)]
    half_width: Annotated[int, Field(ge=1, le=32, strict=True)]
    transverse: Annotated[int, Field(ge=0, le=8, strict=True)] = 0
    wall: Wall = "reflection"
    hidden: Annotated[tuple[Annotated[int, Field(ge=1, le=4096, strict=True)], ...], Field(max_length=8)] = ()
    leak: Annotated[int, Field(ge=1, le=MEMORYLESS, strict=True)] = MEMORYLESS
    weight_exponents: tuple[Annotated[int, Field(ge=1, le=14, strict=True)], ...]
    diffusion_number: PositiveFloat
    operating_range: OperatingRange

    @model_validator(mode="before")
    @classmethod
    def _of_each_axis(cls, content: Any) -> Any:
        return with_factors(content) if isinstance(content, dict) else content

    @model_serializer(mode="wrap")
    def _plain(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without factors of axes that are alike, which older files do not have."""
        plain: dict[str, Any] = write(self)
        return {name: value for name, value in plain.items() if value or name not in ("along", "rates")}

    @model_validator(mode="after")
    def _consistent(self) -> ModelSpec:
        flaws = tuple(flaw for check in SPEC_CHECKS for flaw in check(self))
        if flaws:
            raise InconsistentError(flaws)
        return self

    @property
    def weight_unit(self) -> int:
        """Common divisor of the first layer's integer weights, which keeps folded ghost cells integer."""
        return 2 if self.wall == "quadratic" else 1

    @property
    def positions(self) -> NDArray[np.float64]:
        """Offsets of window positions from the face, in cells, float64 [axes, positions]; the face's axis first."""
        along = np.arange(1 - self.half_width, self.half_width + 1) - 0.5
        across = np.arange(-self.transverse, self.transverse + 1, dtype=np.float64)
        grids = np.meshgrid(along, *(across,) * (len(self.lengths) - 1), indexing="ij")
        return np.stack([grid.reshape(-1) for grid in grids])

    @property
    def layer_shapes(self) -> tuple[tuple[int, int], ...]:
        """Shape (outputs, inputs) of the weight matrix of each layer."""
        window = 2 * self.half_width * (2 * self.transverse + 1) ** (len(self.lengths) - 1)
        widths = (window, *self.hidden, len(self.rates) or 1)
        return tuple((widths[i + 1], widths[i]) for i in range(len(widths) - 1))

    @property
    def clock_axis(self) -> int:
        """Axis whose diffusion number is the largest, from which the time step follows."""
        return self.rates.index(max(self.rates)) if self.rates else 0

    def kernels(self, weight: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Kernel of each axis, of the weights of a linear network, each [positions]."""
        return tuple(weight) if self.rates else (weight[0],) * len(self.lengths)

    def by_axis(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Weights of the first layer at a face, [outputs, inputs], or [axes, 1, inputs] with a kernel for each axis."""
        return weight[:, None, :] if self.rates else weight

    def on_cells(self, spacing: tuple[float, ...]) -> ModelSpec:
        """The spec with the rates that cells of other widths along the axes have."""
        return self.model_copy(update={"rates": relative_rates(self.along, spacing)})


ALIKE = 1e-9
"""Relative difference within which diffusion numbers of axes are equal."""


def relative_rates(along: tuple[float, ...], spacing: tuple[float, ...]) -> tuple[float, ...]:
    """Diffusion numbers of the axes, the largest 1; empty if they are equal.

    Parameters
    ----------
    along : tuple of float
        Factors of the diffusivity; empty if they are equal.
    spacing : tuple of float
        Cell width along each axis.
    """
    numbers = [factor / width**2 for factor, width in zip(along or (1.0,) * len(spacing), spacing, strict=True)]
    if min(numbers) >= max(numbers) * (1 - ALIKE):
        return ()
    return tuple(number / max(numbers) for number in numbers)


def with_factors(content: dict[str, Any]) -> dict[str, Any]:
    """Content of a spec in which a diffusivity for each axis is the largest one and factors of it."""
    values = content.get("diffusivity")
    if not isinstance(values, list | tuple) or "along" in content:
        return content
    try:
        numbers = [float(value) for value in values if not isinstance(value, bool)]
    except (TypeError, ValueError):
        return content
    if len(numbers) != len(values) or not numbers or not all(0 < number < math.inf for number in numbers):
        return content
    along = [number / max(numbers) for number in numbers]
    return {**content, "diffusivity": max(numbers), "along": along if min(along) < 1 else []}


def _one_exponent_per_layer(spec: ModelSpec) -> Iterator[Flaw]:
    count, layers = len(spec.weight_exponents), len(spec.hidden) + 1
    if count != layers:
        entries, noun = ("entry", "entries")[count != 1], ("layer", "layers")[layers != 1]
        yield "weight_exponents", f"has {count} {entries} for {layers} {noun}"


def _parameter_of_the_equation(name: str, *equations: str) -> Callable[[ModelSpec], Iterator[Flaw]]:
    def check(spec: ModelSpec) -> Iterator[Flaw]:
        is_needed, is_set = spec.equation in equations, getattr(spec, name) not in (None, 0)
        if is_needed != is_set:
            yield name, f"{'is missing for' if is_needed else 'has no meaning for'} {spec.equation}"

    return check


def _one_dimension(spec: ModelSpec) -> Iterator[Flaw]:
    if spec.equation in OWN_LENGTH and len(spec.lengths) != 1:
        yield "lengths", f"has {len(spec.lengths)} entries, but {spec.equation} is one-dimensional"


def _memoryless(spec: ModelSpec) -> Iterator[Flaw]:
    if spec.equation in OWN_LENGTH and spec.leak != MEMORYLESS:
        yield "leak", f"must be {MEMORYLESS} for {spec.equation}"


def _parabolas_along_one_axis(spec: ModelSpec) -> Iterator[Flaw]:
    if spec.wall == "quadratic" and spec.transverse:
        yield "wall", "must not be quadratic unless transverse is 0"


def _of_each_axis(spec: ModelSpec) -> Iterator[Flaw]:
    for name in ("along", "rates"):
        factors = getattr(spec, name)
        if not factors:
            continue
        if len(factors) != len(spec.lengths):
            yield _FIELD_OF[name], f"has {len(factors)} entries for {len(spec.lengths)} axes"
        elif max(factors) != 1:
            yield name, f"has the largest entry {max(factors):g}, expected 1"
        elif spec.hidden:
            yield "hidden", "must be empty where axes differ: only a linear network has a kernel for each axis"
        elif spec.equation not in (("diffusion",) if name == "along" else ("diffusion", "laplace")):
            yield _FIELD_OF[name], f"must be the same along all axes for {spec.equation}"


_FIELD_OF = {"along": "diffusivity", "rates": "rates"}
OWN_LENGTH = ("advection-diffusion", "burgers")
"""Equations with a length scale."""
SPEC_CHECKS: tuple[Callable[[ModelSpec], Iterator[Flaw]], ...] = (
    _one_exponent_per_layer,
    _parameter_of_the_equation("velocity", "advection-diffusion"),
    _parameter_of_the_equation("damping", "laplace"),
    _parameter_of_the_equation("cell_width", *OWN_LENGTH),
    _one_dimension,
    _memoryless,
    _parabolas_along_one_axis,
    _of_each_axis,
)
"""Checks between the fields of a spec; each reads only fields, so that it works on an incomplete spec."""


@dataclass(frozen=True)
class Model:
    """A trained flux network.

    Attributes
    ----------
    weights : tuple of float64 array [outputs, inputs]
        Weights of each layer, dimensionless.
    biases : tuple of float64 array [outputs]
        Biases of each layer, in units of the cell value.
    """

    spec: ModelSpec
    weights: tuple[NDArray[np.float64], ...]
    biases: tuple[NDArray[np.float64], ...]

    def problems(self) -> list[str]:
        """Reasons why the arrays do not fit the spec; empty if they do."""
        problems = []
        shapes = self.spec.layer_shapes
        if len(self.weights) != len(shapes) or len(self.biases) != len(shapes):
            return [f"has {len(self.weights)} weights and {len(self.biases)} biases, expected {len(shapes)} of each"]
        for layer, (shape, weight, bias) in enumerate(zip(shapes, self.weights, self.biases, strict=True)):
            for name, array, expected in ((f"weight.{layer}", weight, shape), (f"bias.{layer}", bias, shape[:1])):
                if array.shape != expected:
                    problems.append(f"{name} has shape {array.shape}, expected {expected} from the spec")
                elif not np.isfinite(array).all():
                    problems.append(f"{name} contains NaN or infinity")
        return problems

    @property
    def is_linear(self) -> bool:
        """Whether the operator is linear, with no hidden layer and no bias."""
        return not self.spec.hidden and not self.biases[0].any()


def flux_moments(kernel: NDArray[np.float64], positions: NDArray[np.float64]) -> tuple[float, float]:
    """Consistency moments of a linear flux kernel.

    For cell values ``u(x)`` and cell width ``h`` the flux is ``zeroth * u - first * h * u'`` to leading order, so the
    moments are the Courant number and the diffusion number of one PDE step.

    Parameters
    ----------
    kernel : float64 array [positions]
        Weights of the window.
    positions : float64 array [axes, positions]
        Offsets from the face in cells, see `ModelSpec.positions`.
    """
    return math.fsum(kernel), -math.fsum(kernel * positions[0])


def symmetry_basis(spec: ModelSpec) -> NDArray[np.int64]:
    """Basis of the kernels with the symmetry of the equation.

    Diffusion is the same from both sides of a face: its kernels are odd along the face's axis, even along the others,
    and equal for all of these unless axes have rates of their own. Advection has no such symmetry.

    Returns
    -------
    int64 array [n, positions]
        Kernels with entries -1, 0 and 1 and disjoint supports.
    """
    positions = spec.positions
    count = positions.shape[1]
    if spec.equation not in ("diffusion", "laplace"):
        return np.eye(count, dtype=np.int64)
    across = list if spec.rates else sorted
    keys = [(abs(p[0]), *across(np.abs(p[1:]))) for p in positions.T]
    downhill = -np.sign(positions[0])
    orbits = sorted(set(keys), reverse=True)
    return np.array([np.where([key == orbit for key in keys], downhill, 0) for orbit in orbits], np.int64)
