"""Process of a population."""

from __future__ import annotations

from pathlib import Path

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.plan import OUTPUTS, PORTS, plan_of
from pisnn_deploy.lava.probing import probe_plan
from pisnn_deploy.lava.start import Start


class Neurons(AbstractProcess):
    """Neurons of one population, with any program.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    population : str
        Name of the population.
    start : Start
        Start of the run.
    folder : Path
        Folder of the run.

    Attributes
    ----------
    in0, in1, ... : InPort [neurons]
        Input of each port of the program, in order.
    out0, out1, ... : OutPort [neurons], or [lines * neurons]
        Each output of the program, see `PayloadGuard.spikes`.
    audit_out : OutPort [values, neurons]
        Words for the audit in every time step, see `Plan.audited`.
    arrived : Var [ports, neurons]
        Content of each port.
    kept : Var [values, neurons]
        Memory of the population, see `Plan.kept`.
    """

    def __init__(self, graph: IntegerGraph, population: str, start: Start, folder: Path) -> None:
        super().__init__(first_step=start.step, goes_on=start.goes_on, folder=folder, name=population)
        # After super().__init__, because Lava cannot clean up a process that failed before it.
        plan = self.proc_params["plan"] = plan_of(graph, population)
        self.proc_params["probe"] = probe_plan(Exchange(folder), graph, plan)
        size = plan.population.size
        width = max((guard.width for guard in plan.guards), default=1)
        for number in range(PORTS):
            setattr(self, f"in{number}", InPort(shape=(size,)))
        for number in range(OUTPUTS):
            setattr(self, f"out{number}", OutPort(shape=(size * width,)))
        arrived, kept = plan.arrived(graph, start), plan.remembered(start)
        self.audit_out = OutPort(shape=(max(1, len(plan.audited)), size))
        self.arrived = Var(shape=arrived.shape, init=arrived)
        self.kept = Var(shape=kept.shape, init=kept)
