"""``pisnn-deploy export``."""

from __future__ import annotations

from pathlib import Path

import click

from pisnn_deploy.cli.console import print_json, print_table
from pisnn_deploy.cli.options import HELP, JSON, QUIET
from pisnn_deploy.project.exports import ENDINGS, MOST_STEPS, STEPS, export


@click.command("export", context_settings=HELP)
@click.argument("artifact", default="heat1d")
@click.option("--to", "target", type=click.Choice(list(ENDINGS)), required=True, help="Format to export to.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File (default: NAME.onnx, .net or .nir); a folder (NAME-c) or .zip for lava, c, torch, verilog and sanafe.",
)
@click.option(
    "--loop", is_flag=True, help="For onnx: take the number of PDE steps as an input `steps`, instead of doing one."
)
@click.option(
    "--serial",
    is_flag=True,
    help="For verilog: run the neurons one after the other, instead of all at once (any graph up to 2^20 neurons).",
)
@click.option(
    "--streamed",
    is_flag=True,
    help="For verilog: stream the rows of a grid, a position in every cycle (grids whose weights are the same away "
    "from walls).",
)
@click.option(
    "--steps",
    type=click.IntRange(1, MOST_STEPS),
    help=f"For sanafe: PDE steps of the run whose spikes are replayed (default: {STEPS}).",
)
@JSON
@QUIET
def command(
    artifact: str,
    target: str,
    output: Path | None,
    loop: bool,
    serial: bool,
    streamed: bool,
    steps: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Export ARTIFACT (.pisnn), a checkpoint (.safetensors, .pt) or a model of the zoo to another format.

    \b
    Examples:
      pisnn-deploy export heat1d --to onnx
      pisnn-deploy export heat.pisnn --to onnx --loop -o heat.onnx
      pisnn-deploy export model.pt --to netx -o flux.net
      pisnn-deploy export heat.pisnn --to nir
      pisnn-deploy export heat.pisnn --to c -o heat_in_c
      pisnn-deploy export heat.pisnn --to torch -o heat_in_torch
      pisnn-deploy export heat.pisnn --to verilog --serial -o heat_on_an_fpga
      pisnn-deploy export heat2d --to verilog --streamed -o heat_by_rows
      pisnn-deploy export heat.pisnn --to sanafe --steps 20 -o heat_in_sanafe
      pisnn-deploy compile heat1d --processes stock -o stock.pisnn
      pisnn-deploy export stock.pisnn --to lava -o on_lava

    onnx: one PDE step; masses, currents and residues go in and out as int64, and plain onnxruntime runs it.
    nir: the whole graph of an artifact, or the flux network of a model, in NIR primitives.
    netx: the flux network, in lava-dl's layout.
    c: C99 without heap and floats, with a self-test (make -C heat_in_c test) and an audit of every step.
    torch: a module of int64 tensors, for batches and torch.export (python heat_in_torch/network.py tests itself).
    verilog: a circuit, with a testbench that checks itself (make -C heat_on_an_fpga test).
    sanafe: architecture and network for SANA-FE, whose neurons replay the spikes of a run, to estimate time and energy.
    lava: a script that runs a graph of stock processes on plain lava-nc (python on_lava/run.py).
    """
    facts = export(artifact, None, target, output, loop=loop, serial=serial, streamed=streamed, steps=steps)
    if as_json:
        print_json(facts)
    elif not quiet:
        path = str(facts.get("file", facts.get("folder")))
        print_table(
            path, [(name, ", ".join(fact) if isinstance(fact, list) else str(fact)) for name, fact in facts.items()]
        )
