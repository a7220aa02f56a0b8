"""Recipes of laws come with the package, and are named like its models."""

from __future__ import annotations

from pathlib import Path

import pytest

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.graph.artifact import artifact_bytes
from pisnn_deploy.laws.exact import SOLUTIONS
from pisnn_deploy.laws.problem import initial
from pisnn_deploy.laws.spec import LawSpec, read_law
from pisnn_deploy.project import zoo
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import CompileRequest, compile_request
from pisnn_deploy.training.recipe import read_recipe

LAWS = (
    "advection_diffusion2d",
    "burgers2d",
    "cahn_hilliard2d",
    "gray_scott2d",
    "heat3d",
    "lake1d",
    "lwr",
    "porous_medium",
    "shallow_water1d",
    "shallow_water2d",
    "viscous_burgers1d",
    "wave1d",
)


def read(name: str) -> LawSpec:
    with zoo.recipe_path(name) as path:
        return read_law(path)


def test_the_laws_of_the_zoo() -> None:
    assert zoo.laws() == LAWS and not set(LAWS) & set(zoo.names())


@pytest.mark.parametrize("name", LAWS)
def test_a_recipe_starts_within_its_range_and_names_what_it_is_compared_with(name: str) -> None:
    spec = read(name)
    assert spec.name == name and spec.reference in ("solver", *SOLUTIONS)
    shape = tuple(16 for _ in spec.mesh)
    for field, values in initial(spec, shape).items():
        lower, upper = spec.range[field]
        assert lower <= values.min() and values.max() <= upper


def test_a_name_of_a_law_compiles_as_its_file_does(tmp_path: Path) -> None:
    with zoo.recipe_path("lwr") as path:
        copy = tmp_path / "road.yaml"
        copy.write_text(path.read_text())
    by_name, by_file = (compile_requested(compile_request(model, mesh="16")) for model in ("lwr", copy))
    assert artifact_bytes(by_name[0], {}) == artifact_bytes(by_file[0], {})
    assert by_name[1]["model_sha256"] == by_file[1]["model_sha256"]


def test_a_law_has_no_checkpoint() -> None:
    message = "^model 'lwr' is a law, which has no checkpoint; see `pisnn-deploy law show lwr`$"
    with pytest.raises(UsageError, match=message), zoo.model_path("lwr"):
        pass


def test_a_law_is_not_trained() -> None:
    with zoo.recipe_path("lwr") as path, pytest.raises(FileError) as error:
        read_recipe(path)
    assert (
        str(error.value)
        == f"{path}: is the recipe of a law, which compile reads; train reads sections model and training"
    )


def test_a_name_that_is_neither() -> None:
    message = r"^model 'road': no such file, and the zoo has only advection_diffusion1d, .*; its laws are .*, wave1d$"
    with pytest.raises(UsageError, match=message):
        compile_requested(CompileRequest("road"))


@pytest.mark.parametrize("name", LAWS)
def test_each_law_has_a_card_with_figures(name: str) -> None:
    card = (Path(__file__).parents[2] / "models" / name / "card.md").read_text()
    assert card.startswith(f"# {name}\n") and "relative L1" in card and "drift 0" in card.replace("\n", " ")


def test_dense_coding_is_a_warning_only_where_delta_was_asked_for() -> None:
    graph, provenance = compile_requested(compile_request("lwr", mesh="16"))
    assert graph.coding == "dense" and "warnings" not in provenance
    _, asked = compile_requested(compile_request("lwr", mesh="16", coding="delta"))
    assert asked["warnings"] == ["coding: dense, because changes of values need more bits than payloads of loihi2 have"]
