"""Materials of a mesh."""

import math
from pathlib import Path

from fuzz.mutations import yaml_changed
from fuzz.oracle import require
from fuzz.target import Target, literal
from pisnn_deploy.project.conditions import read_materials


def _read(path: Path) -> None:
    for material in read_materials(path).values():
        numbers = (material.conductivity, material.capacity)
        require(all(0 < number < math.inf for number in numbers), "a material was accepted that does not exist")


SEED = b"default: {conductivity: 16.0, capacity: 3.8}\ntin: {conductivity: 67}\n"
TARGET = Target("input.yaml", _read, literal(SEED), yaml_changed, size=1024)
