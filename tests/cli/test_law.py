from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from trained_laws import interpolated, traffic_law

from pisnn_deploy.cli.main import group, main
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.training.checkpoint import write_law_checkpoint

RECIPE = """
name: shallow_water
law:
  fields: [h, q]
  units: {h: m, q: m^2/s, g: m/s^2}
  parameters: {g: 9.81}
  flux: {h: q, q: q**2/h + g*h**2/2}
  vector: [q]
  positive: [h]
domain: {lengths: 5, origin: -2.5, boundary: {left: wall, right: {h: outflow, q: {held: 0}}}}
initial: {h: "where(x < 0, 2, 1)", q: 0}
range: {h: [0.5, 3], q: [-4, 4]}
time: 1
mesh: 32
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(RECIPE)
    return tmp_path


def show(*words: str) -> Result:
    return CliRunner().invoke(group, ["law", "show", *words], catch_exceptions=False)


def test_tables(folder: Path) -> None:
    output = show("my.yaml").output
    for text in (
        "shallow_water: equations",
        "│ h_t + (q)_x = 0               │",
        "│ q_t + (q^2/h + g*h^2/2)_x = 0 │",
        "│ h     │ m     │ 0.5 to 3 │ where(x < 0, 2, 1) │",
        "│ g    │ 9.81  │ m/s^2 │",
        "│ right │ h: outflow; q: held 0 │",
    ):
        assert text in output
    slow, fast = re.findall(r"│ speed along x │ (\S+) to (\S+) m/s +│ h = 0.5, q = (-?4) ", output)
    assert float(fast[1]) == pytest.approx(8 + (9.81 * 0.5) ** 0.5, rel=1e-5) and slow[2] == "-4" and fast[2] == "4"


def test_json_has_the_time_step_of_the_graph(folder: Path) -> None:
    shown = json.loads(show("my.yaml", "--json", "--mesh", "64").output)
    step = shown["time_step"]
    assert step["mesh"] == [64] and step["spacing"] == [5 / 64]
    assert step["courant"] == pytest.approx(step["waves"]) and 0.45 < step["courant"] <= 0.5
    assert step["steps"] == round(1 / step["time_step"])
    assert step["waves"] == pytest.approx(step["time_step"] * (8 + (9.81 * 0.5) ** 0.5) * 64 / 5)
    assert step["diffusion_number"] == 0
    assert shown["populations"][0]["name"] == "h" and shown["populations"][0]["neurons"] == 65
    assert shown["equations"][0] == "h_t + (q)_x = 0" and shown["well_posed"]["proved"] > 0


def test_numbers_of_a_step_of_diffusion() -> None:
    output = show("heat3d", "--mesh", "8x8x16").output
    (number,) = re.findall(r"│ diffusion number │ (\S+), step \* diffusivity / width\^2 ", output)
    (step,) = re.findall(r"│ time step        │ (\S+) ", output)
    assert float(number) == pytest.approx(float(step) * 0.01 * (64 + 64 + 256), rel=1e-5)
    assert float(number) <= 0.25 and "the Courant number" not in output


def test_latex(folder: Path) -> None:
    assert show("my.yaml", "--latex").output.splitlines() == [
        r"\partial_t h + \partial_x \left(q\right) = 0",
        r"\partial_t q + \partial_x \left(\frac{q^{2}}{h} + \frac{g \, h^{2}}{2}\right) = 0",
    ]
    assert show("heat1d", "--latex").output == (
        "\\partial_t u = \\nabla \\cdot \\left(\\mathrm{diffusivity} \\, \\nabla u\\right)\n"
    )


def test_quiet_prints_nothing(folder: Path) -> None:
    assert show("my.yaml", "--quiet").output == ""


BAD = {
    "flux: {h: q,": (
        "flux: {h: qq,",
        "law.flux.h: column 1: unknown name 'qq'; did you mean q?",
    ),
    "q**2/h +": ("sqr(q)/h +", "law.flux.q: column 1: unknown function 'sqr'; did you mean sqrt?"),
    "g*h**2/2": ("g*h/2", "law.flux.q: q**2/h has the unit m^3/s^2, but g*h/2 has m^2/s^2"),
    "h**2": ("h**9**9**9", "law.flux.q: column 18: the exponent 387420489 is larger than 64"),
    "q: 0}": ("q: \"__import__('os').system('true')\"}", "initial.q: column 1: an attribute is not allowed; only "
        "functions are called"),
    "flux: {h: q, q: q**2/h + g*h**2/2}": (
        "flux: {q: q**2/h}",
        "law.fields: the field h is never moved: it has no flux, diffusion, level, source or exchange",
    ),
    "vector: [q]": (
        "diffusion: {q: h - 1}",
        "law.diffusion.q: has the unit m, expected m^2/s",
    ),
    "units: {h: m, q: m^2/s, g: m/s^2}": (
        "diffusion: {q: h - 1}",
        "law.diffusion.q: the diffusivity h - 1 is -0.5 where h = 0.5; diffusion must not be negative",
    ),
    "range: {h: [0.5, 3],": ("range: {h: [0, 3],", "law.flux.q: q**2/h has no finite value where h = 0, q = -4, inside "
        "the range"),
    "range: {h: [0.5, 3], q: [-4, 4]}": ("range: {h: [0.5, 3]}", "range: has no entry for the field q"),
    "h: [0.5, 3]": ("h: [0.5, 1.5]", "initial.h: h is 2 where x = -2.5, outside its range 0.5 to 1.5"),
    "left: wall, right": ("left: wall, rigth", "domain.boundary.rigth: is no side; did you mean right?; sides "
        "are left, right, or x for both"),
    "g: 9.81": ("g: -9.81", "law.flux: the characteristic speeds along x are complex, -1.33333 + 5.42494i where h = 3, "
        "q = -4; no waves carry this flux"),
    "positive: [h]": ("positive: [q]", "range.q: reaches down to -4, but the law has q as positive"),
    "{held: 0}": ("{helt: 0}", "domain.boundary.right.q: must be periodic, wall, outflow, or a mapping with held, "
        "inflow, flux or robin, not a mapping"),
    "mesh: 32": ("mesh: 32x", 'mesh: must be a list, not "32x"'),
}  # fmt: skip


@pytest.mark.parametrize("old", BAD)
def test_bad_laws_end_with_a_sentence(
    old: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new, sentence = BAD[old]
    assert RECIPE.count(old) == 1
    (folder / "my.yaml").write_text(RECIPE.replace(old, new))
    monkeypatch.setattr("sys.argv", ["pisnn-deploy", "law", "show", "my.yaml"])
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    assert (ended.value.code, output.out) == (2, "")
    assert f"error: my.yaml: {sentence}" in output.err.splitlines()


def test_a_checkpoint_shows_its_networks_and_its_time_step(folder: Path) -> None:
    write_law_checkpoint(folder / "cars.safetensors", interpolated(traffic_law(), 16), {})
    output = show("cars.safetensors").output
    for text in (
        "│ u_t + (u*(1 - u))_x = 0 │",
        "│ x    │ 32             │ 2          │ multiples of 2^0 │ multiples of 2^-8 │",
        "│ because          │ the fluxes are trained for it        │",
        "│ hidden-x   │ 1024    │ 3          │ ",
    ):
        assert text in output
    shown = json.loads(show("cars.safetensors", "--json", "--mesh", "64").output)
    assert shown["fluxes"] == {"hidden": [32], "cells_seen": [2], "time_step": 0.0125, "spacing": [1 / 32]}
    assert shown["time_step"]["time_step"] == 0.0125 / 2 and shown["problem"] is None


def test_what_needs_an_artifact_says_that_a_checkpoint_is_none(folder: Path) -> None:
    write_law_checkpoint(folder / "cars.safetensors", interpolated(traffic_law(), 16), {})
    for command in ("inspect", "verify"):
        with pytest.raises(FileError, match="is a safetensors file, not an artifact; if it is a checkpoint, compile"):
            CliRunner().invoke(group, [command, "cars.safetensors"], catch_exceptions=False)


def test_a_trained_law_without_fluxes_and_a_checkpoint_of_a_model(folder: Path) -> None:
    (folder / "my.yaml").write_text(RECIPE + "method: trained\n")
    result = show("my.yaml")
    assert "warning: my.yaml: cannot be compiled: method trained: run `pisnn-deploy train` with the" in result.output
    model = Path(__file__).parents[2] / "models" / "heat1d" / "model.pt"
    assert show(str(model)).output == show("heat1d").output
