"""Runs a graph that no artifact holds on Lava: ``python lava_by_hand.py GRAPH CODING STEPS`` prints its masses."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import graphs_by_hand
import numpy as np
from lava_in_turns import files_of
from scheduled_graphs import scheduled

from pisnn_deploy.lava.network import build_network
from pisnn_deploy.lava.supervisor import run_network


def main() -> None:
    """Run it under the supervisor."""
    name, coding, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
    graph = scheduled(getattr(graphs_by_hand, name)(), "dense" if coding == "dense" else "delta")
    with tempfile.TemporaryDirectory() as folder:
        files = files_of(graph, Path(folder), steps)
        run_network(build_network(graph, files), steps * int(graph.period or 0) + 1, 60.0, lambda _: None)
        sys.stdout.write(json.dumps(np.asarray(files.array("mass")).tolist()) + "\n")


if __name__ == "__main__":
    main()
