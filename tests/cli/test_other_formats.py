"""``compile`` of networks trained elsewhere, and ``export`` to netx and NIR: files in, integers out, mistakes named."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from models_under_test import heat_model

from fuzz.flux_files import KERNEL, conv_onnx, dense_layer, lava_dl_bytes
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import PisnnError, UsageError
from pisnn_deploy.formats.assembly import assemble
from pisnn_deploy.formats.content import format_of
from pisnn_deploy.formats.network import Request
from pisnn_deploy.formats.netx import hdf5_content
from pisnn_deploy.formats.netx.reader import read_netx
from pisnn_deploy.formats.netx.writer import netx_file
from pisnn_deploy.formats.nir.reader import read_nir
from pisnn_deploy.formats.nir.writer import network_file
from pisnn_deploy.formats.onnx.reader import read_onnx
from pisnn_deploy.graph.artifact import artifact_bytes, read_artifact
from pisnn_deploy.training.checkpoint import write_checkpoint


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(*words: str) -> dict[str, Any]:
    """JSON of a command that succeeds."""
    ended = CliRunner().invoke(group, [*words, "--json"])
    assert ended.exit_code == 0, ended.exception
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def sentence(*words: str) -> str:
    """What a command that cannot be run has to say."""
    ended = CliRunner().invoke(group, words)
    assert isinstance(ended.exception, UsageError) and ended.output == "" and ended.exception.exit_code == 2
    return str(ended.exception)


def trained_elsewhere() -> torch.nn.Module:
    """A convolution that learned one step of diffusion from fields, knowing nothing of this package."""
    torch.manual_seed(1)
    network = torch.nn.Conv1d(1, 1, 6, bias=False)
    optimiser: Any = torch.optim.LBFGS(network.parameters(), max_iter=60, line_search_fn="strong_wolfe")
    angle = 2 * torch.pi * torch.arange(1, 17)[:, None, None] / 32
    phase = angle * torch.arange(32) + 2 * torch.pi * torch.rand(16, 8, 1)
    # What crosses the lower face of a cell while a wave decays, for a diffusion number of 1/2.
    fields, decay = torch.cos(phase), 1 - torch.exp(-0.5 * angle**2)
    fluxes = decay / (2 * torch.sin(angle / 2)) * torch.sin(phase - angle / 2)
    seen = torch.cat([fields, fields[..., :5]], -1).reshape(-1, 1, 37)
    wanted = torch.roll(fluxes, -3, -1).reshape(-1, 1, 32)

    def misfit() -> torch.Tensor:
        optimiser.zero_grad()
        loss: torch.Tensor = (network(seen) - wanted).square().mean()
        torch.autograd.backward(loss)
        return loss

    optimiser.step(misfit)
    return network


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_network_trained_in_torch_runs_conserved() -> None:
    network = trained_elsewhere()
    axes = {"u": {0: "batch", 2: "cells"}}
    torch.onnx.export(
        network, (torch.zeros(1, 1, 32),), "flux.onnx", input_names=["u"], output_names=["flux"], dynamic_axes=axes
    )
    compiled = told("compile", "flux.onnx", "--problem", "heat1d", "--mesh", "64")
    notes = compiled["imported"]["notes"]
    assert len(notes) == 1 and notes[0].startswith("the kernel was made antisymmetric, which changed it by 0.")
    assert compiled["certificate"]["conservation"] == "proved" and compiled["imported"]["format"] == "onnx"
    run = told("simulate", "flux.pisnn", "--backend", "onnx")
    assert (run["verdict"], run["mass"]["drift"], sum(run["violations"].values())) == ("conserved", 0, 0)
    assert run["error"]["relative_l2"] < 1e-5


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_network_with_a_hidden_layer_runs_conserved() -> None:
    first, last = torch.nn.Conv1d(1, 2, 8), torch.nn.Conv1d(2, 1, 1)
    with torch.no_grad():
        first.weight.copy_(torch.tensor(np.stack([KERNEL, -KERNEL])[:, None, :]))
        last.weight.copy_(torch.tensor([[[1.0], [-1.0]]]))
        first.bias.zero_()  # type: ignore[union-attr]
        last.bias.zero_()  # type: ignore[union-attr]
    network = torch.nn.Sequential(first, torch.nn.ReLU(), last)
    torch.onnx.export(network, (torch.zeros(1, 1, 32),), "flux.onnx")
    number = str(132 / 128)
    compiled = told("compile", "flux.onnx", "--problem", "heat1d", "--mesh", "64", "--diffusion-number", number)
    assert compiled["imported"]["diffusion_number"] == float(number)
    run = told("simulate", "flux.pisnn", "--backend", "onnx")
    assert (run["verdict"], run["mass"]["drift"]) == ("conserved", 0) and run["error"]["relative_l2"] < 1e-3


def test_content_and_not_the_name_says_what_a_file_is(folder: Path) -> None:
    write_checkpoint(folder / "a.onnx", heat_model(), {})
    (folder / "b.pt").write_bytes(conv_onnx())
    (folder / "c.onnx").write_bytes(netx_file(heat_model()))
    (folder / "d").write_bytes(network_file(heat_model()))
    for name, source in (("a.onnx", None), ("b.pt", "onnx"), ("c.onnx", "netx"), ("d", "nir")):
        problem = ["--problem", "heat1d"] if source == "onnx" else []
        found = told("compile", name, "--mesh", "16", "-o", f"{name}.pisnn", *problem)
        assert found.get("imported", {"format": None})["format"] == source
    assert [format_of(Path(name)) for name in ("e.net", "e.ONNX", "e.pt")] == ["hdf5", "onnx", "checkpoint"]


@pytest.mark.parametrize("target", ["netx", "nir"])
def test_the_integers_of_an_artifact_come_back(target: str) -> None:
    told("compile", "heat1d", "--mesh", "32", "-o", "a.pisnn")
    file = told("export", "a.pisnn", "--to", target)["file"]
    told("compile", file, "--mesh", "32", "-o", "b.pisnn")
    before, after = (read_artifact(Path(name)).graph for name in ("a.pisnn", "b.pisnn"))
    assert np.array_equal(before.operator[0].weight, after.operator[0].weight)
    for one, other in zip(before.synapses, after.synapses, strict=True):
        assert np.array_equal(one.matrix().toarray(), other.matrix().toarray())
    assert (before.bounds, before.quantum, before.time_step) == (after.bounds, after.quantum, after.time_step)


def test_a_model_comes_back_as_the_artifact_of_its_checkpoint() -> None:
    told("compile", "heat1d", "--mesh", "16", "-o", "a.pisnn")
    for target in ("netx", "nir"):
        told("compile", told("export", "heat1d", "--to", target)["file"], "--mesh", "16", "-o", "b.pisnn")
        before, after = (read_artifact(Path(name)).graph for name in ("a.pisnn", "b.pisnn"))
        assert artifact_bytes(before, {}) == artifact_bytes(after, {})


def test_what_export_tells(folder: Path) -> None:
    write_checkpoint(folder / "wide.pt", heat_model((0.1, 1.5)), {})
    facts = told("export", "wide.pt", "--to", "netx")
    assert facts == {
        "file": "wide.net",
        "format": "netx",
        "bytes": (folder / "wide.net").stat().st_size,
        "holds": "the flux network of one face",
        "netx keeps the weights": "no: mantissas beyond 254 in layer 0, which netx clips",
    }


def test_mistakes_are_named(folder: Path) -> None:
    (folder / "flux.onnx").write_bytes(conv_onnx())
    (folder / "flux.net").write_bytes(lava_dl_bytes([dense_layer()]))
    (folder / "text.onnx").write_text("hello")
    (folder / "text.nir").write_text("hello")
    (folder / "other.h5").write_bytes(lava_dl_bytes([]))
    write_checkpoint(folder / "model.pt", heat_model(), {})
    problems = "heat1d, heat2d, heat3d, laplace2d, advection_diffusion1d, burgers1d"
    for words, message in (
        (("flux.onnx",), f"flux.onnx: does not name its problem; give a --problem: {problems}"),
        (("flux.net", "--problem", "heat"), f"problem 'heat': unknown; use {problems}"),
        (("text.onnx",), "text.onnx: is damaged, or not an ONNX model"),
        (("text.nir",), "text.nir: is damaged, or not an HDF5 file"),
        (("missing.net",), "missing.net: cannot be read (No such file or directory)"),
        (
            ("other.h5",),
            "other.h5: is neither a netx nor a NIR file; netx files have the group layer, NIR files the group node",
        ),
        (
            ("model.pt", "--problem", "heat1d"),
            "model.pt: a checkpoint names its own problem; leave out --problem and --diffusion-number",
        ),
    ):
        assert sentence("compile", *words) == message
    assert sentence("export", "heat1d", "--to", "nir", "--loop") == "--loop: needs --to onnx"
    assert sentence("export", "burgers1d", "--to", "nir").startswith(
        "burgers1d: NIR has no rectifier for real numbers;"
    )
    assert not list(folder.glob("*.pisnn"))


@pytest.mark.parametrize(("package", "target"), [("h5py", "netx"), ("nir", "nir"), ("onnx", "onnx")])
def test_a_missing_package_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, package: str, target: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    message = f"export --to {target} needs {package}, which is not installed: pip install 'pisnn-deploy[{target}]'"
    assert sentence("export", "heat1d", "--to", target) == message


def damaged(content: bytes, random_: random.Random) -> bytes:
    """A few bytes changed, or the end missing."""
    found = bytearray(content)
    if random_.random() < 0.1:
        return bytes(found[: random_.randrange(8, len(found))])
    for _ in range(random_.choice((1, 2, 8))):
        found[random_.randrange(len(found))] = random_.choice((0, 1, 127, 255, random_.randrange(256)))
    return bytes(found)


@pytest.mark.parametrize("name", ["onnx", "netx", "nir"])
def test_damaged_files_end_in_one_line(name: str) -> None:
    contents = {"onnx": conv_onnx(), "netx": netx_file(heat_model()), "nir": network_file(heat_model())}
    generator, path, refused = random.Random(1), Path(f"flux.{name}"), 0
    runs = 150 if name == "onnx" else 5
    for _ in range(runs):
        data = damaged(contents[name], generator)
        try:
            if name == "onnx":
                network = read_onnx(path, data)
            else:
                tree = hdf5_content.read_tree(path, data, seconds=2)
                network = read_netx(path, tree) if name == "netx" and "layer" in tree else read_nir(path, tree)
            assemble(path, network, Request("heat1d"))
        except KeyError as error:
            assert error.args[0] in ("layer", "node"), "what import_model looks for first"
        except PisnnError as error:
            assert str(error).startswith(f"flux.{name}: ") and "\n" not in str(error) and error.exit_code == 2
            refused += 1
    assert refused > (runs // 10 if name == "onnx" else 0)
