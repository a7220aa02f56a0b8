"""Training of a law: derivatives, exact fluxes, weights, resumption, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from law_recipes import recipe

from pisnn_deploy.core.errors import CheckError, FileError, UsageError
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.start import initial, stacked
from pisnn_deploy.training.checkpoint import read_law_checkpoint, write_law_checkpoint
from pisnn_deploy.training.laws import training
from pisnn_deploy.training.laws.courses import TRAINING_STREAM, Course, course
from pisnn_deploy.training.laws.scheme import Rollouts, Scheme
from pisnn_deploy.training.laws.setting import Setting, setting_of
from pisnn_deploy.training.laws.training import TrainedFlux, prepared

WEIGHTS = ("weight", "bias", "output", "constant")


def cars(**options: Any) -> LawSpec:
    """Traffic on 16 cells with a small network."""
    return recipe(
        {"fields": ["u"], "flux": {"u": "u*(1 - u)"}},
        initial={"u": "0.5 + 0.3*sin(2*pi*x)"},
        range={"u": [0, 1]},
        time=0.12,
        mesh=[16],
        training={"hidden": 6, "half_width": 2, "starts": 2, "steps": 3, "cells": 16, "seed": 2, **options},
    )


def waves(axes: int, **others: Any) -> LawSpec:
    """Linear waves with a velocity along each axis."""
    velocities = ["v", "w"][:axes]
    return recipe(
        {"fields": ["p", *velocities], "flux": {"p": "v", "v": "2*p"}, "vector": velocities, **others.pop("law", {})},
        lengths=1.0 if axes == 1 else [1.0, 1.0],
        initial=dict.fromkeys(["p", *velocities], 0),
        range={"p": [-1, 1], **{name: [-2, 2] for name in velocities}},
        time=0.2,
        training={"hidden": 5, "half_width": 2, "cells": 8, "horizon": 2},
        **{"mesh": [16] * axes, **others},
    )


def setting(spec: LawSpec) -> Setting:
    return setting_of(spec, stacked(spec, initial(spec, spec.mesh)))


@pytest.fixture(scope="module", autouse=True)
def solved_once() -> Iterator[None]:
    """Solve each start once."""
    known: dict[tuple[object, ...], Course] = {}

    def remembered(made: Setting, stream: int, number: int) -> Course:
        key = (made.law.fields, made.options.model_copy(update={"accept": None}), stream, number)
        if key not in known:
            known[key] = course(made, stream, number)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "course", remembered)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedFlux:
    return prepared(cars()).run(state_path=tmp_path_factory.mktemp("whole") / "state")


@pytest.mark.parametrize(
    "spec", [cars(), waves(1), waves(2), waves(2, mesh=[16, 8])], ids=lambda spec: spec.law.fields[0] + str(spec.mesh)
)
def test_the_gradient_is_that_of_the_loss(spec: LawSpec) -> None:
    made = setting(spec)
    scheme = Scheme(made)
    random = np.random.default_rng(1)
    cells = int(np.prod(made.grid.shape))
    parameters = random.normal(size=scheme.size) / 4
    starts, exact = random.normal(size=(2, made.fields, cells)), random.normal(size=(2, 2, made.fields, cells))
    rollouts = Rollouts(starts, (1, 3), exact, random.uniform(size=(2, made.fields)))
    equations = scheme.normal_equations(parameters, rollouts)
    assert np.isclose(equations.loss, scheme.loss(parameters, rollouts))
    for index in random.permutation(scheme.size)[:20]:
        losses = []
        for sign in (1, -1):
            moved = parameters.copy()
            moved[index] += sign * 1e-6
            losses.append(scheme.loss(moved, rollouts))
        slope = (losses[0] - losses[1]) / 4e-6
        assert abs(slope - equations.gradient[index]) < 1e-4 * np.abs(equations.gradient).max()


def test_axes_that_are_alike_share_their_parameters() -> None:
    alike, stretched = setting(waves(2)), setting(waves(2, mesh=[16, 8]))
    assert [layout.block for layout in alike.layouts] == [0, 0] and alike.layouts[1].fields.tolist() == [0, 2, 1]
    assert [layout.block for layout in stretched.layouts] == [0, 1] and stretched.layouts[1].fields.tolist() == [
        0,
        1,
        2,
    ]


def test_a_rotated_state_has_rotated_fluxes() -> None:
    made = setting(waves(2))
    scheme, random = Scheme(made), np.random.default_rng(3)
    parameters, values = random.normal(size=scheme.size), random.normal(size=(3, 8, 8))
    turned = values[[0, 2, 1]].transpose(0, 2, 1)
    along_x = scheme.fluxes(parameters, 0, values.reshape(3, -1)).reshape(3, 8, 8)
    along_y = scheme.fluxes(parameters, 1, turned.reshape(3, -1)).reshape(3, 8, 8)
    assert np.allclose(along_y, along_x[[0, 2, 1]].transpose(0, 2, 1), atol=1e-12)


@pytest.mark.parametrize(
    "spec", [cars(), waves(2, law={"diffusion": {"p": 0.01}})], ids=lambda spec: spec.law.fields[0] + str(spec.mesh)
)
def test_exact_fluxes_move_the_exact_averages(spec: LawSpec) -> None:
    made = setting(spec)
    solved = course(made, TRAINING_STREAM, 0)
    numbers = np.arange(np.prod(made.grid.shape)).reshape(made.grid.shape)
    change = np.zeros(solved.fluxes[0].shape)
    for axis, fluxes in enumerate(solved.fluxes):
        change += fluxes - fluxes[..., np.roll(numbers, -1, axis).reshape(-1)]
    assert np.abs(np.diff(solved.states, axis=0) - change).max() < 1e-13
    assert np.ptp(solved.states[0]) > 0.01


def test_a_training_ends_with_a_checkpoint_better_than_godunov(trained: TrainedFlux, tmp_path: Path) -> None:
    judged = trained.assessment
    assert not judged.failures and judged.held_out_error < judged.first_order_error
    assert trained.summary["error_last"] < trained.summary["error_first"]
    path = tmp_path / "cars.safetensors"
    write_law_checkpoint(path, trained.law, trained.summary)
    read = read_law_checkpoint(path)
    assert read.spec.method == "trained" and read.fluxes.time_step == trained.law.fluxes.time_step
    (network,) = read.fluxes.networks
    for weights, exponent in ((network.weight, network.weight_exponent), (network.output, network.output_exponent)):
        units = weights * 2.0**exponent
        assert np.array_equal(units, np.rint(units)) and np.abs(units).max() <= 127


@pytest.mark.parametrize("stop", [12, 24, 42])
def test_an_interrupted_training_resumes_to_the_same_weights(stop: int, trained: TrainedFlux, tmp_path: Path) -> None:
    def interrupt(done: int, note: str) -> None:
        if done >= stop:
            raise KeyboardInterrupt

    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        prepared(cars()).run(state_path=path, on_step=interrupt)
    resumed = prepared(cars()).run(resume=True, state_path=path)
    assert resumed.summary == trained.summary and not path.exists()
    for name in WEIGHTS:
        pair = [getattr(each.law.fluxes.networks[0], name) for each in (resumed, trained)]
        assert np.array_equal(*pair)


def test_a_state_of_another_training_is_refused(tmp_path: Path) -> None:
    def interrupt(done: int, note: str) -> None:
        if note.startswith("loss"):
            raise KeyboardInterrupt

    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        prepared(cars()).run(state_path=path, on_step=interrupt)
    with pytest.raises(FileError, match="belongs to another recipe or seed"):
        prepared(cars(accept=1.0)).run(resume=True, state_path=path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(FileError, match="is damaged"):
        prepared(cars()).run(resume=True, state_path=path)


def test_what_is_not_accepted_says_why(tmp_path: Path) -> None:
    result = prepared(cars(accept=1e-9)).run(state_path=tmp_path / "state")
    (reason,) = result.assessment.failures
    assert reason.startswith("the held-out error ") and reason.endswith("is above 1.00e-09, training.accept")


def test_starts_that_leave_the_range_are_refused(tmp_path: Path) -> None:
    spec = recipe(
        {"fields": ["p", "v"], "flux": {"p": "v", "v": "2*p"}},
        initial={"p": 0, "v": 0},
        range={"p": [-1e-9, 1e-9], "v": [0.5, 1]},
        time=0.2,
        training={"starts": 1, "cells": 16},
    )
    with pytest.raises(CheckError, match="leave the operating range; widen `range`"):
        prepared(spec).run(state_path=tmp_path / "state")


@pytest.mark.parametrize(
    ("law", "boundary", "sentence"),
    [
        (
            {"level": {"u": "u**2"}},
            "periodic",
            "law.level.u: a trained flux sees cell averages, not levels; use method constructed",
        ),
        (
            {"sources": {"u": "1 - u"}},
            "periodic",
            "law: nothing flows, so there is no flux to train; use method constructed",
        ),
        (
            {"flux": {"u": "x*u"}},
            "wall",
            "law.flux.u: a trained flux is the same at every place, but this depends on x; use method constructed",
        ),
    ],
)
def test_what_no_trained_flux_can_be_is_refused(law: dict[str, Any], boundary: Any, sentence: str) -> None:
    spec = recipe({"fields": ["u"], **law}, boundary, initial={"u": 0.5}, range={"u": [0, 1]})
    with pytest.raises(UsageError) as refused:
        prepared(spec)
    assert str(refused.value) == sentence
