"""Fields at some PDE steps, as formats write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.fields.content import about, labels_of
from pisnn_deploy.graph import IntegerGraph

if TYPE_CHECKING:
    from pisnn_deploy.runs import Run


@dataclass(frozen=True)
class Snapshots:
    """The kept steps of a run.

    Attributes
    ----------
    digest : str
        Hash of the artifact.
    """

    graph: IntegerGraph
    run: Run
    digest: str

    @property
    def step(self) -> NDArray[np.int64]:
        """PDE step of each row, int64 [n]."""
        return self.run.trace.step

    @property
    def last(self) -> int:
        """Number of the last row.

        Raises
        ------
        CheckError
            There is none: the first audit stopped the run.
        """
        if not self.step.size:
            raise CheckError(f"no PDE step was kept, so no field is saved; {self.run.verdict.reason}")
        return int(self.step.size) - 1

    def about(self, row: int) -> dict[str, Any]:
        """Origin of a row, and its step and time."""
        step = int(self.step[row])
        described = about(self.graph, self.digest)
        return described | {"step": step, "time": step * self.graph.time_step, "verdict": self.run.verdict.word}

    def columns(self, row: int) -> Iterator[tuple[str, NDArray[np.float64] | NDArray[np.int64]]]:
        """Values and masses of each field in a row, by name, [cells]."""
        parts = self.run.trace.columns.fields
        for part, (label, mass_label) in zip(parts, labels_of(self.graph), strict=True):
            mass = np.asarray(self.run.trace.mass[row, part.cells])
            yield label, part.field.values(mass)
            yield mass_label, mass
