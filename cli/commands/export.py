"""``pisnn-deploy export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pisnn_deploy.cli.console import print_json, print_table
from pisnn_deploy.cli.files import check_outputs
from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.project.graphs import read_graph
from pisnn_deploy.project.network_files import exported_network

ENDINGS = {"onnx": ".onnx", "netx": ".net", "nir": ".nir", "lava": "-lava"}
"""Of what is written unless a name is given, by format."""


@click.command("export", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("artifact", default="heat1d")
@click.option("--to", "target", type=click.Choice(list(ENDINGS)), required=True, help="Format.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File, NAME.onnx, .net or .nir unless given; for lava a folder or a .zip, NAME-lava unless given.",
)
@click.option("--loop", is_flag=True, help="An ONNX model that does as many PDE steps as its input `steps` says.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def command(artifact: str, target: str, output: Path | None, loop: bool, as_json: bool, quiet: bool) -> None:
    """Write ARTIFACT (.pisnn), a checkpoint (.pt) or a model of the zoo in the format of others.

    \b
    Examples:
      pisnn-deploy export heat1d --to onnx
      pisnn-deploy export heat.pisnn --to onnx --loop -o heat.onnx
      pisnn-deploy export model.pt --to netx -o flux.net
      pisnn-deploy export heat.pisnn --to nir
      pisnn-deploy compile heat1d --processes stock -o stock.pisnn
      pisnn-deploy export stock.pisnn --to lava -o on_lava

    An ONNX model of one PDE step takes and gives masses, currents and residues as int64; onnxruntime alone runs it.
    netx is the flux network in the layout of lava-dl. nir is, of an artifact, the whole graph in primitives of NIR, of
    a model the flux network alone. docs/formats.md says what each holds exactly. A script of a graph of stock processes
    and its data are run by lava-nc alone: python on_lava/run.py.
    """
    if loop and target != "onnx":
        raise UsageError("--loop: goes with --to onnx")
    named = Path(Path(artifact).name)
    path = output or named.with_name(f"{named.stem}{ENDINGS[target]}")
    if target == "onnx":
        facts = _write_onnx(artifact, path, loop)
    elif target == "lava":
        facts = _write_lava(artifact, path)
    else:
        facts = _write_network(artifact, target, path)
    if as_json:
        print_json(facts)
    elif not quiet:
        print_table(f"{path}", [(name, str(fact)) for name, fact in facts.items()])


def _write_network(artifact: str, target: str, path: Path) -> dict[str, Any]:
    check_outputs([path], [artifact])
    content, facts = exported_network(artifact, target)
    write_whole(path, content)
    return {"file": str(path), "format": target, "bytes": len(content), **facts}


def _write_onnx(artifact: str, path: Path, loop: bool) -> dict[str, Any]:
    from pisnn_deploy.formats.onnx.writer import run_model, step_model

    check_outputs([path], [artifact])
    read = read_graph(artifact)
    content = (run_model if loop else step_model)(read.graph, read.sha256).SerializeToString(deterministic=True)
    write_whole(path, content)
    return {"file": str(path), "format": "onnx", "bytes": len(content), "steps": "input" if loop else "one"}


def _write_lava(artifact: str, path: Path) -> dict[str, Any]:
    from pisnn_deploy.formats.lava.script import DATA, SCRIPT, archive_bytes

    if path.suffix == ".zip":
        check_outputs([path], [artifact])
        files = _lava_files(artifact)
        content = archive_bytes(files)
        write_whole(path, content)
        return {"file": str(path), "format": "lava", "bytes": len(content), "files": sorted(files)}
    if path.exists() and not path.is_dir():
        raise FileError(
            path, "cannot be written (Not a directory)", remedy="name a folder, or a file that ends in .zip"
        )
    check_outputs([path / SCRIPT, path / DATA] if path.is_dir() else [path], [artifact])
    if path.is_dir() and {entry.name for entry in path.iterdir()} - {SCRIPT, DATA}:
        raise FileError(path, "cannot be written (Directory not empty)", remedy="name a new folder")
    files = _lava_files(artifact)
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error
    for name, content in files.items():
        write_whole(path / name, content)
    return {"folder": str(path), "format": "lava", "bytes": sum(map(len, files.values())), "files": sorted(files)}


def _lava_files(artifact: str) -> dict[str, bytes]:
    from pisnn_deploy.formats.lava.script import lava_files

    read = read_graph(artifact)
    return lava_files(read.graph, read.sha256)
