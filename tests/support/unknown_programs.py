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


def with_program(graph: IntegerGraph, name: str, program: Program) -> IntegerGraph:
    """The graph with another program for one population, which starts at 0; its certificate is the old one."""
    other = replace(graph.population(name), program=program, start={})
    return replace(graph, populations=tuple(other if p.name == name else p for p in graph.populations))


def proved(graph: IntegerGraph, bits: int = 40) -> IntegerGraph:
    """The graph with bounds and a certificate of its own."""
    again, _ = run_passes(replace(graph, bounds=(), certificate=None), (Bounds(bits, bits, bits), Prove()))
    assert isinstance(again, IntegerGraph)
    return again
