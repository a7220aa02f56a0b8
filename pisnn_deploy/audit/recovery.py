"""Recovery: repair memories from the audit's expected values, and continue the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pisnn_deploy.audit.invariants import Audit, Books
from pisnn_deploy.core.errors import InvariantViolation, OverflowViolation

PATIENCE = 3
"""Consecutive PDE steps with violations after which a fault counts as permanent and stops the run."""


@dataclass(frozen=True)
class Detection:
    """A detected violation.

    Attributes
    ----------
    kind : str
        See `pisnn_deploy.audit.invariants.KINDS`.
    step : int
        PDE step of the violation.
    place : str
        Location, such as ``membrane [17]``.
    healed : bool
        Whether it was repaired and the run continued.
    """

    kind: str
    step: int
    place: str
    healed: bool = False


def detection_of(violation: InvariantViolation | OverflowViolation, *, healed: bool = False) -> Detection:
    """Convert a violation to a `Detection`.

    Parameters
    ----------
    healed : bool
        Whether the memories were repaired.
    """
    return Detection(violation.kind, violation.step, violation.place, healed)


class Recovery:
    """Audit of a run with repair of violations.

    Violations of the global, local and flux invariants are repaired, because the audit knows the right masses, residues
    and currents. Values outside the operating range or their width are not: they are in the audit, too, or were used.

    Attributes
    ----------
    detections : list of Detection
        Violations that were repaired.
    """

    def __init__(self, audit: Audit) -> None:
        self.detections: list[Detection] = []
        self._audit = audit
        self._last_step = -1
        self._in_a_row = 0

    def observe(self, *observations: Callable[[], None]) -> Books | None:
        """Run the checks of one time step.

        Parameters
        ----------
        *observations : callable
            Functions that call the audit.

        Returns
        -------
        Books or None
            Contents to write to the memories before the next time step; None if all are right.

        Raises
        ------
        InvariantViolation
            If a violation cannot be repaired, or returns in too many steps.
        """
        heals = False
        for observe in observations:
            try:
                observe()
            except InvariantViolation as violation:
                if violation.kind == "range" or not self._is_patient(violation.step):
                    raise
                self._audit.heal(violation.step)
                heals = True
                self.detections.append(detection_of(violation, healed=True))
        return self._audit.books if heals else None

    def _is_patient(self, step: int) -> bool:
        if step != self._last_step:
            self._in_a_row = self._in_a_row + 1 if step == self._last_step + 1 else 1
            self._last_step = step
        return self._in_a_row < PATIENCE
