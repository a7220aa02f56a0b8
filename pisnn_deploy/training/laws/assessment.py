"""Assess the trained fluxes of a law: held-out starts, float64 schemes on the same mesh, fluxes of constant states."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.training.assessment import strict
from pisnn_deploy.training.laws.courses import Course, stepped
from pisnn_deploy.training.laws.samples import constant_states
from pisnn_deploy.training.laws.scheme import Scheme
from pisnn_deploy.training.laws.setting import Setting

Floats = NDArray[np.float64]

HELD_OUT_STARTS = 8
FIRST_ORDER, SECOND_ORDER = "godunov", "muscl"
"""Schemes of `laws.baselines` to compare with; the second is that of most constructed fluxes."""


@dataclass(frozen=True)
class LawAssessment:
    """Results of a training, and the reasons if it failed.

    Attributes
    ----------
    loss_before, loss_after : float
        Squared error of held-out starts with the initial network and with the trained integer weights.
    held_out_error : float
        L2 error of all fields of all held-out starts, relative to the variation of the starts.
    held_out_steps : int
        PDE steps to which it belongs.
    first_order_error, second_order_error : float
        The same of Godunov's scheme and of MUSCL-Hancock in float64, on the same mesh with the same time step.
    flux_deviation : float
        Largest difference of a flux of a constant state to that of the law, relative to the width of the field's range,
        as a change of a cell in a PDE step.
    accept : float
        Largest accepted `held_out_error`.
    failures : tuple of str
        One sentence per failure; empty if the training succeeded.
    """

    loss_before: float
    loss_after: float
    held_out_error: float
    held_out_steps: int
    first_order_error: float
    second_order_error: float
    flux_deviation: float
    accept: float
    failures: tuple[str, ...]

    @property
    def document(self) -> dict[str, Any]:
        """Plain data for JSON; values that are not finite are None."""
        plain: dict[str, Any] = strict(asdict(self))
        return plain

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Names and texts for a table."""
        return [
            ("held-out loss", f"{self.loss_before:.3g} before training, {self.loss_after:.3g} after"),
            ("held-out error", f"{self.held_out_error:.2e} after {self.held_out_steps} PDE steps"),
            ("first-order Godunov", f"{self.first_order_error:.2e} on the same mesh"),
            ("second-order MUSCL", f"{self.second_order_error:.2e} on the same mesh, as constructed fluxes in floats"),
            ("accepted", f"up to {self.accept:.2e}"),
            ("flux of constant states", f"off by {self.flux_deviation:.2e} of the range in a PDE step at most"),
            *(("failed", sentence) for sentence in self.failures),
        ]


class HeldOut:
    """Held-out starts of a training.

    Parameters
    ----------
    courses : sequence of Course
        Exact solutions after starts that the training does not see.
    """

    def __init__(self, setting: Setting, scheme: Scheme, courses: Sequence[Course]) -> None:
        self._setting, self._scheme = setting, scheme
        self._starts = np.stack([course.states[0] for course in courses])
        self._exact = np.stack([course.states[-1] for course in courses])
        self._per_field = (setting.scales / np.diff(setting.ranges, axis=1)[:, 0])[:, None]

    def error_of(self, values: Floats) -> float:
        """L2 error of fields at the end [starts, fields, cells], relative to the variation of the starts."""
        means = self._starts.mean(axis=2, keepdims=True)
        variation = np.linalg.norm((self._starts - means) * self._per_field)
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.linalg.norm((values - self._exact) * self._per_field) / variation)

    def error(self, parameters: Floats) -> float:
        """Error of a network."""
        return self.error_of(self._scheme.stepped(parameters, self._starts, self._setting.horizon))

    def error_by(self, name: str) -> float:
        """Error of a float64 scheme."""
        return self.error_of(
            np.stack([stepped(self._setting, name, start, self._setting.horizon) for start in self._starts])
        )


def assess(
    setting: Setting, scheme: Scheme, held_out: HeldOut, before: Floats, after: Floats, losses: Floats
) -> LawAssessment:
    """Assess a training.

    Parameters
    ----------
    before, after : float64 array [parameters]
        The initial network and the trained one.
    losses : float64 array [stages + 1]
        Errors of the training's starts, before the first and after each stage.
    """
    first, second = held_out.error_by(FIRST_ORDER), held_out.error_by(SECOND_ORDER)
    errors = held_out.error(before), held_out.error(after)
    accept = first if setting.options.accept is None else setting.options.accept
    failures = []
    if not (math.isfinite(errors[1]) and math.isfinite(losses[-1])):
        failures.append("held-out starts blow up")
    elif errors[1] > errors[0]:
        failures.append(f"the loss rose from {errors[0] ** 2:.2e} to {errors[1] ** 2:.2e} on held-out starts")
    if errors[1] > accept:
        limit = "that of Godunov's scheme on the same mesh" if setting.options.accept is None else "training.accept"
        failures.append(f"the held-out error {errors[1]:.2e} is above {accept:.2e}, {limit}")
    deviation = _flux_deviation(setting, scheme, after)
    return LawAssessment(
        errors[0] ** 2, errors[1] ** 2, errors[1], setting.horizon, first, second, deviation, accept, tuple(failures)
    )


def _flux_deviation(setting: Setting, scheme: Scheme, parameters: Floats) -> float:
    largest = 0.0
    widths = np.diff(setting.ranges, axis=1)[:, 0] / setting.scales
    for axis, layout in enumerate(setting.layouts):
        chosen = constant_states(setting, axis)
        units = scheme.units(parameters, layout.block)
        fluxes = np.maximum(chosen.windows @ units.weight.T + units.bias, 0) @ units.output
        largest = max(largest, float((np.abs(fluxes - chosen.fluxes) / widths[layout.fields]).max()))
    return largest
