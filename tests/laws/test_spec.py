from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pisnn_deploy.core.errors import SeveralErrors
from pisnn_deploy.laws.conditions import Condition
from pisnn_deploy.laws.expression import Number, evaluate, to_text
from pisnn_deploy.laws.law import mobility, split_level
from pisnn_deploy.laws.spec import LawSpec, law_flaws, read_law

SHALLOW_WATER = """
name: shallow_water
law:
  fields: [h, q]
  units: {h: m, q: m^2/s, g: m/s^2, b: m}
  parameters: {g: 9.81}
  flux: {h: q, q: q**2/h + g*h**2/2}
  diffusion: {q: 0.001}
  sources: {q: -g*h*dx(b)}
  vector: [q]
  given: {b: 0.1*exp(-x**2)}
  positive: [h]
domain: {lengths: 5, origin: -2.5, boundary: {left: wall, right: {h: outflow, q: {held: 0}}}}
initial: {h: "where(x < 0, 2, 1)", q: 0}
range: {h: [0.5, 3], q: [-4, 4]}
time: 1
mesh: 128
"""


def content(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(SHALLOW_WATER)
    for path, value in changes.items():
        *parts, last = path.split("__")
        section = document
        for part in parts:
            section = section[part]
        section[last] = value
    return document


def test_a_recipe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "law.yaml"
    path.write_text(SHALLOW_WATER)
    spec = read_law(path)
    law = spec.parsed()
    assert (spec.problem, spec.lengths, spec.mesh, spec.domain.upper) == ("shallow_water", (5.0,), (128,), (2.5,))
    assert {name: to_text(flux) for name, flux in law.flux[0].items()} == {"h": "q", "q": "q**2/h + g*h**2/2"}
    assert [(source.name, source.field, to_text(source.rate)) for source in law.sources] == [
        ("q-source", "q", "-g*h*b_x")
    ]
    assert to_text(law.given["b_x"]) == "-0.2*(exp(-x**2)*x)"
    assert (law.vector, law.positive) == ((("q",),), ("h",))
    assert spec.conditions == {
        "left": {"h": Condition("wall"), "q": Condition("wall")},
        "right": {"h": Condition("outflow"), "q": Condition("held", (Number(0.0),))},
    }
    assert to_text(spec.initial_expressions["h"]) == "where(x < 0, 2, 1)"


def test_plain_data_comes_back() -> None:
    document = content(law__exchange=[{"from": "h", "to": "q", "rate": "h", "name": "swap"}], law__units={})
    spec = LawSpec.model_validate(document)
    stored = json.dumps(spec.model_dump(mode="json"))
    assert LawSpec.model_validate_json(stored) == spec
    assert LawSpec.model_validate(spec.model_dump()).model_dump(mode="json") == json.loads(stored)


def test_parameters_become_numbers() -> None:
    law = LawSpec.model_validate(content()).parsed().numeric()
    assert to_text(law.flux[0]["q"]) == "q**2/h + 9.81*h**2/2" and law.parameters == {"g": 9.81}


def test_a_flux_rotates_with_its_vectors() -> None:
    flux = {"h": "qx", "qx": "qx**2/h + g*h**2/2", "qy": "qx*qy/h"}
    domain = {"lengths": [1, 1], "boundary": "wall"}
    law = {"fields": ["h", "qx", "qy"], "parameters": {"g": 1}, "flux": flux, "vector": ["qx", "qy"]}
    ranges = {"h": [0.5, 3], "qx": [-4, 4], "qy": [-4, 4]}
    spec = LawSpec.model_validate(
        content(law=law, domain=domain, initial=dict.fromkeys(ranges, 1), range=ranges, mesh=[8, 8])
    )
    rotated = {name: to_text(expression) for name, expression in spec.parsed().flux[1].items()}
    assert rotated == {"h": "qy", "qy": "qy**2/h + g*h**2/2", "qx": "qy*qx/h"}
    assert list(spec.conditions) == ["left", "right", "bottom", "top"]


def test_levels_split() -> None:
    law = {"fields": ["u"], "parameters": {"eps": 0.5}, "level": {"u": "u**3 - u - eps**2*laplacian(u)"}}
    spec = LawSpec.model_validate(content(law=law, initial={"u": 0}, range={"u": [-1, 1]}, domain__boundary="periodic"))
    numeric = spec.parsed().numeric()
    local, factors = split_level(numeric.level["u"])
    assert to_text(local) == "u**3 - u" and factors == {"u": Number(-0.25)}
    assert mobility(numeric, "u") == Number(1.0)


FLAWS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown name": (
        {"law__flux": {"h": "qq", "q": "q"}},
        ["law.flux.h: column 1: unknown name 'qq'; did you mean q?"],
    ),
    "unknown field": ({"law__flux": {"hh": "q", "q": "h"}}, ["law.flux.hh: is no field; did you mean h?"]),
    "never moved": (
        {"law__flux": {"h": "q"}, "law__diffusion": {"q": 0}, "law__sources": {}},
        ["law.fields: the field q is never moved: it has no flux, diffusion, level, source or exchange"],
    ),
    "units of a sum": (
        {"law__flux": {"h": "q", "q": "q**2/h + g*h"}},
        ["law.flux.q: q**2/h has the unit m^3/s^2, but g*h has m^2/s^2"],
    ),
    "unit of a flux": ({"law__flux": {"h": "h", "q": "q"}},
        ["law.flux.h: has the unit m, expected m^2/s", "law.flux.q: has the unit m^2/s, expected m^3/s^2"]),
    "unit of a function": (
        {"law__sources": {"q": "g*h*exp(b)"}},
        ["law.sources.q.q-source: exp(b) takes exp of the unit m; expected a pure number"],
    ),
    "no unit": (
        {"law__units": {"h": "metres per^second"}},
        ["law.units.h: is not a unit; write names, * and /, with whole powers, such as m^2/s"],
    ),
    "unit of nothing": (
        {"law__units": {"G": "m"}},
        ["law.units.G: is no field, parameter or given function; known are h, q, g, b"],
    ),
    "range of a field": ({"range": {"h": [0.5, 3]}}, ["range: has no entry for the field q"]),
    "range upside down": (
        {"range__q": [4, -4]},
        ["range.q: must have its lower limit 4 below its upper limit -4"],
    ),
    "positive below 0": ({"range__h": [-1, 3]}, ["range.h: reaches down to -1, but the law has h as positive"]),
    "side that does not exist": (
        {"domain__boundary": {"left": "wall", "rigth": "wall"}},
        [
            "domain.boundary.rigth: is no side; did you mean right?; sides are left, right, or x for both",
            "domain.boundary: has no condition for the side right",
        ],
    ),
    "unknown condition": (
        {"domain__boundary": "walls"},
        [
            'domain.boundary: must be periodic, wall, outflow, or a mapping with held, inflow, flux or robin, not '
            '"walls"; did you mean wall?'
        ],
    ),
    "half periodic": (
        {"domain__boundary": {"left": "periodic", "right": "wall"}},
        ["domain.boundary: is periodic at only some fields or sides of left and right"],
    ),
    "robin": (
        {"domain__boundary": {"robin": 1}},
        ["domain.boundary.robin: must be a list [coefficient, outside value], not 1"],
    ),
    "a side without a field": (
        {"domain__boundary": {"x": {"h": "wall"}}},
        ["domain.boundary.x: has no condition for the field q"],
    ),
    "attribute": (
        {"initial__h": "__import__('os').system('true')"},
        ["initial.h: column 1: an attribute is not allowed; only functions are called"],
    ),
    "huge exponent": (
        {"law__flux": {"h": "q", "q": "h**9**9**9"}},
        ["law.flux.q: column 7: the exponent 387420489 is larger than 64"],
    ),
    "huge exponent by a parameter": (
        {"law__parameters": {"g": 1000}, "law__flux": {"h": "q", "q": "h**g"}, "law__units": {}},
        ["law.flux.q: has the exponent 1000, larger than 64"],
    ),
    "number that is too large": (
        {"law__diffusion": {"q": "1e200"}, "law__parameters": {"g": 1e-200}},
        [
            "law.flux.q: has the number 1e-200, beyond 1e-30 to 1e+30; choose other units",
            "law.diffusion.q: has the number 1e+200, beyond 1e-30 to 1e+30; choose other units",
            "law.sources.q.q-source: has the number -1e-200, beyond 1e-30 to 1e+30; choose other units",
        ],
    ),
    "constant without a value": (
        {"law__diffusion": {"q": "h + log(-1)"}, "law__units": {}},
        ["law.diffusion.q: log(-1) has no finite value"],
    ),
    "field as exponent": (
        {"law__flux": {"h": "q", "q": "2**h"}, "law__units": {}},
        ["law.flux.q: has an exponent that is not constant; write it with exp and log"],
    ),
    "reserved": (
        {"law__parameters": {"g": 1, "pi": 3}},
        ["law.parameters: pi has a meaning in expressions; choose another name"],
    ),
    "twice": ({"law__parameters": {"g": 1, "h": 3}}, ["law: the name h is given twice"]),
    "name of a slope": ({"law__parameters": {"g": 1, "b_x": 3}}, ["law: the name b_x is given twice"]),
    "vector": ({"law__vector": ["h", "q"]}, ["law.vector: has 2 components for 1 axes: h, q"]),
    "second axis": (
        {"law__flux_y": {"h": 0}, "law__units": {}},
        ["law.flux_y: has no meaning in 1D"],
    ),
    "name of a source": (
        {"law__sources": {"q": {"left": "1"}}},
        ["law.sources.q: the name left is that of a side; give another name"],
    ),
    "name of a population": (
        {"law__sources": {"q": {"predictor-x": "1", "h-slope-x-2": "1", "rates": "1", "hidden-x": "1"}}},
        [
            f"law.sources.q: the name {name} is for a computed population; give another name"
            for name in ("h-slope-x-2", "hidden-x", "predictor-x", "rates")
        ],
    ),
    "word of the grammar": (
        {"law__parameters": {"g": 1, "in": 3}},
        ["law.parameters: in has a meaning in expressions; choose another name"],
    ),
    "level in a flux": (
        {"law__flux": {"h": "laplacian(h)", "q": "q"}},
        [
            "law.flux.h: column 1: unknown function 'laplacian'; known are sqrt, exp, log, abs, sin, cos, tanh, min, "
            "max, where, dx"
        ],
    ),
    "nonlinear laplacian": (
        {"law__level": {"h": "h*laplacian(h)"}},
        ["law.level.h: is not linear in laplacian(h) with a constant factor"],
    ),
    "mesh": ({"mesh": [8, 8]}, ["mesh: has 2 entries for 1 axes"]),
    "unknown section": ({"bounds": 1}, ["bounds: is unknown; known fields are name, law, domain, initial, range, time, "
        "mesh, method, scheme, courant, quantum_bits, reference, training"]),
    "misspelt section": ({"law__fluxes": {}}, ["law.fluxes: is unknown; did you mean flux?"]),
    "boolean": ({"time": True}, ["time: must be a number, not true"]),
    "upper case": (
        {"law__fields": ["H", "q"]},
        ['law.fields.0: must be a letter followed by at most 15 lower-case letters and digits, not "H"'],
    ),
    "number of nothing": ({"law__flux": None}, ["law.flux: must be a mapping, not null"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FLAWS)
def test_bad_recipes_are_refused(name: str, tmp_path: Path) -> None:
    changes, expected = FLAWS[name]
    path = tmp_path / "law.yaml"
    path.write_text(yaml.safe_dump(content(**copy.deepcopy(changes))))
    with pytest.raises(SeveralErrors) as error:
        read_law(path)
    assert [str(part) for part in error.value.parts] == [f"{path}: {text}" for text in expected]


def test_two_axes_need_both_fluxes() -> None:
    document = content(
        law={"fields": ["u"], "flux": {"u": "u**2"}},
        domain={"lengths": [1, 1], "boundary": "periodic"},
        initial={"u": 1},
        range={"u": [0, 1]},
        mesh=[8, 8],
    )
    assert law_flaws(document) == [
        (
            "law.flux_y",
            "is missing: give the flux along this axis ({} for none), or name the fields that rotate in vector",
        )
    ]
    document["law"]["flux_y"] = {}
    assert law_flaws(document) == []


def test_units_are_silent_where_unknown() -> None:
    for units in ({"h": "m"}, {"q": "m^2/s"}, {"h": "m", "q": "m^2/s"}, {}):
        assert law_flaws(content(law__units=units)) == []


def test_a_given_function_has_its_values() -> None:
    law = LawSpec.model_validate(content()).parsed()
    assert float(evaluate(law.given["b_x"], {"x": 0.5})) == pytest.approx(
        -0.1 * 2**0 * 2 * 0.5 * 2.718281828459045**-0.25
    )


@pytest.mark.parametrize("fields", [["rates", "q"], ["in", "q"], ["x", "q"], ["exp", "q"]])
def test_fields_cannot_have_names_with_a_meaning(fields: list[str]) -> None:
    flaws = law_flaws({**content(), "law": {"fields": fields, "flux": dict.fromkeys(fields, "q")}})
    assert flaws and all(place != "law.flux" for place, _ in flaws[:1])
    assert re.match(
        rf"(the name )?{fields[0]} (is for a computed population|has a meaning in expressions); ", flaws[0][1]
    )


def test_terms_that_are_zero_are_left_out() -> None:
    document = content(law__flux={"h": "q", "q": 0}, law__sources={"q": {"a": 0, "b-1": "-q"}}, law__units={})
    law = LawSpec.model_validate(document).parsed()
    assert list(law.flux[0]) == ["h"] and [source.name for source in law.sources] == ["b-1"]
