"""Rows of a campaign's table: a case and its result."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Literal

from pisnn_deploy.audit.invariants import KINDS
from pisnn_deploy.runs import verdict

Verdict = Literal["conserved", "violated", "refused", "failed"]
"""``refused`` is a result: the case cannot be compiled or run as requested. ``failed`` is not: its worker or backend
crashed, and another attempt may succeed."""
LARGEST = 2**63 - 1
"""Largest count that a column of the table can hold."""
_TOO_LARGE = "too large for the table"
_ADRIFT = re.compile(r"the rows of the run do not add up: [+-][1-9]\d* quanta at PDE step \d+; wrong rows: [1-9]\d*")


@dataclass(frozen=True)
class Row:
    """A case and its result.

    Attributes
    ----------
    key : str
        See `pisnn_deploy.campaign.case.Case.key`.
    model, mesh, boundary, profile, coding, residues, initial, backend : str
        Values from the plan.
    seed : int or None
        Seed of a random initial field.
    asked_steps : int or None
        Requested PDE steps; for ``horizon``, the number of steps to the problem's final time once it is known.
    fault : str or None
        Injected fault.
    verdict : str
        ``conserved``, ``violated``, ``refused`` or ``failed``.
    artifact : str or None
        SHA-256 of the artifact, hexadecimal; None if it was not compiled.
    compile_warnings : int or None
        Number of warnings from compiling.
    cells, faces : int or None
        Number of cells of the mesh, and of channels (the faces, and the sources of laws); None if nothing was compiled.
    steps, time_steps : int or None
        Completed PDE steps and time steps.
    drift : int or None
        Change of the total mass of cells and ledgers over the run, in quanta; None if a violation stopped the run.
    violations_global, violations_local, violations_flux, violations_overflow, violations_range : int or None
        Number of violations that the audit found over all time steps.
    relative_l2_error : float or None
        Error of the final cell averages; None if the exact ones are unknown.
    plausible : bool or None
        Whether the run is plausible, see `pisnn_deploy.runs.plausibility`; None if that cannot be judged.
    time : float or None
        Physical time at the end.
    packets, events : int or None
        Number of packets, and of spikes of all populations, over the run.
    fault_detected_step : int or None
        PDE step in which the audit detected the fault; None if there was no fault or it was not detected.
    message : str or None
        Why the case was refused or failed, or the first violation.
    seconds, compile_seconds : float or None
        Wall-clock time of stepping without set-up, and of compiling the artifact, which cases share.

    Raises
    ------
    ValueError
        The verdict contradicts the figures.
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
    residues: str = "unseen"
    artifact: str | None = None
    compile_warnings: int | None = None
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
    plausible: bool | None = None
    time: float | None = None
    packets: int | None = None
    events: int | None = None
    fault_detected_step: int | None = None
    message: str | None = None
    seconds: float | None = None
    compile_seconds: float | None = None

    def __post_init__(self) -> None:
        for problem in _contradictions(self):
            raise ValueError(problem)


def left_out(name: str, count: int) -> str:
    """Message about a count that is too large for its column."""
    return f"{name} is {count}, {_TOO_LARGE}"


def _contradictions(row: Row) -> Iterator[str]:
    """Yield contradictions within a row, as ends of sentences."""
    counts = {kind: getattr(row, f"violations_{kind}") for kind in KINDS}
    if (row.compile_warnings or 0) < 0:
        yield "a negative count"
    figures = {"steps": row.steps, "time_steps": row.time_steps, "packets": row.packets, "events": row.events}
    if row.verdict in ("refused", "failed"):
        others = {"drift": row.drift, "time": row.time, "relative_l2_error": row.relative_l2_error}
        others |= {"plausible": row.plausible}
        filled = [name for name, value in (figures | others | counts).items() if value is not None]
        if filled or not row.message:
            yield f"{row.verdict}, " + (f"but with a value for {filled[0]}" if filled else "but without a message")
        return
    if not (row.artifact and row.cells and row.faces is not None) or row.steps is None or row.asked_steps is None:
        yield f"{row.verdict}, without an artifact, cells, faces or steps"
        return
    yield from _of_a_run(row, counts)
    if any(value is not None and value < 0 for value in (figures | counts).values()):
        yield "a negative count"
    if row.packets is not None and row.packets > row.faces * (row.steps + 1):
        yield f"{row.packets} packets of {row.faces} faces in {row.steps} PDE steps"
    if row.relative_l2_error is not None and not (row.verdict == "conserved" and 0 <= row.relative_l2_error < inf):
        yield f"{row.verdict}, with a relative L2 error of {row.relative_l2_error}"
    if row.time is not None and not 0 <= row.time < inf:
        yield f"a time of {row.time}"


def _of_a_run(row: Row, counts: dict[str, int | None]) -> Iterator[str]:
    """Yield contradictions within the row of a completed run; a count that is too large for the table is None."""
    known = {kind: count for kind, count in counts.items() if count is not None}
    judgement = verdict.Verdict((verdict.Balance(final=row.drift or 0),), known)
    if row.verdict == "conserved":
        if row.drift is None or len(known) < len(counts) or not judgement.conserved:
            yield f"conserved, but {judgement.reason or 'figures are missing'}"
        if row.steps != row.asked_steps:
            yield f"conserved after {row.steps} of {row.asked_steps} PDE steps"
        if row.fault_detected_step is not None:
            yield "conserved, but a fault was detected"
    else:
        missing = [f"violations_{kind}" for kind in counts if kind not in known]
        unexplained = [name for name in missing if not _is_left_out(row, name)]
        if unexplained:
            yield f"violated, but {unexplained[0]} is missing without an explanation"
        is_explained = missing or _is_left_out(row, "drift") or _ADRIFT.match(row.message or "")
        if judgement.conserved and not is_explained:
            yield "violated, but without a violation"
        if row.plausible:
            yield "violated, but plausible"
        if not row.message:
            yield "violated, but without a message"
        if (row.steps or 0) > (row.asked_steps or 0):
            yield f"violated after {row.steps} of {row.asked_steps} PDE steps"


def _is_left_out(row: Row, name: str) -> bool:
    """Whether the message says that a count was too large for its column."""
    sentence = re.search(rf"(?:^|; ){name} is (-?\d{{19,99}}), {_TOO_LARGE}(?:;|$)", row.message or "")
    return sentence is not None and abs(int(sentence[1])) > LARGEST
