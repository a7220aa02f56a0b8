"""Network of Lava's own processes, connected as in `pisnn_deploy.graph.stock`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from lava.proc.sdn.process import ActivationMode, Sigma, SigmaDelta
from lava.proc.sparse.process import Sparse

from pisnn_deploy.graph.stock import StockNetwork
from pisnn_deploy.lava.synapse import stored_matrix


@dataclass(frozen=True)
class StockProcesses:
    """Processes of the network.

    Attributes
    ----------
    cells : Sigma [cells + 1]
        Masses, and the constant that rounds.
    drive : Sparse [faces, cells + 1]
        Weights of the fluxes.
    faces : SigmaDelta [faces]
        Flux compartments.
    route : Sparse [cells + 1, faces]
        Weights of the packets.
    """

    cells: Sigma
    drive: Sparse
    faces: SigmaDelta
    route: Sparse


def stock_processes(network: StockNetwork) -> StockProcesses:
    """Create and connect the processes.

    Raises
    ------
    UsageError
        If Lava would change a mantissa.
    """
    cells = Sigma(shape=network.mass.shape)
    cells.sigma.init = network.mass.astype(np.int32)
    faces = SigmaDelta(
        shape=(network.weights.shape[0],), vth=network.send_threshold, act_mode=ActivationMode.UNIT, name="faces"
    )
    drive = stored_matrix("drive", network.weights, network.weight_exponent)
    route = stored_matrix("route", network.route, network.route_exponent)
    cells.s_out.connect(drive.s_in)
    drive.a_out.connect(faces.a_in)
    faces.s_out.connect(route.s_in)
    route.a_out.connect(cells.a_in)
    return StockProcesses(cells, drive, faces, route)
