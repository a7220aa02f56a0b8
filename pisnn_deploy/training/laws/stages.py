"""The parts of the training of a law."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pisnn_deploy.training.laws.setting import Setting

ATTEMPTS = 2
"""Initial networks, of which the best is trained on."""
SHORT = ((4, 6), (16, 6))
"""PDE steps of the rollouts of an attempt, and Gauss-Newton steps on them."""
ROUNDS = 3
"""Parts of the steps on the longest rollouts, each with weights of its own."""
PASSES = ((True, 1.0, 3), (False, 0.5, 2), (False, 0.6, 2), (False, 1.0, 4))
"""Rounding passes: whether of output weights, part of the remaining weights, Gauss-Newton steps afterwards."""
SEARCHES, STEPS_AFTER_SEARCH = 3, 2


@dataclass(frozen=True)
class Stage:
    """A part of a training.

    Attributes
    ----------
    horizon : int
        PDE steps of its rollouts.
    steps : int
        Gauss-Newton steps.
    attempt : int or None
        Number of the initial network that it starts with; None to go on.
    chooses : bool
        Whether it starts with the best of all attempts.
    rounding : tuple of (bool, float) or None
        Whether output weights are rounded first, and which part of those that are left.
    searches : bool
        Whether it starts with a search for better integers.
    """

    horizon: int
    steps: int
    attempt: int | None = None
    chooses: bool = False
    rounding: tuple[bool, float] | None = None
    searches: bool = False


def stages(setting: Setting) -> tuple[Stage, ...]:
    """Parts of the training of a setting, in order."""
    horizon = setting.horizon
    parts = []
    for attempt in range(ATTEMPTS):
        for number, (length, steps) in enumerate(SHORT):
            parts.append(Stage(min(length, horizon), steps, None if number else attempt))
    each = max(1, math.ceil(setting.options.steps / ROUNDS))
    parts += [Stage(horizon, each, chooses=number == 0) for number in range(ROUNDS)]
    parts += [Stage(horizon, steps, rounding=(outputs, part)) for outputs, part, steps in PASSES]
    parts += [Stage(horizon, STEPS_AFTER_SEARCH, searches=True) for _ in range(SEARCHES)]
    return tuple(parts)
