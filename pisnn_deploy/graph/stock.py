"""Parameters of a graph of Lava's own processes, and what these processes compute.

Cells are a `Sigma`, faces a `SigmaDelta`, and a `Sparse` leads either way. A `Sigma` sends its state in every time step
and each `Sparse` takes one, so a PDE step is one time step and the drive of a face is one step old::

    potential  p = r + c                c: the drive that the Sparse has sent
    fire       k = p if |p| >= send_threshold else 0         r <- p - k
    drive      c <- (W m + 2^(F-1)) >> F                      of the masses before the packets arrive
    exchange   m <- m + D k

So ``m[n+1] = m[n] + D k[n]`` and ``c[n] = (W m[n-1] + 2^(F-1)) >> F``, and a run starts with the drive of its first
masses. ``sum(k) + r_end - r_start = sum(c)`` holds for every face: what did not fire stays in the residue. The shift
rounds before the packets are made, so both ends of a face get the same integer whatever it rounds. The constant
``2^(F-1)`` turns the floor of a `Sparse` into rounding to nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pisnn_deploy.core.rows import Rows
from pisnn_deploy.graph.integer import FLUX, MEMBRANE, IntegerGraph, Integers, Synapse
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.programs.neurons import face_constants

STATE_BITS = 24
"""Bits of a state of these processes. Source: ``precision=24`` in lava/proc/sdn/models.py of lava-nc 0.10.0."""
STATES = {MEMBRANE: 1, FLUX: 3}
"""States of a neuron: ``sigma``; and ``sigma``, ``act`` and ``residue``."""
CONSTANT_MANTISSA = 2
"""Weight of the rounding neuron; even, because targets drop the lowest bit of mixed-sign mantissas."""


def is_stock(graph: IntegerGraph) -> bool:
    """Whether Lava's own processes can run a graph: its holders are a `Sigma`, its channels a `SigmaDelta`.

    Parameters
    ----------
    graph : IntegerGraph
        Graph whose programs are checked.
    """
    of_channels = [graph.population(channels.population).program for channels in graph.channels]
    if len(graph.populations) != 2 or len(of_channels) != 1:
        return False
    face = face_constants(of_channels[0])
    return face is not None and face.is_late


def stored_exponent(graph: IntegerGraph, synapse: Synapse) -> int:
    """Exponent passed to the target; for the drive of stock faces it includes the drive's shift.

    Parameters
    ----------
    graph : IntegerGraph
        Of any kind of processes.
    """
    face = face_constants(graph.population(synapse.target).program)
    return synapse.exponent - face.exponent if face is not None and face.is_late else synapse.exponent


@dataclass(frozen=True)
class StockNetwork:
    """Parameters of Lava's processes, as stored integers.

    Attributes
    ----------
    mass : int64 array [cells + 1]
        States of the `Sigma`: the masses, then the rounding constant, which receives no spikes.
    weights : Rows, int64 [faces, cells + 1]
        Mantissas of the `Sparse` from cells to faces.
    weight_exponent : int
        Of these.
    route : Rows, int64 [cells + 1, faces]
        Mantissas of the `Sparse` from faces to cells.
    route_exponent : int
        Of these.
    send_threshold : int
        ``vth`` of the `SigmaDelta`.
    """

    mass: Integers
    weights: Rows
    weight_exponent: int
    route: Rows
    route_exponent: int
    send_threshold: int


def stock_network(graph: IntegerGraph, mass: Integers) -> StockNetwork:
    """Translate a graph into parameters of Lava's processes.

    The neuron after the last cell sends the same number in every time step: what half a unit of the drive is before the
    shift.

    Parameters
    ----------
    graph : IntegerGraph
        Well formed, for stock processes.
    mass : int64 array [cells]
        Masses to start from.
    """
    face = known_face(graph)
    assert face.send_threshold is not None
    (weights,), (route,) = graph.between(MEMBRANE, FLUX), graph.between(FLUX, MEMBRANE)
    shift, faces = face.exponent, graph.sole_channels.size
    # In the units of the mantissas, half of what the whole shift drops.
    half = 1 << (shift - weights.exponent - 1)
    drive, route_rows = weights.mantissa_matrix(), route.mantissa_matrix()
    starts = drive.starts[1:]
    return StockNetwork(
        np.append(mass, half // CONSTANT_MANTISSA).astype(np.int64),
        Rows(
            drive.starts + np.arange(faces + 1),
            np.insert(drive.columns, starts, drive.width),
            np.insert(drive.values, starts, CONSTANT_MANTISSA),
            drive.width + 1,
        ),
        stored_exponent(graph, weights),
        Rows(np.append(route_rows.starts, route_rows.entries), route_rows.columns, route_rows.values, faces),
        route.exponent,
        face.send_threshold,
    )
