"""One row of a campaign's table: a case and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["conserved", "violated", "refused", "failed"]
"""``refused`` is a result: the case cannot be compiled or run as asked. ``failed`` is none: its worker or backend broke
down, and another attempt may go better."""
TIMES = ("seconds", "compile_seconds")
"""Columns in which two runs of the same plan differ."""


@dataclass(frozen=True)
class Row:
    """A case and what came of it.

    Attributes
    ----------
    key : str
        See `pisnn_deploy.campaign.case.Case.key`.
    model, mesh, boundary, profile, coding, initial, backend : str
        As the plan has them.
    seed, asked_steps : int or None
        PDE steps to the problem's horizon, where the plan names no number, once they are known.
    fault : str or None
        What hit the run.
    verdict : str
    artifact : str or None
        SHA-256 of the artifact, hexadecimal; None if it was not compiled.
    cells, faces : int or None
    steps, time_steps : int or None
        PDE steps and time steps that were completed.
    drift : int or None
        Mass of all cells and ledgers at the end, less that at the start, in quanta; None if a violation stopped the
        run.
    violations_global, violations_local, violations_flux, violations_overflow, violations_range : int or None
        What the audit found over all time steps.
    relative_l2_error : float or None
        Of the cell averages at the end against the exact ones; None where these are not known.
    time : float or None
        Physical time at the end.
    packets, events : int or None
        Faces that fired, and spikes of all populations, over the run.
    fault_detected_step : int or None
        PDE step in which the audit found the fault; None if it found none, or there was none.
    message : str or None
        Why a case was refused or failed, or what was violated first.
    seconds, compile_seconds : float or None
        Stepping without set-up, and compiling the artifact, which cases share.
    """

    key: str
    model: str
    mesh: str
    boundary: str
    profile: str
    coding: str
    initial: str
    seed: int | None
    asked_steps: int | None
    backend: str
    fault: str | None
    verdict: Verdict
    artifact: str | None = None
    cells: int | None = None
    faces: int | None = None
    steps: int | None = None
    time_steps: int | None = None
    drift: int | None = None
    violations_global: int | None = None
    violations_local: int | None = None
    violations_flux: int | None = None
    violations_overflow: int | None = None
    violations_range: int | None = None
    relative_l2_error: float | None = None
    time: float | None = None
    packets: int | None = None
    events: int | None = None
    fault_detected_step: int | None = None
    message: str | None = None
    seconds: float | None = None
    compile_seconds: float | None = None
