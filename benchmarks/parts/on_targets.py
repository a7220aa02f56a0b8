"""One graph on every target: equal integers or not, sizes, and times."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.parts.instructions import MACHINES, lines_of, measured
from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.formats.c.plan import plan
from pisnn_deploy.formats.c.writer import c_files
from pisnn_deploy.formats.torch.writer import torch_files
from pisnn_deploy.formats.trace import traced
from pisnn_deploy.formats.verilog.serial import SERIAL
from pisnn_deploy.formats.verilog.synthesis import PARTS, synthesised
from pisnn_deploy.formats.verilog.writer import verilog_files
from pisnn_deploy.graph import IntegerGraph


def on_processors(graph: IntegerGraph) -> dict[str, Any]:
    """Run a graph on every target that runs its integers.

    Returns
    -------
    dict of str to Any
        ``equal`` says of each target whether its integers are those of the reference, None if it does not fit; ``c``
        has sizes and cycles by profile.
    """
    parts = plan(graph)
    files = c_files(parts)
    steps, digest = traced(graph)
    runs: Mapping[str, Callable[[], bool]] = {
        "C natively": lambda: _passes(files, ("make", "-s", "test")),
        "torch": lambda: _passes(torch_files(graph), (sys.executable, "network.py")),
        "Icarus": lambda: _passes(verilog_files(parts, architecture=SERIAL), ("make", "-s", "test")),
    }
    equal: dict[str, bool | None] = {name: run() for name, run in runs.items()}
    sizes: dict[str, Any] = {}
    for name, machine in MACHINES.items():
        try:
            equal[name] = f"{digest:016x}" in "\n".join(lines_of(machine, files, steps))
            sizes[name] = measured(machine, files)
        except subprocess.CalledProcessError:  # the linker refuses what does not fit
            equal[name] = None
    return {
        "cells": list(graph.mesh.shape),
        "steps": steps,
        "equal": equal,
        "c": sizes,
    }


def at_once_on_fpgas(graph: IntegerGraph) -> dict[str, Any]:
    """Size of a circuit with all neurons at once, by profile."""
    return _on_fpgas(graph, "parallel")


def serially_on_fpgas(graph: IntegerGraph) -> dict[str, Any]:
    """Size of a circuit with neurons one after the other, by profile."""
    return _on_fpgas(graph, "serial")


def by_rows_on_fpgas(graph: IntegerGraph) -> dict[str, Any]:
    """Size of a circuit that streams rows, by profile."""
    return _on_fpgas(graph, "streamed")


def _on_fpgas(graph: IntegerGraph, layout: str) -> dict[str, Any]:
    """Figures by profile; None where a tool takes too long."""
    figures: dict[str, Any] = {}
    for part in PARTS:
        try:
            figures[part] = asdict(synthesised(graph, part, layout))
        except CheckError:
            figures[part] = None
    return figures


def _passes(files: Mapping[str, bytes], command: tuple[str, ...]) -> bool:
    """Whether the self-test of an export passes."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
