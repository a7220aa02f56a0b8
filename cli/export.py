"""``pisnn-deploy export``."""

from __future__ import annotations

from pathlib import Path

import click

from pisnn_deploy.cli.console import print_json, print_table
from pisnn_deploy.cli.files import check_outputs
from pisnn_deploy.cli.graphs import read_graph
from pisnn_deploy.output import write_whole


@click.command("export", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("artifact", default="heat1d")
@click.option("--to", "target", type=click.Choice(["onnx"]), required=True, help="Format.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File; NAME.onnx unless given.")
@click.option("--loop", is_flag=True, help="A model that does as many PDE steps as its input `steps` says.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def command(artifact: str, target: str, output: Path | None, loop: bool, as_json: bool, quiet: bool) -> None:
    """Write ARTIFACT (.pisnn), or a model of the zoo, in the format of others.

    \b
    Examples:
      pisnn-deploy export heat1d --to onnx
      pisnn-deploy export heat.pisnn --to onnx --loop -o heat.onnx

    An ONNX model of one PDE step takes and gives masses, currents and residues as int64; onnxruntime alone runs it.
    """
    from pisnn_deploy.exports.onnx_model import run_model, step_model

    path = output or Path(Path(artifact).name).with_suffix(".onnx")
    check_outputs([path], [artifact])
    read = read_graph(artifact)
    graph, digest = read.graph, read.sha256
    content = (run_model if loop else step_model)(graph, digest).SerializeToString(deterministic=True)
    write_whole(path, content)
    facts = {"file": str(path), "format": target, "bytes": len(content), "steps": "input" if loop else "one"}
    if as_json:
        print_json(facts)
    elif not quiet:
        print_table(f"{path}", [(name, str(fact)) for name, fact in facts.items()])
