"""Campaigns of small models that need no torch."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models_under_test import heat_model

from pisnn_deploy.campaign.case import Case, Target
from pisnn_deploy.campaign.plan import cases_of, read_plan
from pisnn_deploy.campaign.row import Row
from pisnn_deploy.campaign.work import Compiled, WorkerOptions, compile_case, run_case


def worker_options() -> WorkerOptions:
    """Compiles the heat model under test; a closure, so that workers get it by value."""
    model = heat_model()

    def compile_graph(request):  # type: ignore[no-untyped-def]
        from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, compile_model
        from pisnn_deploy.mesh import parse_boundary, parse_shape
        from pisnn_deploy.target import load_profile

        domain = request.domain
        shape = (16,) if domain.mesh is None else parse_shape(domain.mesh)
        sides = parse_boundary(domain.boundary or "periodic", len(shape))
        graph_options = GraphOptions(coding=request.graph.coding, residues=request.graph.residues)
        options = CompileOptions(Lower(shape, sides), load_profile(request.profile), graph_options)
        return compile_model(model, options), {"warnings": ["a sentence", "another"]}

    return WorkerOptions(compile_graph)


def planned(folder: Path, text: str) -> tuple[Case, ...]:
    """Cases of a plan that is written into a folder."""
    path = folder / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return cases_of(read_plan(path), path)


def in_process(cases: Sequence[Case], work: WorkerOptions | None = None) -> list[Row]:
    """What the cases give without a cluster."""
    if work is None:
        return [run_case(case, _compiled(case.target), worker_options()) for case in cases]
    compiled = {target: compile_case(target, work) for target in {case.target: None for case in cases}}
    return [run_case(case, compiled[case.target], work) for case in cases]


@functools.cache
def _compiled(target: Target) -> Compiled:
    return compile_case(target, worker_options())


def without_times(rows: Sequence[Row]) -> list[Row]:
    """Rows without what differs from run to run."""
    return [replace(row, seconds=None, compile_seconds=None) for row in rows]
