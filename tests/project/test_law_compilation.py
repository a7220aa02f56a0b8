"""`compile my_law.yaml` constructs, bounds, proves and places a law; what the recipe says itself is refused."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from law_recipes import recipe, shallow_water, traffic
from trained_laws import interpolated, traffic_law

from pisnn_deploy.cli.main import group
from pisnn_deploy.compiler import CompileOptions, GraphOptions, compile_law
from pisnn_deploy.core.errors import DoesNotFit, UsageError
from pisnn_deploy.graph.artifact import read_sealed_artifact
from pisnn_deploy.graph.wellformed import defects
from pisnn_deploy.laws.spec import LawSpec, read_law
from pisnn_deploy.project import law_compilation, zoo
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request
from pisnn_deploy.target import load_profile
from pisnn_deploy.training.checkpoint import write_law_checkpoint
from pisnn_deploy.verify import check_certificate

LOIHI2 = CompileOptions(None, load_profile("loihi2"))


def decaying() -> LawSpec:
    """A field that diffuses between a held side and a wall, with a sink, and turns into another."""
    return recipe(
        {
            "fields": ["u", "v"],
            "units": {"u": "mol", "v": "mol"},
            "parameters": {"d": 0.01, "k": 0.1, "c": 0.2},
            "diffusion": {"u": "d"},
            "sources": {"u": {"drain": "-k*u"}},
            "exchange": [{"from": "u", "to": "v", "rate": "c*u*v", "name": "turning"}],
        },
        {"left": {"u": {"held": 1.0}, "v": "wall"}, "right": "wall"},
        initial={"u": "0.5", "v": "0.25"},
        range={"u": [0, 1.5], "v": [0, 1.5]},
    )


def written(spec: LawSpec, folder: Path) -> Path:
    path = folder / "my_law.yaml"
    path.write_text(yaml.safe_dump(spec.model_dump(mode="json", exclude={"equation"})))
    return path


@pytest.mark.parametrize("make", [traffic, shallow_water, decaying])
@pytest.mark.parametrize("coding", ["delta", "dense"])
def test_laws_are_compiled_and_proved_again(make: Any, coding: Any) -> None:
    options = CompileOptions(None, load_profile("loihi2"), GraphOptions(coding=coding))
    graph = compile_law(make(), (24,), options)
    assert defects(graph) == []
    names = ["construct", "schedule", "bound", "prove", "measure-law", "place"]
    assert [record.name for record in graph.history] == names
    assert [finding for finding in check_certificate(graph) if not finding.holds] == []


def test_ledgers_channels_and_units_are_those_of_the_recipe() -> None:
    graph = compile_law(decaying(), (8,), LOIHI2)
    ledgers = {f.name: {name: r.size for name, r in graph.ledgers_of(f).items()} for f in graph.fields}
    assert ledgers == {"u": {"left": 1, "drain": 8}, "v": {}}
    assert [field.unit for field in graph.fields] == ["mol", "mol"]
    assert [c.population for c in graph.channels] == ["u-flux", "drain", "turning"]
    assert graph.certificate is not None
    assert graph.certificate.conservation.figures["sets"] == 1


def test_the_same_recipe_gives_the_same_bytes(tmp_path: Path) -> None:
    path = written(decaying(), tmp_path)
    digests = set()
    for number in range(2):
        output = tmp_path / f"{number}.pisnn"
        done = CliRunner().invoke(group, ["compile", str(path), "--mesh", "8", "-o", str(output), "-q"])
        assert done.exit_code == 0, done.output
        digests.add(output.read_bytes())
    assert len(digests) == 1
    read = read_sealed_artifact(tmp_path / "0.pisnn")
    assert read.graph.spec == decaying() and read.provenance["options"]["mesh"] == "8"


def test_compile_prints_fields_ledgers_and_claims(tmp_path: Path) -> None:
    path, output = written(decaying(), tmp_path), tmp_path / "a.pisnn"
    done = CliRunner().invoke(group, ["compile", str(path), "--mesh", "8", "-o", str(output)])
    assert done.exit_code == 0
    for text in ("law", "field u", "ledgers: left, drain", "u-flux (8), drain (8), turning (8)", "conservation"):
        assert text in done.output, text
    result = json.loads(
        CliRunner().invoke(group, ["compile", str(path), "--mesh", "8", "-o", str(output), "--json"]).output
    )
    assert result["fields"]["u"]["ledgers"] == {"left": 1, "drain": 8}
    assert result["channels"]["turning"] == {"number": 8, "from": "u", "to": "v"}
    assert result["certificate"]["conservation"] == "proved"
    for form in ("text", "json", "dot"):
        assert CliRunner().invoke(group, ["inspect", str(output), "--format", form]).exit_code == 0
    inspected = CliRunner().invoke(group, ["inspect", str(output)]).output
    assert all(text in inspected for text in ("ledgers", "left (1)", "drain", "turning"))
    verified = CliRunner().invoke(group, ["verify", str(output)])
    assert verified.exit_code == 0 and "not claimed" in verified.output


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"boundary": "periodic"}, "`boundary`: the recipe of a law says it itself; change {} instead"),
        ({"value_range": "0,1"}, "`value_range`: the recipe of a law says it itself; change {} instead"),
        ({"problem": "heat1d"}, "`problem`: the recipe of a law says it itself; change {} instead"),
        ({"mesh": "8x8"}, "`mesh` 8x8: the law has 1 axes, the mesh 2"),
        (
            {"mesh": "part.msh"},
            "`mesh` part.msh: laws need a grid, expected cells along each axis, such as 64x64",
        ),
        (
            {"limiter": "bounds"},
            "`limiter` bounds: a ceiling needs a monotone flux, and laws have none; use positivity",
        ),
        (
            {"limiter": "positivity", "floor": 0.1},
            "`floor`: the limiter of a law keeps its `positive` fields at 0 or more; shift the field",
        ),
        ({"processes": "stock"}, "`processes` stock: only graphs of a flux network support it"),
    ],
)
def test_options_of_models_are_refused(options: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    path = written(traffic(), tmp_path)
    with pytest.raises(UsageError) as raised:
        compile_requested(compile_request(str(path), **options))
    assert str(raised.value) == sentence.format(path)


def test_a_recipe_of_a_trained_law_says_to_train_it(tmp_path: Path) -> None:
    path = written(traffic().model_copy(update={"method": "trained"}), tmp_path)
    with pytest.raises(UsageError, match="method trained: run `pisnn-deploy train` with the recipe, and compile the"):
        compile_requested(compile_request(str(path)))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_checkpoint_of_a_trained_law_is_compiled(suffix: str, tmp_path: Path) -> None:
    path, law = tmp_path / f"cars{suffix}", interpolated(traffic_law(), 16)
    write_law_checkpoint(path, law, {})
    graph, provenance = compile_requested(compile_request(str(path)))
    assert graph.mesh.shape == (32,) and graph.time_step == law.fluxes.time_step
    assert provenance["model_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert all(finding.holds for finding in check_certificate(graph))
    assert compile_requested(compile_request(str(path), mesh=64))[0].time_step == law.fluxes.time_step / 2
    with pytest.raises(UsageError, match=f"the recipe of a law says it itself; change {path} instead"):
        compile_requested(compile_request(str(path), boundary="periodic"))


def test_a_checkpoint_that_needs_more_memory_than_is_free_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(law_compilation, "available_memory", lambda: 1 << 20)
    write_law_checkpoint(tmp_path / "cars.safetensors", interpolated(traffic_law(), 16), {})
    with pytest.raises(UsageError, match="4096 cells take about 0 GB to compile"):
        compile_requested(compile_request(str(tmp_path / "cars.safetensors"), mesh=4096))


def test_a_law_of_the_zoo_with_a_checkpoint_is_compiled_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cars").mkdir()
    law = interpolated(traffic_law(), 16)
    written(law.spec, tmp_path / "cars").rename(tmp_path / "cars" / "recipe.yaml")
    monkeypatch.setattr(zoo, "files", lambda package: tmp_path)
    with zoo.law_path("cars") as path:
        assert path.name == "recipe.yaml"
    write_law_checkpoint(tmp_path / "cars" / "fluxes.safetensors", law, {})
    assert zoo.laws() == ("cars",)
    assert compile_requested(compile_request("cars"))[0].time_step == law.fluxes.time_step


def with_payloads(bits: int) -> CompileOptions:
    """Options for a target with narrow payloads."""
    profile = load_profile("loihi2")
    figure = profile.payload.bits.model_copy(update={"value": bits, "low": None, "high": None})
    payload = profile.payload.model_copy(update={"bits": figure})
    return CompileOptions(None, profile.model_copy(update={"payload": payload}))


def test_values_are_sent_where_their_changes_do_not_fit() -> None:
    widest = {}
    for coding in ("delta", "dense"):
        generous = CompileOptions(None, load_profile("generic-int"), GraphOptions(coding=coding))
        bounds = compile_law(traffic(), (24,), generous).bounds
        widest[coding] = max(bound.bits for bound in bounds if bound.quantity in ("payload", "packet"))
    assert widest["delta"] > widest["dense"]
    assert compile_law(traffic(), (24,), with_payloads(widest["delta"])).coding == "delta"
    assert compile_law(traffic(), (24,), with_payloads(widest["dense"])).coding == "dense"
    with pytest.raises(DoesNotFit):
        compile_law(traffic(), (24,), with_payloads(widest["dense"] - 1))


def test_the_start_is_the_average_of_each_cell() -> None:
    graph = compile_law(traffic(), (32,), LOIHI2)
    (field,) = graph.fields
    edges = np.linspace(0, 1, 33)
    exact = 0.5 - 0.3 * np.diff(np.cos(2 * np.pi * edges)) / (2 * np.pi) * 32
    assert np.abs(graph.initial * field.value_per_quantum - exact).max() <= field.value_per_quantum


def test_the_error_against_an_exact_solution_is_measured() -> None:
    spec = read_law(Path(__file__).parents[2] / "models" / "lwr" / "recipe.yaml")
    errors = {}
    for cells in (32, 64):
        graph = compile_law(spec, (cells,), LOIHI2)
        assert graph.quantisation.steps == round(spec.time / graph.time_step)
        errors[cells] = graph.quantisation.relative_l2_integer
    assert errors[32] is not None and errors[64] is not None
    assert 0 < errors[64] < errors[32] < 0.1
    unmeasured = compile_law(traffic(), (32,), LOIHI2).quantisation
    assert unmeasured.relative_l2_integer is None and unmeasured.steps > 0


def test_a_run_that_leaves_the_range_is_a_warning(tmp_path: Path) -> None:
    growing = recipe(
        {"fields": ["u"], "sources": {"u": {"rain": "2 - u"}}}, initial={"u": "0.5"}, range={"u": [0, 0.7]}, mesh=[8]
    )
    path = written(growing, tmp_path)
    graph, provenance = compile_requested(compile_request(str(path)))
    assert graph.quantisation.steps == 0
    (warning,) = (sentence for sentence in provenance["warnings"] if sentence.startswith("start: "))
    assert re.fullmatch(
        r"start: a run from the law's own start stops: after \d+ PDE steps u is [\d.]+ in cell 0, outside its range "
        r"0 to 0\.7\d*; widen `range` in the recipe",
        warning,
    ), warning


def test_a_mesh_beyond_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(law_compilation, "available_memory", lambda: 10**9)
    path = written(decaying(), tmp_path)
    with pytest.raises(
        UsageError, match=r"^1000000 cells take about [3-7] GB to compile, 1 GB are free; choose a coarser `mesh`$"
    ):
        compile_requested(compile_request(str(path), mesh="1000000"))
    assert compile_requested(compile_request(str(path), mesh="20000", placement="none"))[0].mesh.cells == 20000
