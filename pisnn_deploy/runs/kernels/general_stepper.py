"""Runs of any graph: unstructured meshes, media, hidden layers, limiters, synapses spelled out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.graph.connections import Incidence
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers
from pisnn_deploy.runs.kernels import general
from pisnn_deploy.runs.kernels.stepper import FLAG_NAMES, Counts, KernelStepper
from pisnn_deploy.runs.run import RunState

UNLIMITED = 2**63 - 2


class Tables(NamedTuple):
    """What the kernels follow.

    Rows of synapses stand one layer after another; `start` has one entry more than rows in each layer. `first_row` and
    `first_unit` say where a layer's rows and neurons begin, with one entry more than there are layers.
    """

    first_row: Integers
    first_unit: Integers
    start: Integers
    column: NDArray[np.int32]
    weight: Integers
    bias: Integers
    shift: Integers
    drive_limit: Integers
    activation_limit: Integers
    route_start: Integers
    route_face: NDArray[np.int32]
    route_weight: Integers
    mesh_start: Integers
    mesh_face: NDArray[np.int32]
    mesh_sign: Integers
    source: Integers
    target: Integers
    inverse_volume: Integers
    reservoir: Integers


class Arrays(NamedTuple):
    """State of faces and hidden neurons; masses are apart, because they change places."""

    current: Integers
    residue: Integers
    before: Integers
    packets: Integers
    transported: Integers
    activation: Integers


class GeneralStepper(KernelStepper):
    """A run of any graph.

    Parameters
    ----------
    graph : IntegerGraph
    start : RunState
    steps : int
    threads : int
    """

    def __init__(self, graph: IntegerGraph, start: RunState, steps: int, threads: int) -> None:
        self._tables = _tables(graph)
        self._limits = _limits(graph)
        faces, holders, units = graph.flux.size, graph.membrane.size, int(self._tables.first_unit[-1])
        self.mass, self._new = np.zeros(holders, np.int64), np.zeros(holders, np.int64)
        current, residue, before, packets, transported = np.zeros((5, faces), np.int64)
        self.arrays = Arrays(current, residue, before, packets, transported, np.zeros(units, np.int64))
        populations = len(graph.chain)
        self._results = np.zeros((threads, general.EVENTS + populations), np.int64)
        self._counters = np.zeros(general.EVENTS + populations, np.int64)
        self._totals = np.zeros(3, np.int64)
        self._step = 0
        self._pool = ThreadPoolExecutor(threads - 1, "pisnn-fast") if threads > 1 else None
        super().__init__(graph, start, steps)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _state(self) -> RunState:
        arrays = self.arrays
        kept = self._limits[general.KEPT]
        return RunState(
            step=self._step,
            in_flight=int(self._counters[general.MASS_SUM]),
            mass=self.mass.copy(),
            current=arrays.current.copy() if kept else np.zeros_like(arrays.current),
            residue=arrays.residue.copy(),
            transported=arrays.transported.copy(),
        )

    def _load(self, state: RunState) -> None:
        arrays = self.arrays
        self.mass[:], arrays.current[:], arrays.residue[:] = state.mass, state.current, state.residue
        arrays.transported[:] = state.transported
        # Activations follow from the masses; what they send has been counted.
        for layer in range(self._tables.shift.size):
            count = int(self._tables.first_unit[layer + 1] - self._tables.first_unit[layer])
            general.answer(self._tables, self._limits, self.mass, arrays, layer, 0, count, self._results[0])
        self._results[:] = 0
        self._step = state.step
        counters = self._counters
        counters[:] = 0
        counters[general.MASS_SUM] = state.in_flight
        self._totals[:] = state.mass.sum(), state.residue.sum(), state.current.sum()

    def _advance(self, steps: int) -> bool:
        if self._pool is None:
            last_is_silent = self._step + steps == self._steps
            done = int(
                general.advance(
                    self._tables,
                    self._limits,
                    self.mass,
                    self._new,
                    self.arrays,
                    self._results,
                    self._counters,
                    self._totals,
                    steps,
                    last_is_silent,
                )
            )
            if done % 2:
                self.mass, self._new = self._new, self.mass
            self._step += done
        else:
            for _ in range(steps):
                self._one_shared()
                if self._counters[general.FLAGS]:
                    break
        if self._counters[general.FLAGS]:
            return False
        if general.too_steep(self._tables, self._limits, self.mass, 0, self._tables.source.size):
            self._counters[general.FLAGS] = general.FLAG_RANGE
            return False
        return True

    def _one_shared(self) -> None:
        """One PDE step, each phase shared by the threads."""
        tables, limits, mass, new, arrays = self._tables, self._limits, self.mass, self._new, self.arrays
        self._share(general.fire, tables.source.size, tables, limits, mass, arrays)
        self._share(general.collect, mass.size, tables, limits, mass, new, arrays)
        self._step += 1
        if self._step < self._steps:
            for layer in range(tables.shift.size):
                count = int(tables.first_unit[layer + 1] - tables.first_unit[layer])
                self._share(general.answer, count, tables, limits, new, arrays, layer)
        general.settle(self._results, self._counters, self._totals)
        self.mass, self._new = new, mass

    def _share(self, phase: Callable[..., None], rows: int, *arguments: object) -> None:
        assert self._pool is not None
        shares = self._results.shape[0]
        cuts = [rows * share // shares for share in range(shares + 1)]
        others = [
            self._pool.submit(phase, *arguments, cuts[share], cuts[share + 1], self._results[share])
            for share in range(1, shares)
        ]
        phase(*arguments, cuts[0], cuts[1], self._results[0])
        for other in others:
            other.result()

    def _done(self) -> int:
        return self._step

    def _kernel_counts(self) -> Counts:
        events = dict(zip(self._graph.chain, self._counters[general.EVENTS :].tolist(), strict=True))
        return Counts(events[FLUX], int(self._counters[general.QUANTA]), events)

    def _empty_counts(self) -> None:
        self._counters[general.QUANTA] = 0
        self._counters[general.EVENTS :] = 0

    def _snapshot(self) -> RunState:
        return self._state()

    def _go_back(self, snapshot: RunState) -> None:
        self._load(snapshot)

    def _flag_names(self) -> str:
        flags = int(self._counters[general.FLAGS])
        return ", ".join(name for bit, name in enumerate(FLAG_NAMES) if flags >> bit & 1)


def _tables(graph: IntegerGraph) -> Tables:
    chain, mesh = graph.chain, graph.mesh
    matrices = [graph.matrix(source, target) for source, target in zip(chain, chain[1:], strict=False)]
    entries = np.cumsum([0, *(matrix.nnz for matrix in matrices)])
    route = graph.matrix(FLUX, MEMBRANE)
    incidence = Incidence(mesh.source, mesh.target, mesh.holders, 1).rows
    sizes = [population.size for population in graph.hidden]
    bits = _largest(graph)
    return Tables(
        first_row=np.cumsum([0, *sizes, graph.flux.size]).astype(np.int64),
        first_unit=np.cumsum([0, *sizes]).astype(np.int64),
        start=np.concatenate([m.indptr.astype(np.int64) + at for m, at in zip(matrices, entries, strict=False)]),
        column=np.concatenate([m.indices for m in matrices]).astype(np.int32),
        weight=np.concatenate([m.data for m in matrices]).astype(np.int64),
        bias=np.concatenate([*(population.bias for population in graph.hidden), graph.flux.bias]),
        shift=np.array([population.shift for population in graph.hidden], np.int64),
        drive_limit=np.array([bits(name, "drive") for name in chain[1:-1]], np.int64),
        activation_limit=np.array([bits(name, "activation") for name in chain[1:-1]], np.int64),
        route_start=route.indptr.astype(np.int64),
        route_face=route.indices.astype(np.int32),
        route_weight=route.data.astype(np.int64),
        mesh_start=incidence.starts,
        mesh_face=incidence.columns.astype(np.int32),
        mesh_sign=incidence.values,
        source=mesh.source,
        target=mesh.target,
        inverse_volume=np.ones(mesh.cells, np.int64) if graph.medium is None else graph.medium.inverse_volume,
        reservoir=graph.membrane.reservoirs,
    )


def _limits(graph: IntegerGraph) -> Integers:
    window, bits = graph.window, _largest(graph)
    limits = np.zeros(general.LIMITS, np.int64)
    limits[general.LOWER], limits[general.UPPER] = window.lower, window.upper
    limits[general.MASS], limits[general.LEDGER] = bits(MEMBRANE, "mass"), bits(MEMBRANE, "ledger")
    limits[general.PAYLOAD] = bits(MEMBRANE, "payload") if graph.coding == "delta" else UNLIMITED
    for place, quantity in (
        (general.DRIVE, "drive"),
        (general.CURRENT, "current"),
        (general.POTENTIAL, "potential"),
        (general.PACKET, "packet"),
        (general.RESIDUE, "residue"),
    ):
        limits[place] = bits(FLUX, quantity)
    limits[general.LARGEST_CURRENT] = UNLIMITED if window.current is None else window.current
    limits[general.DIFFERENCE] = UNLIMITED if window.difference is None else window.difference
    limits[general.HALF_DIFFERENCE] = UNLIMITED if window.difference is None else window.difference // 2
    limits[general.EXPONENT] = graph.flux.threshold_exponent
    limits[general.KEPT] = MEMORYLESS - graph.flux.leak
    limits[general.CHANGES_COUNT] = int(graph.coding == "delta")
    limits[general.SHARE_SHIFT] = -1 if graph.flux.share_shift is None else graph.flux.share_shift
    limits[general.END_MASS] = min(bits(FLUX, "source-mass"), bits(FLUX, "target-mass"))
    limits[general.SHARE] = bits(FLUX, "share")
    return limits


def _largest(graph: IntegerGraph) -> Callable[[str, str], int]:
    """Largest value that the declared width of a quantity holds."""
    bits = {(bound.population, bound.quantity): bound.bits for bound in graph.bounds}
    return lambda population, quantity: min(UNLIMITED, (1 << (bits.get((population, quantity), 64) - 1)) - 1)
