"""Flux networks with one hidden layer on a periodic line, and the derivatives of whole rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HiddenFlux:
    """``flux = output @ relu(weight @ window + bias)``, in units of the cell value.

    Attributes
    ----------
    weight : float64 array [hidden, positions]
        Input weights of each unit.
    bias, output : float64 array [hidden]
        Bias of each unit, and output weight of its activation.
    """

    weight: Floats
    bias: Floats
    output: Floats

    def vector(self) -> Floats:
        """All parameters, float64 [hidden * (positions + 2)]: input weights, bias and output weight of each unit."""
        return np.column_stack([self.weight, self.bias, self.output]).reshape(-1)

    def with_vector(self, vector: Floats) -> HiddenFlux:
        """Replace all parameters, given in the order of `vector`."""
        table = vector.reshape(self.bias.size, -1)
        return HiddenFlux(table[:, :-2].copy(), table[:, -2].copy(), table[:, -1].copy())

    def flux(self, values: Floats) -> Floats:
        """Flux through the lower face of each cell, float64 [cells]."""
        return np.asarray(
            np.maximum(_windows(values, self.weight.shape[1]) @ self.weight.T + self.bias, 0) @ self.output
        )

    def stepped(self, values: Floats, steps: int) -> Floats:
        """Cell averages after PDE steps, float64 [cells]; not finite if they blow up."""
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(steps):
                flux = self.flux(values)
                values = values + flux - np.roll(flux, -1)
        return values


@dataclass(frozen=True)
class Course:
    """An initial field and its exact solution.

    Attributes
    ----------
    start : float64 array [cells]
        Initial cell averages.
    steps : tuple of int
        PDE steps at which the solution is known, ascending.
    exact : float64 array [len(steps), cells]
        Exact cell averages at these steps.
    """

    start: Floats
    steps: tuple[int, ...]
    exact: Floats


@dataclass(frozen=True)
class NormalEquations:
    """Gauss-Newton approximation of the loss around some parameters.

    Attributes
    ----------
    matrix : float64 array [parameters, parameters]
        ``J^T J`` of the relative errors, averaged over the known steps.
    gradient : float64 array [parameters]
        ``J^T`` times the relative errors, averaged likewise.
    loss : float
        Mean square of the relative L2 errors of all courses at all known steps; infinite if a rollout blew up.
    """

    matrix: Floats
    gradient: Floats
    loss: float


def normal_equations(network: HiddenFlux, courses: Sequence[Course]) -> NormalEquations:
    """Loss of whole rollouts, with its gradient and Gauss-Newton matrix."""
    count = network.vector().size
    matrix, gradient, loss, known = np.zeros((count, count)), np.zeros(count), 0.0, 0
    for course in courses:
        for row, (values, sensitivity) in enumerate(_rollout(network, course)):
            size = np.linalg.norm(course.exact[row])
            error = (values - course.exact[row]) / size
            if not np.isfinite(error).all():
                return NormalEquations(matrix, gradient, np.inf)
            with np.errstate(over="ignore", invalid="ignore"):
                scaled = sensitivity / np.float32(size)
                matrix += scaled.T @ scaled
                gradient += scaled.T @ error.astype(np.float32)
                loss, known = loss + float(error @ error), known + 1
    return NormalEquations(matrix / known, gradient / known, loss / known)


def _rollout(network: HiddenFlux, course: Course) -> list[tuple[Floats, NDArray[np.float32]]]:
    """Values at the known steps and their derivatives by all parameters, the latter in single precision."""
    values, (hidden, positions) = course.start, network.weight.shape
    half, cells = positions // 2, course.start.size
    count = hidden * (positions + 2)
    sensitivity = np.zeros((cells, count), np.float32)
    padded = np.empty((cells + positions - 1, count), np.float32)
    flux_by = np.empty((cells + 1, hidden, positions + 2), np.float32)
    flat = flux_by.reshape(cells + 1, count)
    product = np.empty((cells, count), np.float32)
    output, weight = network.output.astype(np.float32), network.weight.astype(np.float32)
    rollout = []
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(1, course.steps[-1] + 1):
            seen = _windows(values, positions)
            drive = seen @ network.weight.T + network.bias
            active = drive > 0
            activation = np.where(active, drive, 0)
            through = active * output
            flux_by[:cells, :, :positions] = through[:, :, None] * seen[:, None, :].astype(np.float32)
            flux_by[:cells, :, positions] = through
            flux_by[:cells, :, positions + 1] = activation
            by_cell = through @ weight
            padded[:half], padded[half : half + cells] = sensitivity[-half:], sensitivity
            padded[half + cells :] = sensitivity[: half - 1]
            for position in range(positions):
                np.multiply(padded[position : position + cells], by_cell[:, position : position + 1], out=product)
                flat[:cells] += product
            flat[cells] = flat[0]
            sensitivity += flat[:cells]
            sensitivity -= flat[1:]
            flux = activation @ network.output
            values = values + flux - np.roll(flux, -1)
            if step in course.steps:
                rollout.append((values.copy(), sensitivity.copy()))
    return rollout


def _windows(values: Floats, positions: int) -> Floats:
    """Input window of the lower face of each cell, float64 [cells, positions]."""
    half = positions // 2
    padded = np.concatenate([values[-half:], values, values[: half - 1]])
    return np.lib.stride_tricks.sliding_window_view(padded, positions)


def stencil(half_width: int, shift: float) -> tuple[Floats, Floats]:
    """Weights for point value and slope near a face from cell averages, exact for polynomials of the stencil's order.

    Parameters
    ----------
    half_width : int
        Cells on each side of the face.
    shift : float
        Distance from the face in cells, positive along the axis.

    Returns
    -------
    value, slope : float64 array [2 * half_width]
        Weights of the cell averages; the slope is per cell width.
    """
    edges = np.arange(-half_width, half_width + 1.0)
    powers = np.arange(2 * half_width)
    averages = np.diff(edges[:, None] ** (powers + 1), axis=0).T / (powers[:, None] + 1)
    value = shift**powers
    slope = np.where(powers > 0, powers * shift ** np.maximum(powers - 1.0, 0), 0.0)
    return np.linalg.solve(averages, value), np.linalg.solve(averages, slope)
