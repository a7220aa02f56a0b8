"""A graph of Lava's own processes, wired as `pisnn_deploy.graph.stock` says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from lava.proc.sdn.process import ActivationMode, Sigma, SigmaDelta
from lava.proc.sparse.process import Sparse

from pisnn_deploy.graph.stock import StockNetwork
from pisnn_deploy.lava.synapse import stored_matrix


@dataclass(frozen=True)
class StockProcesses:
    """The whole emitted graph.

    Attributes
    ----------
    cells : Sigma [cells + 1]
    drive : Sparse [faces, cells + 1]
    faces : SigmaDelta [faces]
    route : Sparse [cells + 1, faces]
    """

    cells: Sigma
    drive: Sparse
    faces: SigmaDelta
    route: Sparse


def stock_processes(network: StockNetwork) -> StockProcesses:
    """Make and connect the processes.

    Parameters
    ----------
    network : StockNetwork

    Returns
    -------
    StockProcesses

    Raises
    ------
    UsageError
        Lava would change a mantissa.
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
