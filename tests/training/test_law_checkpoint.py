"""Checkpoints of trained laws: a faithful round trip in both formats, and every flaw in one line with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from law_recipes import shallow_water
from models_under_test import heat_model
from trained_laws import burgers_law, drawn, interpolated, traffic_law

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.laws.flux_network import TrainedLaw
from pisnn_deploy.physics.model import Model
from pisnn_deploy.training.checkpoint import (
    read_any_checkpoint,
    read_checkpoint,
    read_law_checkpoint,
    write_checkpoint,
    write_law_checkpoint,
)
from pisnn_deploy.training.checkpoint_file import SCHEMA
from pisnn_deploy.training.safetensors_file import parse_safetensors, safetensors_bytes

Content = dict[str, Any]


def same(left: TrainedLaw, right: TrainedLaw) -> bool:
    """Whether two trained laws are equal, arrays included."""
    if left.spec != right.spec or replace(left.fluxes, networks=()) != replace(right.fluxes, networks=()):
        return False
    pairs = zip(left.fluxes.networks, right.fluxes.networks, strict=True)
    return all(np.array_equal(vars(a)[name], vars(b)[name]) for a, b in pairs for name in vars(a))


def system() -> TrainedLaw:
    spec = shallow_water().model_copy(update={"method": "trained"})
    return drawn(spec, np.random.default_rng(5))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_round_trip(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"law{suffix}"
    for law in (interpolated(traffic_law()), interpolated(burgers_law(2)), system()):
        write_law_checkpoint(path, law, {"loss": 0.5})
        for back in (read_law_checkpoint(path), read_any_checkpoint(path)):
            assert isinstance(back, TrainedLaw)
            assert same(back, law)
            assert back.fluxes.networks[0].offsets.dtype == np.int64
        before = path.read_bytes()
        write_law_checkpoint(path, read_law_checkpoint(path), {"loss": 0.5})
        assert path.read_bytes() == before


def test_a_model_is_no_law_and_a_law_no_model(tmp_path: Path) -> None:
    write_law_checkpoint(tmp_path / "law.pt", interpolated(traffic_law()), {})
    write_checkpoint(tmp_path / "model.pt", heat_model(), {})
    assert isinstance(read_any_checkpoint(tmp_path / "model.pt"), Model)
    with pytest.raises(UsageError, match="is the checkpoint of a law, not of a model"):
        read_checkpoint(tmp_path / "law.pt")
    with pytest.raises(UsageError, match="is the checkpoint of a model, not of a law"):
        read_law_checkpoint(tmp_path / "model.pt")


def at(*keys: Any, value: Any) -> Callable[[Content, dict[str, Any]], None]:
    """Change of an entry of the plain data."""

    def change(content: Content, arrays: dict[str, Any]) -> None:
        inner: Any = content
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value

    return change


def array(name: str, index: tuple[int, ...], value: float) -> Callable[[Content, dict[str, Any]], None]:
    """Change of a number in a tensor."""

    def change(content: Content, arrays: dict[str, Any]) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][index] = value

    return change


def shaped(name: str, shape: tuple[int, ...]) -> Callable[[Content, dict[str, Any]], None]:
    """Tensor of another shape."""
    return lambda content, arrays: arrays.update({name: np.ones(shape)})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (at("spec", "law", "flux", "u", value="u*(1 - w)"), ["spec.law.flux.u: "]),
        (at("spec", "law", "flux", "u", value="sqrt(u - 0.5)"), ["spec.law.flux.u: "]),
        (
            at("spec", "range", value={"u": [1, 0], "w": [0, 1]}),
            ["spec.range.w: ", "spec.range.u: must have its lower limit"],
        ),
        (at("spec", "method", value="constructed"), ["spec.method: must be trained, not constructed"]),
        (at("fluxes", "time_step", value=0), ["fluxes.time_step: must be at least 1e-12, not 0"]),
        (at("fluxes", "more", value=0), ["fluxes.more: is unknown"]),
        (at("fluxes", "axes", value=[]), ["fluxes.axes: must be a list of at least 1, not an empty list"]),
        (at("fluxes", "axes", 0, "offsets", 1, value=[99]), ["fluxes.axes.0.offsets.1.0: must be at most 6, not 99"]),
        (at("fluxes", "axes", 0, "offsets", 1, value=[0]), ["fluxes.axes.0.offsets: names a cell twice"]),
        (
            at("fluxes", "axes", 0, "offsets", 1, value=[0, 0]),
            ["fluxes.axes.0.offsets: has cells with different numbers of coordinates"],
        ),
        (
            at("fluxes", "axes", 0, "offsets", value=[[0, 0], [1, 0]]),
            ["fluxes.axes.0.offsets: must have 1 coordinates a cell"],
        ),
        (at("fluxes", "spacing", value=[0.3]), ["fluxes.spacing.0: 0.3 does not divide the length 1 of the domain"]),
        (
            at("fluxes", "scale_exponents", value=[0, 0]),
            ["fluxes.scale_exponents: has 2 entries for 1 fields"],
        ),
        (
            array("weights.0", (3, 0, 1), 0.3),
            ["weights.0: at 3, 0, 1 must be a whole multiple of 2^0 of at most 127 units, not 0.3"],
        ),
        (array("weights.0", (3, 0, 1), 128.0), ["weights.0: at 3, 0, 1 must be a whole multiple"]),
        (array("outputs.0", (0, 9), np.nan), ["outputs.0: at 0, 9 must be a whole multiple of 2^-8 of at most 127"]),
        (array("biases.0", (4,), np.inf), ["biases.0: at 4 must be a number of at most 2^24, not inf"]),
        (array("constants.0", (0,), np.nan), ["constants.0: at 0 must be a number of at most 2^24, not nan"]),
        (shaped("weights.0", (16, 2)), ["weights.0: has shape (16, 2), expected (16, 1, 2)"]),
        (shaped("biases.0", (0,)), ["biases.0: has 0 hidden neurons, expected 1 to 4096"]),
        (lambda content, arrays: arrays.update({"outputs.1": np.ones(1)}), ["outputs: has 2 tensors for 1 networks"]),
        (lambda content, arrays: arrays.pop("constants.0"), ["constants: has 0 tensors for 1 networks"]),
        (lambda content, arrays: content.pop("fluxes"), ["fluxes: is missing"]),
        (lambda content, arrays: content["spec"].pop("equation"), ["fluxes: is unknown"]),
    ],
)
def test_every_flaw_is_a_line_with_its_place(
    change: Callable[[Content, dict[str, Any]], None], expected: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "law.safetensors"
    write_law_checkpoint(path, interpolated(traffic_law()), {})
    parsed = parse_safetensors(path, path.read_bytes())
    content, arrays = json.loads(parsed.texts[SCHEMA]), dict(parsed.arrays)
    change(content, arrays)
    path.write_bytes(safetensors_bytes(arrays, SCHEMA, json.dumps(content)))
    with pytest.raises(UsageError) as caught:
        read_any_checkpoint(path)
    lines = [str(part) for part in caught.value.parts]
    assert len(lines) == len(expected)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(f"{path}: {start}")
        assert "\n" not in line


def test_fluxes_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    law = interpolated(traffic_law())
    wrong = replace(law, fluxes=replace(law.fluxes, scale_exponents=(0, 0)))
    with pytest.raises(ValueError, match=r"fluxes\.scale_exponents: has 2 entries for 1 fields"):
        write_law_checkpoint(tmp_path / "law.safetensors", wrong, {})
