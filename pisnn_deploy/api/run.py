"""Results of runs in Python: verdict, integers, fields and pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.api.table import html_table
from pisnn_deploy.core.distance import relative_l2
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.optional import require
from pisnn_deploy.core.printable import printable
from pisnn_deploy.fields.dataset import dataset_of
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project.run_result import result_of, versions
from pisnn_deploy.project.simulation import Simulation
from pisnn_deploy.report.measures import error_text
from pisnn_deploy.report.places import parse_plane
from pisnn_deploy.runs import Run
from pisnn_deploy.runs.comparison import Comparison
from pisnn_deploy.runs.plausibility import Plausibility, plausibility
from pisnn_deploy.runs.probes import Probed, probed_of
from pisnn_deploy.runs.reading import last_values
from pisnn_deploy.runs.run import LedgerGain

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

Integers = NDArray[np.int64]
Field = NDArray[np.float64]


@dataclass(frozen=True)
class SimulationRun:
    """Result of a run.

    Attributes
    ----------
    run : Run
        Result of the backend.
    reference : float64 array [cells] or None
        Exact cell averages at the last kept step, if known.
    reference_error : float or None
        Bound on the relative L2 error of the reference itself.
    simulation : Simulation or None
        The request and its circumstances, which `report` needs.
    """

    graph: IntegerGraph = field(repr=False)
    run: Run = field(repr=False)
    reference: Field | None = field(repr=False)
    reference_error: float | None = field(repr=False, default=None)
    simulation: Simulation | None = field(repr=False, default=None)

    @property
    def verdict(self) -> str:
        """``conserved`` or ``violated``."""
        return self.run.verdict.word

    @property
    def failure(self) -> str:
        """Sentence that says why the run is violated; empty if it is conserved."""
        return self.run.verdict.reason

    @property
    def drift(self) -> int:
        """Change of the total mass of cells and ledgers between the first and last kept step, in quanta; must be 0.

        With several sets of fields that channels join, that of the set where it is largest.
        """
        return self.run.verdict.drift

    @property
    def plausible(self) -> Plausibility:
        """Whether the field stays within the bounds of initial field and boundary, and whether a mode may grow."""
        return plausibility(self.graph, self.run) if self.simulation is None else self.simulation.plausible

    @property
    def steps(self) -> int:
        """Number of completed PDE steps."""
        return self.run.steps

    @property
    def times(self) -> Field:
        """Physical time of each kept step, float64 [n]."""
        return np.asarray(self.run.trace.step * self.graph.time_step, np.float64)

    @property
    def mass(self) -> Integers:
        """Mass in quanta of each kept step, int64 [n, *mesh], or [n, fields, *mesh] of several fields."""
        return self.run.trace.mass.reshape(-1, *self.graph.shape)

    @property
    def values(self) -> Field:
        """Cell averages in physical units of each kept step, float64 [n, *mesh], or [n, fields, *mesh] of several.

        Of the masses alone; `last_values` adds the residues that faces see.
        """
        return self.graph.values(self.run.trace.mass).reshape(-1, *self.graph.shape)

    @property
    def last_values(self) -> Field:
        """Cell averages at the last kept step, shaped like a row of `values`, with the residues that faces see."""
        return last_values(self.graph, self.run).reshape(self.graph.shape)

    @property
    def fields(self) -> dict[str, Field]:
        """Cell averages in physical units of each kept step, by field, float64 [n, *mesh]."""
        trace, shape = self.run.trace, self.graph.mesh.shape
        return {
            part.name: part.field.values(trace.mass[:, part.cells]).reshape(-1, *shape) for part in trace.columns.fields
        }

    @property
    def ledgers(self) -> dict[str, dict[str, LedgerGain]]:
        """What each ledger took up to the last kept step, by field and by name: a side, a group or a source."""
        return self.run.ledgers()

    @property
    def relative_l2(self) -> float | None:
        """Relative L2 error at the last kept step; None if no reference is known, or it is 0, or of several fields."""
        mass = self.run.trace.mass
        if len(self.graph.fields) > 1:
            return None
        return relative_l2(last_values(self.graph, self.run), self.reference) if len(mass) else None

    def plot(self, path: str | PathLike[str] | None = None, plane: str | None = None) -> Figure:
        """Draw the run: field, profile, packets, mass balance.

        Parameters
        ----------
        path : str or path, optional
            File to write as PNG, in addition.
        plane : str, optional
            Plane of a grid of three axes, such as ``z=0.5`` (default: a middle plane normal to each axis).

        Raises
        ------
        UsageError
            There is no such plane.
        """
        require("plot", "matplotlib")
        from pisnn_deploy.report.picture import draw_run, figure_of_run

        drawn = None if plane is None else parse_plane(plane)
        reference, name = (self.reference, "exact") if self.simulation is None else self.simulation.drawn_reference
        if path is not None:
            draw_run(Path(path), self.graph, self.run, reference, name, plane=drawn)
        return figure_of_run(self.graph, self.run, reference, name, plane=drawn)

    def spikes(self, population: str, output: str | None = None) -> Integers:
        """Spikes of probed neurons at each kept step.

        Row `n` has the packets that led to the masses of its PDE step, and of populations that send no packets what
        they send for these masses.

        Parameters
        ----------
        population : str
            A population that `simulate` was asked to ``probe``.
        output : str, optional
            Name of the output, if the population has several.

        Returns
        -------
        int64 array [n, neurons]
            Payloads; 0 is no spike.

        Raises
        ------
        UsageError
            The population was not probed, or has no such output.
        """
        return self._probed(population).spikes(output)

    def states(self, population: str) -> dict[str, Integers]:
        """States of probed neurons at each kept step.

        Parameters
        ----------
        population : str
            A population that `simulate` was asked to ``probe``.

        Returns
        -------
        dict of str to int64 array [n, neurons]
            ``mass`` in quanta, or ``current`` and ``residue`` in flux units; empty for neurons that keep no state.

        Raises
        ------
        UsageError
            The population was not probed.
        """
        return self._probed(population).states

    def _probed(self, population: str) -> Probed:
        return probed_of(self.run.trace.probes, population)

    def raster(self, path: str | PathLike[str] | None = None) -> Figure:
        """Draw the spikes of all probed neurons.

        Parameters
        ----------
        path : str or path, optional
            File to write as PNG, in addition.

        Raises
        ------
        UsageError
            Nothing was probed.
        """
        require("raster", "matplotlib")
        from pisnn_deploy.report.raster import draw_raster, raster_of

        if path is not None:
            draw_raster(Path(path), self.graph, self.run.trace)
        return raster_of(self.graph, self.run.trace)

    @property
    def comparison(self) -> Comparison | None:
        """Result of the comparison with another backend, if requested."""
        return None if self.simulation is None else self.simulation.comparison

    @property
    def cautions(self) -> tuple[str, ...]:
        """Reasons why a conserved run may still be wrong, one sentence each."""
        return () if self.simulation is None else tuple(self.simulation.cautions)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of ``simulate --json``.

        Raises
        ------
        UsageError
            The run does not come from `CompiledArtifact.simulate`.
        """
        return result_of(self._simulation, self.graph.spec.name)

    def report(self, path: str | PathLike[str]) -> None:
        """Write a report of the run as a self-contained HTML page.

        Raises
        ------
        UsageError
            The run does not come from `CompiledArtifact.simulate`, or the file cannot be written.
        """
        require("report", "matplotlib", "jinja2")
        from pisnn_deploy.report.web_page import Report, write_report

        simulation = self._simulation
        page = Report(
            self.graph,
            simulation.run,
            self.to_dict(),
            simulation.exact,
            simulation.source.sha256,
            simulation.source.provenance,
            versions=versions(simulation.run.backend),
            plausible=simulation.plausible,
        )
        write_report(Path(path), page)

    @property
    def _simulation(self) -> Simulation:
        if self.simulation is None:
            raise UsageError("the request is unknown, because the run does not come from CompiledArtifact.simulate()")
        return self.simulation

    def to_xarray(self) -> xarray.Dataset:
        """Convert the trace to a dataset with names, coordinates and units.

        Returns
        -------
        xarray.Dataset
            ``value`` (float64) and ``mass`` (int64) over time and the axes of the mesh, ``ledger`` over time and
            reservoirs, ``transported`` over time and faces. Several fields have a variable each, with the name of the
            field, and ``NAME_mass`` and ``NAME_ledger``; populations of channels ``transported_NAME``. Probed neurons
            have the names of a saved trace, such as ``probe.flux.spikes`` over time and ``probe.flux.neurons``.

        Raises
        ------
        UsageError
            xarray is not installed.
        """
        require("to_xarray", "xarray")
        digest = "" if self.simulation is None else self.simulation.source.sha256
        return dataset_of(self.graph, self.run, digest)

    @property
    def _rows(self) -> dict[str, str]:
        violations = {kind: count for kind, count in self.run.violations.items() if count}
        rows = {
            "verdict": self.verdict,
            "steps": f"{self.steps} PDE steps on {self.run.backend}",
            "drift": f"{self.drift} quanta",
            "violations": ", ".join(f"{kind} {count}" for kind, count in violations.items()) or "none",
        }
        if not self.plausible.holds:
            rows["plausible"] = self.plausible.summary
        if self.failure:
            rows["failure"] = self.failure
        if self.relative_l2 is not None:
            rows["relative L2 error"] = error_text(self.relative_l2, self.reference_error)
        return rows

    def __repr__(self) -> str:
        summary = ", ".join(f"{name}: {text}" for name, text in self._rows.items())
        return printable(f"<SimulationRun {self.graph.spec.name}; {summary}>")

    def _repr_html_(self) -> str:
        return html_table(f"{self.graph.spec.name}, a run", self._rows)
