"""Graphs of which some neurons run programs that no theorem knows."""

from __future__ import annotations

from dataclasses import replace

from pisnn_deploy.compiler.passes.bound import Bounds
from pisnn_deploy.compiler.passes.prove import Prove
from pisnn_deploy.compiler.runner import run_passes
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.programs import Program, parse


def pairs(threshold_exponent: int) -> Program:
    """A face that fires at twice its threshold, and then sends two quanta for each time."""
    return parse(f"""neuron pairs(arrival; residue_before; bias)
drive = add(arrival, bias)
current = add(drive, 0)
potential = add(residue_before, current)
fired, residue = fire(potential, {threshold_exponent + 1})
packet = shl(fired, 1)
keep residue_before = residue
send packet""")


def floors(threshold_exponent: int) -> Program:
    """A face that rounds down what it sends, without a ``fire``, and takes no bias."""
    return parse(f"""neuron floors(arrival; residue_before; )
current = add(arrival, 0)
potential = add(residue_before, current)
packet = asr(potential, {threshold_exponent})
sent = shl(packet, {threshold_exponent})
rest = sub(potential, sent)
positive = max(rest, 0)
residue = min(positive, {(1 << threshold_exponent) - 1})
keep residue_before = residue
send packet""")


SIZE = parse("""neuron size(arrival; ; )
activation = abs(arrival)
send activation""")
"""A hidden neuron with neither a bias nor a shift."""


def with_program(graph: IntegerGraph, name: str, program: Program) -> IntegerGraph:
    """The graph with another program for one population, which starts at 0; its certificate is the old one."""
    population = graph.population(name)
    parameters = {parameter: population.parameters[parameter] for parameter in program.parameters}
    return graph.with_populations(replace(population, program=program, parameters=parameters, start={}))


def proved(graph: IntegerGraph, bits: int = 40) -> IntegerGraph:
    """The graph with bounds and a certificate of its own."""
    again, _ = run_passes(replace(graph, bounds=(), certificate=None), (Bounds(bits, bits, bits), Prove()))
    assert isinstance(again, IntegerGraph)
    return again
