"""Graphs as PyTorch modules: every integer of every PDE step, alone and in batches."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from drawn_laws import drawn_law
from faces_by_hand import random_graph_of_one_field
from graphs_by_hand import reaction, runnable_graph, two_fields
from models_under_test import compiled, compiled_box, heat_model, hidden_model, laplace_model, oscillating_model
from pydantic import ValidationError
from trace_setups import set_ups

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.torch.writer import TorchStep, torch_files
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.currents import kept_current
from pisnn_deploy.graph.kinds import starting_from
from pisnn_deploy.graph.semantics import Semantics, State

RANDOM = int(os.environ.get("PISNN_CASES", "5"))


def module_of(graph: IntegerGraph, folder: Path) -> Any:
    """The network of a generated module."""
    folder.mkdir(exist_ok=True)
    for name, content in torch_files(graph).items():
        (folder / name).write_bytes(content)
    spec = importlib.util.spec_from_file_location("generated_network", folder / "network.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Network()


def in_step(graph: IntegerGraph, network: Any, steps: int) -> None:
    """Compare every PDE step with the reference."""
    semantics, late = Semantics(graph), np.concatenate([_late(graph, one.population) for one in graph.channels])
    state = network.begin()
    nothing = np.zeros(late.size, np.int64)
    first = State(state[0].numpy(), nothing, nothing, nothing, state[1].numpy())
    for step in range(steps):
        before = state[1].numpy()
        first = semantics.step(first, step)
        *state, packets = network(*state)
        mass, current, residue = (tensor.numpy() for tensor in state[:3])
        assert {tensor.dtype for tensor in (*state, packets)} == {torch.int64}
        assert np.array_equal(mass, first.mass) and np.array_equal(residue, first.residue), step
        assert np.array_equal(packets.numpy(), first.packets), step
        assert np.array_equal(np.where(late, before, current), first.current), step
        assert np.array_equal(kept_current(graph, current), first.kept_current), step


def _late(graph: IntegerGraph, name: str) -> Any:
    return np.full(graph.size(name), graph.population(name).is_late)


KINDS = (
    "laplace2d delta",
    "burgers1d dense",
    "heat2d x=periodic y=dirichlet=0,1",
    "heat1d stock with a send threshold",
    "heat1d binary",
    "heat1d seen residues dense",
    "heat1d capacity with a limiter",
    "plate with many digits",
    "multi-point fluxes",
)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_graph_has_the_integers_of_the_reference(name: str, tmp_path: Path) -> None:
    graph = dict(set_ups())[name](tmp_path)
    in_step(graph, module_of(graph, tmp_path / "module"), 6)


def test_what_cells_keep_back_is_that_of_the_reference(tmp_path: Path) -> None:
    graph = compiled_box(oscillating_model(), (9,), "no-flux", limiter="positivity")
    mass = np.zeros(9, np.int64)
    mass[3] = graph.window.upper // 8
    graph = starting_from(graph, mass)
    in_step(graph, module_of(graph, tmp_path), 25)


@pytest.mark.parametrize("seed", range(RANDOM))
@pytest.mark.parametrize("draw", [random_graph_of_one_field, runnable_graph, drawn_law])
def test_random_graphs_and_laws(draw: Callable[[int], IntegerGraph], seed: int, tmp_path: Path) -> None:
    try:
        graph = draw(seed)
    except (ValidationError, UsageError):
        return
    in_step(graph, module_of(graph, tmp_path), 4)


def test_several_fields(tmp_path: Path) -> None:
    for number, graph in enumerate((two_fields(), reaction())):
        in_step(graph, module_of(graph, tmp_path / str(number)), 6)


def test_runs_of_a_batch_are_those_alone(tmp_path: Path) -> None:
    graph = compiled(hidden_model((3, 2), leak=2048), cells=7, boundary="dirichlet=-1,1")
    network = module_of(graph, tmp_path)
    batch = network.begin(2, 3)
    batch[0] += torch.arange(6).reshape(2, 3, 1) * torch.arange(batch[0].shape[-1])
    alone = [[tensor[1, 2] for tensor in batch], [tensor[0, 0] for tensor in batch]]
    for _ in range(5):
        *batch, _ = network(*batch)
        alone = [list(network(*state)[:-1]) for state in alone]
    for state, place in zip(alone, ((1, 2), (0, 0)), strict=True):
        assert all(torch.equal(part, whole[place]) for part, whole in zip(state, batch, strict=True))


def test_constants_alone_are_sent_to_each_run_of_a_batch(tmp_path: Path) -> None:
    for seed in range(5):
        network = module_of(runnable_graph(seed), tmp_path / str(seed))
        single, batch = network(*network.begin()), network(*network.begin(2))
        for one, two in zip(single, batch, strict=True):
            assert torch.equal(torch.stack([one, one]), two)


def test_it_is_exported_by_torch(tmp_path: Path) -> None:
    graph = compiled_box(laplace_model(), (20, 20), "x=dirichlet=0,1 y=dirichlet=0,0")
    network = module_of(graph, tmp_path)
    state = tuple(network.begin(2))
    runs = torch.export.Dim("runs", min=1, max=64)
    exported = torch.export.export(network, state, dynamic_shapes=[{0: runs}] * len(state))
    many = tuple(network.begin(5))
    for ours, theirs in zip(network(*many), exported.module()(*many), strict=True):
        assert torch.equal(ours, theirs)


def test_the_files_are_the_same_each_time() -> None:
    graph = compiled(heat_model(), cells=9)
    assert torch_files(graph) == torch_files(graph)


def test_names_of_an_artifact_never_become_code() -> None:
    graph = compiled(heat_model(), cells=5)
    step = TorchStep(graph)
    names = ["a\nimport os", "class", "1st", "mass", "a/b", "a_b", "packets", "ü"]
    assert [step.assigned(name, "0") for name in names] == [
        "a_import_os",
        "v_class",
        "v_1st",
        "mass_2",
        "a_b",
        "a_b_2",
        "packets",
        "_",
    ]


def test_the_command_and_the_module_s_own_test(tmp_path: Path) -> None:
    artifact, folder = tmp_path / "heat.pisnn", tmp_path / "module"
    write_artifact(artifact, compiled(heat_model(), cells=9), {})
    result = CliRunner().invoke(group, ["export", str(artifact), "--to", "torch", "-o", str(folder)])
    assert result.exit_code == 0, result.output
    run = [sys.executable, "network.py"]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("32 steps equal, sum of masses ")
    with np.load(folder / "numbers.npz") as arrays:
        numbers = dict(arrays)
    numbers["start_mass"][0] += 1
    np.savez(folder / "numbers.npz", **numbers)
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr == "differs after 32 steps\n"


def test_a_graph_that_is_not_proved_is_refused(tmp_path: Path) -> None:
    graph = compiled(heat_model(), cells=9)
    first, *rest = graph.bounds
    artifact = tmp_path / "wrong.pisnn"
    write_artifact(artifact, replace(graph, bounds=(replace(first, upper=first.upper // 2), *rest)), {})
    result = CliRunner().invoke(group, ["export", str(artifact), "--to", "torch", "-o", str(tmp_path / "module")])
    assert result.exit_code == 1 and "verification fails" in str(result.exception)
