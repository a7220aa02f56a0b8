"""Campaigns of small models that need no torch."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models_under_test import heat_model

from pisnn_deploy.campaign.case import Case, Target
from pisnn_deploy.campaign.plan import cases_of, read_plan
from pisnn_deploy.campaign.row import TIMES, Row
from pisnn_deploy.campaign.work import Compiled, Craft, compile_case, run_case
from pisnn_deploy.cli.fields import read_field


def craft() -> Craft:
    """Compiles the heat model under test; a closure, so that workers get it by value."""
    model = heat_model()

    def compile_target(target):  # type: ignore[no-untyped-def]
        from pisnn_deploy.compiler import CompileOptions, compile_model
        from pisnn_deploy.graph.artifact import artifact_bytes
        from pisnn_deploy.mesh import parse_boundary, parse_shape
        from pisnn_deploy.target import load_profile

        shape = (16,) if target.mesh.text == "own" else parse_shape(target.mesh.text)
        sides = parse_boundary("periodic" if target.boundary == "own" else target.boundary, len(shape))
        profile = load_profile(target.profile.location)
        graph = compile_model(model, CompileOptions(shape, sides, profile, target.coding))
        return graph, hashlib.sha256(artifact_bytes(graph, {})).hexdigest(), 2

    return Craft(compile_target, read_field)


def planned(folder: Path, text: str) -> tuple[Case, ...]:
    """Cases of a plan that is written into a folder."""
    path = folder / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return cases_of(read_plan(path), path)


def in_process(cases: Sequence[Case], work: Craft | None = None) -> list[Row]:
    """What the cases give without a cluster."""
    if work is None:
        return [run_case(case, _compiled(case.target), craft()) for case in cases]
    compiled = {target: compile_case(target, work) for target in {case.target: None for case in cases}}
    return [run_case(case, compiled[case.target], work) for case in cases]


@functools.cache
def _compiled(target: Target) -> Compiled:
    return compile_case(target, craft())


def without_times(rows: Sequence[Row]) -> list[Row]:
    """Rows without what differs from run to run."""
    assert TIMES == ("seconds", "compile_seconds")
    return [replace(row, seconds=None, compile_seconds=None) for row in rows]
