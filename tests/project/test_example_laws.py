"""The laws under examples/laws, as a user has them: compiled, verified, and run for a few steps."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import pisnn_deploy as pd
from pisnn_deploy.laws.spec import read_law

FOLDER = Path(__file__).parents[2] / "examples" / "laws"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
STEPS = 20


@cache
def compiled(name: str) -> pd.CompiledArtifact:
    return pd.compile(FOLDER / f"{name}.yaml", mesh=32)


def test_there_is_one_with_a_source_one_of_several_fields_and_one_with_a_level() -> None:
    laws = [read_law(FOLDER / f"{name}.yaml").parsed() for name in NAMES]
    assert len(laws) == 4
    assert any(law.sources for law in laws)
    assert any(len(law.fields) > 1 for law in laws)
    assert any(law.level for law in laws)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_verified_and_conserves(name: str) -> None:
    artifact = compiled(name)
    assert all(finding.holds for finding in artifact.verify())
    run = artifact.simulate(STEPS, backend="fast")
    assert (run.verdict, run.drift) == ("conserved", 0)
    assert (run.mass[0] != run.mass[-1]).any()


def test_cars_that_come_and_go_are_in_the_ledgers() -> None:
    run = compiled("on_ramp").simulate(STEPS, backend="fast")
    came = {name: -gain.quanta for name, gain in run.ledgers["cars"].items()}
    assert set(came) == {"left", "right", "ramp"}
    assert came["left"] > 0 and came["ramp"] > 0 and came["right"] < 0
    assert sum(came.values()) == int(run.mass[-1].sum() - run.mass[0].sum())


def test_gas_is_pushed_by_the_walls_alone() -> None:
    run = compiled("gas_tube").simulate(STEPS, backend="fast")
    density, momentum = run.mass[[0, -1]].reshape(2, 2, -1).sum(axis=2).T
    assert density[0] == density[1] and momentum[0] == 0 < momentum[1]
    assert set(run.ledgers) == {"m"}


def test_a_wall_is_cooled_by_the_night_and_warmed_by_the_room() -> None:
    artifact = compiled("sunny_wall")
    clock = next(population.clock for population in artifact.graph.between_fields if population.clock)
    assert clock.repeats
    run = artifact.simulate(300, backend="fast")
    came = {name: -gain.quanta for name, gain in run.ledgers["e"].items()}
    assert came["left"] < 0 < came["right"]
    assert sum(came.values()) == int(run.mass[-1].sum() - run.mass[0].sum())


def test_ice_melts_from_the_warm_side_and_stays_at_its_melting_point() -> None:
    run = compiled("melting").simulate(400, backend="fast")
    heat = run.values[-1]
    assert (np.diff(heat) <= 0).all()
    melted = heat > 1
    assert 0 < melted.sum() < heat.size and (heat[~melted][1:] == 0).all()


@pytest.mark.parametrize(
    ("name", "text"),
    [("on_ramp", "left inflow 0.04, right outflow"), ("gas_tube", "wall"), ("melting", "left held 2, right wall")],
)
def test_conditions_are_those_of_the_law(name: str, text: str) -> None:
    assert compiled(name).graph.boundary_text == text
