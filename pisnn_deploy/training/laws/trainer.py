"""Train the fluxes of a law, see `Trainer`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.graph.layout import LARGEST_WEIGHT
from pisnn_deploy.laws.flux_network import FluxNetwork, TrainedFluxes
from pisnn_deploy.training.hidden_flux import NormalEquations
from pisnn_deploy.training.integer_search import searched
from pisnn_deploy.training.laws.courses import Course
from pisnn_deploy.training.laws.initial import initial_units
from pisnn_deploy.training.laws.rollouts import Horizons
from pisnn_deploy.training.laws.samples import Samples, constant_states, samples
from pisnn_deploy.training.laws.samples import loss as loss_of_samples
from pisnn_deploy.training.laws.samples import normal_equations as equations_of_samples
from pisnn_deploy.training.laws.scheme import Rollouts, Scheme
from pisnn_deploy.training.laws.setting import Setting
from pisnn_deploy.training.laws.stages import Stage, stages
from pisnn_deploy.training.levenberg_marquardt import START_DAMPING, improved
from pisnn_deploy.training.rounding import round_with_compensation, rounding_order

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

WEIGHT_EXPONENT = 7
LARGEST_INPUT_WEIGHT = 0.94
LARGEST_OUTPUT_PART = 0.97
"""Units are scaled up before rounding, close to the largest weight but with a little room to move."""
ANCHOR = 1.0
"""Weight of the errors of fluxes of constant states, which rollouts do not see."""


@dataclass(frozen=True)
class Progress:
    """State of a training; the remaining training depends on nothing else.

    Attributes
    ----------
    stage, iteration : int
        Number of the stage, and completed steps of it.
    parameters, reference : float64 array [parameters]
        Parameters of the networks, and those at the start of the stage, which weight the courses.
    damping : float
        Levenberg-Marquardt damping.
    finished : float64 array [attempts, parameters]
        Networks of finished attempts.
    rounded : int64 array
        Numbers of the rounded parameters.
    exponents : int64 array [blocks]
        Exponents of the output weights; 0 before they are rounded.
    loss : float
        Loss after the last step, weighted as its stage does.
    losses : float64 array [stages + 1]
        Root mean square error relative to the operating range, on the longest rollouts, before the first and after each
        stage.
    """

    stage: int
    iteration: int
    parameters: Floats
    reference: Floats
    damping: float
    finished: Floats
    rounded: Indices
    exponents: Indices
    loss: float
    losses: Floats


@dataclass(frozen=True)
class _Loss:
    loss: float


class Trainer:
    """A training: networks with few kinks are improved on ever longer rollouts, the best goes on, and is rounded.

    1. Each attempt starts with a stable flux of first order with other kinks, see `initial_units`.
    2. Levenberg-Marquardt steps reduce the errors of rollouts from many exact states. A step never makes a rollout
       blow up, because its loss would be infinite. Courses with small errors get larger weights, else those with shocks
       would be all that counts.
    3. Weights are rounded with compensation, in passes; a few more steps on the free parameters follow each pass.

    Parameters
    ----------
    setting : Setting
        What to train.
    courses : sequence of Course
        Exact solutions of the training's starts.
    """

    def __init__(self, setting: Setting, courses: Sequence[Course]) -> None:
        self.setting, self.courses = setting, courses
        self.scheme = Scheme(setting)
        self.stages = stages(setting)
        self.horizons = Horizons(setting, self.scheme, courses)
        scheme = self.scheme
        table = np.arange(scheme.size).reshape(-1, scheme.width)
        self._inputs = table[:, : scheme.inputs].reshape(-1)
        self._outputs = table[:, scheme.inputs + 1 :].reshape(-1)

    @property
    def total(self) -> int:
        """Gauss-Newton steps of the whole training."""
        return sum(stage.steps for stage in self.stages)

    @cached_property
    def _samples(self) -> list[Samples]:
        return [samples(self.setting, self.scheme, block, self.courses) for block in range(self.scheme.blocks)]

    @cached_property
    def _constants(self) -> list[Samples]:
        """Constant states of each block, weighted."""
        result = []
        for block in range(self.scheme.blocks):
            axis = next(a for a, layout in enumerate(self.setting.layouts) if layout.block == block)
            each = constant_states(self.setting, axis)
            roots = np.full(len(each.windows), math.sqrt(ANCHOR / len(each.windows)))
            result.append(replace(each, roots=roots))
        return result

    def initial(self, attempt: int) -> Floats:
        """Parameters of an initial network."""
        blocks = []
        for block, chosen in enumerate(self._samples):
            axis = next(a for a, layout in enumerate(self.setting.layouts) if layout.block == block)
            blocks.append(initial_units(self.setting, axis, attempt, chosen).vector())
        return np.concatenate(blocks)

    def start(self) -> Progress:
        """State before the first step."""
        first = self.initial(0)
        nothing = np.zeros(0, np.int64)
        none = np.zeros((0, first.size))
        exponents = np.zeros(self.scheme.blocks, np.int64)
        return Progress(
            0, 0, first, first, START_DAMPING, none, nothing, exponents, 1.0, np.array([self.horizons.error(first)])
        )

    def run(self, progress: Progress, on_step: Callable[[Progress, int], None]) -> Progress:
        """Train to the end.

        Parameters
        ----------
        on_step : callable
            Called after each step with the state and the total number of steps done.

        Raises
        ------
        CheckError
            Rollouts of every attempt blow up.
        """
        done = sum(stage.steps for stage in self.stages[: progress.stage])
        for stage in self.stages[progress.stage :]:
            if progress.iteration == 0:
                progress = self._begin(progress, stage)
            rollouts = self.horizons.weighted(progress.reference, stage.horizon)
            guard = self.horizons.guard(progress.reference, stage.horizon)
            equations = self._equations(progress.parameters, rollouts)
            while progress.iteration < stage.steps:
                moved = self._improve(progress, equations, rollouts, guard)
                if moved is None:
                    progress = replace(progress, iteration=stage.steps)
                else:
                    progress = moved
                    equations = self._equations(progress.parameters, rollouts)
                on_step(progress, done + progress.iteration)
            done += stage.steps
            progress = self._end(progress, stage)
        return progress

    def fluxes(self, progress: Progress) -> TrainedFluxes:
        """The trained networks."""
        setting, scheme = self.setting, self.scheme
        networks = []
        for layout in setting.layouts:
            units = scheme.units(progress.parameters, layout.block)
            weight = units.weight.reshape(scheme.hidden, setting.fields, -1)[:, layout.fields]
            output = units.output.T[layout.fields]
            networks.append(
                FluxNetwork(
                    layout.offsets,
                    weight,
                    units.bias,
                    output,
                    np.zeros(setting.fields),
                    WEIGHT_EXPONENT,
                    int(progress.exponents[layout.block]),
                )
            )
        return TrainedFluxes(tuple(networks), setting.scale_exponents, setting.time_step, setting.grid.spacing)

    def _begin(self, progress: Progress, stage: Stage) -> Progress:
        parameters, rounded, exponents = progress.parameters, progress.rounded, progress.exponents
        if stage.attempt is not None:
            parameters = self.initial(stage.attempt)
        if stage.chooses:
            errors = [float(self.horizons.course_errors(each).mean()) for each in progress.finished]
            if min(errors) >= 1:
                raise CheckError(
                    "training: rollouts of all initial networks blow up; lower courant, or raise training.hidden"
                )
            parameters = progress.finished[int(np.argmin(errors))]
        if stage.rounding is not None:
            if not rounded.size:
                parameters, exponents = self._balanced(parameters)
            rollouts = self.horizons.weighted(parameters, stage.horizon)
            equations = self._equations(parameters, rollouts)
            parameters, rounded = self._round(parameters, rounded, exponents, equations, *stage.rounding)
        if stage.searches:
            parameters = self._search(parameters, rounded, exponents, stage)
        return replace(
            progress,
            parameters=parameters,
            reference=parameters,
            damping=START_DAMPING,
            rounded=rounded,
            exponents=exponents,
        )

    def _end(self, progress: Progress, stage: Stage) -> Progress:
        finished = progress.finished
        number = progress.stage + 1
        following = self.stages[number] if number < len(self.stages) else None
        if following is not None and (following.attempt is not None or following.chooses):
            finished = np.concatenate([finished, progress.parameters[None]])
        losses = np.append(progress.losses, self.horizons.error(progress.parameters))
        return replace(progress, stage=number, iteration=0, finished=finished, losses=losses)

    def _improve(
        self,
        progress: Progress,
        equations: NormalEquations,
        rollouts: Rollouts,
        guard: Callable[[Floats], bool],
    ) -> Progress | None:
        """Take a step; None if no damping lowers the loss and satisfies the guard."""
        if not np.isfinite(equations.loss):
            return None
        free = np.setdiff1d(np.arange(self.scheme.size), progress.rounded)
        limits = np.full(self.scheme.size, np.inf)
        if progress.rounded.size:
            limits = self._limits(progress.exponents)
        better = improved(
            progress.parameters,
            equations,
            free,
            limits,
            progress.damping,
            lambda parameters: _Loss(self._loss(parameters, rollouts) if guard(parameters) else math.inf),
        )
        if better is None:
            return None
        return replace(
            progress,
            parameters=better.parameters,
            damping=better.damping,
            iteration=progress.iteration + 1,
            loss=better.trial.loss,
        )

    def _units_of(self, exponents: Indices) -> Floats:
        """Grid spacing of each parameter; 1 for biases."""
        scheme = self.scheme
        units = np.ones((scheme.blocks, scheme.hidden, scheme.width))
        units[:, :, : scheme.inputs] = 2.0**-WEIGHT_EXPONENT
        units[:, :, scheme.inputs + 1 :] = np.exp2(-exponents.astype(np.float64))[:, None, None]
        return units.reshape(-1)

    def _limits(self, exponents: Indices) -> Floats:
        limits = LARGEST_WEIGHT * self._units_of(exponents)
        limits.reshape(-1, self.scheme.width)[:, self.scheme.inputs] = np.inf
        return np.asarray(limits, np.float64)

    def _balanced(self, parameters: Floats) -> tuple[Floats, Indices]:
        """Scale each unit so that its input weights use all bits, and choose exponents for its output weights."""
        scheme = self.scheme
        table = parameters.copy().reshape(scheme.blocks, scheme.hidden, scheme.width)
        largest = np.abs(table[:, :, : scheme.inputs]).max(axis=2, keepdims=True)
        scale = LARGEST_INPUT_WEIGHT / np.maximum(largest, 1e-30)
        table[:, :, : scheme.inputs + 1] *= scale
        table[:, :, scheme.inputs + 1 :] /= scale
        strongest = np.abs(table[:, :, scheme.inputs + 1 :]).max(axis=(1, 2))
        exponents = np.floor(np.log2(LARGEST_OUTPUT_PART * LARGEST_WEIGHT / strongest)).astype(np.int64)
        return table.reshape(-1), exponents

    def _round(
        self,
        parameters: Floats,
        rounded: Indices,
        exponents: Indices,
        equations: NormalEquations,
        outputs: bool,
        part: float,
    ) -> tuple[Floats, Indices]:
        candidates = np.setdiff1d(self._outputs if outputs else self._inputs, rounded)
        free = np.setdiff1d(np.arange(parameters.size), rounded)
        order = rounding_order(equations.matrix, candidates, np.setdiff1d(free, candidates))
        order = order[: math.ceil(candidates.size * part)]
        limits = self._limits(exponents)
        moved = round_with_compensation(
            parameters, equations.matrix, order, free, self._units_of(exponents), np.minimum(limits, 1e300)
        )
        return np.clip(moved, -limits, limits), np.union1d(rounded, order)

    def _search(self, parameters: Floats, rounded: Indices, exponents: Indices, stage: Stage) -> Floats:
        """Search for better integers; a shorter search if the loss rises by more steps."""
        rollouts = self.horizons.weighted(parameters, stage.horizon)
        guard = self.horizons.guard(parameters, stage.horizon)
        equations = self._equations(parameters, rollouts)
        if not np.isfinite(equations.loss):
            return parameters
        units, limits = self._units_of(exponents), self._limits(exponents)
        trials = [*searched(parameters, equations.matrix, equations.gradient, equations.loss, rounded, units, limits)]
        while trials:
            if self._loss(trials[-1], rollouts) < equations.loss and guard(trials[-1]):
                return trials[-1]
            trials = trials[: len(trials) // 2]
        return parameters

    def _equations(self, parameters: Floats, rollouts: Rollouts) -> NormalEquations:
        scheme = self.scheme
        result = scheme.normal_equations(parameters, rollouts)
        matrix, gradient, loss = result.matrix, result.gradient, result.loss
        for block, constants in enumerate(self._constants):
            part = slice(block * scheme.block_size, (block + 1) * scheme.block_size)
            own = equations_of_samples(scheme, scheme.units(parameters, block), constants)
            matrix[part, part] += own.matrix
            gradient[part] += own.gradient
            loss += own.loss
        return NormalEquations(matrix, gradient, loss)

    def _loss(self, parameters: Floats, rollouts: Rollouts) -> float:
        anchors = (
            loss_of_samples(self.scheme.units(parameters, block), each) for block, each in enumerate(self._constants)
        )
        return self.scheme.loss(parameters, rollouts) + sum(anchors)
