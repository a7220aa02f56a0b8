"""Time steps of a run on Lava."""

from __future__ import annotations


def step_and_phase(time_step: int, period: int, first_step: int = 0) -> tuple[int, int]:
    """Return PDE step and phase of a time step.

    Parameters
    ----------
    time_step : int
        Lava's time step in a run, from 1.
    period : int
        Number of time steps per PDE step.
    first_step : int
        Number of PDE steps before the run.
    """
    step, phase = divmod(time_step - 1, period)
    return step + first_step, phase
