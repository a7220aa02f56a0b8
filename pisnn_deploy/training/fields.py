"""Training fields: random fields with known exact solutions."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pisnn_deploy.mesh import DIRICHLET, PERIODIC, Mesh, reservoir_layers, structured_mesh
from pisnn_deploy.physics.clock import damped_leak
from pisnn_deploy.physics.model import ModelSpec
from pisnn_deploy.training.pisnn import Wiring, wiring
from pisnn_deploy.training.recipe import TrainingOptions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """Initial fields of rollouts.

    Attributes
    ----------
    values : float64 tensor [batch, cells]
        Cell averages.
    size : float64 tensor [batch]
        Root mean square of each field's variation, used to normalise defects.
    """

    values: torch.Tensor
    wires: Wiring
    size: torch.Tensor


class TrainingFields(Protocol):
    """A distribution of fields with exact solutions at all times."""

    @property
    def mesh(self) -> Mesh:
        """Training mesh."""
        ...

    @property
    def numbers(self) -> int:
        """Number of standard normal variables per field."""
        ...

    def counted(self, steps: int) -> torch.Tensor:
        """Cells that count after a number of PDE steps, int64 tensor."""
        ...

    def start(self, drawn: torch.Tensor) -> Start:
        """Initial fields from random variables, float64 tensor [batch, numbers]."""
        ...

    def at(self, drawn: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Exact cell averages, float64 tensor [batch, times, cells]; differentiable in `times`, float64 [n]."""
        ...


def training_fields(spec: ModelSpec, options: TrainingOptions) -> TrainingFields:
    """Training fields for the equation of a model."""
    if spec.equation == "laplace":
        return HarmonicFields(spec, options)
    return FourierFields(spec, options)


def training_grid(spec: ModelSpec, options: TrainingOptions) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Cells and lengths along each axis of the training mesh.

    Square cells for any domain if the recipe has one number of cells: then a kernel does not depend on the domain.
    """
    if isinstance(options.cells, tuple):
        return options.cells, spec.lengths
    axes = len(spec.lengths)
    return (options.cells,) * axes, (spec.lengths[0],) * axes


def on_training_mesh(spec: ModelSpec, options: TrainingOptions) -> ModelSpec:
    """The spec with the rates of the axes, and the leak that the damping implies, on the training mesh."""
    shape, lengths = training_grid(spec, options)
    spacing = tuple(length / count for length, count in zip(lengths, shape, strict=True))
    spec = spec.on_cells(spacing)
    if spec.damping is None:
        return spec
    return spec.model_copy(update={"leak": damped_leak(spec, spec.diffusion_number**0.5 * spacing[0])})


class FourierFields:
    """Sums of Fourier modes on a periodic mesh, which advection and diffusion move and damp independently.

    Parameters
    ----------
    options : TrainingOptions
        All modes with up to ``modes`` waves along each axis have the same amplitude distribution.
    """

    def __init__(self, spec: ModelSpec, options: TrainingOptions) -> None:
        dimensions = len(spec.lengths)
        shape, lengths = training_grid(spec, options)
        self.mesh = structured_mesh(shape, lengths, ((PERIODIC, PERIODIC),) * dimensions)
        self._mean, self._amplitude = options.mean, options.amplitude
        waves = _half_space(options.modes, dimensions) * (2 * np.pi / np.array(lengths))
        spacing = self.mesh.spacing
        centres = [(np.arange(count) + 0.5) * width for count, width in zip(shape, spacing, strict=True)]
        points = np.stack([grid.reshape(-1) for grid in np.meshgrid(*centres, indexing="ij")])
        # The average of exp(i k x) over a cell is its value at the centre times a sinc along each axis.
        shrink = np.prod(np.sinc(waves * np.array(spacing) / (2 * np.pi)), axis=1)
        phase = waves @ points
        self._cosines = torch.from_numpy(shrink[:, None] * np.cos(phase))
        self._sines = torch.from_numpy(shrink[:, None] * np.sin(phase))
        along = np.array(spec.along or (1.0,) * dimensions)
        self._rates = torch.from_numpy(spec.diffusivity * (along * waves**2).sum(axis=1))
        self._turns = torch.from_numpy(spec.velocity * waves[:, 0])
        self.numbers = 2 * len(waves)
        self._wires = wiring(self.mesh, spec)

    def counted(self, steps: int) -> torch.Tensor:
        """All cells."""
        return torch.arange(self.mesh.cells)

    def start(self, drawn: torch.Tensor) -> Start:
        """See `TrainingFields.start`."""
        size = drawn.square().sum(dim=1).sqrt() * self._amplitude
        return Start(self.at(drawn, torch.zeros(1, dtype=torch.float64))[:, 0], self._wires, size)

    def at(self, drawn: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """See `TrainingFields.at`."""
        cosine, sine = (drawn * self._amplitude).chunk(2, dim=1)
        damping = torch.exp(-self._rates * times[:, None])
        turn = self._turns * times[:, None]
        even = cosine[:, None] * torch.cos(turn) - sine[:, None] * torch.sin(turn)
        odd = sine[:, None] * torch.cos(turn) + cosine[:, None] * torch.sin(turn)
        return self._mean + (even * damping) @ self._cosines + (odd * damping) @ self._sines


class HarmonicFields:
    """Steady states between reservoirs, which a network must not change.

    On each side the reservoirs follow a random sum of sines; the steady state is a sum of ``sin(k x) sinh(k y)``. Cells
    that a wall may have influenced do not count: ghost cells determine their values, not the kernel.

    Parameters
    ----------
    spec : ModelSpec
        Spec of a two-dimensional model.
    options : TrainingOptions
        Each side has ``modes`` sines; the amplitude of sine ``k`` is proportional to ``1 / k``.
    """

    def __init__(self, spec: ModelSpec, options: TrainingOptions) -> None:
        shape, lengths = training_grid(spec, options)
        self.mesh = structured_mesh(shape, lengths, ((DIRICHLET, DIRICHLET),) * 2)
        self._spec = spec
        self._quantum = 2.0**-options.quantum_exponent
        cells, length = shape[0], lengths[0]
        edges = np.linspace(0.0, length, cells + 1)
        waves = np.pi / length * np.arange(1, options.modes + 1)
        sines = -np.diff(np.cos(waves[:, None] * edges), axis=1) / (waves[:, None] * length / cells)
        rises = np.diff(np.cosh(waves[:, None] * edges), axis=1)
        rises /= waves[:, None] * length / cells * np.sinh(waves[:, None] * length)
        strength = options.amplitude / np.arange(1, options.modes + 1)
        shapes, levels = [], []
        for axis, sides in enumerate(reservoir_layers(self.mesh)):
            for end, numbers in enumerate(sides):
                rising = rises if end else rises[:, ::-1]
                fields = [np.outer(a, b) for a, b in zip(sines, rising, strict=True)]
                shapes += [s * (field.T if axis == 0 else field) for s, field in zip(strength, fields, strict=True)]
                for s, sine in zip(strength, sines, strict=True):
                    level = np.zeros(self.mesh.reservoirs)
                    level[numbers] = s * sine
                    levels.append(level)
        self._reach = spec.half_width
        # Change of the longest wave in one PDE step from the flux along one axis alone.
        self._curvature = spec.diffusion_number * (np.pi / cells) ** 2
        self._exact = torch.from_numpy(np.stack(shapes).reshape(len(shapes), -1))
        self._levels = np.stack(levels)
        self.numbers = len(shapes)

    def counted(self, steps: int) -> torch.Tensor:
        """Cells that no wall has influenced."""
        numbers = np.arange(self.mesh.cells).reshape(self.mesh.shape)
        margin = steps * self._reach
        return torch.from_numpy(numbers[margin:-margin, margin:-margin].reshape(-1).copy())

    def start(self, drawn: torch.Tensor) -> Start:
        """See `TrainingFields.start`."""
        exact = drawn @ self._exact
        levels = np.rint(drawn.numpy() @ self._levels / self._quantum) * self._quantum
        wires = wiring(self.mesh, self._spec, levels)
        return Start(exact, wires, exact.square().mean(dim=1).sqrt() * self._curvature)

    def at(self, drawn: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Steady state, independent of time."""
        return (drawn @ self._exact)[:, None].expand(-1, len(times), -1)


def _half_space(modes: int, dimensions: int) -> Floats:
    """One of each pair of opposite wave vectors with up to `modes` waves along each axis, float64 [n, axes]."""
    every = itertools.product(range(-modes, modes + 1), repeat=dimensions)
    return np.array([wave for wave in every if wave > (0,) * dimensions], np.float64)
