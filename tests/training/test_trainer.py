"""Training is seeded, resumable bit for bit, and learns."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models_under_test import compiled

from pisnn_deploy.core.errors import FileError, SeveralErrors
from pisnn_deploy.physics.model import Model
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.training import trainer
from pisnn_deploy.training.recipe import Recipe, read_recipe
from pisnn_deploy.training.trainer import train

TINY = """
model:
  name: tiny
  equation: diffusion
  diffusivity: 0.01
  problem: heat1d
  lengths: [1.0]
  half_width: 2
  weight_exponents: [7]
  diffusion_number: 0.5
  operating_range: {lower: 0.0, upper: 2.0}
training:
  cells: 16
  modes: 6
  batch: 4
  epochs: 60
  horizons: [1, 2]
  learning_rate: 0.05
  quantised_from: 0.5
"""


def recipe(tmp_path: Path, text: str = TINY) -> Recipe:
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    return read_recipe(path)


def same(left: Model, right: Model) -> bool:
    return left.spec == right.spec and all(
        np.array_equal(a, b) for a, b in zip(left.weights, right.weights, strict=True)
    )


def test_it_learns_and_is_seeded(tmp_path: Path) -> None:
    first, second, third = (
        train(recipe(tmp_path), seed=seed, state_path=tmp_path / "state") for seed in (None, None, 2)
    )
    assert same(first.model, second.model) and not same(first.model, third.model)
    assert first.summary["loss_last"] < first.summary["loss_first"] / 20
    assert np.array_equal(first.model.weights[0], -first.model.weights[0][:, ::-1])
    assert not (tmp_path / "state").exists()


def test_an_interrupted_training_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole = train(recipe(tmp_path), state_path=tmp_path / "whole")

    def interrupt(done: int, *_: object) -> None:
        if done == 41:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(tmp_path), state_path=tmp_path / "state", on_epoch=interrupt)
    assert (tmp_path / "state").exists()
    seen: list[int] = []
    resumed = train(
        recipe(tmp_path), resume=True, state_path=tmp_path / "state", on_epoch=lambda done, *_: seen.append(done)
    )
    assert seen[0] == 26, "goes on after the last saved epoch"
    assert same(resumed.model, whole.model) and resumed.summary == whole.summary


def test_the_held_out_error_is_reported_while_it_learns(tmp_path: Path) -> None:
    seen: list[float | None] = []
    whole = train(
        recipe(tmp_path, TINY.replace("epochs: 60", "epochs: 50")),
        state_path=tmp_path / "state",
        on_epoch=lambda done, total, loss, held_out: seen.append(held_out),
    )
    assert seen[:24] == [None] * 24 and seen[24] is not None and len(set(seen[24:49])) == 1
    assert seen[49] == whole.assessment.held_out_error
    (row,) = (text for name, text in whole.rows if name == "weights")
    integers = " ".join(f"{weight:g}" for weight in np.rint(whole.model.weights[0][0] * 128))
    assert row == f"nearest integers {integers}, in units of 0.0078125"


def test_the_leak_is_learned_where_the_recipe_says_so(tmp_path: Path) -> None:
    start = TINY.replace("half_width", "leak: 3000\n  half_width")
    learns = recipe(tmp_path, f"{start}  learn_leak: true\n")
    learned = train(learns, state_path=tmp_path / "state")
    fixed = train(recipe(tmp_path, start), state_path=tmp_path / "state")
    assert fixed.model.spec.leak == 3000 < 4000 < learned.model.spec.leak <= 4096, "diffusion is memoryless"
    assert learned.assessment.failures == () and fixed.assessment.failures
    assert learned.assessment.held_out_error < fixed.assessment.held_out_error / 8

    def interrupt(done: int, *_: object) -> None:
        if done == 41:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(learns, state_path=tmp_path / "state", on_epoch=interrupt)
    resumed = train(learns, resume=True, state_path=tmp_path / "state")
    assert same(resumed.model, learned.model) and resumed.summary == learned.summary


def test_a_leak_can_be_learned_with_hidden_layers(tmp_path: Path) -> None:
    hidden = TINY.replace("weight_exponents: [7]", "leak: 3000\n  hidden: [4]\n  weight_exponents: [7, 7]")
    learned = train(recipe(tmp_path, f"{hidden}  learn_leak: true\n"), state_path=tmp_path / "state")
    assert learned.model.spec.leak > 4000 and learned.summary["loss_last"] < learned.summary["loss_first"] / 20


def test_a_state_of_another_recipe_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "_SAVE_EVERY", 1)

    def interrupt(done: int, *_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(tmp_path), seed=1, state_path=tmp_path / "state", on_epoch=interrupt)
    with pytest.raises(FileError) as caught:
        train(recipe(tmp_path), seed=2, resume=True, state_path=tmp_path / "state")
    assert str(caught.value) == (f"{tmp_path}/state: belongs to another recipe or seed; train without `resume`")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("half_width: 2", "half_width: 0", "model.half_width: must be at least 1, not 0"),
        ("epochs: 60", "epochs: many", 'training.epochs: must be a whole number, not "many"'),
        ("diffusivity: 0.01", "diffusivity: .nan", "model.diffusivity: must be greater than 0, not NaN"),
        ("diffusivity: 0.01", "diffusivity: -1", "model.diffusivity: must be greater than 0, not -1"),
        ("upper: 2.0", "upper: -2.0", "model.operating_range: lower 0.0 must be below upper -2.0"),
        ("[7]", "[7, 7]", "model.weight_exponents: has 2 entries for 1 layer"),
        ("  epochs: 60", "  method: sgd", 'training.method: must be adam or gauss-newton, not "sgd"'),
    ],
)
def test_a_wrong_recipe_names_the_field(old: str, new: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SeveralErrors) as caught:
        recipe(tmp_path, TINY.replace(old, new))
    assert [str(part) for part in caught.value.parts] == [f"{tmp_path}/tiny.yaml: {message}"]


def test_a_network_with_a_hidden_layer_trains_and_deploys(tmp_path: Path) -> None:
    text = TINY.replace("weight_exponents: [7]", "weight_exponents: [7, 7]\n  hidden: [6]")
    text = text.replace("learning_rate: 0.05", "learning_rate: 0.01").replace("epochs: 60", "epochs: 200")
    trained = train(recipe(tmp_path, text), state_path=tmp_path / "state")
    assert trained.summary["loss_last"] < trained.summary["loss_first"] / 5
    graph = compiled(trained.model, 16)
    run = run_graph("fast", graph, graph.initial, RunOptions(10))
    assert run.conserved and run.packets_sent > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            "equation: laplace\n  damping: 8.9",
            "model.problem: heat1d solves diffusion in 1D, but the model solves laplace in 1D",
        ),
        ("equation: burgers\n  cell_width: 0.0625", "training.method: must be gauss-newton for burgers, not adam"),
        (
            "equation: advection-diffusion\n  velocity: 1.0\n  cell_width: 0.1",
            "training.cells: must be model.lengths / model.cell_width = 10, not 16",
        ),
        ("equation: advection-diffusion", "model.velocity: is missing for advection-diffusion"),
        ("equation: diffusion\n  velocity: 1.0", "model.velocity: has no meaning for diffusion"),
    ],
)
def test_a_recipe_whose_parts_do_not_go_together_says_so(changes: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SeveralErrors) as caught:
        recipe(tmp_path, TINY.replace("equation: diffusion", changes))
    assert f"{tmp_path}/tiny.yaml: {message}" in [str(part) for part in caught.value.parts]


def interrupted(folder: Path) -> Path:
    def stop(done: int, *_: object) -> None:
        if done == 26:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(folder), state_path=folder / "state", on_epoch=stop)
    return folder / "state"


FORGERIES: tuple[Callable[[Any], object], ...] = (
    lambda c: c["net"].clear(),
    lambda c: c["optimiser"]["param_groups"][0].update(lr="x"),
    lambda c: c["optimiser"]["param_groups"][0].update(betas=(0.9,)),
    lambda c: c["optimiser"]["state"][0].update(exp_avg=torch.zeros(3)),
    lambda c: c["optimiser"]["state"][0]["exp_avg"].fill_(float("nan")),
    lambda c: c["optimiser"].update(state={}),
    lambda c: c["schedule"].update(last_epoch=3),
    lambda c: c.update(losses=[]),
    lambda c: c.update(losses=[float("nan")] * 25),
    lambda c: c.update(losses="x"),
    lambda c: c.update(net=[[[[[[[[[[0]]]]]]]]]]),
)


def test_a_forged_state_is_one_line(tmp_path: Path) -> None:
    state = interrupted(tmp_path)
    kept = state.read_bytes()
    for change in FORGERIES:
        content = torch.load(io.BytesIO(kept), weights_only=True)
        change(content)
        torch.save(content, state)
        with pytest.raises(FileError) as caught:
            train(recipe(tmp_path), resume=True, state_path=state)
        assert str(caught.value) == f"{state}: is not a complete training state; train without `resume`"
