"""The float64 solver treats all axes and both directions alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from short_laws import line

from pisnn_deploy.laws.baselines import SCHEMES, baseline
from pisnn_deploy.laws.problem import stacked
from pisnn_deploy.laws.reference import solved
from pisnn_deploy.laws.spec import LawSpec

START = "0.5 + 0.3*exp(-(x - 0.4)**2/0.02)"
SIDES: list[tuple[Any, Any]] = [
    ("periodic", "periodic"),
    ("wall", "wall"),
    ({"inflow": 0.8}, "outflow"),
    ({"held": 0.8}, {"robin": [0.5, 0.1]}),
    ({"flux": 0.2}, {"held": 0.3}),
]


def law(sign: str = "") -> dict[str, Any]:
    return {"fields": ["u"], "flux": {"u": f"{sign}(0.5*u + u**2/4)"}, "diffusion": {"u": "0.01 + 0.01*u"}}


def on_line(lower: Any, upper: Any, sign: str = "", start: str = START) -> LawSpec:
    sides = "periodic" if lower == "periodic" else {"left": lower, "right": upper}
    return line(law(sign), {"u": start}, domain={"lengths": [1.0], "boundary": sides}, time=0.1)


def on_square(axis: int, lower: Any, upper: Any) -> LawSpec:
    names = (("left", "right"), ("bottom", "top"))[axis]
    other = "yx"[axis]
    sides = (
        {"x" if axis == 0 else "y": "periodic"}
        if lower == "periodic"
        else dict(zip(names, (lower, upper), strict=True))
    )
    flux = law()["flux"]
    content = {**law(), "flux": flux if axis == 0 else {}, "flux_y": flux if axis == 1 else {}}
    return LawSpec.model_validate(
        {
            "name": "square",
            "law": content,
            "domain": {"lengths": [1.0, 1.0], "boundary": {**sides, other: "wall"}},
            "initial": {"u": START if axis == 0 else START.replace("x", "y").replace("eyp", "exp")},
            "range": {"u": [0, 2]},
            "time": 0.1,
            "mesh": [16, 16],
        }
    )


@pytest.mark.parametrize(("lower", "upper"), SIDES)
def test_a_square_that_varies_along_one_axis_is_a_line(lower: Any, upper: Any) -> None:
    expected = stacked(on_line(lower, upper), baseline("weno5", on_line(lower, upper), (16,), 0.1, steps=80).fields)[0]
    along_x = baseline("weno5", on_square(0, lower, upper), (16, 3), 0.1, steps=80).fields["u"]
    along_y = baseline("weno5", on_square(1, lower, upper), (3, 16), 0.1, steps=80).fields["u"]
    np.testing.assert_allclose(along_x, np.tile(expected[:, None], (1, 3)), rtol=0, atol=1e-13)
    np.testing.assert_allclose(along_y, np.tile(expected, (3, 1)), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("lower", "upper"), SIDES)
def test_a_mirrored_line_has_the_mirrored_solution(lower: Any, upper: Any) -> None:
    mirrored_start = START.replace("x - 0.4", "x - 0.6")
    plain, mirrored = on_line(lower, upper), on_line(upper, lower, "-", mirrored_start)
    values = [solved(spec, (24,), 0.1).state[0] for spec in (plain, mirrored)]
    np.testing.assert_allclose(values[1], values[0][::-1], rtol=0, atol=1e-12)
    for scheme in SCHEMES:
        pair = [baseline(scheme, spec, (24,), 0.1, steps=120).fields["u"] for spec in (plain, mirrored)]
        np.testing.assert_allclose(pair[1], pair[0][::-1], rtol=0, atol=1e-12)
