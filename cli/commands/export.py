"""``pisnn-deploy export``."""

from __future__ import annotations

from pathlib import Path

import click

from pisnn_deploy.cli.console import print_json, print_table
from pisnn_deploy.cli.options import HELP, JSON, QUIET
from pisnn_deploy.project.exports import ENDINGS, export


@click.command("export", context_settings=HELP)
@click.argument("artifact", default="heat1d")
@click.option("--to", "target", type=click.Choice(list(ENDINGS)), required=True, help="Format.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File (default: NAME.onnx, .net or .nir); for lava a folder or a .zip (default: NAME-lava).",
)
@click.option("--loop", is_flag=True, help="An ONNX model that does as many PDE steps as its input `steps` says.")
@JSON
@QUIET
def command(artifact: str, target: str, output: Path | None, loop: bool, as_json: bool, quiet: bool) -> None:
    """Export ARTIFACT (.pisnn), a checkpoint (.pt) or a model of the zoo to another format.

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
    a model the flux network alone. docs/reference/formats.md says what each holds exactly. A script of a
    graph of stock processes and its data are run by lava-nc alone: python on_lava/run.py.
    """
    facts = export(artifact, None, target, output, loop=loop)
    if as_json:
        print_json(facts)
    elif not quiet:
        path = str(facts.get("file", facts.get("folder")))
        print_table(path, [(name, str(fact)) for name, fact in facts.items()])
