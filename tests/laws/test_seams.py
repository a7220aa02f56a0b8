"""Terms that jump where the sides of a periodic axis meet."""

from __future__ import annotations

from typing import Any

import pytest
from law_recipes import recipe

from pisnn_deploy.laws.finite_volumes import FiniteVolumes
from pisnn_deploy.laws.spec import LawSpec, posedness_flaws
from pisnn_deploy.laws.start import grid_of, initial, stacked


def spec_of(law: dict[str, Any], boundary: Any = "periodic", lengths: Any = 1.0) -> LawSpec:
    return recipe({"fields": ["u"], **law}, boundary, lengths, initial={"u": "0.5"}, range={"u": [0, 1]})


@pytest.mark.parametrize(
    ("law", "place", "first", "last"),
    [
        ({"flux": {"u": "x*u"}}, "law.flux.u", "0", "1"),
        ({"diffusion": {"u": "1 + x"}}, "law.diffusion.u", "1", "2"),
        ({"given": {"depth": "2 - x"}, "flux": {"u": "u*depth"}}, "law.flux.u", "2", "1"),
    ],
)
def test_a_jump_at_the_seam_is_refused(law: dict[str, Any], place: str, first: str, last: str) -> None:
    assert posedness_flaws(spec_of(law)) == [
        (
            place,
            f"is {first} at one end of the periodic axis x and {last} at the other, which are the same place; use a "
            "function of x that repeats, or sides",
        )
    ]


@pytest.mark.parametrize(
    ("law", "boundary", "lengths"),
    [
        ({"flux": {"u": "u*(2 + sin(2*pi*x))"}}, "periodic", 1.0),
        ({"flux": {"u": "x*u"}}, {"left": "wall", "right": "outflow"}, 1.0),
        ({"flux": {}, "flux_y": {"u": "x*u"}}, {"x": "periodic", "y": "outflow"}, [1.0, 1.0]),
        ({"sources": {"u": "x - u"}, "flux": {"u": "u"}}, "periodic", 1.0),
    ],
)
def test_what_repeats_or_has_sides_is_not(law: dict[str, Any], boundary: Any, lengths: Any) -> None:
    assert posedness_flaws(spec_of(law, boundary, lengths)) == []


def test_time_steps_of_the_solver_respect_sides_that_exchange() -> None:
    paces = []
    for coefficient in (0.0, 50.0):
        spec = spec_of({"diffusion": {"u": "0.01"}}, {"left": {"robin": [coefficient, 0.5]}, "right": "wall"})
        volumes = FiniteVolumes(spec.parsed(), grid_of(spec, (8,)), spec.conditions)
        paces.append(volumes.pace(stacked(spec, initial(spec, (8,)))).diffusion)
    assert paces[1] - paces[0] == pytest.approx(2 * 50 * 8)
