"""Rollouts of a training: from many states of its courses, with weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.training.laws.courses import Course
from pisnn_deploy.training.laws.scheme import Rollouts, Scheme
from pisnn_deploy.training.laws.setting import Setting

Floats = NDArray[np.float64]

SEGMENTS = 6
"""Rollouts from each course, at most."""
NOISE, NOISE_STREAM = 2e-4, 4
"""Noise of starts of linear laws, as a part of the operating range, and its random stream."""
WORSE = 2.0
"""Squared errors of courses that a stage does not train on may grow by this factor at most."""
KNOWN_TIMES = 4
"""Equally spaced times at which a rollout is compared."""
LEAST_VARIATION = 0.1
"""Errors are relative to the variation of a start, but at least to this part of the operating range."""
LEAST_ERROR = 1e-3
"""Courses count the more the smaller their error is, down to this relative error."""


class Horizons:
    """Rollouts of any horizon from the courses of a training.

    Parameters
    ----------
    courses : sequence of Course
        Exact solutions; a stage trains on at most ``setting.at_once`` of them.
    """

    def __init__(self, setting: Setting, scheme: Scheme, courses: Sequence[Course]) -> None:
        self._setting, self._scheme, self._courses = setting, scheme, courses
        # One over the squared width of each field's range, in units of its scale.
        self.per_field = np.asarray((setting.scales / np.diff(setting.ranges, axis=1)[:, 0]) ** 2, np.float64)

    def chosen(self, reference: Floats, horizon: int) -> tuple[int, ...]:
        """Numbers of the courses for a stage: one half the worst, the other half from all the others.

        Parameters
        ----------
        reference : float64 array [parameters]
            Network at the start of the stage.
        horizon : int
            PDE steps of its rollouts; courses that blow up within them have no derivatives, and are left out.
        """
        count = self._setting.at_once
        if len(self._courses) <= count:
            return tuple(range(len(self._courses)))
        order = np.argsort(-self.course_errors(reference), kind="stable")
        firm = [number for number in order.tolist() if self._is_finite(reference, horizon, number)]
        worst, others = firm[: count // 2], firm[count // 2 :]
        places = np.linspace(0, len(others) - 1, min(count - count // 2, len(others))).astype(int)
        return tuple(sorted({*worst, *(others[place] for place in places)}))

    def weighted(self, reference: Floats, horizon: int) -> Rollouts:
        """Rollouts with weights that depend on how well a network does on each course."""
        rollouts = self._from(horizon, self.chosen(reference, horizon))
        squares, variation = self._squares(reference, rollouts)
        errors = np.minimum(1.0, squares / variation)
        weights = 1 / (variation * np.sqrt(errors + LEAST_ERROR**2)) / len(errors) / len(rollouts.steps)
        return replace(rollouts, weights=weights[:, None] * self.per_field)

    def course_errors(self, parameters: Floats) -> Floats:
        """Mean square error of each course over the longest horizon, relative to its variation, at most 1."""
        rollouts = self._from(self._setting.horizon, tuple(range(len(self._courses))))
        squares, variation = self._squares(parameters, rollouts)
        return np.minimum(1.0, squares / variation)

    def error(self, parameters: Floats) -> float:
        """Root mean square error of the longest rollouts, relative to the operating range; infinite if they blow up."""
        rollouts = self._from(self._setting.horizon, tuple(range(len(self._courses))))
        weights = np.ones_like(rollouts.weights) * self.per_field / rollouts.exact.size
        return math.sqrt(self._scheme.loss(parameters, replace(rollouts, weights=weights)))

    def guard(self, reference: Floats, horizon: int) -> Callable[[Floats], bool]:
        """Whether a network is not much worse than another one on the courses that a stage does not train on."""
        trained_on = self.chosen(reference, horizon)
        others = [number for number in range(len(self._courses)) if number not in trained_on]
        longest = self._setting.horizon
        firm = tuple(number for number in others if self._is_finite(reference, longest, number))
        if not firm:
            return lambda parameters: True
        rollouts = self._from(longest, firm)
        rollouts = replace(rollouts, weights=np.ones_like(rollouts.weights) * self.per_field)
        limit = WORSE * self._scheme.loss(reference, rollouts)
        return lambda parameters: self._scheme.loss(parameters, rollouts) <= limit

    def _is_finite(self, parameters: Floats, horizon: int, number: int) -> bool:
        return bool(np.isfinite(self._scheme.loss(parameters, self._from(horizon, (number,)))))

    def _squares(self, parameters: Floats, rollouts: Rollouts) -> tuple[Floats, Floats]:
        """Squared errors, means over the known steps, and squared variations of the starts, float64 [rollouts] each."""
        per_field, count = self.per_field, len(rollouts.starts)
        variation = np.square(rollouts.starts - rollouts.starts.mean(axis=2, keepdims=True)).sum(axis=2) @ per_field
        variation += LEAST_VARIATION**2 * self._setting.fields * rollouts.starts.shape[2]
        squares = np.zeros(count)
        for number in range(count):
            alone = replace(
                rollouts,
                starts=rollouts.starts[number : number + 1],
                exact=rollouts.exact[number : number + 1],
                weights=per_field[None] / len(rollouts.steps),
            )
            squares[number] = self._scheme.loss(parameters, alone)
        return squares, variation

    def _noise(self, starts: Floats, horizon: int) -> Floats | float:
        """Short waves of linear laws: smooth starts have none, so rollouts would not show if they grow."""
        if not self._setting.is_linear:
            return 0.0
        random = np.random.default_rng([self._setting.options.seed, NOISE_STREAM, horizon, len(starts)])
        white = random.normal(size=(*starts.shape[:2], *self._setting.grid.shape))
        for axis in range(2, white.ndim):
            white = white - (np.roll(white, 1, axis) + np.roll(white, -1, axis)) / 2
        return np.asarray(NOISE * white.reshape(starts.shape) / np.sqrt(self.per_field)[:, None], np.float64)

    def _from(self, horizon: int, numbers: tuple[int, ...]) -> Rollouts:
        """Rollouts from states along some courses, with weights of 1."""
        known = sorted({math.ceil(horizon * part / KNOWN_TIMES) for part in range(1, KNOWN_TIMES + 1)})
        if horizon < 2 * KNOWN_TIMES:
            known = [horizon]
        apart = max(horizon, self._setting.horizon // SEGMENTS)
        firsts = range(0, self._setting.horizon - horizon + 1, apart)
        states = [(self._courses[number].states, first) for number in numbers for first in firsts]
        starts = np.stack([each[first] for each, first in states])
        starts = starts + self._noise(starts, horizon)
        exact = np.stack([each[[first + step for step in known]] for each, first in states])
        return Rollouts(starts, tuple(known), exact, np.ones(starts.shape[:2]))
