"""Hardware profiles."""

from pathlib import Path

import yaml

from fuzz.mutations import yaml_changed
from fuzz.oracle import require
from fuzz.target import ROOT, Target
from pisnn_deploy.target import load_profile


def _seeds(folder: Path) -> list[bytes]:
    heir = """extends: generic-int
name: mine
core:
  neurons_max: {value: 128, source: a manual, confidence: documented}
"""
    return [(ROOT / "hardware_profiles" / "generic-int.yaml").read_bytes(), heir.encode()]


def _read(path: Path) -> None:
    profile = load_profile(str(path))
    copy = path.with_name("copy.yaml")
    written = yaml.dump(profile.model_dump(mode="json"), Dumper=yaml.CSafeDumper, sort_keys=False)
    copy.write_text(written, encoding="utf-8")
    require(load_profile(str(copy)) == profile, "a profile reads differently once it is written")


TARGET = Target("input.yaml", _read, _seeds, yaml_changed, size=1 << 14)
