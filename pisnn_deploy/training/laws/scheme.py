"""Networks of all axes on the cells of a periodic box: fluxes, rollouts, and the derivatives of whole rollouts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.training.hidden_flux import NormalEquations
from pisnn_deploy.training.laws.setting import Layout, Setting

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Rollouts:
    """Exact solutions of equal length.

    Attributes
    ----------
    starts : float64 array [courses, fields, cells]
        Cell averages at the start, divided by their scales.
    steps : tuple of int
        PDE steps at which the solutions are known, ascending.
    exact : float64 array [courses, known, fields, cells]
        Cell averages at these steps, divided by their scales.
    weights : float64 array [courses, fields]
        Weight of a squared error.
    """

    starts: Floats
    steps: tuple[int, ...]
    exact: Floats
    weights: Floats


@dataclass(frozen=True)
class Units:
    """Parameters of a block.

    Attributes
    ----------
    weight : float64 array [hidden, inputs]
        Inputs are all positions of the first field of the layout, then of the second.
    bias : float64 array [hidden]
        Bias of each unit.
    output : float64 array [hidden, fields]
        Output weights of each unit.
    """

    weight: Floats
    bias: Floats
    output: Floats

    def vector(self) -> Floats:
        """All parameters unit by unit, float64 [hidden * (inputs + 1 + fields)]."""
        return np.asarray(
            np.concatenate([self.weight, self.bias[:, None], self.output], axis=1).reshape(-1), np.float64
        )


class Scheme:
    """Networks of all axes of a setting.

    Their parameters are one vector, block by block, see `Units.vector`.

    Parameters
    ----------
    setting : Setting
        The box and the layouts.
    """

    def __init__(self, setting: Setting) -> None:
        self.fields, self.hidden = setting.fields, setting.hidden
        self.layouts = setting.layouts
        self.blocks = 1 + max(layout.block for layout in self.layouts)
        self.inputs = self.fields * len(self.layouts[0].offsets)
        self.width = self.inputs + 1 + self.fields
        self.block_size = self.hidden * self.width
        self.size = self.blocks * self.block_size
        self._seen = [_seen(setting.grid.shape, axis, layout) for axis, layout in enumerate(self.layouts)]
        self._rows = [
            (seen[:, None, :] * self.fields + layout.fields[:, None]).reshape(len(seen), self.inputs)
            for layout, seen in zip(self.layouts, self._seen, strict=True)
        ]
        self._above = [_shifted(setting.grid.shape, axis) for axis in range(len(self.layouts))]

    def units(self, vector: Floats, block: int) -> Units:
        """Parameters of a block."""
        table = vector[block * self.block_size : (block + 1) * self.block_size].reshape(self.hidden, self.width)
        return Units(table[:, : self.inputs], table[:, self.inputs], table[:, self.inputs + 1 :])

    def windows(self, axis: int, values: Floats) -> Floats:
        """What the lower face of each cell along an axis sees, float64 [..., cells, inputs].

        Parameters
        ----------
        values : float64 array [..., fields, cells]
            Cell averages.
        """
        chosen = values[..., self.layouts[axis].fields, :][..., self._seen[axis]]
        return np.moveaxis(chosen, -3, -2).reshape(*values.shape[:-2], values.shape[-1], self.inputs)

    def fluxes(self, vector: Floats, axis: int, values: Floats) -> Floats:
        """Flux of each field through the lower face of each cell along an axis, float64 [..., fields, cells]."""
        layout = self.layouts[axis]
        units = self.units(vector, layout.block)
        drive = self.windows(axis, values) @ units.weight.T + units.bias
        fluxes = np.maximum(drive, 0, out=drive) @ units.output
        return np.moveaxis(fluxes, -1, -2)[..., layout.fields, :]

    def stepped(self, vector: Floats, values: Floats, steps: int) -> Floats:
        """Cell averages after PDE steps, float64 [..., fields, cells]; not finite if they blow up."""
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(steps):
                change = np.zeros(values.shape)
                for axis, above in enumerate(self._above):
                    fluxes = self.fluxes(vector, axis, values)
                    change += fluxes - fluxes[..., above]
                values = values + change
        return values

    def loss(self, vector: Floats, rollouts: Rollouts) -> float:
        """Weighted sum of squared errors over all courses and known steps; infinite if a rollout blows up."""
        values, before, total = rollouts.starts, 0, 0.0
        for known, step in enumerate(rollouts.steps):
            values, before = self.stepped(vector, values, step - before), step
            with np.errstate(over="ignore", invalid="ignore"):
                errors = np.square(values - rollouts.exact[:, known]).sum(axis=2)
                total += float((errors * rollouts.weights).sum())
        return total if np.isfinite(total) else np.inf

    def normal_equations(self, vector: Floats, rollouts: Rollouts) -> NormalEquations:
        """Loss of rollouts with its gradient and Gauss-Newton matrix."""
        matrix, gradient, loss = np.zeros((self.size, self.size)), np.zeros(self.size), 0.0
        for course in range(len(rollouts.starts)):
            roots = np.sqrt(rollouts.weights[course])[:, None]
            for known, (values, sensitivity) in enumerate(
                self._rollout(vector, rollouts.starts[course], rollouts.steps)
            ):
                error = ((values - rollouts.exact[course, known]) * roots).reshape(-1)
                if not np.isfinite(error).all():
                    return NormalEquations(matrix, gradient, np.inf)
                with np.errstate(over="ignore", invalid="ignore"):
                    rows = (sensitivity * roots[:, :, None].astype(np.float32)).reshape(error.size, self.size)
                    matrix += rows.T @ rows
                    gradient += rows.T @ error.astype(np.float32)
                    loss += float(error @ error)
        return NormalEquations(matrix, gradient, loss)

    def _rollout(self, vector: Floats, values: Floats, steps: tuple[int, ...]) -> Iterator[tuple[Floats, Singles]]:
        """Values at the known steps and their derivatives by all parameters [fields, cells, parameters]."""
        cells = values.shape[-1]
        # Cells first: windows of sensitivities are then whole rows.
        sensitivity = np.zeros((cells, self.fields, self.size), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(1, steps[-1] + 1):
                change, by_parameters = np.zeros(values.shape), np.zeros(sensitivity.shape, np.float32)
                for axis, above in enumerate(self._above):
                    fluxes, slopes = self._flux_slopes(vector, axis, values, sensitivity)
                    change += fluxes - fluxes[:, above]
                    by_parameters += slopes
                    by_parameters -= slopes[above]
                values, sensitivity = values + change, sensitivity + by_parameters
                if step in steps:
                    yield values, sensitivity.transpose(1, 0, 2)

    def _flux_slopes(self, vector: Floats, axis: int, values: Floats, sensitivity: Singles) -> tuple[Floats, Singles]:
        """Fluxes [fields, cells] and their derivatives by all parameters [cells, fields, parameters]."""
        layout = self.layouts[axis]
        units = self.units(vector, layout.block)
        seen = self.windows(axis, values)
        drive = seen @ units.weight.T + units.bias
        active = drive > 0
        activation = np.where(active, drive, 0)
        through = (active[:, None, :] * units.output.T).astype(np.float32)
        by_window = through @ units.weight.astype(np.float32)
        behind = sensitivity.reshape(-1, self.size)[self._rows[axis]]
        slopes = by_window @ behind
        self._add_own(slopes, layout.block, through, seen, activation)
        fluxes = (activation @ units.output).T
        return fluxes[layout.fields], slopes[:, layout.fields]

    def _add_own(self, slopes: Singles, block: int, through: Singles, seen: Floats, activation: Floats) -> None:
        """Add the derivatives of fluxes by the parameters of their own block for given windows, in place."""
        own = slopes[:, :, block * self.block_size : (block + 1) * self.block_size]
        table = own.reshape(*own.shape[:2], self.hidden, self.width)
        table[..., : self.inputs] += through[..., None] * seen[:, None, None, :].astype(np.float32)
        table[..., self.inputs] += through
        for field in range(self.fields):
            table[:, field, :, self.inputs + 1 + field] += activation

    def slopes(self, units: Units, windows: Floats) -> tuple[Floats, Floats]:
        """Fluxes [n, fields] of windows [n, inputs], and derivatives by the block's parameters [n, fields, size]."""
        drive = windows @ units.weight.T + units.bias
        active = drive > 0
        activation = np.where(active, drive, 0)
        through = active[:, None, :] * units.output.T
        table = np.zeros((len(windows), self.fields, self.hidden, self.width))
        table[..., : self.inputs] = through[..., None] * windows[:, None, None, :]
        table[..., self.inputs] = through
        for field in range(self.fields):
            table[:, field, :, self.inputs + 1 + field] = activation
        return activation @ units.output, table.reshape(len(windows), self.fields, self.block_size)


def _seen(shape: tuple[int, ...], axis: int, layout: Layout) -> Integers:
    """Cells that the lower face of each cell along an axis sees, int64 [cells, positions]."""
    places = np.indices(shape).reshape(len(shape), -1)
    offsets = layout.offsets - np.eye(len(shape), dtype=np.int64)[axis]
    moved = (places[:, :, None] + offsets.T[:, None, :]) % np.array(shape)[:, None, None]
    return np.asarray(np.ravel_multi_index(tuple(moved), shape), np.int64)


def _shifted(shape: tuple[int, ...], axis: int) -> Integers:
    """Number of the next cell along an axis, int64 [cells]."""
    numbers = np.arange(np.prod(shape)).reshape(shape)
    return np.asarray(np.roll(numbers, -1, axis).reshape(-1), np.int64)
