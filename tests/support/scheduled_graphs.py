"""Graphs made by hand with what a run on Lava needs."""

from __future__ import annotations

from dataclasses import replace

from pisnn_deploy.graph.annotations import Bound
from pisnn_deploy.graph.integer import Coding, IntegerGraph


def scheduled(graph: IntegerGraph, coding: Coding) -> IntegerGraph:
    """The graph with a coding, time steps for its depth, and widths that nothing leaves."""
    quantities = ("payload", "packet", "mass", "ledger")
    bounds = tuple(Bound(name, quantity, 0, 0, 31) for name in graph.chain for quantity in quantities)
    return replace(graph, coding=coding, period=max(graph.depths.values()) + 1, bounds=bounds)
