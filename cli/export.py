"""``pisnn-deploy export``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from pisnn_deploy.cli.console import print_json, print_table
from pisnn_deploy.cli.files import check_outputs
from pisnn_deploy.cli.graphs import read_graph
from pisnn_deploy.cli.network_files import SUFFIXES, exported_network
from pisnn_deploy.errors import UsageError
from pisnn_deploy.graph.artifact import write_whole


@click.command("export", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("artifact", default="heat1d")
@click.option("--to", "target", type=click.Choice(["onnx", "netx", "nir"]), required=True, help="Format.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File; NAME.onnx, .net or .nir unless given.",
)
@click.option("--loop", is_flag=True, help="A model that does as many PDE steps as its input `steps` says.")
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

    An ONNX model of one PDE step takes and gives masses, currents and residues as int64; onnxruntime alone runs it.
    netx is the flux network in the layout of lava-dl. nir is, of an artifact, the whole graph in primitives of NIR, of
    a model the flux network alone. docs/formats.md says what each holds exactly.
    """
    path = output or Path(Path(artifact).name).with_suffix(SUFFIXES[target])
    check_outputs([path], [artifact])
    if target != "onnx":
        if loop:
            raise UsageError("--loop is for --to onnx")
        content, facts = exported_network(artifact, target)
        write_whole(path, content)
        _tell(path, {"file": str(path), "format": target, "bytes": len(content), **facts}, as_json=as_json, quiet=quiet)
        return
    from pisnn_deploy.exports.onnx_model import run_model, step_model

    graph, digest = read_graph(artifact)
    content = (run_model if loop else step_model)(graph, digest).SerializeToString(deterministic=True)
    write_whole(path, content)
    told = {"file": str(path), "format": target, "bytes": len(content), "steps": "input" if loop else "one"}
    _tell(path, told, as_json=as_json, quiet=quiet)


def _tell(path: Path, facts: Mapping[str, object], *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(facts)
    elif not quiet:
        print_table(f"{path}", [(name, str(fact)) for name, fact in facts.items()])
