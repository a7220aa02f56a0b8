"""Recipes of laws."""

from pathlib import Path

import numpy as np
import yaml

from fuzz.mutations import yaml_changed
from fuzz.oracle import require
from fuzz.target import Target, files, literal
from pisnn_deploy.laws.equations import equations, latex_equations
from pisnn_deploy.laws.expression import evaluate, parse, to_text
from pisnn_deploy.laws.spec import LawSpec, read_law
from pisnn_deploy.laws.speeds import characteristic_speeds

SHALLOW_WATER = b"""name: lake
law:
  fields: [h, q]
  units: {h: m, q: m^2/s, g: m/s^2, b: m}
  parameters: {g: 9.81}
  given: {b: 0.1*exp(-x**2)}
  flux: {h: q, q: q**2/h + g*h**2/2}
  diffusion: {q: 0.001}
  sources: {q: {bed: -g*h*dx(b)}}
  vector: [q]
  positive: [h]
domain: {lengths: 5, origin: -2.5, boundary: {left: wall, right: {h: outflow, q: {held: 0}}}}
initial: {h: "where(x < 0, 2, 1)", q: 0}
range: {h: [0.5, 3], q: [-4, 4]}
time: 1
mesh: 64
"""
REACTION = b"""name: spots
law:
  fields: [u, v]
  parameters: {f: 0.035, k: 0.06}
  diffusion: {u: 0.16, v: 0.08}
  sources: {u: f*(1 - u), v: -(f + k)*v}
  exchange: [{from: u, to: v, rate: u*v**2}]
  level: {v: v**3 - v - 0.1*laplacian(v)}
domain: {lengths: [64, 64], boundary: {x: periodic, y: {robin: [0.1, 0.5]}}}
initial: {u: 1 - 0.5*exp(-(x - 30)**2/72), v: 0.25*tanh(abs(y))}
range: {u: [0, 1.1], v: [0, 0.8]}
time: 10
mesh: [16, 16]
"""
DAY = b"""name: wall
law:
  fields: [e]
  diffusion: {e: 0.01}
domain:
  lengths: 1
  boundary:
    left: {held: {times: [0, 3, 7.5, 10], values: [2, 5, 1, 2], periodic: true}}
    right: {robin: [0.5, {times: [-1, 4], values: [0, 3]}]}
initial: {e: 2}
range: {e: [0, 6]}
time: 20
mesh: 16
"""


def _read(path: Path) -> None:
    spec = read_law(path)
    copy = path.with_name("copy.yaml")
    written = yaml.dump(spec.model_dump(mode="json", exclude_none=True), Dumper=yaml.CSafeDumper, sort_keys=False)
    copy.write_text(written, encoding="utf-8")
    require(read_law(copy) == spec, "a recipe reads differently once it is written")
    equations(spec.parsed()), latex_equations(spec.parsed())
    _require_sound(spec)
    require(all(np.isfinite(characteristic_speeds(spec.states()).fastest)), "a speed is not finite")


def _require_sound(spec: LawSpec) -> None:
    """Bounds hold on the lattice, and expressions are read back."""
    states, law = spec.states(), spec.parsed()
    names = (*law.fields, *law.parameters, *law.given, *law.coordinates)
    of_names = {"laplacian": law.fields}
    for place, expression in law.terms():
        require(parse(to_text(expression), names, place, of_names) == expression, "an expression reads differently")
    for place, expression in states.law.terms():
        if not place.startswith("law.level."):
            lower, upper = states.bounds(expression)
            values = evaluate(expression, states.lattice([expression]))
            require(bool(((lower <= values) & (values <= upper)).all()), "a value outside its bounds")


def _seeds(folder: Path) -> list[bytes]:
    """Recipes that show all sections, and those of the zoo."""
    of_zoo = [content for content in files("models/*/recipe.yaml")(folder) if b"\nlaw:" in content]
    return [*literal(SHALLOW_WATER, REACTION, DAY)(folder), *of_zoo]


TARGET = Target("input.yaml", _read, _seeds, yaml_changed)
