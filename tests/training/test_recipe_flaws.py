"""A recipe is looked at as a whole before the first step: everything that is wrong, at once, by file and field."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pisnn_deploy.core.errors import FileError, SeveralErrors
from pisnn_deploy.project import zoo
from pisnn_deploy.training.assessment import GROWTH_MARGIN
from pisnn_deploy.training.recipe import Recipe, flaws_of, read_recipe
from pisnn_deploy.training.trainer import train


def zoo_recipe(name: str) -> str:
    with zoo.recipe_path(name) as path:
        return path.read_text()


def flaws(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(SeveralErrors) as caught:
        read_recipe(path)
    lines = [str(part) for part in caught.value.parts]
    assert all(line.startswith(f"{path}: ") and "\n" not in line for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def changed(name: str, *changes: tuple[str, str]) -> str:
    text = zoo_recipe(name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize("name", zoo.names())
def test_the_zoo_s_recipes_have_no_flaw(name: str) -> None:
    with zoo.recipe_path(name) as path:
        assert read_recipe(path).model.name == name


@pytest.mark.parametrize(
    ("old", "new", "flaw"),
    [
        ("epochs: 2000", "epochs: true", "training.epochs: must be a whole number, not true"),
        ("seed: 1", "seed: '1'", 'training.seed: must be a whole number, not "1"'),
        ("batch: 16", "batch: 16.0", "training.batch: must be a whole number, not 16.0"),
        ("half_width: 4", "half_width: '4'", 'model.half_width: must be a whole number, not "4"'),
        ("leak: 4096", "leak: true", "model.leak: must be a whole number, not true"),
        ("learning_rate: 0.02", "learning_rate: true", "training.learning_rate: must be a number, not true"),
        ("learning_rate: 0.02", "learning_rate: .nan", "training.learning_rate: must be "),
        ("diffusivity: 0.01", "diffusivity: true", "model.diffusivity: must be a number, not true"),
        ("seed: 1", "learn_leak: 1", "training.learn_leak: must be true or false, not 1"),
    ],
)
def test_numbers_are_numbers_and_truth_is_truth(old: str, new: str, flaw: str, tmp_path: Path) -> None:
    (line,) = flaws(tmp_path, changed("heat1d", (old, new)))
    assert line.startswith(flaw)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = changed(
        "heat1d",
        ("problem: heat1d", "problem: wave"),
        ("half_width: 4", "half_width: 0"),
        ("cells: 64", "cells: many"),
        ("modes: 28", "modes: -3"),
        ("batch: 16", "bunch: 16"),
        ("learning_rate: 0.02", "learning_rate: 1.0e+9"),
        ("leak: 4096", "damping: 2.0"),
    )
    assert flaws(tmp_path, text) == [
        "model.half_width: must be at least 1, not 0",
        'training.cells: must be a whole number, not "many"',
        "training.modes: must be at least 1, not -3",
        "training.batch: is missing",
        "training.learning_rate: must be at most 1, not 1000000000.0",
        "training.bunch: is unknown; did you mean batch?",
        "model.damping: has no meaning for diffusion",
        "model.problem: 'wave' is unknown; use heat1d, heat2d, heat3d, laplace2d, advection_diffusion1d, burgers1d",
    ]


@pytest.mark.parametrize(
    ("name", "changes", "wanted"),
    [
        (
            "heat1d",
            [("problem: heat1d", "problem: advection_diffusion1d")],
            [
                "model.problem: advection_diffusion1d solves advection-diffusion in 1D, but the model solves "
                "diffusion in 1D"
            ],
        ),
        (
            "heat1d",
            [("lengths: [1.0]", "lengths: [1.0, 1.0]")],
            ["model.problem: heat1d solves diffusion in 1D, but the model solves diffusion in 2D"],
        ),
        (
            "heat1d",
            [("diffusion_number: 1.0", "diffusion_number: 9.0")],
            ["model.diffusion_number: 9 is unstable: kernels of half_width 4 are stable up to at most 8"],
        ),
        (
            "heat2d",
            [("diffusion_number: 0.5", "diffusion_number: 5.0")],
            ["model.diffusion_number: 5 is unstable: kernels of half_width 3 are stable up to at most 4"],
        ),
        (
            "heat1d",
            [("diffusivity: 0.01", "diffusivity: 1.0e+300"), ("modes: 28", "modes: 28\n  amplitude: 1.0e-90")],
            [
                "model.diffusivity: 1e+300 is outside 1e-50 to 1e+50",
                "training.amplitude: 1e-90 is outside 1e-50 to 1e+50",
            ],
        ),
        (
            "heat1d",
            [("diffusivity: 0.01", "diffusivity: 1.0e+49")],
            ["model.diffusivity: 1e+49 with a cell width of 0.015625 gives a time step of 2e-53"],
        ),
        ("heat1d", [("modes: 28", "modes: 32")], ["training.modes: must be at most 31 on 64 cells, not 32"]),
        (
            "heat1d",
            [("cells: 64", "cells: 6"), ("modes: 28", "modes: 2")],
            ["training.cells: must be at least 8, the width of a face's window, not 6"],
        ),
        (
            "heat1d",
            [("epochs: 2000", "epochs: 3")],
            ["training.epochs: must be at least the number of horizons, 5, not 3"],
        ),
        (
            "heat1d",
            [("quantum_exponent: 20", "quantum_exponent: 1"), ("modes: 28", "modes: 28\n  amplitude: 0.1")],
            ["training.amplitude: 0.1 is below a quantum, 2^-1"],
        ),
        (
            "heat1d",
            [("quantum_exponent: 20", "quantum_exponent: 30\n  mean: 1.0e+9")],
            [
                "training.quantum_exponent: gives integers of 67 bits for values up to 1e+09, but training is exact "
                "only up to 53 bits"
            ],
        ),
        (
            "heat2d",
            [("cells: 24", "cells: 4096"), ("modes: 8", "modes: 2000")],
            [
                "training.cells: 4096 in 2D with these modes, batch and horizons needs 2149485 GB, but the limit is "
                "17 GB"
            ],
        ),
        (
            "laplace2d",
            [("diffusivity: 1.0", "diffusivity: 2.0"), ("[1, 2, 4]", "[1, 2, 8]")],
            [
                "model.diffusivity: must be 1 for laplace, not 2",
                "training.cells: must be above 32, not 32: the walls would influence every cell within 8 PDE steps",
            ],
        ),
        (
            "laplace2d",
            [("stability: 1.0", "learn_leak: true")],
            ["training.learn_leak: has no effect: model.damping sets the leak"],
        ),
        (
            "advection_diffusion1d",
            [("velocity: 1.0", "velocity: -20.0"), ("cells: 256", "cells: 255")],
            [
                "model.velocity: gives a Courant number of 20 (speed * time step / cell width), above the half_width 4",
                "training.cells: must be model.lengths / model.cell_width = 256, not 255",
            ],
        ),
        (
            "advection_diffusion1d",
            [("lengths: [1.0]", "lengths: [1.001]")],
            [
                "model.cell_width: 0.00390625 does not divide the length 1.001",
                "training.cells: must be model.lengths / model.cell_width = 256.256, not 256",
            ],
        ),
        (
            "burgers1d",
            [("[4, 4, 12]", "[4]"), ("hidden: [32]", "hidden: [4]"), ("upper: 1.7, slope", "upper: 9.0, slope")],
            [
                "model.hidden: must be one layer of more than 4 units, not [4]",
                "training.iterations: has 1 entry, but training.horizons has 3",
                "model.operating_range: 0.3 to 9 is far outside the values that the network is trained on, 0.4 to 1.6",
            ],
        ),
        ("burgers1d", [("lower: 0.4", "lower: 1.6")], ["training.lower: 1.6 must be below upper 1.6"]),
        (
            "burgers1d",
            [("hidden: [32]", "hidden: [4096]")],
            ["model.hidden: 32768 parameters on 256 cells need 34 GB, but the limit is 17 GB"],
        ),
        (
            "burgers1d",
            [("diffusivity: 0.003183098861837907", "diffusivity: 1.0e-12"), ("0.20371832715762606", "6.4e-11")],
            ["model.diffusivity: 1e-12 is too small: an exact solution needs 9668685 points for each of 256 cells"],
        ),
    ],
)
def test_what_does_not_go_together_is_told(
    name: str, changes: list[tuple[str, str]], wanted: list[str], tmp_path: Path
) -> None:
    assert flaws(tmp_path, changed(name, *changes)) == wanted


def test_parts_that_are_no_mappings_are_told(tmp_path: Path) -> None:
    assert flaws(tmp_path, "model: 3\ntraining: []\nfoo: 1\n") == [
        "model: must be a mapping, not 3",
        "training: must be a mapping, not an empty list",
        "foo: is unknown; known fields are model, training",
    ]


PLATE = {
    "model": {
        "name": "plate",
        "equation": "diffusion",
        "diffusivity": 0.01,
        "problem": "heat2d",
        "lengths": [1.0, 1.0],
        "half_width": 2,
        "weight_exponents": [7],
        "diffusion_number": 0.25,
        "operating_range": {"lower": 0.0, "upper": 2.0},
    },
    "training": {
        "cells": 10,
        "modes": 3,
        "batch": 3,
        "epochs": 30,
        "horizons": [1],
        "learning_rate": 0.02,
        "quantised_from": 0.7,
    },
}


def test_a_domain_of_other_proportions_trains_the_same_kernel(tmp_path: Path) -> None:
    square = train(Recipe.model_validate(PLATE), state_path=tmp_path / "state")
    domain = {**PLATE, "model": {**PLATE["model"], "lengths": [1.0, 2.0]}}
    wide = train(Recipe.model_validate(domain), state_path=tmp_path / "state")
    assert np.array_equal(square.model.weights[0], wide.model.weights[0])
    assert wide.assessment.amplification_factor <= 1 + GROWTH_MARGIN
    assert wide.assessment == square.assessment


EXTREMES: tuple[Any, ...] = (
    0,
    1,
    -1,
    2**63,
    5e-324,
    1e-300,
    1e300,
    -1e308,
    math.inf,
    math.nan,
    "x",
    "",
    None,
    True,
    [],
    [1],
    [1e308],
    {},
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_value_of_a_field_ends_in_anything_but_a_flaw(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(zoo.names()))
    document: dict[str, Any] = yaml.safe_load(zoo_recipe(name))
    for _ in range(data.draw(st.integers(1, 3))):
        part = document[data.draw(st.sampled_from(["model", "training"]))]
        known = ["damping", "cell_width", "velocity", "hidden", "transverse", "leak", "mean", "amplitude", "accept"]
        part[data.draw(st.sampled_from([*part, *known]))] = data.draw(st.sampled_from(EXTREMES))
    for field, problem in flaws_of(document):
        assert "\n" not in problem and field.split(".")[0] in ("model", "training")


def test_a_list_of_flaws_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"model: {{lengths: [{', '.join(['x'] * 500)}]}}\ntraining: {{}}\n")
    with pytest.raises(SeveralErrors) as caught:
        read_recipe(path)
    told = [str(part) for part in caught.value.parts]
    assert len(told) == 65
    assert told[-1].startswith(f"{path}: has ") and told[-1].endswith(" more flaws")


def test_the_recipe_of_a_law_is_for_compile(tmp_path: Path) -> None:
    path = tmp_path / "law.yaml"
    path.write_text("law: {}\ntime: 1\n")
    with pytest.raises(FileError) as caught:
        read_recipe(path)
    expected = "is the recipe of a law, which compile reads; train reads sections model and training"
    assert str(caught.value) == f"{path}: {expected}"
