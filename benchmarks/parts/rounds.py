"""How often faces would have to ask so that no flow is cut that does not lead below a floor: a study in numpy.

The limiter of the compiler asks once: a cell grants its faces what it has above the floor, and does not count on what
enters in the same PDE step. If a second round tells each cell what its givers have granted it for sure, it may grant
that as well, and so on. Each round is as safe as the first, because no cell is granted less in a later one.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.common import line
from benchmarks.parts.zoo import compiled, exact, horizon_steps, relative_l2
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, Integers
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.physics.model import OperatingRange
from pisnn_deploy.programs.limiter import PART_BITS, WHOLE

COLUMNS = ("floor", "floor in quanta", "rounds", "relative L2", "lowest mass", "quanta withheld", "integers")


class _Flow:
    """Laplace in integers, with a limiter of several rounds."""

    def __init__(self, graph: IntegerGraph) -> None:
        self._graph, self._face = graph, known_face(graph)
        self._weights, self._bias = (
            graph.matrix(MEMBRANE, FLUX),
            graph.sole_channels.parameters.get("bias", np.zeros(graph.mesh.faces, np.int64)),
        )
        mesh = graph.mesh
        self._source, self._target, self._cells = mesh.source, mesh.target, mesh.cells
        self._shown = np.concatenate([np.zeros(self._cells, np.int64), graph.sole_field.reservoirs])

    def _gained(self, at_source: Integers, at_target: Integers) -> Integers:
        total = np.zeros(self._shown.size, np.int64)
        np.add.at(total, self._source, at_source)
        np.add.at(total, self._target, at_target)
        return total[: self._cells]

    def _limited(self, mass: Integers, fired: Integers, floor: int, rounds: int) -> Integers:
        """Packets after some rounds."""
        seen = np.where(np.arange(self._shown.size) < self._cells, mass, self._shown)
        slope = seen[self._source] - seen[self._target]
        quarter = (1 << self._face.exponent) // 4
        low = np.sign(slope) * (np.abs(slope) * quarter >> self._face.exponent)
        asked = fired - low
        forward, backward = np.maximum(asked, 0), np.maximum(-asked, 0)
        leaving = self._gained(forward, backward)
        granted, above = np.zeros_like(asked), mass[: self._cells] + self._gained(-low, low) - floor
        for _ in range(rounds):
            room = np.maximum(above + self._gained(granted * (asked < 0), granted * (asked > 0)), 0)
            short = np.where(leaving > room, WHOLE - room * WHOLE // np.maximum(leaving, 1), 0)
            all_short = np.concatenate([short, np.zeros(self._shown.size - self._cells, np.int64)])
            kept = np.where(asked > 0, all_short[self._source], all_short[self._target])
            granted = np.abs(asked) * (WHOLE - kept) >> PART_BITS
        return np.asarray(low + np.sign(asked) * granted)

    def run(self, steps: int, floor: int, rounds: int) -> tuple[Integers, int]:
        """Masses at every PDE step, and the quanta that were withheld; no limiter for 0 rounds."""
        mass = np.concatenate([self._graph.initial, np.zeros(self._shown.size - self._cells, np.int64)])
        current = residue = np.zeros(self._source.size, np.int64)
        theta, keeps, withheld, masses = 1 << self._face.exponent, 4096 - self._face.leak, 0, []
        for _ in range(steps):
            sent = np.where(np.arange(mass.size) < self._cells, mass, 0)
            current = np.sign(current) * (np.abs(current) * keeps >> 12) + self._weights @ sent + self._bias
            potential = residue + current
            fired = np.sign(potential) * (np.abs(potential) + theta // 2 - 1 >> self._face.exponent)
            residue = potential - fired * theta
            packets = self._limited(mass, fired, floor, rounds) if rounds else fired
            withheld += int(np.abs(fired - packets).sum())
            np.add.at(mass, self._target, packets)
            np.subtract.at(mass, self._source, packets)
            masses.append(mass[: self._cells].copy())
        return np.array(masses), withheld


def rows(floors: tuple[float, ...], most: int) -> list[str]:
    """Rows of the table for laplace2d: each floor with 1 to `most` rounds, after one without a limiter."""
    limits = OperatingRange(lower=-1.0, upper=2.0)
    graph = compiled("laplace2d", search=False, placement="none", limits=limits)
    steps, flow = horizon_steps(graph), _Flow(graph)
    truth = exact(graph, steps * graph.time_step)
    free, _ = flow.run(steps, 0, 0)

    def row(floor: str, quanta: int | str, rounds: int, masses: Integers, withheld: int) -> str:
        error = f"{relative_l2(graph.values(masses[-1]), truth):.2e}"
        same = "the same" if np.array_equal(masses, free) else "others"
        return line(floor, quanta, rounds, error, int(masses.min()), withheld, same)

    table = [row("none", "", 0, free, 0)]
    for floor in floors:
        quanta = math.ceil(floor / graph.value_per_quantum)
        table += [row(f"{floor:g}", quanta, n, *flow.run(steps, quanta, n)) for n in range(1, most + 1)]
    return table
