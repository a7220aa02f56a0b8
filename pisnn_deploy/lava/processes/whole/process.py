"""Hierarchical process of a whole artifact, with ports for a Lava program around it."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from numpy.typing import ArrayLike

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.lines import lines_of
from pisnn_deploy.graph.traits import LATE, refuse
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.named import close_to
from pisnn_deploy.lava.plan import require_process
from pisnn_deploy.lava.probing import create_probes
from pisnn_deploy.lava.results import run_of
from pisnn_deploy.lava.start import start_of
from pisnn_deploy.lava.steering import steered
from pisnn_deploy.runs.probes import Probed, probed_of, probes_of
from pisnn_deploy.runs.run import Run, RunOptions
from pisnn_deploy.runs.run import start_of as first_state
from pisnn_deploy.runs.states import require_fit


class Artifact(Protocol):
    """What has a graph, such as what `pisnn_deploy.load` returns."""

    @property
    def graph(self) -> IntegerGraph:
        """The graph."""


class CLIFNetwork(AbstractProcess):
    """All neurons of an artifact as one Lava process, with the audit of every time step.

    Connect its ports with processes of your own, and run the program in a `Session`. PDE step `n` begins at time step
    ``n * period + 1``: its masses are sent then, and values of sides are taken then.

    Parameters
    ----------
    artifact : CompiledArtifact
        What `pisnn_deploy.load` or `pisnn_deploy.compile` returns.
    steps : int
        Most PDE steps to run, at least 1.
    initial : float array [cells], optional
        Cell averages in physical units, field by field (default: the problem's own start).
    sides : sequence of str
        Dirichlet sides whose values your processes send, in quanta; see `side`.
    probe : sequence of str
        Neurons to record, as for ``simulate --probe``; see `recorded_spikes` and `states`.
    every : int
        Record each ``every``-th PDE step.

    Raises
    ------
    UsageError
        The artifact needs Lava's own processes, a side or a probe does not exist, or the start is outside the operating
        range.
    """

    def __init__(
        self,
        artifact: Artifact,
        steps: int,
        *,
        initial: ArrayLike | None = None,
        sides: Sequence[str] = (),
        probe: Sequence[str] = (),
        every: int = 1,
        name: str = "clif_network",
    ) -> None:
        super().__init__(name=name)
        # Checks come after super().__init__, because Lava cannot clean up a process that failed before it.
        graph, steered_sides = steered(artifact.graph, [sides] if isinstance(sides, str) else [*sides])
        options = _options(graph, steps, every, [probe] if isinstance(probe, str) else [*probe])
        state = first_state(graph, graph.initial if initial is None else _mass(graph, initial))
        require_fit(graph, state)
        folder = Path(tempfile.mkdtemp(prefix="pisnn-lava-"))
        files = Exchange(folder)
        flux = np.stack([np.zeros_like(state.current), state.current, state.residue])
        kept = options.kept_steps()
        files.create(state.mass, flux, state.transported, kept, steps, len(graph.chain), everything=False)
        create_probes(files, graph, options.probes, kept.size)
        start = start_of(graph, files, 0, goes_on=False)
        for parameter, value in {"graph": graph, "start": start, "folder": folder, "sides": steered_sides}.items():
            self.proc_params[parameter] = value
        # Forked children have this object, too, and must leave the folder alone.
        weakref.finalize(self, _remove, folder, os.getpid())
        self._graph, self._state, self._options, self._files = graph, state, options, files
        self._side_ports = {side.name: f"side{number}" for number, side in enumerate(steered_sides.sides)}
        self._range = steered_sides.values
        for population in graph.chain:
            shape = (graph.size(population) * lines_of(graph, population),)
            for output in range(len(graph.population(population).program.sends)):
                setattr(self, outlet_of(population, output), OutPort(shape=shape))
        for field in graph.fields:
            setattr(self, f"mass_{field.name}", OutPort(shape=(1, field.size)))
        for port in self._side_ports.values():
            setattr(self, port, InPort(shape=(1,)))

    def side(self, name: str) -> InPort:
        """Port for the value of a side, int [1] in quanta, which must be sent in every time step.

        The value of the first time step of a PDE step counts; the others are ignored.

        Parameters
        ----------
        name : str
            One of the ``sides``.

        Raises
        ------
        UsageError
            It was not named when the process was created.
        """
        if name not in self._side_ports:
            raise UsageError(f"side {name!r}: was not named in `sides`{close_to(name, self._side_ports)}")
        port: InPort = getattr(self, self._side_ports[name])
        return port

    def spikes(self, population: str, output: str | None = None) -> OutPort:
        """Port with the spikes of a population, int32 [neurons] or, of binary spikes, [lines * neurons].

        It sends zeros in time steps in which the population is silent.

        Parameters
        ----------
        population : str
            Its name.
        output : str, optional
            Name of the output (default: the first).

        Raises
        ------
        UsageError
            There is no such population or output.
        """
        if population not in self._graph.chain:
            raise UsageError(f"no population has the name {population!r}{close_to(population, self._graph.chain)}")
        sends = self._graph.population(population).program.sends
        if output is not None and output not in sends:
            raise UsageError(f"{population}: has no output {output!r}{close_to(output, sends)}")
        port: OutPort = getattr(self, outlet_of(population, 0 if output is None else sends.index(output)))
        return port

    def mass(self, field: str | None = None) -> OutPort:
        """Port with the masses of a field in every time step, int64 [1, cells + reservoirs] in quanta.

        The masses of the cells come first, then the ledgers of the reservoirs.

        Parameters
        ----------
        field : str, optional
            Name of the field; may be left out if there is one.

        Raises
        ------
        UsageError
            There is no such field, or none was named and there are several.
        """
        names = [each.name for each in self._graph.fields]
        if field is None and len(names) == 1:
            field = names[0]
        if field not in names:
            raise UsageError(f"no field has the name {field!r}{close_to(str(field), names)}")
        port: OutPort = getattr(self, f"mass_{field}")
        return port

    @property
    def time_steps(self) -> int:
        """Number of time steps after which all PDE steps are done."""
        return self._options.steps * self.period + 1

    @property
    def period(self) -> int:
        """Number of time steps of a PDE step."""
        return int(self._graph.period or 0)

    @property
    def range(self) -> tuple[int, int]:
        """Proved range of the values of sides, in quanta; (0, 0) without sides."""
        return self._range.lower, self._range.upper

    def quanta(self, value: float) -> int:
        """Convert a value of a side to quanta, rounded to the nearest.

        Parameters
        ----------
        value : float
            In physical units.
        """
        return round(value / self._graph.value_per_quantum)

    @property
    def bits(self) -> dict[tuple[str, str], int]:
        """Signed width of each quantity by population and name; with `sides`, for any of their values.

        With `sides` these may be wider than those of the artifact, which were proved for a chip.
        """
        return {(bound.population, bound.quantity): bound.bits for bound in self._graph.bounds}

    def result(self) -> Run:
        """What the program did so far: trace, ledgers, counts and verdict, see `pisnn_deploy.runs.Run`."""
        return run_of(self._graph, self._state, self._options, self._files)

    def recorded_spikes(self, population: str, output: str | None = None) -> Integers:
        """Spikes of probed neurons so far, int64 [rows, neurons]; as `SimulationRun.spikes`."""
        return self._probed(population).spikes(output)

    def states(self, population: str) -> dict[str, Integers]:
        """States of probed neurons so far, int64 [rows, neurons] by name; as `SimulationRun.states`."""
        return self._probed(population).states

    def _probed(self, population: str) -> Probed:
        return probed_of(self.result().trace.probes, population)


def outlet_of(population: str, output: int) -> str:
    """Name of the port of `CLIFNetwork` for an output of a population."""
    return f"spikes_{population}_{output}"


def _options(graph: IntegerGraph, steps: int, every: int, probe: Sequence[str]) -> RunOptions:
    refuse(graph, "CLIFNetwork", (LATE,), "compile it without `processes` stock")
    for number, name in ((steps, "steps"), (every, "every")):
        if not isinstance(number, int) or number < 1:
            raise UsageError(f"`{name}` {number}: expected a whole number, at least 1")
    for population in graph.chain:
        require_process(graph, population)
    return RunOptions(steps, every, probes=probes_of(graph, probe))


def _mass(graph: IntegerGraph, initial: ArrayLike) -> Integers:
    """Masses of cell averages in physical units, int64 [cells]."""
    try:
        values = np.asarray(initial, np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise UsageError(f"`initial`: not an array of numbers ({error})") from error
    if values.size != graph.initial.size:
        raise UsageError(f"`initial`: has {values.size} values, the graph has {graph.initial.size} cells")
    return graph.mass(values)


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
