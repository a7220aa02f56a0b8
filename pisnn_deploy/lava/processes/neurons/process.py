"""Process of a population."""

from __future__ import annotations

from pathlib import Path

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

from pisnn_deploy.formats.c.effects import Sides
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.plan import OUTPUTS, PORTS, plan_of
from pisnn_deploy.lava.probing import probe_plan
from pisnn_deploy.lava.start import Start
from pisnn_deploy.lava.steering import NO_SIDES, SIDES


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
    sides : Sides
        Sides whose values other processes send; only for the population that sees them.

    Attributes
    ----------
    in0, in1, ... : InPort [neurons]
        Input of each port of the program, in order.
    out0, out1, ... : OutPort [neurons], or [lines * neurons]
        Each output of the program, see `PayloadGuard.spikes`.
    side0, side1, ... : InPort [1]
        Value of each of the sides, in quanta; see `pisnn_deploy.lava.steering`.
    audit_out : OutPort [values, neurons]
        Words for the audit in every time step, see `Plan.audited`.
    arrived : Var [ports, neurons]
        Content of each port.
    kept : Var [values, neurons]
        Memory of the population, see `Plan.kept`.
    """

    def __init__(
        self, graph: IntegerGraph, population: str, start: Start, folder: Path, sides: Sides = NO_SIDES
    ) -> None:
        super().__init__(first_step=start.step, goes_on=start.goes_on, folder=folder, name=population)
        # After super().__init__, because Lava cannot clean up a process that failed before it.
        plan = self.proc_params["plan"] = plan_of(graph, population)
        self.proc_params["probe"] = probe_plan(Exchange(folder), graph, plan)
        self.proc_params["sides"] = sides if sides.population == population else NO_SIDES
        size = plan.population.size
        width = max((guard.width for guard in plan.guards), default=1)
        for number in range(PORTS):
            setattr(self, f"in{number}", InPort(shape=(size,)))
        for number in range(OUTPUTS):
            setattr(self, f"out{number}", OutPort(shape=(size * width,)))
        arrived, kept = plan.arrived(graph, start), plan.remembered(start)
        for number in range(SIDES):
            setattr(self, f"side{number}", InPort(shape=(1,)))
        self.audit_out = OutPort(shape=(max(1, len(plan.audited)), size))
        self.arrived = Var(shape=arrived.shape, init=arrived)
        self.kept = Var(shape=kept.shape, init=kept)
