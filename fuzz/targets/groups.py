"""Conditions at the groups of a mesh's boundary."""

import math
from pathlib import Path

from fuzz.mutations import yaml_changed
from fuzz.oracle import require
from fuzz.target import Target, literal
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.project.conditions import read_groups

KNOWN = ("hole", "rim", "the outer wall")
SEEDS = (b"hole: {dirichlet: 1.5}\nrim: no-flux\n", b"the outer wall=dirichlet=1 rim=no-flux")


def _read(path: Path) -> None:
    content = path.read_bytes()
    if b":" in content:
        values = read_groups(str(path), KNOWN)
    else:
        try:
            values = read_groups(content.decode(), KNOWN)
        except UnicodeDecodeError as error:  # callers pass decoded text
            raise UsageError("no text") from error
    require(set(values) <= set(KNOWN) and all(map(math.isfinite, values.values())), "values of no group were accepted")


TARGET = Target("input.yaml", _read, literal(*SEEDS), yaml_changed, size=1024)
