from __future__ import annotations

import math
from typing import Any

import pytest

from pisnn_deploy.laws.spec import LawSpec, posedness_flaws
from pisnn_deploy.laws.speeds import characteristic_speeds
from pisnn_deploy.laws.wellposed import judge


def spec_of(law: dict[str, Any], ranges: dict[str, Any], **sections: Any) -> LawSpec:
    document = {
        "name": "drawn",
        "law": law,
        "domain": {"lengths": 1, "boundary": "periodic"},
        "initial": {name: (low + high) / 2 for name, (low, high) in ranges.items()},
        "range": ranges,
        "time": 1,
        "mesh": 8,
    }
    return LawSpec.model_validate({**document, **sections})


BOX = {"domain": {"lengths": [1, 1], "boundary": "periodic"}, "mesh": [8, 8]}
ILL_POSED: dict[str, tuple[LawSpec, list[tuple[str, str]]]] = {
    "division by zero": (
        spec_of({"fields": ["h"], "flux": {"h": "1/h + h"}}, {"h": [-1, 1]}),
        [("law.flux.h", "1/h has no finite value where h = 0, inside the range")],
    ),
    "root of a negative number": (
        spec_of({"fields": ["h"], "sources": {"h": "-h*sqrt(h - 0.5)"}}, {"h": [0, 1]}),
        [("law.sources.h.h-source", "sqrt(h - 0.5) has no finite value where h = 0, inside the range")],
    ),
    "overflow": (
        spec_of({"fields": ["h"], "flux": {"h": "exp(1000*h)"}}, {"h": [0, 1]}),
        [("law.flux.h", "exp(1000*h) has no finite value where h = 0.709961, inside the range")],
    ),
    "value that is too large": (
        spec_of({"fields": ["h"], "flux": {"h": "1e20*h**2"}}, {"h": [0, 1e8]}),
        [("law.flux.h", "its value is 1e+36 where h = 100000000, beyond 1e+30; choose other units")],
    ),
    "infinite slope": (
        spec_of({"fields": ["h"], "sources": {"h": "-sqrt(h)"}}, {"h": [0, 1]}),
        [
            (
                "law.sources.h.h-source",
                "no time step resolves it: in its slope by h, 1/(2*sqrt(h)) has no finite value where h = 0, inside "
                "the range",
            )
        ],
    ),
    "negative diffusion": (
        spec_of({"fields": ["u"], "diffusion": {"u": "u*(1 - u)"}}, {"u": [0, 1.5]}),
        [("law.diffusion.u", "the diffusivity u*(1 - u) is -0.75 where u = 1.5; diffusion must not be negative")],
    ),
    "falling level": (
        spec_of({"fields": ["u"], "level": {"u": "u**3 - u"}}, {"u": [-1, 1]}),
        [
            (
                "law.level.u",
                "the slope of the level times the mobility, 3*u**2 - 1, is -1 where u = 0; diffusion must not be "
                "negative",
            )
        ],
    ),
    "Laplacian of the wrong sign": (
        spec_of({"fields": ["u"], "level": {"u": "u**3 - u + 0.1*laplacian(u)"}}, {"u": [-1, 1]}),
        [("law.level.u", "the factor of -laplacian(u), -0.1, is -0.1; diffusion must not be negative")],
    ),
    "complex speeds": (
        spec_of({"fields": ["p", "v"], "flux": {"p": "v", "v": "-p"}}, {"p": [-1, 1], "v": [-1, 1]}),
        [("law.flux", "the characteristic speeds along x are complex, 0 + 1i; no waves carry this flux")],
    ),
    "complex speeds in a part of the range": (
        spec_of({"fields": ["p", "v"], "flux": {"p": "v", "v": "p**3/3 - p"}}, {"p": [0, 2], "v": [-1, 1]}),
        [("law.flux", "the characteristic speeds along x are complex, 0 + 1i where p = 0; no waves carry this flux")],
    ),
    "complex speeds along a diagonal": (
        spec_of(
            {"fields": ["p", "v"], "flux": {"p": "p + 3*v"}, "flux_y": {"v": "p"}},
            {"p": [0, 2], "v": [-1, 1]},
            **BOX,
        ),
        [
            (
                "law.flux",
                "the characteristic speeds along the diagonal (x, -y) are complex, 0.5 + 1.65831i; no waves "
                "carry this flux",
            )
        ],
    ),
    "levels that grow together": (
        spec_of({"fields": ["u", "v"], "level": {"u": "u + 2*v", "v": "v + 2*u"}}, {"u": [0, 1], "v": [0, 1]}),
        [("law.level", "together, the levels of u, v have a diffusivity of -1")],
    ),
    "initial outside": (
        spec_of({"fields": ["u"], "flux": {"u": "u"}}, {"u": [0, 1]}, initial={"u": "1 + 0.5*sin(2*pi*x)"}),
        [("initial.u", "u is 1.5 where x = 0.25, outside its range 0 to 1")],
    ),
    "initial undefined": (
        spec_of({"fields": ["u"], "flux": {"u": "u"}}, {"u": [0, 1]}, initial={"u": "log(x)"}),
        [("initial.u", "u is -inf where x = 0, outside its range 0 to 1")],
    ),
    "boundary outside": (
        spec_of(
            {"fields": ["u"], "flux": {"u": "u"}}, {"u": [0, 1]},
            domain={"lengths": 2, "boundary": {"left": {"held": "x + 3"}, "right": "outflow"}},
        ),
        [("domain.boundary.left", "u is 3 where x = 0, outside its range 0 to 1")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ILL_POSED)
def test_ill_posed_laws_are_refused(name: str) -> None:
    spec, expected = ILL_POSED[name]
    assert posedness_flaws(spec) == expected


def test_a_guard_makes_a_quotient_finite() -> None:
    spec = spec_of({"fields": ["h"], "sources": {"h": "where(h < 0.1, 0, 1/h)"}}, {"h": [0, 1]})
    judgement = judge(spec.states())
    assert judgement.flaws == () and judgement.sampled > 0


def test_bounds_on_parts_of_the_range_prove_what_those_on_the_whole_do_not() -> None:
    """The range of each root has 0, and the slopes of shallow water cancel."""
    law = {"fields": ["h", "q"], "flux": {"h": "q", "q": "q**2/h + h**2/2"}, "sources": {"q": "sqrt(1.1 + q - q**2)"}}
    spec = spec_of(law, {"h": [0.5, 2], "q": [-0.5, 1.25]})
    judgement = judge(spec.states())
    assert (judgement.flaws, judgement.sampled) == ((), 0)


def test_what_bounds_cannot_prove_is_counted() -> None:
    """The square root's argument is 0 in one state."""
    spec = spec_of({"fields": ["u"], "diffusion": {"u": "u**2 - u + 0.25"}}, {"u": [0, 1]})
    judgement = judge(spec.states())
    assert (judgement.flaws, judgement.sampled) == ((), 1)


def test_cahn_hilliard_is_well_posed() -> None:
    """A level may fall where the Laplacian damps short waves."""
    spec = spec_of({"fields": ["u"], "level": {"u": "u**3 - u - 0.1*laplacian(u)"}}, {"u": [-1, 1]})
    assert posedness_flaws(spec) == []
    speeds = characteristic_speeds(spec.states())
    assert speeds.fourth == {"u": 0.1} and speeds.diffusivities["u"].lower == -1.0


def test_speeds_of_shallow_water() -> None:
    law = {"fields": ["h", "q"], "parameters": {"g": 9.81}, "flux": {"h": "q", "q": "q**2/h + g*h**2/2"}}
    spec = spec_of(law, {"h": [0.5, 2.0], "q": [-1.0, 1.0]})
    assert posedness_flaws(spec) == []
    slow, fast = characteristic_speeds(spec.states()).waves[0]
    exact = [q / h + sign * math.sqrt(9.81 * h) for h in (0.5, 2.0) for q in (-1, 1) for sign in (-1, 1)]
    assert slow.lower == pytest.approx(min(exact), rel=1e-12) and fast.upper == pytest.approx(max(exact), rel=1e-12)
    assert fast.state == "h = 2, q = 1" and slow.state == "h = 2, q = -1"


def test_rates_of_a_reaction() -> None:
    law = {
        "fields": ["u", "v"],
        "diffusion": {"u": "0.1 + u"},
        "sources": {"u": "2*(1 - u)"},
        "exchange": [{"from": "u", "to": "v", "rate": "u*v**2"}],
    }
    speeds = characteristic_speeds(spec_of(law, {"u": [0, 1], "v": [0, 3]}).states())
    assert speeds.diffusivity == pytest.approx(1.1) and speeds.fastest == (0.0,)
    assert speeds.stiffness == pytest.approx({"u": 2 + 9 + 6, "v": 9 + 6})


def test_places_and_given_functions_count() -> None:
    law = {"fields": ["u"], "given": {"wind": "1 + x"}, "flux": {"u": "wind*u"}, "sources": {"u": "-x*u*dx(wind)"}}
    speeds = characteristic_speeds(spec_of(law, {"u": [0, 1]}, domain={"lengths": 2, "boundary": "outflow"}).states())
    assert speeds.fastest == (3.0,) and speeds.stiffness == {"u": 2.0}
