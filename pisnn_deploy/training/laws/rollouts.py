"""Rollouts of a training: from many states of its courses, with weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.training.laws.courses import Course
from pisnn_deploy.training.laws.scheme import Rollouts, Scheme
from pisnn_deploy.training.laws.setting import Setting

Floats = NDArray[np.float64]

SEGMENTS = 6
"""Rollouts from each course, at most."""
KNOWN_TIMES = 4
"""Equally spaced times at which a rollout is compared."""
LEAST_VARIATION = 0.1
"""Errors are relative to the variation of a start, but at least to this part of the operating range."""
LEAST_ERROR = 1e-3
"""Courses count the more the smaller their error is, down to this relative error."""


class Horizons:
    """Rollouts of any horizon from the courses of a training."""

    def __init__(self, setting: Setting, scheme: Scheme, courses: Sequence[Course]) -> None:
        self._setting, self._scheme, self._courses = setting, scheme, courses
        self._rollouts: dict[int, Rollouts] = {}
        # One over the squared width of each field's range, in units of its scale.
        self.per_field = np.asarray((setting.scales / np.diff(setting.ranges, axis=1)[:, 0]) ** 2, np.float64)

    def weighted(self, reference: Floats, horizon: int) -> Rollouts:
        """Rollouts with weights that depend on how well a network does on each course."""
        rollouts = self.unweighted(horizon)
        per_field = self.per_field
        variation = np.square(rollouts.starts - rollouts.starts.mean(axis=2, keepdims=True)).sum(axis=2) @ per_field
        variation += LEAST_VARIATION**2 * self._setting.fields * rollouts.starts.shape[2]
        errors = np.zeros(len(rollouts.starts))
        for course in range(len(errors)):
            alone = replace(
                rollouts,
                starts=rollouts.starts[course : course + 1],
                exact=rollouts.exact[course : course + 1],
                weights=per_field[None] / len(rollouts.steps),
            )
            errors[course] = min(1.0, self._scheme.loss(reference, alone) / variation[course])
        weights = 1 / (variation * np.sqrt(errors + LEAST_ERROR**2)) / len(errors) / len(rollouts.steps)
        return replace(rollouts, weights=weights[:, None] * per_field)

    def unweighted(self, horizon: int) -> Rollouts:
        """Rollouts from states along each course."""
        if horizon not in self._rollouts:
            known = sorted({math.ceil(horizon * part / KNOWN_TIMES) for part in range(1, KNOWN_TIMES + 1)})
            if horizon < 2 * KNOWN_TIMES:
                known = [horizon]
            apart = max(horizon, self._setting.horizon // SEGMENTS)
            firsts = range(0, self._setting.horizon - horizon + 1, apart)
            states = [(course.states, first) for course in self._courses for first in firsts]
            starts = np.stack([each[first] for each, first in states])
            exact = np.stack([each[[first + step for step in known]] for each, first in states])
            self._rollouts = {horizon: Rollouts(starts, tuple(known), exact, np.ones(starts.shape[:2]))}
        return self._rollouts[horizon]

    def error(self, parameters: Floats) -> float:
        """Root mean square error of the longest rollouts, relative to the operating range; infinite if they blow up."""
        rollouts = self.unweighted(self._setting.horizon)
        weights = np.ones_like(rollouts.weights) * self.per_field / rollouts.exact.size
        return math.sqrt(self._scheme.loss(parameters, replace(rollouts, weights=weights)))
