"""Plans of campaigns."""

from pathlib import Path

import yaml

from fuzz.mutations import yaml_changed
from fuzz.oracle import require
from fuzz.target import Target, literal
from pisnn_deploy.campaign.plan import cases_of, read_plan


def _read(path: Path) -> None:
    plan = read_plan(path)
    copy = path.with_name("copy.yaml")
    copy.write_text(yaml.dump(plan.model_dump(mode="json"), Dumper=yaml.CSafeDumper), encoding="utf-8")
    require(read_plan(copy) == plan, "a plan reads differently once it is written")
    if plan.size <= 64:
        require(len({case.key for case in cases_of(plan, path)}) == plan.size, "two cases of a plan have one key")


SEED = b"models: [heat1d]\nmeshes: [16, 4x4]\nsteps: [2]\nbackends: [cpu]\ninitial: [random]\nseeds: [1, 2]\n"
TARGET = Target("input.yaml", _read, literal(SEED), yaml_changed, size=1024)
