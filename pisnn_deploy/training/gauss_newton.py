"""Train flux networks with one hidden layer to integer weights, by Gauss-Newton steps on whole rollouts.

1. The initial network is a piecewise linear interpolant of the flux, with each kink at the foot of its characteristic.
2. Levenberg-Marquardt steps reduce the error of rollouts against exact solutions, over growing horizons.
3. Output weights, then input weights are rounded with compensation, in passes; a few more steps on the free parameters
   follow each pass. Biases are never rounded to eight bits, so they stay free to the end.

Rounding to nearest instead loses most of the accuracy (docs/results/ablation.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.graph.layout import LARGEST_WEIGHT
from pisnn_deploy.mesh import PERIODIC, structured_mesh
from pisnn_deploy.physics.clock import nominal_time_step
from pisnn_deploy.physics.model import Model, ModelSpec
from pisnn_deploy.physics.problems.burgers import cole_hopf
from pisnn_deploy.physics.problems.modes import Modes
from pisnn_deploy.training.assessment import HeldOut, godunov
from pisnn_deploy.training.hidden_flux import Course, HiddenFlux, NormalEquations, normal_equations, stencil
from pisnn_deploy.training.levenberg_marquardt import START_DAMPING, improved
from pisnn_deploy.training.recipe import GaussNewtonOptions
from pisnn_deploy.training.rounding import round_with_compensation, rounding_order

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

KNOWN_TIMES = 8
"""Number of equally spaced times at which each rollout is compared."""
LONGEST_QUIET_TIME = 1.0
"""Rollouts of quiet fields are twice as long as the others, up to this time."""
KINK_MARGIN = 0.05
"""Kinks extend beyond the range of the fields by this much."""
KINK_SCALE, LINEAR_SCALE, LINEAR_BIAS, LINEAR_JITTER = 0.5, 0.99, 1.2, 0.2
LARGEST_INPUT_WEIGHT = 0.94
LARGEST_OUTPUT_PART = 0.97
"""Units are scaled up before rounding, close to the largest weight but with a little room to move."""
HELD_OUT_FIELDS = 8
HELD_OUT_STREAM = 2
"""Random stream of the held-out fields; training uses the streams 0 and 1."""
PASSES = ((True, 1.0, 2), (False, 0.5, 1), (False, 0.6, 1), (False, 1.0, 2))
"""Rounding passes: whether of output weights, fraction of the remaining weights, Gauss-Newton steps afterwards."""


@dataclass(frozen=True)
class Progress:
    """State of a training; the remaining training depends on nothing else.

    Attributes
    ----------
    stage : int
        Index of the stage: first the horizons, then the rounding passes.
    iteration : int
        Completed steps of this stage.
    parameters : float64 array
        Network parameters in the order of `HiddenFlux.vector`.
    damping : float
        Levenberg-Marquardt damping, relative to the diagonal of the Gauss-Newton matrix.
    rounded : int64 array
        Indices of the rounded parameters.
    losses : tuple of float
        Mean square error after each step.
    before_rounding : float
        Last loss before the first rounding pass; NaN until then.
    """

    stage: int
    iteration: int
    parameters: Floats
    damping: float
    rounded: Indices
    losses: tuple[float, ...]
    before_rounding: float


class GaussNewton:
    """A training run.

    Parameters
    ----------
    spec : ModelSpec
        Spec of a Burgers model with one hidden layer.
    seed : int
        Random seed of the initial network and of the training fields.
    """

    def __init__(self, spec: ModelSpec, options: GaussNewtonOptions, seed: int) -> None:
        assert spec.cell_width is not None
        self._spec = spec
        self._options = options
        self._step = nominal_time_step(spec, spec.cell_width)
        cells = round(spec.lengths[0] / spec.cell_width)
        self._mesh = structured_mesh((cells,), spec.lengths, ((PERIODIC, PERIODIC),))
        self._network = characteristic_network(spec, options, seed)
        self._fields = _random_fields(options, seed)
        self._courses: tuple[int, list[Course]] = (0, [])
        count = self._network.vector().size
        table = np.arange(count).reshape(spec.hidden[0], -1)
        self._inputs, self._outputs = table[:, :-2].reshape(-1), table[:, -1]
        self._units = np.ones(count)
        self._units[self._inputs] = 2.0 ** -spec.weight_exponents[0]
        self._units[self._outputs] = 2.0 ** -spec.weight_exponents[1]

    def start(self) -> Progress:
        """State before the first step."""
        nothing = np.zeros(0, np.int64)
        return Progress(0, 0, self._network.vector(), START_DAMPING, nothing, (), math.nan)

    def run(self, progress: Progress, on_step: Callable[[Progress, int], None]) -> Progress:
        """Train to the end.

        Parameters
        ----------
        on_step : callable
            Called after each step with the state and the total number of steps done.
        """
        options = self._options
        stages: list[tuple[int, tuple[bool, float] | None, int]] = [
            (horizon, None, count) for horizon, count in zip(options.horizons, options.iterations, strict=True)
        ]
        if options.rounding == "compensated":
            stages += [(options.horizons[-1], (outputs, part), count) for outputs, part, count in PASSES]
        done = sum(count for _, _, count in stages[: progress.stage])
        for number, (horizon, rounding, count) in enumerate(stages):
            if number < progress.stage:
                continue
            equations = self._equations(progress.parameters, horizon)
            if not math.isfinite(equations.loss):
                raise CheckError(
                    f"training {self._spec.name}: the loss is {equations.loss} on rollouts of {horizon} PDE steps; "
                    "shorten the horizons or lower model.diffusion_number"
                )
            if progress.iteration == 0 and rounding is not None:
                progress = self._round(progress, equations, *rounding)
                equations = self._equations(progress.parameters, horizon)
            elif progress.iteration == 0:
                progress = _replace(progress, damping=START_DAMPING)
            while progress.iteration < count:
                progress, equations, moved = self._improve(progress, equations, horizon)
                progress = _replace(progress, iteration=progress.iteration + 1 if moved else count)
                on_step(progress, done + progress.iteration)
            done += count
            progress = _replace(progress, stage=number + 1, iteration=0, damping=START_DAMPING)
        return progress

    def model(self, progress: Progress) -> Model:
        """The trained model, with the mean flux subtracted, which changes no result and saves bits."""
        network = self._network.with_vector(progress.parameters)
        if not progress.rounded.size:
            network = _balanced(network, self._spec)
        cells = network.weight.shape[1]
        lower, upper = (network.flux(np.full(cells, v))[0] for v in (self._options.lower, self._options.upper))
        biases = (network.bias, np.array([-(lower + upper) / 2]))
        return Model(self._spec, (network.weight, network.output[None, :]), biases)

    @property
    def spacing(self) -> float:
        """Cell width of the training mesh."""
        return self._mesh.spacing[0]

    def held_out(self, model: Model, seed: int) -> HeldOut:
        """Held-out fields from a separate random stream, over the longest training horizon.

        Parameters
        ----------
        model : Model
            The trained model.
        seed : int
            Random seed of the training.
        """
        steps = self._options.horizons[-1]
        options = self._options.model_copy(update={"fields": HELD_OUT_FIELDS, "quiet_fields": 0})
        fields = _random_fields(options, seed, HELD_OUT_STREAM)
        viscosity, time = self._spec.diffusivity, steps * self._step
        start, exact = (
            np.stack([cole_hopf(self._mesh, modes, viscosity, t).values for modes in fields]) for t in (0.0, time)
        )
        units = [2.0**-exponent for exponent in self._spec.weight_exponents]
        weight, output = (np.rint(w / unit) * unit for w, unit in zip(model.weights, units, strict=True))
        trained = HiddenFlux(weight, model.biases[0], output[0])
        before, after = (
            np.stack([network.stepped(values, steps) for values in start]) for network in (self._network, trained)
        )
        first = godunov(start, self.spacing, viscosity, time)
        return HeldOut(start, exact, before, after, first, "first-order Godunov", steps)

    def _improve(
        self, progress: Progress, equations: NormalEquations, horizon: int
    ) -> tuple[Progress, NormalEquations, bool]:
        """Take a Levenberg-Marquardt step; the last result is False if no damping lowers the loss."""
        count = progress.parameters.size
        free = np.setdiff1d(np.arange(count), progress.rounded)
        limits = np.full(count, math.inf)
        if progress.rounded.size:
            both = np.concatenate([self._inputs, self._outputs])
            limits[both] = LARGEST_WEIGHT * self._units[both]
        better = improved(
            progress.parameters,
            equations,
            free,
            limits,
            progress.damping,
            lambda parameters: self._equations(parameters, horizon),
        )
        if better is None:
            return _replace(progress, losses=(*progress.losses, equations.loss)), equations, False
        losses = (*progress.losses, better.trial.loss)
        moved = _replace(progress, parameters=better.parameters, damping=better.damping, losses=losses)
        return moved, better.trial, True

    def _round(self, progress: Progress, equations: NormalEquations, outputs: bool, part: float) -> Progress:
        if not progress.rounded.size:
            network = _balanced(self._network.with_vector(progress.parameters), self._spec)
            progress = _replace(progress, parameters=network.vector(), before_rounding=equations.loss)
            equations = self._equations(progress.parameters, self._options.horizons[-1])
        candidates = np.setdiff1d(self._outputs if outputs else self._inputs, progress.rounded)
        free = np.setdiff1d(np.arange(progress.parameters.size), progress.rounded)
        order = rounding_order(equations.matrix, candidates, np.setdiff1d(free, candidates))
        order = order[: math.ceil(candidates.size * part)]
        limits = LARGEST_WEIGHT * self._units
        parameters = round_with_compensation(progress.parameters, equations.matrix, order, free, self._units, limits)
        both = np.concatenate([self._inputs, self._outputs])
        parameters[both] = np.clip(parameters[both], -limits[both], limits[both])
        return _replace(progress, parameters=parameters, rounded=np.union1d(progress.rounded, order))

    def _equations(self, parameters: Floats, horizon: int) -> NormalEquations:
        if self._courses[0] != horizon:
            self._courses = (horizon, self._known(horizon))
        return normal_equations(self._network.with_vector(parameters), self._courses[1])

    def _known(self, horizon: int) -> list[Course]:
        longest = max(horizon, round(LONGEST_QUIET_TIME / self._step))
        courses = []
        for number, modes in enumerate(self._fields):
            last = horizon if number < self._options.fields else min(2 * horizon, longest)
            steps = tuple(sorted({max(1, round(last * n / KNOWN_TIMES)) for n in range(1, KNOWN_TIMES + 1)}))
            start, *exact = (
                cole_hopf(self._mesh, modes, self._spec.diffusivity, step * self._step).values for step in (0, *steps)
            )
            courses.append(Course(start, steps, np.array(exact)))
        return courses


def total_steps(options: GaussNewtonOptions) -> int:
    """Number of Gauss-Newton steps of a whole training."""
    passes = sum(steps for _, _, steps in PASSES) if options.rounding == "compensated" else 0
    return sum(options.iterations) + passes


def characteristic_network(spec: ModelSpec, options: GaussNewtonOptions, seed: int) -> HiddenFlux:
    """Initial network of a training.

    Kink ``k`` contributes ``d max(u_k - theta_k, 0)``, which sum to a piecewise linear ``u^2 / 2``. Here ``u_k`` is the
    point value at the foot of the characteristic of speed ``theta_k``, which makes the flux second order in time. Units
    that are always active provide the rest of the linear part and diffusion.

    Parameters
    ----------
    seed : int
        Random seed of the small differences between units that are always active.
    """
    assert spec.cell_width is not None
    random = np.random.default_rng([seed, 0])
    courant = nominal_time_step(spec, spec.cell_width) / spec.cell_width
    half, kinks = spec.half_width, spec.hidden[0] - options.linear_units
    lowest = options.lower - KINK_MARGIN
    width = (options.upper + KINK_MARGIN - lowest) / kinks
    places = lowest + width * (np.arange(kinks) + 0.5)
    rows = [KINK_SCALE * stencil(half, -place * courant)[0] for place in places]
    slope = stencil(half, 0.0)[1]
    linear = courant * lowest * stencil(half, -lowest * courant)[0] - spec.diffusion_number * slope
    scale = LINEAR_SCALE / np.abs(linear).max()
    jitter = 1 + LINEAR_JITTER * random.normal(size=(options.linear_units, 2 * half))
    weight = np.concatenate([rows, linear * scale * jitter])
    bias = np.concatenate([-KINK_SCALE * places, np.full(options.linear_units, LINEAR_BIAS)])
    output = np.concatenate(
        [np.full(kinks, courant * width / KINK_SCALE), np.full(options.linear_units, 1 / scale / options.linear_units)]
    )
    return HiddenFlux(weight, bias, output)


def _balanced(network: HiddenFlux, spec: ModelSpec) -> HiddenFlux:
    """Scale each unit so that its weights use all bits, without changing the function."""
    largest = LARGEST_OUTPUT_PART * LARGEST_WEIGHT * 2.0 ** -spec.weight_exponents[1]
    scale = LARGEST_INPUT_WEIGHT / np.abs(network.weight).max(axis=1)
    scale = np.maximum(scale, np.abs(network.output) / largest)
    return HiddenFlux(network.weight * scale[:, None], network.bias * scale, network.output / scale)


def _random_fields(options: GaussNewtonOptions, seed: int, stream: int = 1) -> list[Modes]:
    """Draw fields that span most of the range, then ever quieter ones."""
    random = np.random.default_rng([seed, stream])
    fields = []
    quiet = np.geomspace(0.5, 0.02, options.quiet_fields)
    for number in range(options.fields + options.quiet_fields):
        most = options.modes if number < options.fields else min(2, options.modes)
        count = int(random.integers(1, most + 1))
        cosines, sines = random.normal(size=(2, count)) / np.sqrt(np.arange(1, count + 1))
        filled = random.uniform(0.6, 1.0) if number < options.fields else quiet[number - options.fields]
        phases = np.arctan2(sines, cosines)
        amplitudes = np.hypot(cosines, sines)
        turns = 2 * np.pi * np.outer(np.arange(1, count + 1), np.arange(1024) / 1024)
        shape = amplitudes @ np.cos(turns - phases[:, None])
        mean = (options.lower + options.upper) / 2
        scale = filled * min((options.upper - mean) / shape.max(), (mean - options.lower) / -shape.min())
        fields.append(Modes(mean, tuple((scale * amplitudes).tolist()), tuple(phases.tolist())))
    return fields


def _replace(progress: Progress, **changes: object) -> Progress:
    return Progress(**{**vars(progress), **changes})
