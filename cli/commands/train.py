"""``pisnn-deploy train``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pisnn_deploy.cli.console import Row, print_json, print_table, progress
from pisnn_deploy.cli.files import check_outputs
from pisnn_deploy.cli.messages import print_message
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.core.limits import is_lack_of_memory, require_memory
from pisnn_deploy.core.optional import guests
from pisnn_deploy.project import zoo
from pisnn_deploy.project.model_file import is_file_name

if TYPE_CHECKING:
    from pisnn_deploy.training.trainer import Trained


@click.command("train", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("recipe")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the model.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Instead of the recipe's.")
@click.option("--resume", is_flag=True, help="Go on where an interrupted training stopped.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no table.")
def command(recipe: str, output: Path | None, seed: int | None, resume: bool, as_json: bool, quiet: bool) -> None:
    """Train a model from RECIPE, a YAML file or the name of a model of the zoo.

    \b
    Examples:
      pisnn-deploy train heat1d
      pisnn-deploy train my_recipe.yaml -o my_model.pt --seed 7
      pisnn-deploy train my_recipe.yaml -o my_model.pt --resume
    """
    require_memory("training")
    with guests("train"):
        from pisnn_deploy.training.assessment import strict
        from pisnn_deploy.training.checkpoint import write_checkpoint
        from pisnn_deploy.training.recipe import read_recipe
        from pisnn_deploy.training.trainer import epochs, train

    started = time.perf_counter()
    named = Path(recipe)
    path = output or (named.with_suffix(".pt") if is_file_name(recipe) else Path(f"{recipe}.pt"))
    check_outputs([path], [recipe])
    with nullcontext(named) if is_file_name(recipe) else zoo.recipe_path(recipe) as found:
        read = read_recipe(found)
    state_path = path.with_name(f"{path.name}.state")
    if resume and not state_path.exists():
        print_message(f"warning: --resume: there is no {state_path}; the training starts anew")
    with _memory(), progress(f"training {read.model.name}", epochs(read), quiet=quiet) as report:
        trained = train(
            read,
            seed=seed,
            resume=resume,
            state_path=state_path,
            on_epoch=lambda done, total, loss: report(done),
        )
    failures = trained.assessment.failures
    if not failures:
        write_checkpoint(path, trained.model, trained.summary)
    written = None if failures else str(path)
    if as_json:
        print_json(strict({"model": written, **trained.summary, "wall_seconds": time.perf_counter() - started}))
    elif not quiet:
        print_table(written or "not written", _rows(trained))
    if failures:
        raise CheckError(f"training {read.model.name}: {'; '.join(failures)}; {path} was not written")


@contextmanager
def _memory() -> Iterator[None]:
    """Say what takes less memory, in the words of a recipe."""
    try:
        yield
    except Exception as error:
        if not is_lack_of_memory(error):
            raise
        raise UsageError(
            "memory ran out; choose fewer cells, a smaller batch or shorter horizons in the recipe, or allow the "
            "process more"
        ) from error


def _rows(trained: Trained) -> list[Row]:
    summary, judged = trained.summary, trained.assessment
    rounding = summary.get("loss_before_rounding")
    return [
        ("training", f"{summary['epochs']} epochs, seed {summary['seed']}"),
        ("training loss", f"{summary['loss_first']:.3g} first, {summary['loss_last']:.3g} last"),
        *([] if rounding is None else [("before rounding", f"{rounding:.3g}")]),
        ("held-out loss", f"{judged.loss_before:.3g} before training, {judged.loss_after:.3g} after"),
        ("held-out error", f"{judged.held_out_error:.2e} after {judged.held_out_steps} PDE steps"),
        (judged.scheme, f"{judged.scheme_error:.2e} on the same mesh"),
        ("accepted", f"up to {judged.accept:.2e}"),
        ("time step", f"{summary['time_step']:.6g}"),
        *((one.name, f"{one.learned:.6g}, wanted {one.wanted:.6g}") for one in judged.coefficients),
        ("amplification factor", f"{judged.amplification_factor:.9g} at most"),
        *(("failed", sentence) for sentence in judged.failures),
    ]
