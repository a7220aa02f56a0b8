"""``pisnn-deploy train``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from pisnn_deploy.cli.console import listener, print_json, print_table
from pisnn_deploy.cli.options import HELP, JSON, QUIETER
from pisnn_deploy.project.training import train_to_file


@click.command("train", context_settings=HELP)
@click.argument("recipe")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the model (default: the name of the recipe with the suffix .safetensors).",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Random seed (overrides the recipe).")
@click.option("--resume", is_flag=True, help="Continue an interrupted training.")
@JSON
@QUIETER
def command(recipe: str, output: Path | None, seed: int | None, resume: bool, as_json: bool, quiet: bool) -> None:
    """Train a model from RECIPE, a YAML file or the name of a model of the zoo.

    \b
    Examples:
      pisnn-deploy train heat1d
      pisnn-deploy train my_recipe.yaml -o my_model.pt --seed 7
      pisnn-deploy train my_recipe.yaml -o my_model.pt --resume
    """
    started = time.perf_counter()
    training = train_to_file(recipe, output, seed=seed, resume=resume, listener=listener(quiet=quiet))
    trained = training.trained
    written = None if training.failures else str(training.path)
    if as_json:
        from pisnn_deploy.training.assessment import strict

        print_json(strict({"model": written, **trained.summary, "wall_seconds": time.perf_counter() - started}))
    elif not quiet:
        print_table(written or "not written", trained.rows)
    training.require_accepted()
