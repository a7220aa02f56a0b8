"""Recipes of trainings."""

from pathlib import Path

import yaml

from fuzz.mutations import yaml_changed
from fuzz.oracle import require
from fuzz.target import Target, files
from pisnn_deploy.training.recipe import read_recipe


def _read(path: Path) -> None:
    recipe = read_recipe(path)
    copy = path.with_name("copy.yaml")
    written = yaml.dump(recipe.model_dump(mode="json", exclude_none=True), Dumper=yaml.CSafeDumper, sort_keys=False)
    copy.write_text(written, encoding="utf-8")
    require(read_recipe(copy) == recipe, "a recipe reads differently once it is written")


def _seeds(folder: Path) -> list[bytes]:
    """Recipes of the zoo with a training; those of laws have a target of their own."""
    return [content for content in files("models/*/recipe.yaml")(folder) if b"\ntraining:" in content]


TARGET = Target("input.yaml", _read, _seeds, yaml_changed)
