"""Recovery: what the audit finds wrong with a memory is put right from its books, and the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pisnn_deploy.audit.invariants import Audit, Books
from pisnn_deploy.core.errors import InvariantViolation, OverflowViolation

PATIENCE = 3
"""PDE steps in a row with a violation after which a fault is taken for one that lasts, and stops the run."""


@dataclass(frozen=True)
class Detection:
    """A violation that was found.

    Attributes
    ----------
    kind : str
        See `pisnn_deploy.audit.invariants.KINDS`.
    step : int
        PDE step.
    place : str
        E.g. ``membrane [17]``.
    healed : bool
        Whether the run went on.
    """

    kind: str
    step: int
    place: str
    healed: bool = False


def detection_of(violation: InvariantViolation | OverflowViolation, *, healed: bool = False) -> Detection:
    """What a violation says.

    Parameters
    ----------
    healed : bool
        Whether the memories were put right, so that the run went on.
    """
    return Detection(violation.kind, violation.step, violation.place, healed)


class Recovery:
    """Observations of an audit after which a run may go on.

    Global, local and flux invariants are healed: the books say what masses, residues and currents must be. A value that
    left the operating range or its width is not, because the books have it too or it was used already.

    Attributes
    ----------
    detections : list of Detection
        What was healed.
    """

    def __init__(self, audit: Audit) -> None:
        self.detections: list[Detection] = []
        self._audit = audit
        self._last_step = -1
        self._in_a_row = 0

    def observe(self, *observations: Callable[[], None]) -> Books | None:
        """Make the observations of one time step.

        Parameters
        ----------
        *observations : callable
            Each has the audit look at something.

        Returns
        -------
        Books or None
            What the memories are to be set to before the next time step; None if they are right.

        Raises
        ------
        InvariantViolation
            What cannot be healed, or was not healed for good.
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
