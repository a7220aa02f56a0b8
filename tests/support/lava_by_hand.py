"""Runs many graphs made by hand in one network: ``python lava_by_hand.py CODING GRAPHS NETWORK STEPS [forgetful]``.

Prints the masses after each PDE step, and how the run ended.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from graphs_by_hand import random_graph, reaction, side_by_side, silent_ledgers, sink, two_fields
from lava_in_turns import files_of
from scheduled_graphs import scheduled

from pisnn_deploy.core.errors import InvariantViolation, UsageError
from pisnn_deploy.graph.integer import Coding, IntegerGraph
from pisnn_deploy.lava.network import build_network
from pisnn_deploy.lava.plan import require_process
from pisnn_deploy.lava.supervisor import run_network


def many_graphs(coding: Coding, count: int, network: int = 0) -> IntegerGraph:
    """So many graphs side by side: in network 0 three of known meaning, then random ones that a coding can run."""
    graphs, seed = [] if network else [two_fields(), sink(), reaction()], 1000 * network
    while len(graphs) < count:
        graph = silent_ledgers(random_graph(seed))
        seed += 1
        if _is_possible(scheduled(graph, coding)):
            graphs.append(graph)
    return scheduled(side_by_side(graphs[:count]), coding)


def _is_possible(graph: IntegerGraph) -> bool:
    try:
        for name in graph.chain:
            require_process(graph, name)
    except UsageError:
        return False
    return True


def _models(name: str) -> Mapping[type, type]:
    models: Mapping[type, type] = {}
    if name == "forgetful":
        models = importlib.import_module("faults.forgetful_holder.models").REPLACED_MODELS
    return models


def main() -> None:
    """Run them under the supervisor."""
    coding, (count, network, steps) = sys.argv[1], map(int, sys.argv[2:5])
    graph, failure = many_graphs("dense" if coding == "dense" else "delta", count, network), ""
    with tempfile.TemporaryDirectory() as folder:
        files = files_of(graph, Path(folder), steps)
        processes = build_network(graph, files, replaced_models=_models(sys.argv[-1]))
        try:
            run_network(processes, steps * int(graph.period or 0) + 1, 120.0, lambda _: None)
        except InvariantViolation as violation:
            failure = str(violation)
        sys.stdout.write(json.dumps({"masses": np.asarray(files.array("mass")).tolist(), "failure": failure}) + "\n")


if __name__ == "__main__":
    main()
